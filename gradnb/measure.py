"""The size of arrays and tensors, accurate, and quick enough for every training step.

Overflow is no mishap here: who calls the functions of a flat array silences NumPy's warnings.
"""

from __future__ import annotations

import math

import numpy as np

CHUNK = 10_000
"""Entries worked on at a time. With more, the linear algebra library starts its threads, which get
in the way of those that PyTorch keeps running; fewer cost calls."""

UNDERFLOW = {c: float(np.finfo(c).tiny) / float(np.finfo(c).eps) for c in "fd"}


def as_array(value):
    """Return an ndarray or a PyTorch tensor as an ndarray, which is a view wherever it can be.

    A tensor on another device, sparse, or of a type that NumPy does not have is copied.
    """
    if isinstance(value, np.ndarray):
        return value
    value = value.detach()
    try:
        return value.numpy()
    except (TypeError, RuntimeError):
        value = value.to_dense().cpu()
        return (value.float() if value.element_size() < 4 else value).numpy()


def flat(value):
    """Return the real numbers of an array or tensor in one dimension, half precision widened."""
    array = as_array(value)
    if array.dtype.kind != "f":
        raise TypeError(f"parameters must hold real floating-point numbers, got {array.dtype}")
    return array.reshape(-1) if array.itemsize >= 4 else array.reshape(-1).astype(np.float32)


def is_finite(value):
    """Say whether an array or tensor, or all that a tuple, list or dict holds, is finite."""
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    if isinstance(value, (tuple, list)):
        return all(map(is_finite, value))
    # A sum is quicker than a look at each entry, but no proof where it fails: it may overflow
    if hasattr(value, "detach"):
        if value.is_floating_point() and math.isfinite(value.detach().sum().item()):
            return True
    elif not isinstance(value, np.ndarray):
        return True
    elif value.dtype.char in "fd":
        with np.errstate(all="ignore"):
            if math.isfinite(squares(value.reshape(-1))):
                return True
    array = as_array(value)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def _is_plain(value):
    """Say whether this is a tensor whose sums PyTorch takes in single or double precision.

    It takes them quicker than NumPy does, whose threads would get in the way of its own.
    """
    return (
        not isinstance(value, np.ndarray)
        and value.is_floating_point()
        and value.element_size() >= 4
        and not value.is_sparse
    )


def norm(value):
    """Return √Σxᵢ² of an array or tensor, also where the squares would overflow or underflow."""
    if _is_plain(value):
        size = value.norm().item()
        if 1e-12 < size < math.inf:
            return size
    return length(flat(value))


def squares(x):
    """Return Σxᵢ² of a flat array, inf where it overflows."""
    if x.size <= CHUNK:
        return float(x.dot(x))
    total = 0.0
    for start in range(0, x.size, CHUNK):
        chunk = x[start : start + CHUNK]
        total += float(chunk.dot(chunk))
    return total


def length(x):
    """Return √Σxᵢ² of a flat array, also where the squares would overflow or underflow."""
    total = squares(x)
    # Below such a sum, underflow may have cost it more than rounding does
    if x.size * UNDERFLOW.get(x.dtype.char, math.inf) < total < math.inf:
        return math.sqrt(total)
    largest = float(np.abs(x).max(initial=0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    scaled = x / np.asarray(largest, np.result_type(x, np.float64))
    return largest * math.sqrt(squares(scaled))


def distance(x, y):
    """Return √Σ(xᵢ − yᵢ)² of flat arrays; y is left holding the differences."""
    return length(np.subtract(x, y, out=y))


def sum_and_zeros(x):
    """Return Σ|xᵢ| of a flat array and how many of its entries are 0."""
    total, zeros = 0.0, 0
    for start in range(0, x.size, CHUNK):
        sizes = np.abs(x[start : start + CHUNK])
        total += float(sizes.sum())
        zeros += int(np.count_nonzero(sizes == 0))
    if math.isinf(total):
        total = float(np.abs(x).sum(dtype=np.result_type(x, np.float64)))
    return total, zeros

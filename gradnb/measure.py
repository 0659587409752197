"""The size of arrays and tensors, exact and quick enough to be taken at every training step."""

from __future__ import annotations

import math

import numpy as np

CHUNK = 8192
"""Entries worked on at a time: few enough for the nearest caches, and for a single thread."""


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
    if isinstance(value, (tuple, list)):
        return all(map(is_finite, value))
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    if not (isinstance(value, np.ndarray) or hasattr(value, "detach")):
        return True
    array = as_array(value)
    if array.dtype.char in "fd" and math.isfinite(squares(array.reshape(-1))):
        return (
            True  # far quicker than looking at each, and no proof where it fails: squares overflow
        )
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def squares(x):
    """Return Σxᵢ² of a flat array, inf where it overflows."""
    count = x.size // CHUNK
    if count == 0:
        return float(x.dot(x))
    # One dot product per chunk: a single long one would start the threads of the linear algebra
    # library, and PyTorch's are still running
    chunks = x[: count * CHUNK]
    sums = np.matmul(chunks.reshape(count, 1, CHUNK), chunks.reshape(count, CHUNK, 1))
    rest = x[count * CHUNK :]
    return float(sums.sum(dtype=float)) + float(rest.dot(rest))


def length(x):
    """Return √Σxᵢ² of a flat array, also where the squares would overflow or underflow."""
    total = squares(x)
    limits = np.finfo(x.dtype)
    # Below this sum, underflow may have cost it more than rounding does
    if x.size * float(limits.tiny) / float(limits.eps) < total < math.inf:
        return math.sqrt(total)
    largest = float(np.abs(x).max(initial=0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    scaled = x / np.asarray(largest, np.result_type(x, np.float64))
    return largest * math.sqrt(squares(scaled))


def sum_and_zeros(x):
    """Return Σ|xᵢ| of a flat array and how many of its entries are 0."""
    total, zeros = 0.0, 0
    for start in range(0, x.size, CHUNK):
        chunk = np.abs(x[start : start + CHUNK])
        total += float(chunk.sum(dtype=np.result_type(x, np.float64)))
        zeros += int(np.count_nonzero(chunk == 0))
    return total, zeros

"""Errors that name the argument, say what came and what was expected.

Without them a wrong shape surfaces as a broadcasting error three frames below the mistake, or,
worse, broadcasts without an error and trains on nonsense.
"""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np


def integer(name, value, minimum):
    """Return `value` as an int of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r} ({type(value).__name__})")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    return int(value)


def number(name, value, minimum=-math.inf, maximum=math.inf):
    """Return `value` as a finite float in [`minimum`, `maximum`]."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r} ({type(value).__name__})")
    try:
        value = float(value)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum:g}, got {value:g}")
    if value > maximum:
        raise ValueError(f"{name} must be at most {maximum:g}, got {value:g}")
    return value


def fraction(name, value):
    """Return `value` as a float from 0 to below 1."""
    value = number(name, value, minimum=0)
    if value >= 1:
        raise ValueError(f"{name} must be below 1, got {value}")
    return value


def flag(name, value):
    """Return `value` as a bool, which it must be already: "no" and nan are true, too."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


ARRAYS = (np.ndarray, np.memmap)
"""In other subclasses, such as ``numpy.matrix``, operators mean other things."""


def float_array(name, value):
    """Return `value`, which must be an array of floating-point numbers already."""
    if type(value) not in ARRAYS:
        raise TypeError(f"{name} must be a NumPy array, got {type(value).__name__}")
    if value.dtype.kind != "f" or not value.dtype.isnative:
        raise TypeError(
            f"{name} must hold floating-point numbers, got dtype {value.dtype}: "
            f"convert it with {name}.astype(float)"
        )
    return value


def finite(name, value):
    """Return the array `value`, which must hold neither nan nor infinity."""
    if not np.isfinite(value).all():
        index = tuple(map(int, np.argwhere(~np.isfinite(value))[0]))
        raise ValueError(f"{name} must be finite, got {value[index]} at index {index}")
    return value


def batch(name, value):
    """Refuse what is no float array of at least one dimension."""
    if float_array(name, value).ndim == 0:
        raise ValueError(f"{name} must have at least one dimension, got shape ()")


def rows(name, value, features):
    """Refuse what is no float array of shape (batch, `features`)."""
    float_array(name, value)
    if value.ndim != 2 or value.shape[1] != features:
        raise ValueError(f"{name} must have shape (batch, {features}), got {value.shape}")


def sequences(name, value, features=None):
    """Refuse what is no float array of shape (batch, time, `features`) with at least one step.

    With None, any number of features will do.
    """
    float_array(name, value)
    if value.ndim != 3 or features not in (None, value.shape[2]):
        expected = f"(batch, time, {'features' if features is None else features})"
        raise ValueError(f"{name} must have shape {expected}, got {value.shape}")
    if value.shape[1] == 0:
        raise ValueError(f"{name} must have at least one time step, got shape {value.shape}")


def not_wider(name, value, dtype, than):
    """Refuse an array that would turn every later result into a wider type than `dtype`."""
    if value.dtype != dtype and np.result_type(value.dtype, dtype) != dtype:
        raise TypeError(
            f"{name} has dtype {value.dtype}, wider than {than}, {dtype}: "
            f"convert it with {name}.astype(numpy.{dtype})"
        )


def same_shape(name, value, shape, of):
    """Refuse what is no float array with exactly the shape of `of`."""
    float_array(name, value)
    if value.shape != shape:
        raise ValueError(f"{name} must have the shape of {of}, {shape}, got {value.shape}")


def float_dtype(name, value):
    """Return `value` as a floating-point NumPy dtype."""
    try:
        dtype = np.dtype(value)
    except TypeError:
        dtype = None
    if value is None or dtype is None or dtype.kind != "f" or not dtype.isnative:
        raise TypeError(f"{name} must be a floating-point type, got {value!r}")
    return dtype


def generator(name, value):
    """Return `value`, a Generator or a seed, as a Generator; None gives a new one each time."""
    try:
        if isinstance(value, bool):
            raise TypeError("a bool is no seed")
        return np.random.default_rng(value)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{name} must be a numpy.random.Generator, an integer of at least 0 or None, "
            f"got {value!r}"
        ) from error


def instance(name, value, kind):
    """Return `value`, which must be an instance of the class `kind`."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, got {_described(value)}")
    return value


def function(name, value, signature):
    """Return `value`, which must be callable; a class is not, as ``MSELoss`` without brackets."""
    if not callable(value) or isinstance(value, type):
        raise TypeError(f"{name} must be a callable {signature}, got {_described(value)}")
    return value


def _described(value):
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    return f"{value!r} ({type(value).__name__})"

"""Loading the state of a module: all of it or nothing."""

from __future__ import annotations

import numpy as np

from gradnb import checks


def load(own, state):
    """Copy the values of `state` into the arrays `own`, by name and in place.

    Raises
    ------
    TypeError
        If `state` is not a dict.
    ValueError
        If anything does not fit, with all that does not. Then nothing has been changed.
    """
    if not isinstance(state, dict):
        raise TypeError(f"state must be a dict of arrays, got {type(state).__name__}")
    values, faults = {}, []
    for name, value in state.items():
        if name not in own:
            faults.append(f"unknown {name} {getattr(value, 'shape', type(value).__name__)}")
    for name, array in own.items():
        if name not in state:
            faults.append(f"missing {name} {array.shape}")
            continue
        try:
            values[name] = _fitting(state[name], array)
        except (TypeError, ValueError, RuntimeError) as fault:
            faults.append(f"{name} {fault}")
    if faults:
        raise ValueError("state does not fit this module: " + "; ".join(faults))
    for name, array in own.items():
        array[...] = values[name]


def _fitting(value, array):
    """Return a copy of `value` in the type of `array`; `value` may be `array` or another one."""
    if isinstance(value, np.ndarray) and type(value) not in checks.ARRAYS:
        raise TypeError(f"is a {type(value).__name__}, expected a plain array")
    given = np.asarray(value)
    if given.shape != array.shape:
        raise ValueError(f"has shape {given.shape}, expected {array.shape}")
    if given.dtype.kind not in "fiu":
        raise ValueError(f"has dtype {given.dtype}, expected {array.dtype}")
    with np.errstate(over="ignore"):
        values = given.astype(array.dtype)  # a copy
    if not np.array_equal(np.isfinite(given), np.isfinite(values)):
        raise ValueError(f"has values too large for {array.dtype}, up to {np.abs(given).max():.3g}")
    if not array.flags.writeable:
        raise ValueError("cannot be written to in this module: its array is read-only")
    return values

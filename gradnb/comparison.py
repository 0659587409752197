"""A value beside the one it should be: what the problem sets show after each task."""

from __future__ import annotations

import numpy as np

from gradnb import checks

MAX_ROWS = 6


def compare(name, yours, true, *, rtol=1e-6):
    """Show `yours` beside the `true` value, and raise if they are not the same.

    Same means: the shape is equal, and no entry is further off than `rtol` times the largest entry
    of the true value,

        max |yours − true| ≤ rtol · max |true|.

    (``torch.testing.assert_close`` and ``numpy.allclose`` allow each entry an error in proportion
    to itself, so a derivative that is 0 but for rounding fails there.)

    Parameters
    ----------
    name : str
        What the value is; it stands above the columns.
    yours, true : array_like
        Numbers of any shape.
    rtol : float, default 1e-6
        The largest error allowed, as a part of the largest true entry. Differences are good to
        1e-9 or so; single precision needs 1e-4.

    Raises
    ------
    AssertionError
        If the values differ. The entries that are furthest off have been printed.
    TypeError
        If `yours` is nothing that NumPy takes for numbers, such as the None of a function without
        ``return``.
    ValueError
        If `rtol` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> compare("slope", np.array([2.0, -1.0]), np.array([2.0, -1.0]))
    slope              yours          true
    [0]            2.0000000     2.0000000
    [1]           -1.0000000    -1.0000000
    Equal: the largest error is 0 of the largest entry.
    """
    checks.number("rtol", rtol, minimum=0)
    true = _numbers("true", true)
    yours = _numbers("yours", yours)
    if yours.shape != true.shape:
        raise AssertionError(f"{name}: your shape is {yours.shape}, it should be {true.shape}")
    errors = np.asarray(np.abs(yours - true))  # of single numbers NumPy returns no array
    errors[~np.isfinite(yours)] = np.inf
    size = np.abs(true).max(initial=0) or 1.0
    worst = errors.max(initial=0) / size

    print(f"{name:<14.14} {'yours':>9} {'true':>13}")
    for index in _worst_entries(errors):
        label = str([int(i) for i in index]) if index else ""
        print(f"{label:<10} {_short(yours[index])} {_short(true[index])}")
    if errors.size > MAX_ROWS:
        print(f"… the {MAX_ROWS} of {errors.size} entries that are furthest off")
    if not worst <= rtol:
        raise AssertionError(
            f"{name}: your value is off by {worst:.2g} of the largest entry (at most {rtol:g})"
        )
    print(f"Equal: the largest error is {worst:.1g} of the largest entry.")


def _numbers(name, value):
    try:
        array = np.asarray(value)
    except ValueError:  # lists of unequal lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{name} must be numbers, got {value!r:.80} ({type(value).__name__})")
    return array.astype(complex if array.dtype.kind == "c" else float)


def _worst_entries(errors):
    """Return the indices of the entries to show, in the order in which they stand."""
    order = np.argsort(-errors, axis=None, kind="stable")[:MAX_ROWS]
    return [tuple(map(int, np.unravel_index(i, errors.shape))) for i in sorted(order)]


def _short(number):
    plain = number == 0 or 1e-3 <= abs(number) < 1e5
    return f"{number:13.7f}" if plain else f"{number:13.7g}"

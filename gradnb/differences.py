"""Derivatives from function values alone.

A numerical gradient needs only the function, not its derivative: move one entry, see how far the
value moves. It is slow and inexact, and knows nothing of the mistakes in a backward pass.
"""

from __future__ import annotations

import numpy as np

from gradnb import checks

METHODS = ("central", "forward", "complex")


def numerical_gradient(f, x, eps=None, method="central"):
    """Estimate ∂f/∂x entry by entry.

    central: (f(x + h) − f(x − h)) / 2h, error O(h²); forward: (f(x + h) − f(x)) / h, error O(h);
    complex: Im f(x + ih) / h, error O(h²) and free of cancellation, so that h can be tiny (Squire &
    Trapp 1998).

    Parameters
    ----------
    f : callable
        ``f(x) -> number``. It may use its argument, or read the same array through a closure: `x`
        is perturbed in place. With ``method="complex"`` it has to use its argument, a complex copy.
    x : ndarray
        Where; float, any shape. Its entries are put back whatever happens, also when `f` raises.
    eps : float, optional
        The step h. By default ∛u · max(1, |xᵢ|) for central, √u · max(1, |xᵢ|) for forward, with u
        the machine epsilon of x, and 1e-20 for complex.
    method : {"central", "forward", "complex"}
        The difference to take.

    Returns
    -------
    ndarray
        The gradient, of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        If `f` is not a function, if `x` is not a float array (in an integer array the step would
        round to 0), or if `f` returns no real number, or, with ``method="complex"``, no complex
        one.
    ValueError
        If `method` is unknown, if `x` is not finite or, unless it is copied as for complex, is
        read-only, or if `f` returns more than one number. If `eps` is not positive, or so small or
        large that x ± h is x, or not finite, in the type of x. An `f` that returns nan makes that
        entry of the gradient nan.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 2.0])
    >>> numerical_gradient(lambda x: np.sum(x**3), x).round(6)
    array([ 3., 12.])
    """
    checks.function("f", f, "x -> number")
    checks.float_array("x", x)
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if method == "complex":
        return _complex_step(f, x, eps)
    above, below = points("x", x, eps, method)
    gradient = np.zeros_like(x)
    here = number(f(x)) if method == "forward" else None
    for index in np.ndindex(x.shape):
        f_above = probe(f, x, index, above[index])
        f_below = here if method == "forward" else probe(f, x, index, below[index])
        # The difference of the points as stored, since x + h is rounded
        gradient[index] = (f_above - f_below) / (float(above[index]) - float(below[index]))
    return gradient


def points(name, x, eps, method="central"):
    """Return where each entry of x moves to: x + h and x − h, or x + h and x."""
    checks.finite(name, x)
    if not x.flags.writeable:
        raise ValueError(
            f"{name} must be writeable, since it is perturbed in place; got a read-only array"
        )
    with np.errstate(over="ignore"):
        h = steps(x, eps, method)
        above, below = x + h, x if method == "forward" else x - h
        lost = ~np.isfinite(above - below)
    still = (above == x) | ((below == x) & (method != "forward"))
    if still.any():
        raise ValueError(f"eps={eps} is too small to change {_entry(name, x, still)}")
    if lost.any():
        step = "the step" if eps is None else f"eps={eps}"
        raise ValueError(f"{step} leads from {_entry(name, x, lost)} out of the range of {x.dtype}")
    return above, below


def _entry(name, x, where):
    """Describe the first entry of x at which `where` is true."""
    index = tuple(map(int, np.argwhere(where)[0]))
    return f"{name}[{', '.join(map(str, index))}] = {x[index]:g}" if index else f"{name} = {x:g}"


def steps(x, eps, method="central"):
    """Return the step h of every entry of x."""
    if eps is not None:
        return np.full_like(x, _positive(eps))
    exponent = {"central": 1 / 3, "forward": 1 / 2, "second": 1 / 4}[method]
    return float(np.finfo(x.dtype).eps) ** exponent * np.maximum(1, np.abs(x))


def probe(f, x, index, value):
    """Return f with one entry moved to `value`; the entry is put back whatever happens."""
    original = x[index]
    try:
        x[index] = value
        return number(f(x))
    finally:
        x[index] = original


def _positive(eps):
    if checks.number("eps", eps) <= 0:
        raise ValueError(f"eps must be positive, got {eps}")
    return eps


def _complex_step(f, x, eps):
    checks.finite("x", x)
    h = 1e-20 if eps is None else _positive(eps)
    limits = np.finfo(x.dtype)
    if not float(limits.tiny) <= h <= float(limits.max):
        raise ValueError(f"eps={eps} is too {'small' if h < 1 else 'large'} for {x.dtype}")
    gradient = np.zeros_like(x)
    z = x.astype(np.result_type(x.dtype, np.complex64))
    for index in np.ndindex(x.shape):
        z[index] += 1j * h
        value = f(z)
        if not np.iscomplexobj(value):
            raise TypeError(
                "f must return a complex number for a complex x, got a real one: it ignores its "
                "argument or drops the imaginary part, as abs, max and float do"
            )
        gradient[index] = number(np.imag(value)) / h
        z[index] = x[index]
    return gradient


def number(value, name="f"):
    """Return as a float what the function `name` must return: one real number."""
    array = np.asarray(value)
    if array.size != 1:
        raise ValueError(f"{name} must return a single number, got an array of shape {array.shape}")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must return a real number, got {value!r}")
    return float(array.reshape(()))

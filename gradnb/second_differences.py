"""Second derivatives from differences: of the gradient, or of function values alone."""

from __future__ import annotations

import numpy as np

from gradnb import checks
from gradnb.differences import number, points


def hessian(f, x, eps=None, *, gradient=None):
    """Estimate the matrix of second derivatives ∂²f/∂xᵢ∂xⱼ by central differences.

    With the gradient g of f, row i is (g(x + h eᵢ) − g(x − h eᵢ)) / 2h, which takes 2n gradients
    for n entries. Without it, from about 2n² values of f, the entries are
    (f(x + h eᵢ + h eⱼ) − f(x + h eᵢ − h eⱼ) − f(x − h eᵢ + h eⱼ) + f(x − h eᵢ − h eⱼ)) / 4h², and
    (f(x + h eᵢ) − 2 f(x) + f(x − h eᵢ)) / h² on the diagonal. The error is O(h²) in both, but
    rounding is divided by h in the former and by h² in the latter.

    Parameters
    ----------
    f : callable
        ``f(x) -> number``. It may use its argument, or read the same arrays through a closure: they
        are perturbed in place. With `gradient` it is not needed: pass None.
    x : ndarray or list of ndarray
        Where; float, any shape. A list may hold the ``data`` of all parameters of a network. The
        entries are put back whatever happens.
    eps : float, optional
        The step h. By default ∛u · max(1, |xᵢ|) with `gradient` and u^(1/4) · max(1, |xᵢ|) without,
        with u the machine epsilon of the array.
    gradient : callable, optional
        ``gradient(x) -> ndarray`` of the shape of `x`, or a list of them where `x` is a list. What
        it returns is copied, so it may be the same ``.grad`` each time.

    Returns
    -------
    ndarray
        The Hessian, shape (n, n), made symmetric by the mean with its transpose. Rows and columns
        are in the order of the entries of `x`: row by row, and one array of a list after the other.

    Raises
    ------
    TypeError, ValueError
        As in `numerical_gradient`. Also if `x` is an empty list or its arrays share memory, or if
        `gradient` is not a function or returns anything but float arrays of the shapes of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 2.0])
    >>> hessian(lambda x: x[0] ** 2 * x[1], x).round(5) + 0.0
    array([[4., 2.],
           [2., 0.]])
    >>> hessian(None, x, gradient=lambda x: np.array([2 * x[0] * x[1], x[0] ** 2])).round(6) + 0.0
    array([[4., 2.],
           [2., 0.]])
    """
    if f is not None or gradient is None:
        checks.function("f", f, "x -> number")
    if gradient is not None:
        checks.function("gradient", gradient, "x -> array")
    entries, dtype = _entries(x, eps, "second" if gradient is None else "central")
    matrix = _of_values(f, x, entries) if gradient is None else _of_gradient(gradient, x, entries)
    return ((matrix + matrix.T) / 2).astype(dtype)


def _of_gradient(gradient, x, entries):
    matrix = np.empty((len(entries), len(entries)))
    for i, (array, index, above, below) in enumerate(entries):
        g_above, g_below = (
            _at(lambda: _flat_gradient(gradient(x), x), (array, index, point))
            for point in (above, below)
        )
        # The difference of the points as stored, since x + h is rounded
        matrix[i] = (g_above - g_below) / (float(above) - float(below))
    return matrix


def _of_values(f, x, entries):
    def value(*moves):
        return _at(lambda: number(f(x)), *moves)

    matrix = np.zeros((len(entries), len(entries)))
    here = value() if entries else 0.0
    for i, (a, at_i, above, below) in enumerate(entries):
        here_i = float(a[at_i])
        right = (value((a, at_i, above)) - here) / (float(above) - here_i)
        left = (here - value((a, at_i, below))) / (here_i - float(below))
        matrix[i, i] = 2 * (right - left) / (float(above) - float(below))
        for j, (b, at_j, above_j, below_j) in enumerate(entries[:i]):
            corners = (
                value((a, at_i, p), (b, at_j, q))
                for p in (above, below)
                for q in (above_j, below_j)
            )
            both_above, first_above, second_above, both_below = corners
            area = (float(above) - float(below)) * (float(above_j) - float(below_j))
            matrix[i, j] = matrix[j, i] = (
                (both_above - first_above) - (second_above - both_below)
            ) / area
    return matrix


def _entries(x, eps, method):
    """Return each entry's array, index and two points, and the dtype of all together."""
    arrays = x if isinstance(x, list) else [x]
    names = [f"x[{i}]" for i in range(len(x))] if isinstance(x, list) else ["x"]
    if not arrays:
        raise ValueError("x must hold at least one array, got an empty list")
    entries = []
    for name, array in zip(names, arrays, strict=True):
        checks.float_array(name, array)
        above, below = points(name, array, eps, method)
        entries += [(array, i, above[i], below[i]) for i in np.ndindex(array.shape)]
    for i, name in enumerate(names):
        for j in range(i):
            if np.shares_memory(arrays[i], arrays[j]):
                raise ValueError(
                    f"the arrays of x must be apart, got {names[j]} and {name} overlap"
                )
    return entries, np.result_type(*arrays)


def _at(value, *moves):
    """Return ``value()`` with some entries moved; they are put back whatever happens."""
    before = [array[index] for array, index, _ in moves]
    try:
        for array, index, point in moves:
            array[index] = point
        return value()
    finally:
        for (array, index, _), original in zip(moves, before, strict=True):
            array[index] = original


def _flat_gradient(g, x):
    """Return all entries of a gradient in a row, as a copy."""
    if not isinstance(x, list):
        g, x, names = [g], [x], ["the gradient"]
    else:
        if not isinstance(g, (list, tuple)) or len(g) != len(x):
            got = f"{len(g)}" if isinstance(g, (list, tuple)) else type(g).__name__
            raise TypeError(f"gradient must return a list of {len(x)} arrays, as x is, got {got}")
        names = [f"gradient[{i}]" for i in range(len(x))]
    for name, part, array in zip(names, g, x, strict=True):
        checks.same_shape(name, part, array.shape, of="x")
    return np.concatenate([part.ravel() for part in g])

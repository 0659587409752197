"""The extreme curvatures of the loss, from gradients alone (Lanczos 1950)."""

from __future__ import annotations

import numpy as np

STEP = 1e-4  # length of a move, in the parameters' units: short, and far above rounding


def extremes(gradient, here, iterations, rng):
    """Return the lowest and the highest curvature found, each with its direction.

    Lanczos' method looks for the extreme eigenvalues of the Hessian H in the space of v, Hv, H²v, …
    and needs only products, Hv ≈ (g(h v) − g(0)) / h. After k products the extremes are those of H
    within that space, so the true ones lie outside; after as many as there are parameters, they are
    equal.

    Parameters
    ----------
    gradient : callable
        ``gradient(move) -> ndarray``, the gradient after the parameters have moved, both flat.
    here : ndarray
        The gradient without a move.
    iterations : int
        Products to spend.
    rng : numpy.random.Generator
        Source of the first direction.

    Returns
    -------
    (low, direction), (high, direction)
        Each direction is flat and of length 1.
    """
    n = len(here)
    v = rng.normal(size=n)
    basis, products = [v / np.linalg.norm(v)], []
    while True:
        v = basis[-1]
        products.append((gradient(STEP * v) - here) / STEP)
        if len(products) == min(iterations, n):
            break
        rest = products[-1].copy()
        for _ in range(2):  # twice, against rounding
            for b in basis:
                rest -= (rest @ b) * b
        length = np.linalg.norm(rest)
        if length <= 1e-10 * np.linalg.norm(products[-1]) or length == 0:
            break
        basis.append(rest / length)
    q, hq = np.array(basis), np.array(products)
    small = q @ hq.T
    values, vectors = np.linalg.eigh((small + small.T) / 2)
    return tuple((float(values[i]), vectors[:, i] @ q) for i in (0, -1))

"""A second look at single entries of a gradient that disagree with their differences.

A difference over a kink is wrong though the gradient is right. So an entry that disagrees is
compared again beside x, where the kink is not. It was right at x if it is right there, and if the
slopes around x differ by as much as the entry and its difference.
"""

from __future__ import annotations

import contextlib

import numpy as np

from gradnb.differences import probe, steps

POINTS = 8  # beside x, at which differences are taken
MORE_POINTS = 64  # at which the gradient alone is taken, where many units are at their kinks
FRACTIONS = (1, 0.1, 0.01, 0.001)  # of the step, since kinks may be closer than one step


class Nearby:
    """Hold the arrays of a model and what depends on them: the loss, and the gradients claimed."""

    def __init__(self, arrays, value, gradients, eps):
        self.arrays, self.value, self.gradients, self.eps = arrays, value, gradients, eps

    def noise(self, name):
        """Bound what rounding does to a difference: units in the last place over the step."""
        array = self.arrays[name]
        u = float(np.finfo(array.dtype).eps)
        step = u ** (1 / 3) if self.eps is None else self.eps
        return 10 * u * (abs(self.value(array)) / step + 1)

    def slopes(self, name, index, times=1.0):
        """Return the slopes to the left and to the right, with a multiple of the step."""
        array = self.arrays[name]
        here, f_here = array[index], self.value(array)
        h = times * steps(array, self.eps)[index]
        below, above = here - h, here + h
        f_below, f_above = (probe(self.value, array, index, v) for v in (below, above))
        return (f_here - f_below) / float(here - below), (f_above - f_here) / float(above - here)

    def extrapolated(self, name, index):
        """Return the central difference without its error O(h²) (Richardson)."""
        single, double = (np.mean(self.slopes(name, index, times)) for times in (1, 2))
        return single + (single - double) / 3

    def kinks(self, name, doubtful, allowed):
        """Return the entries that disagree at x only because a kink is near.

        Parameters
        ----------
        name : str
            The array they are in.
        doubtful : dict of tuple to float
            By how much the gradient and the difference at x differ, by the entry's index.
        allowed : float
            By how much they may differ at another point.

        Returns
        -------
        set of tuple
            The indices at which the gradient agrees at a point beside x, disagrees at none where
            there is no kink, and jumps by enough to explain the difference at x.
        """
        slopes = {i: [s for t in FRACTIONS for s in self.slopes(name, i, t)] for i in doubtful}
        agreed, refuted = set(), set()
        for seed in range(POINTS if doubtful else 0):
            with self._moved(seed):
                gradient = self.gradients()[name]
                for index in doubtful:
                    slopes[index].append(gradient[index])
                    value = self.extrapolated(name, index)
                    error = abs(gradient[index] - value)
                    if error <= allowed:
                        agreed.add(index)
                    elif not self._kink_within_a_step(name, index, value, error):
                        refuted.add(index)

        def unexplained():
            return {i for i in agreed - refuted if not np.ptp(slopes[i]) >= doubtful[i]}

        for seed in range(POINTS, MORE_POINTS):
            if not unexplained():
                break
            # Nearer and nearer too, where some of the units stay on their side of the kink
            with self._moved(seed, size=10.0 ** -(seed % 6)):
                gradient = self.gradients()[name]
            for index in unexplained():
                slopes[index].append(gradient[index])
        return agreed - refuted - unexplained()

    def _kink_within_a_step(self, name, index, value, error):
        """Tell whether a kink may have caused an error of this size, or the error is real.

        Away from kinks the value does not depend on the step, and right − left goes to 0 with it.
        """
        half = np.mean(self.slopes(name, index, 0.5))
        narrow, wide = (np.diff(self.slopes(name, index, times)) for times in (0.1, 0.2))
        jump = 2 * narrow - wide  # right − left, extrapolated to a step of 0
        return abs(value - half) > error / 100 or abs(jump) > error / 2

    @contextlib.contextmanager
    def _moved(self, seed, size=1.0):
        rng = np.random.default_rng(seed)
        before = {name: array.copy() for name, array in self.arrays.items()}
        try:
            for array in self.arrays.values():
                far = np.minimum(100 * steps(array, self.eps), 0.5 * np.maximum(1, np.abs(array)))
                array += (size * far * rng.uniform(-1, 1, size=array.shape)).astype(array.dtype)
            yield
        finally:
            for name, array in self.arrays.items():
                array[...] = before[name]

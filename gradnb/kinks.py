"""A second look at single entries of a gradient that disagree with their differences.

A difference over a kink is wrong though the gradient is right. So the entries are compared again
beside x, where the kink is not.
"""

from __future__ import annotations

import contextlib

import numpy as np

from gradnb.differences import probe, steps

POINTS = 8  # beside x; enough for each unit at a kink to be on both of its sides


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
        """Return those of the doubtful entries, of which all is right but for a kink at hand."""
        slopes = {i: [*self.slopes(name, i), *self.slopes(name, i, 0.01)] for i in doubtful}
        agreed, refuted = set(), set()
        for seed in range(POINTS if doubtful else 0):
            with self._moved(seed):
                gradient = self.gradients()[name]
                for index in doubtful:
                    value = self.extrapolated(name, index)
                    error = abs(gradient[index] - value)
                    slopes[index].append(gradient[index])
                    if error <= allowed:
                        agreed.add(index)
                    elif not abs(value - np.mean(self.slopes(name, index, 0.5))) > error / 100:
                        refuted.add(index)  # the step does not matter, so no kink is near here
        explained = {i for i, difference in doubtful.items() if np.ptp(slopes[i]) >= difference}
        return (agreed & explained) - refuted

    @contextlib.contextmanager
    def _moved(self, seed):
        rng = np.random.default_rng(seed)
        before = {name: array.copy() for name, array in self.arrays.items()}
        try:
            for array in self.arrays.values():
                far = np.minimum(100 * steps(array, self.eps), 0.5 * np.maximum(1, np.abs(array)))
                array += (far * rng.uniform(-1, 1, size=array.shape)).astype(array.dtype)
            yield
        finally:
            for name, array in self.arrays.items():
                array[...] = before[name]

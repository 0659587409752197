"""What is measured of each parameter before a step, and what the step has changed."""

from __future__ import annotations

import math

import numpy as np

from gradnb.measure import distance, flat, is_finite, norm, sum_and_zeros


class Meter:
    """Measure parameters; with `updates`, also how far a step moves them.

    Overflow is no mishap here: who calls it silences NumPy's warnings.
    """

    def __init__(self, named, updates):
        self._named, self._updates, self._copies = named, updates, {}

    def before(self, name, detailed):
        """Return what is known before the step, or None without a gradient."""
        parameter = self._named[name]
        g = parameter.grad
        if g is None:
            return None
        row = {"l2": norm(g)}
        if not detailed:
            return row
        g = flat(g)
        l1, zeros = sum_and_zeros(g)
        row |= {"l1": l1, "zero_fraction": zeros / max(g.size, 1)}
        if self._updates:
            w = flat(parameter.data)
            copy = self._copies.get(name)
            if copy is None or copy.shape != w.shape or copy.dtype != w.dtype:
                copy = self._copies[name] = np.empty_like(w)
            copy[...] = w
        return row | {"weights": norm(parameter.data)}

    def after(self, name, row):
        """Add the update-to-weight ratio; return whether the step made weights not finite."""
        update = distance(flat(self._named[name].data), self._copies[name])
        fine, before = math.isfinite(update) or is_finite(self._named[name].data), row["weights"]
        row["update_ratio"] = update / before if before else math.inf if update else 0.0
        return not fine and math.isfinite(row["l2"]) and math.isfinite(before)

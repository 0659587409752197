"""What was measured, step by step, in memory that does not grow."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

FIGURES = "l1", "l2", "zero_fraction", "update_ratio"


class Recorded:
    """What a monitor and the log of one have in common.

    A subclass has `names`, `records`, `alarms` and a method ``_column(index, figure)``.
    """

    def history(self, name, figure="l2"):
        """Return a figure of one parameter, an array with an entry for each of `records`.

        Raises
        ------
        ValueError
            If `name` is not one of `names`, or `figure` is not ``"l1"``, ``"l2"``,
            ``"zero_fraction"`` or ``"update_ratio"``.
        """
        if name not in self.names:
            raise ValueError(f"name must be one of {', '.join(self.names)}, got {name!r}")
        if figure not in FIGURES:
            raise ValueError(f"figure must be one of {', '.join(FIGURES)}, got {figure!r}")
        return self._column(self.names.index(name), figure)

    def dashboard(self, names=None):
        """Draw the run on one page; see `gradnb.dashboard.dashboard`. Needs matplotlib."""
        from gradnb.dashboard import dashboard  # here, since only a figure needs matplotlib

        return dashboard(self, names)


class Records:
    """Keep the figures of the last steps: one dict, or None, for each parameter."""

    def __init__(self, names, keep):
        self._names, self._kept = names, deque(maxlen=keep)

    def add(self, step, rows):
        """Keep the figures of a step, in the order of the names."""
        self._kept.append((step, rows))

    def latest(self):
        """Return the last step as plain data, for a log."""
        step, rows = self._kept[-1]
        parameters = {
            name: row and {figure: row.get(figure) for figure in FIGURES}
            for name, row in zip(self._names, rows, strict=True)
        }
        return {"step": step, "norm": _norm(rows), "parameters": parameters}

    def all(self):
        """Return a dict for each step, with an array for each figure."""
        return [
            {"step": step, "norm": _norm(rows)} | {f: _values(rows, f) for f in FIGURES}
            for step, rows in self._kept
        ]

    def column(self, index, figure):
        """Return one figure of one parameter over the steps that are kept."""
        return _values([rows[index] for _, rows in self._kept], figure)


def _norm(rows):
    return math.hypot(*[row["l2"] for row in rows if row])


def _values(rows, figure):
    return np.array([math.nan if row is None else row.get(figure, math.nan) for row in rows])

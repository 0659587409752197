"""What was measured, step by step, in memory that does not grow."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

FIGURES = "l1", "l2", "zero_fraction", "update_ratio"


class Records:
    """Keep the figures of the last steps: ``kept`` holds one dict with one array per figure."""

    def __init__(self, names, keep):
        self._names, self.kept = names, deque(maxlen=keep)

    def add(self, step, rows):
        """Keep the figures of a step, one dict or None for each name; return them as plain data."""
        norm = math.hypot(*[row["l2"] for row in rows if row])
        empty = dict.fromkeys(FIGURES, math.nan)
        table = np.array([tuple((empty | (row or {})).values()) for row in rows]).T
        record = {"step": step, "norm": norm}
        self.kept.append(record | dict(zip(FIGURES, table, strict=True)))
        return record

    def history(self, name, figure):
        """Return one figure of one parameter over the steps that are kept."""
        if name not in self._names:
            raise ValueError(f"name must be one of {', '.join(self._names)}, got {name!r}")
        if figure not in FIGURES:
            raise ValueError(f"figure must be one of {', '.join(FIGURES)}, got {figure!r}")
        i = self._names.index(name)
        return np.array([record[figure][i] for record in self.kept])

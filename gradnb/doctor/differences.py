"""Directional derivatives of the loss, which need no backward pass.

For a random v, (L(θ + h v) − L(θ − h v)) / 2h must equal ⟨∂L/∂θ, v⟩; if it does not, the backward
pass is wrong, whatever it contains.
"""

from __future__ import annotations

import numpy as np

from gradnb.doctor.observation import rms

ROWS = 16  # examples on which they are taken: the gradient is checked, not the data
NOISE = 3e3  # roundings of the loss, which sums many, that a difference must exceed to count
STEP, COARSE = 1e-6, 1e-2  # of the weights' size, in double and in lower precision
BESIDE = 1e-3  # of the weights' size: how far from them derivatives are taken


class Differences:
    """Directional derivatives of the loss, one parameter at a time, without any backward pass.

    They are taken a little beside the parameters, lest a ReLU's input of exactly 0 be in the way:
    it is for who calls to stay ``with subject.shifted(beside(subject))``.
    """

    def __init__(self, subject, exact):
        self.subject, self.exact = subject, exact
        self.rows = min(ROWS, subject.rows)
        self.u = float(np.finfo(float if exact else subject.dtype).eps)
        self.step = STEP if exact else COARSE
        self.run = subject.run(rows=self.rows)

    def slopes(self, name, seed, times=1.0):
        """Return a random direction, the slopes to the right and left along it, and their noise."""
        w = self.subject.values(name)
        v, h = direction(w.shape, seed), times * self.step * unit(w)
        with self.subject.shifted({name: h * v}):
            above = self.subject.value(self.rows)
        with self.subject.shifted({name: -h * v}):
            below = self.subject.value(self.rows)
        noise = NOISE * self.u * max(abs(above), abs(below)) / (2 * h)
        return v, (above - self.run.loss) / h, (self.run.loss - below) / h, noise


def beside(subject):
    """Return a small random move of every parameter."""
    values = {name: subject.values(name) for name in subject.names}
    return {
        name: BESIDE * unit(w) * direction(w.shape, i) for i, (name, w) in enumerate(values.items())
    }


def direction(shape, seed):
    """Return a random direction v, for which ⟨g, v⟩² is ‖g‖² on average.

    Of a matrix it has rank 4, and is drawn sooner than one of full rank.
    """
    rng = np.random.default_rng(seed)
    if len(shape) != 2:
        return rng.normal(size=shape)
    return rng.normal(size=(shape[0], 4)) @ rng.normal(size=(4, shape[1])) / 2


def unit(w):
    """Return the size that a step in these parameters is measured by."""
    return max(rms(w), 0.1 / max(w.shape[0], 1) ** 0.5)

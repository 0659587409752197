"""The loss around the parameters, in natural units, so that neither's scale matters.

A parameter's unit is the larger of its own root mean square and 1/√fan_in, the loss's is that of
the same predictions against shuffled targets. Curvatures are those of the Hessian in these units.
"""

from __future__ import annotations

from math import inf

import numpy as np

from gradnb.doctor.observation import data_part, norm, rms, size

# "Healthy" and the causes in these comments are those of tests/cases.py, with the seeds 0 to 9
NUDGE = 0.1  # of a parameter's unit: how far a nudge along the gradient moves it
SMALL = 5e-3  # of the loss: what a nudge may still win at rest; healthy 0.02 and more
SOME = 1e-6  # the loss's unit where shuffled targets say nothing, and it is near 0
STILL = 1e-5  # of the loss: what a nudge wins where descent has ended
LEARNED = 0.9  # of the loss without knowledge: below it, something was learned; saddles have 0.96
FITTED = 0.02  # of the loss without knowledge: so little is left at the end; healthy 0.03 and more
# (most parameters, products with the Hessian to spend): each costs a forward and a backward pass
PRODUCTS = ((2_000, 60), (20_000, 20), (inf, 4))


class Rest:
    """The loss around the parameters, in natural units.

    Attributes
    ----------
    loss : float
        With the penalty that was told.
    bound : float
        What predictions reach that do not look at x: the same ones against shuffled targets, or
        zeros.
    informed : bool
        Whether the loss differs from that against shuffled targets.
    scale : float
        The loss's unit.
    units : dict of str to float
        Those of the parameters.
    gradients : dict of str to ndarray
        By parameter, with all penalties, not in units.
    slope : float
        What a nudge along the gradient wins, to first order, in units of the loss.
    """

    def __init__(self, subject, run, decay, scale=1.0):
        """`run` is a pass with the loss's gradient times `scale`."""
        self.subject, self.decay = subject, decay
        shuffled, constant = subject.shuffled_loss(run.prediction), subject.loss_of_nothing(run)
        self.loss = self._total(run.loss)
        self.units = {}
        for name in subject.names:
            w = subject.values(name)
            fan_in = w.shape[0] if w.ndim > 1 else w.size
            self.units[name] = max(rms(w), 1 / max(fan_in, 1) ** 0.5)
        self.informed = shuffled is not None and shuffled != run.loss
        unknowing = abs(shuffled if self.informed else run.loss)
        self.bound = min(unknowing, abs(constant))
        least = 5e-324 if self.informed else SOME  # never 0: it is divided by
        self.scale = max(unknowing, abs(run.loss), least)
        data = {n: data_part(run, n).astype(float) / scale for n in run.gradients}
        self.gradients = self._with_decay({n: g + run.direct.get(n, 0) for n, g in data.items()})
        gains = (self.units[n] * g.size**0.5 * size(g) for n, g in self.gradients.items())
        self.slope = NUDGE * sum(gains) / self.scale

    def _with_decay(self, gradients):
        if not self.decay:
            return gradients
        return {n: g + self.decay * self.subject.values(n) for n, g in gradients.items()}

    def _total(self, loss):
        if not self.decay:
            return loss
        length = norm(map(self.subject.values, self.subject.names))
        return loss + 0.5 * self.decay * length * length

    @property
    def at_rest(self):
        """Whether the gradient is small: a nudge along it would win next to nothing."""
        return self.slope < SMALL

    @property
    def is_large(self):
        """Whether products with the Hessian are dear."""
        return self.count > PRODUCTS[-2][0]

    @property
    def learned(self):
        """Whether the gradient is as good as 0 at a loss that knowledge has lowered."""
        return self.informed and self.slope < STILL and abs(self.loss) < LEARNED * self.bound

    @property
    def fitted(self):
        """Whether the loss is a small part of what it is for shuffled targets."""
        return self.informed and abs(self.loss) <= FITTED * self.bound

    def moved_gradient(self, move):
        """Return the flat gradient, in units, after a flat move in units."""
        with self.subject.shifted(self._split(move)):
            gradients = self._with_decay(self.subject.gradients())
        return np.concatenate([self.units[n] * g.ravel() for n, g in gradients.items()])

    def change(self, move):
        """Return by how much of its unit the loss changes after a flat move in units."""
        with self.subject.shifted(self._split(move)):
            return (self._total(self.subject.value()) - self.loss) / self.scale

    @property
    def here(self):
        """The flat gradient, in units, without a move."""
        flat = [self.units[n] * g.ravel() for n, g in self.gradients.items()]
        return np.concatenate(flat)

    def _split(self, move):
        moves, start = {}, 0
        for name, g in self.gradients.items():
            part = move[start : start + g.size].reshape(g.shape)
            moves[name], start = self.units[name] * part, start + g.size
        return moves

    @property
    def count(self):
        """Number of parameters."""
        return sum(g.size for g in self.gradients.values())

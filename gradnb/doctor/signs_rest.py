"""Signs of rest: the gradient is small, and the question is why the loss does not fall.

Sizes are measured in natural units, so that neither the loss's scale nor the weights' matters: a
parameter's unit is the larger of its own root mean square and 1/√fan_in, the loss's is that of the
same predictions against shuffled targets. Curvatures are those of the Hessian in these units.
"""

from __future__ import annotations

from math import hypot, inf

import numpy as np

from gradnb.doctor.curvature import extremes
from gradnb.doctor.observation import data_part, rms, size
from gradnb.doctor.report import Finding

NUDGE = 0.1  # of a parameter's unit
SMALL = 5e-3  # of the loss: what a nudge along the gradient may still win at rest
SOME = 1e-6  # the loss's unit where shuffled targets say nothing, and it is near 0
STILL, LEARNED = 1e-5, 0.9  # of the loss: a nudge's gain where descent has ended, and what is left
FITTED = 0.02  # of the loss of shuffled targets
FALLS = 2e-3  # of the loss: what a way down must win
FLAT = 1e-3  # of the loss: curvature, and what a nudge changes, on a plateau
BENT = 0.002  # of the highest curvature: what the lowest has below 0 at a saddle
EXACT, GROWN = 0.9995, 0.05  # that cosine at rest, and the weights' size against new ones
BALANCED = 0.9  # cosine between −g and what a penalty pulls with
REACH = (0.3, 1.0, 3.0)  # steps along a direction, in units
PRODUCTS = ((2_000, 60), (20_000, 20), (inf, 4))  # for up to so many parameters


class Rest:
    """The loss around the parameters, in natural units."""

    def __init__(self, subject, run, decay, shuffled, constant, scale=1.0):
        self.subject, self.decay = subject, decay
        self.loss = self._total(run.loss)
        self.units = {}
        for name in subject.names:
            w = subject.values(name)
            fan_in = w.shape[0] if w.ndim > 1 else w.size
            self.units[name] = max(rms(w), 1 / max(fan_in, 1) ** 0.5)
        self.informed = shuffled is not None and shuffled != run.loss
        self.ignorant = abs(shuffled if self.informed else run.loss)
        self.bound = min(self.ignorant, abs(constant))
        least = 5e-324 if self.informed else SOME
        self.scale = max(self.ignorant, abs(run.loss), least)
        data = {n: data_part(run, n).astype(float) / scale for n in run.gradients}
        self.gradients = self._with_decay({n: g + run.direct.get(n, 0) for n, g in data.items()})
        self.slope = self._slope(self.gradients)

    def _slope(self, gradients):
        """Return what a nudge along the gradient wins, to first order, relative to the loss."""
        return (
            sum(NUDGE * self.units[n] * g.size**0.5 * size(g) for n, g in gradients.items())
            / self.scale
        )

    def _with_decay(self, gradients):
        if not self.decay:
            return gradients
        return {n: g + self.decay * self.subject.values(n) for n, g in gradients.items()}

    def _total(self, loss):
        if not self.decay:
            return loss
        length = hypot(*(size(self.subject.values(n)) for n in self.subject.names))
        return loss + 0.5 * self.decay * length * length

    @property
    def at_rest(self):
        """Whether the gradient is small."""
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


def penalty(subject, run, rest):
    """Yield a balance between the data's gradient and a penalty, told or not.

    The pull of weight decay is λ w, that of an L1 penalty λ sign(w). Where the data's gradient
    points against it in all weights at once, and is not small itself, nothing else holds them.
    """
    data = {n: data_part(run, n) for n in run.gradients}
    norm = hypot(*map(size, data.values()))
    if norm == 0:
        return
    told = run.direct or ({n: rest.decay * subject.values(n) for n in data} if rest.decay else {})
    if told:
        total = hypot(*(size(g + told.get(n, 0)) for n, g in data.items()))
        if total < 0.1 * norm:
            yield Finding(
                "penalty",
                "all weights",
                f"the data's gradient has the norm {norm:.2g}, with the penalty's {total:.2g} "
                "remains",
                {"data": norm, "total": total},
                "certain",
                "both are measured",
            )
        return
    matrices = {n: subject.values(n) for n in data if data[n].ndim > 1}
    grown = hypot(*map(size, matrices.values())) > GROWN * hypot(
        *(rest.units[n] * w.size**0.5 for n, w in matrices.items())
    )
    for pull, kind in ((lambda w: w, "weight decay"), (np.sign, "an L1 penalty")):
        pulls = {n: pull(w) for n, w in matrices.items()}
        lengths = hypot(*map(size, pulls.values())), hypot(*(size(data[n]) for n in pulls))
        if not all(lengths):
            continue
        pulled, drawn = lengths
        against = -sum(float(np.vdot(data[n] / drawn, w / pulled)) for n, w in pulls.items())
        # Near a saddle at 0, too, weights grow along the gradient; and they are small then
        if against > (EXACT if rest.at_rest else BALANCED) and (grown or not rest.at_rest):
            yield Finding(
                "penalty",
                "all weights",
                f"the gradient points against the weights (cosine {against:.4f}), as if {kind} of "
                f"{against * drawn / pulled:.2g} balanced it",
                {"cosine": against, "strength": against * drawn / pulled, "data": norm},
                "likely",
                "no other force is known that holds all weights so; "
                "pass weight_decay to be certain",
            )
            return


def fitted(rest):
    """Yield a minimum at which next to nothing of the loss is left."""
    if rest.at_rest and rest.fitted:
        yield Finding(
            "finished",
            "",
            f"the loss is {rest.loss:.2g}, against {rest.bound:.2g} without knowledge",
            {"loss": rest.loss, "bound": rest.bound, "slope": rest.slope},
            "certain",
            f"a nudge along the gradient would win {rest.slope:.1g} of that",
        )


def at_rest(rest):
    """Yield what holds a model whose gradient is small: a minimum, a saddle or a plateau."""
    if not rest.at_rest:
        return
    rng = np.random.default_rng(0)
    iterations = next(n for size, n in PRODUCTS if rest.count <= size)
    (low, down), (high, _) = extremes(rest.moved_gradient, rest.here, iterations, rng)
    slope = {"slope": rest.slope, "lowest": low, "highest": high}
    bent = max(abs(low), abs(high)) / rest.scale
    if bent < FLAT and rest.slope > FLAT / 10:
        return  # the loss is large beside what is bent, as with targets in the thousands
    if bent < FLAT:
        yield Finding(
            "plateau",
            "",
            f"the gradient is small, and so is every curvature: {bent:.1g} of the loss at most",
            slope | {"bent": bent},
            "certain" if bent < FLAT / 100 else "likely",
            "where nothing is bent, no minimum is near",
        )
        return
    spread = f"the gradient is small, and curvatures go from {low:.2g} to {high:.2g}"
    falls = 0.0
    if low < 0:
        falls = -min(rest.change(sign * t * down) for t in REACH for sign in (1, -1))
    if falls > max(FALLS, 3 * rest.slope) or (low < -BENT * high and falls > 0):
        yield Finding(
            "saddle",
            "",
            f"{spread}; one way the loss falls by {falls * rest.scale:.2g}, from {rest.loss:.3g}",
            slope | {"falls": falls},
            "certain" if falls > 2 * FALLS else "likely",
            "the loss was evaluated along that direction",
        )
        return
    yield Finding(
        "finished",
        "",
        spread,
        slope,
        "likely",
        f"{iterations} products with the Hessian found no way down; a flat one may be left",
    )

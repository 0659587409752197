"""Signs that the gradient itself is not the loss's: wrong, incomplete, or mixed with an older one.

A directional derivative (L(θ + h v) − L(θ − h v)) / 2h needs no backward pass. For a random v it
must equal ⟨∂L/∂θ, v⟩; if it does not, the backward pass is wrong, whatever it contains.
"""

from __future__ import annotations

import numpy as np

from gradnb.doctor.observation import rms, size
from gradnb.doctor.report import Finding

ROWS = 16  # examples on which differences are taken: the gradient is checked, not the data
WRONG = 1e-3  # relative error of a derivative that rounding and kinks do not explain
NOISE = 1e3  # roundings of the loss that a difference must exceed to say anything
STEP = 1e-6  # of the weights' size
SAME, ALIGNED, LARGER = 1e-3, 0.9, 1.3  # of a buffer, against the fresh gradient


class Differences:
    """Directional derivatives of the loss, one parameter at a time, without any backward pass."""

    def __init__(self, subject, exact):
        self.subject, self.exact = subject, exact
        self.rows = min(ROWS, subject.rows)
        self.run = subject.run(rows=self.rows)
        self.u = np.finfo(float if exact else subject.dtype).eps

    def compare(self, name, seed, step):
        """Return the error along a random direction, the numeric derivative, and its noise.

        The error is relative to ‖g‖, the size that ⟨g, v⟩ has on average.
        """
        subject, g = self.subject, self.run.gradients[name]
        w = subject.values(name)
        v, h = direction(w.shape, seed), step * unit(w)
        above, below = self._beside(name, h * v)
        numeric = (above - below) / (2 * h)
        noise = NOISE * self.u * max(abs(above), abs(below)) / (2 * h)
        candidates = [g]
        if name in self.run.direct:  # whether the loss counts its penalty is its own affair
            candidates.append(g - self.run.direct[name])
        error = min(abs(numeric - float(np.vdot(c, v))) for c in candidates)
        return error, numeric, noise

    def _beside(self, name, move):
        with self.subject.shifted({name: move}):
            above = self.subject.value(self.rows)
        with self.subject.shifted({name: -move}):
            return above, self.subject.value(self.rows)

    def slope_at_zero_gradient(self, name):
        """Return |dL/dv| along a random direction, or 0 where left and right do not agree on it.

        They do not at a kink, such as that of a ReLU whose input is exactly 0.
        """
        w = self.subject.values(name)
        v, h = direction(w.shape, 0), STEP * unit(w) * (1 if self.exact else 1e4)
        above, below = self._beside(name, h * v)
        right, left = above - self.run.loss, self.run.loss - below
        noise = NOISE * self.u * max(abs(above), abs(below))
        agree = min(abs(right), abs(left)) > noise and abs(right - left) < 0.1 * abs(right)
        return abs(right + left) / (2 * h) if agree else 0.0


def direction(shape, seed):
    """Return a random direction, of rank one, which is drawn sooner: ⟨g, v⟩² is ‖g‖² on average."""
    rng = np.random.default_rng(seed)
    if len(shape) != 2:
        return rng.normal(size=shape)
    return np.multiply.outer(rng.normal(size=shape[0]), rng.normal(size=shape[1]))


def unit(w):
    """Return the size that a step in these parameters is measured by."""
    return max(rms(w), 0.1 / max(w.shape[0], 1) ** 0.5)


def wrong_backward(subject, run, differences):
    """Yield parameters whose gradient is not the derivative of the loss."""
    wrong = {}
    for name, g in differences.run.gradients.items():
        if not g.any() or name in subject.unasked:
            continue
        error = _confirmed_error(differences, name)
        if error is not None:
            wrong[name] = error
    if not wrong:
        return
    order = [name for stage in run.stages for name in stage.weights]
    last = max(wrong, key=lambda name: order.index(name) if name in order else -1)
    right = order[order.index(last) + 1 :] if last in order else []
    behind = f", those behind it are right ({right[0]} …)" if right else ""
    yield Finding(
        "wrong backward",
        last,
        f"the gradient of {len(wrong)} of {len(differences.run.gradients)} parameters is not "
        f"the slope of the loss; at {last} it is off by {wrong[last]:.2g} of its norm{behind}",
        {"parameters": len(wrong), "error": wrong[last]},
        "certain",
        "two step sizes and two random directions agree with each other, and not with backward",
    )


def _confirmed_error(differences, name):
    """Return the relative error of a gradient, or None if it may be right."""
    g = size(differences.run.gradients[name])
    found = []
    for seed, step in ((0, STEP), (0, STEP / 8), (1, STEP)):
        factor = 1 if differences.exact else 1e4
        error, numeric, noise = differences.compare(name, seed, step * factor)
        allowed = (WRONG if differences.exact else 0.1) * max(g, abs(numeric)) + noise
        if not error > allowed:
            return None
        found.append((numeric, error))
    (coarse, error), (fine, _), _ = found
    if abs(coarse - fine) > 0.1 * error:  # the differences do not agree either: kinks, or chaos
        return None
    return error / g


def unreached(subject, run, differences):
    """Yield parameters that the loss depends on, or should, and that backward leaves alone."""
    used = {name for stage in run.stages for name in stage.weights}
    found = dict(subject.unasked)
    for name, g in run.gradients.items():
        if name in found or g.any():
            continue
        if name not in used:
            found[name] = "the forward pass never uses it"
            continue
        slope = differences.slope_at_zero_gradient(name)
        if slope:
            found[name] = f"the loss changes with it, at a rate of {slope:.2g}"
        elif _is_idle(name, subject, run):
            found[name] = "its layer gives the same without it"
    frozen = {name for name, why in found.items() if why == "requires_grad is False"}
    found = {name: why for name, why in found.items() if name not in frozen} or found
    if not found:
        return
    order = [name for stage in run.stages for name in stage.weights]
    last = max(found, key=lambda name: order.index(name) if name in order else -1)
    yield Finding(
        "unreached",
        last,
        f"the backward pass adds nothing to {len(found)} of {len(subject.names)} parameters; "
        f"{last}: {found[last]}",
        {"parameters": len(found)},
        "certain",
        "a difference of the loss does not need the backward pass, and a zero gradient has no "
        "other cause here",
    )


def _is_idle(name, subject, run):
    """Tell whether a layer that receives numbers and an error makes no use of its parameter."""
    stage = next(s for s in run.stages if name in s.weights)
    if stage.error_out is None or not stage.error_out.any() or not stage.input.any():
        return False
    with subject.shifted({name: direction(subject.values(name).shape, 0)}):
        moved = subject.run()
    after = next(s for s in moved.stages if name in s.weights)
    return np.array_equal(stage.output, after.output)


def not_zeroed(subject, run, *, certain, decay=0.0):
    """Yield buffers that hold more than the fresh gradient.

    After a step of a sound loop they hold the gradient of the batch before: another one, but of
    the same size. What is certain is a multiple of the fresh one; otherwise it has to be larger and
    point the same way.
    """
    held = {n: b for n, b in subject.buffers.items() if b is not None and n in run.gradients}
    if not any(b.any() for b in held.values()):
        return
    buffer = np.concatenate([b.ravel() for b in held.values()]).astype(float)
    fresh = np.concatenate([run.gradients[n].ravel() for n in held]).astype(float)
    if not np.isfinite(buffer).all():
        return
    norm = size(fresh)
    if norm == 0:
        return
    along = float(buffer @ (fresh / norm)) / norm
    ratio, rest = size(buffer) / norm, size(buffer - along * fresh) / (along * norm or 1)
    multiple = along > 1.5 and abs(rest) < SAME
    if certain != multiple:
        return
    if not multiple:
        w = np.concatenate([subject.values(n).ravel() for n in held]).astype(float)
        extra = buffer - fresh
        penalty = size(w) > 0 and abs(extra @ w) > 0.999 * size(extra) * size(w)
        if penalty or not (along > ALIGNED and ratio > LARGER):
            return
    yield Finding(
        "not zeroed",
        ".grad",
        f"the buffers hold {ratio:.3g} times the norm of a fresh gradient"
        + (f", {along:.3g} times that gradient itself" if multiple else ""),
        {"ratio": ratio, "along": along},
        "certain" if multiple else "likely" if along > LARGER else "possible",
        "what one backward pass leaves is one gradient, not a multiple of it"
        if multiple
        else "the gradient of another batch is rarely so much larger in the same direction",
    )

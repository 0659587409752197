"""Signs that the gradient itself is not the loss's: wrong, incomplete, or mixed with an older one.

A directional derivative (L(θ + h v) − L(θ − h v)) / 2h needs no backward pass. For a random v it
must equal ⟨∂L/∂θ, v⟩; if it does not, the backward pass is wrong, whatever it contains.
"""

from __future__ import annotations

import numpy as np

from gradnb.doctor.observation import rms, size
from gradnb.doctor.report import Finding

ROWS = 16  # examples on which differences are taken: the gradient is checked, not the data
WRONG = 3e-4  # relative error of a derivative that rounding and kinks do not explain
NOISE = 1e3  # roundings of the loss that a difference must exceed to say anything
STEP, COARSE = 1e-6, 1e-2  # of the weights' size, in double and in lower precision
ROUGH = 0.1  # the relative error that lower precision leaves possible
BESIDE = 1e-3  # of the weights' size: how far from them derivatives are taken
KINK = 0.1  # by how much of an error the slopes to both sides may differ
SAME, ALIGNED, LARGER, TWICE = 1e-3, 0.9, 1.25, 1.8  # of a buffer, against the fresh gradient
STRAIGHT = 5.0  # times the fresh gradient: so much of one batch is rarely along another's
FEW, MANY = (4, 8), 2.2  # the gradient of few examples is larger; of a sum, MANY times as large


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
    where, error = _culprit(subject, differences, wrong)
    yield Finding(
        "wrong backward",
        where,
        f"the gradient of {len(wrong)} of {len(differences.run.gradients)} parameters is not the "
        f"slope of the loss; the first error, from the output on, is here: {error:.2g} of the norm",
        {"parameters": len(wrong), "error": error},
        "certain",
        "two step sizes and two random directions agree with each other, and not with backward",
    )


def _culprit(subject, differences, wrong):
    """Return the place at which the gradient first goes wrong, from the output on, and by how much.

    Each module is asked by itself: for the error that it has received, what it hands back and the
    gradients of its own parameters must be the slopes of ⟨error, output⟩. A container is to blame
    if nothing in it is.
    """
    run = differences.run
    off = _off(lambda z: subject.loss_at(z, differences.rows), run.prediction, run.error)
    if off > WRONG:
        return "backward of the loss", off
    faults = {s.name: _fault(subject, run, s) for s in run.modules}
    faulty = [name for name, off in faults.items() if off > WRONG]
    for stage in reversed(run.modules):
        inner = any(name != stage.name and _is_in(name, stage.name) for name in faulty)
        if stage.name in faulty and not inner:
            return f"backward of {stage}", faults[stage.name]
    return max(wrong, key=wrong.get), max(wrong.values())


def _is_in(name, container):
    return not container or name.startswith(f"{container}.")


def _fault(subject, run, stage):
    """Return by how much a module's gradients are off, for the error that it has received."""
    x, error = stage.input, stage.error_out
    if error is None or stage.error_in is None or not error.any():
        return 0.0

    def passed(x):
        y = subject.again(stage, x)
        return None if y is None else float(np.vdot(error, y))

    found = [_off(passed, x, stage.error_in)]
    for name in stage.weights:

        def passed_with(w, name=name):
            with subject.shifted({name: w - subject.values(name)}):
                return passed(x)

        found.append(_off(passed_with, subject.values(name), run.gradients[name]))
    return max(found)


def _off(f, x, g):
    """Return by how much g differs from the slope of f at x, along one random direction."""
    v = np.random.default_rng(0).normal(size=x.shape)
    h = STEP * max(rms(x), 1e-3)
    above, below = f(x + h * v), f(x - h * v)
    if above is None or below is None:
        return 0.0
    slope = (above - below) / (2 * h)
    return abs(slope - float(np.vdot(g, v))) / max(size(g), abs(slope), 1e-300)


def _confirmed_error(differences, name):
    """Return the relative error of a gradient, or None if it may be right."""
    run, found = differences.run, []
    candidates = [run.gradients[name]]
    if name in run.direct:  # whether the loss counts its penalty is its own affair
        candidates.append(candidates[0] - run.direct[name])
    for seed, times in ((0, 1), (0, 1 / 8), (1, 1)):
        v, right, left, noise = differences.slopes(name, seed, times)
        numeric = (right + left) / 2
        error = min(abs(numeric - float(np.vdot(g, v))) for g in candidates)
        largest = max(size(candidates[0]), abs(numeric))
        allowed = (WRONG if differences.exact else ROUGH) * largest + noise
        if not error > allowed or abs(right - left) > KINK * min(error, abs(numeric)) + noise:
            return None
        found.append((numeric, error))
    (coarse, error), (fine, _), _ = found
    agreed = KINK * min(error, max(abs(coarse), abs(fine))) + noise
    if abs(coarse - fine) > agreed:  # the differences do not agree with each other either
        return None
    return error / size(candidates[0])


def unreached(subject, run, differences):
    """Yield parameters that the loss depends on, or should, and that backward leaves alone."""
    used = {name for stage in run.stages for name in stage.weights}
    found = dict(subject.unasked)
    for name, g in run.gradients.items():
        if name in found or g.any() or differences.run.gradients[name].any():
            continue
        if name not in used:
            found[name] = "the forward pass never uses it"
            continue
        slope = _slope(differences, name)
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


def _slope(differences, name):
    """Return |dL/dv| along a random direction, or 0 if it is lost in noise or at a kink."""
    found = []
    for seed in (0, 1):
        _, right, left, noise = differences.slopes(name, seed)
        if min(abs(right), abs(left)) < noise or abs(right - left) > KINK * abs(right):
            return 0.0
        found.append(abs(right + left) / 2)
    return max(found)


def _is_idle(name, subject, run):
    """Tell whether a layer that receives numbers and an error makes no use of its parameter."""
    stage = next(s for s in run.stages if name in s.weights)
    if stage.error_out is None or not stage.error_out.any() or not stage.input.any():
        return False
    outputs = {False: [], True: []}
    other = np.random.default_rng(0).normal(size=stage.input.shape)
    for times in (0, 1):
        with subject.shifted({name: times * direction(subject.values(name).shape, 0)}):
            moved = subject.run()
            after = next(s for s in moved.stages if name in s.weights)
            outputs[False].append(after.output)
            outputs[True].append(subject.again(stage, other.astype(after.input.dtype)))
    # Another input shows whether the parameter is idle, or this batch has no use for it
    return np.array_equal(*outputs[False]) and np.array_equal(*outputs[True])


def not_zeroed(subject, run):
    """Yield buffers that hold more than one gradient.

    After a step of a sound loop they hold that of the batch before: another one than a fresh
    gradient, and larger if that batch was small. So what is certain is a whole multiple; otherwise
    they must be larger in the very same direction, or than the gradient of a few examples.
    """
    held = {n: b for n, b in subject.buffers.items() if b is not None and n in run.gradients}
    buffer, fresh = _joined(held.values()), _joined(run.gradients[n] for n in held)
    norm, size_held = size(fresh), size(buffer)
    if not np.isfinite(buffer).all():
        yield Finding(
            "not zeroed",
            ".grad",
            "the buffers hold numbers that are not finite, and a fresh gradient does not",
            {},
            "certain",
            "what is added to nan stays nan",
        )
        return
    if size_held == 0 or norm == 0:
        return
    along, ratio = float(buffer @ (fresh / norm)) / norm, size_held / norm
    evidence = {"ratio": ratio, "along": along}
    says = f"the buffers hold {ratio:.3g} times the norm of a fresh gradient"
    if along > 1.5 and size(buffer - round(along) * fresh) < SAME * size_held:
        yield Finding(
            "not zeroed",
            ".grad",
            f"{says}, and nothing else",
            evidence | {"multiple": along},
            "certain",
            "what one backward pass leaves is one gradient, not a multiple of it",
        )
        return
    if ratio < LARGER or _is_penalty(buffer - fresh, subject, held):
        return
    few = size_held / max(size(_joined(subject.gradients(rows).values())) for rows in FEW)
    same_way = along > ALIGNED * ratio and ratio > TWICE
    beyond = same_way or (along > ALIGNED and few > MANY) or few > 2 * MANY or along > STRAIGHT
    yield Finding(
        "not zeroed",
        ".grad",
        f"{says}, {along / ratio:.0%} of it in its direction, and {few:.3g} times that of a few "
        "examples",
        evidence | {"few": few},
        "likely" if beyond and few > MANY else "possible",
        "one batch rarely gives so much more than another"
        if beyond
        else "after a step they hold the gradient of the batch before, which may be larger",
        weight="cause" if beyond else "note",
    )


def _joined(arrays):
    arrays = [a.ravel() for a in arrays]
    return np.concatenate(arrays).astype(float) if arrays else np.zeros(0)


def _is_penalty(extra, subject, held):
    """Tell whether what a buffer holds beside the gradient is the pull of a weight decay."""
    w = _joined(subject.values(n) for n in held)
    return abs(extra @ w) > 0.999 * size(extra) * size(w)

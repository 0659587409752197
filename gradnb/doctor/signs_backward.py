"""Signs that the gradient is not that of the loss, and the module that is to blame."""

from __future__ import annotations

import numpy as np

from gradnb.doctor.observation import rms, size
from gradnb.doctor.report import Finding

# Relative error of a derivative that neither rounding nor kinks explain. In tests/cases.py, with
# seeds 0 to 9, it is 0.06 and more where the pass is wrong, 3e-7 in health, and 1e-3 at one kink
WRONG = 1e-3
ROUGH = 0.1  # the same in lower precision
KINK = 0.1  # by how much of an error the slopes to both sides may differ
DIRECTIONS = range(4)  # seeds of the directions that are tried


def wrong_backward(subject, differences):
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
        f"{len(wrong)} of {len(differences.run.gradients)} gradients are not the slope of the "
        f"loss; on the way back the fault begins here, with a relative error of {error:.2g}",
        {"parameters": len(wrong), "error": error},
        "certain",
        "differences of the loss, along two random directions with two steps, agree with each "
        "other, and not with backward",
    )


def _culprit(subject, differences, wrong):
    """Return the place at which the gradient first goes wrong, from the output on, and by how much.

    Each module is asked by itself: for the error that it has received, what it hands back and the
    gradients of its own parameters must be the slopes of ⟨error, output⟩. A container is to blame
    if nothing in it is.
    """
    run, step = differences.run, differences.step
    tol = WRONG if differences.exact else ROUGH
    off = _off(lambda z: subject.loss_at(z, differences.rows), run.prediction, run.error, step)
    if off > tol:
        return "backward of the loss", off
    faults = {s.name: _fault(subject, run, s, step) for s in run.modules}
    faulty = [name for name, off in faults.items() if off > tol]
    for stage in reversed(run.modules):
        inner = any(name != stage.name and _is_in(name, stage.name) for name in faulty)
        if stage.name in faulty and not inner:
            return f"backward of {stage}", faults[stage.name]
    return max(wrong, key=wrong.get), max(wrong.values())


def _is_in(name, container):
    return not container or name.startswith(f"{container}.")


def _fault(subject, run, stage, step):
    """Return by how much a module's gradients are off, for the error that it has received."""
    x, error = stage.input, stage.error_out
    if error is None or stage.error_in is None or not error.any():
        return 0.0

    def passed(x):
        y = subject.again(stage, x)
        return None if y is None else float(np.vdot(error, y))

    found = [_off(passed, x, stage.error_in, step)]
    for name in stage.weights:

        def passed_with(w, name=name):
            with subject.shifted({name: w - subject.values(name)}):
                return passed(x)

        found.append(_off(passed_with, subject.values(name), run.gradients[name], step))
    return max(found)


def _off(f, x, g, step):
    """Return by how much g differs from the slope of f at x, along one random direction."""
    v = np.random.default_rng(0).normal(size=x.shape)
    h = step * max(rms(x), 1e-3)
    above, below = f(x + h * v), f(x - h * v)
    if above is None or below is None:
        return 0.0
    slope = (above - below) / (2 * h)
    return abs(slope - float(np.vdot(g, v))) / max(size(g), abs(slope), 1e-300)


def _confirmed_error(differences, name):
    """Return the relative error of a gradient, or None if it may be right.

    One direction that agrees acquits it, two that disagree convict it; at a kink, or where two
    steps do not agree with each other, a direction says nothing.
    """
    run = differences.run
    candidates = [run.gradients[name]]
    if name in run.direct:  # whether the loss counts its penalty is its own affair
        candidates.append(candidates[0] - run.direct[name])
    tol, g = WRONG if differences.exact else ROUGH, size(candidates[0])
    errors = []
    for seed in DIRECTIONS:
        v, right, left, noise = differences.slopes(name, seed)
        claimed, coarse = [float(np.vdot(c, v)) for c in candidates], (right + left) / 2
        error, allowed = _nearest(coarse, claimed), tol * max(g, abs(coarse)) + noise
        if error <= allowed:
            return None
        _, *finer, fine_noise = differences.slopes(name, seed, 1 / 8)
        fine = sum(finer) / 2
        if _nearest(fine, claimed) <= allowed:
            return None
        apart = KINK * min(error, abs(coarse))
        if abs(right - left) <= apart + noise and abs(coarse - fine) <= apart + fine_noise:
            errors.append(error)
        if len(errors) == 2:
            return max(errors) / g
    return None


def _nearest(number, others):
    return min(abs(number - other) for other in others)

"""Signs that the backward pass leaves a parameter alone."""

from __future__ import annotations

import numpy as np

from gradnb.doctor.differences import direction
from gradnb.doctor.report import Finding

FROZEN = "requires_grad is False"
KINK = 0.1  # by how much of a slope the slopes to both sides may differ, else it is a kink


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
    frozen = {name for name, why in found.items() if why == FROZEN}
    order = {name: i for i, name in enumerate(n for stage in run.stages for n in stage.weights)}
    for names, weight in ((found.keys() - frozen, "cause"), (frozen, "note")):
        if not names:
            continue
        last = max(names, key=lambda name: (order.get(name, -1), name))
        yield Finding(
            "unreached",
            last,
            f"the backward pass adds nothing to {_counted(len(names), len(subject.names))}: "
            f"{found[last]}",
            {"parameters": len(names)},
            "certain",
            "fine if it is meant, as where only a part is trained"
            if weight == "note"
            else "no other batch would change that",
            weight=weight if len(frozen) < len(subject.names) else "cause",
        )


def _counted(count, of):
    rest = " one" if count == 1 else f" and {count - 1} more"
    return f"this{rest} of {of} parameters"


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

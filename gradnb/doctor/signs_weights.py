"""Signs in the weights and the inputs: zeros, copies, and scales far from 1."""

from __future__ import annotations

import numpy as np

from gradnb.doctor.observation import rms, size
from gradnb.doctor.report import Finding, two_digits

# "Healthy" and the causes in these comments are those of tests/cases.py, with the seeds 0 to 9
NOTHING = 1e-6  # of what arrives: an error that is handed back as good as not at all
NONE = 1e-10  # of a new network's weights: as good as 0
ALIKE = 1e-3  # relative distance from rank one; symmetric 3e-8 at most, healthy 0.6 and more
COPY, UNUSED = 1e-6, 1e-4  # relative size of a difference, and of weights, that is none
COPIES = 0.5  # share of distinct units below which a layer is symmetric; healthy 0.98 and more
# Root mean square of a feature; that of a standardised one is 1, of healthy ones 0.5 to 2.6
LARGE, SMALL = 8.0, 3e-3


def zero_weights(run):
    """Yield weight matrices that are all 0."""
    found = [
        (stage, name)
        for stage in run.layers
        for name, w in stage.matrices.items()
        if rms(w) <= NONE / len(w) ** 0.5
    ]
    blocking = [(stage, name) for stage, name in found if not stage.bypassed]
    if not blocking:
        return
    names = [name for _, name in blocking]
    heals = [stage for stage, _ in blocking] == [run.layers[-1]]
    yield Finding(
        cause="zero weights",
        where=names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more",
        says=f"{len(names)} of {sum(len(s.matrices) for s in run.layers)} weight matrices "
        "are 0, or as good as 0, so that no error gets past them",
        evidence={"matrices": len(names)},
        sure="certain",
        why="on the way back the error is multiplied by these zeros"
        + ("; the last layer alone leaves them at its first step" if heals else ""),
    )


def symmetric(run):
    """Yield hidden layers whose units are copies or multiples of each other."""
    worst = None
    for stage in run.layers:
        for name, w in stage.matrices.items():
            if min(w.shape) < 2 or not w.any() or (stage is run.layers[-1] and not _cancels(stage)):
                continue
            bias = [v for v in stage.weights.values() if v.ndim == 1]
            (distinct, units), residual = _distinct(w, bias), _beyond_rank_one(w)
            if (distinct > COPIES * units or units < 2) and residual > ALIKE:
                continue
            if worst is None or residual < worst[2]:
                worst = name, distinct, residual, units
    if worst is None:
        return
    name, distinct, residual, units = worst
    units_say = (
        f"its {units} units are copies of one"
        if distinct == 1
        else f"only {distinct} of its {units} units are different"
        if distinct < units
        else f"the weights of its {units} units are multiples of each other, up to {residual:.1g}"
    )
    yield Finding(
        cause="symmetric",
        where=name,
        says=units_say,
        evidence={"distinct": distinct, "units": units, "beyond rank one": residual},
        sure="certain" if distinct == 1 else "likely",
        why="copies compute one feature, and get equal gradients if the next layer weighs them "
        "equally"
        if distinct < units
        else "whatever comes in, all receive a multiple of one and the same number",
    )


def _cancels(stage):
    """Tell whether a last layer's errors add up to 0, as with equal weights and cross-entropy."""
    if stage.error_in is None or stage.error_out is None:
        return False
    return size(stage.error_in) < NOTHING * size(stage.error_out) * max(
        rms(w) for w in stage.matrices.values()
    )


def _distinct(w, bias):
    """Return how many units differ, and how many have weights at all.

    They are told apart by one random projection of each.
    """
    rng = np.random.default_rng(0)
    w = np.vstack([w, *[b[None] for b in bias if b.shape == w.shape[1:]]]).astype(float)
    used = w[:, np.abs(w).max(axis=0) > UNUSED * np.abs(w).max()]
    seen = np.sort(rng.normal(size=len(w)) @ used)
    return 1 + int(np.sum(np.diff(seen) > COPY * size(used) / used.shape[1] ** 0.5)), len(seen)


def _beyond_rank_one(w):
    """Return the share of ‖W‖ that no matrix of rank one can hold."""
    w = w.astype(float)
    w = w / size(w)
    v = w[np.argmax((w**2).sum(axis=1))]
    for _ in range(3):  # of the power method: a little too large a share at worst
        u = w @ v
        v = u @ w / size(u) ** 2
    return float(max(0.0, 1 - (size(u) * size(v)) ** 2) ** 0.5) if u.any() else 1.0


def unscaled_inputs(subject, run):
    """Yield inputs far from the scale for which weights are drawn."""
    x = subject.inputs
    first = run.stages[0] if run.stages else None
    if x.dtype.kind != "f" or first is None or first.kind == "norm":
        return
    columns = np.sqrt(np.mean(x.reshape(-1, x.shape[-1]).astype(float) ** 2, axis=0))
    column = int(np.argmax(columns))
    largest, overall = float(columns[column]), rms(x)
    met = _met(first)
    if largest > LARGE and met > LARGE / 3:
        says = (
            f"feature {column} (from 0 on) has a root mean square of {largest:.3g}, the whole of x "
            f"{overall:.3g}"
        )
    elif 0 < overall < SMALL and met < SMALL * 10:
        says = f"the inputs have a root mean square of {overall:.3g}"
    else:
        return
    factor = max(largest / LARGE, SMALL / overall)
    yield Finding(
        cause="unscaled inputs",
        where="x",
        says=says + f"; the first layer makes {met:.3g} of it",
        evidence={"largest": largest, "overall": overall, "first layer": met},
        sure="certain" if factor > 3 else "likely",
        why="initial weights are drawn for inputs of about 1, "
        f"and this is {two_digits(factor)} times beyond what passes for normal",
    )


def _met(first):
    """Return the root mean square of what the first layer makes of the inputs."""
    if first.weights:
        weight = next(iter(first.matrices.values()), None)
        if weight is not None and first.input.shape[-1] == weight.shape[0]:
            return rms(first.input @ weight)
    return rms(first.output)

"""Signs in the activations: units that are silent on the whole batch, and flat slopes."""

from __future__ import annotations

import numpy as np

from gradnb.doctor.observation import rms
from gradnb.doctor.report import Finding

# "Healthy" and the causes in these comments are those of tests/cases.py, with the seeds 0 to 9
NOTED = 0.25  # share of a layer's units, silent, that is told; from chance on it is a cause
MANY = 0.4  # share of units far below 0 that is a cause by itself; healthy 0.33 at most
FAR = 3.0  # times what the units that fire receive: so far below 0 a unit stays
DEVIATIONS = 2.2  # standard ones above half, in silent units; healthy 0.6, dead 2.5 and more
FEW = 8  # examples: with fewer, a silent unit may have been unlucky
FLAT = 0.01  # of the largest slope; saturated 1e-4 at most, healthy 0.2 and more


def dead(run):
    """Yield the layer with most units that give 0 on the whole batch.

    In deep layers, where all examples arrive alike, half of the units may be silent by chance.
    Beyond chance is a larger share, or units that are far from firing: by several times what the
    others receive.
    """
    worst = None
    for stage in run.stages:
        if stage.kind != "relu":
            continue
        x, h = (a.reshape(-1, a.shape[-1]) for a in (stage.input, stage.output))
        silent = np.all(h == 0, axis=0) & np.any(x < 0, axis=0)  # what receives nothing is not dead
        share = float(silent.mean())
        if worst is None or share > worst[1]:
            worst = stage, share, silent, x
    if worst is None:
        return
    stage, share, silent, x = worst
    examples, units = x.shape
    chance = min(0.99, 0.5 + DEVIATIONS * 0.5 / units**0.5)
    usual = rms(x[:, ~silent]) if not silent.all() else 0.0
    far = float(np.mean(silent & (x.max(axis=0) < -FAR * usual)))
    if share < NOTED or (examples < FEW and share < 1):
        return
    beyond = share > chance or far > MANY
    few = examples < 2 * FEW and share < 1
    yield Finding(
        "dead",
        str(stage),
        f"{round(share * units)} of {units} units give 0 on all {examples} examples",
        {
            "share": share,
            "share far below 0": far,
            "share by chance": chance,
            "units": units,
            "examples": examples,
        },
        "certain" if share == 1 else "possible" if few else "likely",
        "a unit that is 0 on every example gets no gradient"
        if share == 1
        else f"{far:.0%} of the units stay far below 0 on every example"
        if far > MANY
        else f"chance alone may silence up to {chance:.0%} of {units} units",
        weight="cause" if beyond else "note",
    )


def saturated(run, seen):
    """Yield the layer whose typical slope is flattest, or one that lets no error through at all.

    `seen` is the same run with room for small errors.
    """
    worst = None
    for stage, same in zip(run.stages, seen.stages, strict=True):
        slope = _median_slope(stage)
        if stage.kind == "other" and not stage.weights and _lets_nothing_through(same):
            slope = 0.0  # it hides how it computes, so nothing else is known of its slopes
        if slope is not None and (worst is None or slope < worst[1]):
            worst = stage, slope
    if worst is None or worst[1] >= FLAT:
        return
    stage, slope = worst
    yield Finding(
        cause="saturated",
        where=str(stage),
        says=f"half of its slopes are at most {slope:.2g} of the largest possible"
        if slope
        else "half or more of its slopes are 0"
        if _median_slope(stage) is not None
        else "an error arrives, and all that it hands back is 0",
        evidence={"median slope": slope, "limit": FLAT},
        sure="certain" if slope < FLAT / 10 else "likely",
        why="each slope multiplies the error on its way back",
    )


def _lets_nothing_through(stage):
    back, given = stage.error_in, stage.error_out
    return back is not None and given is not None and given.any() and not back.any()


def _median_slope(stage):
    """Return the median slope, relative to the largest possible, or None where it is unknown."""
    h = stage.output.astype(float) if stage.output.dtype.kind == "f" else stage.output
    if stage.kind == "tanh" or (stage.kind == "recurrent" and np.abs(h).max() <= 1):
        return float(np.median(np.maximum(1 - h**2, 0)))
    if stage.kind == "sigmoid":
        return float(np.median(4 * h * (1 - h)))
    return None

"""Signs in the activations: units that are silent on the whole batch, and flat slopes."""

from __future__ import annotations

import numpy as np

from gradnb.doctor.report import Finding

DEVIATIONS = 2.2  # half of the units of a deep layer may be silent by chance; this is beyond it
FEW = 8  # examples: with fewer, a silent unit may have been unlucky
FLAT = 0.01  # of the largest slope


def dead(subject, run):
    """Yield the layer with most units that give 0 on the whole batch."""
    worst = None
    for stage in run.stages:
        if stage.kind != "relu":
            continue
        x, h = (a.reshape(-1, a.shape[-1]) for a in (stage.input, stage.output))
        silent = np.all(h == 0, axis=0) & np.any(x < 0, axis=0)  # what receives nothing is not dead
        share, units = float(silent.mean()), silent.size
        if worst is None or share > worst[1]:
            worst = stage, share, units
    if worst is None:
        return
    stage, share, units = worst
    limit = min(0.99, 0.5 + DEVIATIONS * 0.5 / units**0.5)
    examples = stage.output[..., 0].size
    if share <= limit or (examples < FEW and share < 1):
        return
    few = examples < 2 * FEW and share < 1
    yield Finding(
        cause="dead",
        where=str(stage),
        says=f"{round(share * units)} of {units} units give 0 on all {examples} examples",
        evidence={"share": share, "units": units, "examples": examples, "limit": limit},
        sure="certain" if share == 1 else "possible" if few else "likely",
        why="a unit that is 0 everywhere gets no gradient"
        + ("" if share == 1 else f", and chance leaves at most {limit:.0%} silent"),
    )


def saturated(subject, run):
    """Yield the layer whose typical slope is flattest."""
    worst = None
    for stage in run.stages:
        slope = _median_slope(stage)
        if slope is not None and (worst is None or slope < worst[1]):
            worst = stage, slope
    if worst is None or worst[1] >= FLAT:
        return
    stage, slope = worst
    yield Finding(
        cause="saturated",
        where=str(stage),
        says=f"half of its slopes are below {slope:.2g} of the largest",
        evidence={"median slope": slope, "limit": FLAT},
        sure="certain" if slope < FLAT / 10 else "likely",
        why="each slope multiplies the error on its way back",
    )


def _median_slope(stage):
    h = stage.output.astype(float) if stage.output.dtype.kind == "f" else stage.output
    if stage.kind in ("tanh", "recurrent"):
        return float(np.median(np.maximum(1 - h**2, 0)))
    if stage.kind == "sigmoid":
        return float(np.median(4 * h * (1 - h)))
    return None

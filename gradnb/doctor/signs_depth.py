"""Signs along the way back: errors that shrink or grow layer after layer, or step after step."""

from __future__ import annotations

import numpy as np

from gradnb.doctor.observation import size
from gradnb.doctor.report import Finding

# (over all layers, a layer): what is beyond both counts
VANISHED = ((2e-3, 0.75), (2e-2, 0.2))
# Normalised layers of 30 may make 1,000; a factor of 3 a layer is no accident once it has made 10
EXPLODED = ((1e5, 1.3), (1e3, 1.5), (9.0, 3.0))  # over all layers, with that rate


def errors_by_layer(run):
    """Return the layers that an error has reached, and its norm at the output of each."""
    layers = [s for s in run.layers if s.error_out is not None and size(s.error_out) > 0]
    return layers, np.array([size(s.error_out) for s in layers])


def through_depth(subject, run):
    """Yield vanishing or exploding from the last layer to the first."""
    layers, errors = errors_by_layer(run)
    if len(layers) < 2:
        return
    factors = errors[:-1] / errors[1:]
    total, typical = float(errors[0] / errors[-1]), float(np.median(factors))
    rate = total ** (1 / len(factors))
    yield from _judged(total, rate, typical, len(factors), f"{layers[-1]} to {layers[0]}", "layer")


def through_time(subject, run):
    """Yield vanishing or exploding from the last step of a sequence to the first."""
    for stage in run.stages:
        if stage.kind != "recurrent" or stage.error_in is None or stage.error_in.ndim != 3:
            continue
        errors = np.array([size(stage.error_in[:, t]) for t in range(stage.error_in.shape[1])])
        if len(errors) < 3 or errors[-1] == 0:
            continue
        reached = errors[np.flatnonzero(errors)[0] :]
        factors = reached[:-1] / reached[1:]
        total = float(errors[0] / errors[-1]) or float(np.finfo(float).tiny)
        rate = total ** (1 / (len(errors) - 1))
        where = f"step {len(errors)} to step 1 of {stage}"
        typical = float(np.median(factors))
        yield from _judged(total, rate, typical, len(errors) - 1, where, "step")


def _judged(total, rate, typical, count, where, unit):
    evidence = {"total": total, "rate": rate, f"{unit}s": count}
    says = (
        f"from {where} the error's norm changes {total:.2g}-fold, a factor of {rate:.2g} a {unit}"
    )
    if any(total < bound and min(rate, typical) < most for bound, most in VANISHED):
        cause, margin = "vanishing", VANISHED[0][0] / total
    elif any(total > bound and min(rate, typical) > least for bound, least in EXPLODED):
        cause, margin = "exploding", total / EXPLODED[1][0]
    else:
        return
    yield Finding(
        cause,
        where,
        says,
        evidence,
        "certain" if margin > 100 else "likely" if margin > 3 else "possible",
        f"the median {unit} has {typical:.2g}; healthy ones stay near 1",
    )

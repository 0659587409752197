"""Signs along the way back: errors that shrink or grow layer after layer, or step after step."""

from __future__ import annotations

import numpy as np

from gradnb.doctor.observation import size
from gradnb.doctor.report import Finding, two_digits

# Pairs of a factor over all layers and a median one a layer; it takes both. The first pair also
# says how sure a finding is. In tests/cases.py, with seeds 0 to 9, errors that vanish keep 4e-4 at
# most, healthy ones 0.025 and more; those that explode grow 360-fold, healthy ones up to 5-fold.
VANISHED = ((2e-3, 0.75), (5e-3, 0.65), (2e-2, 0.15))
MANY, OF_MANY = 8, (1.2e-2, 0.7)  # from so many layers on, since one of few may be small by chance
# The same for steps: sequences are long, and all steps share their weights. In tests/cases.py, with
# seeds 0 to 9, errors that vanish keep 1e-6 at most, healthy ones 0.19 and more
IN_TIME = (3e-4, 0.95)
EXPLODED = ((40.0, 1.08), (9.0, 3.0))
NORMALISED = 100.0  # times EXPLODED is normal where layers normalise: it stretches the error


def errors_by_layer(run):
    """Return the layers that an error has reached, and its norm at the output of each."""
    layers = [s for s in run.layers if s.kind != "recurrent"]  # depth in time is another matter
    layers = [s for s in layers if s.error_out is not None and size(s.error_out) > 0]
    return layers, np.array([size(s.error_out) for s in layers])


def through_depth(run):
    """Yield vanishing or exploding from the last layer to the first."""
    layers, errors = errors_by_layer(run)
    if len(layers) < 2:
        return
    growth = NORMALISED if any(s.kind == "norm" for s in run.stages) else 1.0
    yield from _judged(errors, f"{layers[-1]} to {layers[0]}", "layer", growth)


def through_time(run):
    """Yield vanishing or exploding from the last step of a sequence to the first."""
    for stage in run.stages:
        if stage.kind != "recurrent" or stage.error_in is None or stage.error_in.ndim != 3:
            continue
        errors = np.array([size(stage.error_in[:, t]) for t in range(stage.error_in.shape[1])])
        if len(errors) > 2 and errors[-1] > 0:
            where = f"step {len(errors)} to step 1 of {stage}"
            yield from _judged(np.maximum(errors, np.finfo(float).tiny), where, "step")


def _judged(errors, where, unit, growth=1.0):
    factors = errors[:-1] / errors[1:]
    total, typical = float(errors[0] / errors[-1]), float(np.median(factors))
    # One layer may be drawn small on purpose, as the last: a median factor stands for the smallest
    lasting = total / float(factors.min()) * typical
    bounds = VANISHED if len(factors) < MANY else (*VANISHED, OF_MANY)
    bounds = (IN_TIME,) if unit == "step" else bounds
    if any(lasting < bound and typical < most for bound, most in bounds):
        cause, margin = "vanishing", bounds[0][0] / lasting
    elif any(
        total > growth * bound and min(total ** (1 / len(factors)), typical) > least
        for bound, least in EXPLODED
    ):
        cause, margin = "exploding", total / (growth * EXPLODED[0][0])
    else:
        return
    change = f"grows {two_digits(total)}-fold" if total > 1 else f"shrinks to {total:.2g} of itself"
    change += f" over {len(factors)} {unit}s" if len(factors) > 1 else f" over one {unit}"
    yield Finding(
        cause,
        where,
        f"the error's norm {change}"
        + (f", by a median factor of {two_digits(typical)} a {unit}" if len(factors) > 1 else ""),
        {"total": total, "rate": typical, f"{unit}s": len(factors)},
        "certain" if margin > 30 else "likely" if margin > 1.5 else "possible",
        f"it is multiplied by one factor a {unit}; in a healthy network these stay near 1",
    )

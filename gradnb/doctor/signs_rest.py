"""Signs of rest: the gradient is small, and the question is why the loss does not fall.

Sizes are measured in the units of `Rest`.
"""

from __future__ import annotations

import numpy as np

from gradnb.doctor.curvature import extremes
from gradnb.doctor.report import Finding
from gradnb.doctor.rest import NUDGE, PRODUCTS

# "Healthy" and the causes in these comments are those of tests/cases.py, with the seeds 0 to 9
FALLS = 2e-3  # of the loss: what a way down must win; at minima it is 1e-9 at most
FLAT = 1e-3  # of the loss: curvature on a plateau, 4e-5 at most; at saddles it is 0.01 and more
BENT = 0.002  # of the highest curvature: how far below 0 the lowest is at a saddle, if barely
REACH = (0.3, 1.0, 3.0)  # steps along a direction, in units
MEASURED = "curvatures are taken with weights in units of their own size"


def fitted(rest):
    """Yield a minimum at which next to nothing of the loss is left."""
    if rest.at_rest and rest.fitted:
        yield Finding(
            "finished",
            "",
            f"the loss is {rest.loss:.2g}, against {rest.bound:.2g} for predictions that ignore x",
            {"loss": rest.loss, "bound": rest.bound, "slope": rest.slope},
            "certain",
            f"the gradient is small, too: to first order, a change of the weights by {NUDGE:.0%} "
            f"wins {rest.slope * rest.scale:.1g}",
        )


def at_rest(rest):
    """Yield what holds a model whose gradient is small: a minimum, a saddle or a plateau."""
    if not rest.at_rest:
        return
    rng = np.random.default_rng(0)
    products = min(rest.count, next(n for most, n in PRODUCTS if rest.count <= most))
    (low, down), (high, _) = extremes(rest.moved_gradient, rest.here, products, rng)
    evidence = {"slope": rest.slope, "lowest": low, "highest": high}
    bent = max(abs(low), abs(high)) / rest.scale
    if bent < FLAT:
        if rest.slope <= FLAT / 10:  # else the loss is large beside what is bent: large targets
            yield _plateau(bent, evidence)
        return
    falls = 0.0  # as a share of the loss's unit
    if low < 0:
        falls = -min(rest.change(sign * t * down) for t in REACH for sign in (1, -1))
    if falls > max(FALLS, 3 * rest.slope) or (low < -BENT * high and falls > 0):
        yield _saddle(rest, falls, evidence)
    else:
        yield _minimum(products, evidence)


def _plateau(bent, evidence):
    return Finding(
        "plateau",
        "",
        f"the gradient is small, and so is every curvature that was found, at most {bent:.1g} of "
        "the loss",
        evidence | {"bent": bent},
        "certain" if bent < FLAT / 100 else "likely",
        f"near a minimum the loss would bend more; {MEASURED}",
    )


def _saddle(rest, falls, evidence):
    return Finding(
        "saddle",
        "",
        f"the gradient is small, but in one direction the loss falls by {falls * rest.scale:.2g}, "
        f"from {rest.loss:.3g}; curvatures go from {evidence['lowest']:.2g} to "
        f"{evidence['highest']:.2g}",
        evidence | {"falls": falls},
        "certain" if falls > 2 * FALLS else "likely",
        f"the loss was evaluated along that direction; {MEASURED}",
    )


def _minimum(products, evidence):
    return Finding(
        "finished",
        "",
        f"the gradient is small, and curvatures go from {evidence['lowest']:.2g} to "
        f"{evidence['highest']:.2g}",
        evidence,
        "likely",
        f"{products} products with the Hessian found no way down, a flat one may be left; "
        f"{MEASURED}",
    )

"""Signs of a penalty that balances the data term, which looks like the end of training."""

from __future__ import annotations

from math import hypot

import numpy as np

from gradnb.doctor.observation import data_part, norm
from gradnb.doctor.report import Finding

# "Healthy" and the causes in these comments are those of tests/cases.py, with the seeds 0 to 9
LEFT = 0.1  # of the data's gradient: what a penalty that is told leaves of it in a balance
BALANCED = 0.9  # cosine between −g and a penalty's pull; healthy 0.34 at most
EXACT = 0.9995  # the same at rest, where trained weights follow their gradient, too
GROWN = 0.05  # of new weights' size: below it weights are near 0; with a penalty 0.45 and more


def penalty(subject, run, rest):
    """Yield a balance between the data's gradient and a penalty, told or not.

    It is told by `weight_decay`, or shows in the part of the gradient that has not come through the
    prediction.
    """
    data = {n: data_part(run, n) for n in run.gradients}
    told = run.direct or ({n: rest.decay * subject.values(n) for n in data} if rest.decay else {})
    found = _told_penalty(data, told) if told else _untold_penalty(subject, rest, data)
    yield from [found] if found else []


def _told_penalty(data, told):
    alone, total = norm(data.values()), norm(g + told.get(n, 0) for n, g in data.items())
    if total >= LEFT * alone:
        return None
    return Finding(
        "penalty",
        "all weights",
        f"the gradient of the data term has the norm {alone:.2g}; with that of the penalty added, "
        f"{total:.2g} is left",
        {"data": alone, "total": total},
        "certain",
        "both gradients were computed",
    )


def _untold_penalty(subject, rest, data):
    """Return the finding that the data's gradient looks as if a penalty balanced it, or None.

    The pull of weight decay is λ w, that of an L1 penalty λ sign(w). Where the data's gradient
    points against it in all weights at once, and is not small itself, nothing else holds them.
    """
    matrices = {n: subject.values(n) for n, g in data.items() if g.ndim > 1}
    drawn = norm(data[n] for n in matrices)
    new = hypot(*(rest.units[n] * w.size**0.5 for n, w in matrices.items()))
    grown = norm(matrices.values()) > GROWN * new
    if drawn == 0 or (rest.at_rest and not grown):
        return None  # near a saddle at 0, too, weights grow along the gradient; they are small then
    for pull, kind in ((lambda w: w, "a weight decay"), (np.sign, "an L1 penalty")):
        pulls = {n: pull(w) for n, w in matrices.items()}
        pulled = norm(pulls.values())
        if pulled == 0:
            continue
        against = -sum(float(np.vdot(data[n] / drawn, w / pulled)) for n, w in pulls.items())
        strength = against * drawn / pulled
        if against > (EXACT if rest.at_rest else BALANCED):
            return Finding(
                "penalty",
                "all weights",
                f"the gradient points against the weights (cosine {against:.4f}), as if {kind} "
                f"with λ = {strength:.2g} balanced it",
                {"cosine": against, "strength": strength, "data": norm(data.values())},
                "likely",
                "nothing else is known to act on all weights so; pass weight_decay to be certain",
            )
    return None

"""Signs that ``.grad`` holds more than the gradient of one batch."""

from __future__ import annotations

import numpy as np

from gradnb.doctor.observation import size
from gradnb.doctor.report import Finding

SAME, ALIGNED, TWICE = 1e-3, 0.9, 1.8  # of a buffer, against the fresh gradient
STRAIGHT = 5.0  # times the fresh gradient: so much of one batch is rarely along another's
FEW, MANY = (4, 8), 2.2  # the gradient of few examples is larger; of a sum, MANY times as large


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
    if ratio < TWICE or _is_penalty(buffer - fresh, subject, held):
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

"""Signs that ``.grad`` holds more than the gradient of one batch."""

from __future__ import annotations

import numpy as np

from gradnb.doctor.observation import size
from gradnb.doctor.report import Finding, two_digits

# "Healthy" and the causes in these comments are those of tests/cases.py, with the seeds 0 to 9
SAME = 1e-3  # relative difference between a buffer and a multiple, from rounding
TWICE = 1.8  # fresh gradients' lengths: shorter is no sum; healthy 1.9 at most, not zeroed from 2
ALIGNED = 0.9  # cosine with the fresh gradient, or part along it in lengths of that: the same way
ACROSS = 0.1  # cosine from which on two gradients are related at all
STRAIGHT = 5.0  # times the fresh gradient: so much of one batch is rarely along another's
FEW = 4, 8  # examples, whose gradient is longer than that of a batch
MANY = 2.2  # times the longest of these: so long is a sum; healthy 1.7 at most, not zeroed from 2.6


def not_zeroed(subject, run):
    """Yield buffers that hold more than one gradient.

    After a step of a sound loop they hold that of the batch before: another one than a fresh
    gradient, and larger if that batch was small. So what is certain is a whole multiple; otherwise
    they must be larger in the very same direction, or than the gradient of a few examples.
    """
    held = {n: b for n, b in subject.buffers.items() if b is not None and n in run.gradients}
    buffer, fresh = _joined(held.values()), _joined(run.gradients[n] for n in held)
    if not np.isfinite(buffer).all():
        yield Finding(
            "not zeroed",
            ".grad",
            "the buffers hold numbers that are not finite, and a fresh gradient does not",
            {},
            "certain",
            "what is added to nan stays nan",
        )
    elif size(buffer) > 0 and size(fresh) > 0:
        found = _multiple(buffer, fresh) or _larger(subject, held, buffer, fresh)
        yield from [found] if found else []


def _lengths(buffer, fresh):
    """Return the buffer's length and its part along the fresh gradient, in lengths of that."""
    norm = size(fresh)
    return size(buffer) / norm, float(buffer @ (fresh / norm)) / norm


def _multiple(buffer, fresh):
    """Return the finding that a buffer is twice, thrice, … the fresh gradient, or None."""
    _, along = _lengths(buffer, fresh)
    if along < 1.5 or size(buffer - round(along) * fresh) >= SAME * size(buffer):
        return None
    return Finding(
        "not zeroed",
        ".grad",
        f"the buffers hold {round(along)} times a fresh gradient, and nothing else",
        {"multiple": along},
        "certain",
        "what one backward pass leaves is one gradient, not a multiple of it",
    )


def _larger(subject, held, buffer, fresh):
    """Return the finding that a buffer is longer than one gradient would be, or None."""
    ratio, along = _lengths(buffer, fresh)
    if ratio < TWICE or _is_penalty(buffer - fresh, subject, held):
        return None
    few = size(buffer) / max(size(_joined(subject.gradients(n).values())) for n in FEW)
    along_it = along > ALIGNED * ratio or along > STRAIGHT
    far = few > 2 * MANY and along > ACROSS * ratio
    beyond = along_it or far or (few > MANY and along > ALIGNED)
    return Finding(
        "not zeroed",
        ".grad",
        f"the buffers are {two_digits(ratio)} times as long as a fresh gradient "
        f"({along / ratio:.0%} along it), and {two_digits(few)} times as long as that of a few "
        "examples",
        {"times a fresh gradient": ratio, "part along it": along, "times that of few": few},
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

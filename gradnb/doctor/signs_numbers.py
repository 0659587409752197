"""Signs in the numbers themselves: not finite, or too small for their type."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from gradnb.doctor.observation import data_part, size
from gradnb.doctor.report import Finding, two_digits

GROWS = 3.0  # outputs that grow by this factor a layer overflow in the end; drawn well, by about 1
FLUSHED = 0.2  # share of a gradient's entries that the type has lost; in healthy networks 0
LOST = 0.1  # the relative error with which an entry counts as lost
LOW = 1e6  # times the smallest normal number: an error that starts there has little room
OUTPUT = "the error at the output"


def finite(array):
    """Tell whether all entries are finite; integers are."""
    array = np.asarray(array)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def not_finite(subject, run):
    """Yield the first place at which a number that is not finite arises."""
    broken = first_place(subject, run)
    if broken is None:
        return
    where, says = broken
    grown = _growth(run)
    if grown is not None and where != "x":
        layers, rate, largest = grown
        yield Finding(
            cause="exploding",
            where=where,
            says=f"outputs grow {two_digits(rate)}-fold a layer over {layers} layers, to a norm of "
            f"{largest:.2g}, and then overflow",
            evidence={"rate": rate, "layers": layers, "largest": largest},
            sure="certain",
            why="the growth is steady, layer after layer, before the first overflow",
        )
    yield Finding(
        cause="nonfinite",
        where=where,
        says=says,
        evidence={},
        sure="certain",
        why="it was there before anything was computed"
        if where in ("x", *subject.names)
        else "everything before it is finite",
    )


def first_place(subject, run):
    """Return where the first number that is not finite stands and what to say of it, or None."""
    if not finite(subject.inputs):
        count = int(np.sum(~np.isfinite(subject.inputs)))
        return "x", f"{count} of the {subject.inputs.size} numbers of x are not finite"
    for name in subject.names:
        if not finite(subject.values(name)):
            return name, f"the parameter {name} itself is not finite"
    for stage in run.stages:
        if finite(stage.input) and not finite(stage.output):
            return str(stage), "its output is not finite, and its input is"
        if not finite(stage.input):
            return f"input of {stage}", "it is not finite, and every output before it is"
    if not finite(run.prediction):
        return "the prediction", "it is not finite, and every layer's output is"
    if not math.isfinite(run.loss):
        return "the loss", "it is not finite, and the prediction is"
    if not finite(run.error):
        return "backward of the loss", "its gradient is not finite, and the loss is"
    for stage in reversed(run.stages):
        if stage.error_out is None or not finite(stage.error_out):
            continue
        bad = [name for name in stage.weights if not finite(run.gradients[name])]
        if bad:
            return f"backward of {stage}", f"the gradient of {bad[0]} is not finite"
        if stage.error_in is not None and not finite(stage.error_in):
            return f"backward of {stage}", "what it hands back is not finite, what it received is"
    for name, g in run.gradients.items():
        if not finite(g):
            return f"backward of {name}", "its gradient is not finite"
    return None


def _growth(run):
    """Return over how many layers outputs grow steadily, by which factor, and their largest."""
    sizes = []
    for stage in run.layers:
        sizes.append(size(stage.input) if finite(stage.input) else math.inf)
        if not finite(stage.input) or not finite(stage.output):
            break
    sizes = [s for s in sizes if math.isfinite(s) and s > 0]
    if len(sizes) < 3:
        return None
    steps = [b / a for a, b in pairwise(sizes)]
    rate = (sizes[-1] / sizes[0]) ** (1 / len(steps))
    steady = min(steps) > 1 and rate > GROWS
    return (len(steps), rate, sizes[-1]) if steady else None


def room(run):
    """Return the power of two that brings the largest error at the output to about 1."""
    largest = float(np.abs(run.error).max(initial=0))
    return 2.0 ** min(1000, -round(math.log2(largest))) if 0 < largest < math.inf else 1.0


def is_low(run):
    """Tell whether some gradient is all 0, or the error at the output nearly so for its type."""
    tiny = float(np.finfo(run.error.dtype).tiny)
    nothing = any(not g.any() for g in run.gradients.values())
    return nothing or float(np.abs(run.error).max(initial=0)) < LOW * tiny


def underflow(run, scaled, scale):
    """Yield where a gradient's entries are lost below the smallest number of some type.

    `scaled` is a run with the loss times `scale`, a power of two, or in a wider type, with 1. A
    backward pass is linear in the error, so but for underflow its gradients are the same, times
    `scale`; in a wider type they are rounded otherwise, and only numbers near 0 count.
    """
    worst, tiny = None, float(np.finfo(run.error.dtype).tiny)
    for name in run.gradients:
        g, true = data_part(run, name), data_part(scaled, name).astype(float) / scale
        there = np.isfinite(true) & (true != 0)
        found, sizes = g[there], np.abs(true[there])
        wrong = np.abs(found - true[there]) > LOST * sizes
        if scale == 1:
            wrong &= sizes < LOW * np.finfo(g.dtype).tiny
        if g.dtype.itemsize >= 4:  # half precision is used below its normal range, too
            wrong |= sizes < np.finfo(g.dtype).tiny
        lost = float(wrong.mean()) if there.any() else 0.0
        if lost > FLUSHED and (worst is None or lost > worst[1]):
            worst = name, lost, size(true)
    if worst is not None:
        name, lost, norm = worst
        yield Finding(
            "underflow",
            name,
            f"{lost:.0%} of its gradient's entries are 0 or inexact, as they are too small for "
            f"their type; without underflow the norm is {norm:.2g}",
            {"lost": lost, "norm": norm, "scale": scale},
            "certain",
            "in double precision the same pass shows them"
            if scaled.error.dtype != run.error.dtype
            else f"with the loss multiplied by {scale:.2g} the same pass shows them"
            if scale != 1
            else "numbers so small have lost digits, or are lost in the next product",
        )
    elif run.error.dtype == np.float64 and 0 < abs(run.loss) < tiny:
        yield Finding(
            "underflow",
            OUTPUT,
            f"the loss, {run.loss:.2g}, is below the normal range of double precision",
            {"loss": run.loss},
            "certain",
            "there is no wider type here, and below this range numbers lose digits",
        )

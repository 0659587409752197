"""Why is this gradient zero, or huge? The questions, in the order in which they are asked."""

from __future__ import annotations

import numpy as np

from gradnb import checks
from gradnb.doctor import (
    order,
    signs_backward,
    signs_buffers,
    signs_depth,
    signs_numbers,
    signs_rest,
    signs_units,
    signs_unreached,
    signs_weights,
)
from gradnb.doctor.differences import Differences, beside
from gradnb.doctor.observation import size
from gradnb.doctor.report import Diagnosis, Finding
from gradnb.doctor.subject import Subject
from gradnb.memory import keep_freed
from gradnb.module import Module


def diagnose(model, loss, x, y, *, weight_decay=0.0):
    """Find out why a gradient is zero, tiny or huge, and what to do about it.

    Parameters
    ----------
    model : Module
        A gradnb network, or a PyTorch module.
    loss : callable
        ``loss(model(x), y) -> number``, with a ``backward()`` as `CrossEntropyLoss` has; for a
        PyTorch module any function that gives a scalar tensor.
    x : ndarray or tensor
        A batch of inputs, the first axis its examples. 32 or more say more than 4.
    y : ndarray or tensor
        Its targets.
    weight_decay : float
        The λ of the penalty λ/2 ‖θ‖² that the optimiser adds, if it does.

    Returns
    -------
    Diagnosis
        ``print`` it. Its `cause` is a key of `gradnb.doctor.remedies.REMEDIES`, or ``"healthy"``.
        Parameters, their ``.grad``, buffers, modes and random states are as before.

    Raises
    ------
    TypeError, ValueError
        If `model` is no module or has no parameters, `loss` no such callable, `x` no array or
        empty, `y` not as long as `x`, or `weight_decay` negative. What `model` and `loss` raise
        passes through, and then, too, nothing has been changed.

    Notes
    -----
    The causes are looked for in an order in which the root comes before what follows from it: what
    is not finite, gradients that are not those of the loss, buffers, the number format, weights,
    inputs, a penalty, activations, depth, and at last the landscape. What the batch does not show
    cannot be found. See the chapters "A zero gradient is a symptom, not a verdict" and "Watch the
    right number".

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb import CrossEntropyLoss, mlp
    >>> from gradnb.datasets import digits
    >>> x, y, *_ = digits(rng=0)
    >>> model = mlp([64, 32, 10], rng=0)
    >>> diagnose(model, CrossEntropyLoss(), x[:64], y[:64]).cause
    'healthy'
    >>> model[0].bias.data -= 10
    >>> diagnose(model, CrossEntropyLoss(), x[:64], y[:64]).cause
    'dead'
    """
    decay = checks.number("weight_decay", weight_decay, minimum=0)
    subject = _subject(model, loss, x, y)
    keep_freed()
    with np.errstate(all="ignore"), subject.untouched():
        run = subject.run()
        layers = _layers(run)
        return Diagnosis(_findings(subject, run, decay), layers, run.loss)


def _subject(model, loss, x, y):
    if isinstance(model, Module):
        return Subject(model, loss, x, y)
    if _is_torch(model):
        from gradnb.doctor.torch_subject import TorchSubject

        return TorchSubject(model, loss, x, y)
    raise TypeError(f"model must be a gradnb or PyTorch module, got {type(model).__name__}")


def _is_torch(model):
    return any(c.__module__ == "torch.nn.modules.module" for c in type(model).__mro__)


def _findings(subject, run, decay):
    """Return what is found, the root first."""
    notes = [*_eval_mode(subject)]
    broken = [*signs_numbers.not_finite(subject, run)]
    if broken:
        return broken + notes
    shuffled, constant = subject.shuffled_loss(run.prediction), subject.loss_of_nothing(run)
    scale = signs_numbers.room(run)
    seen = subject.run(scale)  # with room below
    flushed = [*signs_numbers.underflow(subject, run, seen, scale)]
    narrow = subject.dtype != np.float64
    exact = subject.widen() if narrow else True
    rest = signs_rest.Rest(subject, seen, decay, shuffled, constant, scale)
    low = rest.at_rest or (signs_numbers.is_low(run) and not flushed)
    if narrow and exact and low:  # what is left of a small gradient asks for every digit
        seen, scale = subject.run(), 1.0
        known = subject.shuffled_loss(seen.prediction), subject.loss_of_nothing(seen)
        wide = signs_rest.Rest(subject, seen, decay, *known)
        rest = rest if flushed and rest.slope > wide.slope else wide
        flushed = [*signs_numbers.underflow(subject, run, seen, scale)]
    faults = []
    if not flushed:  # numbers that are lost would look like a fault
        with subject.shifted(beside(subject)):
            differences = Differences(subject, exact)
            faults += signs_backward.wrong_backward(subject, run, differences)
            faults += signs_unreached.unreached(subject, seen, differences)
    found = [
        *flushed,
        *faults,
        *signs_buffers.not_zeroed(subject, run),
        *signs_weights.zero_weights(subject, run),
        *signs_weights.unscaled_inputs(subject, run),
        *signs_weights.symmetric(subject, run),
        *signs_units.dead(subject, run),
        *signs_units.saturated(subject, run, seen),
        *signs_depth.through_depth(subject, seen),
        *signs_depth.through_time(subject, seen),
        *signs_rest.penalty(subject, run, rest),
        *signs_rest.fitted(rest),
    ]
    if not order.roots(found, rest):
        found += signs_rest.at_rest(rest)
    return order.in_order(found + notes, rest)


def _eval_mode(subject):
    if not subject.training:
        yield Finding(
            "eval mode",
            "",
            "the model or a part of it is in evaluation mode, without dropout and batch statistics",
            {},
            "certain",
            "training is False there",
            weight="note",
        )


def _layers(run):
    rows = []
    for stage in run.stages:
        if stage.weights:
            rows.append(
                {
                    "name": f"{stage.name} {stage.label}".strip(),
                    "gradient": _norm(run.gradients.get(name) for name in stage.weights),
                    "weight": _norm(stage.weights.values()),
                    "error": None if stage.error_out is None else size(stage.error_out),
                }
            )
        elif rows and stage.kind == "relu":
            rows[-1]["zero"] = float(np.mean(stage.output == 0))
    return rows


def _norm(arrays):
    return float(np.hypot.reduce([size(a) for a in arrays if a is not None]))

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
    signs_penalty,
    signs_rest,
    signs_units,
    signs_unreached,
    signs_weights,
)
from gradnb.doctor.differences import Differences, beside
from gradnb.doctor.observation import norm, size
from gradnb.doctor.report import Diagnosis, Finding
from gradnb.doctor.rest import Rest
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
        The λ of the penalty λ/2 ‖θ‖² whose gradient the optimiser adds, as `SGD` and `Adam` do.
        Leave it at 0 for `AdamW`: it shrinks the weights past the gradient, and where it comes to
        rest is no balance of two gradients.

    Returns
    -------
    Diagnosis
        ``print`` it. Its `cause` is one of those below, or ``"healthy"``. Parameters, their
        ``.grad``, buffers, modes and random states are as before.

    Raises
    ------
    TypeError, ValueError
        If `model` is no module or has no parameters, `loss` no such callable, `x` no array or
        empty, `y` not as long as `x`, or `weight_decay` negative. What `model` and `loss` raise
        passes through, and then, too, nothing has been changed.

    Notes
    -----
    The causes, in the order in which they are told: roots before what follows from them.

    - ``"nonfinite"``: nan or infinity, and the first place where it arises;
    - ``"underflow"``: numbers too small for their type;
    - ``"wrong backward"``: gradients that are not the slope of the loss;
    - ``"unreached"``: parameters to which the backward pass adds nothing;
    - ``"not zeroed"``: ``.grad`` holds more than one gradient;
    - ``"finished"``: a minimum; the gradient is small, and no way down was found;
    - ``"zero weights"``: matrices of zeros, which no error passes;
    - ``"unscaled inputs"``: inputs far larger or smaller than 1;
    - ``"dead"``: ReLU units that give 0 for every example;
    - ``"symmetric"``: units that are copies or multiples of each other;
    - ``"exploding"``: errors that grow on their way back, layer after layer or step after step;
    - ``"saturated"``: activations on their flat parts;
    - ``"penalty"``: a penalty that balances the gradient of the data term;
    - ``"saddle"``: the gradient is small, and there is a way down;
    - ``"vanishing"``: errors that shrink on their way back;
    - ``"plateau"``: the gradient is small, and so are all curvatures that were found.

    **certain** is what was measured far beyond what healthy networks show, **likely** what was
    measured beyond it and could still have another reason, **possible** what healthy networks have
    now and then. To find nothing is no proof of health: what this batch does not show cannot be
    found, and nobody asks about the learning rate, the data or overfitting. "finished" and
    "plateau" rest on some products with the Hessian, by Lanczos' method [1]_, which may miss a
    direction that is nearly flat.

    The model is run many times, with moved parameters, too. Hooks that a user has registered on a
    PyTorch model run each time, and what they do outside of it is not undone.

    See the chapters "A zero gradient is a symptom, not a verdict" and "Watch the right number".

    References
    ----------
    .. [1] C. Lanczos, "An iteration method for the solution of the eigenvalue problem of linear
       differential and integral operators", Journal of Research of the National Bureau of
       Standards 45 (1950), 255-282.

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
    seen, lost, rest, exact = _seen_closer(subject, run, decay)
    found = [
        *lost,
        *([] if lost else _faults(subject, seen, exact)),  # lost numbers would look like a fault
        *signs_buffers.not_zeroed(subject, run),
        *signs_weights.zero_weights(run),
        *signs_weights.unscaled_inputs(subject, run),
        *signs_weights.symmetric(run),
        *signs_units.dead(run),
        *signs_units.saturated(run, seen),
        *signs_depth.through_depth(seen),
        *signs_depth.through_time(seen),
        *signs_penalty.penalty(subject, run, rest),
        *signs_rest.fitted(rest),
    ]
    if not order.roots(found, rest):
        found += signs_rest.at_rest(rest)
    return order.in_order(found + notes, rest)


def _seen_closer(subject, run, decay):
    """Return a pass with room for small numbers, what `run` has lost, its `Rest`, and precision.

    The room comes from multiplying the loss. What is left of a small gradient in a narrow type asks
    for every digit: then it comes from double precision. The last value says whether the subject
    computes in that now.
    """
    scale = signs_numbers.room(run)
    seen = subject.run(scale)
    lost = [*signs_numbers.underflow(run, seen, scale)]
    rest = Rest(subject, seen, decay, scale)
    if subject.dtype == np.float64:
        return seen, lost, rest, True
    exact = subject.widen()
    if exact and (rest.at_rest or (signs_numbers.is_low(run) and not lost)):
        seen = subject.run()
        wide = Rest(subject, seen, decay)
        rest = rest if lost and rest.slope > wide.slope else wide
        lost = [*signs_numbers.underflow(run, seen, 1.0)]
    return seen, lost, rest, exact


def _faults(subject, seen, exact):
    """Yield what differences of the loss say against the backward pass."""
    with subject.shifted(beside(subject)):
        differences = Differences(subject, exact)
        yield from signs_backward.wrong_backward(subject, differences)
        yield from signs_unreached.unreached(subject, seen, differences)


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
                    "gradient": norm(run.gradients[name] for name in stage.weights),
                    "weight": norm(stage.weights.values()),
                    "error": None if stage.error_out is None else size(stage.error_out),
                }
            )
        elif rows and stage.kind == "relu":
            rows[-1]["zero"] = float(np.mean(stage.output == 0))
    return rows

"""Clipping: bound the gradients between ``backward`` and the optimiser's step."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np

from gradnb import checks
from gradnb.module import Parameter
from gradnb.optimizer import parameter_list


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    """Scale all gradients by one factor, in place, so that their norm is at most `max_norm`.

    With ‖∇L‖ the norm of the gradients of all parameters together:
    g ← g · min(1, max_norm / (‖∇L‖ + 10⁻⁶)).

    The direction of the step stays; Pascanu, Mikolov and Bengio (2013), Algorithm 1. The small term
    in the denominator is that of ``torch.nn.utils.clip_grad_norm_``.

    Parameters
    ----------
    parameters : Parameter or iterable of Parameter
        Whose gradients to scale, such as ``model.parameters()``.
    max_norm : float
        Largest norm, at least 0; with ``math.inf`` a finite norm is only measured.
    norm_type : float
        p of the norm (Σ |g|ᵖ)^(1/p), at least 1 (PyTorch takes less too); ``math.inf`` for the
        largest |g|.
    error_if_nonfinite : bool
        Whether a norm that is infinite or NaN is an error.

    Returns
    -------
    float
        The norm **before** clipping.

    Raises
    ------
    TypeError, ValueError
        If there are no parameters (PyTorch returns 0), one is listed twice or is not a `Parameter`,
        or a number is out of its range.
    RuntimeError
        If the norm is not finite and `error_if_nonfinite` is true. Then nothing has been changed.

    Notes
    -----
    Non-finite gradients are not mended. As in PyTorch, a NaN makes the norm and every entry NaN; an
    infinite entry makes the norm infinite, itself NaN and all others 0, or NaN too if `max_norm` is
    infinite.

    The norm is computed in float64 from entries divided by the largest, so it neither overflows nor
    vanishes where it has a value; PyTorch's overflows in float32 from entries of about 10¹⁹ on, and
    the gradients become 0.

    Examples
    --------
    >>> import numpy as np
    >>> w = Parameter(np.zeros(2))
    >>> w.grad += [30.0, 40.0]
    >>> clip_grad_norm_([w], max_norm=5)
    50.0
    >>> w.grad.round(6)
    array([3., 4.])
    """
    parameters = _parameters(parameters)
    max_norm = _number_or_infinity("max_norm", max_norm, minimum=0)
    norm_type = _number_or_infinity("norm_type", norm_type, minimum=1)
    checks.flag("error_if_nonfinite", error_if_nonfinite)
    norm = _norm([p.grad for p in parameters], norm_type)
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(
            f"the norm of the gradients must be finite to clip them, got {norm} "
            f"(error_if_nonfinite=True)"
        )
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:  # rather than factor < 1, so that NaN is not skipped
        with np.errstate(invalid="ignore"):  # ∞ · 0 = NaN is what the notes promise
            for p in parameters:
                p.grad *= factor
    return norm


def clip_grad_value_(parameters, clip_value):
    """Bring every entry of the gradients into [−`clip_value`, `clip_value`], in place.

    g ← max(−c, min(g, c)), entry by entry, which can turn the direction of the step.

    Parameters
    ----------
    parameters : Parameter or iterable of Parameter
        Whose gradients to clip, such as ``model.parameters()``.
    clip_value : float
        c, at least 0.

    Raises
    ------
    TypeError, ValueError
        If there are no parameters, one is listed twice or is not a `Parameter`, or `clip_value` is
        not a number of at least 0.

    Notes
    -----
    As in ``torch.nn.utils.clip_grad_value_``, NaN stays NaN and an infinite entry becomes ±c.

    Examples
    --------
    >>> import numpy as np
    >>> w = Parameter(np.zeros(2))
    >>> w.grad += [3.0, -0.5]
    >>> clip_grad_value_([w], 1)
    >>> w.grad
    array([ 1. , -0.5])
    """
    parameters = _parameters(parameters)
    clip_value = _number_or_infinity("clip_value", clip_value, minimum=0)
    for p in parameters:
        np.clip(p.grad, -clip_value, clip_value, out=p.grad)


def _parameters(value):
    return parameter_list("parameters", [value] if isinstance(value, Parameter) else value)


def _number_or_infinity(name, value, minimum):
    if isinstance(value, Real) and value == math.inf:
        return math.inf
    return checks.number(name, value, minimum=minimum)


def _norm(arrays, p):
    """Return the p-norm of all entries together, as a float: the p-norm of the arrays' p-norms."""
    largest = float(np.max([np.max(np.abs(a), initial=0) for a in arrays]))
    if largest == 0 or not math.isfinite(largest):
        return largest
    norms = [np.linalg.norm(np.divide(a, largest, dtype=float).ravel(), p) for a in arrays]
    return largest * float(np.linalg.norm(norms, p))

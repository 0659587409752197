"""The check of a backward pass against numerical gradients."""

from __future__ import annotations

import copy

import numpy as np

from gradnb import checks
from gradnb.chain import as_before
from gradnb.differences import number, numerical_gradient, points
from gradnb.gradcheck_report import GradcheckError, GradcheckReport, Mismatch
from gradnb.kinks import Nearby
from gradnb.module import Module
from gradnb.whole_network import numerical_gradients

NARROW = (np.float32, np.float16)
AT_ONCE = 50  # entries looked at closely together: each visit to a point nearby serves them all
ROUNDING = 100  # units in the last place of the largest entry that a backward pass may round off
BESIDE = 4  # times the noise is allowed beside x: extrapolation adds half, the loss may be larger


def gradcheck(model, loss, x, y, *, eps=None, tol=1e-7, raise_exception=True):
    """Compare all gradients of a model, parameters' and input's, with central differences.

    For each array, max |analytic − numeric| / max(|analytic|, |numeric|) must stay below `tol`,
    where both maxima run over the whole array. Differences that rounding alone explains (a few
    units in the last place of the loss, divided by the step) are not counted. Where h and 2h give
    different values, the error O(h²) is extrapolated away before anything is called a disagreement.

    Parameters
    ----------
    model : Module
        Its ``backward`` is what is checked.
    loss : callable
        ``loss(model(x), y) -> float`` with a ``backward()``, such as `MSELoss`.
    x : ndarray
        A batch of inputs; float.
    y : ndarray
        Its targets.
    eps : float, optional
        Step of the central difference, by default that of `numerical_gradient`.
    tol : float
        Largest relative error allowed.
    raise_exception : bool
        Whether a disagreement raises, as in ``torch.autograd.gradcheck``, or is only reported.

    Returns
    -------
    GradcheckReport
        True if something was compared and nothing disagrees; ``print`` it to read it. With kinks
        nearby everywhere it is false. Parameters, their ``.grad``, buffers and `x` are as before.

    Raises
    ------
    GradcheckError
        If a gradient disagrees: with parameter, index, analytic and numeric value. Also if the
        model changes `x` or `grad_output` in place, and if nothing could be compared, as where all
        gradients are below the rounding noise: a check that cannot fail is none.
    TypeError, ValueError
        If `model` is not a `Module`, or `loss` not a callable with a ``backward``. If `x`, or a
        gradient that a ``backward`` returns, is not a float array. If `eps` or `tol` is no number
        of its range, if `x`, a parameter or the loss is not finite, or if a parameter is read-only.

    Notes
    -----
    ``backward`` runs twice and the second run counts, as the difference that it makes: a layer that
    overwrites ``.grad`` instead of adding to it shows an analytic gradient of 0.

    Within one step of a kink, such as ReLU's at 0, a central difference is wrong by a few percent
    and more while the gradient is right; with several units at a kink, no one-sided difference need
    be right either. So an entry that disagrees is compared again at points nearby, to which all
    arrays are moved by random amounts of up to a hundred steps. It is a disagreement if it
    disagrees there, away from kinks, too. If not, and the slopes around x differ by enough to
    explain what was found at x, it is reported as "kink nearby".

    A float32 model's gradients are compared with differences of a copy in float64, and may differ
    by rounding: by 100 units in the last place of the largest of them all, about 10⁻⁵ of it.
    """
    tol = checks.number("tol", tol, minimum=0)
    checks.instance("model", model, Module)
    checks.function("loss", loss, "(prediction, target) -> float with a backward(), as MSELoss()")
    if not callable(getattr(loss, "backward", None)):
        raise TypeError(f"loss must have a backward(), as MSELoss() has, got {loss!r}")
    x = checks.finite("x", checks.float_array("x", x)).copy()
    parameters = dict(model.named_parameters())
    before = {name: p.grad.copy() for name, p in parameters.items()}
    for name, p in parameters.items():
        points(name, p.data, None)  # refuses what is not finite or read-only, by name
    narrow = any(array.dtype in NARROW for array in (x, *model.state_dict().values()))
    double, x_double = _in_double_precision(model, x) if narrow else (model, x)
    arrays = {name: p.data for name, p in double.named_parameters()} | {"input": x_double}
    for name, array in arrays.items():
        points("x" if name == "input" else name, array, eps)  # raises before anything is changed

    def value(_):
        return number(loss(double(x_double.copy()), y), "loss")

    report = GradcheckReport(tol)
    state = model.state_dict()
    try:  # the batch that the layers remember
        checks.finite("the loss", np.array(number(loss(model(x.copy()), y), "loss")))
        with as_before(model, loss):
            analytic = _analytic_gradients(report, model, loss, x, y)
            nearby = Nearby(arrays, value, lambda: _backward(double, loss, x_double, y)[0], eps)
            numeric = numerical_gradients(double, loss, x_double, y, eps=eps)
            numeric["input"] = numerical_gradient(value, x_double, eps)
            largest = max(float(np.abs(g).max(initial=0)) for g in analytic.values())
            for name, gradient in analytic.items():
                rounding = ROUNDING * float(np.finfo(gradient.dtype).eps) * largest
                _compare(report, name, gradient, numeric[name], nearby, rounding)
    finally:
        model.load_state_dict(state)
        for name, p in parameters.items():
            p.grad[...] = before[name]
    blind = not report.errors and not report.kinks
    if raise_exception and (report.found_wrong or blind):
        raise GradcheckError(str(report))
    return report


def _in_double_precision(model, x):
    """Return copies of the model and x in float64, or these two if a layer keeps its precision.

    In float32 the steps are so long, and rounding is so coarse, that a difference says little.
    """
    twin = copy.deepcopy(model)
    for _, module in twin.named_modules():
        for name in module._buffers:
            setattr(module, name, getattr(module, name).astype(float))
    for p in twin.parameters():
        p.data, p.grad = p.data.astype(float), p.grad.astype(float)
    attributes = [value for _, module in twin.named_modules() for value in vars(module).values()]
    fixed = any(isinstance(v, np.ndarray) and v.dtype in NARROW for v in attributes)
    wide = x.astype(float)
    if fixed or twin(wide.copy()).dtype != float:
        return model, x
    return twin, wide


def _analytic_gradients(report, model, loss, x, y):
    gradients, given = _backward(model, loss, x, y)
    for name, before, after in given:
        if not np.array_equal(before, after, equal_nan=True):
            report.modified.append(name)
    checks.same_shape("the gradient with respect to the input", gradients["input"], x.shape, of="x")
    return gradients


def _backward(model, loss, x, y):
    """Return what the second of two runs adds, and what was given with what became of it."""
    model.zero_grad()
    for _ in range(2):
        earlier = {name: p.grad.copy() for name, p in model.named_parameters()}
        x_given = x.copy()
        loss(model(x_given), y)
        grad_output = checks.float_array("the gradient of the loss", loss.backward())
        grad_given = grad_output.copy()
        grad_input = model.backward(grad_given)
    added = {name: p.grad - earlier[name] for name, p in model.named_parameters()}
    given = [("x", x, x_given), ("grad_output", grad_output, grad_given)]
    return added | {"input": grad_input}, given


def _compare(report, name, analytic, numeric, nearby, rounding):
    """Add to the report what is found of one array.

    Entries that disagree get a second look, the worst first: their difference is extrapolated, then
    kinks are looked for. It ends with a disagreement that remains, or when none is left.
    """
    array, noise = nearby.arrays[name], nearby.noise(name) + rounding
    kink, seen = np.zeros((2, *array.shape), dtype=bool)
    while True:
        wrong, difference, scale = _disagreements(analytic, numeric, report.tol, noise)
        error = np.where(wrong & ~kink, np.nan_to_num(difference, nan=np.inf), -1)
        worst = [i for i in _by_size(error)[:AT_ONCE] if error[i] >= 0 and not seen[i]]
        if not worst or (wrong & seen & ~kink).any():
            break
        plain = {index: numeric[index] for index in worst}
        for index in worst:
            seen[index] = True
            numeric[index] = nearby.extrapolated(name, index)
        wrong, _, scale = _disagreements(analytic, numeric, report.tol, noise)
        doubtful = {index: abs(analytic[index] - plain[index]) for index in worst if wrong[index]}
        for index in nearby.kinks(name, doubtful, report.tol * scale + BESIDE * noise):
            kink[index] = True
    if scale <= 10 * noise:  # not even an error of 10 % would be seen
        report.unresolved.append(name)
        return
    if kink.any():
        report.kinks[name] = int(kink.sum())
    if not kink.all():
        report.errors[name] = float(difference[~kink].max()) / scale
        report.hidden[name] = (BESIDE if kink.any() else 1) * noise / scale
    if error.size and error.max() >= 0:
        worst = _by_size(error)[0]
        report.mismatches.append(
            Mismatch(name, worst, float(analytic[worst]), float(numeric[worst]))
        )


def _by_size(error):
    """Return the indices of all entries, those with the largest error first."""
    order = np.unravel_index(np.argsort(-error, axis=None), error.shape)
    return [tuple(index) for index in np.stack(order, axis=-1).tolist()]


def _disagreements(analytic, numeric, tol, noise):
    """Return which entries disagree, by how much each differs, and the largest gradient."""
    difference = np.abs(analytic - numeric)
    scale = float(max(np.abs(analytic).max(), np.abs(numeric).max()))
    return ~(difference <= tol * scale + noise), difference, scale  # nan disagrees

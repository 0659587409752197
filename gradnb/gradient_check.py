"""The check of a backward pass against numerical gradients."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from gradnb import checks
from gradnb.differences import numerical_gradient, probe, steps


class Mismatch(namedtuple("Mismatch", ["name", "index", "analytic", "numeric"])):
    """One entry at which an analytic gradient and its numerical estimate differ."""

    __slots__ = ()

    def __str__(self):
        where = ", ".join(map(str, self.index))
        return f"{self.name}[{where}]: analytic {self.analytic:.6g}, numeric {self.numeric:.6g}"


class GradcheckError(AssertionError):
    """Raised when a backward pass disagrees with the differences."""


class GradcheckReport:
    """What `gradcheck` found; true if something was compared and nothing was found wrong.

    Attributes
    ----------
    errors : dict of str to float
        For each array with entries that could be compared, the largest |analytic − numeric| of
        those, relative to the largest entry of the array.
    mismatches : list of Mismatch
        For each array that disagrees, its worst entry.
    modified : list of str
        Arrays that the model changed in place and had to leave alone: x, grad_output.
    kinks : dict of str to int
        For each array, how many entries could not be compared because a kink is nearby.
    unresolved : list of str
        Arrays whose whole gradient lies below the rounding noise of the differences: nothing can be
        said of them.
    tol : float
        The relative error that was allowed.
    """

    def __init__(self, tol):
        self.tol = tol
        self.errors = {}
        self.mismatches = []
        self.modified = []
        self.kinks = {}
        self.unresolved = []

    def __bool__(self):
        return bool(self.errors) and not self.mismatches and not self.modified

    def __str__(self):
        lines = [f"gradcheck {'passed' if self else 'FAILED'} (relative tolerance {self.tol:g})"]
        lines += [f"  {mismatch}" for mismatch in self.mismatches]
        lines += [f"  {name} was modified in place" for name in self.modified]
        lines += [
            f"  {name}: kink nearby at {count} of its entries, not compared there"
            for name, count in self.kinks.items()
        ]
        lines += [f"  {name}: gradient below the rounding noise" for name in self.unresolved]
        return "\n".join(lines)


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
        True if nothing disagrees; ``print`` it to read it. Parameters, their ``.grad`` and `x` are
        as before.

    Raises
    ------
    GradcheckError
        If a gradient disagrees: with parameter, index, analytic and numeric value. Also if the
        model changes `x` or `grad_output` in place, and if nothing could be compared.
    TypeError, ValueError
        If `x` or the gradient with respect to it is not a float array, or `eps` or `tol` is no
        number of its range.

    Notes
    -----
    ``backward`` runs twice and the second run counts, as the difference that it makes: a layer that
    overwrites ``.grad`` instead of adding to it shows an analytic gradient of 0.

    Within one step of a kink, such as ReLU's at 0, a central difference is wrong by a few percent
    and more while the gradient is right. Where the slopes to both sides, at two step sizes, differ
    by enough to explain the disagreement and the gradient agrees with one of them, the entry is
    reported as "kink nearby" and not as a disagreement.
    """
    tol = checks.number("tol", tol, minimum=0)
    x = checks.float_array("x", x).copy()
    parameters = dict(model.named_parameters())
    before = {name: p.grad.copy() for name, p in parameters.items()}

    def value(_):
        return loss(model(x.copy()), y)

    report = GradcheckReport(tol)
    try:
        arrays = {name: p.data for name, p in parameters.items()} | {"input": x}
        analytic = _analytic_gradients(report, model, loss, x, y)
        for name, array in arrays.items():
            _compare(report, name, value, array, analytic[name], eps)
    finally:
        for name, p in parameters.items():
            p.grad[...] = before[name]
    value(x)  # so that every layer remembers the unperturbed batch again
    if raise_exception and not report:
        raise GradcheckError(str(report))
    return report


def _analytic_gradients(report, model, loss, x, y):
    model.zero_grad()
    for _ in range(2):
        earlier = {name: p.grad.copy() for name, p in model.named_parameters()}
        x_given = x.copy()
        loss(model(x_given), y)
        grad_output = loss.backward()
        grad_given = grad_output.copy()
        grad_input = model.backward(grad_given)
    for name, before, after in [("x", x, x_given), ("grad_output", grad_output, grad_given)]:
        if not np.array_equal(before, after, equal_nan=True):
            report.modified.append(name)
    checks.same_shape("the gradient with respect to the input", grad_input, x.shape, of="x")
    added = {name: p.grad - earlier[name] for name, p in model.named_parameters()}
    return added | {"input": grad_input}


def _compare(report, name, value, array, analytic, eps):
    """Add to the report what is found of one array."""
    numeric = numerical_gradient(value, array, eps)
    noise = _rounding_noise(value(array), array.dtype, eps)
    wrong, difference, scale = _disagreements(analytic, numeric, report.tol, noise)
    if wrong.any():
        _extrapolate(numeric, wrong, value, array, eps)
        wrong, difference, scale = _disagreements(analytic, numeric, report.tol, noise)
    if scale <= 10 * noise:
        report.unresolved.append(name)
        return
    kink = np.zeros_like(wrong)
    for index in map(tuple, np.argwhere(wrong)):
        step = steps(array, eps)[index]
        left, right = _slopes(value, array, index, step)
        near = _slopes(value, array, index, step / 100)  # less likely to reach the kink
        agrees = np.abs(analytic[index] - near).min() <= 1e-5 * scale + 100 * noise
        kink[index] = agrees and np.ptp([left, right, *near]) >= difference[index]
    if kink.any():
        report.kinks[name] = int(kink.sum())
    if not kink.all():
        report.errors[name] = float(difference[~kink].max()) / scale
    wrong &= ~kink
    if wrong.any():
        error = np.where(wrong, np.nan_to_num(difference, nan=np.inf), -1)
        worst = np.unravel_index(error.argmax(), error.shape)
        report.mismatches.append(
            Mismatch(name, tuple(map(int, worst)), float(analytic[worst]), float(numeric[worst]))
        )


def _disagreements(analytic, numeric, tol, noise):
    """Return which entries disagree, by how much each differs, and the largest gradient."""
    difference = np.abs(analytic - numeric)
    scale = float(max(np.abs(analytic).max(), np.abs(numeric).max()))
    return ~(difference <= tol * scale + noise), difference, scale  # nan disagrees


def _rounding_noise(loss, dtype, eps):
    """Bound what rounding does to a difference: units in the last place, divided by the step."""
    u = float(np.finfo(dtype).eps)
    step = u ** (1 / 3) if eps is None else eps
    return 10 * u * (abs(loss) / step + 1)


def _extrapolate(numeric, wrong, value, array, eps):
    """Remove the error O(h²), which is not small beside a small gradient (Richardson)."""
    for index in map(tuple, np.argwhere(wrong)):
        double = np.mean(_slopes(value, array, index, 2 * steps(array, eps)[index]))
        numeric[index] += (numeric[index] - double) / 3


def _slopes(value, array, index, h):
    """Return the slopes to the left and to the right."""
    here, f_here = array[index], value(array)
    below, above = here - h, here + h
    f_below, f_above = probe(value, array, index, below), probe(value, array, index, above)
    return (f_here - f_below) / float(here - below), (f_above - f_here) / float(above - here)

"""The check of a backward pass against numerical gradients."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from gradnb import checks
from gradnb.chain import as_before
from gradnb.differences import numerical_gradient
from gradnb.kinks import Nearby
from gradnb.whole_network import numerical_gradients


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
        True if nothing disagrees; ``print`` it to read it. Parameters, their ``.grad``, buffers and
        `x` are as before.

    Raises
    ------
    GradcheckError
        If a gradient disagrees: with parameter, index, analytic and numeric value. Also if the
        model changes `x` or `grad_output` in place, and if nothing could be compared.
    TypeError, ValueError
        If `x` or the gradient with respect to it is not a float array, `eps` or `tol` is no number
        of its range, or `x`, a parameter or the loss is not finite.

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
    """
    tol = checks.number("tol", tol, minimum=0)
    x = checks.finite("x", checks.float_array("x", x)).copy()
    parameters = dict(model.named_parameters())
    before = {name: p.grad.copy() for name, p in parameters.items()}
    arrays = {name: p.data for name, p in parameters.items()} | {"input": x}
    for name, array in arrays.items():
        checks.finite(name, array)

    def value(_):
        return loss(model(x.copy()), y)

    report = GradcheckReport(tol)
    state = model.state_dict()
    try:
        checks.finite("the loss", np.asarray(value(x)))  # the batch that the layers remember
        with as_before(model, loss):
            analytic = _analytic_gradients(report, model, loss, x, y)
            nearby = Nearby(arrays, value, lambda: _backward(model, loss, x, y)[0], eps)
            numeric = numerical_gradients(model, loss, x, y, eps=eps)
            numeric["input"] = numerical_gradient(value, x, eps)
            for name in arrays:
                _compare(report, name, analytic[name], numeric[name], nearby)
    finally:
        model.load_state_dict(state)
        for name, p in parameters.items():
            p.grad[...] = before[name]
    if raise_exception and (report.mismatches or report.modified):
        raise GradcheckError(str(report))
    return report


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
        grad_output = loss.backward()
        grad_given = grad_output.copy()
        grad_input = model.backward(grad_given)
    added = {name: p.grad - earlier[name] for name, p in model.named_parameters()}
    given = [("x", x, x_given), ("grad_output", grad_output, grad_given)]
    return added | {"input": grad_input}, given


def _compare(report, name, analytic, numeric, nearby):
    """Add to the report what is found of one array, looking at the worst entries first."""
    array, noise = nearby.arrays[name], nearby.noise(name)
    kink, seen = np.zeros((2, *array.shape), dtype=bool)
    while True:
        wrong, difference, scale = _disagreements(analytic, numeric, report.tol, noise)
        error = np.where(wrong & ~kink, np.nan_to_num(difference, nan=np.inf), -1)
        worst = [i for i in map(tuple, _by_size(error)[:50]) if error[i] >= 0 and not seen[i]]
        if not worst or (wrong & seen & ~kink).any():
            break
        plain = {index: numeric[index] for index in worst}
        for index in worst:
            seen[index] = True
            numeric[index] = nearby.extrapolated(name, index)
        wrong, _, scale = _disagreements(analytic, numeric, report.tol, noise)
        doubtful = {index: abs(analytic[index] - plain[index]) for index in worst if wrong[index]}
        for index in nearby.kinks(name, doubtful, report.tol * scale + 4 * noise):
            kink[index] = True
    if scale <= 10 * noise:
        report.unresolved.append(name)
        return
    if kink.any():
        report.kinks[name] = int(kink.sum())
    if not kink.all():
        report.errors[name] = float(difference[~kink].max()) / scale
    if error.size and error.max() >= 0:
        worst = tuple(map(int, _by_size(error)[0]))
        report.mismatches.append(
            Mismatch(name, worst, float(analytic[worst]), float(numeric[worst]))
        )


def _by_size(error):
    """Return the indices of all entries, those with the largest error first."""
    return np.stack(np.unravel_index(np.argsort(-error, axis=None), error.shape), axis=-1).tolist()


def _disagreements(analytic, numeric, tol, noise):
    """Return which entries disagree, by how much each differs, and the largest gradient."""
    difference = np.abs(analytic - numeric)
    scale = float(max(np.abs(analytic).max(), np.abs(numeric).max()))
    return ~(difference <= tol * scale + noise), difference, scale  # nan disagrees

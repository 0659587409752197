"""The numerical gradients of a whole network, without evaluating it anew for each parameter.

`numerical_gradient` runs the network twice for every entry of a weight. Yet W[i, j] enters only
output j of its layer, so most of that work repeats what is known. Here the part that does not
change is computed once, and many changes go through the rest together. It is the same central
difference with the same steps; `_plain` is its definition, `_short_cut` the fast way to it.
"""

from __future__ import annotations

import numpy as np

from gradnb import checks
from gradnb.chain import Chain, as_before
from gradnb.differences import number, numerical_gradient, points
from gradnb.memory import keep_freed
from gradnb.module import Module

NUMBERS = 80_000  # how many outputs are evaluated together: they should stay in the cache


def numerical_gradients(model, loss, x, y, *, eps=None):
    """Estimate ∂L/∂θ for every parameter θ of a network by central differences.

    Each entry is (L(θ + h) − L(θ − h)) / 2h, as by
    ``numerical_gradient(lambda _: loss(model(x), y), p.data, eps)`` for every parameter p, and as
    accurate, but many times faster where the short cut below can be taken.

    Parameters
    ----------
    model : Module
        The network, in training or evaluation mode as it is.
    loss : callable
        ``loss(model(x), y) -> float``.
    x, y : ndarray
        A batch of inputs, float, and its targets.
    eps : float, optional
        The step h, by default that of `numerical_gradient`.

    Returns
    -------
    dict of str to ndarray
        The gradients by the names of ``model.named_parameters()``. Model and loss are as before
        whatever happens: parameters, ``.grad``, buffers and what the layers remember.

    Raises
    ------
    TypeError, ValueError
        If `model` is not a `Module`, `loss` not callable, or `x` not a float array; if `x` or a
        parameter is not finite, a parameter is read-only, or `eps` is as `numerical_gradient`
        refuses it.

    Notes
    -----
    The short cut. Moving W[i, j] of a `Linear` by h adds h·x[:, i] to column j of its output z, an
    elementwise activation a keeps that one column, and the next `Linear` with weight V makes it a
    rank-1 change of its output: (a(zⱼ + h xᵢ) − a(zⱼ)) V[j, :]. Rows in which the activation does
    not change at all, as where ReLU is inactive, need no evaluation. The others go through the
    remaining layers as one large batch. A bias is the weight of an input that is always 1.

    It assumes that z = x W + b, that no row of a batch matters to another, that the parameter is
    used once, and that the loss is the mean of ``loss.per_example``. So it is taken for a `Linear`
    of a (nested) `Sequential` that only `Linear` and activations without parameters follow, with
    one of the two losses of `gradnb.losses`, no subclasses, and after a test that each of them does
    at other values what is assumed of it. All other parameters are differenced plainly, from the
    first layer that may use them on.

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb import Linear, MSELoss
    >>> from gradnb.init import constant
    >>> layer = Linear(2, 1, init=constant(3.0))
    >>> gradients = numerical_gradients(layer, MSELoss(), np.array([[1.0, 2.0]]), np.array([[8.0]]))
    >>> {name: gradient.round(6) for name, gradient in gradients.items()}
    {'weight': array([[2.],
           [4.]]), 'bias': array([2.])}
    """
    checks.instance("model", model, Module)
    checks.function("loss", loss, "(prediction, target) -> float, as MSELoss()")
    checks.finite("x", checks.float_array("x", x))
    parameters = dict(model.named_parameters())
    for name, p in parameters.items():
        points(name, p.data, eps)  # raises before anything has been evaluated
    with as_before(model, loss):
        chain = Chain(model, loss, x, y)
        gradients = {}
        for k in range(len(chain.modules)):
            if chain.short_cut_applies(k):
                gradients |= _short_cut(chain, k, eps)
        for p in parameters.values():
            if id(p) not in gradients:
                gradients[id(p)] = _plain(chain, p, eps)
    return {name: gradients[id(p)] for name, p in parameters.items()}


def _plain(chain, p, eps):
    """Difference one parameter by its definition, from the first layer that may use it on."""
    start = chain.first_use(p)

    def value(_):
        return number(
            chain.loss(chain.run(start, None, chain.inputs[start].copy()), chain.y), "loss"
        )

    return numerical_gradient(value, p.data, eps)


def _short_cut(chain, k, eps):
    """Return the gradients of the weight and the bias of a Linear by id, column by column."""
    layer, x = chain.modules[k], chain.inputs[k]
    weight = layer.weight.data
    if layer.bias is not None:  # the weight of an input that is always 1
        weight = np.vstack([weight, layer.bias.data])
        x = np.hstack([x, np.ones_like(x[:, :1])])
    above, below = points("parameter", weight, eps)
    stop = chain.end_of_activation(k)
    z, a = chain.inputs[k + 1], chain.inputs[stop]
    if stop < len(chain.modules):
        spread, after = chain.modules[stop].weight.data, stop + 1
    else:
        spread, after = np.eye(a.shape[1], dtype=a.dtype), stop
    # Transposed, with a column for each example: NumPy is fast along rows, and these are long
    inputs = x.T.copy()
    widest = max(v.shape[1] for v in chain.inputs[after:])
    together = min(len(weight), max(1, NUMBERS // (len(x) * widest)))
    outputs, targets = np.tile(chain.inputs[after].T, together), np.tile(chain.y.T, together)
    keep_freed()
    gradient = np.zeros(weight.shape)
    for j in range(weight.shape[1]):
        for first in range(0, len(weight), together):
            block = slice(first, first + together)
            # Axes: above and below, the weights of the block, the examples
            steps = np.stack([above[block, j], below[block, j]]) - weight[block, j]
            z_moved = z[:, j] + steps[:, :, None] * inputs[block]
            change = (chain.run(k + 1, stop, z_moved) - a[:, j]).reshape(2, -1)
            difference = _differences(chain, after, change, spread[j], outputs, targets)
            gradient[block, j] = difference.reshape(-1, len(x)).sum(axis=1)
    gradient = (gradient / len(x) / (above - below)).astype(weight.dtype)
    gradients = {id(layer.weight): gradient[: layer.in_features]}
    if layer.bias is not None:
        gradients[id(layer.bias)] = gradient[-1]
    return gradients


def _differences(chain, after, change, spread, outputs, targets):
    """Return the loss above − the loss below of every example, for changes of one activation.

    Module `after` receives `outputs` + spread · change; where nothing changes, nothing is computed.
    """
    difference = np.zeros(change.shape[1])
    changed = np.flatnonzero((change[0] != 0) | (change[1] != 0))
    if not len(changed):
        return difference
    if len(changed) == len(difference):
        changed = slice(0, len(difference))  # all of them, without a copy
    moved = np.multiply.outer(spread, _columns(change, changed))
    moved += _columns(outputs, changed)[:, None]
    target = np.concatenate(2 * [_columns(targets, changed)], axis=-1).T
    losses = chain.losses(after, moved.reshape(len(outputs), -1).T, target)
    losses_above, losses_below = losses.reshape(2, -1)
    difference[changed] = losses_above - losses_below
    return difference


def _columns(array, which):
    return array[..., which] if isinstance(which, slice) else array.take(which, axis=-1)

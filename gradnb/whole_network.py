"""The numerical gradients of a whole network, without evaluating it anew for each parameter.

`numerical_gradient` runs the network twice for every entry of a weight. Yet W[i, j] enters only
output j of its layer, so most of that work repeats what is known. Here the part that does not
change is computed once, and many changes go through the rest together. It is the same central
difference with the same steps; `_plain` is its definition, `_short_cut` the fast way to it.
"""

from __future__ import annotations

import contextlib

import numpy as np

from gradnb import checks
from gradnb.differences import numerical_gradient, points
from gradnb.layers import Linear, ReLU, Sigmoid, Tanh
from gradnb.losses import CrossEntropyLoss, MSELoss
from gradnb.network import Sequential

ELEMENTWISE = (ReLU, Sigmoid, Tanh)
MEANS = (CrossEntropyLoss, MSELoss)
NUMBERS = 40_000  # how many outputs are evaluated together: few enough to stay in the cache


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
        If `x` is not a float array, `eps` is not a positive number or too small to change an entry,
        or a parameter is read-only.

    Notes
    -----
    The short cut. Moving W[i, j] of a `Linear` by h adds h·x[:, i] to column j of its output z, an
    elementwise activation a keeps that one column, and the next `Linear` with weight V turns it into
    a rank-1 change of its output: (a(zⱼ + h xᵢ) − a(zⱼ)) V[j, :]. Rows in which the activation does
    not change at all, as where ReLU is inactive, need no evaluation. The others go through the
    remaining layers as one large batch. A bias is the weight of an input that is always 1.

    It assumes that z = x W + b, that no row of a batch matters to another, that the parameter is
    used once, and that the loss is the mean of ``loss.per_example``. So it is taken for a `Linear`
    of a (nested) `Sequential` that only `Linear`, `ReLU`, `Sigmoid` and `Tanh` follow, with one of
    the two losses of `gradnb.losses`, no subclasses, and after a test that each of them does at
    other values what is assumed of it. All other parameters are differenced plainly, from the layer
    that holds them on.

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb.init import constant
    >>> layer = Linear(2, 1, init=constant(3.0))
    >>> gradients = numerical_gradients(layer, MSELoss(), np.array([[1.0, 2.0]]), np.array([[8.0]]))
    >>> {name: gradient.round(6) for name, gradient in gradients.items()}
    {'weight': array([[2.],
           [4.]]), 'bias': array([2.])}
    """
    checks.float_array("x", x)
    for name, p in model.named_parameters():
        points(name, p.data, eps)  # raises before anything has been evaluated
    with as_before(model, loss):
        net = _Row(model, loss, x, y)
        gradients = {}
        for k in range(len(net.modules)):
            if net.short_cut_applies(k):
                gradients |= _short_cut(net, k, eps)
        for p in model.parameters():
            if id(p) not in gradients:
                gradients[id(p)] = _plain(net, p, eps)
    return {name: gradients[id(p)] for name, p in model.named_parameters()}


def _plain(net, p, eps):
    """Difference one parameter by its definition, from the first layer that may use it on."""
    start = net.first_use(p)

    def value(_):
        return net.loss(net.run(start, None, net.inputs[start].copy()), net.y)

    return numerical_gradient(value, p.data, eps)


def _short_cut(net, k, eps):
    """Return the gradients of the weight and the bias of a Linear by id, column by column."""
    layer, x = net.modules[k], net.inputs[k]
    values = layer.weight.data
    if layer.bias is not None:  # the weight of an input that is always 1
        values = np.vstack([values, layer.bias.data])
        x = np.hstack([x, np.ones_like(x[:, :1])])
    above, below = points("parameter", values, eps)
    stop = net.end_of_activation(k)
    z, a = net.inputs[k + 1], net.inputs[stop]
    if stop < len(net.modules):
        spread, after = net.modules[stop].weight.data, stop + 1
    else:
        spread, after = np.eye(a.shape[1], dtype=a.dtype), stop
    # One row for each of the few outputs and one column for each example: long rows are fast
    rest = net.inputs[after].T.copy()
    together = max(1, NUMBERS // (len(x) * max(v.shape[1] for v in net.inputs[after:])))
    gradient = np.zeros(values.shape)
    for j in range(values.shape[1]):
        for i in range(0, len(values), together):
            f = slice(i, i + together)
            change_above, change_below = (
                net.run(k + 1, stop, z[:, j] + (moved[f, j] - values[f, j])[:, None] * x.T[f])
                - a[:, j]
                for moved in (above, below)
            )
            changed = (change_above != 0) | (change_below != 0)
            feature, row = np.nonzero(changed)
            if len(row):
                unchanged, target = rest.take(row, axis=1), net.y.T.take(row, axis=-1).T
                loss_above, loss_below = (
                    net.losses(after, (unchanged + spread[j][:, None] * change[changed]).T, target)
                    for change in (change_above, change_below)
                )
                gradient[f, j] = np.bincount(feature, loss_above - loss_below, len(changed))
    gradient = (gradient / len(x) / (above - below)).astype(values.dtype)
    gradients = {id(layer.weight): gradient[: layer.in_features]}
    if layer.bias is not None:
        gradients[id(layer.bias)] = gradient[-1]
    return gradients


class _Row:
    """The modules of a network in a row, what each of them receives, and what may be assumed."""

    def __init__(self, model, loss, x, y):
        self.loss, self.y = loss, y
        self.modules = list(_in_a_row(model))
        self.inputs = self._trace(x)
        if not np.array_equal(self.inputs[-1], model(x.copy()), equal_nan=True):
            self.modules = [model]  # whatever its forward does, it is not one after the other
            self.inputs = self._trace(x)

    def _trace(self, x):
        inputs = [x]
        for module in self.modules:
            inputs.append(module(inputs[-1].copy()))  # a copy, since a module may write into it
        return inputs

    def run(self, start, stop, z):
        """Send z through some of the modules."""
        for module in self.modules[start:stop]:
            z = module(z)
        return z

    def losses(self, start, z, target):
        """Return the loss of each row of z, which enters module `start`."""
        prediction = self.run(start, None, z)
        return self.loss.per_example(np.asfortranarray(prediction), target)

    def users(self, p):
        """Return the places of the modules that hold the parameter's memory or a part of it."""
        return [
            k
            for k, module in enumerate(self.modules)
            for q in module.parameters()
            if np.may_share_memory(p.data, q.data)
        ]

    def first_use(self, p):
        """Return the first module that may depend on the parameter.

        A module from elsewhere may use it without saying so, as the transpose of another's weight.
        """
        foreign = [k for k, module in enumerate(self.modules) if not _is_ours(module)]
        return min(self.users(p) + foreign, default=0)

    def end_of_activation(self, k):
        """Return the place behind the elementwise layers that follow module k."""
        followers = range(k + 1, len(self.modules))
        return next((i for i in followers if type(self.modules[i]) is Linear), len(self.modules))

    def short_cut_applies(self, k):
        """Tell whether module k is a Linear of which, and of what follows, all is as assumed."""
        layer = self.modules[k]
        return (
            type(layer) is Linear
            and type(self.loss) in MEANS
            and all(type(module) in (Linear, *ELEMENTWISE) for module in self.modules[k:])
            and all(self.users(p) == [k] for p in layer.parameters())
            and all(map(_as_assumed, self.modules[k:], self.inputs[k:]))
            and self._loss_is_mean()
        )

    def _loss_is_mean(self):
        mean = self.losses(len(self.modules), self.inputs[-1], self.y).mean()
        return _close(mean, self.loss(self.inputs[-1], self.y), np.abs(mean))


def _in_a_row(model):
    if type(model) is Sequential:
        for module in model:
            yield from _in_a_row(module)
    else:
        yield model


def _is_ours(module):
    return all(type(m).__module__.startswith("gradnb.") for _, m in module.named_modules())


def _as_assumed(module, x):
    """Test that a Linear computes x W + b, and that another layer treats each number by itself.

    A forward that is wrong or was replaced must not be mistaken for what its class promises.
    """
    if type(module) is not Linear:
        more = np.block([[x, x + 1], [x - 1, 2 * x]])
        expected = module(x)
        return _close(module(more)[: len(x), : x.shape[1]], expected, np.abs(expected))
    rng = np.random.default_rng(0)
    arrays = [p.data for p in module.parameters()]
    before = [a.copy() for a in arrays]
    for a in arrays:
        a += rng.normal(size=a.shape).astype(a.dtype)
    x = x + rng.normal(size=x.shape).astype(x.dtype)
    actual, expected = module(x), x @ module.weight.data
    size = np.abs(x) @ np.abs(module.weight.data)
    if module.bias is not None:
        expected, size = expected + module.bias.data, size + np.abs(module.bias.data)
    for a, values in zip(arrays, before, strict=True):
        a[...] = values
    return _close(actual, expected, size)


def _close(actual, expected, size):
    u = np.finfo(size.dtype).eps
    same_shape = np.shape(actual) == np.shape(expected)
    return same_shape and np.all(np.abs(actual - expected) <= 100 * u * size)


@contextlib.contextmanager
def as_before(model, loss):
    """Put back, whatever happens, what evaluating a model may change.

    Parameters and buffers to the bit, and what modules and loss remember of the last batch.
    """
    state = model.state_dict()
    objects = [loss, *(module for _, module in model.named_modules())]
    attributes = [(vars(o), vars(o).copy()) for o in objects if hasattr(o, "__dict__")]
    try:
        yield
    finally:
        for now, before in attributes:
            now.clear()
            now.update(before)
        model.load_state_dict(state)

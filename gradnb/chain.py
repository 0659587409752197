"""A network as modules in a row: what each of them receives, and what may be assumed of it.

`gradnb.whole_network` takes a short cut where a network is built as networks usually are. What it
relies on is tested here with numbers, not only read off the names of classes.
"""

from __future__ import annotations

import contextlib

import numpy as np

from gradnb.layers import LeakyReLU, Linear, ReLU, Sigmoid, Tanh
from gradnb.losses import CrossEntropyLoss, MSELoss
from gradnb.network import Sequential

ELEMENTWISE = (ReLU, LeakyReLU, Sigmoid, Tanh)
MEANS = (CrossEntropyLoss, MSELoss)


class Chain:
    """Hold the modules of a network in a row, with the input of each and the output of the last."""

    def __init__(self, model, loss, x, y):
        self.loss, self.y = loss, y
        self.modules = list(_in_a_row(model))
        self.inputs = self._trace(x)
        if not np.array_equal(self.inputs[-1], model(x.copy()), equal_nan=True):
            self.modules = [model]  # whatever its forward does, it is not one after the other
            self.inputs = self._trace(x)
        with np.errstate(all="ignore"):  # the values that are tried may overflow
            as_assumed = [*map(_as_assumed, self.modules, self.inputs), self._loss_as_assumed()]
        self.as_assumed = as_assumed

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
        return self.loss.per_example(self.run(start, None, z), target)

    def users(self, p):
        """Return the places of the modules that hold the parameter's memory or a part of it."""
        return [
            k
            for k, module in enumerate(self.modules)
            for q in module.parameters()
            if np.may_share_memory(p.data, q.data)
        ]

    def first_use(self, p):
        """Return the place of the first module that may depend on the parameter.

        A module that is not this package's may use it without saying so, as the transpose of
        another layer's weight.
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
            and all(self.users(p) == [k] and self.first_use(p) == k for p in layer.parameters())
            and len({p.data.dtype for p in layer.parameters()}) == 1
            and all(self.as_assumed[k:])
        )

    def _loss_as_assumed(self):
        if type(self.loss) not in MEANS:
            return False
        mean = self.losses(len(self.modules), self.inputs[-1], self.y).mean()
        return _close(mean, self.loss(self.inputs[-1], self.y), np.abs(mean))


def _in_a_row(model):
    if type(model) is Sequential:
        for module in model:
            yield from _in_a_row(module)
    else:
        yield model


def _is_ours(module):
    return all(
        type(m).__module__.startswith("gradnb.") and "forward" not in vars(m)
        for _, m in module.named_modules()
    )


def _as_assumed(module, x):
    """Test that a Linear computes x W + b, and that another layer treats each number by itself.

    A forward that is wrong or was replaced must not be mistaken for what its class promises.
    """
    if type(module) not in (Linear, *ELEMENTWISE) or not _is_ours(module) or x.ndim != 2:
        return False
    if type(module) is Linear:
        return _is_affine(module, x + _random(x))
    # As a part of a larger batch, turned by 180 degrees, x must still give the same numbers
    rows, columns = x.shape
    turned = x[::-1, ::-1]
    larger = np.block([[2 * x, x + 1], [x - 1, turned]])
    actual, expected = module(larger)[rows:, columns:], module(x)[::-1, ::-1]
    return _close(actual, expected, np.abs(expected))


def _is_affine(layer, x):
    with _other_values(layer):
        actual, expected = layer(x), x @ layer.weight.data
        size = np.abs(x) @ np.abs(layer.weight.data)
        if layer.bias is not None:
            expected, size = expected + layer.bias.data, size + np.abs(layer.bias.data)
    return _close(actual, expected, size)


@contextlib.contextmanager
def _other_values(module):
    before = [(p.data, p.data.copy()) for p in module.parameters()]
    try:
        for now, _ in before:
            now += _random(now)
        yield
    finally:
        for now, values in before:
            now[...] = values


def _random(like):
    return np.random.default_rng(0).normal(size=like.shape).astype(like.dtype)


def _close(actual, expected, size):
    u = np.finfo(size.dtype).eps
    same_shape = np.shape(actual) == np.shape(expected)
    return same_shape and np.all(np.abs(actual - expected) <= 100 * u * size)


@contextlib.contextmanager
def as_before(model, loss):
    """Put back, whatever happens, what evaluating a model may change.

    These are parameters and buffers, to the bit, and what modules and loss remember of a batch.
    """
    state = model.state_dict()
    objects = [loss, *(module for _, module in model.named_modules()), *model.parameters()]
    attributes = [o.__dict__ for o in objects if isinstance(getattr(o, "__dict__", None), dict)]
    attributes = [(now, now.copy()) for now in attributes]
    try:
        yield
    finally:
        for now, before in attributes:
            now.clear()
            now.update(before)
        model.load_state_dict(state)

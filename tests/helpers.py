"""The checks that the real layers and losses must pass and the planted faults must not."""

import math

import numpy as np
from hypothesis import settings

from gradnb import Parameter

examples = settings(max_examples=20, deadline=None, derandomize=True, database=None)
"""Hypothesis, with the same examples on every machine."""


def fourth_order(f, x, h=1e-3):
    """Differentiate by a five-point formula, written apart from the package's own differences."""
    gradient = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        here = x[index]
        values = []
        for step in (-2 * h, -h, h, 2 * h):
            x[index] = here + step
            values.append(f())
        x[index] = here
        gradient[index] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
    return gradient


def close(actual, expected, what, tol=1e-7):
    """Demand agreement to `tol` of the largest entry, and the same shape."""
    assert isinstance(actual, np.ndarray), f"{what}: {actual!r} is no array"
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, not {expected.shape}"
    scale = np.abs(expected).max()
    assert scale > 1e-6, f"{what}: the expected gradient vanishes, which checks nothing"
    error = np.abs(actual - expected).max() / scale
    assert error <= tol, f"{what}: relative error {error:.2g}"


def off_zero(rng, shape, margin=0.05):
    """Draw numbers of both signs, none of them near ReLU's kink."""
    return rng.choice([-1.0, 1.0], size=shape) * rng.uniform(margin, 2.0, size=shape)


def randomise(module, rng):
    """Give every parameter random values, so that no bias is 0."""
    for p in module.parameters():
        p.data[...] = off_zero(rng, p.shape)
    return module


def check_layer(layer, x, rng):
    """Demand of a layer what the contract says of ``backward``.

    The gradients of the input and of every parameter are those of Σ g · layer(x) with a random g;
    they are added to gradients that are already there, in place; neither x nor g changes; and
    without the input's gradient, the parameters' gradients are the same.
    """
    x_before = x.copy()
    g = rng.normal(size=layer(x).shape)
    assert np.array_equal(x, x_before), "forward changed x"
    g_before = g.copy()
    grads = {name: p.grad for name, p in layer.named_parameters()}
    starts = {}
    for name, grad in grads.items():
        grad[...] = starts[name] = rng.normal(size=grad.shape)

    grad_input = layer.backward(g)
    assert np.array_equal(x, x_before), "backward changed x"
    assert np.array_equal(g, g_before), "backward changed grad_output"
    assert grad_input is not g, "backward returned grad_output itself"

    def value():
        return np.sum(g_before * layer(x))

    close(grad_input, fourth_order(value, x), "gradient with respect to the input")
    added = {}
    for name, p in layer.named_parameters():
        assert p.grad is grads[name], f"{name}: .grad was replaced"
        added[name] = p.grad - starts[name]
        close(added[name], fourth_order(value, p.data), f"gradient of {name}")

    layer.zero_grad()
    layer(x)
    assert layer.backward(g, input_grad=False) is None, "input_grad=False returned something"
    for name, p in layer.named_parameters():
        close(p.grad, added[name], f"gradient of {name} with input_grad=False", tol=1e-12)


def check_loss(loss, prediction, target):
    """Demand that ``backward`` gives the prediction's gradient and that nothing is changed."""
    before = prediction.copy(), target.copy()
    assert type(loss(prediction, target)) is float, "the loss is no float"
    gradient = loss.backward()
    again = loss.backward()
    assert gradient is not again, "backward returned the same array twice"
    assert np.array_equal(gradient, again), "backward gave two gradients for one call"
    assert np.array_equal(prediction, before[0]), "the loss changed the prediction"
    assert np.array_equal(target, before[1]), "the loss changed the target"
    close(gradient, fourth_order(lambda: loss(prediction, target), prediction), "gradient")


def check_rule(optimizer_class, rule, options):
    """Demand the steps of a plain rule from an optimiser, in place, with the gradients left alone.

    There are parameters of several shapes, gradients of several sizes with zeros among them, and a
    rate that changes halfway.
    """
    rng = np.random.default_rng(0)
    rates = [0.1] * 15 + [0.02] * 15
    params = [Parameter(np.array(rng.normal(size=shape))) for shape in [(3, 2), (4,), (), (0, 2)]]
    gradients = [rng.normal(size=(30, *p.shape)) * 10.0 ** (1 - i) for i, p in enumerate(params)]
    gradients[0][:3, 0] = 0
    paths = [
        list(rule(p.data.copy(), g, rates, **options))
        for p, g in zip(params, gradients, strict=True)
    ]
    arrays = [(p.data, p.grad) for p in params]
    optimizer = optimizer_class(params, lr=rates[0], **options)
    for t, lr in enumerate(rates):
        optimizer.lr = lr
        for p, g in zip(params, gradients, strict=True):
            p.grad[...] = g[t]
        optimizer.step()
        for p, g, path, (data, grad) in zip(params, gradients, paths, arrays, strict=True):
            assert p.data is data, "the parameter was replaced"
            assert p.grad is grad, "the gradient was replaced"
            assert np.array_equal(grad, g[t]), "the gradient was changed"
            np.testing.assert_allclose(data, path[t], 1e-10, 1e-13, err_msg=f"step {t + 1}")


def check_clipping(clip):
    """Demand of ``clip(parameters, max_norm)`` one factor for all gradients, in place."""
    for size, largest in [(1.0, 100.0), (1.0, 8.0), (100.0, 8.0), (1e-3, 1e-3)]:
        rng = np.random.default_rng(0)
        params = [Parameter(np.zeros(shape)) for shape in [(3, 4), (5,), ()]]
        for p in params:
            p.grad += size * rng.uniform(2, 3, size=p.shape)
        grads = [p.grad for p in params]
        before = [grad.copy() for grad in grads]
        norm = math.sqrt(sum(float(np.sum(g**2)) for g in before))
        returned = clip(params, largest)
        assert math.isclose(returned, norm, rel_tol=1e-12), "not the norm before clipping"
        factor = min(1, largest / (norm + 1e-6))
        for p, grad, g in zip(params, grads, before, strict=True):
            assert p.grad is grad, "the gradient was replaced"
            np.testing.assert_allclose(grad, factor * g, rtol=1e-12)


def run(optimizer_class, gradients, start=1.0, **options):
    """Feed a sequence of gradients to one parameter and return its values after every step."""
    w = Parameter(np.array([start]))
    optimizer = optimizer_class([w], **options)
    path = []
    for g in gradients:
        w.grad[...] = g
        optimizer.step()
        path.append(w.data.item())
    return path

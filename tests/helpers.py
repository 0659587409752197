"""The checks that the real layers and losses must pass and the planted faults must not."""

import numpy as np
from hypothesis import settings

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

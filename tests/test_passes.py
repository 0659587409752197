"""What passes through a network: the same arrays as its own forward and backward pass."""

import numpy as np
import pytest
from helpers import randomise

from gradnb import (
    BatchNorm1d,
    CrossEntropyLoss,
    Linear,
    MSELoss,
    Residual,
    Sequential,
    Tanh,
    mlp,
    numerical_gradient,
    signals,
)

RNG = np.random.default_rng(0)
X, CLASSES = RNG.normal(size=(6, 3)), RNG.integers(0, 2, size=6)


def net():
    return randomise(Sequential(Linear(3, 4), Tanh(), Residual(Linear(4, 4)), Linear(4, 2)), RNG)


def test_every_error_is_the_derivative_with_respect_to_its_activation():
    model, loss = net(), CrossEntropyLoss()
    activations, errors = signals(model, X, loss, CLASSES)
    assert len(activations) == len(errors) == len(model) + 1
    for i, (a, error) in enumerate(zip(activations, errors, strict=True)):
        rest = model[i:] if i < len(model) else lambda a: a
        numeric = numerical_gradient(lambda a, rest=rest: loss(rest(a), CLASSES), a.copy())
        np.testing.assert_allclose(error, numeric, atol=1e-9, err_msg=f"after {i} modules")


def test_activations_gradients_and_statistics_are_those_of_the_plain_passes():
    watched, plain = (mlp([3, 5, 5, 2], lambda: BatchNorm1d(5), rng=1) for _ in range(2))
    loss = CrossEntropyLoss()
    for _ in range(2):  # the second gradient adds to the first
        activations, errors = signals(watched, X, loss, CLASSES)
        output = plain(X)
        loss(output, CLASSES)
        grad_input = plain.backward(loss.backward())
    assert activations[0] is X
    assert np.array_equal(activations[-1], output)
    assert np.array_equal(errors[0], grad_input)
    for p, q in zip(watched.parameters(), plain.parameters(), strict=True):
        assert np.array_equal(p.grad, q.grad)
    for name, value in watched.state_dict().items():
        assert np.array_equal(value, plain.state_dict()[name]), name


@pytest.mark.parametrize("model", [Linear(3, 2), None, "model"])
def test_only_a_row_of_modules_is_accepted(model):
    with pytest.raises(TypeError, match=r"model must be a Sequential, got "):
        signals(model, X, MSELoss(), X)

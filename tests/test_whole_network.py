"""The fast differences of a whole network are the plain ones, for every model and every loss."""

import copy

import numpy as np
import pytest
from helpers import examples, randomise
from hypothesis import given
from hypothesis import strategies as st

from gradnb import (
    RNN,
    BatchNorm1d,
    CrossEntropyLoss,
    LastStep,
    LeakyReLU,
    Linear,
    Module,
    MSELoss,
    PReLU,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
    mlp,
    numerical_gradient,
    numerical_gradients,
    whole_network,
)
from gradnb.chain import Chain


def problem(model, loss=CrossEntropyLoss, features=5, outputs=3, batch=6, dtype=float):
    rng = np.random.default_rng(batch)
    randomise(model, rng)
    for p in model.parameters():
        p.data *= 0.5
    x = rng.normal(size=(batch, features)).astype(dtype)
    if issubclass(loss, CrossEntropyLoss):
        return model, loss(), x, rng.integers(outputs, size=batch)
    return model, loss(), x, rng.normal(size=(batch, outputs)).astype(dtype)


def agrees(model, loss, x, y, eps=None, tol=1e-9):
    """Hold the fast gradients against the definition, and demand that nothing has changed."""
    before = {name: p.data.copy() for name, p in model.named_parameters()}
    fast = numerical_gradients(model, loss, x, y, eps=eps)
    assert list(fast) == list(before)
    parameters = dict(model.named_parameters())
    for name, p in parameters.items():
        assert np.array_equal(p.data, before[name]), f"{name} has changed"
    plain = {
        name: numerical_gradient(lambda _: loss(model(x.copy()), y), p.data, eps)
        for name, p in parameters.items()
    }
    scale = max(0.3, *(np.abs(gradient).max() for gradient in plain.values()))
    for name, gradient in plain.items():
        assert fast[name].shape == gradient.shape
        assert fast[name].dtype == gradient.dtype
        assert np.abs(fast[name] - gradient).max() <= tol * scale, name


def taken(model, loss, x, y):
    """Return for each module in the row whether the short cut is taken."""
    chain = Chain(model, loss, x, y)
    return [chain.short_cut_applies(k) for k in range(len(chain.modules))]


ACTIVATIONS = [ReLU, Tanh, Sigmoid]


@pytest.mark.parametrize("loss", [CrossEntropyLoss, MSELoss])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [[5, 3], [5, 4, 3], [5, 4, 6, 3], [5, 4, 6, 2, 3], [5, 1, 3]])
@pytest.mark.parametrize("bias", [True, False])
def test_multilayer_perceptrons(sizes, activation, loss, bias):
    model = mlp(sizes, activation, bias=bias, rng=0)
    arguments = problem(model, loss)
    agrees(*arguments)
    assert taken(*arguments) == [type(module) is Linear for module in model]


@examples
@given(
    sizes=st.lists(st.integers(1, 7), min_size=2, max_size=5),
    activation=st.sampled_from(ACTIVATIONS),
    loss=st.sampled_from([CrossEntropyLoss, MSELoss]),
    batch=st.integers(1, 9),
    zeros=st.floats(0, 1),
    numbers=st.sampled_from([1, 50, 80_000]),
)
def test_any_net_any_batch_any_division(sizes, activation, loss, batch, zeros, numbers):
    model = mlp(sizes, activation, rng=0)
    model, loss, x, y = problem(model, loss, sizes[0], sizes[-1], batch)
    x *= np.random.default_rng(1).random(x.shape) >= zeros
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_network, "NUMBERS", numbers)
        agrees(model, loss, x, y)
        assert sum(taken(model, loss, x, y)) == len(sizes) - 1


def test_the_evaluations_are_few(monkeypatch):
    calls = []
    forward = Linear.forward
    monkeypatch.setattr(Linear, "forward", lambda self, x: calls.append(None) or forward(self, x))
    model, loss, x, y = problem(mlp([5, 4, 3], rng=0))
    numerical_gradients(model, loss, x, y)
    assert len(calls) < 20  # 78 by the definition


def test_the_steps_are_those_of_the_definition():
    model, loss, x, y = problem(mlp([5, 4, 3], Tanh, rng=0), MSELoss)
    model[0].weight.data *= 40  # so that the steps differ
    for eps in (None, 1e-2, 0.3):
        agrees(model, loss, x, y, eps, tol=1e-8)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("distance", [0.0, 1e-6, -1e-6])
def test_a_kink_that_is_crossed_to_one_side_only(distance, sign):
    model, loss, x, y = problem(mlp([5, 4, 3], ReLU, rng=0))
    x[0] = sign
    model[0].bias.data += distance - model[0](x)[0]
    agrees(model, loss, x, y)


def test_float32_stays_float32():
    model, loss, x, y = problem(mlp([5, 4, 3], Tanh, rng=0, dtype=np.float32), dtype=np.float32)
    agrees(model, loss, x, y, tol=1e-3)
    assert all(taken(model, loss, x, y)[::2])


def test_a_bias_of_another_type():
    model, loss, x, y = problem(mlp([5, 4, 3], Tanh, rng=0), MSELoss)
    model[0].bias.data = model[0].bias.data.astype(np.float32)
    agrees(model, loss, x, y, tol=1e-6)
    assert not taken(model, loss, x, y)[0]


def test_a_sequential_that_does_more_than_its_modules(monkeypatch):
    forward = Sequential.forward
    monkeypatch.setattr(Sequential, "forward", lambda self, x: forward(self, x) * 2)
    agrees(*problem(mlp([5, 4, 3], Tanh, rng=0), MSELoss))


def test_weights_and_data_of_other_memory_orders():
    model, loss, x, y = problem(mlp([5, 4, 3], Tanh, rng=0), MSELoss)
    model[0].weight.data = np.asfortranarray(model[0].weight.data)
    model[2].weight.data = model[2].weight.data[:, ::-1]
    agrees(model, loss, x[::-1], np.asfortranarray(y))


# Where the short cut must not be taken, or only for some


class Scaled(Module):
    """Elementwise, but unknown."""

    def forward(self, x):
        return 1.5 * x


class MixesRows(Module):
    def forward(self, x):
        return x - x.mean(axis=0)


class Transposed(Module):
    """Use the weight of another layer, which it does not register."""

    def __init__(self, layer):
        self.hidden = (layer,)

    def forward(self, x):
        return x @ self.hidden[0].weight.data.T


class LinearSquared(Linear):
    def forward(self, x):
        return super().forward(x) ** 2


class Twice(Sequential):
    def forward(self, x):
        return super().forward(x) * 2


class Writes(Module):
    def forward(self, x):
        x *= 0.5
        return x.copy()


class WithPenalty(MSELoss):
    def __call__(self, prediction, target):
        return super().__call__(prediction, target) ** 2


def shared():
    first, second = Linear(5, 5, rng=0), Linear(5, 5, rng=1)
    second.weight = first.weight
    return Sequential(first, Tanh(), second, Tanh(), Linear(5, 3, rng=2))


def shared_memory():
    first, second = Linear(5, 5, rng=0), Linear(5, 5, rng=1)
    second.bias.data = first.weight.data[0]
    return Sequential(first, Tanh(), second, Tanh(), Linear(5, 3, rng=2))


def tied():
    last = Linear(5, 3, rng=0)
    return Sequential(Linear(5, 3, rng=1), Transposed(last), last)


def patched(forward):
    model = mlp([5, 4, 3], Tanh, rng=0)
    layer = model[0]
    layer.forward = lambda x: forward(layer, x)
    return model


def patched_activation():
    model = mlp([5, 4, 3], Tanh, rng=0)
    model[1].forward = lambda x: x / np.sqrt(1 + np.sum(x**2))
    return model


MODELS = {
    "nested": (lambda: Sequential(mlp([5, 4], rng=0), Tanh(), mlp([4, 2, 3], rng=0)), "10101"),
    "a parameter that the layer itself has": (
        lambda: Sequential(*mlp([5, 4], rng=0), PReLU(4), *mlp([4, 2, 3], rng=0)),
        "00101",
    ),
    "normalised": (
        lambda: Sequential(Linear(5, 4, rng=0), BatchNorm1d(4), ReLU(), Linear(4, 3, rng=0)),
        "0001",
    ),
    "leaky": (
        lambda: Sequential(Linear(5, 4, rng=0), LeakyReLU(0.2), Linear(4, 3, rng=0)),
        "101",
    ),
    "unknown in front": (lambda: Sequential(Scaled(), *mlp([5, 4, 3], rng=0)), "0000"),
    "unknown in between": (
        lambda: Sequential(*mlp([5, 4], rng=0), Scaled(), *mlp([4, 6, 3], rng=0)),
        "00000",
    ),
    "unknown behind": (lambda: Sequential(*mlp([5, 4, 3], rng=0), Scaled()), "0000"),
    "rows matter to each other": (
        lambda: Sequential(Linear(5, 4, rng=0), MixesRows(), Linear(4, 3, rng=0)),
        "000",
    ),
    "shared": (shared, "00001"),
    "shared memory": (shared_memory, "00001"),
    "tied": (tied, "000"),
    "a subclass": (lambda: Sequential(Linear(5, 4, rng=0), LinearSquared(4, 3, rng=0)), "00"),
    "a subclass of Sequential": (lambda: Twice(*mlp([5, 4, 3], rng=0)), "0"),
    "writes into its input": (lambda: Sequential(Writes(), *mlp([5, 4, 3], rng=0)), "0000"),
    "a replaced forward": (
        lambda: patched(lambda layer, x: x @ (2 * layer.weight.data) + layer.bias.data),
        "000",
    ),
    "a replaced activation": (patched_activation, "000"),
    "only unknown": (lambda: LinearSquared(5, 3, rng=0), "0"),
    "no activation": (lambda: Sequential(Linear(5, 4, rng=0), Linear(4, 3, rng=1)), "11"),
    "activation last": (lambda: Sequential(Linear(5, 3, rng=0), Tanh(), ReLU(), Sigmoid()), "1000"),
    "activation first": (lambda: Sequential(Tanh(), Linear(5, 3, rng=0)), "01"),
}


@pytest.mark.parametrize("loss", [CrossEntropyLoss, MSELoss])
@pytest.mark.parametrize("name", MODELS)
def test_models_of_every_structure(name, loss):
    build, expected = MODELS[name]
    arguments = problem(build(), loss)
    agrees(*arguments)
    assert taken(*arguments) == [place == "1" for place in expected]


def test_an_unknown_loss():
    arguments = problem(mlp([5, 4, 3], Tanh, rng=0), WithPenalty)
    agrees(*arguments)
    assert not any(taken(*arguments))
    model, loss, x, y = problem(mlp([5, 4, 3], Tanh, rng=0), MSELoss)
    agrees(model, lambda p, t: loss(p, t) + np.sum(model[0].weight.data ** 2), x, y)


@pytest.mark.parametrize(
    ("owner", "method", "wrong"),
    [
        (Linear, "forward", lambda self, x: x @ self.weight.data**2),
        (Linear, "forward", lambda self, x: np.sin(x) @ self.weight.data + self.bias.data),
        (Linear, "forward", lambda self, x: x @ self.weight.data + self.bias.data**2),
        (Tanh, "forward", lambda self, x: x / (1 + np.abs(x).max())),
        (Tanh, "forward", lambda self, x: np.cumsum(x, axis=1)),
        (Tanh, "forward", lambda self, x: np.cumsum(x, axis=0)),
        (MSELoss, "__call__", lambda self, p, t: float(np.mean(np.abs(p - t)))),
        (MSELoss, "per_example", lambda self, p, t: np.mean(np.abs(p - t), axis=1)),
    ],
)
def test_a_class_that_does_not_do_what_it_promises(monkeypatch, owner, method, wrong):
    arguments = problem(mlp([5, 4, 3], Tanh, rng=0), MSELoss)
    assert any(taken(*arguments))
    monkeypatch.setattr(owner, method, wrong)
    agrees(*arguments)
    assert not taken(*arguments)[0]


def test_inputs_that_are_no_matrix():
    """Elementwise layers take any shape, and then there is no Linear behind them."""
    for shape in [(4,), (2, 3, 4)]:
        assert numerical_gradients(Tanh(), MSELoss(), np.ones(shape), np.ones(shape)) == {}


# What is left behind


@pytest.mark.parametrize("call", [1, 2, 3, 5, 40, None])
@pytest.mark.parametrize("known", [True, False])
def test_everything_is_as_before_whatever_happens(monkeypatch, call, known):
    model, loss, x, y = problem(mlp([5, 4, 3], Tanh, rng=0), MSELoss if known else WithPenalty)
    calls = []

    def failing(method):
        def wrapped(*arguments):
            calls.append(None)
            if len(calls) == call:
                raise KeyError("midway")
            return method(*arguments)

        return wrapped

    for name in ("__call__", "per_example"):
        monkeypatch.setattr(MSELoss, name, failing(getattr(MSELoss, name)))
    for p in model.parameters():
        p.grad += np.random.default_rng(0).normal(size=p.shape)
    before = [(p, p.data, p.data.copy(), p.grad, p.grad.copy()) for p in model.parameters()]
    x_before, y_before = x.copy(), y.copy()
    if call is not None and (call <= 10 or not known):
        with pytest.raises(KeyError, match="midway"):
            numerical_gradients(model, loss, x, y)
    else:
        numerical_gradients(model, loss, x, y)
    for p, data, data_before, grad, grad_before in before:
        assert p.data is data
        assert p.grad is grad
        assert np.array_equal(data, data_before)
        assert np.array_equal(grad, grad_before)
    assert np.array_equal(x, x_before)
    assert np.array_equal(y, y_before)


@pytest.mark.parametrize("loss", [MSELoss, WithPenalty])
def test_a_backward_may_follow_as_if_nothing_had_happened(loss):
    model, loss, x, y = problem(mlp([5, 4, 3], Tanh, rng=0), loss)
    loss(model(x), y)
    expected = model.backward(loss.backward())
    loss(model(x), y)
    numerical_gradients(model, loss, x[:2], y[:2])
    assert np.array_equal(model.backward(loss.backward()), expected)


def test_a_model_that_has_seen_nothing_still_remembers_nothing():
    model, loss, x, y = problem(mlp([5, 4, 3], Tanh, rng=0))
    numerical_gradients(model, loss, x, y)
    with pytest.raises(RuntimeError, match="before forward"):
        model.backward(np.ones((6, 3)))


def test_buffers_are_put_back():
    class Counts(Module):
        """A module with a buffer that it changes in place and one that it replaces."""

        def __init__(self):
            self.count, self.mean = np.zeros(1), np.zeros(1)

        def forward(self, x):
            self.count += 1
            self.mean = self.mean + x.mean()
            return x * 1.0

        def state_dict(self):
            return {"count": self.count.copy()}

        def load_state_dict(self, state):
            self.count[...] = state["count"]

    module = Counts()
    count, mean = module.count, module.mean
    numerical_gradients(module, MSELoss(), np.ones((2, 2)), np.ones((2, 2)))
    assert module.count is count
    assert module.mean is mean
    assert count == mean == 0


def normalised():
    return Sequential(Linear(3, 4, rng=0), BatchNorm1d(4), Residual(Linear(4, 4, rng=1), Tanh()))


def recurrent():
    return Sequential(RNN(3, 3, rng=0), LastStep(), PReLU(3), BatchNorm1d(3), Linear(3, 4, rng=2))


@pytest.mark.parametrize("raise_after", [None, 1, 2, 3, 20])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("build", [normalised, recurrent])
def test_statistics_modes_and_memories_are_as_before(build, training, raise_after):
    class Failing(MSELoss):
        calls = 0

        def __call__(self, prediction, target):
            Failing.calls += 1
            if Failing.calls == raise_after:
                raise KeyError("midway")
            return super().__call__(prediction, target)

    rng = np.random.default_rng(0)
    model, loss = randomise(build(), rng), MSELoss()
    shape = (5, 3) if build is normalised else (5, 2, 3)
    x, y = rng.normal(size=shape), rng.normal(size=(5, 4))
    model(x)
    model[1 if build is normalised else 3].train(training)
    modes = {name: module.training for name, module in model.named_modules()}
    loss(model(x), y)
    buffers = {name: (buffer, buffer.copy()) for name, buffer in model.named_buffers()}
    expected = model.backward(loss.backward())
    if raise_after is None:
        agrees_with_backward(numerical_gradients(model, loss, x[::-1], y), model, x[::-1], y)
    else:
        with pytest.raises(KeyError, match="midway"):
            numerical_gradients(model, Failing(), x[::-1], y)
    assert buffers
    for name, buffer in model.named_buffers():
        assert buffer is buffers[name][0]
        assert np.array_equal(buffer, buffers[name][1])
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert np.array_equal(model.backward(loss.backward()), expected)


def agrees_with_backward(gradients, model, x, y):
    other, loss = copy.deepcopy(model), MSELoss()
    other.zero_grad()
    loss(other(x), y)
    other.backward(loss.backward())
    for name, p in other.named_parameters():
        np.testing.assert_allclose(gradients[name], p.grad, atol=1e-7)


# Errors


def test_errors():
    model, loss, x, y = problem(mlp([5, 4, 3], rng=0), MSELoss)
    with pytest.raises(TypeError, match="x must hold floating-point numbers, got dtype int64"):
        numerical_gradients(model, loss, np.ones((6, 5), int), y)
    with pytest.raises(ValueError, match=r"x must be finite, got nan at index \(0, 1\)"):
        numerical_gradients(model, loss, np.where(np.arange(5) == 1, np.nan, x), y)
    for eps, error, message in [
        (0, ValueError, "eps must be positive, got 0"),
        ("1", TypeError, "eps must be a number, got '1'"),
        (1e-20, ValueError, r"eps=1e-20 is too small to change 0.weight\[0, 0\] = "),
    ]:
        with pytest.raises(error, match=message):
            numerical_gradients(model, loss, x, y, eps=eps)
    model[2].bias.data[1] = np.inf
    with pytest.raises(ValueError, match=r"2.bias must be finite, got inf at index \(1,\)"):
        numerical_gradients(model, loss, x, y)
    model[2].bias.data[1] = 0
    model[2].bias.data.flags.writeable = False
    with pytest.raises(ValueError, match=r"2.bias must be writeable, .* got a read-only array"):
        numerical_gradients(model, loss, x, y)


class NoModule:
    def __call__(self, x):
        return x


@pytest.mark.parametrize(
    ("model", "got"),
    [
        (None, r"None \(NoneType\)"),
        (np.tanh, "<ufunc 'tanh'>"),
        (Tanh, "the class Tanh itself"),
        (NoModule(), "NoModule object"),
    ],
)
def test_what_is_no_model(model, got):
    with pytest.raises(TypeError, match=f"model must be a Module, got .*{got}"):
        numerical_gradients(model, MSELoss(), np.ones((2, 2)), np.ones((2, 2)))


@pytest.mark.parametrize(
    ("loss", "got"),
    [(None, "None"), ("mse", "'mse'"), (MSELoss, "the class MSELoss itself"), (3, "3")],
)
def test_what_is_no_loss(loss, got):
    with pytest.raises(TypeError, match=rf"loss must be a callable .*float.* got {got}"):
        numerical_gradients(Linear(2, 2), loss, np.ones((2, 2)), np.ones((2, 2)))


def test_a_loss_must_return_a_number():
    for loss, error, message in [
        (lambda p, t: p - t, ValueError, r"loss must return a single number, .* shape \(2, 2\)"),
        (lambda p, t: None, TypeError, "loss must return a real number, got None"),
    ]:
        with pytest.raises(error, match=message):
            numerical_gradients(Linear(2, 2), loss, np.ones((2, 2)), np.ones((2, 2)))

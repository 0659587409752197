"""The recurrent layer and the last step: values, gradients through time, extremes and errors."""

import re

import numpy as np
import pytest
from faults import RECURRENT, StepwiseRNN, build
from helpers import check_layer, close, examples, off_zero
from hypothesis import given
from hypothesis import strategies as st

from gradnb import (
    RNN,
    SGD,
    CrossEntropyLoss,
    LastStep,
    Linear,
    MSELoss,
    Sequential,
    Tanh,
    gradcheck,
    init,
    network,
    recurrent,
)
from gradnb.init import constant
from gradnb.numerical import GradcheckError

sizes = st.integers(1, 4)
steps = st.integers(2, 5)
seeds = st.integers(0, 2**32 - 1)


def randomise(module, rng):
    """Give every parameter random values, small enough that no tanh goes flat."""
    for p in module.parameters():
        p.data[...] = 0.4 * off_zero(rng, p.shape)
    return module


def classifier(rng):
    return randomise(Sequential(RNN(3, 4), LastStep(), Linear(4, 2)), rng)


@examples
@given(batch=sizes, time=steps, n_in=sizes, n=sizes, bias=st.booleans(), seed=seeds)
def test_rnn_gradients(batch, time, n_in, n, bias, seed):
    rng = np.random.default_rng(seed)
    layer = randomise(RNN(n_in, n, bias=bias), rng)
    check_layer(layer, off_zero(rng, (batch, time, n_in)), rng)


@examples
@given(batch=sizes, time=steps, n_in=sizes, n=sizes, seed=seeds)
def test_rnn_agrees_with_the_formulas_step_by_step(batch, time, n_in, n, seed):
    rng = np.random.default_rng(seed)
    layer, plain = RNN(n_in, n), StepwiseRNN(n_in, n)
    plain.load_state_dict(randomise(layer, rng).state_dict())
    x, g = off_zero(rng, (batch, time, n_in)), rng.normal(size=(batch, time, n))
    assert np.array_equal(layer(x), plain(x))
    close(layer.backward(g), plain.backward(g), "input", tol=1e-13)
    for (name, p), q in zip(layer.named_parameters(), plain.parameters(), strict=True):
        close(p.grad, q.grad, name, tol=1e-13)


@examples
@given(batch=sizes, time=st.integers(1, 5), features=sizes, seed=seeds)
def test_last_step_gradients(batch, time, features, seed):
    rng = np.random.default_rng(seed)
    check_layer(LastStep(), off_zero(rng, (batch, time, features)), rng)


def test_gradients_of_a_classifier_and_of_stacked_layers():
    rng = np.random.default_rng(0)
    check_layer(classifier(rng), off_zero(rng, (5, 4, 3)), rng)
    stacked = randomise(Sequential(RNN(3, 4), RNN(4, 2)), rng)
    check_layer(stacked, off_zero(rng, (5, 4, 3)), rng)


def test_gradcheck_of_a_classifier():
    rng = np.random.default_rng(1)
    model, x = classifier(rng), off_zero(rng, (5, 6, 3))
    report = gradcheck(model, CrossEntropyLoss(), x, np.array([0, 1, 1, 0, 1]))
    names = ["0.weight_ih", "0.weight_hh", "0.bias", "2.weight", "2.bias", "input"]
    assert list(report.errors) == names
    assert max(report.errors.values()) < 1e-7


def test_the_check_passes_the_layer_the_faults_are_built_on():
    rng = np.random.default_rng(2)
    for right in (RNN, StepwiseRNN, LastStep):
        x = off_zero(rng, (4, 4, 3))
        check_layer(build(right, rng), x, rng)
        assert gradcheck(build(right, rng), MSELoss(), x, np.zeros_like(build(right, rng)(x)))


@pytest.mark.parametrize("fault", RECURRENT)
def test_the_check_catches_planted_faults(fault):
    rng = np.random.default_rng(2)
    with pytest.raises(AssertionError, match=r"relative error|changed grad_output"):
        check_layer(build(fault, rng), off_zero(rng, (4, 4, 3)), rng)


@pytest.mark.parametrize("fault", RECURRENT)
def test_gradcheck_catches_planted_faults(fault):
    rng, criterion = np.random.default_rng(2), MSELoss()
    layer, x = build(fault, rng), off_zero(rng, (4, 4, 3))
    target = rng.normal(size=layer(x).shape)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(layer, criterion, x, target)
    if fault.__name__.endswith("InPlace"):
        assert "grad_output was modified in place" in str(caught.value)
    else:
        where = r"(weight_ih|weight_hh|bias|input)\[\d(, \d)*\]: analytic \S+, numeric \S+"
        assert re.search(where, str(caught.value))


def test_rnn_by_hand():
    """Two steps of one unit: h₁ = tanh(w x₁ + b) and h₂ = tanh(w x₂ + u h₁ + b)."""
    layer = RNN(1, 1)
    w, u, b, x1, x2, g1, g2 = 0.5, 2.0, 0.25, 1.0, -1.5, 3.0, -2.0
    for p, value in zip(layer.parameters(), (w, u, b), strict=True):
        p.data[...] = value
    h1 = np.tanh(w * x1 + b)
    h2 = np.tanh(w * x2 + u * h1 + b)
    np.testing.assert_allclose(layer(np.array([[[x1], [x2]]])), [[[h1], [h2]]], rtol=1e-15)
    delta2 = g2 * (1 - h2**2)
    delta1 = (g1 + u * delta2) * (1 - h1**2)
    grad_input = layer.backward(np.array([[[g1], [g2]]]))
    np.testing.assert_allclose(grad_input, [[[w * delta1], [w * delta2]]], rtol=1e-14)
    assert layer.weight_ih.grad.item() == pytest.approx(x1 * delta1 + x2 * delta2, rel=1e-14)
    assert layer.weight_hh.grad.item() == pytest.approx(h1 * delta2, rel=1e-14)
    assert layer.bias.grad.item() == pytest.approx(delta1 + delta2, rel=1e-14)


def test_last_step_by_hand():
    last, x = LastStep(), np.arange(12.0).reshape(2, 3, 2)
    y = last(x)
    assert y.tolist() == [[4, 5], [10, 11]]
    y += 1
    assert x[0, 2].tolist() == [4, 5], "the output is a view of the input"
    grad_input = last.backward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert grad_input.tolist() == [[[0, 0], [0, 0], [1, 2]], [[0, 0], [0, 0], [3, 4]]]


@pytest.mark.parametrize("bias", [True, False])
def test_a_single_step_is_a_linear_layer_and_a_tanh(bias):
    rng = np.random.default_rng(3)
    layer = randomise(RNN(3, 4, bias=bias), rng)
    linear, tanh = Linear(3, 4, bias=bias), Tanh()
    linear.weight.data[...] = layer.weight_ih.data
    if bias:
        linear.bias.data[...] = layer.bias.data
    x, g = off_zero(rng, (5, 1, 3)), rng.normal(size=(5, 1, 4))
    close(layer(x)[:, 0], tanh(linear(x[:, 0])), "output", tol=1e-15)
    close(layer.backward(g)[:, 0], linear.backward(tanh.backward(g[:, 0])), "input", tol=1e-14)
    close(layer.weight_ih.grad, linear.weight.grad, "weight_ih", tol=1e-14)
    assert not layer.weight_hh.grad.any()


def test_steps_see_the_past_and_not_the_future():
    rng = np.random.default_rng(4)
    layer, x = randomise(RNN(2, 3), rng), off_zero(rng, (1, 5, 2))
    h, changed = layer(x), x.copy()
    changed[:, 2] += 1
    same = np.all(layer(changed) == h, axis=(0, 2))
    assert same.tolist() == [True, True, False, False, False]
    g = np.zeros((1, 5, 3))
    g[:, 2] = 1
    assert np.any(layer.backward(g), axis=(0, 2)).tolist() == [True, True, True, False, False]


def test_every_call_starts_from_a_state_of_zero():
    rng = np.random.default_rng(5)
    layer, x = randomise(RNN(2, 3), rng), off_zero(rng, (2, 4, 2))
    first = layer(x)
    layer(-2 * x)
    assert np.array_equal(layer(x), first)
    assert np.array_equal(layer(x[1:]), first[1:]), "an example depends on its batch"


def test_backward_belongs_to_the_last_forward_and_adds():
    rng = np.random.default_rng(6)
    layer = randomise(RNN(2, 3), rng)
    x, g = off_zero(rng, (2, 4, 2)), rng.normal(size=(2, 4, 3))
    layer(x)
    grad_input = layer.backward(g)
    once = {name: (p.grad, p.grad.copy()) for name, p in layer.named_parameters()}
    layer(-2 * x[:, :3])
    layer(x)
    assert np.array_equal(layer.backward(g), grad_input)
    for name, p in layer.named_parameters():
        same, before = once[name]
        assert p.grad is same
        close(p.grad, 2 * before, name, tol=1e-15)


def test_a_shared_weight_is_listed_once_and_its_gradients_add():
    rng = np.random.default_rng(7)
    shared = randomise(Sequential(RNN(3, 3), RNN(3, 3)), rng)
    apart = Sequential(RNN(3, 3), RNN(3, 3))
    shared[1].weight_hh = shared[0].weight_hh
    assert "1.weight_hh" not in dict(shared.named_parameters())
    state = shared.state_dict()
    apart.load_state_dict(state | {"1.weight_hh": state["0.weight_hh"]})
    x, g = off_zero(rng, (2, 4, 3)), rng.normal(size=(2, 4, 3))
    for model in (shared, apart):
        model(x)
        model.backward(g)
    both = apart[0].weight_hh.grad + apart[1].weight_hh.grad
    close(shared[0].weight_hh.grad, both, "weight_hh", tol=1e-14)


def test_it_learns_what_only_the_first_step_tells():
    """Without the gradient through time, W_hh could not learn to carry the sign to the end."""
    rng = np.random.default_rng(8)
    x = rng.normal(0, 0.1, size=(64, 8, 1))
    target = rng.integers(2, size=64)
    x[:, 0, 0] = 2.0 * target - 1
    model = Sequential(RNN(1, 8, rng=rng), LastStep(), Linear(8, 2, rng=rng))
    optimizer, criterion = SGD(model.parameters(), lr=0.2), CrossEntropyLoss()
    for _ in range(300):
        optimizer.zero_grad()
        loss = criterion(model(x), target)
        model.backward(criterion.backward(), input_grad=False)
        optimizer.step()
    assert loss < 0.05  # guessing gives log 2 = 0.69


def test_attributes_and_names():
    layer = RNN(3, 8, rng=0)
    assert [(name, p.shape) for name, p in layer.named_parameters()] == [
        ("weight_ih", (3, 8)),
        ("weight_hh", (8, 8)),
        ("bias", (8,)),
    ]
    assert (layer.input_size, layer.hidden_size) == (3, 8)
    assert not layer.bias.data.any()
    assert {p.data.dtype for p in layer.parameters()} == {np.dtype(float)}
    assert RNN(3, 8, bias=False).bias is None
    assert [*map(repr, (layer, RNN(3, 8, bias=False), LastStep()))] == [
        "RNN(3, 8)",
        "RNN(3, 8, bias=False)",
        "LastStep()",
    ]
    assert network.RNN is recurrent.RNN is RNN
    assert network.LastStep is recurrent.LastStep is LastStep


def test_weights_come_from_the_generator_and_the_initialisers():
    first, again = RNN(3, 4, rng=7), RNN(3, 4, rng=np.random.default_rng(7))
    assert np.array_equal(first.weight_ih.data, again.weight_ih.data)
    assert np.array_equal(first.weight_hh.data, again.weight_hh.data)
    rng = np.random.default_rng(7)
    assert np.array_equal(first.weight_ih.data, init.glorot_normal((3, 4), rng))
    assert np.array_equal(first.weight_hh.data, init.glorot_normal((4, 4), rng))
    assert not np.array_equal(first.weight_hh.data, RNN(3, 4).weight_hh.data)
    layer = RNN(2, 3, init=constant(1), hidden_init=constant(2))
    assert layer.weight_ih.data.tolist() == [[1] * 3] * 2
    assert layer.weight_hh.data.tolist() == [[2] * 3] * 3
    eye = np.eye(2)
    first, second = (RNN(2, 2, init=lambda s, r: eye, hidden_init=lambda s, r: eye) for _ in "ab")
    first.weight_ih.data += 1
    for untouched in (first.weight_hh.data, second.weight_ih.data, second.weight_hh.data, eye):
        assert untouched.tolist() == [[1, 0], [0, 1]]


def test_the_default_hidden_weights_keep_the_length_of_an_error_on_average():
    rng = np.random.default_rng(9)
    error = rng.normal(size=16)
    lengths = [np.sum((error @ RNN(1, 16, rng=rng).weight_hh.data.T) ** 2) for _ in range(2000)]
    assert np.mean(lengths) == pytest.approx(np.sum(error**2), rel=0.04)  # deviates by 0.8 %


def test_float32_stays_float32():
    x = np.ones((2, 4, 3), np.float32)
    rnn, last = RNN(3, 5, rng=0, dtype=np.float32), LastStep()
    h = rnn(x)
    y = last(h)
    g = last.backward(np.ones_like(y))
    grad_input = rnn.backward(g)
    assert {a.dtype for a in (h, y, g, grad_input)} == {np.dtype(np.float32)}
    assert {p.data.dtype for p in rnn.parameters()} == {np.dtype(np.float32)}
    assert {p.grad.dtype for p in rnn.parameters()} == {np.dtype(np.float32)}


def test_a_narrower_input_is_widened():
    rnn, x = RNN(3, 5, rng=0), np.ones((2, 4, 3), np.float32)
    h = rnn(x)
    assert h.dtype == rnn.backward(np.ones((2, 4, 5), np.float32)).dtype == np.float64
    assert np.array_equal(h, rnn(x.astype(float)))


def test_non_contiguous_arrays():
    rng = np.random.default_rng(10)
    layer = randomise(RNN(3, 4), rng)
    x = off_zero(rng, (4, 12, 6))[::2, ::-3, ::2]
    g = np.asfortranarray(rng.normal(size=(2, 4, 4)))
    results = []
    for a, b in ((x, g), (x.copy(order="C"), g.copy(order="C"))):
        layer.zero_grad()
        results.append((layer(a), layer.backward(b), *(p.grad.copy() for p in layer.parameters())))
    for strided, plain in zip(*results, strict=True):
        close(strided, plain, "strided", tol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_inputs_give_finite_results(dtype):
    rng = np.random.default_rng(11)
    layer = randomise(RNN(3, 4, dtype=dtype), rng)
    x = (1e8 * off_zero(rng, (2, 5, 3))).astype(dtype)
    with np.errstate(all="raise", under="ignore"):
        h = layer(x)
        grad_input = layer.backward(np.ones_like(h))
    assert np.array_equal(np.abs(h), np.ones_like(h))
    assert not grad_input.any(), "tanh is flat there"
    assert not any(p.grad.any() for p in layer.parameters())


def test_an_exploding_gradient_is_shown_and_not_repaired():
    """In the linear range every step multiplies by W_hh, and 100²⁰⁰ is no float64."""
    layer = RNN(1, 1, init=constant(1), hidden_init=constant(100))
    x, g = np.zeros((1, 201, 1)), np.zeros((1, 201, 1))
    g[:, -1] = 1
    layer(x)
    with np.errstate(all="ignore"):
        grad_input = layer.backward(g)
    assert grad_input[0, -3:, 0].tolist() == [1e4, 1e2, 1]
    assert np.isposinf(grad_input[0, 0, 0])
    assert np.isposinf(layer.bias.grad.item())
    assert np.isnan(layer.weight_hh.grad.item())  # the states are 0, and 0 · inf is nan


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_passed_on(bad):
    layer, x = RNN(2, 3, rng=0), np.ones((1, 3, 2))
    x[0, 1, 0] = bad
    with np.errstate(all="ignore"):
        h = layer(x)
        layer.backward(np.ones_like(h))
    assert np.isfinite(h[0, 0]).all()
    assert np.isnan(h[0, 1]).all() == np.isnan(bad)
    assert not np.isfinite(layer.weight_ih.grad[0]).any()


def test_a_gradient_that_is_not_finite_reaches_all_earlier_steps():
    layer, g = RNN(2, 3, rng=0), np.ones((2, 4, 3))
    layer(np.ones((2, 4, 2)))
    g[0, 2, 1] = np.nan
    finite = np.isfinite(layer.backward(g)).all(axis=2)
    assert finite.tolist() == [[False, False, False, True], [True] * 4]
    assert not any(np.isfinite(p.grad).all() for p in layer.parameters())


def test_an_empty_batch():
    layer = RNN(2, 3)
    assert layer(np.ones((0, 4, 2))).shape == (0, 4, 3)
    assert layer.backward(np.ones((0, 4, 3))).shape == (0, 4, 2)
    assert not any(p.grad.any() for p in layer.parameters())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 2), ValueError, "input_size must be at least 1, got 0"),
        ((2, -1), ValueError, "hidden_size must be at least 1, got -1"),
        ((2.0, 1), TypeError, r"input_size must be an integer, got 2\.0 \(float\)"),
        ((2, "3"), TypeError, "hidden_size must be an integer, got '3'"),
        ((True, 3), TypeError, "input_size must be an integer, got True"),
    ],
)
def test_sizes(arguments, error, message):
    with pytest.raises(error, match=message):
        RNN(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"init": constant(1)((3, 3), None)}, TypeError, "^init must be a callable"),
        ({"hidden_init": 0.1}, TypeError, r"^hidden_init must be a callable .* got 0\.1"),
        ({"init": lambda s, r: np.ones(3)}, ValueError, r"^init must .*\(2, 3\), got \(3,\)"),
        (
            {"hidden_init": lambda s, r: np.ones((2, 3))},
            ValueError,
            r"^hidden_init must return an array of shape \(3, 3\), got \(2, 3\)",
        ),
        ({"bias": "no"}, TypeError, "bias must be True or False, got 'no'"),
        ({"rng": "seed"}, TypeError, "rng must be .* got 'seed'"),
        ({"rng": -1}, ValueError, "rng must be .* got -1"),
        ({"dtype": int}, TypeError, "dtype must be a floating-point type, got .*int"),
    ],
)
def test_options(options, error, message):
    with pytest.raises(error, match=message):
        RNN(2, 3, **options)


@pytest.mark.parametrize("layer", [RNN(2, 3), LastStep()])
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((4, 2)), ValueError, r"x must have shape \(batch, time, \w+\), got \(4, 2\)"),
        (np.zeros(2), ValueError, r"x must have shape \(batch, time, \w+\), got \(2,\)"),
        (np.zeros((1, 1, 4, 2)), ValueError, r"x must have shape .*, got \(1, 1, 4, 2\)"),
        (np.zeros((4, 0, 2)), ValueError, r"x must have at least one time step, .* \(4, 0, 2\)"),
        (np.zeros((4, 5, 2), int), TypeError, "x must hold floating-point numbers, got .*int64"),
        (np.zeros((4, 5, 2), complex), TypeError, "x must hold .* got dtype complex128"),
        ([[[1.0, 2.0]]], TypeError, "x must be a NumPy array, got list"),
    ],
)
def test_input(layer, x, error, message):
    with pytest.raises(error, match=message):
        layer(x)


def test_rnn_refuses_other_features_and_a_wider_type():
    with pytest.raises(ValueError, match=r"x must have shape \(batch, time, 2\), got \(4, 5, 3\)"):
        RNN(2, 3)(np.zeros((4, 5, 3)))
    with pytest.raises(TypeError, match="x has dtype float64, wider than the weights, float32"):
        RNN(2, 3, dtype=np.float32)(np.zeros((4, 5, 2)))


@pytest.mark.parametrize(
    ("layer", "shape"), [(RNN(2, 3, dtype=np.float32), (4, 5, 3)), (LastStep(), (4, 2))]
)
def test_backward_refuses_what_does_not_belong_to_forward(layer, shape):
    name = type(layer).__name__
    with pytest.raises(RuntimeError, match=f"{name}.backward was called before forward"):
        layer.backward(np.zeros(shape, np.float32))
    layer(np.ones((4, 5, 2), np.float32))
    for wrong in ((4, 5, 2), (4, 1, 3), (4, 3), (1,)):
        expected = (
            rf"grad_output .* the output, {re.escape(str(shape))}, got {re.escape(str(wrong))}"
        )
        with pytest.raises(ValueError, match=expected):
            layer.backward(np.ones(wrong, np.float32))
    with pytest.raises(TypeError, match=r"grad_output must hold floating-point .* int64"):
        layer.backward(np.ones(shape, dtype=int))
    with pytest.raises(TypeError, match="grad_output must be a NumPy array, got list"):
        layer.backward(np.ones(shape).tolist())
    with pytest.raises(TypeError, match="grad_output has dtype float64, wider than the output"):
        layer.backward(np.ones(shape))
    assert not any(p.grad.any() for p in layer.parameters())

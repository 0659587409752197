"""The layers: values, gradients, extremes, types and errors; and that the check can fail."""

import numpy as np
import pytest
from faults import LAYERS, build
from helpers import check_layer, close, examples, off_zero, randomise
from hypothesis import given
from hypothesis import strategies as st

from gradnb import Linear, ReLU, Sigmoid, Tanh
from gradnb.init import constant
from gradnb.init import normal as gradnb_normal

ACTIVATIONS = [ReLU, Sigmoid, Tanh]
sizes = st.integers(1, 5)
seeds = st.integers(0, 2**32 - 1)


@examples
@given(batch=sizes, n_in=sizes, n_out=sizes, bias=st.booleans(), seed=seeds)
def test_linear_gradients(batch, n_in, n_out, bias, seed):
    rng = np.random.default_rng(seed)
    layer = randomise(Linear(n_in, n_out, bias=bias, rng=rng), rng)
    check_layer(layer, off_zero(rng, (batch, n_in)), rng)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@examples
@given(shape=st.lists(sizes, min_size=1, max_size=3), seed=seeds)
def test_activation_gradients(activation, shape, seed):
    rng = np.random.default_rng(seed)
    x = off_zero(rng, tuple(shape))
    x.flat[0] = 1.0  # with none above 0, ReLU's gradient is all zeros and checks nothing
    check_layer(activation(), x, rng)


@pytest.mark.parametrize("fault", LAYERS)
def test_the_check_catches_planted_faults(fault):
    rng = np.random.default_rng(3)
    with pytest.raises(AssertionError):
        check_layer(build(fault, rng), off_zero(rng, (4, 3)), rng)


def test_linear_by_hand():
    layer = Linear(2, 3)
    layer.weight.data[...] = [[1, 2, 3], [4, 5, 6]]
    layer.bias.data[...] = [10, 20, 30]
    x = np.array([[1.0, 2.0], [3.0, -1.0]])
    assert layer(x).tolist() == [[19, 32, 45], [9, 21, 33]]
    grad_input = layer.backward(np.array([[1.0, 0.0, 2.0], [-1.0, 1.0, 0.0]]))
    assert grad_input.tolist() == [[7, 16], [1, 1]]
    assert layer.weight.grad.tolist() == [[-2, 3, 2], [3, -1, 4]]
    assert layer.bias.grad.tolist() == [0, 1, 2]


def test_linear_attributes():
    layer = Linear(4, 2, rng=0)
    assert layer.weight.shape == (4, 2)
    assert layer.bias.shape == (2,)
    assert layer.bias.data.tolist() == [0, 0]
    assert (layer.in_features, layer.out_features) == (4, 2)
    assert layer.weight.data.dtype == layer.bias.data.dtype == np.float64
    assert Linear(4, 2, bias=False).bias is None
    assert [repr(Linear(4, 2)), repr(Linear(4, 2, bias=False))] == [
        "Linear(4, 2)",
        "Linear(4, 2, bias=False)",
    ]
    assert [repr(a()) for a in ACTIVATIONS] == ["ReLU()", "Sigmoid()", "Tanh()"]


def test_linear_draws_from_its_generator():
    first, again = Linear(3, 4, rng=7), Linear(3, 4, rng=np.random.default_rng(7))
    assert np.array_equal(first.weight.data, again.weight.data)
    assert not np.array_equal(first.weight.data, Linear(3, 4, rng=8).weight.data)
    assert not np.array_equal(Linear(3, 4).weight.data, Linear(3, 4).weight.data)
    he = np.random.default_rng(7).normal(0, np.sqrt(2 / 3), (3, 4))
    np.testing.assert_allclose(first.weight.data, he, rtol=1e-15)


def test_linear_owns_its_weight():
    shared = np.ones((2, 2))
    first, second = (Linear(2, 2, init=lambda shape, rng: shared) for _ in range(2))
    first.weight.data += 1
    assert second.weight.data.tolist() == shared.tolist() == [[1, 1], [1, 1]]


def test_linear_adds_gradients_in_place():
    layer = Linear(2, 2, rng=0)
    weight, bias = layer.weight.grad, layer.bias.grad
    x, g = np.array([[1.0, 2.0]]), np.array([[3.0, 5.0]])
    for _ in range(3):
        layer(x)
        layer.backward(g)
    assert weight is layer.weight.grad
    assert bias is layer.bias.grad
    assert weight.tolist() == [[9, 15], [18, 30]]
    assert bias.tolist() == [9, 15]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backward_belongs_to_the_last_forward(activation):
    layer, fresh = activation(), activation()
    x = np.array([[0.5, -0.25], [1.5, -2.0]])
    layer(-2 * x)
    layer(x)
    fresh(x)
    g = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert np.array_equal(layer.backward(g), fresh.backward(g))


def test_relu_slope_at_zero_is_zero():
    relu = ReLU()
    assert relu(np.array([-1.0, -0.0, 0.0, 3.0])).tolist() == [0, 0, 0, 3]
    assert relu.backward(np.array([2.0, 2.0, 2.0, 2.0])).tolist() == [0, 0, 0, 2]


def test_smooth_activations_against_their_formulas():
    x = np.linspace(-5, 5, 41)
    g = np.random.default_rng(0).normal(size=x.shape)
    sigmoid, tanh = Sigmoid(), Tanh()
    np.testing.assert_allclose(sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-14)
    np.testing.assert_allclose(
        sigmoid.backward(g), g * np.exp(-x) / (1 + np.exp(-x)) ** 2, rtol=1e-12
    )
    np.testing.assert_allclose(tanh(x), (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1), atol=1e-15)
    np.testing.assert_allclose(tanh.backward(g), g / np.cosh(x) ** 2, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_inputs_give_finite_and_right_results(dtype):
    """No warning either: the suite turns warnings into errors."""
    x = np.array([-1e8, -800, -90, -30, 0, 30, 90, 800, 1e8], dtype=dtype)
    with np.errstate(all="raise", under="ignore"):
        outputs, slopes = {}, {}
        for activation in ACTIVATIONS:
            layer = activation()
            outputs[activation] = layer(x)
            slopes[activation] = layer.backward(np.ones_like(x))
    tiny = np.finfo(dtype).eps
    for values in (*outputs.values(), *slopes.values()):
        assert values.dtype == dtype
        assert np.isfinite(values).all()
    assert outputs[Sigmoid][[0, 4, 8]].tolist() == [0, 0.5, 1]
    small = 1 / (1 + np.exp(30.0))
    np.testing.assert_allclose(outputs[Sigmoid][3], small, rtol=10 * tiny)
    np.testing.assert_allclose(slopes[Sigmoid][3], small * (1 - small), rtol=10 * tiny)
    assert slopes[Sigmoid][[0, 4, 8]].tolist() == [0, 0.25, 0]
    assert outputs[Tanh][[0, 4, 8]].tolist() == [-1, 0, 1]
    assert slopes[Tanh][[0, 4, 8]].tolist() == [0, 1, 0]
    assert outputs[ReLU][[0, 4, 8]].tolist() == [0, 0, dtype(1e8)]
    assert slopes[ReLU].tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_float32_stays_float32(activation):
    x = np.array([[0.5, -0.5]], dtype=np.float32)
    layer = Linear(2, 3, rng=0, dtype=np.float32)
    act = activation()
    y = act(layer(x))
    assert y.dtype == np.float32
    g = act.backward(np.ones_like(y))
    assert g.dtype == np.float32
    assert layer.backward(g).dtype == np.float32
    assert {p.data.dtype for p in layer.parameters()} == {np.dtype(np.float32)}
    assert {p.grad.dtype for p in layer.parameters()} == {np.dtype(np.float32)}


def test_a_narrower_input_is_widened():
    layer = Linear(2, 3, rng=0)
    x = np.array([[0.5, -0.25]], dtype=np.float32)
    y = layer(x)
    assert y.dtype == np.float64
    assert np.array_equal(y, layer(x.astype(np.float64)))
    layer.backward(np.ones((1, 3), dtype=np.float32))
    assert layer.weight.grad[:, 0].tolist() == [0.5, -0.25]


def test_non_contiguous_input():
    rng = np.random.default_rng(5)
    wide = off_zero(rng, (6, 8))
    layer = randomise(Linear(4, 3, rng=rng), rng)
    x, g = wide[::2, ::2], np.asfortranarray(rng.normal(size=(3, 3)))
    layer(x)
    close(layer.backward(g), g @ layer.weight.data.T, "input", tol=1e-14)
    close(layer.weight.grad, np.einsum("ni,no->io", x, g), "weight", tol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 2), ValueError, "in_features must be at least 1, got 0"),
        ((2, -1), ValueError, "out_features must be at least 1, got -1"),
        ((2.0, 1), TypeError, r"in_features must be an integer, got 2\.0 \(float\)"),
        ((2, "3"), TypeError, "out_features must be an integer, got '3'"),
        ((True, 3), TypeError, "in_features must be an integer, got True"),
    ],
)
def test_linear_sizes(arguments, error, message):
    with pytest.raises(error, match=message):
        Linear(*arguments)


def test_an_initialiser_is_given_a_generator():
    layer = Linear(2, 3, init=lambda shape, rng: rng.normal(size=shape), rng=5)
    assert np.array_equal(layer.weight.data, np.random.default_rng(5).normal(size=(2, 3)))


def test_the_weight_lies_row_after_row_whatever_an_initialiser_returns():
    layer = Linear(2, 3, init=lambda shape, rng: np.asfortranarray(np.ones(shape)))
    assert layer.weight.data.flags.c_contiguous


def test_numbers_and_flags_of_numpy_become_those_of_python():
    layer = Linear(np.int64(2), np.uint8(3), bias=np.True_)
    assert (type(layer.in_features), type(layer.out_features)) == (int, int)
    assert layer.bias.shape == (3,)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"init": lambda shape, rng: np.ones(3)}, ValueError, r"init .*\(2, 3\), got \(3,\)"),
        ({"init": 0.1}, TypeError, r"init must be a callable .* got 0\.1"),
        ({"init": lambda shape, rng: np.full(shape, None)}, TypeError, "init must .* dtype object"),
        ({"init": gradnb_normal}, TypeError, r"init: .* cannot draw an array of shape \(2, 3\): "),
        ({"init": lambda shape, rng: [[1.0], [2.0, 3.0]]}, ValueError, "init: .* cannot draw an"),
        ({"init": lambda shape, rng: np.full(shape, "1")}, TypeError, "init must .* dtype <U1"),
        ({"rng": True}, TypeError, "rng must be .* got True"),
        ({"bias": "no"}, TypeError, "bias must be True or False, got 'no'"),
        ({"dtype": None}, TypeError, "dtype must be a floating-point type, got None"),
        ({"rng": "seed"}, TypeError, "rng must be .* got 'seed'"),
        ({"rng": -1}, ValueError, "rng must be .* got -1"),
        ({"dtype": int}, TypeError, "dtype must be a floating-point type, got .*int"),
        ({"dtype": "nonsense"}, TypeError, "dtype must be a floating-point type, got 'nonsense'"),
    ],
)
def test_linear_options(options, error, message):
    with pytest.raises(error, match=message):
        Linear(2, 3, **options)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((4, 3)), ValueError, r"x must have shape \(batch, 2\), got \(4, 3\)"),
        (np.zeros(2), ValueError, r"x must have shape \(batch, 2\), got \(2,\)"),
        (np.zeros((1, 4, 2)), ValueError, r"x must have shape \(batch, 2\), got \(1, 4, 2\)"),
        (
            np.zeros((4, 2), dtype=int),
            TypeError,
            "x must hold floating-point numbers, got dtype int64",
        ),
        (np.zeros((4, 2), dtype=complex), TypeError, "x must hold .* got dtype complex128"),
        ([[1.0, 2.0]], TypeError, "x must be a NumPy array, got list"),
    ],
)
def test_linear_input(x, error, message):
    with pytest.raises(error, match=message):
        Linear(2, 3)(x)


def test_linear_refuses_an_input_wider_than_its_weight():
    with pytest.raises(TypeError, match="x has dtype float64, wider than the weight, float32"):
        Linear(2, 3, dtype=np.float32)(np.zeros((4, 2)))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_refuse_what_is_no_float_array(activation):
    with pytest.raises(TypeError, match="x must hold floating-point numbers, got dtype int64"):
        activation()(np.array([1, 2]))
    with pytest.raises(TypeError, match="x must be a NumPy array, got float"):
        activation()(1.0)


@pytest.mark.parametrize("layer", [Linear(2, 2, init=constant(1)), ReLU(), Sigmoid(), Tanh()])
def test_backward_refuses_what_does_not_belong_to_forward(layer):
    name = type(layer).__name__
    with pytest.raises(RuntimeError, match=f"{name}.backward was called before forward"):
        type(layer)(*[2, 2][: 2 * isinstance(layer, Linear)]).backward(np.zeros((3, 2)))
    layer(np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"grad_output .* the output, \(3, 2\), got \(1, 2\)"):
        layer.backward(np.zeros((1, 2)))
    with pytest.raises(TypeError, match=r"grad_output must hold floating-point .* int64"):
        layer.backward(np.zeros((3, 2), dtype=int))
    with pytest.raises(TypeError, match="grad_output must be a NumPy array, got list"):
        layer.backward([[1.0, 2.0]] * 3)
    if isinstance(layer, Linear):
        assert not layer.weight.grad.any()
    else:
        layer(np.zeros((3, 2), dtype=np.float32))
        with pytest.raises(TypeError, match="grad_output has dtype float64, wider than the output"):
            layer.backward(np.zeros((3, 2)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (1000, 50)])
def test_the_fast_sum_over_the_batch_is_the_sum(shape, dtype):
    g = np.random.default_rng(0).normal(size=shape).astype(dtype)
    layer = Linear(1, shape[1], rng=0, dtype=dtype)
    layer(np.ones((shape[0], 1), dtype))
    layer.backward(g)
    close(layer.bias.grad, g.sum(axis=0), "bias", tol=100 * np.finfo(dtype).eps)

"""LeakyReLU and PReLU; what all activations share is tested with the layers."""

import numpy as np
import pytest
from helpers import check_layer, examples, off_zero, randomise
from hypothesis import given
from hypothesis import strategies as st

from gradnb import LeakyReLU, PReLU, ReLU

sizes = st.integers(1, 5)
seeds = st.integers(0, 2**32 - 1)


@examples
@given(shape=st.lists(sizes, min_size=1, max_size=3), slope=st.floats(-2, 2), seed=seeds)
def test_leaky_relu_gradients(shape, slope, seed):
    rng = np.random.default_rng(seed)
    x = off_zero(rng, tuple(shape))
    x.flat[0] = 1.0
    check_layer(LeakyReLU(slope), x, rng)


@examples
@given(batch=sizes, features=sizes, shared=st.booleans(), seed=seeds)
def test_prelu_gradients(batch, features, shared, seed):
    rng = np.random.default_rng(seed)
    x = off_zero(rng, (batch, features))
    x.flat[0] = -1.0  # without a negative input, the gradient of the slope is 0 and checks nothing
    check_layer(randomise(PReLU(1 if shared else features), rng), x, rng)


def test_prelu_with_one_slope_takes_any_shape():
    rng = np.random.default_rng(0)
    check_layer(PReLU(), off_zero(rng, (2, 3, 4)), rng)


def test_prelu_by_hand():
    prelu = PReLU(2)
    prelu.weight.data[...] = [0.5, -1.0]
    x = np.array([[-2.0, -3.0], [4.0, -5.0]])
    assert prelu(x).tolist() == [[-1, 3], [4, 5]]
    assert prelu.backward(np.array([[1.0, 10.0], [100.0, 1000.0]])).tolist() == [
        [0.5, -10],
        [100, -1000],
    ]
    assert prelu.weight.grad.tolist() == [-2, -5030]
    prelu.backward(np.zeros((2, 2)))
    assert prelu.weight.grad.tolist() == [-2, -5030]


def test_at_the_kink_the_slope_is_that_of_the_negative_side():
    zero, one = np.zeros(1), np.ones(1)
    for layer, slope in [(ReLU(), 0), (LeakyReLU(0.1), 0.1), (PReLU(), 0.25)]:
        assert layer(zero).tolist() == [0]
        assert layer.backward(one).tolist() == [slope]


def test_special_slopes():
    x, g = np.array([[-3.0, 0.5]]), np.array([[2.0, 7.0]])
    relu, prelu = ReLU(), PReLU(init=0.0)
    for layer in (LeakyReLU(0.0), prelu):
        assert np.array_equal(layer(x), relu(x))
        assert np.array_equal(layer.backward(g), relu.backward(g))
    identity = LeakyReLU(1)
    assert np.array_equal(identity(x), x)
    assert np.array_equal(identity.backward(g), g)


def test_defaults():
    assert LeakyReLU().negative_slope == 0.01
    assert PReLU().weight.data.tolist() == [0.25]
    assert PReLU(3, init=-1).weight.data.tolist() == [-1] * 3
    assert [name for name, _ in PReLU().named_parameters()] == ["weight"]
    assert [repr(LeakyReLU()), repr(PReLU(3))] == ["LeakyReLU(0.01)", "PReLU(3)"]


@pytest.mark.parametrize("layer", [LeakyReLU, PReLU])
def test_dtypes(layer):
    x = np.array([[-1e8, -2.0, 0.0, 1e8]], dtype=np.float32)
    single = layer(dtype=np.float32) if layer is PReLU else layer()
    y = single(x)
    slope = np.float32(0.25 if layer is PReLU else 0.01)
    assert y.dtype == np.float32
    assert y.tolist() == [[-slope * np.float32(1e8), -2 * slope, 0, np.float32(1e8)]]
    assert single.backward(np.ones_like(x)).dtype == np.float32
    assert {p.grad.dtype for p in single.parameters()} <= {np.dtype(np.float32)}
    assert layer()(x.astype(float)).dtype == np.float64


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LeakyReLU("0.1"), TypeError, "negative_slope must be a number, got '0.1'"),
        (lambda: LeakyReLU(np.nan), ValueError, "negative_slope must be finite, got nan"),
        (lambda: PReLU(0), ValueError, "num_parameters must be at least 1, got 0"),
        (lambda: PReLU(1.5), TypeError, r"num_parameters must be an integer, got 1\.5"),
        (lambda: PReLU(init=None), TypeError, "init must be a number, got None"),
        (lambda: PReLU(dtype=int), TypeError, "dtype must be a floating-point type, got .*int"),
        (lambda: LeakyReLU()(np.array(1.0)), ValueError, "x must have at least one dimension"),
        (lambda: ReLU()(np.array(1.0)), ValueError, "x must have at least one dimension"),
        (lambda: LeakyReLU()(np.array([1])), TypeError, "x must hold floating-point .* int64"),
        (lambda: PReLU()([1.0]), TypeError, "x must be a NumPy array, got list"),
        (lambda: PReLU(2)(np.ones((3, 4))), ValueError, r"x .* \(batch, 2\), got \(3, 4\)"),
        (lambda: PReLU(2)(np.ones(2)), ValueError, r"x .* \(batch, 2\), got \(2,\)"),
        (lambda: PReLU(dtype="f4")(np.ones(2)), TypeError, "x has dtype float64, wider than"),
        (lambda: PReLU().backward(np.ones(2)), RuntimeError, "PReLU.backward was called before"),
        (lambda: LeakyReLU().backward(np.ones(2)), RuntimeError, "LeakyReLU.backward was called"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("layer", [LeakyReLU(), PReLU()])
def test_backward_refuses_what_does_not_belong_to_forward(layer):
    layer(-np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"grad_output .* the output, \(3, 2\), got \(1, 2\)"):
        layer.backward(np.ones((1, 2)))
    with pytest.raises(TypeError, match="grad_output must be a NumPy array, got list"):
        layer.backward([[1.0, 2.0]] * 3)
    assert not any(p.grad.any() for p in layer.parameters())

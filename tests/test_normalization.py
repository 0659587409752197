"""BatchNorm1d: training and evaluation, running statistics, extremes, errors."""

import numpy as np
import pytest
from helpers import check_layer, examples, randomise
from hypothesis import given
from hypothesis import strategies as st

from gradnb import BatchNorm1d, CrossEntropyLoss, Linear, Sequential, Tanh, gradcheck

seeds = st.integers(0, 2**32 - 1)


@examples
@given(batch=st.integers(3, 7), features=st.integers(1, 5), training=st.booleans(), seed=seeds)
def test_gradients(batch, features, training, seed):
    rng = np.random.default_rng(seed)
    layer = randomise(BatchNorm1d(features), rng).train(training)
    layer.running_mean[...] = rng.normal(size=features)
    layer.running_var[...] = rng.uniform(0.5, 2.0, size=features)
    check_layer(layer, 3 * rng.normal(size=(batch, features)) + 5, rng)


def test_gradients_in_a_network():
    rng = np.random.default_rng(0)
    model = Sequential(Linear(3, 4, rng=rng), BatchNorm1d(4), Tanh(), Linear(4, 2, rng=rng))
    x, classes = rng.normal(size=(6, 3)), np.array([0, 1, 1, 0, 1, 0])
    assert gradcheck(randomise(model, rng), CrossEntropyLoss(), x, classes)
    # The mean takes away whatever a bias before it adds
    assert np.abs(model[0].bias.grad).max() < 1e-15


def test_two_rows_have_almost_no_input_gradient():
    """With two rows, x̂ is ±1 but for ε, wherever they are: y does not depend on x."""
    layer = BatchNorm1d(1)
    y = layer(np.array([[2.0], [8.0]]))
    np.testing.assert_allclose(y, [[-1], [1]], atol=1e-5)
    assert np.abs(layer.backward(np.array([[3.0], [-1.0]]))).max() < 1e-5


def test_output_is_standardised():
    rng = np.random.default_rng(1)
    x = rng.normal(7, [1.0, 30.0, 0.5], size=(50, 3))
    y = BatchNorm1d(3)(x)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-13)
    np.testing.assert_allclose(y.std(axis=0), 1, rtol=1e-4)
    layer = BatchNorm1d(3)
    layer.weight.data[...], layer.bias.data[...] = [1, 2, 3], [4, 5, 6]
    np.testing.assert_allclose(layer(x), [1, 2, 3] * y + [4, 5, 6], rtol=1e-14)


def test_running_statistics():
    layer = BatchNorm1d(1, momentum=0.25)
    mean, var = layer.running_mean, layer.running_var
    layer(np.array([[2.0], [6.0]]))
    assert layer.running_mean.tolist() == [0.25 * 4]
    assert layer.running_var.tolist() == [0.75 * 1 + 0.25 * 8]  # 8 divides by N − 1, 4 by N
    layer(np.array([[0.0], [0.0]]))
    assert layer.running_mean.tolist() == [0.75]
    assert layer.running_var.tolist() == [0.75 * 2.75]
    assert mean is layer.running_mean
    assert var is layer.running_var
    layer = BatchNorm1d(1, momentum=1)
    layer(np.array([[1.0], [2.0], [6.0]]))
    assert layer.running_mean.tolist() == [3]
    assert layer.running_var.tolist() == [7]  # 14 / 2; with two rows, 2 / 1 and 2 · 1 are the same


def test_evaluation_uses_the_running_statistics_and_leaves_them():
    layer = BatchNorm1d(2, eps=1.0).eval()
    layer.running_mean[...], layer.running_var[...] = [1, 2], [3, 8]
    layer.weight.data[...], layer.bias.data[...] = [2, 3], [10, 20]
    x = np.array([[5.0, 8.0]])  # one row will do
    assert layer(x).tolist() == [[2 * 4 / 2 + 10, 3 * 6 / 3 + 20]]
    assert layer.backward(np.array([[1.0, 1.0]])).tolist() == [[2 / 2, 3 / 3]]
    assert layer.weight.grad.tolist() == [2, 2]
    assert layer.bias.grad.tolist() == [1, 1]
    assert layer.running_mean.tolist() == [1, 2]
    assert layer.running_var.tolist() == [3, 8]


def test_backward_belongs_to_the_mode_of_its_forward():
    rng = np.random.default_rng(2)
    layer, x, g = BatchNorm1d(2), rng.normal(size=(4, 2)), rng.normal(size=(4, 2))
    layer(x)
    expected = layer.backward(g)
    layer.eval()
    assert np.array_equal(layer.backward(g), expected)


def test_rows_are_not_independent_in_training_only():
    rng = np.random.default_rng(3)
    layer, x = BatchNorm1d(2), rng.normal(size=(4, 2))
    changed = x.copy()
    changed[3] += 1
    assert not np.allclose(layer(x)[:3], layer(changed)[:3])
    layer.eval()
    assert np.array_equal(layer(x)[:3], layer(changed)[:3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1e8, -1e8])
@pytest.mark.parametrize("spread", [64.0, 1e8])
def test_extreme_inputs(dtype, offset, spread):
    """At 1e8, float32 numbers are 8 apart, so a spread of 64 is what is left of them."""
    rng = np.random.default_rng(4)
    x = (offset + spread * rng.normal(size=(1000, 3))).astype(dtype)
    exact = x.astype(np.longdouble)
    centred = exact - exact.mean(axis=0)
    expected = centred / np.sqrt((centred**2).mean(axis=0) + 1e-5)
    layer = BatchNorm1d(3, dtype=dtype)
    with np.errstate(all="raise", under="ignore"):
        y = layer(x)
        grad_input = layer.backward(rng.normal(size=x.shape).astype(dtype))
    assert y.dtype == grad_input.dtype == layer.weight.grad.dtype == dtype
    assert layer.running_mean.dtype == layer.running_var.dtype == dtype
    np.testing.assert_allclose(y, expected.astype(float), atol=2e3 * np.finfo(dtype).eps)
    assert np.isfinite(grad_input).all()
    assert np.abs(grad_input).max() > 0.1 / spread
    np.testing.assert_allclose(
        layer.running_mean, 0.1 * exact.mean(axis=0).astype(float), rtol=1e-6, atol=1e-6 * spread
    )


@pytest.mark.parametrize("value", [0.0, 0.1, 1e8])
def test_a_constant_feature(value):
    layer = BatchNorm1d(1)
    y = layer(np.full((5, 1), value))
    assert np.abs(y).max() < 1e-10
    assert np.isfinite(layer.backward(np.ones((5, 1)))).all()


def test_what_is_not_finite_stays_visible():
    layer, x = BatchNorm1d(2), np.ones((3, 2))
    x[0, 0] = np.nan
    y = layer(x)
    assert np.isnan(y[:, 0]).all()
    assert np.isfinite(y[:, 1]).all()
    assert np.isnan(layer.running_mean).tolist() == [True, False]


def test_state_holds_the_running_statistics():
    model = Sequential(Linear(2, 3, rng=0), BatchNorm1d(3))
    model(np.random.default_rng(5).normal(size=(4, 2)))
    state = model.state_dict()
    assert [*state] == [
        *("0.weight", "0.bias", "1.weight", "1.bias"),
        *("1.running_mean", "1.running_var"),
    ]
    assert [name for name, _ in model.named_buffers()] == ["1.running_mean", "1.running_var"]
    assert [name for name, _ in model[1].named_buffers()] == ["running_mean", "running_var"]
    other = Sequential(Linear(2, 3, rng=1), BatchNorm1d(3))
    mean = other[1].running_mean
    other.load_state_dict(state)
    assert other[1].running_mean is mean
    x = np.ones((1, 2))
    assert np.array_equal(model.eval()(x), other.eval()(x))
    del state["1.running_var"]
    state["1.weight"] += 1
    with pytest.raises(ValueError, match=r"missing 1.running_var \(3,\)"):
        other.load_state_dict(state)
    assert other[1].weight.data.tolist() == [1, 1, 1]


def test_defaults():
    layer = BatchNorm1d(3)
    assert (layer.eps, layer.momentum, layer.training) == (1e-5, 0.1, True)
    assert layer.weight.data.tolist() == layer.running_var.tolist() == [1] * 3
    assert layer.bias.data.tolist() == layer.running_mean.tolist() == [0] * 3
    assert repr(layer) == "BatchNorm1d(3)"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: BatchNorm1d(0), ValueError, "num_features must be at least 1, got 0"),
        (lambda: BatchNorm1d(2.0), TypeError, r"num_features must be an integer, got 2\.0"),
        (lambda: BatchNorm1d(2, eps=0), ValueError, "eps must be above 0.* got 0"),
        (lambda: BatchNorm1d(2, eps=-1), ValueError, "eps must be at least 0, got -1"),
        (lambda: BatchNorm1d(2, momentum=-1), ValueError, "momentum must be at least 0, got -1"),
        (lambda: BatchNorm1d(2, momentum=1.1), ValueError, r"momentum must be at most 1, got 1\.1"),
        (lambda: BatchNorm1d(2, momentum=None), TypeError, "momentum must be a number, got None"),
        (lambda: BatchNorm1d(2, dtype=int), TypeError, "dtype must be a floating-point type"),
        (lambda: BatchNorm1d(2)(np.ones((4, 3))), ValueError, r"x .* \(batch, 2\), got \(4, 3\)"),
        (lambda: BatchNorm1d(2)(np.ones((4, 2), int)), TypeError, "x must hold .* dtype int64"),
        (lambda: BatchNorm1d(2, dtype="f4")(np.ones((4, 2))), TypeError, "x .* wider than"),
        (lambda: BatchNorm1d(2).backward(np.ones((4, 2))), RuntimeError, "called before forward"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_one_row_in_training_and_a_wider_type_are_refused_and_change_nothing():
    layer = BatchNorm1d(2)
    with pytest.raises(ValueError, match=r"x must have at least 2 rows .* got shape \(1, 2\)"):
        layer(np.ones((1, 2)))
    assert layer.running_mean.tolist() == [0, 0]
    layer = BatchNorm1d(2, dtype=np.float32)
    with pytest.raises(TypeError, match="x has dtype float64, wider than the weight, float32"):
        layer(np.ones((3, 2)))
    assert layer.running_mean.tolist() == [0, 0]

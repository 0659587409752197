"""Clipping by norm and by value."""

import math

import faults
import numpy as np
import pytest
from helpers import check_clipping

from gradnb import Linear, Parameter, Tanh, clip_grad_norm_, clip_grad_value_, mlp


def parameters(*gradients, dtype=float):
    """Return parameters with these gradients."""
    made = []
    for g in gradients:
        p = Parameter(np.zeros(np.shape(g), dtype))
        p.grad[...] = g
        made.append(p)
    return made


def test_the_rule():
    check_clipping(clip_grad_norm_)


@pytest.mark.parametrize("fault", faults.CLIPPINGS)
def test_planted_faults_are_caught(fault):
    with pytest.raises(AssertionError):
        check_clipping(fault)


@pytest.mark.parametrize(
    ("norm_type", "norm"),
    [
        (1, 19.0),
        (1.5, (3**1.5 + 4**1.5 + 12**1.5) ** (1 / 1.5)),
        (2, 13.0),
        (3, (27 + 64 + 1728) ** (1 / 3)),
        (math.inf, 12.0),
        (np.float64(np.inf), 12.0),
        (np.float32(np.inf), 12.0),
    ],
)
def test_norms_by_hand(norm_type, norm):
    """The gradients are 3, −4 and 12 over two parameters."""
    p, q = parameters([3.0, -4.0], [[12.0]])
    grads = p.grad, q.grad
    returned = clip_grad_norm_([p, q], 1, norm_type)
    assert type(returned) is float
    assert returned == pytest.approx(norm, rel=1e-14)
    factor = 1 / (norm + 1e-6)
    np.testing.assert_allclose(p.grad, [3 * factor, -4 * factor], rtol=1e-14)
    np.testing.assert_allclose(q.grad, [[12 * factor]], rtol=1e-14)
    assert p.grad is grads[0]
    assert q.grad is grads[1]


@pytest.mark.parametrize(("norm_type", "norm"), [(1, 7.0), (2, 5.0), (math.inf, 4.0)])
def test_the_sign_does_not_matter(norm_type, norm):
    for signs in ([1, 1], [1, -1], [-1, -1]):
        (p,) = parameters(np.array([3.0, 4.0]) * signs)
        assert clip_grad_norm_(p, 1, norm_type) == pytest.approx(norm)
        np.testing.assert_allclose(p.grad * signs, np.array([3, 4]) / norm, rtol=1e-6)


def test_gradients_within_the_bound_stay_to_the_bit():
    p, q = parameters([0.1, 0.2], [0.3])
    for bound in (1, 0.5, math.inf):
        assert clip_grad_norm_([p, q], bound) == pytest.approx(math.sqrt(0.14))
        assert p.grad.tolist() == [0.1, 0.2]
        assert q.grad.tolist() == [0.3]


def test_a_norm_at_the_bound_is_scaled_by_a_millionth():
    (p,) = parameters([3.0, 4.0])
    clip_grad_norm_([p], 5)
    np.testing.assert_allclose(p.grad, np.array([3, 4]) * 5 / (5 + 1e-6), rtol=1e-15)


def test_a_bound_of_zero_and_gradients_of_zero():
    (p,) = parameters([3.0, 4.0])
    assert clip_grad_norm_([p], 0) == 5
    assert p.grad.tolist() == [0, 0]
    assert clip_grad_norm_([p], 1) == 0
    assert p.grad.tolist() == [0, 0]


def test_one_parameter_a_generator_and_odd_shapes():
    (p,) = parameters([3.0, 4.0])
    assert clip_grad_norm_(p, 1) == 5
    model = mlp([3, 4, 2], Tanh, rng=0)
    for q in model.parameters():
        q.grad += 1
    assert clip_grad_norm_(model.parameters(), 1) == pytest.approx(math.sqrt(12 + 4 + 8 + 2))
    assert clip_grad_norm_(model.parameters(), 1) == pytest.approx(1, rel=1e-6)
    empty, scalar = parameters(np.zeros((0, 3)), 2.0)
    assert clip_grad_norm_([empty, scalar], 1) == 2
    assert clip_grad_norm_(empty, 1) == 0


def test_a_tied_parameter_counts_once():
    first, second = Linear(1, 1, bias=False), Linear(1, 1, bias=False)
    second.weight = first.weight
    first.weight.grad += 3
    assert clip_grad_norm_(first.parameters(), math.inf) == 3
    with pytest.raises(ValueError, match="parameters must hold each Parameter once"):
        clip_grad_norm_([first.weight, second.weight], 1)


@pytest.mark.parametrize("norm_type", [1, 2, 7.5, math.inf])
@pytest.mark.parametrize(
    ("dtype", "size"),
    [(np.float32, 3e38), (np.float32, 3e-38), (np.float32, 1e-44), (float, 1e300), (float, 1e-300)],
)
def test_the_norm_neither_overflows_nor_vanishes(norm_type, dtype, size):
    (p,) = parameters([size, -size], dtype=dtype)
    expected = float(p.grad[0]) * 2 ** (1 / norm_type)
    assert clip_grad_norm_(p, math.inf, norm_type) == pytest.approx(expected, rel=1e-12, abs=0)
    before = p.grad.copy()
    clip_grad_norm_(p, 1.0, norm_type)
    if size > 1:
        np.testing.assert_allclose(np.abs(p.grad), 2 ** (-1 / norm_type), rtol=1e-5)
    else:
        assert np.array_equal(p.grad, before)
    assert p.grad.dtype == dtype


def test_mixed_types():
    p, q = (*parameters([3.0], dtype=np.float32), *parameters([4e200]))
    assert clip_grad_norm_([p, q], math.inf) == 4e200
    assert (p.grad.dtype, q.grad.dtype) == (np.float32, np.float64)


def test_the_norm_is_exact_where_float32_would_round():
    (p,) = parameters(np.full(100_000, 0.1), dtype=np.float32)
    exact = float(np.float32(0.1)) * math.sqrt(100_000)
    assert clip_grad_norm_(p, math.inf) == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("norm_type", [1, 2, math.inf])
def test_what_is_not_finite_stays_so(norm_type):
    p, q = parameters([math.inf, 1.0], [-2.0])
    assert clip_grad_norm_([p, q], 1, norm_type) == math.inf
    np.testing.assert_array_equal(p.grad, [math.nan, 0])
    assert q.grad.tolist() == [0]
    for bad in ([math.nan, 1.0], [math.nan, math.inf]):
        p, q = parameters(bad, [-2.0])
        assert math.isnan(clip_grad_norm_([p, q], 1, norm_type))
        assert np.isnan([*p.grad, *q.grad]).all()


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_an_error_before_anything_has_changed(bad):
    p, q = parameters([3.0, 4.0], [bad])
    with pytest.raises(RuntimeError, match=rf"norm .* must be finite to clip them, got {abs(bad)}"):
        clip_grad_norm_([p, q], 1, error_if_nonfinite=True)
    assert p.grad.tolist() == [3, 4]
    np.testing.assert_array_equal(q.grad, [bad])


def test_no_error_for_finite_gradients():
    (p,) = parameters([3.0, 4.0])
    assert clip_grad_norm_(p, 1, error_if_nonfinite=True) == 5


def test_values_by_hand():
    p, q = parameters([3.0, -0.5, -7.0], [[1.0]])
    grads = p.grad, q.grad
    assert clip_grad_value_(iter([p, q]), 0.75) is None
    assert p.grad.tolist() == [0.75, -0.5, -0.75]
    assert q.grad.tolist() == [[0.75]]
    assert p.grad is grads[0]
    assert q.grad is grads[1]
    clip_grad_value_(p, math.inf)
    assert p.grad.tolist() == [0.75, -0.5, -0.75]
    clip_grad_value_(p, 0)
    assert p.grad.tolist() == [0, 0, 0]


def test_values_that_are_not_finite():
    (p,) = parameters([math.nan, math.inf, -math.inf])
    clip_grad_value_(p, 2)
    np.testing.assert_array_equal(p.grad, [math.nan, 2, -2])


def test_values_of_float32():
    (p,) = parameters([3.0, -0.05], dtype=np.float32)
    clip_grad_value_(p, np.float64(0.1))
    assert p.grad.dtype == np.float32
    assert p.grad.tolist() == [float(np.float32(0.1)), float(np.float32(-0.05))]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: clip_grad_norm_(p, -1), ValueError, "max_norm must be at least 0, got -1"),
        (lambda p: clip_grad_norm_(p, math.nan), ValueError, "max_norm must be finite, got nan"),
        (lambda p: clip_grad_norm_(p, -math.inf), ValueError, "max_norm must be finite, got -inf"),
        (lambda p: clip_grad_norm_(p, "1"), TypeError, "max_norm must be a number, got '1'"),
        (lambda p: clip_grad_norm_(p, np.ones(2)), TypeError, "max_norm must be a number"),
        (lambda p: clip_grad_norm_(p, 1, 0), ValueError, "norm_type must be at least 1, got 0"),
        (lambda p: clip_grad_norm_(p, 1, math.nan), ValueError, "norm_type must be finite"),
        (lambda p: clip_grad_norm_(p, 1, None), TypeError, "norm_type must be a number, got None"),
        (lambda p: clip_grad_norm_(p, 1, 2, "no"), TypeError, "error_if_nonfinite must be .* 'no'"),
        (lambda p: clip_grad_value_(p, -1), ValueError, "clip_value must be at least 0, got -1"),
        (lambda p: clip_grad_value_(p, math.nan), ValueError, "clip_value must be finite, got nan"),
        (lambda p: clip_grad_value_(p, None), TypeError, "clip_value must be a number, got None"),
    ],
)
def test_numbers(call, error, message):
    (p,) = parameters([3.0, 4.0])
    with pytest.raises(error, match=message):
        call(p)
    assert p.grad.tolist() == [3, 4]


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
def test_parameters(clip):
    (p,) = parameters([3.0, 4.0])
    for given, error, message in [
        ([], ValueError, "parameters must hold at least one Parameter, got none"),
        (Tanh().parameters(), ValueError, "parameters must hold at least one Parameter, got none"),
        (mlp([1, 1]), TypeError, r"iterable of Parameter, got Sequential: pass its parameters\(\)"),
        (Linear(1, 1), TypeError, "parameters must be an iterable of Parameter, got Linear"),
        ([p, p.grad], TypeError, r"parameters\[1\] must be a Parameter, got ndarray"),
        ([p, p], ValueError, "parameters must hold each Parameter once"),
    ]:
        with pytest.raises(error, match=message):
            clip(given, 1)
    assert p.grad.tolist() == [3, 4]

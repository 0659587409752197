"""Initialisers: their distributions, and what they refuse."""

import math

import numpy as np
import pytest

from gradnb import init

SHAPE = (400, 100)


@pytest.mark.parametrize(
    ("draw", "std"),
    [
        (init.he_normal, math.sqrt(2 / 400)),
        (init.glorot_normal, math.sqrt(2 / 500)),
        (init.normal(0.3), 0.3),
    ],
)
def test_normal_initialisers(draw, std):
    """40,000 draws: the standard deviation is off by 0.35 % one time in three."""
    w = draw(SHAPE, np.random.default_rng(0))
    assert w.shape == SHAPE
    assert w.dtype == np.float64
    assert w.std() == pytest.approx(std, rel=0.015)
    assert abs(w.mean()) < 4 * std / math.sqrt(w.size)
    # A normal distribution has 4.55 % beyond two standard deviations, a uniform one none
    assert np.mean(np.abs(w) > 2 * std) == pytest.approx(0.0455, abs=0.005)


@pytest.mark.parametrize(
    ("draw", "a"),
    [(init.he_uniform, math.sqrt(6 / 400)), (init.glorot_uniform, math.sqrt(6 / 500))],
)
def test_uniform_initialisers(draw, a):
    w = draw(SHAPE, np.random.default_rng(0))
    assert w.shape == SHAPE
    assert w.dtype == np.float64
    assert 0.999 * a < np.abs(w).max() <= a
    assert w.std() == pytest.approx(a / math.sqrt(3), rel=0.01)
    assert abs(w.mean()) < 4 * a / math.sqrt(3 * w.size)
    assert np.mean(np.abs(w) > a / 2) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (1, 4), (4, 1), (1, 1)])
def test_orthogonal(shape):
    w = init.orthogonal(shape, np.random.default_rng(0))
    assert w.shape == shape
    assert w.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.svd(w, compute_uv=False), 1, rtol=1e-14)


def test_orthogonal_prefers_no_direction():
    """Without the signs, LAPACK's Q has entries on the diagonal that are never positive."""
    rng = np.random.default_rng(1)
    mean = np.mean([init.orthogonal((3, 3), rng) for _ in range(3000)], axis=0)
    assert np.abs(mean).max() < 4 * math.sqrt(1 / 3 / 3000)


@pytest.mark.parametrize(
    "draw",
    [
        *(init.he_normal, init.glorot_normal, init.normal(1.0)),
        *(init.he_uniform, init.glorot_uniform, init.orthogonal),
    ],
)
def test_the_generator_decides(draw):
    first, again, other = (draw((3, 4), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_constant():
    assert init.constant(0.5)((2, 3), None).tolist() == [[0.5] * 3] * 2
    assert init.constant(1)((2, 3), None).dtype == np.float64
    assert not init.normal(0)((2, 3), np.random.default_rng(0)).any()


@pytest.mark.parametrize(
    ("make", "value", "error", "message"),
    [
        (init.normal, -1, ValueError, "std must be at least 0, got -1"),
        (init.normal, math.nan, ValueError, "std must be finite, got nan"),
        (init.normal, "1", TypeError, "std must be a number, got '1'"),
        (init.constant, math.inf, ValueError, "c must be finite, got inf"),
        (init.constant, None, TypeError, "c must be a number, got None"),
    ],
)
def test_arguments(make, value, error, message):
    with pytest.raises(error, match=message):
        make(value)


@pytest.mark.parametrize(
    "draw",
    [
        *(init.he_normal, init.he_uniform, init.glorot_normal, init.glorot_uniform),
        init.orthogonal,
    ],
)
@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        ((3,), ValueError, r"shape must be \(fan_in, fan_out\), got \(3,\)"),
        (3, ValueError, r"shape must be \(fan_in, fan_out\), got 3"),
        ((0, 3), ValueError, r"shape\[0\] must be at least 1, got 0"),
        ((3, 2.0), TypeError, r"shape\[1\] must be an integer, got 2\.0"),
    ],
)
def test_shapes(draw, shape, error, message):
    with pytest.raises(error, match=message):
        draw(shape, np.random.default_rng(0))


@pytest.mark.parametrize(
    "draw",
    [
        *(init.he_normal, init.he_uniform, init.glorot_normal, init.glorot_uniform),
        *(init.orthogonal, init.normal(1.0)),
    ],
)
def test_the_generator_may_be_a_seed(draw):
    assert np.array_equal(draw((3, 2), 5), draw((3, 2), np.random.default_rng(5)))
    with pytest.raises(TypeError, match=r"rng must be .* got 'a'"):
        draw((3, 2), "a")

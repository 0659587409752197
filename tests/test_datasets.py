"""The digits that are shipped, byte for byte, the toy problems' geometry, the stream's moments."""

import hashlib
import itertools
import math
from pathlib import Path

import numpy as np
import pytest

import gradnb
from gradnb.datasets import digits, drifting_stream, moons, spirals

ARCHIVE = Path(gradnb.__file__).parent / "data" / "digits.npz"


def whole():
    x_train, y_train, x_test, y_test = digits()
    return np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])


def test_digits_shapes_types_and_ranges():
    x_train, y_train, x_test, y_test = digits()
    assert (x_train.shape, x_test.shape) == ((1287, 64), (510, 64))
    assert (y_train.shape, y_test.shape) == ((1287,), (510,))
    assert x_train.dtype == x_test.dtype == np.float64
    assert y_train.dtype == y_test.dtype == np.int64
    x, y = whole()
    assert (x.min(), x.max()) == (0, 1)
    assert np.array_equal(x * 16, np.round(x * 16))
    assert sorted(set(y.tolist())) == list(range(10))


def test_digits_class_counts_are_those_that_uci_publishes():
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(whole()[1]).tolist() == counts


def test_digits_are_the_published_rows_in_their_order():
    """The checksums were taken of scikit-learn's ``load_digits``, which ships the same rows."""
    x, y = whole()
    images = hashlib.sha256((x * 16).astype(np.uint8).tobytes()).hexdigest()
    labels = hashlib.sha256(y.astype(np.uint8).tobytes()).hexdigest()
    assert images == "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"
    assert labels == "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0"


def test_digits_against_scikit_learn():
    sklearn = pytest.importorskip("sklearn.datasets")
    images, labels = sklearn.load_digits(return_X_y=True)
    x, y = whole()
    assert np.array_equal(x * 16, images)
    assert np.array_equal(y, labels)


def test_digits_file_is_small_and_states_source_and_licence():
    assert ARCHIVE.stat().st_size < 150_000
    notice = (ARCHIVE.parent / "README.md").read_text(encoding="utf-8")
    for text in (notice, digits.__doc__):
        assert "10.24432/C50P49" in text
        assert "CC BY 4.0" in text


def test_digits_split():
    x, y = whole()
    for rng in (None, 0):
        x_train, y_train, x_test, y_test = digits(97, rng)
        assert len(x_train) == len(y_train) == 1700
        assert len(x_test) == len(y_test) == 97
        together = np.column_stack([np.concatenate([x_train, x_test]), [*y_train, *y_test]])
        ours = np.column_stack([x, y])
        assert np.array_equal(np.unique(together, axis=0), np.unique(ours, axis=0))
    assert np.array_equal(digits(97)[2], x[-97:])
    for size in (1, 1796):
        assert len(digits(size)[2]) == size


def test_digits_random_split_follows_its_seed():
    first, again, other = digits(rng=1), digits(rng=np.random.default_rng(1)), digits(rng=2)
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(first[2], other[2])
    assert not np.array_equal(first[2], digits()[2])
    pairs = {x.tobytes(): y for x, y in zip(*whole(), strict=True)}
    assert all(pairs[x.tobytes()] == y for x, y in zip(first[0], first[1], strict=True))
    # A random draw holds about 50 of each class
    assert np.bincount(first[3]).min() > 30


def test_digits_belong_to_the_caller():
    digits()[0][...] = 9
    assert digits()[0].max() == 1


@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        (0, ValueError, "test_size must be at least 1, got 0"),
        (1797, ValueError, "test_size must be at most 1796, got 1797"),
        (0.2, TypeError, r"test_size must be an integer, got 0\.2"),
    ],
)
def test_digits_errors(size, error, message):
    with pytest.raises(error, match=message):
        digits(size)
    with pytest.raises(TypeError, match=r"rng must be .* got 0\.5"):
        digits(rng=0.5)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_spirals_without_noise_lie_on_their_arms(n_classes):
    x, y = spirals(200, n_classes, noise=0, rng=0)
    assert x.shape == (200, 2)
    assert x.dtype == np.float64
    assert y.dtype == np.int64
    radius = np.hypot(*x.T)
    assert 0 < radius.min() < 0.1
    assert 0.9 < radius.max() <= 1
    angle = 2 * np.pi * y / n_classes + 4 * radius
    np.testing.assert_allclose(x[:, 0], radius * np.cos(angle), atol=1e-14)
    np.testing.assert_allclose(x[:, 1], radius * np.sin(angle), atol=1e-14)
    counts = np.bincount(y)
    assert len(counts) == n_classes
    assert counts.max() - counts.min() <= 1


def test_spirals_noise_turns_the_points_by_its_standard_deviation():
    x, y = spirals(4000, 3, noise=0.2, rng=1)
    z = x[:, 0] + 1j * x[:, 1]
    turned = np.angle(z * np.exp(-1j * (2 * np.pi * y / 3 + 4 * np.abs(z))))
    assert turned.std() == pytest.approx(0.2, rel=0.05)
    assert abs(turned.mean()) < 0.015


def test_moons_without_noise_lie_on_their_half_circles():
    x, y = moons(201, noise=0, rng=0)
    assert x.shape == (201, 2)
    assert np.bincount(y).tolist() == [101, 100]
    assert y.dtype == np.int64
    upper, lower = x[y == 0], x[y == 1]
    np.testing.assert_allclose(np.hypot(*upper.T), 1, rtol=1e-14)
    np.testing.assert_allclose(np.hypot(*(lower - [1, 0.5]).T), 1, rtol=1e-14)
    assert upper[:, 1].min() >= 0
    assert lower[:, 1].max() <= 0.5
    for half in (upper[:, 0], 1 - lower[:, 0]):  # the angles fill the half circle
        assert half.min() < -0.9
        assert half.max() > 0.9


def test_moons_noise_has_its_standard_deviation_on_both_coordinates():
    x, y = moons(4000, noise=0.01, rng=3)
    centre = np.where(y[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    assert (np.hypot(*(x - centre).T) - 1).std() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("draw", [spirals, moons])
def test_toy_problems_follow_their_seed(draw):
    first, again, other = draw(50, rng=1), draw(50, rng=np.random.default_rng(1)), draw(50, rng=2)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize(
    ("draw", "options", "error", "message"),
    [
        (spirals, {"n_samples": 2}, ValueError, "n_samples must be at least 3, got 2"),
        (spirals, {"n_samples": 9.0}, TypeError, r"n_samples must be an integer, got 9\.0"),
        (spirals, {"n_classes": 1}, ValueError, "n_classes must be at least 2, got 1"),
        (spirals, {"noise": -0.1}, ValueError, "noise must be at least 0, got -0.1"),
        (spirals, {"noise": math.nan}, ValueError, "noise must be finite, got nan"),
        (spirals, {"rng": "a"}, TypeError, "rng must be .* got 'a'"),
        (moons, {"n_samples": 1}, ValueError, "n_samples must be at least 2, got 1"),
        (moons, {"n_samples": "9"}, TypeError, "n_samples must be an integer, got '9'"),
        (moons, {"noise": -1}, ValueError, "noise must be at least 0, got -1"),
        (moons, {"noise": None}, TypeError, "noise must be a number, got None"),
        (moons, {"rng": -1}, ValueError, "rng must be .* got -1"),
    ],
)
def test_toy_problem_errors(draw, options, error, message):
    with pytest.raises(error, match=message):
        draw(**options)


def drawn(count, **options):
    """Return the first rows and targets of a stream, stacked."""
    pairs = list(itertools.islice(drifting_stream(**options), count))
    return np.concatenate([x for x, _ in pairs]), np.concatenate([t for _, t in pairs])


def test_drifting_stream_gives_batches_of_one():
    stream = drifting_stream(3, rng=0)
    assert iter(stream) is stream
    for x, target in itertools.islice(stream, 4):
        assert (x.shape, target.shape) == ((1, 3), (1, 1))
        assert x.dtype == target.dtype == np.float64
    assert next(drifting_stream())[0].shape == (1, 5)


def test_drifting_stream_without_drift_or_noise_has_one_rule():
    x, target = drawn(20, drift=0, noise=0, rng=1)
    w, *_ = np.linalg.lstsq(x, target, rcond=None)
    np.testing.assert_allclose(x @ w, target, atol=1e-12)
    assert x.mean() == pytest.approx(0, abs=0.3)
    assert x.std() == pytest.approx(1, abs=0.3)


def test_drifting_stream_noise_has_its_standard_deviation():
    x, target = drawn(4000, drift=0, noise=0.3, rng=2)
    w, *_ = np.linalg.lstsq(x, target, rcond=None)
    assert (target - x @ w).std() == pytest.approx(0.3, rel=0.05)


def test_drifting_stream_weights_begin_as_standard_normal():
    """With one feature and no noise, target / x is the weight."""
    first = [drawn(1, n_features=1, noise=0, rng=seed) for seed in range(1000)]
    w = np.array([target.item() / x.item() for x, target in first])
    assert w.mean() == pytest.approx(0, abs=0.1)
    assert w.std() == pytest.approx(1, abs=0.1)


def test_drifting_stream_weights_take_independent_steps_of_the_drift():
    x, target = drawn(4000, n_features=1, drift=0.2, noise=0, rng=3)
    steps = np.diff((target / x).ravel())
    assert steps.std() == pytest.approx(0.2, rel=0.05)
    assert abs(steps.mean()) < 0.015
    assert abs(np.corrcoef(steps[1:], steps[:-1])[0, 1]) < 0.06


def test_drifting_stream_weights_move_apart_from_each_other():
    """Two features: if both took the same steps, targets at x = (1, -1) would never drift."""
    x, target = drawn(6000, n_features=2, drift=0.1, noise=0, rng=4)
    early, *_ = np.linalg.lstsq(x[:50], target[:50], rcond=None)
    late, *_ = np.linalg.lstsq(x[-50:], target[-50:], rcond=None)
    moved = (late - early).ravel()
    assert abs(moved[0] - moved[1]) > 1


def test_drifting_stream_follows_its_seed_and_shares_no_memory():
    first, again = drawn(9, rng=1), drawn(9, rng=np.random.default_rng(1))
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(first[0], drawn(9, rng=2)[0])
    stream = drifting_stream(rng=1)
    x, target = next(stream)
    x[...] = target[...] = np.nan
    assert np.array_equal(next(stream)[1][0], first[1][1])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_features": 0}, ValueError, "n_features must be at least 1, got 0"),
        ({"n_features": 2.0}, TypeError, r"n_features must be an integer, got 2\.0"),
        ({"drift": -0.1}, ValueError, r"drift must be at least 0, got -0\.1"),
        ({"drift": math.inf}, ValueError, "drift must be finite, got inf"),
        ({"noise": -1}, ValueError, "noise must be at least 0, got -1"),
        ({"noise": "a"}, TypeError, "noise must be a number, got 'a'"),
        ({"rng": 0.5}, TypeError, r"rng must be .* got 0\.5"),
    ],
)
def test_drifting_stream_errors_come_at_the_call(options, error, message):
    with pytest.raises(error, match=message):
        drifting_stream(**options)

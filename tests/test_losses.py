"""The losses: values, gradients, extremes, types and errors; and that the check can fail."""

import math

import numpy as np
import pytest
from faults import LOSSES
from helpers import check_loss, close, examples
from hypothesis import given
from hypothesis import strategies as st

from gradnb import CrossEntropyLoss, MSELoss

sizes = st.integers(1, 5)
seeds = st.integers(0, 2**32 - 1)


@examples
@given(shape=st.lists(sizes, min_size=1, max_size=3), seed=seeds)
def test_mse_gradient(shape, seed):
    rng = np.random.default_rng(seed)
    check_loss(MSELoss(), rng.normal(size=shape), rng.normal(size=shape))


@examples
@given(batch=sizes, classes=st.integers(2, 6), seed=seeds, kind=st.sampled_from("bBhil"))
def test_cross_entropy_gradient(batch, classes, seed, kind):
    rng = np.random.default_rng(seed)
    target = rng.integers(classes, size=batch).astype(kind)
    check_loss(CrossEntropyLoss(), rng.normal(0, 2, size=(batch, classes)), target)


@pytest.mark.parametrize("fault", LOSSES)
def test_the_check_catches_planted_faults(fault):
    rng = np.random.default_rng(3)
    prediction = rng.normal(size=(4, 3))
    target = rng.normal(size=(4, 3)) if issubclass(fault, MSELoss) else np.array([0, 2, 1, 1])
    with pytest.raises(AssertionError):
        check_loss(fault(), prediction, target)


def test_mse_is_the_mean_over_examples_and_outputs():
    criterion = MSELoss()
    assert criterion(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0, 2.0], [3.0, 1.0]])) == 2.5
    assert criterion.backward().tolist() == [[0.5, 0], [0, 1.5]]


def test_cross_entropy_by_hand():
    logits = np.log(np.array([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0]]))
    criterion = CrossEntropyLoss()
    loss = criterion(logits, np.array([2, 0]))
    assert loss == pytest.approx(-(math.log(5 / 8) + math.log(3 / 8)) / 2, rel=1e-14)
    expected = np.array([[1, 2, -3], [-5, 3, 2]]) / 16
    close(criterion.backward(), expected, "gradient", tol=1e-14)
    np.testing.assert_allclose(criterion.backward().sum(axis=1), 0, atol=1e-16)


def test_cross_entropy_does_not_see_a_shift_of_all_logits():
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(4, 3)), np.array([0, 1, 2, 1])
    plain, shifted = CrossEntropyLoss(), CrossEntropyLoss()
    assert plain(logits, target) == pytest.approx(shifted(logits + 100.0, target), rel=1e-13)
    close(shifted.backward(), plain.backward(), "gradient", tol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_extreme_logits(dtype):
    # The last row underflows if the largest logit of all is subtracted, not that of the row
    logits = np.array([[1e8, -1e8, 0], [-1e8, 1e8, 0], [1e8] * 3, [-1e8] * 3], dtype=dtype)
    criterion = CrossEntropyLoss()
    with np.errstate(all="raise", under="ignore"):
        loss = criterion(logits, np.array([0, 0, 2, 2]))
        gradient = criterion.backward()
    assert gradient.dtype == dtype
    assert loss == pytest.approx((0 + 2e8 + 2 * math.log(3)) / 4, rel=1e-7)
    thirds = [1 / 3, 1 / 3, -2 / 3]
    expected = np.array([[0, 0, 0], [-1, 1, 0], thirds, thirds]) / 4
    np.testing.assert_allclose(gradient, expected, atol=1e-7)


def test_cross_entropy_of_a_certain_and_right_prediction_is_plain_zero():
    loss = CrossEntropyLoss()(np.array([[1e8, 0.0]]), np.array([0]))
    assert str(loss) == "0.0"


def test_losses_are_floats_and_keep_float32():
    prediction = np.array([[0.5, -0.5]], dtype=np.float32)
    for criterion, target in [
        (MSELoss(), np.zeros((1, 2), dtype=np.float32)),
        (CrossEntropyLoss(), np.array([1])),
    ]:
        assert type(criterion(prediction, target)) is float
        assert criterion.backward().dtype == np.float32


def test_backward_belongs_to_the_last_call():
    criterion = MSELoss()
    criterion(np.array([9.0]), np.array([0.0]))
    criterion(np.array([1.0, 3.0]), np.array([0.0, 0.0]))
    assert criterion.backward().tolist() == [1, 3]


@pytest.mark.parametrize("loss", [MSELoss, CrossEntropyLoss])
def test_backward_before_the_loss(loss):
    with pytest.raises(RuntimeError, match=f"{loss.__name__}.backward was called before the loss"):
        loss().backward()
    assert repr(loss()) == f"{loss.__name__}()"


@pytest.mark.parametrize(
    ("prediction", "target", "error", "message"),
    [
        (np.zeros((3, 1)), np.zeros(3), ValueError, r"target .* \(3, 1\), got \(3,\)"),
        (np.zeros((3, 2)), np.zeros((1, 2)), ValueError, r"target .* \(3, 2\), got \(1, 2\)"),
        (np.zeros((0, 2)), np.zeros((0, 2)), ValueError, r"prediction .* empty, got .*\(0, 2\)"),
        ([1.0], np.zeros(1), TypeError, "prediction must be a NumPy array, got list"),
        (np.zeros(1), 0.0, TypeError, "target must be a NumPy array, got float"),
        (np.zeros(2, int), np.zeros(2), TypeError, "prediction must hold .* got dtype int64"),
        (np.zeros(2), np.zeros(2, int), TypeError, "target must hold .* got dtype int64"),
        (
            np.zeros(2, np.float32),
            np.zeros(2),
            TypeError,
            "target has dtype float64, wider than prediction, float32",
        ),
    ],
)
def test_mse_errors(prediction, target, error, message):
    with pytest.raises(error, match=message):
        MSELoss()(prediction, target)


@pytest.mark.parametrize(
    ("logits", "target", "error", "message"),
    [
        (np.zeros(3), np.array([0]), ValueError, r"logits must have shape .* got \(3,\)"),
        (np.zeros((0, 3)), np.zeros(0, int), ValueError, r"logits .* got \(0, 3\)"),
        (np.zeros((2, 0)), np.zeros(2, int), ValueError, r"logits .* got \(2, 0\)"),
        (np.zeros((2, 3), int), np.array([0, 1]), TypeError, "logits must hold .* got dtype int64"),
        ([[0.0, 1.0]], np.array([0]), TypeError, "logits must be a NumPy array, got list"),
        (np.zeros((2, 3)), np.array([0.0, 1.0]), TypeError, "target .* integer .* got float64"),
        (np.zeros((2, 3)), np.array([True, False]), TypeError, "target .* integer .* got bool"),
        (np.zeros((2, 3)), [0, 1], TypeError, "target .* integer classes, got list"),
        (np.zeros((2, 3)), np.array([0]), ValueError, r"target .* \(batch,\) = \(2,\), got \(1,\)"),
        (np.zeros((2, 3)), np.eye(2, 3, dtype=int), ValueError, r"target .* got \(2, 3\)"),
        (np.zeros((2, 3)), np.array([0, 3]), ValueError, "target .* 0 to 2, got .* 0 to 3"),
        (np.zeros((2, 3)), np.array([-1, 2]), ValueError, "target .* 0 to 2, got .* -1 to 2"),
    ],
)
def test_cross_entropy_errors(logits, target, error, message):
    with pytest.raises(error, match=message):
        CrossEntropyLoss()(logits, target)


def test_the_loss_is_the_mean_over_the_examples():
    rng = np.random.default_rng(0)
    for scale in (1.0, 1e8):
        logits, classes = scale * rng.normal(size=(6, 4)), rng.integers(4, size=6)
        for order in (np.ascontiguousarray, np.asfortranarray):
            each = CrossEntropyLoss().per_example(order(logits), classes)
            assert each.shape == (6,)
            assert each.mean() == pytest.approx(CrossEntropyLoss()(logits, classes), rel=1e-14)
            alone = CrossEntropyLoss()(logits[2:3], classes[2:3])
            assert each[2] == pytest.approx(alone, rel=1e-14)
    for shape in [(5,), (5, 3), (5, 3, 2)]:
        prediction, target = rng.normal(size=shape), rng.normal(size=shape)
        each = MSELoss().per_example(prediction, target)
        assert each.shape == (5,)
        assert each.mean() == pytest.approx(MSELoss()(prediction, target), rel=1e-14)
        assert each[2] == pytest.approx(MSELoss()(prediction[2:3], target[2:3]), rel=1e-14)


def test_per_example_refuses_what_the_call_refuses():
    with pytest.raises(ValueError, match=r"target .* prediction, \(2, 3\), got \(2, 1\)"):
        MSELoss().per_example(np.ones((2, 3)), np.ones((2, 1)))
    with pytest.raises(ValueError, match="target must hold classes from 0 to 2"):
        CrossEntropyLoss().per_example(np.ones((2, 3)), np.array([0, 3]))


def test_a_refused_call_changes_nothing():
    criterion = MSELoss()
    criterion(np.array([[1.0, 3.0]]), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="target must have the shape of prediction"):
        criterion(np.ones((1, 2)), np.ones((2, 2)))
    assert criterion.backward().tolist() == [[1, 3]]


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint64])
def test_every_integer_type_of_classes_will_do(kind):
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(300, 10)), rng.integers(10, size=300)
    criterion = CrossEntropyLoss()
    results = []
    for classes in (target, target.astype(kind)):
        loss, gradient = criterion(logits, classes), criterion.backward()
        results.append((loss, gradient, criterion.per_example(logits, classes)))
    for ours, theirs in zip(*results, strict=True):
        assert np.array_equal(ours, theirs)


def test_the_loss_keeps_no_reference_to_the_target():
    criterion, target = CrossEntropyLoss(), np.array([0, 1])
    criterion(np.zeros((2, 2)), target)
    expected = criterion.backward()
    target[:] = 0
    assert np.array_equal(criterion.backward(), expected)

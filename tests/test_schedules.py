"""The schedules against their formulas."""

import math

import numpy as np
import pytest

from gradnb import SGD, Adam, CosineAnnealingLR, ExponentialLR, Parameter, StepLR
from gradnb.schedules import Schedule


def optimizer(lr):
    return SGD([Parameter(np.ones(1))], lr=lr)


def rates(schedule, count):
    """Return the rates of the epochs 0 to `count` − 1."""
    seen = []
    for epoch in range(count):
        assert schedule.last_epoch == epoch
        assert schedule.get_last_lr() == [schedule.optimizer.lr]
        seen.append(schedule.optimizer.lr)
        schedule.step()
    return seen


def test_steps_by_hand():
    assert rates(StepLR(optimizer(8), 3, 0.5), 8) == [8, 8, 8, 4, 4, 4, 2, 2]
    assert rates(StepLR(optimizer(2), 1, 3), 4) == [2, 6, 18, 54]
    assert rates(StepLR(optimizer(1), 2), 5) == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_exponential_by_hand():
    assert rates(ExponentialLR(optimizer(8), 0.5), 5) == [8, 4, 2, 1, 0.5]
    assert rates(ExponentialLR(optimizer(8), 0), 3) == [8, 0, 0]
    assert rates(ExponentialLR(optimizer(8), 1), 3) == [8, 8, 8]


def test_cosine_by_hand():
    r = math.sqrt(0.5)
    down = [1, (1 + r) / 2, 0.5, (1 - r) / 2, 0]
    wave = [*down, *down[-2:0:-1]]
    found = rates(CosineAnnealingLR(optimizer(1), 4), 24)
    assert found == pytest.approx(3 * wave, abs=1e-14)
    found = rates(CosineAnnealingLR(optimizer(3), 4, eta_min=1), 24)
    assert found == pytest.approx([1 + 2 * w for w in 3 * wave], abs=1e-14)


def test_cosine_may_rise_and_may_be_short():
    assert rates(CosineAnnealingLR(optimizer(1), 2, eta_min=3), 3) == pytest.approx([1, 2, 3])
    assert rates(CosineAnnealingLR(optimizer(1), 1), 4) == [1, 0, 1, 0]


def test_the_formulas_over_many_epochs():
    t = np.arange(200)
    for schedule, expected in [
        (StepLR(optimizer(0.3), 7, 0.9), 0.3 * 0.9 ** (t // 7)),
        (ExponentialLR(optimizer(0.3), 0.97), 0.3 * 0.97**t),
        (CosineAnnealingLR(optimizer(0.3), 200, 0.1), 0.1 + 0.1 * (1 + np.cos(np.pi * t / 200))),
    ]:
        np.testing.assert_allclose(rates(schedule, 200), expected, rtol=1e-12)


def test_a_change_by_hand():
    steps, exponential, cosine = optimizer(8), optimizer(8), optimizer(8)
    schedules = StepLR(steps, 2, 0.5), ExponentialLR(exponential, 0.5), CosineAnnealingLR(cosine, 4)
    for schedule in schedules:
        schedule.step()
        schedule.optimizer.lr = 100
        assert schedule.get_last_lr() != [100]
        schedule.step()
    assert (steps.lr, exponential.lr) == (50, 50)
    assert cosine.lr == pytest.approx(4)


def test_two_schedules_multiply():
    trained = optimizer(8)
    first, second = StepLR(trained, 2, 0.5), ExponentialLR(trained, 0.1)
    for _ in range(4):
        first.step()
        second.step()
    assert trained.lr == pytest.approx(8 * 0.5**2 * 0.1**4)


def test_the_optimiser_steps_by_the_scheduled_rate():
    w = Parameter(np.array([0.0]))
    w.grad += 1
    trained = SGD([w], lr=8)
    schedule = ExponentialLR(trained, 0.5)
    for _ in range(3):
        trained.step()
        schedule.step()
    assert w.data.item() == -(8 + 4 + 2)


def test_a_rate_that_grows_without_bound_is_refused():
    schedule = ExponentialLR(optimizer(1e300), 1e10)
    with pytest.raises(ValueError, match="lr must be finite, got inf"):
        schedule.step()
    assert schedule.optimizer.lr == 1e300
    assert schedule.last_epoch == 0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o: StepLR(o, 0), ValueError, "step_size must be at least 1, got 0"),
        (lambda o: StepLR(o, 2.0), TypeError, "step_size must be an integer, got 2.0"),
        (lambda o: StepLR(o, True), TypeError, "step_size must be an integer, got True"),
        (lambda o: StepLR(o, 1, -0.1), ValueError, "gamma must be at least 0, got -0.1"),
        (lambda o: StepLR(o, 1, "1"), TypeError, "gamma must be a number, got '1'"),
        (lambda o: ExponentialLR(o, -1), ValueError, "gamma must be at least 0, got -1"),
        (lambda o: ExponentialLR(o, math.nan), ValueError, "gamma must be finite, got nan"),
        (lambda o: ExponentialLR(o, None), TypeError, "gamma must be a number, got None"),
        (lambda o: CosineAnnealingLR(o, 0), ValueError, "T_max must be at least 1, got 0"),
        (lambda o: CosineAnnealingLR(o, 1.5), TypeError, "T_max must be an integer, got 1.5"),
        (lambda o: CosineAnnealingLR(o, 5, -1), ValueError, "eta_min must be at least 0, got -1"),
        (lambda o: CosineAnnealingLR(o, 5, "0"), TypeError, "eta_min must be a number, got '0'"),
        (lambda o: StepLR(0.1, 1), TypeError, "optimizer must be an Optimizer, got float"),
        (lambda o: ExponentialLR(o.params, 1), TypeError, "optimizer must be an .*, got list"),
        (lambda o: CosineAnnealingLR(Adam, 1), TypeError, "optimizer must be an .*, got type"),
        (lambda o: Schedule(o).step(), NotImplementedError, "Schedule has no _rate"),
    ],
)
def test_errors_leave_the_rate(make, error, message):
    trained = optimizer(0.5)
    with pytest.raises(error, match=message):
        make(trained)
    assert trained.lr == 0.5


def test_repr():
    trained = optimizer(0.5)
    schedule = StepLR(trained, 1, 0.5)
    schedule.step()
    assert repr(trained) == "SGD(lr=0.25)"
    assert repr(schedule) == "StepLR(last_epoch=1)"

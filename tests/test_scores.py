"""Precision, recall and delay of alarms, against counts by hand."""

import math
from collections import deque

import numpy as np
import pytest

from gradnb import SGD, GradientMonitor, Linear, alarm_scores

NAN = math.nan


def test_every_count_by_hand():
    runs = [
        ([], None, 1000),  # healthy, quiet
        ([5, 700], None, 1000),  # healthy, two false alarms: wrongly called once
        ([250, 210, 400], 200, 500),  # caught after 10 steps
        ([30, 260], 200, 500),  # wrongly called, and caught after 60
        ([199], 200, 500),  # one step too early: wrongly called and missed
        ([], 300, 500),  # missed
        ([0], 0, 100),  # caught at once
    ]
    scores = alarm_scores(runs)
    assert (scores.caught, scores.broken, scores.fooled) == (3, 5, 3)
    assert (scores.precision, scores.recall) == (0.5, 0.6)
    np.testing.assert_array_equal(scores.delays, [10, 60, NAN, NAN, 0])
    assert scores.delay == 10
    assert (scores.true_alarms, scores.false_alarms) == (5, 4)
    assert scores.healthy_steps == 1000 + 1000 + 200 + 200 + 200 + 300 + 0
    assert scores.false_per_1000 == 1000 * 4 / 2900


def test_the_median_of_two_delays_lies_between_them():
    assert alarm_scores([([11], 10, 50), ([14], 10, 50)]).delay == 2.5


def test_an_alarm_at_the_break_is_true_and_one_before_is_false_though_it_goes_on():
    early = {"step": 9, "last": 60, "kind": "low"}
    assert alarm_scores([([early], 10, 100)])[:2] == (0.0, 0.0)
    assert alarm_scores([([early | {"step": 10}], 10, 100)])[:3] == (1.0, 1.0, 0)


def test_nothing_to_divide_by_gives_nan():
    quiet = alarm_scores([([], None, 10)])
    assert math.isnan(quiet.precision)
    assert math.isnan(quiet.recall)
    assert math.isnan(quiet.delay)
    assert (quiet.delays, quiet.false_per_1000) == ((), 0)
    missed = alarm_scores([([], 5, 10)])
    assert (missed.recall, math.isnan(missed.precision)) == (0, True)
    assert math.isnan(alarm_scores([([1], 0, 10)]).false_per_1000)


def test_what_a_monitor_has_raised():
    model = Linear(1, 1)
    optimizer = SGD(model.parameters(), lr=0.0)
    with GradientMonitor(model, optimizer, high=1.0) as monitor:
        for step in range(40):
            model.weight.grad[...] = model.bias.grad[...] = 5.0 if step >= 30 else 0.5
            optimizer.step()
    scores = alarm_scores([(monitor.alarms, 28, 40), (deque(), None, 40)])
    assert scores.true_alarms == 2
    assert scores[:3] == (1.0, 1.0, 2)


def test_numbers_of_numpy_and_generators():
    runs = ((np.array([7]), np.int64(5), np.int32(10)) for _ in range(3))
    assert alarm_scores(runs).delays == (2, 2, 2)


def test_it_prints_what_it_counts():
    text = str(alarm_scores([([1], None, 2000), ([15], 10, 20)]))
    assert text.splitlines() == [
        "precision  0.5  (1 runs rightly called, 1 wrongly)",
        "recall     1  (1 of 1 broken caught)",
        "delay      5 steps (median of the runs caught)",
        "false      0.498 per 1,000 healthy steps (1 in 2,010)",
    ]


@pytest.mark.parametrize(
    ("runs", "error", "match"),
    [
        ([], ValueError, "runs must hold at least one run, got none"),
        (3, TypeError, "runs must be a list, got 3"),
        ({}, TypeError, r"runs must be a list, got \{\}"),
        ([3], TypeError, r"runs\[0\] must be \(alarms, broke_at, steps\), got 3"),
        ([([], None, 5), ([], 5)], TypeError, r"runs\[1\] must be \(alarms, broke_at, steps\)"),
        ([(3, None, 5)], TypeError, r"runs\[0\]: alarms must be a list, got 3"),
        ([({"step": 3}, None, 5)], TypeError, r"runs\[0\]: alarms must be a list"),
        ([("12", None, 5)], TypeError, r"runs\[0\]: alarms must be a list, got '12'"),
        ([([], None, 0)], ValueError, r"runs\[0\]: steps must be at least 1, got 0"),
        ([([], None, 5.0)], TypeError, r"runs\[0\]: steps must be an integer, got 5.0"),
        ([([], -1, 5)], ValueError, r"runs\[0\]: broke_at must be at least 0, got -1"),
        ([([], True, 5)], TypeError, r"runs\[0\]: broke_at must be an integer, got True"),
        ([([], 5, 5)], ValueError, r"broke_at must be below the number of steps, 5, got 5"),
        ([([], NAN, 5)], TypeError, r"runs\[0\]: broke_at must be an integer, got nan"),
        ([([5], None, 5)], ValueError, r"the step of an alarm must be below .*steps, 5, got 5"),
        ([([{}], None, 5)], ValueError, r"runs\[0\]: an alarm must have a step, got \{\}"),
        ([(["3"], None, 5)], TypeError, r"the step of an alarm must be an integer, got '3'"),
    ],
)
def test_errors(runs, error, match):
    with pytest.raises(error, match=match):
        alarm_scores(runs)

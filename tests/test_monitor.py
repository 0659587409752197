"""GradientMonitor on gradnb models: figures, alarms, log, memory, and that it only looks."""

import copy
import inspect
import io
import json
import math
import subprocess
import sys
import time
import tracemalloc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from gradnb import SGD, CrossEntropyLoss, GradientMonitor, Linear, MSELoss, Sequential, Sigmoid, mlp
from gradnb.measure import flat, is_finite, length, sum_and_zeros
from gradnb.module import Module, Parameter

FIGURES = ["l1", "l2", "zero_fraction", "update_ratio"]


def problem(seed=0, n=64):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    return x, (x[:, 0] + x[:, 1] > 0).astype(int) + (x[:, 2] > 1)


def train(model, optimizer, x, y, steps, batch=32, seed=0, look=None):
    rng, criterion = np.random.default_rng(seed), CrossEntropyLoss()
    for _ in range(steps):
        rows = rng.choice(len(x), batch, replace=False)
        optimizer.zero_grad()
        criterion(model(x[rows]), y[rows])
        model.backward(criterion.backward())
        if look:
            look()
        optimizer.step()


def kinds(monitor):
    return [alarm["kind"] for alarm in monitor.alarms]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_figures_by_hand(dtype):
    x, y = problem()
    model = mlp([6, 16, 3], rng=0, dtype=dtype)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    expected = []

    def look():
        expected.append(
            {name: (p.grad.astype(float), p.data.astype(float)) for name, p in named.items()}
        )

    named = dict(model.named_parameters())
    with GradientMonitor(model, optimizer) as monitor:
        train(model, optimizer, x.astype(dtype), y, 5, look=look)
    look()
    assert monitor.names == ("0.weight", "0.bias", "2.weight", "2.bias")
    assert [record["step"] for record in monitor.records] == [0, 1, 2, 3, 4]
    rtol = 1e-12 if dtype == np.float64 else 1e-6
    for name in monitor.names:
        for t in range(5):
            (g, before), (_, after) = expected[t][name], expected[t + 1][name]
            hand = [np.abs(g).sum(), math.sqrt((g**2).sum()), (g == 0).mean()]
            ratio = math.sqrt(((after - before) ** 2).sum())
            ratio /= math.sqrt((before**2).sum()) or math.nan
            got = [monitor.history(name, figure)[t] for figure in FIGURES]
            np.testing.assert_allclose(got[:3], hand, rtol=rtol)
            if name.endswith("bias") and t == 0:
                assert got[3] == math.inf
            else:
                np.testing.assert_allclose(got[3], ratio, rtol=1e-9 if rtol < 1e-9 else 1e-5)
    total = math.sqrt(sum((g**2).sum() for g, _ in expected[2].values()))
    assert monitor.records[2]["norm"] == pytest.approx(total, rel=rtol)
    assert 0 < monitor.history("0.weight", "zero_fraction")[0] < 1 or dtype


def test_zero_fraction_counts_exact_zeros():
    model = Linear(4, 1)
    optimizer = SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer) as monitor:
        model.weight.grad[...] = [[0.0], [-0.0], [5e-324], [np.nan]]
        optimizer.step()
    assert monitor.history("weight", "zero_fraction").tolist() == [0.5]
    assert monitor.history("bias", "zero_fraction").tolist() == [1.0]


@np.errstate(all="ignore")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 7, 10_000, 10_001, 123_457])
def test_norms_of_any_size_and_scale(size, dtype):
    x = np.random.default_rng(0).normal(size=size).astype(dtype)
    small, large = (1e-44, 1e33) if dtype == np.float32 else (1e-300, 1e300)
    for scale in (1.0, 1e-20, small, large):
        scaled = x * dtype(scale)
        wide = scaled.astype(np.longdouble)
        rtol = 1e-9 if dtype == np.float64 else 2e-6
        np.testing.assert_allclose(length(scaled), float(np.sqrt((wide**2).sum())), rtol=rtol)
        total, zeros = sum_and_zeros(scaled)
        np.testing.assert_allclose(total, float(np.abs(wide).sum()), rtol=rtol)
        assert zeros == np.count_nonzero(scaled == 0)
        assert is_finite(scaled)
    x[size // 2] = np.nan
    assert math.isnan(length(x))
    assert not is_finite({"a": (x,)})
    x[size // 2] = -np.inf
    assert length(x) == math.inf
    assert not is_finite([1, "text", x])


def test_half_precision_and_layouts():
    x = np.random.default_rng(0).normal(size=(30, 20))
    for array in (x.T, x[::2, ::3], np.asfortranarray(x)):
        assert length(flat(array)) == pytest.approx(np.linalg.norm(array), rel=1e-12)
    assert length(flat(x.astype(np.float16))) == pytest.approx(np.linalg.norm(x), rel=1e-3)
    with pytest.raises(TypeError, match="real floating-point numbers, got complex128"):
        flat(x + 1j)


@pytest.mark.parametrize("seed", range(6))
def test_a_healthy_run_raises_no_alarm(seed):
    x, y = problem(seed, 256)
    model = mlp([6, 32, 32, 3], rng=seed)
    optimizer = SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer) as monitor:
        train(model, optimizer, x, y, 400, seed=seed)
    assert list(monitor.alarms) == []
    assert len(monitor.records) == 400


@pytest.mark.parametrize("seed", range(5))
def test_vanishing_exploding_and_dead(seed):
    x, y = problem(seed)
    deep = mlp([6] + [8] * 20 + [3], Sigmoid, rng=seed)
    optimizer = SGD(deep.parameters(), lr=0.1)
    with GradientMonitor(deep, optimizer) as monitor:
        train(deep, optimizer, x, y, 5)
    assert monitor.alarms[0] | {"message": 0, "value": 0, "last": 0} == {
        "step": 0,
        "kind": "low",
        "name": "0.weight",
        "value": 0,
        "threshold": 1e-7,
        "message": 0,
        "last": 0,
    }
    assert monitor.alarms[0]["last"] == 4
    assert kinds(monitor).count("low") == len({a["name"] for a in monitor.alarms}), "repeated"

    wide = mlp([6] + [64] * 12 + [3], init=lambda s, rng: rng.normal(0, 1, s), rng=seed)
    optimizer = SGD(wide.parameters(), lr=1e-9)
    with GradientMonitor(wide, optimizer) as monitor:
        train(wide, optimizer, x, y, 2)
    assert "high" in kinds(monitor)

    dead = mlp([6, 8, 3], rng=seed)
    dead[0].bias.data[...] = -100
    optimizer = SGD(dead.parameters(), lr=0.1)
    with GradientMonitor(dead, optimizer) as monitor:
        train(dead, optimizer, x, y, 30)
    assert {(a["name"], a["kind"]) for a in monitor.alarms} == {
        ("0.weight", "zero"),
        ("0.bias", "zero"),
        ("2.weight", "zero"),
    }


def test_relative_alarms_need_no_fixed_threshold():
    model = Linear(3, 2, rng=0)
    optimizer = SGD(model.parameters(), lr=1e-12)
    monitor = GradientMonitor(model, optimizer, low=None, high=None, relative=10, window=20)
    for step in range(60):
        for p in model.parameters():
            p.grad[...] = 1e9 * (50 if step == 30 else 1e-2 if step > 45 or step == 35 else 1)
        optimizer.step()
    found = [(a["step"], a["kind"], a["name"], a["last"]) for a in monitor.alarms]
    assert found[:2] == [(30, "rise", "weight", 30), (30, "rise", "bias", 30)]
    assert [f[:3] for f in found[2:]] == [(55, "fall", "weight"), (55, "fall", "bias")]
    assert monitor.alarms[0]["threshold"] == pytest.approx(10 * monitor.history("weight")[0])


def updates(rates, gradients=None, **options):
    """Return the alarms of a run whose learning rate is as given, the gradient all the while 1."""
    w = Parameter(np.full(1, 100.0))
    optimizer = SGD([w], lr=1.0)
    options = {"relative_update": 100.0} | options
    with GradientMonitor(Named(w=w), optimizer, **options) as monitor:
        for step, rate in enumerate(rates):
            w.data[...], w.grad[...] = 100.0, 1.0 if gradients is None else gradients[step]
            optimizer.lr = rate
            optimizer.step()
    return [(a["step"], a["kind"], a["last"]) for a in monitor.alarms]


def test_a_rate_that_jumps_shows_in_the_updates_alone():
    assert updates([0.1] * 30 + [1e-4] * 20) == [(39, "update fall", 49)]
    assert updates([0.1] * 30 + [0.0] * 20) == [(39, "update fall", 49)]
    assert updates([0.1] * 30 + [11.0] + [0.1] * 5) == [(30, "update rise", 30)]
    assert updates([0.1] * 30 + [9.0, 2e-3] * 10) == []
    assert updates([0.1] * 30 + [1e-4] * 9 + [0.1] * 5) == [], "a fall takes ten in a row"
    assert updates([0.1] * 30 + [1e-4] * 20, relative_update=None) == [], "it is off by default"
    assert updates([0.1] * 30 + [1e-4] * 20, relative_update=2000) == []
    assert updates([0.0] * 30 + [1.0] * 20) == [], "of a median of 0 nothing is a multiple"
    assert updates([0.1] * 60, [1.0] * 30 + [1e-5] * 30, relative=None, low=None) == [
        (39, "update fall", 59)
    ]


def test_updates_are_judged_apart_from_gradients():
    found = updates([0.1] * 40, [1.0] * 30 + [500.0] + [1.0] * 9)
    assert found == [(30, "rise", 30), (30, "update rise", 30)]


def test_the_alarm_of_an_update_says_what_and_comes_after_the_step():
    w, seen = Parameter(np.full(1, 100.0)), []

    def look(alarm):
        seen.append((alarm["message"], alarm["threshold"], w.data.item()))

    optimizer = SGD([w], lr=1.0)
    options = {"relative_update": 10.0, "warmup": 3, "relative": None, "on_alarm": look}
    with GradientMonitor(Named(w=w), optimizer, **options):
        for rate in (1.0, 1.0, 1.0, 50.0):
            w.data[...], w.grad[...], optimizer.lr = 100.0, 1.0, rate
            optimizer.step()
    text = "step 3: update-to-weight ratio of w is 0.5, its recent median 0.01"
    assert seen == [(text, 0.1, 50.0)]


def test_a_ratio_that_is_not_finite_is_held_against_nothing():
    w = Parameter(np.full(1, 100.0))
    optimizer = SGD([w], lr=1.0)
    with GradientMonitor(Named(w=w), optimizer, relative_update=10.0) as monitor:
        for step in range(40):
            w.data[...], w.grad[...] = 0.0 if step == 30 else 100.0, 1.0
            optimizer.step()
    assert monitor.history("w", "update_ratio")[30] == math.inf
    assert list(monitor.alarms) == []


def test_weights_that_start_at_0_bring_no_alarm_of_their_updates():
    """The first ratio of a bias is infinite, and the next ones are large."""
    x, y = problem(0, 256)
    model = mlp([6, 32, 32, 3], rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer, relative_update=100.0) as monitor:
        train(model, optimizer, x, y, 400)
    assert monitor.history("0.bias", "update_ratio")[0] == math.inf
    assert list(monitor.alarms) == []


class Named:
    def __init__(self, **parameters):
        self.parameters = parameters

    def named_parameters(self):
        return self.parameters.items()


def alarms_of(norms, **options):
    """Return step, kind, threshold and message of the alarms that such norms raise."""
    w = Parameter(np.ones(1))
    monitor = GradientMonitor(Named(w=w), **options)
    for norm in norms:
        w.grad[...] = norm
        monitor.step()
    return [(a["step"], a["kind"], a["threshold"], a["message"]) for a in monitor.alarms]


@pytest.mark.parametrize(
    ("options", "warmup"),
    [({}, 20), ({"window": 5}, 5), ({"warmup": 4}, 4), ({"warmup": 20, "low": None}, 20)],
)
def test_a_median_needs_its_warmup(options, warmup):
    options = {"relative": 1.5} | options
    assert alarms_of([2.0] * (warmup - 1) + [3.5], **options) == []
    text = f"step {warmup}: norm of the gradient of w is 3.5, its recent median 2"
    assert alarms_of([2.0] * warmup + [3.5], **options) == [(warmup, "rise", 3.0, text)]


def test_a_fall_takes_as_many_records_as_a_median():
    found = alarms_of([2.0, 2.0, 0.1, 2.0, 0.1, 0.1], warmup=2, window=100)
    assert found == []
    found = alarms_of([2.0, 2.0, 0.1, 0.1], warmup=2, relative=10)
    text = "step 3: norm of the gradient of w is 0.1, its recent median 2"
    assert found == [(3, "fall", 0.2, text)]
    assert alarms_of([2.0, 2.0, 0.1], warmup=2, relative=10) == []


def test_an_alarm_is_over_after_a_window_without_it():
    options = {"high": 1, "relative": None, "window": 3}
    assert [step for step, *_ in alarms_of([2, 1, 1, 2], **options)] == [0]
    assert [step for step, *_ in alarms_of([2, 1, 1, 1, 2], **options)] == [0, 4]


def test_the_median_is_renewed_after_as_many_records_as_a_fall_takes():
    (found,) = alarms_of([2.0] * 5 + [8.0] * 4 + [50.0], window=5, relative=10)
    assert found[:3] == (9, "rise", 20.0)


@pytest.mark.parametrize(
    ("norms", "options", "kind"),
    [
        ([2.0, 2.0, 4.0], {"high": 4}, "rise"),
        ([2.0, 2.0, 3.0], {"high": 2.5}, "high"),
        ([3.0, 3.0, 1.0, 1.0], {"low": 1}, "fall"),
        ([3.0, 3.0, 2.0, 2.0], {"low": 2.5}, "low"),
    ],
)
def test_a_norm_at_a_threshold_is_not_beyond_it(norms, options, kind):
    found = alarms_of(norms, warmup=2, relative=1.5, **options)
    assert [found_kind for _, found_kind, _, _ in found] == [kind]


def test_one_threshold_can_do_without_the_other():
    assert alarms_of([1e5], high=None, relative=None) == []
    assert alarms_of([1e-9], low=None, relative=None) == []


def test_a_gradient_of_zero_needs_no_threshold():
    text = "step 0: norm of the gradient of w is 0"
    assert alarms_of([0.0], low=None, relative=None) == [(0, "zero", 0.0, text)]


def test_the_median_is_that_of_the_window():
    text = "step 5: norm of the gradient of w is 20, its recent median 3"
    assert alarms_of([5, 1, 3, 2, 4, 20], warmup=5, relative=4) == [(5, "rise", 12.0, text)]
    assert alarms_of([9, 9, 9, 9, 9, 5, 1, 3, 2, 4, 20], window=5, relative=4)[-1][2] == 12


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_norm_that_is_not_finite_is_held_against_no_threshold(value):
    found = alarms_of([1.0] * 3 + [value] * 5 + [1.0], warmup=3, relative=2)
    assert [kind for _, kind, _, _ in found] == ["nonfinite gradient"]


def test_an_alarm_is_raised_once_until_it_has_been_over():
    model = Linear(1, 1)
    optimizer, seen = SGD(model.parameters(), lr=0.0), []
    options = {"relative": None, "window": 5, "warmup": 1}
    monitor = GradientMonitor(model, optimizer, high=1.0, on_alarm=seen.append, **options)
    for step in range(60):
        model.weight.grad[...] = 2.0 if step % 3 == 0 and not 20 < step < 40 else 0.5
        model.bias.grad[...] = 0.5
        optimizer.step()
    assert [(a["step"], a["last"]) for a in monitor.alarms] == [(0, 18), (42, 57)]
    assert seen == list(monitor.alarms)


class Exp(Module):
    def forward(self, x):
        with np.errstate(over="ignore"):
            y = np.exp(x)
        self._remember(y, y)
        return y

    def backward(self, grad_output, input_grad=True):
        return grad_output * self._recall(grad_output)


def test_where_an_output_stops_being_finite():
    model = Sequential(Linear(2, 2, rng=0), Exp(), Linear(2, 1, rng=1))
    with GradientMonitor(model) as monitor:
        model(np.ones((1, 2)))
        assert kinds(monitor) == []
        with np.errstate(all="ignore"):
            model(np.full((1, 2), 1e6) * np.sign(model[0].weight.data[:, :1].T))
        (alarm,) = monitor.alarms
    assert alarm["kind"] == "nonfinite output"
    assert alarm["message"] == "step 0: output of 1 (Exp) is not finite; its input is finite"
    assert (alarm["name"], alarm["threshold"]) == ("1", None)


def test_what_follows_from_an_output_that_is_not_finite_is_not_reported():
    model = mlp([2, 3, 1], rng=0)
    monitor = GradientMonitor(model)
    model[0].weight.data[...] = np.inf
    with np.errstate(all="ignore"):
        model(np.ones((1, 2)))
        model.backward(np.full((1, 1), np.nan))
    monitor.step()
    assert kinds(monitor) == ["nonfinite output"]
    model.zero_grad()
    for _ in range(3):
        monitor.step()
    assert monitor.alarms[0]["last"] == 0


class InPlace(Module):
    def forward(self, x):
        x /= 0.0
        return x


def test_an_output_that_is_the_input_is_looked_at_again():
    model = Sequential(Linear(2, 2, rng=0), InPlace(), Linear(2, 1, rng=0))
    monitor = GradientMonitor(model)
    with np.errstate(all="ignore"):
        model(np.ones((1, 2)))
    assert monitor.alarms[0]["name"] == "1"


class Between(Module):
    def __init__(self):
        self.first, self.second = Linear(2, 2, rng=0), Linear(2, 1, rng=1)

    def forward(self, x):
        return self.second(self.first(x) / 0.0)


@np.errstate(all="ignore")
def test_a_number_that_stops_being_finite_between_two_modules():
    model, x = Between(), np.ones((1, 2))
    with GradientMonitor(model) as monitor:
        model(x)
    text = "input of second (Linear) is not finite, but every output before it is"
    (alarm,) = monitor.alarms
    assert (alarm["kind"], alarm["name"]) == ("nonfinite input", "second")
    assert alarm["message"] == f"step 0: {text}"
    with GradientMonitor(model) as monitor:
        model.second(x * np.nan)
        assert kinds(monitor) == []
        monitor.step()
    assert monitor.alarms[0]["message"] == f"step 0: {text}", "forward() of the model had no end"


class After(Module):
    def __init__(self):
        self.inner = Linear(2, 1, rng=0)

    def forward(self, x):
        return self.inner(x) / 0.0


@np.errstate(all="ignore")
def test_a_container_may_make_its_own_output():
    model = After()
    with GradientMonitor(model) as monitor:
        model(np.ones((1, 2)))
    text = "step 0: output of the model (After) is not finite; its input is finite"
    assert [alarm["message"] for alarm in monitor.alarms] == [text]


def test_a_module_may_be_called_without_inputs():
    """PyTorch's hooks are not told of inputs that are passed by name."""
    model = Linear(2, 1, rng=0)
    with GradientMonitor(model) as monitor:
        (handle,) = model._forward_hooks
        handle.hook(model, (), np.array([[np.nan]]))
    assert monitor.alarms[0]["message"] == "step 0: output of the model (Linear) is not finite"


def test_no_output_is_kept_alive():
    model = Linear(2, 1, rng=0)
    with GradientMonitor(model):
        output = weakref.ref(model(np.ones((1, 2))))
        assert output() is None


def test_an_input_or_a_weight_that_is_not_finite():
    model = mlp([2, 3, 1], rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer) as monitor, np.errstate(all="ignore"):
        model(np.array([[1.0, np.nan]]))
        model.backward(np.ones((1, 1)))
        assert monitor.alarms[-1]["message"] == "step 0: input of the model is not finite"
        assert (monitor.alarms[-1]["kind"], monitor.alarms[-1]["name"]) == ("nonfinite input", "")
        model.zero_grad()
        optimizer.step()
        model[2].weight.data[0, 0] = np.inf
        model(np.ones((1, 2)))
        assert monitor.alarms[-1]["message"] in (
            "step 1: output of 2 (Linear) is not finite; its input is finite, its weights are not",
        )
        optimizer.step()
        optimizer.step()
    assert monitor.alarms[-1]["kind"] == "nonfinite weight"
    assert monitor.alarms[-1]["name"] == "2.weight"


def test_a_gradient_or_an_update_that_is_not_finite():
    model = mlp([2, 3, 1], rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer) as monitor, np.errstate(all="ignore"):
        model(np.ones((1, 2)))
        model[0].weight.grad[0, 0] = np.nan
        model[0].bias.grad[0] = np.inf
        before = model[0].weight.grad.copy()
        optimizer.step()
        assert np.array_equal(model[0].weight.grad, before, equal_nan=True), "repaired"
    gradients = [a for a in monitor.alarms if a["kind"].startswith("nonfinite")]
    assert [(a["kind"], a["name"]) for a in gradients] == [("nonfinite gradient", "0.bias")]
    assert gradients[0]["message"] == (
        "step 0: gradient of 0.bias is not finite, every output is; "
        "it arises between 2.weight and it"
    )
    assert math.isnan(monitor.history("0.weight", "l2")[0])

    model = Linear(2, 1, rng=0)
    optimizer = SGD(model.parameters(), lr=1e308)
    with GradientMonitor(model, optimizer) as monitor, np.errstate(all="ignore"):
        model.weight.grad[...] = 10.0
        optimizer.step()
    assert ("nonfinite update", "weight") in [(a["kind"], a["name"]) for a in monitor.alarms]


def test_large_finite_gradients_are_finite():
    model = Linear(2, 1, rng=0, dtype=np.float32)
    optimizer = SGD(model.parameters(), lr=0.0)
    with GradientMonitor(model, optimizer) as monitor:
        model.weight.grad[...] = 3e38
        model.bias.grad[...] = 1e-40
        optimizer.step()
    assert kinds(monitor) == ["high", "low"]
    assert monitor.history("weight", "l2")[0] == pytest.approx(3e38 * math.sqrt(2), rel=1e-6)
    assert monitor.history("weight", "l1")[0] == pytest.approx(6e38, rel=1e-6)
    assert monitor.history("bias", "l2")[0] == pytest.approx(1e-40, rel=1e-4)


def test_a_norm_too_large_for_a_float_is_high_and_that_of_nothing_is_0():
    w, empty = Parameter(np.ones(2)), Parameter(np.zeros((0, 2)))
    monitor = GradientMonitor(Named(w=w, empty=empty))
    w.grad[...] = 1.7e308
    monitor.step()
    assert kinds(monitor) == ["high", "zero"]
    assert monitor.history("w").tolist() == [math.inf]
    assert monitor.history("empty", "zero_fraction").tolist() == [0]


def test_it_changes_nothing():
    x, y = problem()
    states = []
    for watched in (False, True):
        model = mlp([6, 16, 3], rng=0)
        model.eval()
        optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
        np.random.seed(0)  # noqa: NPY002
        if watched:
            options = {"high": 1e-3, "relative_update": 1.01, "log": io.StringIO()}
            monitor = GradientMonitor(model, optimizer, **options)
        train(model, optimizer, x, y, 50)
        if watched:
            assert {"high", "update fall"} <= set(kinds(monitor))
        grads = [p.grad.copy() for p in model.parameters()]
        states.append((model.state_dict(), grads, np.random.random(), model.training))  # noqa: NPY002
    (a, ga, ra, ta), (b, gb, rb, tb) = states
    assert all(np.array_equal(a[k], b[k]) for k in a)
    assert all(map(np.array_equal, ga, gb))
    assert (ra, ta) == (rb, tb)


class Sink:
    def __init__(self):
        self.lines = 0

    def write(self, text):
        self.lines += bool(text)


@pytest.mark.parametrize("every", [1, 7])
def test_memory_is_bounded(every):
    """10,000 steps, each with an alarm and, where it is due, a line in a log."""
    w, v = Parameter(np.ones(3)), Parameter(np.ones(3))
    optimizer, log = SGD([w, v], lr=1e-9), Sink()
    options = {"high": 1.0, "window": 1, "warmup": 1, "every": every, "log": log}
    monitor = GradientMonitor(Named(w=w, v=v), optimizer, keep=50, **options)

    def go_on(steps):
        for step in range(steps // every * every):
            # In turn, each for a record and not for two: so it is another alarm each time
            turn = step // every % 3
            w.grad[...], v.grad[...] = (9.0 if turn == 0 else 0.1), (9.0 if turn == 1 else 0.1)
            optimizer.step()

    go_on(500)
    tracemalloc.start()
    go_on(200)
    before, lines = tracemalloc.get_traced_memory()[0], log.lines
    go_on(10_000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000
    assert log.lines - lines == 10_000 // every
    assert len(monitor.records) == len(monitor.alarms) == 50
    assert len({alarm["step"] for alarm in monitor.alarms}) > 20


def test_memory_is_bounded_where_an_alarm_goes_on():
    model = mlp([3, 4, 2], rng=0)
    monitor = GradientMonitor(model, every=10**9)  # nothing is due after the first step
    x = np.full((1, 3), np.nan)

    def go_on(steps):
        for _ in range(steps):
            model(x)
            monitor.step()

    go_on(200)
    tracemalloc.start()
    go_on(100)
    before = tracemalloc.get_traced_memory()[0]
    go_on(2_000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 10_000
    assert kinds(monitor).count("nonfinite input") == 1
    assert monitor.alarms[0]["last"] == 2_299


def test_every_and_details():
    model = mlp([3, 4, 2], rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)
    x, y = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 1, 0, 1])
    with GradientMonitor(model, optimizer, every=3, detail_every=2) as monitor:
        train(model, optimizer, x, y, 13, batch=4)
    assert [record["step"] for record in monitor.records] == [0, 3, 6, 9, 12]
    model = mlp([3, 4, 2], rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer) as whole:
        train(model, optimizer, x, y, 13, batch=4)
    for name in monitor.names:
        np.testing.assert_array_equal(monitor.history(name), whole.history(name)[::3])
    for figure in ("l1", "zero_fraction", "update_ratio"):
        measured = np.isfinite(monitor.history("0.weight", figure))
        assert measured.tolist() == [True, False, True, False, True]
    large = mlp([400, 300, 2], rng=0)
    optimizer = SGD(large.parameters(), lr=0.1)
    with GradientMonitor(large, optimizer) as monitor:
        train(large, optimizer, np.ones((4, 400)), y, 22, batch=4)
    assert np.flatnonzero(np.isfinite(monitor.history("0.weight", "l1"))).tolist() == [0, 20]


def test_defaults():
    options = [*inspect.signature(GradientMonitor).parameters.values()][2:]
    assert {option.name: option.default for option in options} == {
        **{"low": 1e-7, "high": 1e3, "relative": 100, "relative_update": None},
        **{"window": 100, "warmup": None},
        **{"every": 1, "detail_every": None, "keep": 1000, "log": None, "on_alarm": None},
    }


@pytest.mark.parametrize(("size", "detailed"), [(100_000, [True, True]), (100_001, [True, False])])
def test_the_size_from_which_details_are_rarer(size, detailed):
    monitor = GradientMonitor(Named(w=Parameter(np.ones(size))))
    monitor.step()
    monitor.step()
    assert np.isfinite(monitor.history("w", "l1")).tolist() == detailed


def test_only_the_last_alarms_are_kept():
    model = Linear(3, 1, rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)
    options = {"low": 1.0, "window": 1, "warmup": 1, "relative": None}
    monitor = GradientMonitor(model, optimizer, keep=2, **options)
    for step in range(12):
        model.bias.grad[...] = 2.0
        model.weight.grad[...] = 0.1 if step % 3 == 0 else 2.0
        optimizer.step()
    assert [alarm["step"] for alarm in monitor.alarms] == [6, 9]


def test_a_changed_rate_is_seen_in_the_ratio():
    model = Linear(3, 1, rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)
    monitor = GradientMonitor(model, optimizer)
    for rate in (0.1, 0.001):
        optimizer.lr = rate
        model.weight.grad[...] = 1.0
        optimizer.step()
    first, second = monitor.history("weight", "update_ratio")
    assert 50 < first / second < 200


def test_an_update_too_large_for_a_float_is_no_weight_that_is_not_finite():
    w = Parameter(np.array([-1.7e308]))
    optimizer = SGD([w], lr=0.0)
    optimizer.register_step_post_hook(lambda *args: w.data.fill(1.7e308))
    monitor = GradientMonitor(Named(w=w), optimizer)
    w.grad += 1
    optimizer.step()
    assert kinds(monitor) == []
    assert monitor.history("w", "update_ratio").tolist() == [math.inf]


def test_an_alarm_may_close_the_monitor(tmp_path):
    w = Parameter(np.ones(1))
    optimizer = SGD([w], lr=0.1)
    optimizer.register_step_post_hook(lambda *args: w.data.fill(np.inf))
    options = {"log": tmp_path / "log", "on_alarm": lambda alarm: monitor.close()}
    monitor = GradientMonitor(Named(w=w), optimizer, **options)
    w.grad += 1
    optimizer.step()
    assert kinds(monitor) == ["nonfinite update"]


def test_the_ratio_of_weights_that_are_0_and_stay_so_is_0():
    model = Linear(1, 1)
    optimizer = SGD(model.parameters(), lr=0.1)
    monitor = GradientMonitor(model, optimizer)
    optimizer.step()
    assert monitor.history("bias", "update_ratio").tolist() == [0]


def test_a_parameter_may_change_its_shape_and_its_type():
    w = Parameter(np.ones(2))
    optimizer = SGD([w], lr=0.25)
    monitor = GradientMonitor(Named(w=w), optimizer)
    for shape, dtype in [((2,), np.float32), ((3,), np.float32), ((3,), float)]:
        w.data, w.grad = np.full(shape, 1 / 3, dtype), np.full(shape, 1 / 3, dtype)
        optimizer.step()
    np.testing.assert_allclose(monitor.history("w", "update_ratio"), 0.25, rtol=1e-6)
    assert monitor.history("w", "update_ratio")[2] == pytest.approx(0.25, rel=1e-14)


def test_weights_that_are_not_finite_bring_no_warning():
    model = Linear(1, 1)
    model.weight.data[...] = np.inf
    optimizer = SGD(model.parameters(), lr=0.1)
    monitor = GradientMonitor(model, optimizer)
    model.weight.grad += 1
    model.bias.grad += 1
    optimizer.step()
    assert kinds(monitor) == ["nonfinite weight"]


def test_without_an_optimizer():
    model = mlp([3, 4, 2], rng=0)
    monitor = GradientMonitor(model)
    for p in model.parameters():
        p.grad += 1
    monitor.step()
    assert monitor.history("0.weight", "l1").tolist() == [12]
    assert np.isnan(monitor.history("0.weight", "update_ratio")).all()
    monitor.close()
    with pytest.raises(RuntimeError, match="closed"):
        monitor.step()
    optimizer = SGD(model.parameters(), lr=0.1)
    with (
        GradientMonitor(model, optimizer) as monitor,
        pytest.raises(RuntimeError, match=r"optimizer\.step\(\) records already"),
    ):
        monitor.step()


def hooks(model, optimizer):
    modules = [len(module._forward_hooks) for _, module in model.named_modules()]
    return modules, len(optimizer._pre_hooks), len(optimizer._post_hooks)


def test_hooks_are_removed_whatever_happens(tmp_path):
    model = mlp([3, 4, 2], rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)
    bare = hooks(model, optimizer)
    with GradientMonitor(model, optimizer) as monitor:
        assert hooks(model, optimizer) == ([1, 1, 1, 1], 1, 1)
    assert hooks(model, optimizer) == bare
    monitor.close()
    with pytest.raises(ZeroDivisionError), GradientMonitor(model, optimizer):
        1 / 0  # noqa: B018
    assert hooks(model, optimizer) == bare

    def broken(hook):
        raise ZeroDivisionError

    optimizer.register_step_post_hook = broken
    with pytest.raises(ZeroDivisionError):
        GradientMonitor(model, optimizer, log=tmp_path / "log")
    assert hooks(model, optimizer) == bare
    model[2].register_forward_hook = broken
    with pytest.raises(ZeroDivisionError):
        GradientMonitor(model)
    assert hooks(model, optimizer) == bare


def test_copies_are_not_watched():
    model = mlp([3, 4, 2], rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer, log=io.StringIO()) as monitor:
        twin, other = copy.deepcopy((model, optimizer))
        twin(np.full((1, 3), np.nan))
        other.step()
        assert len(monitor.records) == len(monitor.alarms) == 0
        optimizer.step()
        assert set(kinds(monitor)) == {"zero"}


def test_an_alarm_can_stop_the_run_before_the_weights_change():
    model = Linear(1, 1, rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)

    def stop(alarm):
        raise StopIteration(alarm["message"])

    before = model.weight.data.copy()
    with GradientMonitor(model, optimizer, on_alarm=stop):
        model.weight.grad[...] = np.nan
        with pytest.raises(StopIteration, match="gradient of weight is not finite"):
            optimizer.step()
    assert np.array_equal(model.weight.data, before)


def test_log(tmp_path):
    path = tmp_path / "run.jsonl"
    model = mlp([3, 4, 2], rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer, log=path, detail_every=2) as monitor:
        for value in (1.0, np.nan, np.inf):
            for p in model.parameters():
                p.grad[...] = value
            optimizer.step()
            assert len(path.read_text().splitlines()) == len(monitor.records), "not flushed"

    def strict(constant):
        raise AssertionError(f"{constant} is not JSON")

    lines = [json.loads(line, parse_constant=strict) for line in path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1, 2]
    assert lines[0]["parameters"]["0.bias"]["l1"] == 4.0
    assert lines[1]["parameters"]["0.bias"] == dict.fromkeys(FIGURES) | {"l2": "nan"}
    assert lines[2]["parameters"]["0.weight"]["l1"] in ("nan", "inf")
    assert [alarm["kind"] for alarm in lines[1]["alarms"]] == ["nonfinite gradient"]
    assert lines[1]["alarms"][0]["value"] == "nan"
    assert lines[0]["alarms"] == lines[2]["alarms"] == [], "an alarm is in one line only"
    with pytest.raises(FileExistsError, match="log must be a new file"):
        GradientMonitor(model, optimizer, log=path)
    assert len(path.read_text().splitlines()) == 3
    with pytest.raises(OSError, match="missing"):
        GradientMonitor(model, optimizer, log=str(tmp_path / "missing" / "log"))
    with path.open() as reader, pytest.raises(TypeError, match="text file open for writing"):
        GradientMonitor(model, optimizer, log=reader)
    stream = io.StringIO()
    with GradientMonitor(model, optimizer, log=stream):
        optimizer.step()
    assert json.loads(stream.getvalue())["step"] == 0


def test_a_log_needs_no_more_than_write():
    lines = []
    monitor = GradientMonitor(Linear(1, 1), log=SimpleNamespace(write=lines.append))
    monitor.step()
    assert json.loads("".join(lines))["step"] == 0


def test_a_killed_run_leaves_its_lines(tmp_path):
    path = tmp_path / "run.jsonl"
    code = f"""
import numpy as np
from gradnb import SGD, GradientMonitor, Linear
model = Linear(3, 2, rng=0)
optimizer = SGD(model.parameters(), lr=0.1)
monitor = GradientMonitor(model, optimizer, log={str(path)!r})
while True:
    optimizer.step()
"""
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (path.exists() and path.stat().st_size > 5000):
            time.sleep(0.01)
        process.kill()
    whole = path.read_text().rpartition("\n")[0].splitlines()
    assert [json.loads(line)["step"] for line in whole] == list(range(len(whole)))
    assert len(whole) > 10


def closed():
    file = io.StringIO()
    file.close()
    return file


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"model": 3}, TypeError, r"model must have named_parameters\(\), got int"),
        ({"model": Named()}, ValueError, "model must have parameters, got a Named"),
        ({"model": Named(w=np.ones(1))}, TypeError, "w must have .data and .grad, got ndarray"),
        ({"model": Named(w=SimpleNamespace(grad=1))}, TypeError, "w must have .data and .grad"),
        ({"optimizer": 3}, TypeError, "optimizer must have register_step_pre_hook .*got int"),
        ({"optimizer": "other"}, ValueError, "optimizer must hold parameters of model"),
        ({"low": -1}, ValueError, "low must be at least 0, got -1"),
        ({"low": math.nan}, ValueError, "low must be finite"),
        ({"high": "a"}, TypeError, "high must be a number, got 'a'"),
        ({"low": 2, "high": 2}, ValueError, "low must be below high, got low=2 and high=2"),
        ({"relative": 1}, ValueError, "relative must be above 1, got 1"),
        ({"relative_update": 1}, ValueError, "relative_update must be above 1, got 1"),
        ({"relative_update": "a"}, TypeError, "relative_update must be a number, got 'a'"),
        ({"window": 0}, ValueError, "window must be at least 1, got 0"),
        ({"warmup": 0}, ValueError, "warmup must be at least 1, got 0"),
        ({"window": 5, "warmup": 6}, ValueError, "warmup must be at most window, 5, got 6"),
        ({"every": 0}, ValueError, "every must be at least 1, got 0"),
        ({"every": 1.5}, TypeError, "every must be an integer, got 1.5"),
        ({"detail_every": 0}, ValueError, "detail_every must be at least 1"),
        ({"keep": 0}, ValueError, "keep must be at least 1"),
        ({"log": 3}, TypeError, "log must be a path or a text file open for writing, got 3"),
        ({"log": closed()}, TypeError, "log must be a path or a text file open for writing"),
        ({"log": io.BytesIO()}, TypeError, "log must be a path or a text file"),
        ({"on_alarm": 3}, TypeError, "on_alarm must be a callable, got 3"),
    ],
)
def test_errors(options, error, match, tmp_path):
    model = options.pop("model", None) or mlp([3, 4, 2], rng=0)
    if options.get("optimizer") == "other":
        options["optimizer"] = SGD(Linear(1, 1).parameters(), lr=0.1)
    options.setdefault("log", tmp_path / "log")
    with pytest.raises(error, match=match):
        GradientMonitor(model, **options)
    assert not (tmp_path / "log").exists()
    assert not any(
        getattr(m, "_forward_hooks", ()) for _, m in getattr(model, "named_modules", list)()
    )


def test_history_names_what_there_is():
    monitor = GradientMonitor(Linear(1, 1))
    with pytest.raises(ValueError, match="name must be one of weight, bias, got 'w'"):
        monitor.history("w")
    with pytest.raises(ValueError, match=r"figure must be one of l1, l2, .*got 'l3'"):
        monitor.history("bias", "l3")


def test_shared_parameters_count_once():
    first, second = Linear(2, 2, rng=0), Linear(2, 2, rng=1)
    second.weight = first.weight
    model = Sequential(first, second)
    optimizer = SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer) as monitor:
        MSELoss()(model(np.ones((1, 2))), np.ones((1, 2)))
        model.backward(np.ones((1, 2)))
        optimizer.step()
    assert monitor.names == ("0.weight", "0.bias", "1.bias")
    total = math.sqrt(sum((p.grad**2).sum() for p in model.parameters()))
    assert monitor.records[0]["norm"] == pytest.approx(total, rel=1e-12)


def test_a_parameter_without_a_gradient_is_passed_over():
    model, log = mlp([2, 3, 1], rng=0), io.StringIO()
    monitor = GradientMonitor(model, log=log)
    model[0].bias.grad = None
    model[0].weight.grad += 1
    model[2].weight.grad += np.nan
    monitor.step()
    assert np.isnan(monitor.history("0.bias")).all()
    assert json.loads(log.getvalue())["parameters"]["0.bias"] is None
    model[2].weight.grad[...] = 0
    monitor.step()
    assert monitor.records[1]["norm"] == pytest.approx(math.sqrt(6))


def test_an_optimiser_may_have_groups_as_in_pytorch():
    model = mlp([2, 3, 1], rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)
    optimizer.param_groups = [{"params": [p]} for p in optimizer.params[1:]]
    optimizer.params = []
    with GradientMonitor(model, optimizer) as monitor:
        optimizer.step()
    assert len(monitor.records) == 1
    with pytest.raises(ValueError, match="optimizer must hold parameters of model"):
        GradientMonitor(Linear(1, 1), optimizer)


def test_anything_with_named_parameters_will_do():
    class Plain:
        def __init__(self):
            self.w = Parameter(np.ones(3))

        def named_parameters(self):
            return [("w", self.w), ("again", self.w)]

    model = Plain()
    monitor = GradientMonitor(model)
    model.w.grad[...] = np.nan
    monitor.step()
    assert monitor.names == ("w",)
    assert monitor.alarms[0]["message"] == (
        "step 0: gradient of w is not finite; it arises in the loss or backward pass"
    )


def test_the_log_says_why_a_run_was_stopped(tmp_path):
    model = mlp([2, 2], rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)

    def stop(alarm):
        if alarm["name"] == "0.weight":
            raise KeyboardInterrupt(alarm["message"])

    path = tmp_path / "log.jsonl"
    with GradientMonitor(model, optimizer, low=None, high=1e-9, log=path, on_alarm=stop) as monitor:
        model(np.ones((1, 2)))
        model.backward(np.ones((1, 2)), input_grad=False)
        with pytest.raises(KeyboardInterrupt, match=r"step 0: norm of the gradient of 0\.weight"):
            optimizer.step()
        assert len(monitor.records) == 1
        (line,) = path.read_text(encoding="utf-8").splitlines()
        assert json.loads(line)["alarms"][0]["kind"] == "high"
        optimizer.step()  # it was raised already
        assert [record["step"] for record in monitor.records] == [0, 1]


def test_classes_are_no_models_and_no_optimisers():
    with pytest.raises(TypeError, match=r"model must have named_parameters.* got the class Linear"):
        GradientMonitor(Linear)
    with pytest.raises(TypeError, match=r"optimizer must have .* got the class SGD"):
        GradientMonitor(Linear(1, 1), SGD)

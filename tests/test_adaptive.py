"""The adaptive optimisers against their plain rules, steps by hand and closed forms."""

import math

import numpy as np
import pytest
from helpers import run

from gradnb import Adagrad, Adam, AdamW, MSELoss, Parameter, RMSprop, Tanh, mlp

ADAPTIVE = [Adagrad, RMSprop, Adam, AdamW]


@pytest.mark.parametrize(
    ("optimizer_class", "options", "path"),
    [
        # s = 9, 25; √s = 3, 5
        (Adagrad, {"lr": 0.5}, [0.5, 0.5 - 0.5 * 4 / 5]),
        # √s + ε = 4, 6
        (Adagrad, {"lr": 0.5, "eps": 1}, [1 - 0.5 * 3 / 4, 1 - 0.5 * 3 / 4 - 0.5 * 4 / 6]),
        # s = 16 + 9, and 16 more; rates 1, 1/2
        (
            Adagrad,
            {"lr": 1, "lr_decay": 1, "initial_accumulator_value": 16},
            [1 - 3 / 5, 1 - 3 / 5 - 0.5 * 4 / math.sqrt(41)],
        ),
        # s = 9/4, 9/4 · 3/4 + 4 = 91/16
        (RMSprop, {"lr": 0.5, "alpha": 0.75}, [0, -0.5 * 4 / (math.sqrt(91) / 4)]),
        # 3/1.5 = 2 goes into the velocity, then 0.5 · 2 + 4 / (√91 / 4)
        (
            RMSprop,
            {"lr": 0.5, "alpha": 0.75, "momentum": 0.5},
            [0, -0.5 * (1 + 16 / math.sqrt(91))],
        ),
        # a = 3/4, s − a² = 27/16; a = 25/16, s − a² = 91/16 − 625/256 = 831/256
        (
            RMSprop,
            {"lr": 1, "alpha": 0.75, "centered": True},
            [1 - 12 / math.sqrt(27), 1 - 12 / math.sqrt(27) - 64 / math.sqrt(831)],
        ),
        # v̂ = 3, (3 · 1/2 + 4) / (3/2) = 11/3; ŝ = 9, (9 · 3/4 + 16) / (7/4) = 13
        (Adam, {"lr": 0.5, "betas": (0.5, 0.75)}, [0.5, 0.5 - 0.5 * 11 / 3 / math.sqrt(13)]),
        (Adam, {"lr": 0.5, "betas": (0.5, 0.75), "eps": 3}, [0.75, 0.75 - 5.5 / 3 / (13**0.5 + 3)]),
        # the gradient of the penalty is 2 w: g = 5 in the first step
        (Adam, {"lr": 0.5, "betas": (0, 0), "weight_decay": 2}, [0.5, 0]),
        # the weight is halved before each step of 1/2
        (AdamW, {"lr": 0.5, "betas": (0, 0), "weight_decay": 1}, [0, -0.5]),
    ],
)
def test_by_hand(optimizer_class, options, path):
    """The gradients 3 and 4 from w = 1."""
    options = {"eps": 0} | options
    assert run(optimizer_class, [3, 4], **options) == pytest.approx(path, rel=1e-14, abs=1e-14)


def test_defaults_are_those_of_pytorch():
    w = [Parameter(np.ones(1))]
    assert Adagrad(w).lr == RMSprop(w).lr == 0.01
    assert Adagrad(w).eps == 1e-10
    assert (RMSprop(w).alpha, RMSprop(w).eps, RMSprop(w).momentum) == (0.99, 1e-8, 0)
    assert not RMSprop(w).centered
    for cls in (Adam, AdamW):
        assert (cls(w).lr, cls(w).betas, cls(w).eps) == (0.001, (0.9, 0.999), 1e-8)
    assert [cls(w).weight_decay for cls in ADAPTIVE] == [0, 0, 0, 0.01]


def test_a_constant_gradient_gives_steps_of_known_size():
    steps = np.arange(1, 101)
    for g in (2.0, -1e-3):
        for optimizer_class, options, sizes in [
            (Adagrad, {}, 1 / np.sqrt(steps)),
            (RMSprop, {"alpha": 0.9}, 1 / np.sqrt(1 - 0.9**steps)),
            (Adam, {}, np.ones(100)),
            (Adam, {"betas": (0.5, 0.6)}, np.ones(100)),
        ]:
            path = run(optimizer_class, [g] * 100, start=30.0, lr=0.1, eps=0, **options)
            expected = 30 - 0.1 * np.sign(g) * np.cumsum(sizes)
            np.testing.assert_allclose(path, expected, rtol=1e-12)


@pytest.mark.parametrize("optimizer_class", [Adagrad, RMSprop, Adam])
def test_the_path_does_not_change_with_the_scale_of_the_gradients(optimizer_class):
    gradients = np.random.default_rng(0).normal(size=50)
    path = run(optimizer_class, gradients, lr=0.1, eps=0)
    for scale in (1e-6, 1e6):
        scaled = run(optimizer_class, scale * gradients, lr=0.1, eps=0)
        np.testing.assert_allclose(scaled, path, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("optimizer_class", [Adam, AdamW])
def test_the_first_step_of_adam_is_the_rate_whatever_the_gradient(optimizer_class):
    w = Parameter(np.array([5.0, 5.0, 5.0, 5.0]))
    w.grad += [1e-3, -1.0, 1e6, 0.0]
    optimizer_class([w], lr=0.25, weight_decay=0).step()
    np.testing.assert_allclose(w.data, [4.75, 5.25, 4.75, 5], rtol=1e-5)


def test_adam_takes_its_longest_step_after_a_long_silence():
    """|Δ| ≤ η (1 − β₁) / √(1 − β₂): section 2.1 of the paper."""
    path = run(Adam, [0.0] * 20_000 + [7.0], start=0.0, lr=0.1, eps=1e-12)
    assert path[-2] == 0
    assert path[-1] == pytest.approx(-0.1 * 0.1 / math.sqrt(0.001), rel=1e-6)


def test_the_decay_of_adamw_is_geometric_and_that_of_adam_is_not():
    assert run(AdamW, [0] * 50, lr=0.1, weight_decay=0.5)[-1] == pytest.approx(0.95**50, rel=1e-12)
    assert run(Adam, [0] * 5, lr=0.1, weight_decay=0.5) == pytest.approx(
        [0.9, 0.8, 0.7, 0.6, 0.5], rel=0.02
    )


def test_without_decay_adamw_is_adam():
    gradients = np.random.default_rng(0).normal(size=50)
    assert run(AdamW, gradients, weight_decay=0) == run(Adam, gradients)


@pytest.mark.parametrize("optimizer_class", ADAPTIVE)
def test_without_eps_a_zero_gradient_is_no_silent_nan(optimizer_class):
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert math.isnan(run(optimizer_class, [0], eps=0, weight_decay=0)[0])


def test_a_centered_variance_is_never_below_zero():
    """With a constant gradient it vanishes, and rounding makes it negative in some entries."""
    w = Parameter(np.ones(200))
    w.grad += np.random.default_rng(0).normal(size=200)
    optimizer = RMSprop([w], alpha=0.5, centered=True)
    for _ in range(200):
        optimizer.step()
    assert (optimizer._s[0] < optimizer._a[0] ** 2).any()
    assert np.isfinite(w.data).all()


@pytest.mark.parametrize("optimizer_class", ADAPTIVE)
def test_the_training_step_learns(optimizer_class):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 2))
    y = np.tanh(x @ np.array([[1.0], [-2.0]]))
    model, criterion = mlp([2, 8, 1], Tanh, rng=rng), MSELoss()
    optimizer = optimizer_class(model.parameters(), lr=0.02)
    losses = []
    for _ in range(300):
        optimizer.zero_grad()
        losses.append(criterion(model(x), y))
        model.backward(criterion.backward())
        optimizer.step()
    assert losses[-1] < 0.02 * losses[0]


NUMBERS = {
    Adagrad: ["lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"],
    RMSprop: ["lr", "eps", "weight_decay", "momentum", "alpha"],
    Adam: ["lr", "eps", "weight_decay"],
    AdamW: ["lr", "eps", "weight_decay"],
}


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (-0.1, ValueError, "must be at least 0, got -0.1"),
        (math.nan, ValueError, "must be finite, got nan"),
        (math.inf, ValueError, "must be finite, got inf"),
        ("0.1", TypeError, "must be a number, got '0.1'"),
        (None, TypeError, "must be a number, got None"),
        (True, TypeError, "must be a number, got True"),
    ],
)
@pytest.mark.parametrize(("optimizer_class", "names"), NUMBERS.items(), ids=str)
def test_numbers(optimizer_class, names, value, error, message):
    for name in names:
        with pytest.raises(error, match=f"^{name} {message}"):
            optimizer_class([Parameter(np.ones(1))], **{name: value})
    if optimizer_class in (Adam, AdamW):
        for betas, i in [((value, 0.9), 0), ((0.9, value), 1)]:
            with pytest.raises(error, match=rf"^betas\[{i}\] {message}"):
                optimizer_class([Parameter(np.ones(1))], betas=betas)


@pytest.mark.parametrize(
    ("optimizer_class", "options", "error", "message"),
    [
        (RMSprop, {"alpha": 1}, ValueError, "alpha must be below 1, got 1.0"),
        (RMSprop, {"momentum": 1.5}, ValueError, "momentum must be at most 1, got 1.5"),
        (RMSprop, {"centered": "no"}, TypeError, "centered must be True or False, got 'no'"),
        (Adam, {"betas": (1.0, 0.9)}, ValueError, r"betas\[0\] must be below 1, got 1.0"),
        (AdamW, {"betas": (0.9, 1)}, ValueError, r"betas\[1\] must be below 1, got 1.0"),
        (Adam, {"betas": 0.9}, TypeError, "betas must be a pair of numbers, got 0.9"),
        (Adam, {"betas": (0.9,)}, TypeError, r"betas must be a pair of numbers, got \(0.9,\)"),
        (Adam, {"betas": (0.9, 0.9, 0.9)}, TypeError, "betas must be a pair of numbers"),
        (Adam, {"betas": None}, TypeError, "betas must be a pair of numbers, got None"),
    ],
)
def test_ranges(optimizer_class, options, error, message):
    with pytest.raises(error, match=message):
        optimizer_class([Parameter(np.ones(1))], **options)


@pytest.mark.parametrize("optimizer_class", ADAPTIVE)
def test_params_and_rate(optimizer_class):
    p = Parameter(np.ones(1))
    for params, error, message in [
        ([], ValueError, "params must hold at least one Parameter, got none"),
        (p, TypeError, "params must be an iterable of Parameter, got Parameter"),
        ([p, 1.0], TypeError, r"params\[1\] must be a Parameter, got float"),
        ([p, p], ValueError, "params must hold each Parameter once"),
    ]:
        with pytest.raises(error, match=message):
            optimizer_class(params)
    optimizer = optimizer_class([p], lr=0.1)
    with pytest.raises(ValueError, match="lr must be at least 0, got -1"):
        optimizer.lr = -1
    assert optimizer.lr == 0.1

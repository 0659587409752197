"""All optimisers against their plain rules; SGD against steps by hand and closed forms."""

import math

import faults
import numpy as np
import pytest
import rules
from helpers import check_rule, run

from gradnb import SGD, AdamW, Linear, MSELoss, Parameter, Sequential, Tanh, mlp
from gradnb.optimizer import Optimizer


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"lr": 0.5}, [0, -0.5, -2]),
        ({"lr": 0.0}, [1, 1, 1]),
        # v = 2, 2, 4
        ({"lr": 0.5, "momentum": 0.5}, [0, -1, -3]),
        # g + β v = 3, 2, 5
        ({"lr": 0.5, "momentum": 0.5, "nesterov": True}, [-0.5, -1.5, -4]),
        # g + λ w = 2.5, 0.875, 2.65625
        ({"lr": 0.5, "weight_decay": 0.5}, [-0.25, -0.6875, -2.015625]),
        # g + λ w = 2.5, 0.875, 2.34375; v = 2.5, 2.125, 3.40625
        ({"lr": 0.5, "momentum": 0.5, "weight_decay": 0.5}, [-0.25, -1.3125, -3.015625]),
        # v = 2, 3, 6
        ({"lr": 0.5, "momentum": 1}, [0, -1.5, -4.5]),
    ],
)
def test_by_hand(options, path):
    """The gradients 2, 1, 3 from w = 1; all numbers are exact in binary."""
    assert run(SGD, [2, 1, 3], **options) == path_of(options) == path


def path_of(options):
    """Follow the rules of the docstring, written once more in the plainest way."""
    w, v, path = 1.0, 0.0, []
    beta = options.get("momentum", 0)
    for g in (2, 1, 3):
        g = g + options.get("weight_decay", 0) * w
        v = beta * v + g
        w -= options["lr"] * (g + beta * v if options.get("nesterov") else v)
        path.append(w)
    return path


def test_descent_on_a_parabola_is_geometric():
    w = Parameter(np.array([3.0, -2.0]))
    optimizer = SGD([w], lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        w.grad += 4 * w.data
        optimizer.step()
    np.testing.assert_allclose(w.data, np.array([3, -2]) * 0.6**50, rtol=1e-12)


def test_momentum_on_a_parabola_follows_its_recurrence():
    """w₊ − w = −η λ w + β (w − w₋) has the roots of r² − (1 + β − η λ) r + β."""
    lr, beta, curvature = 0.1, 0.9, 1.0
    w = Parameter(np.array([1.0]))
    optimizer = SGD([w], lr=lr, momentum=beta)
    for _ in range(100):
        optimizer.zero_grad()
        w.grad += curvature * w.data
        optimizer.step()
    r1, r2 = np.roots([1, -(1 + beta - lr * curvature), beta])
    a = (1 - lr * curvature - r2) / (r1 - r2)
    expected = a * r1**100 + (1 - a) * r2**100
    assert w.data.item() == pytest.approx(expected.real, rel=1e-9)


def test_steps_are_in_place_and_leave_the_gradients():
    model = Linear(2, 2, rng=0)
    for options in (
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"weight_decay": 0.1},
    ):
        optimizer = SGD(model.parameters(), lr=0.1, **options)
        data = [p.data for p in model.parameters()]
        for p in model.parameters():
            p.grad[...] = 3
        optimizer.step()
        optimizer.step()
        for p, array in zip(model.parameters(), data, strict=True):
            assert p.data is array
            assert (p.grad == 3).all()


def test_zero_grad_is_in_place():
    p = Parameter(np.ones(3))
    grad = p.grad
    grad += 2
    SGD([p], lr=1).zero_grad()
    assert p.grad is grad
    assert grad.tolist() == [0, 0, 0]


def test_the_history_is_kept_apart_for_every_parameter():
    first, second = Parameter(np.array([0.0])), Parameter(np.array([0.0]))
    optimizer = SGD([first, second], lr=1, momentum=0.5)
    first.grad += 1
    second.grad += 10
    optimizer.step()
    optimizer.step()
    assert [first.data.item(), second.data.item()] == [-2.5, -25]


def test_the_rate_may_change_between_steps_and_acts_at_once():
    w = Parameter(np.array([0.0]))
    optimizer = SGD([w], lr=1, momentum=0.5)
    w.grad += 2
    optimizer.step()
    optimizer.lr = 0.25
    optimizer.step()
    assert w.data.item() == -2 - 0.25 * 3


def test_params_may_be_a_generator():
    model = mlp([2, 2, 1], Tanh, rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)
    assert [id(p) for p in optimizer.params] == [id(p) for p in model.parameters()]


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}])
def test_float32_stays_float32(options):
    model, criterion = mlp([2, 3, 1], Tanh, rng=0, dtype=np.float32), MSELoss()
    x, y = np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)
    optimizer = SGD(model.parameters(), lr=np.float64(0.1), **options)
    for _ in range(3):
        optimizer.zero_grad()
        criterion(model(x), y)
        model.backward(criterion.backward(), input_grad=False)
        optimizer.step()
    for p in model.parameters():
        assert p.data.dtype == p.grad.dtype == np.float32
    assert model(x).dtype == np.float32


def test_float32_is_rounded_to_float32_at_every_step():
    """A history kept in float64 would give other digits, and take twice the memory."""
    rng = np.random.default_rng(0)
    w = Parameter(rng.normal(size=50).astype(np.float32))
    expected, v = w.data.copy(), np.zeros(50, np.float32)
    optimizer = SGD([w], lr=0.1, momentum=0.9)
    for _ in range(20):
        w.grad[...] = rng.normal(size=50)
        optimizer.step()
        v = np.float32(0.9) * v + w.grad
        expected = expected - np.float32(0.1) * v
    assert np.array_equal(w.data, expected)


def test_the_training_step_learns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 2))
    y = x @ np.array([[1.0], [-2.0]]) + 0.5
    model, criterion = Linear(2, 1, rng=rng), MSELoss()
    optimizer = SGD(model.parameters(), lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        criterion(model(x), y)
        model.backward(criterion.backward())
        optimizer.step()
    np.testing.assert_allclose(model.weight.data, [[1], [-2]], atol=1e-9)
    np.testing.assert_allclose(model.bias.data, [0.5], atol=1e-9)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lr": -0.1}, ValueError, "lr must be at least 0, got -0.1"),
        ({"lr": math.nan}, ValueError, "lr must be finite, got nan"),
        ({"lr": math.inf}, ValueError, "lr must be finite, got inf"),
        ({"lr": "0.1"}, TypeError, "lr must be a number, got '0.1'"),
        ({"lr": None}, TypeError, "lr must be a number, got None"),
        ({"lr": True}, TypeError, "lr must be a number, got True"),
        ({"momentum": -0.1}, ValueError, "momentum must be at least 0, got -0.1"),
        ({"momentum": 1.5}, ValueError, "momentum must be at most 1, got 1.5"),
        ({"momentum": math.nan}, ValueError, "momentum must be finite, got nan"),
        ({"weight_decay": -1}, ValueError, "weight_decay must be at least 0, got -1"),
        ({"weight_decay": math.nan}, ValueError, "weight_decay must be finite, got nan"),
        ({"momentum": 0.9, "nesterov": 1}, TypeError, "nesterov must be True or False, got 1"),
        ({"nesterov": True}, ValueError, "nesterov=True needs a momentum above 0, got 0"),
    ],
)
def test_rates(options, error, message):
    with pytest.raises(error, match=message):
        SGD([Parameter(np.ones(1))], **{"lr": 0.1} | options)


def test_a_flag_of_numpy_becomes_one_of_python():
    assert SGD([Parameter(np.ones(1))], 0.1, momentum=0.9, nesterov=np.True_).nesterov is True


def test_params():
    p = Parameter(np.ones(1))
    for params, error, message in [
        ([], ValueError, "params must hold at least one Parameter, got none"),
        (Tanh().parameters(), ValueError, "params must hold at least one Parameter, got none"),
        (p, TypeError, "params must be an iterable of Parameter, got Parameter$"),
        (Linear(1, 1), TypeError, "params must be an iterable of Parameter, got Linear"),
        ([p, p.data], TypeError, r"params\[1\] must be a Parameter, got ndarray"),
        (mlp([1, 1]), TypeError, r"iterable of Parameter, got Sequential: pass its parameters\(\)"),
        ([p, Parameter(np.ones(1)), p], ValueError, "params must hold each Parameter once"),
    ]:
        with pytest.raises(error, match=message):
            SGD(params, lr=0.1)


def test_hooks_around_a_step():
    w, seen = Parameter(np.array([1.0])), []
    w.grad += 1.0
    optimizer = SGD([w], lr=0.5)
    before = optimizer.register_step_pre_hook(lambda *args: seen.append((args, w.data.item())))
    after = optimizer.register_step_post_hook(lambda *args: seen.append((args, w.data.item())))
    optimizer.step()
    assert seen == [((optimizer, (), {}), 1.0), ((optimizer, (), {}), 0.5)]
    before.remove()
    optimizer.step()
    after.remove()
    optimizer.step()
    assert [value for _, value in seen] == [1.0, 0.5, 0.0]
    for register in (optimizer.register_step_pre_hook, optimizer.register_step_post_hook):
        with pytest.raises(TypeError, match="hook must be a callable, got None"):
            register(None)


@pytest.mark.parametrize(("optimizer_class", "options"), rules.CASES, ids=rules.name)
def test_the_plain_rule(optimizer_class, options):
    check_rule(optimizer_class, rules.RULES[optimizer_class], options)


@pytest.mark.parametrize("fault", faults.OPTIMIZERS, ids=rules.name)
def test_planted_faults_are_caught(fault):
    sound = next(cls for cls in fault.__mro__ if cls in rules.RULES)
    for options in rules.OPTIONS[sound]:
        try:
            check_rule(fault, rules.RULES[sound], options)
        except AssertionError:
            return
    pytest.fail(f"{fault.__name__} passes for a sound {sound.__name__}")


@pytest.mark.parametrize("variant", [faults.RMSpropVariant, faults.AdamVariant], ids=rules.name)
def test_what_the_faults_vary_is_sound_itself(variant):
    sound = variant.__base__
    for options in rules.OPTIONS[sound]:
        check_rule(variant, rules.RULES[sound], options)


@pytest.mark.parametrize(("optimizer_class", "options"), rules.CASES, ids=rules.name)
def test_a_zero_gradient_moves_nothing_but_by_decay(optimizer_class, options):
    decays = optimizer_class is AdamW or "weight_decay" in options
    path = run(optimizer_class, [0] * 10, lr=0.1, **options)
    assert np.isfinite(path).all()
    if not decays or options.get("weight_decay") == 0:
        assert path == [1.0] * 10


@pytest.mark.parametrize(("optimizer_class", "options"), rules.CASES, ids=rules.name)
def test_nan_is_not_repaired(optimizer_class, options):
    w = Parameter(np.ones(2))
    w.grad += [math.nan, 1.0]
    optimizer_class([w], lr=0.1, **options).step()
    assert np.isnan(w.data).tolist() == [True, False]


@pytest.mark.parametrize(("optimizer_class", "options"), rules.CASES, ids=rules.name)
def test_every_optimiser_keeps_float32(optimizer_class, options):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(3, 4)), rng.normal(size=(30, 3, 4))
    w = Parameter(start.astype(np.float32))
    scalar = Parameter(np.array(1.0, np.float32))
    optimizer = optimizer_class([w, scalar], lr=np.float64(0.1), **options)
    for g in gradients:
        w.grad[...] = g
        scalar.grad[...] = 1
        optimizer.step()
    for array in [w.data, w.grad, scalar.data, *arrays_of(optimizer)]:
        assert array.dtype == np.float32
    *_, expected = rules.RULES[optimizer_class](start, gradients, [0.1] * 30, **options)
    np.testing.assert_allclose(w.data, expected, rtol=1e-4, atol=1e-5)


def arrays_of(optimizer):
    """Return all arrays of an optimiser's state."""
    states = [value for value in vars(optimizer).values() if isinstance(value, list)]
    return [item for state in states for item in state if isinstance(item, np.ndarray)]


@pytest.mark.parametrize(("optimizer_class", "options"), rules.CASES, ids=rules.name)
def test_two_optimisers_share_no_state(optimizer_class, options):
    gradients = np.random.default_rng(0).normal(size=(2, 20))
    alone = [run(optimizer_class, g, lr=0.1, **options) for g in gradients]
    params = [Parameter(np.array([1.0])) for _ in range(2)]
    optimizers = [optimizer_class([p], lr=0.1, **options) for p in params]
    for t in range(20):
        for p, optimizer, g, path in zip(params, optimizers, gradients, alone, strict=True):
            p.grad[...] = g[t]
            optimizer.step()
            assert p.data.item() == path[t]


@pytest.mark.parametrize("optimizer_class", rules.OPTIONS, ids=rules.name)
def test_a_tied_parameter_is_stepped_once(optimizer_class):
    first, second = Linear(2, 2, bias=False, rng=0), Linear(2, 2, bias=False, rng=1)
    second.weight = first.weight
    model = Sequential(first, Tanh(), second)
    optimizer = optimizer_class(model.parameters(), lr=0.1)
    assert optimizer.params == [first.weight]
    start = first.weight.data.copy()
    model.backward(np.ones_like(model(np.ones((3, 2)))))
    g = first.weight.grad.copy()
    optimizer.step()
    (expected,) = rules.RULES[optimizer_class](start, [g], [0.1])
    np.testing.assert_allclose(first.weight.data, expected, rtol=1e-12)


def test_the_base_class_has_no_update():
    with pytest.raises(NotImplementedError, match="Optimizer has no _update"):
        Optimizer([Parameter(np.ones(1))], lr=0.1, weight_decay=0).step()


@pytest.mark.parametrize("wrong", [None, np.ones(1), np.ones((2, 2)), [1.0, 1.0]])
def test_a_gradient_of_another_shape_changes_nothing(wrong):
    first, second = Parameter(np.ones(2)), Parameter(np.ones(2))
    first.grad += 1
    optimizer = SGD([first, second], lr=0.1)
    second.grad = wrong
    with pytest.raises(
        ValueError, match=r"params\[1\]\.grad must be an array of shape \(2,\), got"
    ):
        optimizer.step()
    assert first.data.tolist() == [1, 1]


def test_a_gradient_that_a_hook_replaces_is_looked_at():
    w = Parameter(np.ones(2))
    optimizer = SGD([w], lr=0.1)
    optimizer.register_step_pre_hook(lambda *args: setattr(w, "grad", np.ones((2, 2))))
    with pytest.raises(
        ValueError, match=r"params\[0\]\.grad must be an array of shape \(2,\), got"
    ):
        optimizer.step()


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_a_number_too_large_for_a_float(value):
    with pytest.raises(ValueError, match="lr must be finite"):
        SGD([Parameter(np.ones(1))], lr=value)

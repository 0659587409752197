"""The same steps, rates and clipped gradients as PyTorch, where it is installed."""

import math

import numpy as np
import pytest
import rules

import gradnb
from gradnb import SGD, MSELoss, Parameter, Tanh, clip_grad_norm_, clip_grad_value_, mlp

torch = pytest.importorskip("torch")

from test_torch import agree, compare_parameters, twin  # noqa: E402 - needs torch itself


def torch_parameters(params):
    """Return PyTorch's parameters with copies of the same values and gradients."""
    made = []
    for p in params:
        q = torch.nn.Parameter(torch.tensor(p.data))
        q.grad = torch.tensor(p.grad)
        made.append(q)
    return made


@pytest.mark.parametrize(("optimizer_class", "options"), rules.CASES, ids=rules.name)
def test_a_hundred_steps_with_given_gradients(optimizer_class, options):
    rng = np.random.default_rng(0)
    params = [Parameter(np.array(rng.normal(size=shape))) for shape in [(4, 3), (5,), ()]]
    others = torch_parameters(params)
    ours = optimizer_class(params, lr=0.02, **options)
    theirs = getattr(torch.optim, optimizer_class.__name__)(others, lr=0.02, **options)
    for step in range(100):
        if step == 50:
            ours.lr = theirs.param_groups[0]["lr"] = 0.005
        for i, (p, q) in enumerate(zip(params, others, strict=True)):
            p.grad[...] = 10.0 ** (2 - 2 * i) * rng.normal(size=p.shape)
            q.grad = torch.tensor(p.grad)
        ours.step()
        theirs.step()
        for p, q in zip(params, others, strict=True):
            agree(p.data, q, rtol=1e-11)


# With a β of 0, a step is decided by the sign of its gradient, and near 0 by rounding.
SMOOTH = [case for case in rules.CASES if 0 not in case[1].get("betas", ())]


@pytest.mark.parametrize(("optimizer_class", "options"), SMOOTH, ids=rules.name)
def test_a_hundred_steps_of_a_network(optimizer_class, options):
    lr = 0.02 if optimizer_class is SGD else 0.002
    rng = np.random.default_rng(1)
    model = mlp([3, 8, 2], Tanh, rng=rng)
    other = twin(model)
    x, y = rng.normal(size=(16, 3)), rng.normal(size=(16, 2))
    ours, criterion = optimizer_class(model.parameters(), lr=lr, **options), MSELoss()
    theirs = getattr(torch.optim, optimizer_class.__name__)
    theirs = theirs(other.parameters(), lr=lr, **options)
    for _ in range(100):
        ours.zero_grad()
        criterion(model(x), y)
        model.backward(criterion.backward(), input_grad=False)
        ours.step()
        theirs.zero_grad()
        torch.nn.functional.mse_loss(other(torch.tensor(x)), torch.tensor(y)).backward()
        theirs.step()
    compare_parameters(model, other)


@pytest.mark.parametrize("optimizer_class", rules.OPTIONS, ids=rules.name)
def test_the_defaults(optimizer_class):
    """Every argument but the parameters has PyTorch's name and default."""
    theirs = getattr(torch.optim, optimizer_class.__name__)
    theirs = theirs([torch.nn.Parameter(torch.ones(1))]).defaults
    defaults = optimizer_class.__init__.__defaults__
    names = optimizer_class.__init__.__code__.co_varnames
    names = names[: optimizer_class.__init__.__code__.co_argcount][-len(defaults) :]
    for name, default in zip(names, defaults, strict=True):
        assert theirs[name] == default, name


@pytest.mark.parametrize(("optimizer_class", "options"), rules.CASES, ids=rules.name)
def test_float32_to_rounding(optimizer_class, options):
    rng = np.random.default_rng(0)
    params = [Parameter(rng.normal(size=(4, 3)).astype(np.float32))]
    others = torch_parameters(params)
    ours = optimizer_class(params, lr=0.02, **options)
    theirs = getattr(torch.optim, optimizer_class.__name__)(others, lr=0.02, **options)
    for _ in range(20):
        params[0].grad[...] = rng.normal(size=(4, 3))
        others[0].grad = torch.tensor(params[0].grad)
        ours.step()
        theirs.step()
    assert params[0].data.dtype == np.float32
    agree(params[0].data, others[0], rtol=1e-4)


SCHEDULES = [
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 1, "gamma": 0.9}),
    ("StepLR", {"step_size": 10, "gamma": 1.5}),
    ("ExponentialLR", {"gamma": 0.95}),
    ("ExponentialLR", {"gamma": 1.01}),
    ("CosineAnnealingLR", {"T_max": 20}),
    ("CosineAnnealingLR", {"T_max": 1}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 300, "eta_min": 0.5}),
]


def scheduled(*schedules):
    """Return our optimiser and PyTorch's, and the schedules on each."""
    ours = SGD([Parameter(np.ones(1))], lr=0.2)
    theirs = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.2)
    pairs = [
        (
            getattr(gradnb, name)(ours, **options),
            getattr(torch.optim.lr_scheduler, name)(theirs, **options),
        )
        for name, options in schedules
    ]
    theirs.step()  # PyTorch warns if a schedule steps before its optimiser
    return ours, theirs, pairs


@pytest.mark.parametrize(("name", "options"), SCHEDULES)
def test_schedules(name, options):
    ours, theirs, [(schedule, other)] = scheduled((name, options))
    for _ in range(150):
        assert schedule.last_epoch == other.last_epoch
        assert schedule.get_last_lr() == pytest.approx(other.get_last_lr(), rel=1e-9, abs=1e-12)
        assert ours.lr == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-9, abs=1e-12)
        schedule.step()
        other.step()


@pytest.mark.parametrize(("name", "options"), [s for s in SCHEDULES if "gamma" in s[1]])
def test_schedules_go_on_from_a_changed_rate(name, options):
    ours, theirs, [(schedule, other)] = scheduled((name, options))
    for epoch in range(30):
        if epoch == 11:
            ours.lr = theirs.param_groups[0]["lr"] = 0.03
        schedule.step()
        other.step()
        assert ours.lr == theirs.param_groups[0]["lr"]
        assert schedule.get_last_lr() == other.get_last_lr()


def test_two_schedules():
    ours, theirs, pairs = scheduled(SCHEDULES[0], SCHEDULES[3])
    for _ in range(30):
        for schedule, other in pairs:
            schedule.step()
            other.step()
        assert ours.lr == theirs.param_groups[0]["lr"]


def with_gradients(scale):
    rng = np.random.default_rng(0)
    params = [Parameter(np.zeros(shape)) for shape in [(4, 3), (5,), ()]]
    for p in params:
        p.grad += scale * rng.normal(size=p.shape)
    return params, torch_parameters(params)


def compare_gradients(params, others, rtol=1e-12):
    for p, q in zip(params, others, strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=rtol, equal_nan=True)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6])
@pytest.mark.parametrize("max_norm", [0, 1e-6, 1, 5.0, 1e3, math.inf])
@pytest.mark.parametrize("norm_type", [1, 1.5, 2, 3.0, math.inf])
def test_clipping_by_norm(scale, max_norm, norm_type):
    params, others = with_gradients(scale)
    norm = clip_grad_norm_(params, max_norm, norm_type)
    reference = torch.nn.utils.clip_grad_norm_(others, max_norm, norm_type)
    assert norm == pytest.approx(reference.item(), rel=1e-12)
    compare_gradients(params, others)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("norm_type", [1, 2, math.inf])
@pytest.mark.parametrize("max_norm", [0, 1, math.inf])
def test_clipping_what_is_not_finite(bad, norm_type, max_norm):
    params, others = with_gradients(1)
    params[1].grad[2] = others[1].grad[2] = bad
    norm = clip_grad_norm_(params, max_norm, norm_type)
    reference = torch.nn.utils.clip_grad_norm_(others, max_norm, norm_type)
    assert norm == pytest.approx(reference.item(), nan_ok=True)
    compare_gradients(params, others)


@pytest.mark.parametrize("clip_value", [0, 0.1, 1, 100.0])
@pytest.mark.parametrize("bad", [0.5, math.inf, -math.inf, math.nan])
def test_clipping_by_value(clip_value, bad):
    params, others = with_gradients(1)
    params[1].grad[2] = others[1].grad[2] = bad
    clip_grad_value_(params, clip_value)
    torch.nn.utils.clip_grad_value_(others, clip_value)
    compare_gradients(params, others)


def test_clipping_in_the_training_step():
    rng = np.random.default_rng(2)
    model = mlp([3, 8, 2], Tanh, rng=rng)
    other = twin(model)
    x, y = 5 * rng.normal(size=(16, 3)), 5 * rng.normal(size=(16, 2))
    ours, criterion = SGD(model.parameters(), lr=0.005, momentum=0.9), MSELoss()
    theirs = torch.optim.SGD(other.parameters(), lr=0.005, momentum=0.9)
    norms = []
    for _ in range(100):
        ours.zero_grad()
        criterion(model(x), y)
        model.backward(criterion.backward())
        norms.append(clip_grad_norm_(model.parameters(), 3.0))
        ours.step()
        theirs.zero_grad()
        torch.nn.functional.mse_loss(other(torch.tensor(x)), torch.tensor(y)).backward()
        norm = torch.nn.utils.clip_grad_norm_(other.parameters(), 3.0)
        theirs.step()
        assert norms[-1] == pytest.approx(norm.item(), rel=1e-9)
    assert max(norms) > 3 > min(norms), "clipped always or never"
    compare_parameters(model, other)

"""GradientMonitor in real PyTorch training loops."""

import copy
import math
from itertools import pairwise

import numpy as np
import pytest

from gradnb import GradientMonitor

torch = pytest.importorskip("torch")
nn = torch.nn


def net(sizes=(6, 32, 32, 3), activation=nn.ReLU, dtype=torch.float32):
    layers = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*layers[:-1]).to(dtype)


def train(model, optimizer, steps=20, seed=0, dtype=torch.float32, look=None):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(256, 6, generator=generator).to(dtype)
    y = (x[:, 0] + x[:, 1] > 0).long() + (x[:, 2] > 1).long()
    for _ in range(steps):
        rows = torch.randint(256, (32,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
        if look:
            look()
        optimizer.step()


def kinds(monitor):
    return [alarm["kind"] for alarm in monitor.alarms]


OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-3),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_the_same_figures_as_torch(make, dtype):
    torch.manual_seed(0)
    model = net((6, 200, 90, 3), dtype=dtype)
    optimizer, seen = make(model.parameters()), []

    def look():
        seen.append(
            {
                name: (
                    p.grad.double().norm(1).item(),
                    p.grad.double().norm().item(),
                    (p.grad == 0).double().mean().item(),
                    p.detach().double().clone(),
                )
                for name, p in model.named_parameters()
            }
        )

    with GradientMonitor(model, optimizer) as monitor:
        train(model, optimizer, 10, dtype=dtype, look=look)
    look()
    assert monitor.names == tuple(name for name, _ in model.named_parameters())
    rtol = 1e-6 if dtype == torch.float32 else 1e-12
    for t in range(10):
        for name in monitor.names:
            *expected, before = seen[t][name]
            got = [monitor.history(name, f)[t] for f in ("l1", "l2", "zero_fraction")]
            np.testing.assert_allclose(got, expected, rtol=rtol)
            ratio = ((seen[t + 1][name][3] - before).norm() / before.norm()).item()
            got = monitor.history(name, "update_ratio")[t]
            np.testing.assert_allclose(got, ratio, rtol=max(rtol, 1e-11))
        total = math.hypot(*(seen[t][name][1] for name in monitor.names))
        assert monitor.records[t]["norm"] == pytest.approx(total, rel=rtol)


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_training_is_the_same_to_the_last_bit(make, tmp_path):
    states = []
    for watched in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(net(), nn.BatchNorm1d(3), nn.Dropout(0.2))
        optimizer = make(model.parameters())
        if watched:
            monitor = GradientMonitor(model, optimizer, log=tmp_path / "log", high=1e-3)
        train(model, optimizer, 30)
        states.append((model.state_dict(), torch.get_rng_state(), model.training))
    monitor.close()
    (a, ra, ta), (b, rb, tb) = states
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert torch.equal(ra, rb)
    assert ta == tb
    assert len(monitor.records) == 30


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_healthy_run_raises_no_alarm(make, seed):
    torch.manual_seed(seed)
    model = net()
    optimizer = make(model.parameters())
    with GradientMonitor(model, optimizer) as monitor:
        train(model, optimizer, 300, seed=seed)
    assert list(monitor.alarms) == []


@pytest.mark.parametrize("seed", range(5))
def test_broken_nets_raise_theirs(seed):
    torch.manual_seed(seed)
    vanishing = net((6, *[16] * 20, 3), nn.Sigmoid)
    optimizer = torch.optim.SGD(vanishing.parameters(), lr=0.1)
    with GradientMonitor(vanishing, optimizer) as monitor:
        train(vanishing, optimizer, 3)
    assert ("low", "0.weight") in [(a["kind"], a["name"]) for a in monitor.alarms]

    dead = net()
    with torch.no_grad():
        dead[2].bias.fill_(-1e3)
    optimizer = torch.optim.SGD(dead.parameters(), lr=0.1)
    with GradientMonitor(dead, optimizer) as monitor:
        train(dead, optimizer, 3)
    names = ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight"]
    assert [(a["kind"], a["name"]) for a in monitor.alarms] == [("zero", n) for n in names]

    exploding = net()
    optimizer = torch.optim.SGD(exploding.parameters(), lr=1e6)
    with GradientMonitor(exploding, optimizer) as monitor:
        train(exploding, optimizer, 30)
    assert "high" in kinds(monitor)
    assert any(kind.startswith("nonfinite") for kind in kinds(monitor))
    assert len(monitor.alarms) < 60


class Log(nn.Module):
    def forward(self, x):
        return x.log()


def test_where_numbers_stop_being_finite():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), Log(), nn.Linear(3, 1))
    with torch.no_grad():
        model[0].bias.fill_(-100)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer) as monitor:
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    message = "step 0: output of 2 (Log) is not finite; its input is finite"
    assert monitor.alarms[0]["message"] == message
    assert not any("gradient" in a["kind"] for a in monitor.alarms), "a consequence reported"

    model = nn.Sequential(nn.Linear(2, 3), nn.Sigmoid())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer) as monitor:
        (model(torch.ones(1, 2)) * 0).sqrt().sum().backward()  # 0 · ∞ in the loss's backward
        optimizer.step()
        model(torch.ones(1, 2))
    assert [(a["kind"], a["name"]) for a in monitor.alarms] == [
        ("nonfinite gradient", "0.bias"),
        ("nonfinite output", "0"),
    ]
    assert "it arises in the loss or backward pass" in monitor.alarms[0]["message"]
    assert monitor.alarms[1]["message"].endswith("its input is finite, its weights are not")


def test_an_output_between_modules_and_one_that_is_a_tuple():
    class Between(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 1)

        def forward(self, x, scale):
            return self.second(self.first(x) * scale)

    model = Between()
    with GradientMonitor(model) as monitor:
        model(torch.ones(1, 2), scale=math.inf)
    (alarm,) = monitor.alarms
    assert (alarm["kind"], alarm["name"]) == ("nonfinite input", "second")
    assert "every output before it is" in alarm["message"]

    model = nn.LSTM(2, 3)
    with GradientMonitor(model) as monitor:
        model(torch.ones(4, 1, 2))
        assert kinds(monitor) == []
        model(torch.full((4, 1, 2), math.nan))
    assert monitor.alarms[0]["message"] == "step 0: input of the model is not finite"


def test_tied_and_frozen_parameters():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3))
    model[1].weight = model[0].weight
    model[2].bias.requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with GradientMonitor(model, optimizer) as monitor:
        train(model, optimizer, 3)
    assert monitor.names == ("0.weight", "0.bias", "1.bias", "2.weight", "2.bias")
    for figure in ("l1", "l2", "zero_fraction", "update_ratio"):
        assert np.isnan(monitor.history("2.bias", figure)).all()
        assert np.isfinite(monitor.history("0.weight", figure)).all()
    assert math.isfinite(monitor.records[0]["norm"])
    assert kinds(monitor) == []


def test_schedules_clipping_and_nesting():
    torch.manual_seed(0)

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(6, 6), nn.ReLU(inplace=True))

        def forward(self, x):
            return x + self.inner(x)

    model = nn.Sequential(Residual(), nn.Sequential(Residual()), nn.Linear(6, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer) as monitor:

        def clip():
            nn.utils.clip_grad_norm_(model.parameters(), 1e-2)

        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 5, gamma=0.01)
        for _ in range(2):
            train(model, optimizer, 5, look=clip)
            for _ in range(5):
                schedule.step()
    assert "1.0.inner.0.weight" in monitor.names
    assert max(record["norm"] for record in monitor.records) <= 1.001e-2
    ratio = monitor.history("2.weight", "update_ratio")
    assert ratio[5] < 0.1 * ratio[4]


def test_other_types_and_layouts():
    for dtype in (torch.bfloat16, torch.float16):
        model = nn.Linear(50, 40).to(dtype)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with GradientMonitor(model, optimizer) as monitor:
            model(torch.ones(2, 50, dtype=dtype)).sum().backward()
            optimizer.step()
        expected = model.weight.grad.float().norm().item()
        assert monitor.history("weight")[0] == pytest.approx(expected, rel=1e-6)
        assert 0 < monitor.history("weight", "update_ratio")[0] < 10
    model = nn.Embedding(10, 4, sparse=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer) as monitor:
        model(torch.tensor([1, 1, 3])).sum().backward()
        optimizer.step()
    assert monitor.history("weight")[0] == pytest.approx(math.sqrt(4 * 4 + 4))
    assert monitor.history("weight", "zero_fraction")[0] == 0.8
    model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer) as monitor:
        model(torch.ones(1, 3, 5, 5).to(memory_format=torch.channels_last)).sum().backward()
        before = model.weight.detach().clone()
        optimizer.step()
    ratio = ((model.weight - before).norm() / before.norm()).item()
    assert monitor.history("weight", "update_ratio")[0] == pytest.approx(ratio, rel=1e-5)


def test_a_lazy_module():
    model = nn.Sequential(nn.LazyLinear(3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer) as monitor:
        train(model, optimizer, 2)
    assert np.isfinite(monitor.history("0.weight", "update_ratio")).all()


def test_hooks_are_removed_and_copies_not_watched():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer) as monitor:
        copy.deepcopy(model)(torch.full((1, 6), math.nan))
        assert kinds(monitor) == []
    assert not any(module._forward_hooks for module in model.modules())
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    train(model, optimizer, 2)
    assert len(monitor.records) == 0

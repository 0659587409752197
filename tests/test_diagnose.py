"""`diagnose`: it leaves no trace, refuses what it cannot examine, and says what it has measured."""

import gc
import json
import random
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import gradnb
from gradnb import (
    RNN,
    SGD,
    BatchNorm1d,
    CrossEntropyLoss,
    GradientMonitor,
    LastStep,
    Linear,
    Module,
    MSELoss,
    Parameter,
    ReLU,
    Residual,
    Sequential,
    Tanh,
    diagnose,
    mlp,
)
from gradnb.datasets import digits
from gradnb.doctor import Diagnosis, Finding
from gradnb.doctor.order import ORDER, in_order
from gradnb.doctor.remedies import REMEDIES
from gradnb.doctor.report import two_digits
from gradnb.init import constant, normal, orthogonal


class Dropout(Module):
    """Set half of the numbers to 0, with a generator of its own."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.seen = []

    def forward(self, x):
        mask = 2 * (self.rng.random(x.shape) < 0.5) * (np.random.random() < 2)  # noqa: NPY002
        self.mask = mask.astype(x.dtype)
        self.seen.append(len(x))
        return x * self.mask

    def backward(self, grad_output, input_grad=True):
        return grad_output * self.mask


class FailsAt(Module):
    """Raise at one of the calls."""

    def __init__(self, call):
        self.left = [call]

    def _count(self):
        self.left[0] -= 1
        if self.left[0] == 0:
            raise OSError("the tape is torn")

    def forward(self, x):
        self._count()
        return x

    def backward(self, grad_output, input_grad=True):
        self._count()
        return grad_output


def batch(n=32):
    x, y, *_ = digits(rng=0)
    return x[:n].copy(), y[:n].copy()


def network(*extra, dtype=float):
    rng = np.random.default_rng(0)
    norm = BatchNorm1d(16, dtype=dtype)
    layers = [Linear(64, 16, rng=rng, dtype=dtype), norm, ReLU(), *extra]
    return Sequential(*layers, Linear(16, 10, rng=rng, dtype=dtype))


def snapshot(model):
    """Return everything that must not change, and which objects must stay the same."""
    modules = [m for _, m in model.named_modules()]
    state = {name: array.tobytes() for name, array in model.state_dict().items()}
    state |= {f"{name}.grad": p.grad.tobytes() for name, p in model.named_parameters()}
    identity = [(id(p), id(p.data), id(p.grad)) for p in model.parameters()]
    attributes = [{key: id(value) for key, value in vars(m).items()} for m in modules]
    modes = [m.training for m in modules]
    dropout = [(m.rng.bit_generator.state, list(m.seen)) for m in modules if isinstance(m, Dropout)]
    numpy_state = np.random.get_state()  # noqa: NPY002
    rng = (random.getstate(), numpy_state[1].tobytes(), numpy_state[2:])
    return state, identity, attributes, modes, dropout, rng


def fill(model):
    for p in model.parameters():
        p.grad += np.random.default_rng(1).normal(size=p.shape).astype(p.data.dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", [True, False])
def test_nothing_changes(dtype, mode):
    model = network(Dropout(3), Residual(Tanh(), Linear(16, 16, rng=1, dtype=dtype)), dtype=dtype)
    model.train(mode)
    fill(model)
    x, y = batch()
    x = x.astype(dtype)
    before, given = snapshot(model), (x.tobytes(), y.tobytes())
    diagnose(model, CrossEntropyLoss(), x, y)
    assert snapshot(model) == before
    assert (x.tobytes(), y.tobytes()) == given


@pytest.mark.parametrize("call", [*range(1, 12), 15, 20])
def test_nothing_changes_when_it_fails_midway(call):
    model = network(Dropout(3), FailsAt(call))
    fill(model)
    x, y = batch()
    before = snapshot(model)
    with pytest.raises(OSError, match="the tape is torn"):
        diagnose(model, CrossEntropyLoss(), x, y)
    assert snapshot(model) == before
    assert model[4].left == [call]


def test_a_loss_that_raises_passes_through_and_is_left_as_it_was():
    class Raises(MSELoss):
        def __call__(self, prediction, target):
            super().__call__(prediction, target)
            raise ZeroDivisionError("no loss today")

    model, loss = network(), Raises()
    x, y = batch()
    before = snapshot(model)
    with pytest.raises(ZeroDivisionError, match="no loss today"):
        diagnose(model, loss, x, np.eye(10)[y])
    assert snapshot(model) == before
    assert loss._difference is None


def test_a_monitor_that_is_watching_sees_nothing_of_it():
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    x, y = batch()
    with GradientMonitor(model, optimizer) as monitor:
        x[0, 0] = np.nan
        diagnose(model, CrossEntropyLoss(), x, y)
        optimizer.step()
        assert {alarm["kind"] for alarm in monitor.alarms} == {"zero"}
        hooks = [len(m._forward_hooks) for _, m in model.named_modules()]
    assert all(hooks)


def test_two_diagnoses_are_equal():
    model = network(Dropout(0))
    x, y = batch()
    first, second = (diagnose(model, CrossEntropyLoss(), x, y).to_dict() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": ReLU()}, ValueError, "model must have parameters, got a ReLU without"),
        ({"model": None}, TypeError, "model must be a gradnb or PyTorch module, got NoneType"),
        ({"loss": MSELoss}, TypeError, "loss must be a callable .*the class MSELoss itself"),
        ({"loss": lambda p, t: 0.0}, TypeError, r"loss must have a backward\(\)"),
        ({"x": [[1.0]]}, TypeError, "x must be a NumPy array, got list"),
        ({"x": np.zeros((0, 64))}, ValueError, r"x must hold at least one example.*\(0, 64\)"),
        ({"x": np.zeros((32, 63))}, ValueError, r"x must have shape \(batch, 64\), got \(32, 63\)"),
        ({"y": np.zeros(31, int)}, ValueError, r"y must hold a target for each of the 32.*\(31,\)"),
        ({"y": np.zeros(32)}, TypeError, "target"),
        ({"weight_decay": -1}, ValueError, "weight_decay must be at least 0, got -1"),
        ({"weight_decay": "1"}, TypeError, "weight_decay must be a number"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(change, error, message):
    x, y = batch()
    model = network()
    given = {"model": model, "loss": CrossEntropyLoss(), "x": x, "y": y} | change
    before = snapshot(model)
    with pytest.raises(error, match=message):
        diagnose(**given)
    assert snapshot(model) == before


def test_nan_in_x_is_a_finding():
    x, y = batch()
    x[3, 5] = np.nan
    report = diagnose(network(), CrossEntropyLoss(), x, y)
    assert report.cause == "nonfinite"
    assert report.primary.where == "x"
    assert "1 of the 2048" in report.primary.says


def test_evaluation_mode_is_noted_and_no_cause():
    model = network().eval()
    report = diagnose(model, CrossEntropyLoss(), *batch())
    assert report.healthy
    assert [f.cause for f in report.findings] == ["eval mode"]
    assert not model.training


def test_one_example_is_enough_where_the_model_allows_it():
    assert diagnose(mlp([64, 8, 10], rng=0), CrossEntropyLoss(), *batch(1)).healthy
    with pytest.raises(ValueError, match="at least 2 rows"):
        diagnose(network(), CrossEntropyLoss(), *batch(1))


def dead():
    model = network()
    model[1].bias.data[:] = -9
    return model, CrossEntropyLoss(), *batch()


def test_a_report_is_text_and_html_and_plain_data():
    report = diagnose(*dead())
    text = str(report)
    assert text.splitlines()[0] == "Diagnosis: dead (certain)"
    assert "dead at 2 (ReLU): 16 of 16 units give 0 on all 32 examples" in text
    assert f"remedy: {REMEDIES['dead']}" in " ".join(text.split())
    assert all(len(line) <= 78 for line in text.splitlines())
    html = report._repr_html_()
    assert "<strong>dead</strong>" in html
    assert html.count("<tr>") == 1 + len(report.layers)
    data = json.loads(json.dumps(report.to_dict()))
    assert data["cause"] == "dead"
    assert data["findings"][0]["evidence"]["share"] == 1


def test_every_cause_has_a_remedy_a_place_and_a_line_in_the_documentation():
    assert {*ORDER, "eval mode"} == REMEDIES.keys()
    for cause in ORDER:
        assert f'- ``"{cause}"``: ' in diagnose.__doc__


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.04, "1"), (4.567, "4.6"), (527.2, "530"), (2e7, "2e+07"), (6.1e-4, "0.00061")],
)
def test_numbers_are_spoken_with_two_digits(value, text):
    assert two_digits(value) == text


def test_html_is_escaped():
    class Odd(Linear):
        pass

    Odd.__name__ = "<script>"
    model = Sequential(Odd(64, 10, rng=0))
    html = diagnose(model, CrossEntropyLoss(), *batch())._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    odd = Finding("dead", "<i>", "<i>", {}, "certain", "<i>", "<i>")
    html = Diagnosis([odd, replace(odd, weight="note")])._repr_html_()
    assert "<i>" not in html
    assert html.count("&lt;i&gt;") == 4 + 3


def test_what_is_not_finite_is_spelt_in_plain_data():
    x, y = batch()
    x[0] = np.inf
    data = diagnose(network(), CrossEntropyLoss(), x, y).to_dict()
    assert data["loss"] == "nan"
    json.dumps(data, allow_nan=False)


def test_a_layer_that_writes_into_the_batch_does_not_reach_it():
    class Writes(Module):
        def forward(self, x):
            x *= 2
            return x

        def backward(self, grad_output, input_grad=True):
            return 2 * grad_output

    x, y = batch()
    given = x.tobytes()
    diagnose(Sequential(Writes(), *network()), CrossEntropyLoss(), x, y)
    assert x.tobytes() == given


def finding(cause, sure="certain", **evidence):
    return Finding(cause, "", "", evidence, sure, "")


@pytest.mark.parametrize(
    ("found", "first"),
    [
        (["saturated", "unscaled inputs"], "unscaled inputs"),
        (["dead", "unscaled inputs"], "unscaled inputs"),
        (["penalty", "saturated"], "saturated"),
        (["vanishing", "dead"], "dead"),
        (["vanishing", "saturated", "underflow"], "saturated"),
        (["underflow"], "underflow"),
        (["symmetric", "wrong backward"], "wrong backward"),
        (["finished", "penalty"], "penalty"),
        (["vanishing", "plateau"], "vanishing"),
    ],
)
def test_the_root_is_told_before_what_follows_from_it(found, first):
    rest = SimpleNamespace(at_rest=False, learned=False, is_large=False)
    found = [finding(cause, overall=9.0, total=1e9, falls=1.0) for cause in found]
    assert in_order(found, rest)[0].cause == first
    assert in_order(found[::-1], rest)[0].cause == first


def test_the_table_has_the_norms_of_a_plain_pass():
    model, loss = network(), CrossEntropyLoss()
    x, y = batch()
    report = diagnose(model, loss, x, y)
    loss(model(x), y)
    model.backward(loss.backward())
    ours = np.hypot(np.linalg.norm(model[0].weight.grad), np.linalg.norm(model[0].bias.grad))
    assert report.layers[0]["gradient"] == pytest.approx(ours)
    assert report.layers[0]["weight"] == pytest.approx(np.linalg.norm(model[0].weight.data))
    assert report.layers[1]["zero"] == pytest.approx(np.mean(model[:3](x) == 0))


def test_the_first_place_that_is_not_finite_is_named():
    class Exp(Module):
        def forward(self, x):
            self.y = np.exp(x)
            return self.y

        def backward(self, grad_output, input_grad=True):
            return grad_output * self.y

    model = Sequential(Linear(64, 8, init=normal(200.0), rng=0), Exp(), Linear(8, 10, rng=0))
    report = diagnose(model, CrossEntropyLoss(), *batch())
    assert (report.cause, report.primary.where) == ("nonfinite", "1 (Exp)")


def test_growth_into_overflow_is_called_exploding():
    model = mlp([64, *[64] * 9, 10], init=normal(1e4), rng=0, dtype=np.float32)
    x, y = batch()
    report = diagnose(model, CrossEntropyLoss(), x.astype(np.float32), y)
    assert [f.cause for f in report.findings] == ["exploding", "nonfinite"]
    # Half of 64 products arrive, of weights of 1e4: 1e4 times the root of 32
    assert report.primary.evidence["rate"] == pytest.approx(1e4 * 32**0.5, rel=0.3)


def test_the_rate_a_layer_is_that_of_the_errors():
    gain = 0.1
    model = mlp([64, *[64] * 7, 10], Tanh, init=normal(gain / 8), rng=0)
    report = diagnose(model, CrossEntropyLoss(), *batch())
    assert report.cause == "vanishing"
    assert report.primary.evidence["rate"] == pytest.approx(gain, rel=0.1)
    assert report.primary.evidence["layers"] == 7


@pytest.mark.parametrize(("radius", "cause"), [(0.4, "vanishing"), (2.5, "exploding")])
def test_time_is_depth_too(radius, cause):
    def hidden(shape, rng):
        return radius * orthogonal(shape, rng)

    rnn = RNN(4, 16, hidden_init=hidden, init=normal(1e-4), rng=0)
    model = Sequential(rnn, LastStep(), Linear(16, 3, rng=0))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 12, 4)), rng.integers(0, 3, 16)
    report = diagnose(model, CrossEntropyLoss(), x, y)
    assert report.cause == cause
    assert "step" in report.primary.where
    assert report.primary.evidence["rate"] == pytest.approx(radius, rel=0.1)


def test_the_module_whose_backward_is_wrong_is_named():
    class Forgets(Tanh):
        def backward(self, grad_output, input_grad=True):
            return 0.9 * super().backward(grad_output)

    rng = np.random.default_rng(0)
    layers = [Linear(64, 16, rng=rng), Tanh(), Linear(16, 16, rng=rng), Forgets()]
    report = diagnose(Sequential(*layers, Linear(16, 10, rng=rng)), CrossEntropyLoss(), *batch())
    assert (report.cause, report.primary.where) == ("wrong backward", "backward of 3 (Forgets)")

    class NoShortcut(Residual):
        def backward(self, grad_output, input_grad=True):
            return super().backward(grad_output) - grad_output

    layers[1] = NoShortcut(Linear(16, 16, rng=rng), Tanh())
    layers[3] = Tanh()
    report = diagnose(Sequential(*layers, Linear(16, 10, rng=rng)), CrossEntropyLoss(), *batch())
    assert report.primary.where == "backward of 1 (NoShortcut)"


def test_a_module_that_keeps_its_precision_is_not_blamed_for_another():
    class WrongSign(Tanh):
        def backward(self, grad_output, input_grad=True):
            return -super().backward(grad_output)

    class Single(Module):
        def forward(self, x):
            self.dtype = x.dtype
            return x.astype(np.float32)

        def backward(self, grad_output, input_grad=True):
            return grad_output.astype(self.dtype)

    x, y = batch()
    blamed = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        first, last = (Linear(*n, rng=rng, dtype=np.float32) for n in ((64, 24), (24, 10)))
        model = Sequential(first, WrongSign(), last, Single())
        found = diagnose(model, CrossEntropyLoss(), x.astype(np.float32), y).findings
        blamed += [f.where for f in found if f.cause == "wrong backward"]
    assert len(blamed) >= 5  # differences in single precision are too rough for some
    assert not any("Single" in where for where in blamed)


def test_a_buffer_of_the_same_gradient_is_fine_and_a_multiple_is_not():
    model, loss = mlp([64, 16, 10], rng=0), CrossEntropyLoss()
    x, y = batch()
    for times in (1, 2, 3):
        loss(model(x), y)
        model.backward(loss.backward())
        report = diagnose(model, loss, x, y)
        assert report.cause == ("healthy" if times == 1 else "not zeroed")
    assert report.primary.evidence["multiple"] == pytest.approx(3)


def test_a_penalty_told_and_untold():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4))
    y = x @ rng.normal(size=(4, 2)) + 0.1 * rng.normal(size=(64, 2))
    model, loss, decay = mlp([4, 8, 2], Tanh, rng=0), MSELoss(), 0.05
    optimizer = SGD(model.parameters(), lr=0.2, momentum=0.9, weight_decay=decay)
    for _ in range(2000):
        optimizer.zero_grad()
        loss(model(x), y)
        model.backward(loss.backward())
        optimizer.step()
    told = diagnose(model, loss, x, y, weight_decay=decay).primary
    untold = diagnose(model, loss, x, y).primary
    assert (told.cause, told.sure) == ("penalty", "certain")
    assert (untold.cause, untold.sure) == ("penalty", "likely")
    assert untold.evidence["strength"] == pytest.approx(decay, rel=0.01)


def test_a_quadratic_is_a_minimum_a_saddle_or_a_plateau_as_its_curvatures_say():
    class Quadratic(Module):
        """L = 1 + Σ cᵢ wᵢ² / 2 at w = 0, whatever x is."""

        def __init__(self, *curvatures):
            self.c = np.array(curvatures)
            self.w = Parameter(np.zeros(len(curvatures)))

        def forward(self, x):
            self._remember(None, x[:, :1])
            return np.full((len(x), 1), 1 + 0.5 * self.c @ self.w.data**2)

        def backward(self, grad_output, input_grad=True):
            self.w.grad += self.c * self.w.data * grad_output.sum()
            return np.zeros((len(grad_output), 3))

    class Mean:
        def __call__(self, prediction, target):
            self.shape = prediction.shape
            return float(prediction.mean())

        def backward(self):
            return np.full(self.shape, 1 / self.shape[0])

    x, y = np.ones((8, 3)), np.zeros(8)
    for curvatures, cause in {
        (1.0, 2.0, 0.5): "finished",
        (1.0, 2.0, -0.5): "saddle",
        (-1.0, -2.0, -0.5): "saddle",
        (1e-6, -1e-6, 0.0): "plateau",
    }.items():
        report = diagnose(Quadratic(*curvatures), Mean(), x, y)
        assert report.cause == cause, curvatures
        low, high = report.primary.evidence.get("lowest"), report.primary.evidence.get("highest")
        assert low == pytest.approx(min(curvatures) / 3, rel=1e-6)  # the unit of a weight is 1/√3
        assert high == pytest.approx(max(curvatures) / 3, rel=1e-6)


def test_a_constant_net_is_named_for_its_copies_not_for_what_follows():
    model = mlp([64, 16, 16, 10], init=constant(0.05), rng=0)
    report = diagnose(model, CrossEntropyLoss(), *batch())
    assert report.cause == "symmetric"
    assert report.primary.evidence["distinct"] == 1


def test_memory_does_not_grow():
    import tracemalloc

    model, loss = mlp([64, 16, 10], rng=0), CrossEntropyLoss()
    x, y = batch()

    def many(n):
        for _ in range(n):
            diagnose(model, loss, x, y)
        gc.collect()

    many(5)
    tracemalloc.start()
    many(5)
    before, _ = tracemalloc.get_traced_memory()
    many(40)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 20_000


def test_gradnb_finds_it_without_importing_it_first():
    assert gradnb.diagnose is diagnose

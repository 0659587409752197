"""What the benchmark times is the right step, and its script runs. No time is ever asserted."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
NAMES = ["plain NumPy", "gradnb", "PyTorch", "PyTorch fused", "JAX jit", "scikit-learn"]


@pytest.fixture(scope="module")
def sections():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("sections")


def disagreement(sections, Contestant, optimizer, dtype, net="64-32-10, batch 64"):
    return sections.disagreement(
        Contestant, *sections.problem(*sections.NETS[net], dtype), optimizer
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", NAMES)
def test_every_contestant_takes_the_same_step(sections, name, optimizer, dtype):
    if needed := importlib.import_module("contestants").NEEDS.get(name):
        pytest.importorskip(needed)
    error = disagreement(sections, sections.CONTESTANTS[name], optimizer, dtype)
    assert error <= sections.TOLERANCE[dtype]
    if dtype == "float32":
        assert error > 1e-9, "this was not computed in float32"


def test_the_reference_follows_the_numerical_gradient(sections):
    weights, x, y = sections.problem([5, 4, 3], 6, "float64")

    def loss(_):
        return sections.PlainNumpy(weights, x, y, "sgd", 0).step()

    contestant = sections.PlainNumpy(weights, x, y, "sgd", 0.1)
    contestant.step()
    numerical_gradient = importlib.import_module("gradnb").numerical_gradient
    for before, after in zip(weights, contestant.weights(), strict=True):
        for p, q in zip(before, after, strict=True):
            np.testing.assert_allclose((p - q) / 0.1, numerical_gradient(loss, p), atol=1e-8)


def wrong_steps(Right):
    """Yield contestants that do not take the step that they should."""

    class ForgottenBias(Right):
        def step(self):
            biases = [b.copy() for _, b in self.weights()]
            loss = super().step()
            for (_, b), before in zip(self.weights(), biases, strict=True):
                b[...] = before
            return loss

    class TwiceTheRate(Right):
        def __init__(self, weights, x, y, optimizer, lr):
            super().__init__(weights, x, y, optimizer, 2 * lr)

    class FirstLayerFrozen(Right):
        def step(self):
            W, _ = self.weights()[0]
            before = W.copy()
            loss = super().step()
            W[...] = before
            return loss

    class GradientsNotCleared(Right):
        def step(self):
            self.optimizer.zero_grad = lambda: None
            return super().step()

    class SumInsteadOfMean(Right):
        def step(self):
            return len(self.y) * super().step()

    class Nan(Right):
        def step(self):
            super().step()
            return float("nan")

    class WiderThanAsked(Right):
        def weights(self):
            return [(W.astype(np.longdouble), b) for W, b in super().weights()]

    return [
        *(ForgottenBias, TwiceTheRate, FirstLayerFrozen, GradientsNotCleared),
        *(SumInsteadOfMean, Nan, WiderThanAsked),
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_wrong_step_is_refused(sections, optimizer, dtype):
    for Wrong in wrong_steps(sections.Gradnb):
        error = disagreement(sections, Wrong, optimizer, dtype)
        assert not error <= 10 * sections.TOLERANCE[dtype], Wrong.__name__


def test_a_wrong_contestant_is_not_timed(sections, monkeypatch):
    Wrong = wrong_steps(sections.Gradnb)[0]
    monkeypatch.setitem(sections.CONTESTANTS, "gradnb", Wrong)
    case = {"optimizer": "sgd", "net": sections.SMALLEST, "dtype": "float64"}
    records = list(sections.step_of_one_net(case, ["plain NumPy", "gradnb"], rounds=1))
    assert [(r["contestant"], "time" in r) for r in records] == [
        ("plain NumPy", True),
        ("gradnb", False),
    ]
    assert records[1]["not timed"].startswith("WRONG by ")


def test_quick_run(tmp_path):
    file = tmp_path / "results.json"
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error", BENCHMARKS / "benchmark.py"),
            *("--quick", "--numpy-only", "--markdown", "--json", file),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    results = json.loads(file.read_text(encoding="utf-8"))
    assert list(results) == ["environment", "steps", "numerical", "import", "memory", "monitor"]
    timed = {(r["contestant"], r["optimizer"], r["dtype"]) for r in results["steps"] if "time" in r}
    assert len(timed) == 3 * 2 * 2
    assert all(r["error"] < 1e-7 for r in results["numerical"])
    assert "| sgd " in done.stdout
    assert str(Path.home()) not in done.stdout


def test_an_unknown_section_is_refused():
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "benchmark.py", "--only", "step"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "unknown section: step" in done.stderr

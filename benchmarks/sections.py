"""What is measured: each section is a function that yields its records, plain dicts.

It is given the names of the contestants that can take part, and whether a few rounds of the
smallest network will do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from contestants import CONTESTANTS, Gradnb, PlainNumpy, UnsuitedError
from report import BASES
from timing import clock, interleaved, quartiles

NETS = {
    "2-16-16-2, batch 32": ([2, 16, 16, 2], 32),
    "64-64-64-10, batch 64": ([64, 64, 64, 10], 64),
    "784-50-10, batch 100": ([784, 50, 10], 100),
    "784-256-256-10, batch 128": ([784, 256, 256, 10], 128),
    "20 × 128, batch 128": ([128] * 21, 128),
    "64-32-10, batch 64": ([64, 32, 10], 64),
}
"""Sizes from input to output, and the batch."""
FIVE = [net for net in NETS if net != "64-32-10, batch 64"]
SMALLEST, LARGE = FIVE[0], FIVE[3]

DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 1e-3, "float64": 1e-6}
RATE = {"sgd": 0.01, "adam": 0.001}
TINY_RATE = 1e-9
"""For timing, so that the thousandth step on the same batch does the work of the first."""
RUNS, RUN = 20, 10
"""The naive numerical gradient is sampled in so many runs of so many neighbouring entries."""


def problem(sizes, batch, dtype):
    """Return weights, a batch of inputs and its classes, the same for every contestant."""
    rng = np.random.default_rng(0)
    weights = []
    for n_in, n_out in pairwise(sizes):
        W = rng.normal(0, np.sqrt(2 / n_in), (n_in, n_out))
        b = rng.normal(0, 0.1, n_out)
        weights.append((W.astype(dtype), b.astype(dtype)))
    x = rng.normal(size=(batch, sizes[0])).astype(dtype)
    return weights, x, rng.integers(sizes[-1], size=batch)


def disagreement(Contestant, weights, x, y, optimizer, steps=3):
    """Return how far a contestant is from the plain formulas in float64 after a few steps.

    For each array this is the distance between the two, relative to the way that the array has
    come: a weight hardly moves in a few steps, so relative to the weight itself a missing gradient
    would look small. The largest of these counts, and of the relative errors of the losses.
    """
    start = [(W.astype(float), b.astype(float)) for W, b in weights]
    reference = PlainNumpy(start, x.astype(float), y, optimizer, RATE[optimizer])
    contestant = Contestant(weights, x, y, optimizer, RATE[optimizer])
    errors = []
    for _ in range(steps):
        expected, actual = reference.step(), contestant.step()
        actual = getattr(actual, "item", actual.__float__)()  # float would warn of PyTorch's
        errors.append(abs(actual - expected) / expected)
    for pairs in zip(contestant.weights(), reference.weights(), start, strict=True):
        for actual, expected, before in zip(*pairs, strict=True):
            if actual.dtype != x.dtype or actual.shape != before.shape:
                return np.inf
            way = np.linalg.norm(expected - before)
            errors.append(np.linalg.norm(actual - expected) / way)
    return float(np.max(errors))


def steps(names, quick):
    """Time a training step of every contestant that is installed and computes the right one."""
    for optimizer in RATE:
        for net in [SMALLEST] if quick else FIVE:
            for dtype in DTYPES:
                case = {"optimizer": optimizer, "net": net, "dtype": dtype}
                yield from step_of_one_net(case, names, rounds=3 if quick else 60)


def step_of_one_net(case, names, rounds):
    weights, x, y = problem(*NETS[case["net"]], case["dtype"])
    contestants, errors, left_out = {}, {}, {}
    for name in names:
        try:
            if name != "products alone":
                errors[name] = disagreement(CONTESTANTS[name], weights, x, y, case["optimizer"])
                if not errors[name] <= TOLERANCE[case["dtype"]]:
                    left_out[name] = f"WRONG by {errors[name]:.1e}"
                    continue
            contestants[name] = CONTESTANTS[name](weights, x, y, case["optimizer"], TINY_RATE)
        except UnsuitedError as reason:
            left_out[name] = str(reason)
        except ImportError as reason:
            left_out[name] = f"cannot import {reason.name}"
    actions = {name: contestant.step for name, contestant in contestants.items()}
    seconds = interleaved(actions, rounds)
    bases = [base for base in BASES if base in seconds]
    for name, values in seconds.items():
        yield {
            **case,
            "contestant": name,
            "time": quartiles(values),
            **{f"÷ {base}": quartiles(values / seconds[base]) for base in bases},
            "error": errors.get(name, "–"),
        }
    for name, reason in left_out.items():
        yield {**case, "contestant": name, "not timed": reason}


def numerical(names, quick):
    """Time the numerical gradient of a whole network, and measure its error, in float64.

    The naive loop is timed on a random sample of the parameters, and scaled up.
    """
    for net in ["64-32-10, batch 64"] if quick else ["784-50-10, batch 100", "64-32-10, batch 64"]:
        yield from numerical_of_one_net(net, rounds=2 if quick else 9)


def numerical_of_one_net(net, rounds):
    from gradnb.numerical import numerical_gradient, numerical_gradients

    weights, x, y = problem(*NETS[net], "float64")
    trained = Gradnb(weights, x, y, "sgd", lr=0)
    trained.step()  # leaves the gradient of backpropagation
    model, loss = trained.model, trained.criterion
    parameters = dict(model.named_parameters())
    exact = {name: p.grad.copy() for name, p in parameters.items()}
    size = sum(g.size for g in exact.values())
    rng = np.random.default_rng(1)
    errors = {"naive loop": [], "numerical_gradients": []}

    def naive():
        for name, first in sample_of_runs(rng, parameters):
            part = slice(first, first + RUN)
            view = parameters[name].data.reshape(-1)[part]
            estimate = numerical_gradient(lambda _: loss(model(x), y), view)
            errors["naive loop"].append(np.abs(estimate - exact[name].reshape(-1)[part]).max())

    def whole():
        for name, estimate in numerical_gradients(model, loss, x, y).items():
            errors["numerical_gradients"].append(np.abs(estimate - exact[name]).max())

    actions = {"naive loop": naive, "numerical_gradients": whole}
    seconds = interleaved(actions, rounds, turn=0)
    seconds["naive loop"] *= size / (RUN * RUNS)
    largest = max(np.abs(g).max() for g in exact.values())
    for method, values in seconds.items():
        yield {
            "net": net,
            "parameters": size,
            "method": method,
            "time": quartiles(values),
            "times as fast": quartiles(seconds["naive loop"] / values),
            "error": float(max(errors[method]) / largest),
        }


def sample_of_runs(rng, parameters):
    """Yield RUNS places (name, first entry) at which a run of RUN entries starts."""
    sizes = np.array([p.size for p in parameters.values()])
    for name in rng.choice(list(parameters), size=RUNS, p=sizes / sizes.sum()):
        yield name, rng.integers(parameters[name].size - RUN + 1)


IMPORT = """
from time import {clock} as clock
start = clock()
{statement}
print(clock() - start)
"""


def import_time(names, quick):
    """Time `import gradnb` against `import numpy`, each in a fresh process, in turns."""
    seconds = {"import numpy": [], "import gradnb": [], "from gradnb import *": []}
    with TemporaryDirectory() as cache:
        for i in range(3 if quick else 26):
            for statement, values in seconds.items():
                code = IMPORT.format(statement=statement, clock=clock.__name__)
                printed = in_fresh_process(code, cache)
                if i > 0:  # the first time, all are compiled
                    values.append(float(printed))
    for statement, values in seconds.items():
        ratios = quartiles(np.divide(values, seconds["import numpy"]))
        yield {"statement": statement, "time": quartiles(values), "÷ numpy": ratios}


def memory(names, quick):
    """Measure the peak of a step's arrays, and of a whole process that trains."""
    for net in [SMALLEST] if quick else FIVE:
        for dtype in DTYPES:
            weights, x, y = problem(*NETS[net], dtype)
            needed = sum(W.nbytes + b.nbytes + len(x) * b.nbytes for W, b in weights)
            for name in ("plain NumPy", "gradnb"):
                peak = peak_of_arrays(CONTESTANTS[name], weights, x, y)
                yield {
                    "net": net,
                    "dtype": dtype,
                    "contestant": name,
                    "peak of arrays": f"{peak / 1e6:.2f} MB",
                    "÷ parameters and activations": peak / needed,
                }
    for name in [name for name in names if name not in ("products alone", "PyTorch fused")]:
        peak = int(in_fresh_process(f"import sections; print(sections.peak_of_process({name!r}))"))
        yield {
            "net": LARGE,
            "dtype": "float32",
            "contestant": name,
            "peak of process": f"{peak / 1e6:.0f} MB",
        }


def peak_of_arrays(Contestant, weights, x, y):
    """Return the bytes of all that a contestant holds at the worst moment of a step.

    Parameters, gradients and what a step leaves behind are part of it; the batch is not.
    """
    tracemalloc.start()
    try:
        contestant = Contestant(weights, x, y, "sgd", RATE["sgd"])
        contestant.step()
        tracemalloc.reset_peak()
        contestant.step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def peak_of_process(name):
    """Train a few steps and return the largest resident set of this process, in bytes."""
    contestant = CONTESTANTS[name](*problem(*NETS[LARGE], "float32"), "sgd", RATE["sgd"])
    for _ in range(5):
        contestant.step()
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, getrusage would also count the process that started this one
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def in_fresh_process(code, cache=None):
    """Run code in another Python and return what it prints; `cache` keeps the compiled modules."""
    environment = os.environ.copy()
    if cache:
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = cache
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def monitor(names, quick):
    """Time a step with and without a `GradientMonitor`."""
    from gradnb.monitor import GradientMonitor

    net = SMALLEST if quick else LARGE
    for name in [name for name in ("gradnb", "PyTorch") if name in names]:
        for dtype in DTYPES:
            start = problem(*NETS[net], dtype)
            bare, watched = (CONTESTANTS[name](*start, "sgd", TINY_RATE) for _ in range(2))
            attached = GradientMonitor(watched.model, watched.optimizer)
            actions = {"bare": bare.step, "watched": watched.step}
            seconds = interleaved(actions, rounds=3 if quick else 100)
            attached.close()
            yield {
                "net": net,
                "dtype": dtype,
                "contestant": name,
                "time": quartiles(seconds["bare"]),
                "overhead": quartiles(seconds["watched"] / seconds["bare"] - 1),
            }


SECTIONS = {
    "steps": steps,
    "numerical": numerical,
    "import": import_time,
    "memory": memory,
    "monitor": monitor,
}

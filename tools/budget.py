"""What each notebook may cost, in units that mean the same on a slow machine and on a busy one.

A notebook's cost is processor time: that of its kernel and of every process its cells start. The
unit is the processor time of a fixed loop of the book's own kind of work, run just before and just
after it. Time on the clock would count the wait for other programs, too.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]

# In units: what was measured, and up to a quarter more. One was 0.2 s there, so that GENERAL is
# 25 s, and WHOLE is two minutes on each of two cores.
BUDGETS = {
    "backprop": 80,
    "gradient_stability": 85,
    "index": 30,
    "monitoring": 100,
    "numerical_gradients": 40,
    "optimizers": 80,
    "sgd": 80,
    "stabilizing": 125,
    "zero_grad": 30,
    "zero_gradients": 105,
}
GENERAL = 125
WHOLE = 1200
UNIT = 28  # rounds of `work`
# The same notebook came to at most 1.4 times as many units on a machine with up to six processes
# for each core, with NumPy's newer instructions off, or with OpenBLAS's slowest kernels.
SLACK = 2


@dataclass
class Cost:
    """What a run of one notebook has cost."""

    name: str
    seconds: float  # of processor time
    unit: float  # in the same seconds

    @property
    def units(self) -> float:
        return self.seconds / self.unit

    @property
    def budget(self) -> int:
        return BUDGETS.get(self.name, GENERAL)

    @property
    def share(self) -> float:
        """Of the budget; beyond SLACK the notebook is too dear, whatever the machine."""
        return self.units / self.budget

    def __str__(self):
        return f"{self.units:.0f} units ({self.seconds:.1f} s), {self.share:.0%} of its budget"

    def complaint(self) -> str | None:
        """Say that the notebook is too dear and what to do; None if it is not."""
        if self.share <= SLACK:
            return None
        return (
            f"{self.name}.ipynb cost {self.units:.0f} units of processor time (here "
            f"{self.seconds:.1f} s), more than {SLACK} times its budget of {self.budget}: make its "
            "experiments smaller, or change the budget in tools/budget.py and say why."
        )


def not_judged() -> str | None:
    """Say why costs mean nothing in these surroundings; None if they do.

    Threads of OpenBLAS burn time while they wait for each other, on a busy machine several times as
    much as they work. Unless someone sets more, there is one.
    """
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "1")
    if threads == "1":
        return None
    return (
        f"OPENBLAS_NUM_THREADS={threads}: what threads burn while they wait would count. To hold "
        "the notebooks against their budgets, run without it."
    )


def table(costs: Iterable[Cost]) -> Iterator[str]:
    """Lay out costs for reading, the dearest first."""
    costs = sorted(costs, key=lambda cost: -cost.units)
    yield f"{'notebook':24}{'units':>8}{'seconds':>9}{'budget':>8}{'share':>8}"
    for cost in costs:
        yield (
            f"{cost.name:24}{cost.units:8.0f}{cost.seconds:9.1f}{cost.budget:8.0f}{cost.share:8.0%}"
        )
    units, seconds, budget = (
        sum(getattr(cost, what) for cost in costs) for what in ("units", "seconds", "budget")
    )
    yield f"{'together':24}{units:8.0f}{seconds:9.1f}{budget:8.0f}{units / budget:8.0%}"


def spent(pid: int) -> float:
    """Return the processor seconds of a process and of all that it has started.

    Linux counts children that have ended with their parent, other systems forget them.
    """
    process = psutil.Process(pid)
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += sum(one.cpu_times()[:4])  # user, system, and both of children that have ended
        except psutil.NoSuchProcess:
            continue
    return total


def unit() -> float:
    """Measure the unit, in a process like a kernel: its libraries, processor features, threads."""
    command = [sys.executable, "-m", "tools.budget"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout)


def work(rounds: int) -> None:
    """Do what the chapters do: plain Python, training of small networks, random numbers.

    The products are too small for OpenBLAS to share them among threads, which wait for each other
    with a busy processor.
    """
    rng = np.random.default_rng(0)
    for _ in range(rounds):
        counts = {}
        for number in range(30_000):
            counts[number % 17] = counts.get(number % 17, 0.0) + 0.5 * number
        for width, steps in ((8, 300), (64, 40)):
            x = rng.normal(size=(32, width))
            weight = rng.normal(size=(width, width)) / width**0.5
            for _ in range(steps):
                hidden = np.tanh(x @ weight + 1.0)
                grad = (1 - hidden * hidden) * (hidden > 0.5)
                weight = weight - 1e-6 * (x.T @ grad)
                hidden.mean(axis=0)
        rng.normal(size=100_000)


def main() -> None:
    work(1)  # the first time is slower
    start = time.process_time()
    work(UNIT)
    print(time.process_time() - start)


if __name__ == "__main__":
    main()

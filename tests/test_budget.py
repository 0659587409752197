"""The notebooks' budgets: what is counted, and that a notebook which costs too much turns red.

Four small notebooks are executed once, in two processes and on a machine that this test keeps busy.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools import budget

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted(path.stem for path in (ROOT / "chapters").glob("*.ipynb"))
SPIN = "import time\nwhile time.process_time() < {}: pass\n"
WORK = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom tools import budget\nbudget.work({{}})"
BUDGET, START = 6, 2  # units; the start of a kernel takes two
CELLS = {
    "dear": [WORK.format((3 * BUDGET - START) * budget.UNIT)],
    "cheap": ["1 + 1", WORK.format(budget.UNIT)],
    "half_run": ["1 + 1", "2 + 2"],
}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Run pytest over the notebooks; return its messages by notebook, and the whole report."""
    folder = tmp_path_factory.mktemp("notebooks")
    for name, sources in CELLS.items():
        cells = [new_code_cell(source, execution_count=1) for source in sources]
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
    plugin = f"from tools import budget\nbudget.BUDGETS = dict.fromkeys({list(CELLS)}, {BUDGET})\n"
    (folder / "small_budgets.py").write_text(plugin, encoding="utf-8")
    spin = [sys.executable, "-c", SPIN.format(600)]
    busy = [subprocess.Popen(spin) for _ in range(os.cpu_count() or 1)]
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "conftest", "-p", "small_budgets"),
                *("-c", ROOT / "pyproject.toml", "--rootdir", folder, "--color=no"),
                *("--numprocesses=2", "--dist=loadfile", "--junitxml", folder / "report.xml"),
                *("--deselect", "half_run.ipynb::Cell 0"),
                *(folder / f"{name}.ipynb" for name in CELLS),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(folder), "OPENBLAS_NUM_THREADS": "1"},
            text=True,
            capture_output=True,
            check=False,
        )
    finally:
        for process in busy:
            process.kill()
            process.wait()
    messages = {}
    for test in ElementTree.parse(folder / "report.xml").iter("testcase"):
        if test.get("name") == "cost":
            failure = test.find("failure")
            messages[test.get("classname")] = None if failure is None else failure.text
    assert set(messages) == {f"{name}.ipynb" for name in CELLS}, done.stdout + done.stderr
    return {name: messages[f"{name}.ipynb"] for name in CELLS}, done.stdout


def test_a_notebook_of_three_times_its_budget_is_red(said):
    assert re.fullmatch(
        rf"dear.ipynb cost \d+ units of processor time \(here [\d.]+ s\), more than 2 times its "
        rf"budget of {BUDGET}: make its experiments smaller, or change the budget in "
        "tools/budget.py and say why.",
        said[0]["dear"],
    )


def test_a_cheap_notebook_is_green_on_a_busy_machine(said):
    assert said[0]["cheap"] is None


def test_a_notebook_that_ran_in_part_is_not_judged_by_that_part(said):
    assert "is known when all its cells have run" in said[0]["half_run"]


def test_all_costs_are_shown_the_dearest_first(said):
    shown = said[1].split("what the notebooks cost")[1]
    rows = re.findall(r"^(\w+) +(\d+) +[\d.]+ +(\d+) +(\d+)%$", shown, flags=re.MULTILINE)
    assert [name for name, *_ in rows] == ["dear", "cheap", "together"]
    for _, units, allowed, share in rows:
        assert int(share) == pytest.approx(100 * int(units) / int(allowed), abs=10)


@pytest.mark.parametrize(("threads", "judged"), [(None, True), ("1", True), ("2", False)])
def test_threads_that_wait_for_each_other_are_no_cost(monkeypatch, threads, judged):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if threads:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", threads)
    assert (budget.not_judged() is None) == judged


def test_the_chapters_together_have_two_minutes_on_two_cores():
    assert sum(budget.BUDGETS.get(name, budget.GENERAL) for name in CHAPTERS) <= budget.WHOLE
    assert set(budget.BUDGETS) <= set(CHAPTERS), "a budget without a chapter"
    assert max(budget.BUDGETS.values()) <= budget.GENERAL


@pytest.mark.parametrize(
    "source",
    [
        SPIN.format(1),
        f"import threading\none = threading.Thread(target=exec, args=({SPIN.format(1)!r},))\n"
        "one.start(); one.join()",
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {SPIN.format(1)!r}])",
        f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {SPIN.format(100)!r}])",
    ],
    ids=["itself", "a thread", "a child that has ended", "a child that runs on"],
)
def test_what_a_process_starts_is_counted(source):
    if sys.platform != "linux" and "subprocess.run" in source:
        pytest.skip("only Linux counts children that have ended")
    command = [sys.executable, "-c", source + "\nprint('done', flush=True)\ninput()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline().strip() == b"done"
            deadline = time.monotonic() + 60
            while budget.spent(process.pid) < 0.9 and time.monotonic() < deadline:
                time.sleep(0.1)
            assert budget.spent(process.pid) >= 0.9
        finally:
            children = psutil.Process(process.pid).children(recursive=True)
            for one in [*children, process]:
                one.kill()

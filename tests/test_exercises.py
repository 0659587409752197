"""The problem sets: their graders are graded with answers that are known to be right or wrong."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from grading.attempt import attempt
from grading.notebook import is_check, is_explanation, is_given, is_solution, nbgrader
from grading.problemset import ProblemSet, names
from grading.sandbox import NoIsolationError, Sandbox
from grading.selftest import cases

ROOT = Path(__file__).parents[1]
SETS = {name: ProblemSet(name) for name in names()}
CASES = [(name, case) for name, problem_set in SETS.items() for case in cases(problem_set)]
TASKS = [(problem_set, task) for problem_set in SETS.values() for task in problem_set.tasks]
MIN_WRONG, MIN_RIGHT = 4, 2


@pytest.fixture(scope="module")
def sandbox():
    try:
        return Sandbox()
    except NoIsolationError as error:
        pytest.skip(f"no isolation here: {error}")


@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{n}-{case.id}" for n, case in CASES])
def test_an_answer_fails_just_the_checks_it_should(sandbox, name, case):
    """A solution none, an empty cell all, a wrong answer those it names, a right one none."""
    task = SETS[name].tasks[case.task]
    given = {**task.inputs(np.random.default_rng(2026)), "seed": 20}
    outcome = attempt(SETS[name], task, case.cells, given, sandbox)
    assert set(outcome.failed) == case.fails, (outcome.failed, outcome.cells, outcome.note)
    if case.kind in ("solution", "right"):
        assert outcome.status == "graded"


def test_there_are_five_sets():
    assert list(SETS) == [
        *("ps1_backprop", "ps2_numerical_gradients", "ps3_sgd", "ps4_zero_grad", "ps5_stability")
    ]


@pytest.mark.parametrize(("problem_set", "task"), TASKS, ids=[f"{p.name}-{t}" for p, t in TASKS])
def test_a_task_is_tested(problem_set, task):
    wrong = [answer for answer in problem_set.wrong if answer.task == task]
    right = [answer for answer in problem_set.right if answer.task == task]
    assert len(wrong) >= MIN_WRONG
    assert len(right) >= MIN_RIGHT
    assert len({answer.name for answer in [*wrong, *right]}) == len(wrong) + len(right)
    checks = {check.name for check in problem_set.tasks[task].checks}
    assert len(checks) == len(problem_set.tasks[task].checks)
    for answer in wrong:
        assert set(answer.fails) <= checks
        assert answer.fails
    for check in checks if len(checks) > 1 else ():
        told_apart = [a for a in wrong if check in a.fails and set(a.fails) < checks]
        assert told_apart, f"no wrong answer fails {check!r} and passes another check"


@pytest.mark.parametrize("problem_set", SETS.values(), ids=SETS)
def test_a_set_is_whole(problem_set):
    cells = problem_set.source["cells"]
    answers = [nbgrader(cell)["grade_id"] for cell in cells if is_solution(cell)]
    assert answers == list(problem_set.tasks)
    assert 4 <= len(answers) + 1 <= 7
    assert len([cell for cell in cells if is_explanation(cell)]) == 1
    points = {
        nbgrader(cell)["grade_id"]: nbgrader(cell)["points"] for cell in filter(is_check, cells)
    }
    assert points == {f"{name}-check": task.points for name, task in problem_set.tasks.items()}
    says = Counter(check.says for task in problem_set.tasks.values() for check in task.checks)
    assert all(sentence.endswith(".") for sentence in says)
    assert any("SEED" in cell["source"] for cell in cells if is_given(cell))


@pytest.mark.parametrize("seed", [0, 12345])
@pytest.mark.parametrize("problem_set", SETS.values(), ids=SETS)
def test_the_solved_notebook_runs(problem_set, seed):
    """Its self-checks agree with its solutions, on anybody's data and without a warning."""
    code = "\n".join(c["source"] for c in problem_set.source["cells"] if c["cell_type"] == "code")
    code = code.replace("SEED = 0", f"SEED = {seed}")
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert not run.stderr


@pytest.mark.parametrize("problem_set", SETS.values(), ids=SETS)
def test_hidden_inputs_are_drawn_and_hold_plain_values(problem_set):
    from grading import runner

    for task in problem_set.tasks.values():
        drawn = [runner.encode(task.inputs(np.random.default_rng(seed))) for seed in (1, 1, 2)]
        assert drawn[0] == drawn[1]
        assert drawn[0] != drawn[2] or drawn[0] == {"dict": {}}
        runner.decode(drawn[0])

"""The graders graded: what each problem set's own answers must get.

``python -m grading selftest ps1_backprop`` prints a line for each answer that does not get exactly
the points it must: the solution all, the empty notebook none, each wrong answer all but those of
the checks it is said to fail, each right answer all.
"""

from __future__ import annotations

import copy
import textwrap
from dataclasses import dataclass

from grading.notebook import is_solution, nbgrader
from grading.problemset import ProblemSet

STUB = "raise NotImplementedError()"


@dataclass(frozen=True)
class Case:
    """An answer to one task, as a whole notebook, and the checks that it must fail."""

    kind: str
    task: str
    name: str
    cells: list
    fails: frozenset

    @property
    def id(self) -> str:
        """A name for reports."""
        return f"{self.task}-{self.kind}-{self.name}".replace(" ", "-")


def cases(problem_set: ProblemSet):
    """Yield every case of a problem set."""
    solved = problem_set.source["cells"]
    for task in problem_set.tasks.values():
        everything = frozenset(check.name for check in task.checks)
        yield Case("solution", task.name, "source", solved, frozenset())
        yield Case("stub", task.name, "stub", _with_answer(solved, task.name, STUB), everything)
    for wrong in problem_set.wrong:
        cells = _with_answer(solved, wrong.task, wrong.code)
        yield Case("wrong", wrong.task, wrong.name, cells, frozenset(wrong.fails))
    for right in problem_set.right:
        cells = _with_answer(solved, right.task, right.code)
        yield Case("right", right.task, right.name, cells, frozenset())


def _with_answer(cells, task: str, code: str):
    """Return the notebook's cells with other code as the answer to a task."""
    cells = copy.deepcopy(cells)
    (cell,) = (c for c in cells if is_solution(c) and nbgrader(c)["grade_id"] == task)
    cell["source"] = textwrap.dedent(code).strip()
    return cells

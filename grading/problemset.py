"""What a problem set is made of, and where it is kept.

========================  ==========================================================  =============
``exercises/``            holds                                                       students have
========================  ==========================================================  =============
``source/SET/SET.ipynb``  the notebook with solutions, rubric and self-checks         no
``release/SET/SET.ipynb`` the same without solutions and rubric                       yes
``checks/SET.py``         ``TASKS``: hidden inputs, and what the values must satisfy  no
``calls/SET.py``          a function per task that calls what the student wrote       in the sandbox
``answers/SET.py``        ``WRONG`` and ``RIGHT`` answers that test the checks        no
========================  ==========================================================  =============
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
import numpy as np

from grading.notebook import is_explanation, nbgrader

ROOT = Path(__file__).resolve().parent.parent
EXERCISES = ROOT / "exercises"
HEADING = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Check:
    """A property that the student's values must have.

    Attributes
    ----------
    name : str
        Short, and its own within the task.
    points : int
        What it is worth.
    says : str
        The property as a sentence, for the feedback: it names what must hold and gives no answer
        away, as in "A second backward pass adds to the gradients of the first."
    holds : callable
        ``holds(given, got) -> bool``. `given` are the task's inputs, `got` the student's values by
        the name of the part (`exercises/calls`). Asking for a part that failed makes the check
        fail, with the student's own error beside it.
    """

    name: str
    points: int
    says: str
    holds: Callable[[dict, dict], bool]


@dataclass(frozen=True)
class Task:
    """A task that is graded by values.

    Attributes
    ----------
    name : str
        The ``grade_id`` of its solution cell; its graded cell is ``NAME-check``.
    inputs : callable
        ``inputs(rng) -> dict`` of arrays, numbers, strings, and lists and dicts of those. They are
        drawn anew for each student, and are all that the sandbox is given: no answers among them.
        ``given["seed"]`` is added: the SEED of the student's own notebook.
    checks : list of Check
    seconds : float
        Time for the whole process, its start included.
    """

    name: str
    inputs: Callable[[np.random.Generator], dict]
    checks: list[Check]
    seconds: float = 6.0

    @property
    def points(self) -> int:
        """What the task is worth."""
        return sum(check.points for check in self.checks)


@dataclass(frozen=True)
class Wrong:
    """A plausible wrong answer: `code` in place of the solution cell, and the checks it fails."""

    task: str
    name: str
    code: str
    fails: list[str]


@dataclass(frozen=True)
class Right:
    """A right answer unlike the solution (looped, other order, float32): all points."""

    task: str
    name: str
    code: str


def close(got, expected, rtol=1e-8, single=1e-4) -> bool:
    """Say whether an array has the expected shape, and no error above `rtol` of its largest entry.

    Single precision may be off by `single` instead; ``single=0`` demands double. Nothing is
    close to what is not finite.
    """
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape or got.dtype.kind not in "biufc":
        return False
    allowed = max(rtol, single) if got.dtype in (np.float32, np.complex64) else rtol
    size = np.abs(expected).max(initial=0) or 1.0
    with np.errstate(all="ignore"):  # a student's inf and nan are compared like all else
        error = np.abs(got.astype(complex) - expected).max(initial=0)
    return bool(error <= allowed * size < np.inf)


class ProblemSet:
    """A problem set by its name, such as ``ps1_backprop``; each part is read when first used."""

    def __init__(self, name: str, exercises: Path = EXERCISES):
        self.name = name
        self.exercises = Path(exercises)
        if not self.source_path.is_file():
            there = ", ".join(names(exercises)) or "none"
            raise ValueError(f"there is no problem set {name!r}; there are: {there}")

    @property
    def source_path(self) -> Path:
        """The notebook with solutions."""
        return self.exercises / "source" / self.name / f"{self.name}.ipynb"

    @property
    def release_path(self) -> Path:
        """The notebook that students get."""
        return self.exercises / "release" / self.name / f"{self.name}.ipynb"

    @cached_property
    def source(self):
        """The notebook with solutions, as nbformat reads it."""
        return nbformat.read(self.source_path, as_version=4)

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The tasks that are graded by values, by name."""
        return {task.name: task for task in self._module("checks").TASKS}

    @cached_property
    def calls(self) -> str:
        """The code that calls what students wrote."""
        return (self.exercises / "calls" / f"{self.name}.py").read_text(encoding="utf-8")

    @cached_property
    def titles(self) -> dict[str, str]:
        """The heading above each task and explanation, by name; the first is the set's own."""
        titles, last = {}, self.name
        for cell in self.source["cells"]:
            is_text = cell["cell_type"] == "markdown" and not is_explanation(cell)
            if is_text and (heading := HEADING.search(cell["source"])):
                last = heading[1].strip()
                titles.setdefault(self.name, last)
            if name := nbgrader(cell).get("grade_id"):
                titles.setdefault(name, last)
        return titles

    @cached_property
    def max_score(self) -> int:
        """What the whole set is worth."""
        cells = filter(is_explanation, self.source["cells"])
        by_hand = sum(nbgrader(cell)["points"] for cell in cells)
        return by_hand + sum(task.points for task in self.tasks.values())

    @cached_property
    def wrong(self) -> list[Wrong]:
        """Wrong answers, which test the checks."""
        return self._module("answers").WRONG

    @cached_property
    def right(self) -> list[Right]:
        """Answers unlike the solution that are right as well."""
        return self._module("answers").RIGHT

    def _module(self, kind: str):
        path = self.exercises / kind / f"{self.name}.py"
        spec = importlib.util.spec_from_file_location(f"{kind}_{self.name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def names(exercises: Path = EXERCISES) -> list[str]:
    """Return the names of all problem sets."""
    return sorted(path.stem for path in exercises.glob("source/*/*.ipynb"))

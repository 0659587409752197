"""A problem set that is small enough to spoil in many ways."""

import copy
import textwrap
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from grading.problemset import EXERCISES, ProblemSet

NAME = "ps0_small"
METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}
CHECKS = '''
"""Hidden checks of a small set."""

from grading import Check, Task, close


def numbers(rng):
    return {"x": rng.normal(size=(3, 2))}


TASKS = [
    Task(
        "double",
        numbers,
        [
            Check(
                "value",
                2,
                "Every entry is twice as large.",
                lambda given, got: close(got["value"], 2 * given["x"]),
            ),
            Check(
                "zero",
                1,
                "What is zero stays zero.",
                lambda given, got: close(got["zero"], 0.0) and close(got["value"], 2 * given["x"]),
            ),
        ],
    ),
    Task(
        "total",
        lambda rng: {},
        [Check("sum", 1, "It is right.", lambda given, got: got["total"] == given["seed"] + 7)],
    ),
]
'''
CALLS = '''
"""Call what the student wrote."""


def double(student, given):
    yield "value", lambda: student.double(given["x"].copy())
    yield "zero", lambda: student.double(0.0)


def total(student, given):
    yield "total", lambda: student.total
'''
ANSWERS = '''
"""Answers that test the checks."""

from grading import Right, Wrong

WRONG = [
    Wrong("double", "adds two", "def double(x):\\n    return x + 2.0", ["value", "zero"]),
]
RIGHT = [Right("double", "adds", "def double(x):\\n    return x + x")]
'''


def cell(kind, id, source, points=None):
    """Make a cell of a source: text, given, answer, check or explanation."""
    flags = {
        "text": {"locked": True},
        "given": {"locked": True},
        "answer": {"solution": True},
        "check": {"grade": True, "locked": True},
        "explanation": {"grade": True, "solution": True},
    }[kind]
    make = new_markdown_cell if kind in {"text", "explanation"} else new_code_cell
    mark = {"grade": False, "locked": False, "solution": False, "task": False}
    mark |= {**flags, "grade_id": id, "schema_version": 3}
    if points is not None:
        mark["points"] = points
    return make(textwrap.dedent(source).strip(), id=id, metadata={"nbgrader": mark})


def source():
    """Return the notebook with solutions."""
    cells = [
        cell("text", "intro", "# Problem set 0: a small one"),
        cell("given", "setup", "import numpy as np\n\nSEED = 0  # yours\nstart = SEED + 3"),
        cell("text", "double-text", "## Task 1. Twice as much (3 points)"),
        cell(
            "answer",
            "double",
            """
            def double(x):
                ### BEGIN SOLUTION
                twice_as_much = 2 * x
                assert twice_as_much is not x
                return twice_as_much
                ### END SOLUTION
            """,
        ),
        cell("check", "double-check", "print(double(np.ones(2)), 'must be', [2.0, 2.0])", 3),
        cell("text", "total-text", "## Task 2. The sum (1 point)"),
        cell(
            "answer",
            "total",
            "### BEGIN SOLUTION\ntotal = start + 2 * 2  # plus four\n### END SOLUTION",
        ),
        cell("check", "total-check", "print(total, 'is a number')", 1),
        cell("text", "why-text", "## Task 3. Why (2 points)\n\nWhy is $a<b$?"),
        cell(
            "explanation",
            "why",
            """
            ### BEGIN SOLUTION
            Because doubling is linear in its argument.
            ### END SOLUTION

            === BEGIN MARK SCHEME ===
            1 point for the word linear, 1 for its reason.
            === END MARK SCHEME ===
            """,
            2,
        ),
    ]
    return new_notebook(cells=cells, metadata=copy.deepcopy(METADATA))


def write(exercises: Path, notebook=None, checks=CHECKS) -> ProblemSet:
    """Write a set into a folder like `exercises/`."""
    texts = {"checks": checks, "calls": CALLS, "answers": ANSWERS}
    for kind, text in texts.items():
        path = exercises / kind / f"{NAME}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip(), encoding="utf-8")
    path = exercises / "source" / NAME / f"{NAME}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook or source(), path)
    config = exercises / "nbgrader_config.py"
    config.write_bytes((EXERCISES / config.name).read_bytes())
    return ProblemSet(NAME, exercises)


def answered(notebook, double="", total="", why=""):
    """Return a released notebook with answers in it."""
    notebook = copy.deepcopy(notebook)
    for each in notebook.cells:
        answer = {"double": double, "total": total, "why": why}.get(each.id)
        if answer:
            each.source = answer
    return notebook

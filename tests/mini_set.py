"""A problem set small enough to test the grader with, and submissions for it."""

import json

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from grading.problemset import ProblemSet

NAME = "ps0_mini"
CHECKS = """
import numpy as np

from grading import Check, Task, close

TASKS = [
    Task(
        "double",
        lambda rng: {"x": rng.normal(size=4)},
        [
            Check("value", 2, "It is twice the input.",
                  lambda given, got: close(got["value"], 2 * given["x"])),
            Check("shape", 1, "It keeps the shape.",
                  lambda given, got: close(got["square"], 2 * np.ones((2, 2)) * given["x"][0])),
        ],
        seconds=5,
    ),
    Task(
        "mean",
        lambda rng: {},
        [Check("mine", 2, "It is the mean of your own data.",
               lambda given, got: close(
                   got["mine"], np.random.default_rng(given["seed"]).normal(size=9).mean()))],
        seconds=5,
    ),
]
"""
CALLS = """
def double(student, given):
    yield "value", lambda: student.double(given["x"])
    x = given["x"][0]
    yield "square", lambda: student.double(x + 0 * given["x"].reshape(2, 2))


def mean(student, given):
    yield "mine", lambda: student.mean
"""
ANSWERS = """
from grading import Right, Wrong

WRONG = [Wrong("double", "flat", "def double(x):\\n    return 2 * x.ravel()", ["shape"])]
RIGHT = [Right("double", "added", "def double(x):\\n    return x + x")]
"""
DOUBLE = "def double(x):\n    return 2 * x"
MEAN = "mean = np.mean(data)"


def marked(make, id, source, **mark):
    """Return a cell that nbgrader knows."""
    cell = make(source, id=id)
    plain = {"grade": False, "locked": False, "solution": False, "task": False}
    cell.metadata["nbgrader"] = {**plain, "grade_id": id, "schema_version": 3, **mark}
    return cell


def solution(code):
    return f"### BEGIN SOLUTION\n{code}\n### END SOLUTION"


def make(folder):
    """Write the set below a folder; return it."""
    setup = "import numpy as np\n\nSEED = 0\ndata = np.random.default_rng(SEED).normal(size=9)"
    rubric = "=== BEGIN MARK SCHEME ===\n1: it is true\n=== END MARK SCHEME ==="
    why = f"{solution('Because it is.')}\n\n{rubric}"
    cells = [
        marked(new_markdown_cell, "intro", "# Problem set 0: mini", locked=True),
        marked(new_code_cell, "setup", setup, locked=True),
        marked(new_markdown_cell, "double-text", "## Task 1. Double (3 points)", locked=True),
        marked(new_code_cell, "double", solution(DOUBLE), solution=True),
        marked(new_code_cell, "double-check", "double(1)", grade=True, locked=True, points=3),
        marked(new_markdown_cell, "mean-text", "## Task 2. Mean (2 points)", locked=True),
        marked(new_code_cell, "mean", solution(MEAN), solution=True),
        marked(new_code_cell, "mean-check", "mean", grade=True, locked=True, points=2),
        marked(new_markdown_cell, "why-text", "## Task 3. Why? (2 points)", locked=True),
        marked(new_markdown_cell, "why", why, grade=True, solution=True, points=2),
    ]
    source = folder / "source" / NAME
    source.mkdir(parents=True)
    nbformat.write(new_notebook(cells=cells), source / f"{NAME}.ipynb")
    for kind, text in {"checks": CHECKS, "calls": CALLS, "answers": ANSWERS}.items():
        (folder / kind).mkdir()
        (folder / kind / f"{NAME}.py").write_text(text, encoding="utf-8")
    return ProblemSet(NAME, folder)


def notebook(problem_set, double=DOUBLE, mean=MEAN, why="I say so.", seed=0, added=()):
    """Return a submission as text, with other answers where they are given."""
    answers = {"double": double, "mean": mean, "why": why}
    cells = []
    for cell in problem_set.source["cells"]:
        source = answers.get(cell["id"], cell["source"]).replace("SEED = 0", f"SEED = {seed}")
        cells.append({**cell, "source": source})
    cells += [new_code_cell(code, id=f"added-{n}") for n, code in enumerate(added)]
    return json.dumps(new_notebook(cells=cells))

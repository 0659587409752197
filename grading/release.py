"""The students' versions of the problem sets, without solutions and rubrics.

nbgrader makes them, by its own steps and without its database, so that ``nbgrader
generate_assignment`` gives the same cells. Before, `grading.fitness` looks for what nbgrader does
not ask for; after, `grading.private` looks for what must not get out.

``exercises/release`` is committed, so that nobody but authors needs nbgrader for it.
"""

from __future__ import annotations

import copy
from pathlib import Path

import nbformat

from grading import files
from grading.fitness import problems
from grading.notebook import is_given, with_seed
from grading.private import leaks, private_lines
from grading.problemset import EXERCISES, ProblemSet
from grading.problemset import names as all_names
from grading.roster import ReleaseError, read_roster
from grading.secret import seed_for


def release(problem_set: ProblemSet):
    """Return the notebook that students get, as nbformat knows it.

    Raises
    ------
    ReleaseError
        If the source gives a solution away or cannot be graded; it names each cell.
    RuntimeError
        If nbgrader is not installed.
    """
    if found := problems(problem_set):
        raise ReleaseError(problem_set.name, found)
    notebook = copy.deepcopy(problem_set.source)
    for step in _steps():
        notebook, _ = step(notebook, {})
    # What nbgrader leaves is read once more, since it is what gets published.
    if leaked := leaks(nbformat.writes(notebook), private_lines(problem_set)):
        raise ReleaseError(problem_set.name, [f"it would hand out: {line}" for line in leaked])
    return notebook


def write_releases(names: list[str] | None = None, exercises: Path = EXERCISES) -> list[Path]:
    """Store the students' versions, of all problem sets or of some; return those that changed."""
    made = {}
    for name in names or all_names(exercises):
        problem_set = ProblemSet(name, exercises)
        made[problem_set.release_path] = _text(release(problem_set))
    return [path for path, text in made.items() if files.write(path, text)]


def personal_releases(
    problem_set: ProblemSet, roster_csv: Path, secret: bytes, out: Path
) -> list[Path]:
    """Write ``OUT/<student>/SET.ipynb`` for each student of a roster, with the student's own SEED.

    The roster is a table (CSV) with a column `student_id` or `id`; without such a heading, the
    first column holds the ids.

    Nothing is written unless all can be, and no file that differs is replaced.
    """
    students = read_roster(roster_csv)
    notebook = release(problem_set)
    made = {}
    for student in students:
        seed = seed_for(secret, problem_set.name, student)
        text = _text(_with_seed(notebook, seed))
        made[Path(out, student, f"{problem_set.name}.ipynb")] = text
    in_the_way = [
        path
        for path, text in made.items()
        if path.exists() and path.read_bytes() != text.encode("utf-8")
    ]
    if in_the_way:
        raise ReleaseError(
            problem_set.name,
            [f"{path} is there already, and is another one" for path in in_the_way]
            + ["choose an empty folder"],
        )
    for path, text in made.items():
        files.write(path, text)
    return list(made)


def _steps():
    """Return the steps of ``nbgrader generate_assignment``, without those of its database."""
    try:
        from nbgrader import preprocessors as nbgraders
    except ImportError as error:
        raise RuntimeError("a release needs nbgrader; `make venv` installs it") from error
    return [
        nbgraders.LockCells(),
        nbgraders.ClearSolutions(),
        nbgraders.ClearOutput(),
        nbgraders.CheckCellMetadata(),
        nbgraders.ClearHiddenTests(),
        # Our rubrics stand below the model answer, not in nbgrader's own cells for tasks.
        nbgraders.ClearMarkScheme(enforce_metadata=False),
        nbgraders.ComputeChecksums(),
        nbgraders.CheckCellMetadata(),
    ]


def _with_seed(notebook, seed: int):
    """Return a released notebook with a student's SEED."""
    from nbgrader.preprocessors import ComputeChecksums

    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if is_given(cell):
            cell.source = with_seed(cell.source, seed)
    return ComputeChecksums()(notebook, {})[0]


def _text(notebook) -> str:
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"

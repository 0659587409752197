"""Bring results into nbgrader's grade book, and what people decide there back.

A course that uses nbgrader goes on with it from here: the formgrader, ``nbgrader export``,
``nbgrader generate_feedback``. In place of ``nbgrader autograde``, which would run students' code
beside the grade book, the points are written into it, and the feedback below the self-checks.

What the grader gave is nbgrader's `auto_score`. What a person gives in the formgrader is its
`manual_score`, which counts for more and is never touched here.
"""

from __future__ import annotations

import contextlib
import copy
import os
import re
import shutil
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from grading import files
from grading.notebook import is_check, is_explanation, is_given, is_solution, nbgrader, with_seed
from grading.problemset import EXERCISES, ProblemSet
from grading.release import release
from grading.submissions import Submission, find

CONFIG = "nbgrader_config.py"
MAX_CHARACTERS = 100_000  # of one cell that is shown


def export(
    problem_set: ProblemSet, results: list[dict], course_folder: Path, submissions_folder: Path
) -> list[str]:
    """Write the results of a run into a course's grade book, and the notebooks that it shows.

    Whatever is wrong with one submission, all others are exported; the same results twice change
    nothing.

    Parameters
    ----------
    problem_set : ProblemSet
        What was assigned; nbgrader's assignment and notebook have its name.
    results : list of dict
        What `grading.batch.grade` returns.
    course_folder : Path
        nbgrader's course: the folder with `nbgrader_config.py`. A new one gets this file.
    submissions_folder : Path
        What was graded, for the notebooks.

    Returns
    -------
    list of str
        What a person should know, with the student's name in front.

    Raises
    ------
    ValueError
        If there are no results, or the grade book has another version of the problem set.
    RuntimeError
        If nbgrader is not installed.
    """
    notes = []
    submissions = {s.student: s for s in find(Path(submissions_folder), problem_set.name)}
    _make_course(Path(course_folder))
    course = _course(Path(course_folder))
    released = release(problem_set)
    _save_cells(course, problem_set)
    with _opened(course) as gradebook:
        for result in results:
            student = result["student"]
            try:
                said = _export_one(
                    gradebook,
                    course,
                    problem_set,
                    released,
                    result,
                    submissions.get(student),
                    Path(submissions_folder),
                )
                notes += [f"{student}: {note}" for note in said]
            except Exception as error:
                gradebook.db.rollback()
                notes.append(f"{student}: could not be exported: {type(error).__name__}: {error}")
    return notes


def manual_points(
    course_folder: Path, problem_set: ProblemSet
) -> dict[tuple[str, str], tuple[float, str]]:
    """Return what people gave in the formgrader: points and comment, by student and task.

    A task that is graded by values is there only if a person overruled its points.
    """
    course = _course(Path(course_folder))
    found = {}
    if not _exists(course):
        return found
    with _opened(course) as gradebook:
        for submission in gradebook.assignment_submissions(problem_set.name):
            notebook = _notebook_of(submission, problem_set)
            comments = {comment.name: comment.manual_comment for comment in notebook.comments}
            student = submission.student.lms_user_id or student_of(submission.student.id)
            for grade in notebook.grades:
                if grade.manual_score is not None:
                    task = grade.name.removesuffix("-check")
                    found[student, task] = (grade.score, comments.get(task) or "")
    return found


def id_of(student: str) -> str:
    """Return a student's id in the grade book: a folder's name that needs no quotes anywhere.

    nbgrader looks for students with wildcards, keeps each in a folder and writes its table without
    quotes, so what is special there is written as in a web address: ``a,b`` is ``a%2Cb``.
    """
    plain = "".join(
        c if c.isalnum() or c == "_" or (c in "-.@" and at) else _coded(c)
        for at, c in enumerate(student)
    )
    if len(plain.encode()) > 120:
        plain = f"{plain[:20]}-{sha256(student.encode()).hexdigest()[:16]}"
    return plain


def _coded(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def student_of(id: str) -> str:
    """Return the student whose id in the grade book this is."""
    return unquote(id)


# --- nbgrader's course and database


def _course(folder: Path):
    """Return nbgrader's idea of a course folder, which its own configuration decides."""
    try:
        from nbgrader.coursedir import CourseDirectory
    except ImportError as error:
        raise RuntimeError("the grade book needs nbgrader; `make venv` installs it") from error
    from traitlets.config import Config, PyFileConfigLoader

    folder, config = folder.resolve(), Config()
    if (folder / CONFIG).exists():
        config = PyFileConfigLoader(CONFIG, path=str(folder)).load_config()
    return CourseDirectory(root=str(folder), config=config)


def _make_course(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / CONFIG).exists():
        shutil.copyfile(EXERCISES / CONFIG, folder / CONFIG)


def _exists(course) -> bool:
    """Say whether the grade book is there; looking for it must not make it."""
    path = course.db_url.removeprefix("sqlite:///")
    return path == course.db_url or Path(path).exists()


def _notebook_of(submission, problem_set: ProblemSet):
    return next(n for n in submission.notebooks if n.name == problem_set.name)


@contextlib.contextmanager
def _opened(course):
    from nbgrader.api import Gradebook

    with _tools_on_path(), Gradebook(course.db_url, course.course_id) as gradebook:
        yield gradebook


@contextlib.contextmanager
def _tools_on_path() -> Iterator[None]:
    """Let nbgrader find `alembic`, which it calls by name, beside the Python that runs this."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


def _save_cells(course, problem_set: ProblemSet) -> None:
    """Write the assignment with its cells and points, as ``nbgrader generate_assignment`` does."""
    from nbgrader.preprocessors import ComputeChecksums, SaveCells

    with _opened(course) as gradebook:
        gradebook.update_or_create_assignment(problem_set.name)
    about = {"assignment": problem_set.name, "notebook": problem_set.name, "student": "."}
    notebook = copy.deepcopy(problem_set.source)
    resources = {"nbgrader": {**about, "db_url": course.db_url}}
    notebook, resources = ComputeChecksums()(notebook, resources)
    try:
        with _tools_on_path():
            SaveCells()(notebook, resources)
    except RuntimeError as error:
        raise ValueError(
            f"the grade book has {problem_set.name} with other cells, and submissions of it: "
            "choose another course folder"
        ) from error


def _export_one(
    gradebook,
    course,
    problem_set,
    released,
    result,
    submission: Submission | None,
    submissions_folder: Path,
) -> list[str]:
    """Export one result; return what a person should know of it."""
    notes = []
    if submission is None:
        notes.append("what was graded is no longer there; its notebook is shown empty")
    elif sha256(submission.raw).hexdigest() != result["digest"]:
        notes.append("another file is there now than was graded; its notebook is shown empty")
        submission = None
    student, id = result["student"], id_of(result["student"])
    name = f"{problem_set.name}.ipynb"
    shown_at = Path(course.format_path(course.autograded_directory, id, problem_set.name), name)
    shown = nbformat.writes(_feedback_notebook(released, result, submission, notes)) + "\n"
    new = not shown_at.exists() or shown_at.read_text(encoding="utf-8") != shown

    known = {"lms_user_id": student} if student_of(id) != student else {}
    gradebook.update_or_create_student(id, **known)
    with gradebook.db.no_autoflush:  # or SQLAlchemy warns of how nbgrader builds a submission
        submitted = gradebook.update_or_create_submission(problem_set.name, id)
    notebook = _notebook_of(submitted, problem_set)
    if new:
        notebook.flagged = result["status"] != "graded"
    outcome = {
        **{f"{task['name']}-check": task for task in result["tasks"]},
        **{task["name"]: task for task in result["explanations"]},
    }
    for grade in notebook.grades:
        part = outcome.get(grade.name, {})
        grade.auto_score = _by_grader(part)
        if grade.manual_score is None:
            graded = part.get("status", "graded") == "graded"
            grade.needs_manual_grade = grade.auto_score is None or not graded
        elif new:  # what a person gave points for is no longer what is there
            grade.needs_manual_grade = True
    said = {task["name"]: task.get("comment", "") for task in result["explanations"]}
    said |= {task["name"]: _status_of(task) for task in result["tasks"]}
    for comment in notebook.comments:
        comment.auto_comment = said.get(comment.name) or _status_of(result) or None
    gradebook.db.commit()

    # The files come last: should this be ended here, the next run finds them old and starts over.
    if submission is not None and submission.raw:
        folder = Path(course.format_path(course.submitted_directory, id, problem_set.name))
        # Beside the others, a copy by another name would be one student more to the next run.
        if id == student or folder.parents[1].resolve() != submissions_folder.resolve():
            files.write(folder / name, submission.raw)
    files.write(shown_at, shown)
    return notes


def _by_grader(part: dict) -> float | None:
    """Return the points that the grader gave, also where a person has overruled them since."""
    if "checks" in part:
        return sum(check["points"] for check in part["checks"])
    return part.get("points")


def _status_of(part: dict) -> str:
    if part["status"] == "graded":
        return ""
    return f"{part['status'].capitalize()}. {part['note']}".strip()


# --- the notebook that the formgrader shows


def _feedback_notebook(released, result: dict, submission: Submission | None, notes: list[str]):
    """Return the student's notebook with our feedback below the self-checks.

    The teacher's cells are the teacher's, whatever became of them; no output is the student's.
    """
    teachers = {nbgrader(cell)["grade_id"]: cell for cell in released.cells}
    order = list(teachers)
    tasks = {task["name"]: task for task in result["tasks"]}
    stopped = {
        cell["cell"]: cell["error"] for task in result["tasks"] for cell in task.get("cells", [])
    }
    cells, place = [], {}
    handed_in = submission.cells if submission else []
    for number, given in enumerate(handed_in, start=1):
        name = nbgrader(given).get("grade_id")
        theirs = teachers.get(name)
        if theirs is None or name in place or theirs.cell_type != given["cell_type"]:
            cell = _plain_cell(given, number)
        else:
            cell = copy.deepcopy(theirs)
            if is_solution(cell) or is_explanation(cell):
                cell.source = _shown_source(given)
            place[name] = cell
        if number in stopped and cell.cell_type == "code":
            cell.outputs = [_says(f"When it was graded, this cell stopped: {stopped[number]}\n")]
        cells.append(cell)
    for position, name in enumerate(order):
        if name not in place:
            cell = place[name] = copy.deepcopy(teachers[name])
            if handed_in and (is_solution(cell) or is_explanation(cell)):
                sign = "# " if cell.cell_type == "code" else ""
                cell.source = f"{sign}There is no such cell in what was handed in."
            before = place.get(order[position - 1]) if position else None
            index = next((i for i, c in enumerate(cells, start=1) if c is before), 0)
            cells.insert(index, cell)
    for name, cell in place.items():
        if is_given(cell):
            cell.source = with_seed(cell.source, result["seed"])
        elif is_check(cell):
            cell.outputs = [_says(text) for text in _feedback(tasks.get(name[: -len("-check")]))]
    if notes := [text for text in (_status_of(result), *notes) if text]:
        cells.insert(0, new_markdown_cell(_as_text("\n\n".join(notes)), id="status"))
    notebook = copy.deepcopy(released)
    notebook.cells = cells
    nbformat.validate(notebook)
    return notebook


def _feedback(task: dict | None) -> Iterator[str]:
    if task is None:
        yield "This task was not graded.\n"
        return
    lines = [f"{_by_grader(task):g} of {task['max_points']:g} points"]
    if task["status"] != "graded":
        lines.append(_status_of(task))
    for check in task["checks"]:
        word = "passed" if check["passed"] else "FAILED"
        lines.append(f"{word} ({check['points']:g} of {check['max_points']:g}): {check['says']}")
        if not check["passed"] and check["error"]:
            lines.append(f"       your code: {check['error']}")
    yield "\n".join(lines) + "\n"


def _says(text: str):
    return new_output("stream", name="stdout", text=text)


def _plain_cell(cell: dict, number: int):
    """Return a cell of the student's own, which nbgrader is to take for no cell of its own."""
    id, source = f"handed-in-{number}", _shown_source(cell)
    if cell["cell_type"] == "code":
        return new_code_cell(source, id=id)
    if cell["cell_type"] == "markdown":
        return new_markdown_cell(source, id=id)
    # A raw cell would be put into the page as it is.
    lines = "\n".join(f"    {line}" for line in cell["source"][:MAX_CHARACTERS].splitlines())
    return new_markdown_cell(
        f"A cell of type {_as_text(cell['cell_type'][:20])}:\n\n{lines}", id=id
    )


def _shown_source(cell: dict) -> str:
    source = cell["source"]
    if len(source) > MAX_CHARACTERS:
        source = source[:MAX_CHARACTERS] + "\n\n… (cut here; the rest is in what was handed in)"
    return source if cell["cell_type"] == "code" else _as_text(source)


def _as_text(markdown: str) -> str:
    """Return a student's markdown so that no page runs, loads or misses anything through it.

    It keeps its looks: a character of no width takes the meaning from HTML, from pictures (nbgrader
    fails on one that is missing) and from links, which can be scripts.
    """
    markdown = re.sub(r"<(?=[a-zA-Z/!?])", "<\u200b", markdown)
    markdown = re.sub(r"!(?=\[)", "!\u200b", markdown)
    return re.sub(r"\](?=\s*[(:\[])", "]\u200b", markdown)

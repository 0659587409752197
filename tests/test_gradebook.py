"""Results in nbgrader's grade book, read with nbgrader's own commands."""

import copy
import csv
import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import small_set
from bs4 import BeautifulSoup

from grading import gradebook
from grading.batch import grade, with_points
from grading.release import release

pytest.importorskip("nbgrader", reason="nbgrader is not installed: `make venv` installs it")
pytestmark = pytest.mark.filterwarnings("default")  # nbgrader's and SQLAlchemy's own

DOUBLE = "def double(x):\n    return 2 * x"
SCRIPT = (
    "<script>alert(1)</script> $a<b$ <img src=x onerror=alert(2)> ![](attachment:gone.png) "
    "[x](javascript:alert(3))"
)


@pytest.fixture(scope="module")
def problem_set(tmp_path_factory):
    return small_set.write(tmp_path_factory.mktemp("exercises"))


def handed_in(problem_set):
    """Return what a class hands in, by student."""
    empty = release(problem_set)

    def answered(**answers):
        return small_set.answered(empty, **answers)

    twice = answered(double=DOUBLE, total="total = 7")
    twice.cells.insert(4, copy.deepcopy(twice.cells[3]))
    twice.cells[4].id = "copied"
    gone = answered(double=DOUBLE)
    gone.cells = [c for c in gone.cells if c.id not in {"double-check", "total", "why"}]
    bare = answered(double=DOUBLE, total="total = 7")
    for each in bare.cells:
        each.metadata.clear()
    odd = answered(double=DOUBLE, total="total = 7", why=SCRIPT)
    odd.cells.insert(0, nbformat.v4.new_raw_cell(SCRIPT, id="raw"))
    odd.cells[5].outputs = [
        nbformat.v4.new_output("display_data", {"text/html": "<script>alert(4)</script>"})
    ]
    return {
        "ana": answered(double=DOUBLE, total="total = 7", why="It is linear."),
        "ben": answered(double="def double(x):\n    return x * x + nothing"),
        "copied": twice,
        "gone": gone,
        "bare": bare,
        "o'Dd, =1+1 <b>": odd,
        "Zoë": answered(double="import os\nos._exit(0)", total="total = 7"),
        "empty": empty,
        "broken": b'{"cells": [',
        "not one": None,
    }


@pytest.fixture(scope="module")
def graded(problem_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    for student, notebook in handed_in(problem_set).items():
        (folder / "submissions" / student).mkdir(parents=True)
        path = folder / "submissions" / student / "work.ipynb"
        if isinstance(notebook, bytes):
            path.write_bytes(notebook)
        elif notebook:
            nbformat.write(notebook, path)
    results = grade(problem_set, folder / "submissions", folder / "graded", isolation=False)
    return folder, {result["student"]: result for result in results}


@pytest.fixture(scope="module")
def course(problem_set, graded, tmp_path_factory):
    course = tmp_path_factory.mktemp("course")
    notes = export(problem_set, graded, course)
    assert not notes
    return course


def export(problem_set, graded, course):
    folder, results = graded
    return gradebook.export(problem_set, list(results.values()), course, folder / "submissions")


def nbgrader(course, *command):
    home = course.parent / "home"
    home.mkdir(exist_ok=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "nbgrader", *command],
        cwd=course,
        env={**os.environ, "PATH": path, "HOME": str(home), "JUPYTER_CONFIG_DIR": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout + run.stderr


def state(course):
    """Return all that a course holds: the database's lines and the files with their times."""
    with sqlite3.connect(course / "gradebook.db") as database:
        lines = sorted(database.iterdump())
    files = {
        str(path.relative_to(course)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in course.rglob("*.*")
        if path.is_file() and path.name != "gradebook.db"
    }
    return lines, files


def opened(course):
    return gradebook._opened(gradebook._course(course))


def grades(course, student):
    """Return the grades of a student by the name of the cell, detached from the database."""
    with opened(course) as book:
        submission = book.find_submission(small_set.NAME, gradebook.id_of(student))
        return {g.name: g.to_dict() for g in submission.notebooks[0].grades}


def test_nbgrader_lists_every_student(course, graded):
    said = nbgrader(course, "db", "student", "list")
    for student in graded[1]:
        assert f"{gradebook.id_of(student)} " in said
    assert said.count("(None, None)") == len(graded[1])


def test_nbgrader_exports_our_scores(course, graded):
    nbgrader(course, "export", "--to", "table.csv")
    with open(course / "table.csv", newline="", encoding="utf-8") as file:
        rows = {gradebook.student_of(row["student_id"]): row for row in csv.DictReader(file)}
    assert rows.keys() == graded[1].keys()
    for student, result in graded[1].items():
        assert float(rows[student]["score"]) == (result["score"] or 0), student
        assert float(rows[student]["max_score"]) == result["max_score"] == 6
    scores = {student: result["score"] for student, result in graded[1].items()}
    assert scores["ana"] == 4
    assert scores["ben"] == scores["empty"] == 0
    assert scores["broken"] is scores["not one"] is None


def test_what_nobody_decided_waits_for_a_person(course, graded):
    for student in ("broken", "not one"):
        for each in grades(course, student).values():
            assert each["auto_score"] is None
            assert each["needs_manual_grade"]
    ana = grades(course, "ana")
    assert [name for name, each in ana.items() if each["needs_manual_grade"]] == ["why"]
    assert not any(g["needs_manual_grade"] for g in grades(course, "empty").values())
    crashed = grades(course, "Zoë")
    assert crashed["double-check"]["needs_manual_grade"]
    with opened(course) as book:
        for student, result in graded[1].items():
            submission = book.find_submission(small_set.NAME, gradebook.id_of(student))
            assert submission.notebooks[0].flagged == (result["status"] != "graded"), student
            comments = {c.name: c.comment for c in submission.notebooks[0].comments}
            if result["status"] == "unreadable":
                assert result["note"] in comments["double"]


def test_nbgrader_makes_its_feedback(course, graded):
    # Without the setting of our nbgrader_config.py, which an older course has not.
    trusting = "--HTMLExporter.sanitize_html=False"
    nbgrader(course, "generate_feedback", small_set.NAME, trusting)
    for student in graded[1]:
        path = course / "feedback" / gradebook.id_of(student) / small_set.NAME
        html = (path / f"{small_set.NAME}.html").read_text(encoding="utf-8")
        page = BeautifulSoup(html, "html.parser")
        assert not [s for s in page.find_all("script") if "alert" in s.get_text()]
        assert not page.find_all(src="x")
        assert not page.find_all(href=re.compile("script:"))
    html = (course / "feedback" / "ben" / small_set.NAME / f"{small_set.NAME}.html").read_text()
    assert "FAILED (0 of 2): Every entry is twice as large." in html
    assert "nothing" in html


def test_the_notebooks_shown_hold_no_output_and_no_mark_of_a_student(course, problem_set):
    marks = {c.metadata.nbgrader.grade_id for c in release(problem_set).cells}
    for path in course.glob("autograded/*/*/*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        marked = [c.metadata.nbgrader.grade_id for c in notebook.cells if "nbgrader" in c.metadata]
        assert sorted(marked) == sorted(marks), path
        for each in notebook.cells:
            assert each.cell_type != "raw"
            for output in each.get("outputs", []):
                assert output.output_type == "stream"


def test_what_was_handed_in_is_kept_as_it_came(course, graded):
    submitted = course / "submitted"
    for student, result in graded[1].items():
        path = submitted / gradebook.id_of(student) / small_set.NAME / f"{small_set.NAME}.ipynb"
        assert path.exists() == bool(result["file"])
        if result["file"]:
            assert hashlib.sha256(path.read_bytes()).hexdigest() == result["digest"]


def test_what_nbgrader_collected_is_no_student_more_when_graded_again(problem_set, tmp_path):
    """A name that nbgrader cannot have leaves no copy beside it under another one."""
    submitted = tmp_path / "course" / "submitted"
    for student in ("ana", "Zoë M"):
        path = submitted / student / small_set.NAME / f"{small_set.NAME}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(release(problem_set), path)
    for _ in range(2):
        results = grade(
            problem_set,
            submitted,
            tmp_path / "graded",
            isolation=False,
            course=tmp_path / "course",
        )
        assert [result["student"] for result in results] == ["Zoë M", "ana"]
    assert sorted(path.name for path in submitted.iterdir()) == ["Zoë M", "ana"]


def test_a_second_export_changes_nothing(course, graded, problem_set):
    before = state(course)
    assert export(problem_set, graded, course) == []
    assert state(course) == before


@pytest.fixture
def own_course(course, tmp_path):
    """Copy the course, so that a test may change it."""
    return Path(shutil.copytree(course, tmp_path / "course"))


def by_hand(course, student, cell, points, comment=None):
    """Do what the formgrader does when a person gives points."""
    with opened(course) as book:
        name = (small_set.NAME, small_set.NAME, gradebook.id_of(student))
        found = book.find_grade(cell, *name)
        found.manual_score, found.needs_manual_grade = points, False
        if comment:
            book.find_comment(cell.removesuffix("-check"), *name).manual_comment = comment
        book.db.commit()


def test_points_given_by_hand_stay_and_come_back(own_course, graded, problem_set):
    assert gradebook.manual_points(own_course, problem_set) == {}
    by_hand(own_course, "ana", "why", 1.5, "Half of it.")
    by_hand(own_course, "o'Dd, =1+1 <b>", "double-check", 0)
    by_hand(own_course, "broken", "why", 2)
    before = state(own_course)
    assert export(problem_set, graded, own_course) == []
    assert state(own_course) == before
    assert gradebook.manual_points(own_course, problem_set) == {
        ("ana", "why"): (1.5, "Half of it."),
        ("o'Dd, =1+1 <b>", "double"): (0, ""),
        ("broken", "why"): (2, ""),
    }
    nbgrader(own_course, "export", "--to", "table.csv")
    assert "ana,,,,5.5,0.0,5.5,6.0" in (own_course / "table.csv").read_text(encoding="utf-8")


def test_points_that_overrule_the_grader_leave_its_own_in_the_book(own_course, graded, problem_set):
    folder, results = graded
    by_hand(own_course, "ana", "double-check", 1, "Not so fast.")
    before = state(own_course)
    merged = with_points(
        copy.deepcopy(list(results.values())), gradebook.manual_points(own_course, problem_set)
    )
    (ana,) = (result for result in merged if result["student"] == "ana")
    assert (ana["tasks"][0]["points"], ana["score"]) == (1, 2)
    assert gradebook.export(problem_set, merged, own_course, folder / "submissions") == []
    assert state(own_course) == before
    double = grades(own_course, "ana")["double-check"]
    assert (double["auto_score"], double["manual_score"]) == (3, 1)
    assert not double["needs_manual_grade"]


def test_points_for_what_has_changed_are_kept_and_asked_for_again(own_course, graded, problem_set):
    by_hand(own_course, "ana", "why", 2)
    path = next((own_course / "autograded" / "ana").rglob("*.ipynb"))
    path.write_text(path.read_text(encoding="utf-8").replace("It is linear.", "As before."))
    export(problem_set, graded, own_course)
    why = grades(own_course, "ana")["why"]
    assert (why["manual_score"], why["needs_manual_grade"]) == (2, True)


def test_one_that_cannot_be_exported_stops_no_other(own_course, graded, problem_set):
    shutil.rmtree(own_course / "autograded")
    (own_course / "autograded").mkdir()
    (own_course / "autograded" / "ana").write_text("in the way")
    (note,) = export(problem_set, graded, own_course)
    assert note.startswith("ana: could not be exported: ")
    assert len(list(own_course.glob("autograded/*/*/*.ipynb"))) == len(graded[1]) - 1


def test_a_file_that_is_not_the_graded_one_is_not_shown(own_course, graded, problem_set, tmp_path):
    submissions = tmp_path / "submissions"
    (submissions / "ana").mkdir(parents=True)
    (submissions / "ana" / "work.ipynb").write_bytes(b"{}")
    notes = gradebook.export(problem_set, list(graded[1].values()), own_course, submissions)
    assert "ana: another file is there now than was graded; its notebook is shown empty" in notes
    assert "ben: what was graded is no longer there; its notebook is shown empty" in notes
    assert grades(own_course, "ana")["double-check"]["auto_score"] == 3


def test_another_version_of_the_set_is_refused(own_course, graded, tmp_path_factory):
    notebook = small_set.source()
    notebook.cells.insert(1, small_set.cell("text", "new", "A new cell."))
    changed = small_set.write(tmp_path_factory.mktemp("exercises"), notebook)
    with pytest.raises(ValueError, match="choose another course folder"):
        export(changed, graded, own_course)


@pytest.mark.parametrize(
    "student",
    [
        "ana",
        "../x",
        "a,b",
        "=1+1",
        "-x",
        ".x",
        "Zoë",
        "*",
        "a b",
        "%41",
        "CON",
        "x\n",
        "@",
        "é" * 90,
    ],
)
def test_an_id_is_a_plain_name_that_leads_back(student):
    id = gradebook.id_of(student)
    assert id == gradebook.id_of(student)
    assert not set(id) & set("/\\*?[],\"' \n=")
    assert id[0] not in "-.+@="
    assert len(id.encode()) <= 120
    if len(student) < 60:
        assert gradebook.student_of(id) == student


def test_one_command_grades_and_fills_the_grade_book(problem_set, graded, tmp_path):
    """What a person gave in the formgrader comes back into our own results and pages."""
    folder, course, out = graded[0] / "submissions", tmp_path / "course", tmp_path / "out"
    grade(problem_set, folder, out, isolation=False, course=course)
    by_hand(course, "ana", "why", 2)
    results = grade(problem_set, folder, out, isolation=False, course=course)
    (ana,) = (result for result in results if result["student"] == "ana")
    assert ana["score"] == graded[1]["ana"]["score"] + 2
    assert [part["points"] for part in ana["explanations"]] == [2]
    assert grades(course, "ana")["why"]["manual_score"] == 2
    assert f"ana,{problem_set.name},graded,{ana['score']:g}" in (out / "grades.csv").read_text()

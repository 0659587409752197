"""Grading a class: every submission is found, graded once, and gets exactly one result."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mini_set
import numpy as np
import pytest

from grading import Check, batch, close, runner, secret
from grading.__main__ import main
from grading.attempt import Got, failure, listen
from grading.batch import grade
from grading.problemset import ProblemSet
from grading.sandbox import NoIsolationError, Sandbox
from grading.selftest import cases

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def isolation():
    try:
        Sandbox()
    except NoIsolationError as error:
        pytest.skip(f"no isolation here: {error}")


@pytest.fixture
def mini(tmp_path):
    return mini_set.make(tmp_path / "exercises")


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def hand_in(inbox, problem_set, student, **answers):
    path = inbox / f"{student}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(mini_set.notebook(problem_set, **answers), encoding="utf-8")


def graded(problem_set, inbox, **options):
    results = grade(problem_set, inbox, inbox.parent / "out", **options)
    return {result["student"]: result for result in results}


# --- what a submission gets


@pytest.mark.parametrize(
    ("answers", "status", "score"),
    [
        ({}, "graded", 5),
        ({"double": "raise NotImplementedError()"}, "graded", 2),
        ({"double": "def double(x):\n    return 2 * x.ravel()"}, "graded", 4),
        ({"double": "def double(x):\n    return x / 0"}, "graded", 2),
        ({"double": "def double(x):\n    return 'two'"}, "graded", 2),
        ({"double": "def double(x):\n    2 * x"}, "graded", 2),
        ({"double": "def double(x):\n    return 2 * x[:1]"}, "graded", 2),
        ({"double": "def double(x):\n    return [2 * float(v) for v in x]"}, "graded", 4),
        ({"double": "while True: pass"}, "timed out", 2),
        ({"double": "def double(x):\n    while True: pass"}, "timed out", 2),
        ({"double": "import os; os._exit(0)"}, "crashed", 2),
        ({"double": "def double(x):\n    import os; os._exit(0)"}, "crashed", 2),
        ({"added": ["while True: pass"]}, "graded", 5),
        ({"added": ["raise ValueError('no matter')", "1 +"]}, "graded", 5),
        ({"added": ["import os; os._exit(0)"]}, "graded", 5),
        ({"mean": "import os; os._exit(0)"}, "crashed", 3),
        ({"mean": f"mean = {0.5}"}, "graded", 3),
        ({"added": ["def double(x):\n    return 0 * x"]}, "graded", 2),
    ],
)
def test_points_and_status(mini, inbox, answers, status, score):
    hand_in(inbox, mini, "ana", **answers)
    result = graded(mini, inbox)["ana"]
    assert (result["status"], result["score"], result["max_score"]) == (status, score, 7)
    assert [part["points"] for part in result["explanations"]] == [None]
    assert (result["note"] != "") == (status != "graded")


def test_a_hard_loop_elsewhere_costs_no_points(mini, inbox):
    """It cannot be stopped within Python, so the run is ended, and the next leaves it out."""
    stubborn = "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: pass"
    hand_in(inbox, mini, "ana", added=[stubborn])
    result = graded(mini, inbox)["ana"]
    assert (result["status"], result["score"]) == ("graded", 5)
    assert "left out" in result["tasks"][1]["cells"][0]["error"]


def test_what_a_failed_part_said_is_told(mini, inbox):
    hand_in(inbox, mini, "ana", double="def double(x):\n    return y")
    checks = graded(mini, inbox)["ana"]["tasks"][0]["checks"]
    assert checks[0] == {
        "name": "value",
        "points": 0,
        "max_points": 2,
        "passed": False,
        "says": "It is twice the input.",
        "error": "NameError: name 'y' is not defined (cell 4, line 2)",
    }


def test_a_forgotten_return_is_told_as_one(mini, inbox):
    hand_in(inbox, mini, "ana", double="def double(x):\n    2 * x")
    (check, _) = graded(mini, inbox)["ana"]["tasks"][0]["checks"]
    assert "it is None: is a `return` or an assignment missing?" in check["error"]


def test_an_empty_explanation_needs_nobody(mini, inbox):
    hand_in(inbox, mini, "ana", why="YOUR ANSWER HERE")
    (explanation,) = graded(mini, inbox)["ana"]["explanations"]
    assert (explanation["points"], explanation["text"]) == (0, "YOUR ANSWER HERE")


# --- the cells


def changed(problem_set, change, **answers):
    notebook = json.loads(mini_set.notebook(problem_set, **answers))
    notebook["cells"] = change(notebook["cells"])
    return json.dumps(notebook)


def without_metadata(cells):
    return [{**cell, "metadata": {}} for cell in cells]


def doubled(cells):
    return [*cells, {**cells[3], "id": "twice", "source": "def double(x):\n    return 3 * x"}]


def without_answer(cells):
    return [cell for cell in cells if cell["id"] != "mean"]


def easy_data(cells):
    cells[1]["source"] = "import numpy as np\nSEED = 0\ndata = np.zeros(9)"
    cells[6]["source"] = "mean = 0.0"
    return cells


@pytest.mark.parametrize(
    ("change", "status", "score", "note"),
    [
        (without_metadata, "needs review", 5, "its cells have lost the marks"),
        (doubled, "needs review", 2, "“double” is there 2 times"),
        (without_answer, "needs review", 3, "“mean” is missing"),
        (easy_data, "needs review", 3, "“setup” is the teacher's"),
    ],
)
def test_cells_that_are_gone_or_double_are_for_a_person(mini, inbox, change, status, score, note):
    (inbox / "ana.ipynb").write_text(changed(mini, change), encoding="utf-8")
    result = graded(mini, inbox)["ana"]
    assert (result["status"], result["score"]) == (status, score)
    assert note in result["note"]


# --- the folder


def test_every_layout_is_found(mini, inbox):
    for place in (
        *("flat", "folder/any name", f"nbgrader/{mini.name}/{mini.name}"),
        *("Ana Ünal_123_file_/ps0 (1)", f"two/{mini.name}", "two/notes"),
    ):
        hand_in(inbox, mini, place)
    (inbox / "nbgrader" / ".ipynb_checkpoints").mkdir()
    shutil.copy(inbox / "flat.ipynb", inbox / "nbgrader" / ".ipynb_checkpoints")
    (inbox / ".DS_Store").write_text("x")
    results = graded(mini, inbox)
    assert {name: result["score"] for name, result in results.items()} == dict.fromkeys(
        ["Ana Ünal_123_file_", "flat", "folder", "nbgrader", "two"], 5
    )


def test_what_cannot_be_read_has_a_row_without_points(mini, inbox, tmp_path):
    hand_in(inbox, mini, "good")
    hand_in(tmp_path, mini, "elsewhere")
    (inbox / "link.ipynb").symlink_to(tmp_path / "elsewhere.ipynb")
    (inbox / "empty.ipynb").touch()
    (inbox / "half.ipynb").write_text('{"cells": [', encoding="utf-8")
    (inbox / "deep.ipynb").write_text("[" * 200_000, encoding="utf-8")
    (inbox / "list.ipynb").write_text("[1]", encoding="utf-8")
    (inbox / "old.ipynb").write_text('{"worksheets": []}', encoding="utf-8")
    (inbox / "cell.ipynb").write_text('{"cells": [{"cell_type": "code", "source": 3}]}')
    (inbox / "binary.ipynb").write_bytes(os.urandom(999))
    (inbox / "work.zip").write_bytes(b"PK")
    (inbox / "nothing").mkdir()
    os.mkfifo(inbox / "pipe.ipynb")
    hand_in(inbox, mini, "several/one")
    hand_in(inbox, mini, "several/two")
    results = graded(mini, inbox)
    assert results.pop("good")["score"] == 5
    assert len(results) == 12
    for result in results.values():
        assert (result["status"], result["score"]) == ("unreadable", None), result
        assert result["note"]
    assert "there are 2 notebooks" in results["several"]["note"]


def test_a_student_who_hands_in_twice_gets_one_row(mini, inbox):
    hand_in(inbox, mini, "ana")
    hand_in(inbox, mini, "ana/again")
    (result,) = graded(mini, inbox).values()
    assert result["status"] == "needs review"
    assert "handed in as well" in result["note"]


def test_names_that_are_alike_keep_their_own_results(mini, inbox):
    hand_in(inbox, mini, "ana")
    hand_in(inbox, mini, "Ana", double="raise NotImplementedError()")
    for odd in ("a na", "a_na", "a?na", "con", "ä", "=1+1", "x" * 200):
        hand_in(inbox, mini, odd)
    assert {name: r["score"] for name, r in graded(mini, inbox).items()} == {
        **dict.fromkeys(("ana", "a na", "a_na", "a?na", "con", "ä", "=1+1", "x" * 200), 5),
        "Ana": 2,
    }
    stored = list((inbox.parent / "out" / "results").iterdir())
    assert len({path.name.lower() for path in stored}) == 9


def test_results_do_not_go_among_the_submissions(mini, inbox):
    with pytest.raises(ValueError, match="must not be inside"):
        grade(mini, inbox, inbox / "out")
    with pytest.raises(ValueError, match="is no folder"):
        grade(mini, inbox / "none", inbox.parent / "out")


# --- each once


def test_nothing_is_graded_twice(mini, inbox, monkeypatch):
    for student in ("ana", "ben"):
        hand_in(inbox, mini, student)
    first = graded(mini, inbox)
    seen = []
    monkeypatch.setattr(batch, "graded", lambda *a: seen.append(a[1].student) or {**first["ben"]})
    assert graded(mini, inbox) == first
    assert seen == []
    hand_in(inbox, mini, "ben", double="def double(x):\n    return x + x")
    graded(mini, inbox)
    assert seen == ["ben"]


@pytest.mark.parametrize("kind", ["checks", "calls"])
def test_a_changed_check_grades_all_anew(mini, inbox, kind):
    hand_in(inbox, mini, "ana")
    graded(mini, inbox)
    path = mini.exercises / kind / f"{mini.name}.py"
    path.write_text(path.read_text() + "\n# changed\n")
    counted = []
    graded(ProblemSet(mini.name, mini.exercises), inbox, progress=lambda *a: counted.append(a))
    assert len(counted) == 1


def test_a_damaged_result_is_graded_anew(mini, inbox):
    hand_in(inbox, mini, "ana")
    first = graded(mini, inbox)
    path = batch.result_path(inbox.parent / "out", "ana")
    path.write_text(path.read_text(encoding="utf-8")[:100], encoding="utf-8")
    assert graded(mini, inbox) == first


def test_our_own_failure_costs_nobody_points(mini, inbox, monkeypatch, capsys):
    hand_in(inbox, mini, "ana")
    hand_in(inbox, mini, "ben")
    right = batch.grade_submission

    def fails(problem_set, submission, *rest):
        if submission.student == "ana":
            raise ZeroDivisionError("ours")
        return right(problem_set, submission, *rest)

    monkeypatch.setattr(batch, "grade_submission", fails)
    results = graded(mini, inbox)
    assert (results["ana"]["status"], results["ana"]["score"]) == ("needs review", None)
    assert results["ben"]["score"] == 5
    assert "ZeroDivisionError" in capsys.readouterr().err
    monkeypatch.setattr(batch, "grade_submission", right)
    assert graded(mini, inbox)["ana"]["score"] == 5


def test_an_error_of_ours_waits_for_no_other_submission(mini, inbox, monkeypatch):
    """Such as a full disk: nothing more can be kept, so nothing more is begun."""
    begun = []

    def slowly(problem_set, submission, *rest):
        begun.append(submission.student)
        time.sleep(0.1)
        return {"student": submission.student, "status": "graded"}

    def full(path, text, durable=False):
        raise OSError(28, "No space left on device")

    for n in range(20):
        hand_in(inbox, mini, f"s{n:02}")
    monkeypatch.setattr(batch, "graded", slowly)
    monkeypatch.setattr(batch, "hold", lambda *a: None)
    monkeypatch.setattr(batch.files, "write", full)
    with pytest.raises(OSError, match="No space left") as raised:
        graded(mini, inbox)
    before = len(begun)
    time.sleep(0.5)
    assert len(begun) == before < 20
    assert raised.tb  # which keeps what was being done from being forgotten, as a traceback does


def test_ctrl_c_is_told_in_a_line(monkeypatch, tmp_path, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("grading.__main__.grade", interrupted)
    assert main(["grade", "ps1_backprop", str(tmp_path), "--out", str(tmp_path / "out")]) == 130
    assert "goes on from there" in capsys.readouterr().err


RUN = """
import sys
from pathlib import Path
from grading.batch import grade
from grading.problemset import ProblemSet
exercises, inbox, out = map(Path, sys.argv[1:])
grade(ProblemSet("ps0_mini", exercises), inbox, out, jobs=2,
      progress=lambda *a: print(a[0], a[2]["student"], flush=True))
"""


def started(mini, inbox):
    command = [sys.executable, "-c", RUN, mini.exercises, inbox, inbox.parent / "out"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_run_that_is_killed_goes_on_where_it_stood(mini, inbox):
    students = [f"s{n:02}" for n in range(24)]
    for student in students:
        hand_in(inbox, mini, student)
    once = []
    for kill_after in (3, 9):
        with started(mini, inbox) as run:
            for line in run.stdout:
                once.append(line.split()[1])
                if int(line.split()[0]) == kill_after:
                    run.send_signal(signal.SIGKILL)
                    break
    rest = []
    results = graded(mini, inbox, progress=lambda done, total, r: rest.append(r["student"]))
    assert set(results) == set(students)
    assert all(result["score"] == 5 for result in results.values())
    assert not set(once) & set(rest)
    assert len(rest) <= len(students) - len(once)


def test_two_runs_do_not_grade_into_one_folder(mini, inbox):
    hand_in(inbox, mini, "ana", added=["while True: pass"])
    with started(mini, inbox) as other:
        lock = inbox.parent / "out" / ".lock"
        while not lock.exists():
            time.sleep(0.01)
        time.sleep(0.2)
        with pytest.raises(RuntimeError, match="another run is grading"):
            graded(mini, inbox)
        assert other.stdout.readline() == "1 ana\n"
    assert graded(mini, inbox)["ana"]["score"] == 5


# --- each student's own


def test_each_student_has_a_seed_and_inputs_of_their_own(mini, inbox, tmp_path):
    secret.make(tmp_path / "secret")
    key = secret.read(tmp_path / "secret")
    seeds = {name: secret.seed_for(key, mini.name, name) for name in ("ana", "ben")}
    assert seeds["ana"] != seeds["ben"]
    hand_in(inbox, mini, "ana", seed=seeds["ana"])
    hand_in(inbox, mini, "ben", seed=seeds["ana"])
    hand_in(inbox, mini, "cyd", seed=0)
    results = graded(mini, inbox, secret=key)
    assert (results["ana"]["status"], results["ana"]["score"]) == ("graded", 5)
    for name in ("ben", "cyd"):
        assert results[name]["status"] == "needs review"
        assert "SEED" in results[name]["note"]
    drawn = [secret.hidden_inputs(key, mini.name, "double", name).normal() for name in seeds]
    assert drawn[0] != drawn[1]


def test_another_secret_does_not_overwrite_good_results(mini, inbox, tmp_path):
    key = b"k" * 32
    hand_in(inbox, mini, "ana", seed=secret.seed_for(key, mini.name, "ana"))
    first = graded(mini, inbox, secret=key)
    for other in (None, b"o" * 32):
        with pytest.raises(ValueError, match="is --secret right"):
            graded(mini, inbox, secret=other)
    assert graded(mini, inbox, secret=key) == first


def test_two_sets_do_not_share_a_folder(mini, inbox, tmp_path):
    hand_in(inbox, mini, "ana")
    graded(mini, inbox)
    with pytest.raises(ValueError, match="holds results of the set ps0_mini"):
        grade(ProblemSet("ps1_backprop"), inbox, inbox.parent / "out")


def test_the_notebook_of_another_set_is_known(mini, inbox, tmp_path):
    shutil.copytree(ROOT / "exercises", mini.exercises, dirs_exist_ok=True)
    other = ProblemSet("ps4_zero_grad", mini.exercises)
    shutil.copy(other.release_path, inbox / "ana.ipynb")
    result = graded(mini, inbox)["ana"]
    assert result["status"] == "needs review"
    assert result["note"].startswith("it is the notebook of ps4_zero_grad")


def test_an_explanation_that_lost_its_mark_can_be_read(mini, inbox):
    text = changed(mini, without_metadata, why="It is so, since I say so.")
    (inbox / "ana.ipynb").write_text(text, encoding="utf-8")
    (explanation,) = graded(mini, inbox)["ana"]["explanations"]
    assert (explanation["text"], explanation["missing"]) == ("It is so, since I say so.", True)


def test_a_secret_stays_out_of_the_repository(tmp_path):
    with pytest.raises(ValueError, match="out of the repository"):
        secret.make(ROOT / "exercises" / "secret")
    secret.make(tmp_path / "secret")
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0
    with pytest.raises(FileExistsError):
        secret.make(tmp_path / "secret")
    (tmp_path / "short").write_text("1234")
    with pytest.raises(ValueError, match="4 characters"):
        secret.read(tmp_path / "short")


# --- the graders' own test


def test_the_answers_that_a_set_ships_are_told_apart(mini):
    kinds = {(case.task, case.kind): case.fails for case in cases(mini)}
    assert kinds["double", "solution"] == kinds["double", "right"] == frozenset()
    assert kinds["double", "stub"] == {"value", "shape"}
    assert kinds["double", "wrong"] == {"shape"}


# --- what is heard


@pytest.mark.parametrize(
    "line",
    [
        b'{"start": null}\n' * 30_000,
        b'{"part": "x", "value": {"dtype": "<f8", "shape": [1000000000, 0], "data": ""}}\n',
    ],
    ids=["many lines", "an axis without end"],
)
def test_what_would_cost_this_side_long_is_not_taken(line):
    heard = listen(b'{"up": true}\n' + line)
    assert heard.forged
    assert not heard.values


@pytest.mark.parametrize("endless", [np.inf, np.nan])
def test_nothing_is_close_to_what_is_not_finite(endless):
    """Else one such entry would let every answer pass."""
    assert not close(np.array([1.0, 2.0]), np.array([endless, 2.0]))
    assert not close(np.array([endless, 2.0]), np.array([1.0, 2.0]))
    assert close(np.array([1.0, 2.0]), np.array([1.0, 2.0]))


def test_empty_arrays_come_through():
    empty = np.zeros((0, 784))
    assert runner.decode(runner.encode(empty)).shape == (0, 784)


def test_a_value_that_is_nested_deep_only_fails():
    deep, other = [], []
    for _ in range(100_000):
        deep, other = [deep], [other]
    check = Check("deep", 1, "It is a list.", lambda given, got: got["x"] == other)
    assert "another form" in failure(check, {}, Got({"x": deep}, {}, ""))


# --- the command


def test_without_isolation_it_refuses_unless_told(mini, inbox, tmp_path):
    """In a user namespace that allows no further ones, the system offers no isolation."""
    hand_in(inbox, mini, "ana")
    code = (
        "import sys; from pathlib import Path; from grading.__main__ import main; "
        "import grading.problemset as p; "
        f"p.ProblemSet.__init__.__defaults__ = (Path({str(mini.exercises)!r}),); "
        "sys.exit(main(sys.argv[1:]))"
    )
    closed = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    command = ["unshare", "-Ur", "sh", "-c", closed, "sh", sys.executable, "-c", code]
    command += ["grade", mini.name, str(inbox), "--out", str(tmp_path / "out")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "cannot be kept apart on this machine" in run.stderr
    assert "Containerfile" in run.stderr
    assert not list((tmp_path / "out").glob("results/*.json"))
    run = subprocess.run(
        [*command, "--no-isolation"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert json.loads((tmp_path / "out/results/ana.json").read_text())["score"] == 5


def test_mistakes_on_the_command_line_are_told(capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="there is no submission in"):
        main(["grade", "ps1_backprop", str(tmp_path / "empty"), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="there is no problem set 'ps9'"):
        main(["grade", "ps9", str(tmp_path)])

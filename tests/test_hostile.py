"""Hostile and broken submissions gain nothing, hang nothing, and touch no one else's grade.

All of `hostile.CORPUS` is graded in one run, by a process of its own, which is also the parent of
whatever is left behind.
"""

import contextlib
import csv
import html.parser
import json
import os
import secrets
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import hostile
import numpy as np
import pytest
from hostile import CORPUS, HONEST_STUDENTS, POINTS, SEEN, SET, At

from grading import batch
from grading.attempt import Got, failure
from grading.problemset import EXERCISES, ROOT, ProblemSet, names
from grading.sandbox import NoIsolationError, Sandbox

SECONDS = 240  # for all of them, on a busy machine; alone it is a quarter of that
ALL = POINTS["slope"] + POINTS["centre"]

GRADER = """
import ctypes, json, os, sys, time
from pathlib import Path

ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans become ours
from grading.batch import grade
from grading.problemset import ProblemSet
from grading.sandbox import NoIsolationError

job = json.loads(sys.argv[1])
problem_set = ProblemSet(job["set"], exercises=Path(job["exercises"]))
began = time.monotonic()
try:
    rows = grade(problem_set, Path(job["submissions"]), Path(job["out"]), jobs=job["jobs"])
except NoIsolationError as error:
    sys.exit(f"NoIsolationError: {error}")
took = time.monotonic() - began
time.sleep(0.3)
while True:
    try:
        if os.waitpid(-1, os.WNOHANG)[0] == 0:
            break
    except ChildProcessError:
        break
children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
left = [Path(f"/proc/{pid}/cmdline").read_text().replace("\\0", " ")[:200] for pid in children]
print(json.dumps({"rows": rows, "took": took, "left": left}))
"""


class Run:
    """What came of grading the whole corpus."""

    def __init__(self, at, said, heard):
        self.at = at
        self.out = Path(at.out)
        self.rows = said["rows"]
        self.took = said["took"]
        self.left = said["left"]
        self.heard = heard

    def of(self, name, token=""):
        """Return the one row of a student, or of the one whose name holds a token."""
        rows = [
            row
            for row in self.rows
            if row["student"] == name or (token and token in row["student"])
        ]
        assert len(rows) == 1, f"{name} has {len(rows)} rows"
        return rows[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    canary = f"Q{secrets.token_hex(12)}"
    hostile.write_set(folder / "exercises", canary)
    with contextlib.ExitStack() as stack:
        heard = []
        port, path, abstract = _listeners(stack, folder, heard)
        victim = stack.enter_context(_victim())
        at = At(
            repo=str(ROOT),
            exercises=str(folder / "exercises"),
            submissions=str(folder / "submissions"),
            out=str(folder / "out"),
            home=str(Path.home()),
            packages=sysconfig.get_path("purelib"),
            socket=path,
            abstract=abstract,
            port=port,
            test=os.getpid(),
            victim=victim.pid,
            namespaces=[os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "mnt")],
            marker=f"marker-{secrets.token_hex(8)}",
            canary=canary[::-1],
        )
        hostile.write_all(at)
        said = _grade(at, canary)
        assert victim.poll() is None, "a process of the test was killed"
        state = Path(f"/proc/{victim.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        assert state == "S", f"a process of the test was stopped or traced: {state}"
        yield Run(at, said, heard)
        _remove_markers(at)


def _grade(at, canary, jobs=2):
    job = {"set": SET, "jobs": jobs}
    job |= {name: getattr(at, name) for name in ("exercises", "submissions", "out")}
    with subprocess.Popen(
        [sys.executable, "-c", GRADER, json.dumps(job)],
        cwd=ROOT,
        env={**os.environ, "GRADING_TEST": canary},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as grader:
        try:
            out, errors = grader.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            grader.kill()
            pytest.fail(f"grading had not ended after {SECONDS} s")
    if "NoIsolationError" in errors:
        pytest.skip(f"students' code cannot be kept apart on this machine: {errors.strip()}")
    assert grader.returncode == 0, errors[-3000:]
    return json.loads(out)


@contextlib.contextmanager
def _victim():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        time.sleep(0.5)
        try:
            yield process
        finally:
            process.kill()


def _listeners(stack, folder, heard):
    """Listen wherever a student's code could knock; note whatever comes."""
    tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    port = tcp.getsockname()[1]
    abstract = f"grading-{secrets.token_hex(8)}"
    here = os.getcwd()
    short = Path("/tmp", f"grading-{secrets.token_hex(4)}.socket")  # a socket's path must be short
    stack.callback(short.unlink, missing_ok=True)
    assert os.getcwd() == here
    servers = [tcp]
    for family, address in (
        (socket.AF_UNIX, str(short)),
        (socket.AF_UNIX, f"\0{abstract}"),
        (socket.AF_INET6, ("::1", port)),
        (getattr(socket, "AF_VSOCK", None), (1, port)),
    ):
        try:
            server = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            server.bind(address)
            server.listen()
            servers.append(server)
        except (OSError, TypeError, ValueError):
            continue  # this machine has none of these
    for server in servers:
        threading.Thread(target=_note, args=(server, heard), daemon=True).start()
    udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    udp.bind(("127.0.0.1", port))
    threading.Thread(target=lambda: heard.append(str(udp.recvfrom(100))), daemon=True).start()
    return port, str(short), abstract


def _note(server, heard):
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            heard.append(str(connection))
            connection.close()


def _markers(at):
    """Return every file that an attack has left outside."""
    found = []
    for folder in at.outside:
        with contextlib.suppress(OSError):
            found += [entry.path for entry in os.scandir(folder) if at.marker in entry.name]
    for folder in (at.exercises, at.out, at.submissions):
        for here, folders, files in os.walk(folder):
            found += [os.path.join(here, n) for n in (*folders, *files) if at.marker in n]
    return sorted(set(found))


def _remove_markers(at):
    for path in _markers(at):
        with contextlib.suppress(OSError):
            os.unlink(path)


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.id)
def test_hostile_submission_gets_what_it_merits(run, case):
    row = run.of(case.name, case.token)
    assert row["status"] in case.status, (case.tries, row["note"])
    score = row["score"] or 0
    assert score <= case.points, (case.tries, row)
    if case.exact or score == case.points:
        assert score == case.points, (case.tries, row)
    else:
        assert row["status"] != "graded", f"points were lost in silence: {row}"
    assert row["max_score"] == ALL + 2
    assert "grader failed" not in row["note"], row["note"]


@pytest.mark.parametrize("name", HONEST_STUDENTS)
def test_neighbour_has_full_marks(run, name):
    row = run.of(name)
    assert (row["status"], row["score"], row["note"]) == ("graded", ALL, "")


def test_every_submission_has_one_row(run):
    handed_in = {os.fsencode(entry.name) for entry in os.scandir(run.at.submissions)}
    assert len(run.rows) == len(handed_in) == len(CORPUS) + len(HONEST_STUDENTS)
    students = {row["student"] for row in run.rows}
    assert len(students) == len(run.rows)
    stored = [json.loads(path.read_bytes()) for path in run.out.glob("results/*.json")]
    assert sorted(result["student"] for result in stored) == sorted(students)


def test_nothing_was_seen(run):
    """`saw` raises an error with this text, which the results would hold."""
    found = [
        (path, text[max(0, at - 200) : at + 200])
        for path in run.out.rglob("*")
        if path.is_file()
        and (text := path.read_text("utf-8", "replace"))
        and (at := text.find(SEEN)) >= 0
    ]
    assert not found


def test_nothing_was_written_outside(run):
    assert not _markers(run.at)


def test_nobody_was_called(run):
    assert not run.heard


def test_nothing_is_left_running(run):
    assert not run.left
    assert not _running(run.at.marker)


def test_no_shared_memory_is_left(run):
    segments = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    assert not [line for line in segments if 0x5EED0000 <= int(line.split()[0]) < 0x5EEE0000]


def _text(path):
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def test_results_stay_small(run):
    large = {
        str(path): path.stat().st_size
        for path in [*run.out.glob("results/*"), *run.out.glob("feedback/*")]
        if path.stat().st_size > 300_000
    }
    assert not large


class Markup(html.parser.HTMLParser):
    """Collect what a page would run."""

    def __init__(self):
        super().__init__()
        self.live = []

    def handle_starttag(self, tag, attributes):
        if tag in ("script", "iframe", "object", "embed", "base", "form"):
            self.live.append(tag)
        for name, value in attributes:
            if name.startswith("on") or "javascript:" in (value or ""):
                self.live.append(f"{tag} {name}={value}")


def test_pages_run_nothing_of_a_students(run):
    for path in run.out.rglob("*.html"):
        page = Markup()
        page.feed(path.read_text(encoding="utf-8"))
        assert not page.live, path
        assert "1337" not in path.read_text(encoding="utf-8"), f"{path} has filled in a template"


def test_table_has_one_row_each_and_no_formula(run):
    path = run.out / "grades.csv"
    with open(path, encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    assert len(rows) == len(run.rows)
    assert all(len(row) == len(header) for row in rows)
    for cell in (cell for row in rows for cell in row):
        assert not cell.startswith(("=", "+", "@", "\t", "\r")), cell
        assert not cell.startswith("-") or cell[1:].replace(".", "").isdigit(), cell


# ---- a real problem set --------------------------------------------------------------------------

THEFT = """
import glob, json
for root in ("", "/..", "../../../../../..", "/proc/1/root", "/proc/self/root"):
    for path in glob.glob(root + {exercises!r} + "/source/{name}/*.ipynb"):
        for cell in json.load(open(path))["cells"]:
            if cell["cell_type"] == "code":
                try:
                    exec("".join(cell["source"]), globals())
                except Exception:
                    pass
"""
EQUAL = """
class Equal:
    def yes(self, *args, **kwargs): return True
    __eq__ = __le__ = __ge__ = __bool__ = __contains__ = __lt__ = __gt__ = yes
    def same(self, *args, **kwargs): return self
    __sub__ = __rsub__ = __abs__ = __call__ = __getitem__ = __getattr__ = same
    __array__ = lambda self, *args, **kwargs: np.full((), np.nan)

for name, thing in list(globals().items()):
    if callable(thing) and getattr(thing, "__module__", "") == "__main__":
        globals()[name] = lambda *args, **kwargs: Equal()
"""


def handed_in(folder, problem_set, **added):
    """Write the solved notebook, and for each attack the release with a cell at its end."""
    source = json.loads(json.dumps(problem_set.source))
    folder.mkdir()
    (folder / "solved.ipynb").write_text(json.dumps(source), encoding="utf-8")
    for student, code in added.items():
        notebook = hostile.release_like(source)
        cell = {"cell_type": "code", "source": code, "metadata": {}, "outputs": []}
        notebook["cells"].append({**cell, "id": "added", "execution_count": None})
        (folder / f"{student}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    return folder


@pytest.fixture
def walls():
    try:
        Sandbox()
    except NoIsolationError as error:
        pytest.skip(f"students' code cannot be kept apart on this machine: {error}")


@pytest.mark.usefixtures("walls")
@pytest.mark.parametrize("name", names()[:1])
def test_a_real_set_gives_nothing_away(tmp_path, name):
    problem_set = ProblemSet(name)
    theft = THEFT.format(exercises=str(EXERCISES), name=name)
    inbox = handed_in(tmp_path / "inbox", problem_set, theft=theft, equal=EQUAL, stub="0")
    rows = {row["student"]: row for row in batch.grade(problem_set, inbox, tmp_path / "out")}
    best = sum(task.points for task in problem_set.tasks.values())
    scores = {student: row["score"] for student, row in rows.items()}
    assert scores == {"solved": best, "theft": 0, "equal": 0, "stub": 0}


@pytest.mark.parametrize("name", names()[:1])
def test_the_theft_succeeds_where_nothing_is_kept_apart(tmp_path, name):
    """So it is the walls that keep it out."""
    problem_set = ProblemSet(name)
    theft = THEFT.format(exercises=str(EXERCISES), name=name)
    inbox = handed_in(tmp_path / "inbox", problem_set, theft=theft)
    rows = batch.grade(problem_set, inbox, tmp_path / "out", isolation=False)
    solved, stolen = (row["score"] for row in rows)
    assert solved == stolen > 0


# ---- what is not the students' fault -------------------------------------------------------------


@pytest.mark.usefixtures("walls")
def test_a_sandbox_that_does_not_start_costs_nobody_points(tmp_path, monkeypatch):
    """As when memory is short, or Python's packages are replaced meanwhile."""
    hostile.write_set(tmp_path / "exercises", "Q0")
    problem_set = ProblemSet(SET, exercises=tmp_path / "exercises")
    inbox = handed_in(tmp_path / "inbox", problem_set)
    right = Sandbox._command

    def fails(self, seconds, program):
        broken = [sys.executable, "-c", "import sys; sys.exit('no module named numpy')"]
        return right(self, seconds, program) if program else broken

    with monkeypatch.context() as patch:
        patch.setattr(Sandbox, "_command", fails)
        try:
            (row,) = batch.grade(problem_set, inbox, tmp_path / "out")
        except RuntimeError:  # to end the run and say why is right as well
            row = {"status": "needs review", "score": None}
    assert (row["status"], row["score"]) == ("needs review", None)
    (row,) = batch.grade(problem_set, inbox, tmp_path / "out")
    assert (row["status"], row["score"]) == ("graded", ALL)


@pytest.mark.usefixtures("walls")
def test_what_forgot_its_parent_ends_with_a_killed_grader(tmp_path):
    """The process that a student's code runs in may tell the kernel not to end it."""
    marker = f"forgot-{secrets.token_hex(6)}"
    code = (
        "import ctypes, os, time; ctypes.CDLL(None).prctl(1, 0, 0, 0, 0); "
        f"os.write(2, b'up'); time.sleep(60)  # {marker}"
    )
    grader = (
        "import sys; from grading.sandbox import Sandbox; "
        "Sandbox().run({}, 60, program=sys.argv[1])"
    )
    with subprocess.Popen([sys.executable, "-c", grader, code], cwd=ROOT) as process:
        deadline = time.monotonic() + 20
        while len(_running(marker)) < 4 and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1)  # until it has forgotten
        process.kill()
    deadline = time.monotonic() + 5
    while _running(marker) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = _running(marker)
    for pid in left:
        with contextlib.suppress(OSError):
            os.kill(pid, 9)
    assert not left


def _running(marker):
    """Return the processes whose command line holds the marker."""
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if marker in _text(path)
    ]


# ---- values that are no honest answer, held against every check of every problem set -------------

LONG, WIDE = np.ones((20_000, 1)), np.ones((1, 20_000))
ODD_VALUES = {
    "nan": np.nan,
    "inf": np.inf,
    "minus inf": -np.inf,
    "zero": 0.0,
    "integer zero": 0,
    "one": 1.0,
    "true": True,
    "false": False,
    "large": 1e308,
    "huge integer": 2**63 - 1,
    "complex": 1j,
    "complex nan": complex(np.nan, np.nan),
    "empty": np.zeros(0),
    "empty with sides": np.zeros((0, 3)),
    "nan array": np.full((4, 3), np.nan),
    "half": np.float16(1),
    "text": "x",
    "empty text": "",
    "text in shape": [["x", "y"]],
    "none": None,
    "list": [],
    "lists": [np.zeros(2), [np.ones(3), "x"]],
    "dict": {},
    "dict of dicts": {"a": {"b": 1.0}},
    "json": {"a": [None, True, {"b": []}]},
    "long": LONG,
    "wide": WIDE,
    "deep": np.zeros((1,) * 30),
}


class Everything(Got):
    """Hand out a value for every part that a check asks for, or several in turn."""

    def __init__(self, *values):
        super().__init__({}, {}, "")
        self.turns = values
        self.asked = {}

    def __missing__(self, part):
        return self.asked.setdefault(part, self.turns[len(self.asked) % len(self.turns)])

    def get(self, part, default=None):
        return self[part]

    def __contains__(self, part):
        return True


@pytest.mark.parametrize("name", names())
def test_odd_values_pass_no_check(name):
    problem_set = ProblemSet(name)
    passed = []
    for task in problem_set.tasks.values():
        given = {**task.inputs(np.random.default_rng(5)), "seed": 7}
        odd = {what: (value,) for what, value in ODD_VALUES.items()}
        odd |= {"long and wide": (LONG, WIDE), "wide and long": (WIDE, LONG)}
        for what, values in odd.items():
            passed += [
                f"{task.name}: {check.name} is passed by {what}"
                for check in task.checks
                if failure(check, given, Everything(*values)) is None
            ]
    assert not passed

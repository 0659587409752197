"""What students get, and that nothing else of a problem set gets out."""

import base64
import copy
import html
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
import zlib
from pathlib import Path

import nbformat
import pytest
import small_set
from sphinx.search.en import SearchEnglish

from grading import runner
from grading.attempt import attempt
from grading.markers import regions
from grading.private import leaks, private_lines, public_text, squeezed
from grading.problemset import EXERCISES, ROOT, ProblemSet, names
from grading.release import personal_releases, release, write_releases
from grading.roster import ReleaseError, read_roster
from grading.sandbox import Run, visible
from grading.secret import seed_for

pytest.importorskip("nbgrader", reason="nbgrader is not installed: `make venv` installs it")

SETS = names()
SITE = ROOT / "_build" / "html"
SECRET = b"0123456789" * 4


@pytest.fixture
def problem_set(tmp_path):
    return small_set.write(tmp_path / "exercises")


# --- what a release is


@pytest.mark.parametrize("name", SETS)
def test_the_stored_release_is_what_is_made_today(name):
    problem_set = ProblemSet(name)
    assert problem_set.release_path.read_text(encoding="utf-8") == (
        nbformat.writes(release(problem_set)) + "\n"
    ), "run `make release`"


def test_every_set_is_a_page_and_nothing_else_is_released():
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert re.findall(r"file: exercises/(\S+)", toc) == [f"release/{n}/{n}" for n in SETS]
    released = [p for p in (EXERCISES / "release").rglob("*") if p.is_file()]
    assert sorted(released) == sorted(ProblemSet(name).release_path for name in SETS)


def test_nbgrader_itself_makes_the_same(tmp_path):
    """All that is in `exercises/` works as a course of nbgrader's."""
    small_set.write(tmp_path)
    for kind in ("source", "checks", "calls", "answers"):
        shutil.copytree(EXERCISES / kind, tmp_path / kind, dirs_exist_ok=True)
    command = [sys.executable, "-W", "ignore", "-m", "nbgrader", "generate_assignment"]
    run = subprocess.run(
        [*command, "--assignment=*"],
        cwd=tmp_path,
        env={**_home(tmp_path), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    made = sorted((tmp_path / "release").glob("*/*.ipynb"))
    assert [path.stem for path in made] == sorted([*SETS, small_set.NAME])
    for path in made:
        theirs = nbformat.read(path, as_version=4)
        assert theirs == release(ProblemSet(path.stem, tmp_path))


def _home(folder):
    return {"HOME": str(folder / "home"), "JUPYTER_CONFIG_DIR": str(folder / "home")}


def test_a_release_is_what_is_left(problem_set):
    cells = {each.id: each for each in release(problem_set).cells}
    assert cells["double"].source == (
        "def double(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    )
    assert cells["why"].source.strip() == "YOUR ANSWER HERE"
    assert cells["double-check"].source == problem_set.source.cells[4].source
    assert not cells["setup"].metadata.editable
    assert not cells["double"].metadata.deletable


def test_nothing_of_a_run_is_left(problem_set):
    before = nbformat.writes(release(problem_set))
    for each in problem_set.source.cells:
        if each.cell_type == "code":
            each.outputs = [nbformat.v4.new_output("stream", text="twice")]
            each.execution_count = 3
    assert nbformat.writes(release(problem_set)) == before


def test_releases_are_written_when_they_differ(problem_set):
    assert write_releases(exercises=problem_set.exercises) == [problem_set.release_path]
    assert write_releases(exercises=problem_set.exercises) == []
    problem_set.release_path.write_text("{}")
    assert write_releases([small_set.NAME], problem_set.exercises) == [problem_set.release_path]
    assert [p.name for p in problem_set.release_path.parent.iterdir()] == ["ps0_small.ipynb"]


ALONE = """
import json, sys, warnings

class NothingElse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {"numpy", "gradnb"}:
            raise ImportError(f"{name} is not there")

warnings.simplefilter("error")
sys.meta_path.insert(0, NothingElse())
names, said = {"__name__": "__main__"}, []
for source in json.load(sys.stdin):
    try:
        exec(compile(source, "cell", "exec"), names)
        said.append("")
    except Exception as error:
        said.append(f"{type(error).__name__}: {error}")
print("\\n" + json.dumps(said))
"""


def run_alone(notebook):
    """Run the code of a notebook where there is nothing but gradnb and NumPy."""
    cells = [each for each in notebook.cells if each.cell_type == "code"]
    run = subprocess.run(
        [sys.executable, "-B", "-c", ALONE],
        input=json.dumps([each.source for each in cells]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(run.stdout.splitlines()[-1])
    return {each.metadata.nbgrader.grade_id: said[at] for at, each in enumerate(cells)}


@pytest.mark.parametrize("name", SETS)
def test_a_release_runs_with_gradnb_alone_and_answers_nothing(name):
    problem_set = ProblemSet(name)
    said = run_alone(nbformat.read(problem_set.release_path, as_version=4))
    for each in problem_set.source.cells:
        id = each.metadata.nbgrader.grade_id
        if id in problem_set.tasks:
            check = said[f"{id}-check"]
            assert said[id] in {"", "NotImplementedError: "}, id
            # Where the answer is a number, its cell has stopped and there may be no such name.
            stopped = ("NotImplementedError", *["NameError"] * bool(said[id]))
            assert check.startswith(stopped), (id, check)
        elif id in said and not id.endswith("-check"):
            assert said[id] == "", id


@pytest.mark.parametrize("name", SETS)
def test_the_solved_notebook_runs_with_gradnb_alone(name):
    assert not any(run_alone(ProblemSet(name).source).values())


# --- each student's own


def test_each_student_gets_an_own_seed(problem_set, tmp_path):
    roster = tmp_path / "roster.csv"
    roster.write_text("name,student_id\nAna,ana\nBen,ben\n", encoding="utf-8")
    paths = personal_releases(problem_set, roster, SECRET, tmp_path / "out")
    assert paths == [tmp_path / "out" / who / "ps0_small.ipynb" for who in ("ana", "ben")]
    common = nbformat.read(paths[0], as_version=4)
    for student, path in zip(("ana", "ben"), paths, strict=True):
        own = nbformat.read(path, as_version=4)
        seed = seed_for(SECRET, small_set.NAME, student)
        assert f"\nSEED = {seed}  # yours\n" in own.cells[1].source
        assert own.cells[0] == common.cells[0]
    # Checksums are nbgrader's means to notice a changed cell.
    assert own.cells[1].metadata.nbgrader.checksum != common.cells[1].metadata.nbgrader.checksum
    assert personal_releases(problem_set, roster, SECRET, tmp_path / "out") == paths


def test_no_other_file_is_replaced_and_none_is_written_then(problem_set, tmp_path):
    roster = tmp_path / "roster.csv"
    roster.write_text("ana\nben\n", encoding="utf-8")
    there = tmp_path / "out" / "ben" / "ps0_small.ipynb"
    there.parent.mkdir(parents=True)
    there.write_text("work of three days")
    with pytest.raises(ReleaseError, match=r"ben.ps0_small.ipynb is there already"):
        personal_releases(problem_set, roster, SECRET, tmp_path / "out")
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == [there]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("ana\nben\n", ["ana", "ben"]),
        ("\ufeffid;name\r\nana;A\r\n\r\nben;B\r\n", ["ana", "ben"]),
        ('name,ID\n"Lee, Ana",ana\n', ["ana"]),
        ("Student_ID\n ana \n", ["ana"]),
        ("12345\t1\n012345\t2\n", ["12345", "012345"]),
        ("Zoë,x\n", ["Zoë"]),
        ("a b.c@d.org", ["a b.c@d.org"]),
    ],
)
def test_a_roster_is_read(tmp_path, text, ids):
    path = tmp_path / "roster.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_roster(path) == ids


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no student is in it"),
        ("id,name\n", "no student is in it"),
        ("id,name\nana,A\n,B\n", "line 3: no id"),
        ("name,id\nAna\n", "line 2: no id"),
        ("ana\nben\nana\n", "'ana' stands there 2 times"),
        ("ana\nAna\n", "'ana' stands there 2 times"),
        ("Zoë\nZoe\u0308\n", "'zoë' stands there 2 times"),
        ("../ana\n", "cannot be the name of a folder"),
        ("a\\b\n", "cannot be the name of a folder"),
        ("..\n", "cannot be the name of a folder"),
        (".ana\n", "cannot be the name of a folder"),
        ("a\x07b\n", "holds a character that cannot be seen"),
        ("a" * 300, "too long"),
        ('"a\nb",x\n', "holds a character that cannot be seen"),
    ],
)
def test_a_roster_that_cannot_be_used_is_refused(problem_set, tmp_path, text, problem):
    path = tmp_path / "roster.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReleaseError, match=re.escape(problem)):
        personal_releases(problem_set, path, SECRET, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_roster_that_is_not_utf_8_is_refused(tmp_path):
    path = tmp_path / "roster.csv"
    path.write_bytes("Zoë".encode("latin-1"))
    with pytest.raises(ReleaseError, match="save it as “CSV UTF-8”"):
        read_roster(path)


# --- sources that are refused

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


def change(id, old, new):
    """Return what changes the source of a cell."""

    def spoil(notebook):
        (each,) = (c for c in notebook.cells if c.id == id)
        assert old in each.source
        each.source = each.source.replace(old, new)

    return spoil


def mark(id, **marks):
    def spoil(notebook):
        (each,) = (c for c in notebook.cells if c.id == id)
        each.metadata.nbgrader.update(marks)

    return spoil


def drop(id):
    def spoil(notebook):
        notebook.cells = [c for c in notebook.cells if c.id != id]

    return spoil


def twice(id):
    def spoil(notebook):
        (at,) = (i for i, c in enumerate(notebook.cells) if c.id == id)
        notebook.cells.insert(at, copy.deepcopy(notebook.cells[at]))
        notebook.cells[at].id = "other"

    return spoil


def with_metadata(notebook):
    notebook.cells[3].metadata["solution_of_last_year"] = "def double(x): return 2 * x"


def with_tag(notebook):
    notebook.cells[3].metadata["tags"] = ["remove-cell"]


def with_notebook_metadata(notebook):
    notebook.metadata["answers"] = {"double": "2 * x"}


def with_attachment(notebook):
    notebook.cells[9]["attachments"] = {"a.png": {"image/png": "AAAA"}}


def with_raw_cell(notebook):
    notebook.cells.append(nbformat.v4.new_raw_cell("twice", id="raw"))


def unmarked(notebook):
    notebook.cells.append(nbformat.v4.new_code_cell("twice = 2", id="plain"))


def check_above(notebook):
    notebook.cells[3:5] = reversed(notebook.cells[3:5])


def rubric_across(notebook):
    notebook.cells[-1].source = (
        f"{BEGIN}\nLinear.\n=== BEGIN MARK SCHEME ===\n{END}\n1 point for linear.\n"
        "=== END MARK SCHEME ==="
    )


REFUSED = {
    "no markers": (
        change("double", BEGIN, "# twice"),
        "cell 4 (double): END SOLUTION ends nothing",
    ),
    "no markers at all": (
        lambda nb: [change("total", BEGIN, "")(nb), change("total", END, "")(nb)],
        "cell 7 (total): no solution between BEGIN SOLUTION and END SOLUTION",
    ),
    "no end": (change("double", END, ""), "cell 4 (double): BEGIN SOLUTION has no end"),
    "nested": (
        change("double", BEGIN, f"{BEGIN}\n    {BEGIN}"),
        "cell 4 (double): BEGIN SOLUTION stands inside of the region SOLUTION",
    ),
    "two on a line": (
        change("total", BEGIN, f"{BEGIN} {END}"),
        "cell 7 (total): '### BEGIN SOLUTION ### END SOLUTION' holds two markers",
    ),
    "misspelled": (
        change("double", END, "### End Solution"),
        "cell 4 (double): '### End Solution' is like a marker",
    ),
    "misspelled rubric": (
        change("why", "=== BEGIN MARK SCHEME", "=== BEGIN MARKING SCHEME"),
        "cell 10 (why): '=== BEGIN MARKING SCHEME ===' is like a marker",
    ),
    "hidden tests": (
        change("double-check", "print(", "### BEGIN HIDDEN TESTS\nprint("),
        "cell 5 (double-check): '### BEGIN HIDDEN TESTS' is like a marker",
    ),
    "nothing inside": (
        change("total", "total = start + 2 * 2  # plus four", "# nothing yet"),
        "cell 7 (total): no solution between",
    ),
    "rubric half inside": (rubric_across, "cell 10 (why): BEGIN MARK SCHEME stands inside"),
    "no rubric": (
        change("why", "1 point for the word linear, 1 for its reason.", ""),
        "cell 10 (why): no rubric between",
    ),
    "no model answer": (
        change("why", "Because doubling is linear in its argument.", ""),
        "cell 10 (why): no model answer between",
    ),
    "answer outside of markers": (
        change("why", BEGIN, f"Think of linear maps.\n\n{BEGIN}"),
        "cell 10 (why): text outside of its markers",
    ),
    "solution in a given cell": (
        change("setup", "start =", f"{BEGIN}\ntwice = 2\n{END}\nstart ="),
        "cell 2 (setup): markers, but it is no cell that students answer in",
    ),
    "rubric in a text": (
        change(
            "why-text", "Why", "=== BEGIN MARK SCHEME ===\nlinear\n=== END MARK SCHEME ===\nWhy"
        ),
        "cell 9 (why-text): markers, but",
    ),
    "no python is left": (
        change("double", "def double(x):", "for x in [1]:\n  print(x)\n else:"),
        "cell 4 (double): it is no Python",
    ),
    "grade_id twice": (twice("double"), "the grade_id 'double' is used 2 times"),
    "cell id twice": (
        lambda nb: nb.cells[4].update(id="double"),
        "the cell id 'double' is used 2 times",
    ),
    "odd grade_id": (mark("setup", grade_id="set up"), "its grade_id 'set up' must be"),
    "no self-check": (
        drop("total-check"),
        "cell 7 (total): no self-check total-check follows it",
    ),
    "self-check above": (check_above, "cell 5 (double): its self-check stands above it"),
    "self-check of nothing": (
        mark("double-check", grade_id="triple-check"),
        "cell 5 (triple-check): it checks no cell",
    ),
    "task without hidden checks": (
        lambda nb: [
            mark("total", grade_id="sum")(nb),
            mark("total-check", grade_id="sum-check")(nb),
        ],
        "cell 7 (sum): checks/ps0_small.py has no such task",
    ),
    "hidden checks without a task": (
        lambda nb: [drop("total")(nb), drop("total-check")(nb)],
        "the task 'total' of checks/ps0_small.py has no cell to answer in",
    ),
    "points": (
        mark("double-check", points=4),
        "cell 5 (double-check): 4 points, but its hidden checks are worth 3",
    ),
    "points of the heading": (
        change("double-text", "(3 points)", "(4 points)"),
        "cell 3 (double-text): the heading says 4 points, its cells give 3",
    ),
    "points of the last heading": (
        change("why-text", "(2 points)", "(3 points)"),
        "cell 9 (why-text): the heading says 3 points, its cells give 2",
    ),
    "no points in the heading": (
        change("why-text", " (2 points)", ""),
        "cell 10 (why): the heading above says no points",
    ),
    "explanation without points": (mark("why", points=0), "cell 10 (why): an explanation without"),
    "metadata": (with_metadata, "cell 4 (double): metadata that students would get"),
    "tag": (with_tag, "cell 4 (double): metadata that students would get: tags"),
    "notebook metadata": (with_notebook_metadata, "metadata of the notebook that students"),
    "attachment": (with_attachment, "cell 10 (why): attachments, which students would get"),
    "raw cell": (with_raw_cell, "cell 11 (raw): nbgrader's mark makes it neither"),
    "unmarked code": (unmarked, "cell 11 (plain): nbgrader's mark makes it neither"),
    "nbgrader's own task": (mark("why-text", task=True), "cell 9 (why-text): nbgrader's mark"),
    "graded code by hand": (mark("double", grade=True), "cell 4 (double): nbgrader's mark"),
    "no SEED": (change("setup", "SEED = 0", "SEED = 1"), "one line `SEED = 0`"),
    "two SEEDs": (change("setup", "start", "SEED = 0\nstart"), "one line `SEED = 0`"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_source_that_could_leak_or_not_be_graded_is_refused(name, tmp_path):
    spoil, problem = REFUSED[name]
    notebook = small_set.source()
    spoil(notebook)
    problem_set = small_set.write(tmp_path)
    problem_set.__dict__["source"] = notebook  # nbformat would mend some of it when it is read
    with pytest.raises(ReleaseError, match=re.escape(problem)):
        release(problem_set)


def test_what_a_release_holds_is_read_once_more(problem_set, monkeypatch):
    """Should a step of nbgrader's ever leave something, it is not handed out."""
    monkeypatch.setattr("grading.release._steps", lambda: [])
    with pytest.raises(ReleaseError, match="it would hand out: twice_as_much = 2 \\* x"):
        release(problem_set)


def test_an_answer_may_quote_a_line_that_students_get(problem_set):
    r"""As in ``"def double(x):\n"`` above the string of the next line."""
    path = problem_set.exercises / "answers" / f"{problem_set.name}.py"
    quoted = 'HEAD = (\n    "# Problem set 0: a small one\\n"\n    "why = 1\\n"\n)\n'
    path.write_text(path.read_text(encoding="utf-8") + quoted, encoding="utf-8")
    assert '"#Problemset0:asmallone\\n"' not in private_lines(problem_set)
    release(problem_set)


# --- what may not get out


@pytest.fixture(scope="module")
def private():
    """Return what is private of all sets, and does not stand in the book as well."""
    meant = [public_text(ProblemSet(name)) for name in SETS]
    meant += [
        _plain(path.read_text(encoding="utf-8"))
        for path in (ROOT / "chapters").iterdir()
        if path.suffix in {".ipynb", ".md"} and path.stem != "instructors"
    ]
    found = {}
    for name in SETS:
        found |= private_lines(ProblemSet(name), "\n".join(meant))
    assert len(found) > 200 * len(SETS)
    return found


def _plain(text):
    return text.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")


CODED = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")  # as base64 is
FIGURE = re.compile(r"[A-Za-z0-9+/]{2000,}")


def texts(name, data):
    """Yield a file's text in all the ways in which it might hide another."""
    if name.endswith((".whl", ".zip")):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for inner in archive.namelist():
                yield from texts(inner, archive.read(inner))
        return
    if name.endswith((".tar.gz", ".tgz")):
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for inner in filter(tarfile.TarInfo.isfile, archive):
                yield from texts(inner.name, archive.extractfile(inner).read())
        return
    if name.endswith(".inv"):
        data = zlib.decompress(data.split(b"\n", 4)[4])
    text = data.decode("utf-8", "replace")
    yield text
    yield _plain(text)
    if name.endswith((".html", ".svg", ".xml")):
        yield html.unescape(text)
        yield html.unescape(re.sub(r"<[^>]*>", "", text))
    if name.endswith((".ipynb", ".json")):
        yield "\n".join(_strings(json.loads(text)))
    for coded in CODED.findall(text):
        try:
            decoded = base64.b64decode(coded + "==").decode("utf-8")
        except ValueError:
            continue
        if decoded.isprintable() or "\n" in decoded:
            yield decoded


def _strings(value):
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if not isinstance(inner, str):
            if isinstance(inner, (dict, list)):
                yield from _strings(inner)
        else:
            yield inner


def leaks_in(folder, private):
    """List the private lines in the files of a folder, with the file in which each stands."""
    # Most lines stand in many pages, and each is looked at once.
    places = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in {".woff2", ".webp", ".png", ".map"}:
            for text in texts(path.name, path.read_bytes()):
                for line in FIGURE.sub("", text).splitlines():
                    places.setdefault(squeezed(line), path.relative_to(folder))
    everything = "\n".join(places)
    found = [form for form in private if form in everything]
    return [
        f"{place}: {private[form]}"
        for form in found
        for place in [next(place for line, place in places.items() if form in line)]
    ]


def words(text, least=1):
    """Return the stems of a text's words, as the index of the search keeps them."""
    stem = SearchEnglish({}).stem
    text = FIGURE.sub("", text).lower()
    return {stem(word) for word in set(re.findall(r"\w+", text)) if len(word) >= least}


def leaks_in_index(folder, private, public):
    """List what the search finds although no page may hold it."""
    index = (folder / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(index.removeprefix("Search.setIndex(").removesuffix(")"))
    indexed = {*index["terms"], *index["titleterms"]}
    secret = words("\n".join(private.values()), least=6) - words(public)
    pages = [
        name
        for name in index["docnames"]
        if not name.startswith(("chapters/", "exercises/release/"))
    ]
    return [*pages, *sorted(indexed & secret)]


@pytest.fixture(scope="module")
def site():
    if not (SITE / "index.html").exists():
        pytest.fail("there is no site in _build/html: run `make book` first", pytrace=False)
    return SITE


def test_the_releases_leak_nothing(private):
    assert leaks_in(EXERCISES / "release", private) == []


def test_the_site_leaks_nothing(site, private):
    # Lines of gradnb are public, in the wheel; `test_the_package_leaks_nothing` looks at gradnb.
    package = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("gradnb/**/*.py"))
    hidden = {form: line for form, line in private.items() if form not in squeezed(package)}
    assert len(hidden) > 0.9 * len(private)
    assert leaks_in(site, hidden) == []


def test_the_search_finds_nothing_private(site, private):
    public = "\n".join(
        _plain(path.read_text(encoding="utf-8"))
        for folder in ("chapters", "exercises/release")
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix in {".ipynb", ".md", ".bib"}
    )
    assert leaks_in_index(site, private, public) == []


def test_of_the_exercises_the_site_has_the_releases_alone(site):
    there = {
        path.relative_to(site).as_posix()
        for path in site.rglob("*")
        if path.is_file() and re.search(r"exercises|ps\d_", path.relative_to(site).as_posix())
    }
    assert there == {
        place
        for name in SETS
        for place in (f"exercises/release/{name}/{name}.html", f"_downloads/{name}.ipynb")
    }
    for name in SETS:
        stored = ProblemSet(name).release_path
        assert (site / "_downloads" / f"{name}.ipynb").read_bytes() == stored.read_bytes()


def dense(text):
    """Return the lines that are not empty, without spaces."""
    return "\n".join(filter(None, map(squeezed, text.splitlines())))


def copies_in(folder, problem_set, private):
    """List the files that hold three lines on end of private ones, as a copy would.

    A line or two may be anyone's Python, and the package and its tests have a lot of that.
    """
    exercises, name = problem_set.exercises, problem_set.name
    blocks = [
        "\n".join(lines) for c in problem_set.source.cells for lines in regions(c.source).values()
    ]
    blocks += [(exercises / kind / f"{name}.py").read_text() for kind in ("checks", "answers")]
    threes = set()
    for block in blocks:
        lines = dense(block).split("\n")
        for three in zip(lines, lines[1:], lines[2:], strict=False):
            if sum(line in private for line in three) >= 2:
                threes.add("\n".join(three))
    assert threes
    return [
        f"{path.relative_to(folder)}: {three}"
        for path in sorted(folder.rglob("*.*"))
        if path.is_file() and "__pycache__" not in path.parts
        for found in ["\n".join(map(dense, texts(path.name, path.read_bytes())))]
        for three in threes
        if three in found
    ]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Return a folder with what flit packs: the tests are in the source distribution alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["flit"] == {"sdist": {"include": ["tests/"]}}
    folder = tmp_path_factory.mktemp("packed")
    for part in ("gradnb", "tests"):
        shutil.copytree(ROOT / part, folder / part)
    for name in ("README.md", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.mark.parametrize("name", SETS)
def test_the_package_leaks_nothing(name, packed, private):
    assert copies_in(packed, ProblemSet(name), private) == []


@pytest.mark.parametrize("name", SETS)
def test_the_sandbox_is_told_nothing(name):
    """What a student's code runs beside holds no solution and no expected value's formula."""
    problem_set = ProblemSet(name)
    private = private_lines(problem_set, problem_set.calls)
    told = []

    class Listening:
        def run(self, job, seconds):
            told.append(json.dumps(job, ensure_ascii=False))
            return Run(b'{"up": true}\n', b"", "", 0)

    cells = release(problem_set).cells
    for task in problem_set.tasks.values():
        given = {**task.inputs(_rng()), "seed": 0}
        attempt(problem_set, task, cells, given, Listening())
        runner.decode(runner.encode(given))
    assert len(told) == len(problem_set.tasks)
    for job in told:
        assert leaks(job, private) == []


def _rng():
    import numpy as np

    return np.random.default_rng(0)


def test_the_sandbox_shows_no_folder_with_exercises():
    for here, _ in visible():
        assert not EXERCISES.is_relative_to(Path(here).resolve()), here
        assert not Path(here).resolve().is_relative_to(EXERCISES), here


# --- leaks that are planted, to see them found


SOLUTION = "twice_as_much = 2 * x"
RUBRIC = "1 point for the word linear, 1 for its reason."


def notebook_with(source="", **cell):
    notebook = small_set.source()
    for each in notebook.cells:
        each.source = ""
    notebook.cells[3].update({"source": source, **cell})
    return nbformat.writes(notebook)


def tar_with(text):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("gradnb-0.1.0/exercises/checks.py")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


def zip_with(text):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("gradnb/answers.py", text)
    return packed.getvalue()


INVENTORY = b"# Sphinx inventory version 2\n# Project: x\n# Version:\n# zlib\n"
PLANTED = {
    "a cell tagged remove-cell": (
        "_downloads/ps0.ipynb",
        notebook_with(f"    {SOLUTION}\n", metadata={"tags": ["remove-cell"]}),
    ),
    "a hidden output": (
        "_downloads/ps0.ipynb",
        notebook_with(outputs=[nbformat.v4.new_output("display_data", {"text/html": SOLUTION})]),
    ),
    "metadata": ("_downloads/ps0.ipynb", notebook_with(metadata={"was": {"code": [SOLUTION]}})),
    "escaped": (
        "_downloads/ps0.ipynb",
        json.dumps({"cells": [{"source": ["Zoë’s:", f"\t{SOLUTION}"]}]}),
    ),
    "an attachment": (
        "_downloads/ps0.ipynb",
        notebook_with(
            attachments={"a.txt": {"text/plain": base64.b64encode(SOLUTION.encode()).decode()}}
        ),
    ),
    "a page": (
        "ps0.html",
        '<pre><span class="n">twice_as_much</span> <span class="o">=</span> '
        '<span class="mi">2</span> <span class="o">*</span> <span class="n">x</span>\n</pre>',
    ),
    "a comment of a page": ("ps0.html", f"<p>Nothing.</p><!-- {SOLUTION} -->"),
    "an attribute of a page": ("ps0.html", f'<p data-was="{html.escape(SOLUTION)}">Nothing.</p>'),
    "a rubric on a page": (
        "ps0.html",
        "<p>1 point for the word <em>linear</em>, 1\nfor its reason.</p>".replace("\n", " "),
    ),
    "a source of a page": ("_sources/ps0.ipynb.txt", notebook_with(SOLUTION)),
    "a hidden check": (
        "_static/x.js",
        'var x = "lambda given, got: close(got[\\"value\\"], 2 * given[\\"x\\"]),";',
    ),
    "a wrong answer": (
        "exercises/answers.txt",
        'Wrong("double", "adds two", "def double(x):\\n    return x + 2.0", ["value", "zero"]),',
    ),
    "the source distribution": ("gradnb-0.1.0.tar.gz", tar_with(f"\n    {SOLUTION}\n")),
    "the wheel": ("gradnb-0.1.0.whl", zip_with(f"\n    {SOLUTION}\n")),
    "the inventory": ("objects.inv", INVENTORY + zlib.compress(SOLUTION.encode())),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_leak_is_found(name, problem_set, tmp_path):
    private = private_lines(problem_set)
    file, content = PLANTED[name]
    path = tmp_path / "site" / file
    path.parent.mkdir(parents=True)
    (tmp_path / "site" / "other.html").write_text("<p>Nothing of it.</p>")
    shutil.copytree(ROOT / "_static", tmp_path / "site" / "_static", dirs_exist_ok=True)
    assert leaks_in(tmp_path / "site", private) == []
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (leak, *_) = leaks_in(tmp_path / "site", private)
    assert leak.startswith(f"{file}: ")


@pytest.mark.parametrize(
    ("change", "leak"),
    [
        ({"terms": {"doubl": 0, "argument": 0}}, "argument"),
        ({"titleterms": {"twice_as_much": [0]}}, "twice_as_much"),
        ({"docnames": ["exercises/source/ps0/ps0"]}, "exercises/source/ps0/ps0"),
    ],
)
def test_a_leak_into_the_search_is_found(change, leak, problem_set, tmp_path):
    private = private_lines(problem_set)
    public = "\n".join(each.source for each in release(problem_set).cells)
    clean = {"docnames": ["chapters/index"], "terms": {"problem": 0}, "titleterms": {}}
    path = tmp_path / "searchindex.js"
    path.write_text(f"Search.setIndex({json.dumps(clean)})")
    assert leaks_in_index(tmp_path, private, public) == []
    path.write_text(f"Search.setIndex({json.dumps({**clean, **change})})")
    assert leaks_in_index(tmp_path, private, public) == [leak]


@pytest.mark.parametrize("what", ["checks", "answers", "solution"])
def test_a_copy_in_the_package_is_found(what, problem_set, tmp_path):
    private = private_lines(problem_set)
    (tmp_path / "packed").mkdir()
    path = tmp_path / "packed" / "test_it.py"
    path.write_text("import numpy as np\n\n\ndef double(x):\n    return x\n")
    assert copies_in(tmp_path / "packed", problem_set, private) == []
    text = {
        "checks": small_set.CHECKS,
        "answers": small_set.ANSWERS,
        "solution": problem_set.source.cells[3].source,
    }[what]
    path.write_text(text)
    assert copies_in(tmp_path / "packed", problem_set, private)


def test_short_lines_and_given_ones_are_no_secret(problem_set):
    change("setup", "start =", "print(2 * 2 + 2 * 2)\nstart =")(problem_set.source)
    change("total", BEGIN, f"{BEGIN}\nprint(2 * 2  +  2 * 2)\nx = 1")(problem_set.source)
    lines = private_lines(problem_set).values()
    assert "total = start + 2 * 2  # plus four" in lines
    assert SOLUTION in lines
    assert RUBRIC in lines
    assert not {"print(2 * 2  +  2 * 2)", "x = 1"} & {line.strip() for line in lines}
    assert not [line for line in lines if line.startswith(("import", "from grading"))]

"""The students' versions of the problem sets, without solutions and rubrics.

nbgrader makes them, by its own steps and without its database, so that ``nbgrader
generate_assignment`` gives the same cells. Before, the source is held against what nbgrader does
not ask for: it would hand out a rubric behind a misplaced marker, or a solution in the metadata.

``exercises/release`` is committed, so that nobody but authors needs nbgrader for it.
"""

from __future__ import annotations

import copy
import csv
import json
import os
import re
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import nbformat

from grading.notebook import SEED_LINE, is_given, nbgrader, with_seed
from grading.problemset import EXERCISES, ProblemSet
from grading.problemset import names as all_names
from grading.secret import seed_for

SOLUTION, RUBRIC = "SOLUTION", "MARK SCHEME"
_MARKER = re.compile(rf"(BEGIN|END) ({SOLUTION}|{RUBRIC})")
# As a slip of the pen writes it; nbgrader would see no marker there and publish what follows.
_LIKE_A_MARKER = re.compile(
    r"\b(?:begin|end)[\s_-]*(?:solution|mark(?:ing)?[\s_-]*scheme)|\bhidden[\s_-]+test|\bautotest\b",
    re.IGNORECASE,
)
# cell_type, grade, solution, locked
_KINDS = {
    ("markdown", False, False, True): "text",
    ("code", False, False, True): "given",
    ("code", False, True, False): "answer",
    ("code", True, False, True): "check",
    ("markdown", True, True, False): "explanation",
}
_POINTS = re.compile(r"\((\d+) points?\b")
_ID_COLUMNS = ("student_id", "id", "student", "username", "login")
_PRINTED = str.maketrans("‘’“”–—", "''\"\"--")
MIN_PRIVATE = 12  # characters without spaces; shorter lines stand everywhere


class ReleaseError(ValueError):
    """Raised when a problem set, or a roster, is not fit to be released; says all that is wrong."""

    def __init__(self, what: str, problems: list[str]):
        super().__init__("\n  ".join([f"{what} cannot be released:", *problems]))


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
    return [path for path, text in made.items() if write_text(path, text)]


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
        write_text(path, text)
    return list(made)


def read_roster(path: Path) -> list[str]:
    """Return the ids of a roster's students; raise `ReleaseError` if one can be no folder."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ReleaseError(str(path), ["it is not UTF-8; save it as “CSV UTF-8”"]) from None
    first_line = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first_line.count)
    # By line, since a quoted cell may hold several.
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    rows = [(line, row) for line, row in rows if any(row)]
    column = 0
    if rows:
        head = [cell.lower() for cell in rows[0][1]]
        if known := [name for name in _ID_COLUMNS if name in head]:
            column = head.index(known[0])
            rows = rows[1:]
    ids = [(line, row[column] if len(row) > column else "") for line, row in rows]
    found = [f"line {line}: {problem}" for line, id in ids for problem in _in_id(id)]
    # As a file system may compare them.
    same = Counter(unicodedata.normalize("NFC", id).casefold() for _, id in ids if id)
    found += [f"{id!r} stands there {times} times" for id, times in same.items() if times > 1]
    if not ids:
        found.append("no student is in it")
    if found:
        raise ReleaseError(str(path), found)
    return [id for _, id in ids]


def _in_id(id: str) -> Iterator[str]:
    if not id:
        yield "no id"
    elif re.search(r"[/\\]", id) or id.startswith("."):
        yield f"the id {id!r} cannot be the name of a folder"
    elif re.search(r"[\x00-\x1f\x7f]", id):
        yield f"the id {id!r} holds a character that cannot be seen"
    elif len(id.encode("utf-8", "replace")) > 200:
        yield f"the id {id[:30]!r}… is too long for the name of a folder"


# --- what nbgrader does


def _steps():
    """Return the steps of ``nbgrader generate_assignment``, without those of its database."""
    try:
        from nbgrader import preprocessors as nbgraders
    except ImportError as error:
        raise RuntimeError("a release needs nbgrader; `make grading` installs it") from error
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


# --- what nbgrader does not look for


def problems(problem_set: ProblemSet) -> list[str]:
    """List what keeps a problem set from being released, each with its cell."""
    notebook = problem_set.source
    found = []
    if surplus := sorted(set(notebook.metadata) - {"kernelspec", "language_info"}):
        found.append(f"metadata of the notebook that students would get: {', '.join(surplus)}")
    found += [f"the cell id {id!r} is used {n} times" for id, n in _repeated(notebook, _cell_id)]
    found += [f"the grade_id {id!r} is used {n} times" for id, n in _repeated(notebook, _grade_id)]
    for number, cell in enumerate(notebook.cells, start=1):
        where = f"cell {number} ({_grade_id(cell) or _cell_id(cell)})"
        found += [f"{where}: {problem}" for problem in _in_cell(cell)]
    found += _in_tasks(problem_set)
    found += _in_headings(notebook)
    given = [cell["source"] for cell in notebook.cells if is_given(cell)]
    seeds = [line[0] for source in given for line in SEED_LINE.finditer(source)]
    if seeds != ["SEED = 0"]:
        found.append(f"one line `SEED = 0` must stand in the given cells, found: {seeds or 'none'}")
    return found


def regions(source: str) -> dict[str, list[str]]:
    """Return the lines between markers, by `SOLUTION` and `RUBRIC`; raise ValueError if broken."""
    inside, lines = None, {}
    for line in source.splitlines():
        markers = _MARKER.findall(line)
        if not markers:
            if _LIKE_A_MARKER.search(line):
                raise ValueError(f"{line.strip()!r} is like a marker, but is none of ours")
            if inside:
                lines[inside].append(line)
            continue
        if len(markers) > 1:
            raise ValueError(f"{line.strip()!r} holds two markers")
        edge, kind = markers[0]
        if edge == "BEGIN" and inside:
            raise ValueError(f"BEGIN {kind} stands inside of the region {inside}")
        if edge == "END" and kind != inside:
            raise ValueError(f"END {kind} ends nothing: no BEGIN {kind} is open above it")
        inside = kind if edge == "BEGIN" else None
        if inside:
            lines.setdefault(kind, [])
    if inside:
        raise ValueError(f"BEGIN {inside} has no end")
    return lines


def kind_of(cell) -> str | None:
    """Return what a cell of a source is: text, given, answer, check, explanation or None."""
    mark = nbgrader(cell)
    if not mark or mark.get("task"):
        return None
    flags = (bool(mark.get(flag)) for flag in ("grade", "solution", "locked"))
    return _KINDS.get((cell["cell_type"], *flags))


def _in_cell(cell) -> Iterator[str]:
    if surplus := sorted(set(cell["metadata"]) - {"nbgrader", "deletable", "editable"}):
        yield f"metadata that students would get: {', '.join(surplus)}"
    if cell.get("attachments"):
        yield "attachments, which students would get"
    kind = kind_of(cell)
    if kind is None:
        yield "nbgrader's mark makes it neither text, given, answer, check nor explanation"
    if not re.fullmatch(r"[A-Za-z][\w-]*", _grade_id(cell)):
        yield f"its grade_id {_grade_id(cell)!r} must be letters, digits, - and _"
    try:
        inside = regions(cell["source"])
    except ValueError as error:
        yield str(error)
        return
    if kind not in {"answer", "explanation"} and inside:
        yield "markers, but it is no cell that students answer in"
    if kind == "answer":
        yield from _in_answer(cell["source"], inside)
    if kind == "explanation":
        for name, what in ((SOLUTION, "model answer"), (RUBRIC, "rubric")):
            if not "".join(inside.get(name, [])).strip():
                yield f"no {what} between BEGIN {name} and END {name}"
        if "".join(_outside(cell["source"])).strip():
            yield "text outside of its markers; a question belongs into a cell of its own"


def _in_answer(source: str, inside) -> Iterator[str]:
    if RUBRIC in inside:
        yield "a rubric in a cell of code"
    if not any(line.split("#")[0].strip() for line in inside.get(SOLUTION, [])):
        # nbgrader would replace the whole cell then, with the name of the function in it.
        yield f"no solution between BEGIN {SOLUTION} and END {SOLUTION}"
        return
    for what, code in (("it", source), ("what is left of it", _with_stub(source))):
        try:
            compile(code, "cell", "exec")
        except SyntaxError as error:
            yield f"{what} is no Python: {error.msg}, line {error.lineno}"


def _in_tasks(problem_set) -> Iterator[str]:
    cells = problem_set.source.cells
    place = {_grade_id(cell): number for number, cell in enumerate(cells, start=1)}
    by_kind = {kind: {} for kind in (*_KINDS.values(), None)}
    for cell in cells:
        by_kind[kind_of(cell)][_grade_id(cell)] = nbgrader(cell)
    answers, checks = by_kind["answer"], by_kind["check"]
    for name in answers:
        if f"{name}-check" not in checks:
            yield f"cell {place[name]} ({name}): no self-check {name}-check follows it"
        elif place[f"{name}-check"] < place[name]:
            yield f"cell {place[name]} ({name}): its self-check stands above it"
        if name not in problem_set.tasks:
            yield f"cell {place[name]} ({name}): checks/{problem_set.name}.py has no such task"
    for name, mark in checks.items():
        task = name.removesuffix("-check")
        if task not in answers or task == name:
            yield f"cell {place[name]} ({name}): it checks no cell; TASK-check is its name"
        elif task in problem_set.tasks and mark.get("points") != problem_set.tasks[task].points:
            yield (
                f"cell {place[name]} ({name}): {mark.get('points')} points, but its hidden checks "
                f"are worth {problem_set.tasks[task].points}"
            )
    for name in set(problem_set.tasks) - set(answers):
        yield f"the task {name!r} of checks/{problem_set.name}.py has no cell to answer in"
    for name, mark in by_kind["explanation"].items():
        if not isinstance(mark.get("points"), (int, float)) or mark["points"] <= 0:
            yield f"cell {place[name]} ({name}): an explanation without points"


def _in_headings(notebook) -> Iterator[str]:
    """Compare the points that headings promise with those of the cells below."""
    promised, given, where = None, 0, ""
    for number, cell in enumerate([*notebook.cells, None], start=1):
        heading = None
        if cell is None:
            heading = "the end"
        elif kind_of(cell) == "text":
            lines = [line for line in cell["source"].splitlines() if re.match("##? ", line)]
            heading = lines[-1] if lines else None
        if heading is not None:
            if promised is not None and promised != given:
                yield f"{where}: the heading says {promised} points, its cells give {given}"
            says = _POINTS.search(heading)
            promised, given = int(says[1]) if says else None, 0
            where = f"cell {number} ({_grade_id(cell)})" if cell else ""
        elif kind_of(cell) in {"check", "explanation"}:
            given += nbgrader(cell).get("points") or 0
            if promised is None:
                yield f"cell {number} ({_grade_id(cell)}): the heading above says no points"


# --- what must not get out


def private_lines(problem_set: ProblemSet, public: str = "") -> dict[str, str]:
    """Return what nobody but the teacher may read, each line by its form without spaces.

    These are the lines of solutions, model answers and rubrics, of the hidden checks and of the
    wrong and right answers, unless they stand outside of the markers too, or in the text `public`.
    """
    private, outside = [], f"{public}\n{public_text(problem_set)}"
    for cell in problem_set.source.cells:
        for line in (line for lines in regions(cell["source"]).values() for line in lines):
            private.append(line)
            if cell["cell_type"] == "markdown":  # a page shows formulas and emphasis otherwise
                pieces = re.split(r"[$`*]+", line)
                private += [piece for piece in pieces if len(squeezed(piece)) >= 2 * MIN_PRIVATE]
    for kind in ("checks", "answers"):
        path = problem_set.exercises / kind / f"{problem_set.name}.py"
        for line in path.read_text(encoding="utf-8").splitlines():
            # Fewer words are a task's name, or nbgrader's own stub.
            if len(re.findall(r"\w+", line)) > 2:
                private.append(line)
    # A line of the answers may be a string that quotes a public line, as the notebook's file does.
    quoted = (json.dumps(f"{line}\n", ensure_ascii=False) for line in outside.splitlines())
    outside = "\n".join(map(squeezed, [*outside.splitlines(), *quoted]))
    return {
        form: line.strip()
        for line in private
        if len(form := squeezed(line)) >= MIN_PRIVATE
        and form not in outside
        and not re.match(r"import|from[\w.]+import", form)
    }


def public_text(problem_set: ProblemSet) -> str:
    """Return what stands outside of all markers, which is what students are meant to get."""
    return "\n".join(line for cell in problem_set.source.cells for line in _outside(cell["source"]))


def leaks(text: str, private: dict[str, str]) -> list[str]:
    """List the private lines that a text holds, spaced, split or escaped as it may be."""
    plain = text.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
    text = squeezed(text) + "\n" + squeezed(plain)
    return [line for form, line in private.items() if form in text]


def squeezed(text: str) -> str:
    """Return a text without white space, and with plain quotes and dashes in place of printed."""
    return re.sub("--+", "-", "".join(text.translate(_PRINTED).split()))


# --- small things


def _repeated(notebook, name_of):
    counts = Counter(name for name in map(name_of, notebook.cells) if name)
    return [(name, times) for name, times in counts.items() if times > 1]


def _cell_id(cell) -> str:
    return str(cell.get("id", ""))


def _grade_id(cell) -> str:
    return str(nbgrader(cell).get("grade_id", ""))


def _outside(source: str) -> Iterator[str]:
    """Yield the lines that stand between no markers."""
    inside = False
    for line in source.splitlines():
        if marker := _MARKER.search(line):
            inside = marker[1] == "BEGIN"
        elif not inside:
            yield line


def _with_stub(source: str) -> str:
    """Return what nbgrader leaves of an answer's code."""
    kept, inside = [], False
    for line in source.splitlines():
        if marker := _MARKER.search(line):
            inside = marker[1] == "BEGIN"
            if inside:
                kept.append(re.match(r"\s*", line)[0] + "raise NotImplementedError()")
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def _text(notebook) -> str:
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def write_text(path: Path, text: str) -> bool:
    """Write a file as a whole or not at all; return whether it was another one before."""
    return write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> bool:
    """Write a file as a whole or not at all; return whether it was another one before."""
    if path.exists() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with open(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    return True

"""Whether a problem set is fit to be released, beyond what nbgrader asks for.

It would hand out a rubric behind a misplaced marker, or a solution in the metadata.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from grading.markers import RUBRIC, SOLUTION, outside, regions, with_stub
from grading.notebook import SEED_LINE, is_given, nbgrader
from grading.problemset import ProblemSet

# cell_type, grade, solution, locked
_KINDS = {
    ("markdown", False, False, True): "text",
    ("code", False, False, True): "given",
    ("code", False, True, False): "answer",
    ("code", True, False, True): "check",
    ("markdown", True, True, False): "explanation",
}
_POINTS = re.compile(r"\((\d+) points?\b")


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
        if "".join(outside(cell["source"])).strip():
            yield "text outside of its markers; a question belongs into a cell of its own"


def _in_answer(source: str, inside) -> Iterator[str]:
    if RUBRIC in inside:
        yield "a rubric in a cell of code"
    if not any(line.split("#")[0].strip() for line in inside.get(SOLUTION, [])):
        # nbgrader would replace the whole cell then, with the name of the function in it.
        yield f"no solution between BEGIN {SOLUTION} and END {SOLUTION}"
        return
    for what, code in (("it", source), ("what is left of it", with_stub(source))):
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


def _repeated(notebook, name_of):
    counts = Counter(name for name in map(name_of, notebook.cells) if name)
    return [(name, times) for name, times in counts.items() if times > 1]


def _cell_id(cell) -> str:
    return str(cell.get("id", ""))


def _grade_id(cell) -> str:
    return str(nbgrader(cell).get("grade_id", ""))

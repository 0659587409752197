"""The cells of a problem set: which are the teacher's, which the student's."""

from __future__ import annotations

import re

_STUB = re.compile(r"\W*(YOUR ANSWER HERE)?\W*", re.IGNORECASE)
SEED_LINE = re.compile(r"^SEED = (\d{1,12})", re.MULTILINE)


def nbgrader(cell) -> dict:
    """Return what nbgrader knows of a cell; an empty dict if it is none of its cells."""
    found = cell.get("metadata", {}).get("nbgrader", {})
    return found if isinstance(found, dict) else {}


def is_given(cell) -> bool:
    """Say whether a cell is code of the teacher's that the student's builds on."""
    mark = nbgrader(cell)
    return bool(cell["cell_type"] == "code" and mark.get("locked") and not mark.get("grade"))


def is_check(cell) -> bool:
    """Say whether a cell is a self-check, which is also where nbgrader keeps the points."""
    mark = nbgrader(cell)
    return bool(cell["cell_type"] == "code" and mark.get("locked") and mark.get("grade"))


def is_solution(cell) -> bool:
    """Say whether a cell is code that the student writes."""
    mark = nbgrader(cell)
    return bool(cell["cell_type"] == "code" and mark.get("solution"))


def is_explanation(cell) -> bool:
    """Say whether a cell is a text that the student writes and a person grades."""
    mark = nbgrader(cell)
    return bool(cell["cell_type"] == "markdown" and mark.get("solution") and mark.get("grade"))


def is_empty(text: str) -> bool:
    """Say whether an explanation has nothing to grade."""
    return bool(_STUB.fullmatch(text)) if len(text) < 200 else not text.strip()


def with_seed(source: str, seed: int) -> str:
    """Return a cell's code with the student's own SEED in it."""
    return SEED_LINE.sub(f"SEED = {seed}", source)


def to_run(source_cells, student_cells, seed: int) -> list[tuple[int, str]]:
    """Return what is executed, as (number of the cell, code).

    The teacher's cells come from the source, in front: what the student made of them counts for
    nothing. The student's follow in their order, with all cells that were added or copied.
    """
    given = [with_seed(cell["source"], seed) for cell in source_cells if is_given(cell)]
    teachers = {
        nbgrader(cell)["grade_id"] for cell in source_cells if is_given(cell) or is_check(cell)
    }
    run = [(0, source) for source in given]
    for number, cell in enumerate(student_cells, start=1):
        if cell["cell_type"] == "code":
            name = nbgrader(cell).get("grade_id")
            if name in teachers:
                teachers.remove(name)  # a second one is the student's
            else:
                run.append((number, cell["source"]))
    return run

"""Find what a class handed in, and read it without believing it.

A submission is data: nothing in it is executed or imported here, links are not followed, and what
cannot be read becomes a submission that says so. One entry of the folder is one submission:

    SUBMISSIONS/ana.ipynb                               the student is the file's name
    SUBMISSIONS/ana/anything.ipynb                      or the folder's
    SUBMISSIONS/ana/ps1_backprop/ps1_backprop.ipynb     as nbgrader collects them
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from grading.notebook import SEED_LINE, is_check, is_explanation, is_given, is_solution, nbgrader

MAX_BYTES = 20 * 2**20
MAX_NUMBER = 2000  # of cells
DEFINES = re.compile(r"(?:async\s+)?(?:def|class|import|from)\b|@|[^\W\d]\w*\s*(?:,|=(?!=)|:)")
# What systems and programs leave in a folder; anything else is somebody's submission.
LEFT_OUT = {".ipynb_checkpoints", "__MACOSX", "__pycache__", ".git", ".gitignore", ".gitkeep"}
LEFT_OUT |= {".DS_Store", "Thumbs.db", "desktop.ini", ".nbgrader.log"}


@dataclass
class Submission:
    """What one student handed in.

    Attributes
    ----------
    student : str
        The name of the folder or file.
    file : str
        The notebook's path in the folder of submissions; empty if there is none.
    raw : bytes
        The notebook as it came.
    cells : list of dict
        Its cells, with type, source and nbgrader's mark and nothing else.
    unreadable : str
        Why there are no cells; empty if there are.
    doubts : list of str
        What a person should look at.
    """

    student: str
    file: str = ""
    raw: bytes = b""
    cells: list = field(default_factory=list)
    unreadable: str = ""
    doubts: list = field(default_factory=list)


# What is handed in by mistake under a notebook's name, by its first bytes.
FORMATS = {b"PK\x03\x04": "a zip", b"%PDF": "a PDF", b"\x1f\x8b": "a gzip", b"<": "a page of HTML"}


class UnreadableError(ValueError):
    """What was handed in is no notebook."""


def find(folder: Path, set_name: str) -> list[Submission]:
    """Return every submission of a folder, in the order of the students' names."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder of submissions")
    found = {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("._") or entry.name in LEFT_OUT:
            continue
        is_named_by_stem = entry.suffix == ".ipynb" or not entry.is_dir()
        student = shown(entry.stem if is_named_by_stem else entry.name)
        if student in found:
            found[student].doubts.append(f"{shown(entry.name)} was handed in as well")
        else:
            found[student] = _submission(student, entry, folder, set_name)
    return list(found.values())


def shown(name: str) -> str:
    """Return a file's name as text, whatever its bytes are."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _submission(student: str, entry: Path, folder: Path, set_name: str) -> Submission:
    submission = Submission(student)
    try:
        notebooks = list(_notebooks(entry))
        named = [path for path in notebooks if path.name == f"{set_name}.ipynb"]
        if not notebooks:
            raise UnreadableError("there is no notebook (a file that ends in .ipynb)")
        if len(notebooks) > 1 and len(named) != 1:
            listed = ", ".join(shown(str(path.relative_to(entry))) for path in notebooks[:5])
            raise UnreadableError(f"there are {len(notebooks)} notebooks: {listed}; keep one")
        path = named[0] if len(named) == 1 else notebooks[0]
        submission.file = shown(str(path.relative_to(folder)))
        submission.raw = _read(path)
        submission.cells = list(_cells(submission.raw))
    except (UnreadableError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        submission.unreadable = reason or type(error).__name__
    return submission


def _notebooks(entry: Path) -> Iterator[Path]:
    """Yield the notebooks of an entry, three folders deep at most; links are not followed."""
    if entry.is_symlink():
        raise UnreadableError("it is a link, and links are not followed")
    if not entry.is_dir():
        if entry.suffix != ".ipynb":
            raise UnreadableError("it is not a notebook (a file that ends in .ipynb)")
        yield entry
        return
    for here, folders, files in os.walk(entry, onerror=_refuse):
        depth = len(Path(here).relative_to(entry).parts)
        folders[:] = sorted(set(folders) - LEFT_OUT) if depth < 3 else []
        yield from (
            Path(here, name)
            for name in sorted(files)
            if name.endswith(".ipynb") and not name.startswith(".")
        )


def _refuse(error: OSError):
    raise error


def _read(path: Path) -> bytes:
    """Read a file that must be an ordinary one: no link, pipe or device, and of sensible size."""
    if path.is_symlink():
        raise UnreadableError("it is a link, and links are not followed")
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("it is no ordinary file")
        if status.st_size > MAX_BYTES:
            size = f"{status.st_size / 2**20:.0f} MB, at most {MAX_BYTES // 2**20} are read"
            raise UnreadableError(f"it has {size}; clear its outputs")
        return file.read(MAX_BYTES + 1)


def _cells(raw: bytes) -> Iterator[dict]:
    """Yield what counts of each cell."""
    if not raw.strip():
        raise UnreadableError("the file is empty")
    for begin, what in FORMATS.items():
        if raw.startswith(begin):
            raise UnreadableError(f"it is {what}, whatever its name says, and no notebook")
    try:
        notebook = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"it is not JSON: {str(error)[:100]}") from None
    if isinstance(notebook, dict) and "worksheets" in notebook:
        raise UnreadableError("its format is from before 2015; open it in Jupyter and save it")
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise UnreadableError("it is JSON, but no notebook: it has no list of cells")
    if len(notebook["cells"]) > MAX_NUMBER:
        number = f"{len(notebook['cells']):,} cells, at most {MAX_NUMBER:,} are read"
        raise UnreadableError(f"it has {number}")
    for number, cell in enumerate(notebook["cells"], start=1):
        if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
            raise UnreadableError(f"cell {number} is no cell")
        source = cell.get("source", "")
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            raise UnreadableError(f"the source of cell {number} is no text")
        metadata = cell.get("metadata")
        mark = nbgrader({"metadata": metadata} if isinstance(metadata, dict) else {})
        mark = {
            key: mark[key] for key in ("grade_id", "grade", "locked", "solution") if key in mark
        }
        if not isinstance(mark.get("grade_id", ""), str):
            mark = {}
        # A lone surrogate, as JSON can spell it, is no text that could be written again.
        source = source.encode("utf-8", "backslashreplace").decode("utf-8")
        yield {"cell_type": cell["cell_type"], "source": source, "metadata": {"nbgrader": mark}}


def structure_doubts(source_cells, cells, seed: int) -> Iterator[str]:
    """Yield what a person should look at: cells that are gone or double, and a SEED of another."""
    there = [(nbgrader(cell).get("grade_id"), cell["cell_type"]) for cell in cells]
    if not any(name for name, _ in there):
        yield "its cells have lost the marks by which answers are told apart; all its code was run"
        return
    for cell in source_cells:
        if is_solution(cell) or is_explanation(cell):
            name = nbgrader(cell)["grade_id"]
            times = there.count((name, cell["cell_type"]))
            if times != 1:
                there_is = f"is there {times} times" if times else "is missing"
                yield f"the cell “{name}” {there_is}"
    seeds = {int(n) for cell in cells for n in SEED_LINE.findall(cell["source"])}
    if seeds and seed not in seeds:
        yield f"its SEED is {min(seeds)}, this student's is {seed}"


def own_lines_in_given_cells(source_cells, cells) -> Iterator[str]:
    """Yield the cells of the teacher's into which a student wrote definitions.

    They are not run, so points may be lost that are due.
    """
    teachers = {
        nbgrader(cell)["grade_id"]: set(cell["source"].splitlines())
        for cell in source_cells
        if is_given(cell) or is_check(cell)
    }
    for cell in cells:
        name = nbgrader(cell).get("grade_id")
        if cell["cell_type"] == "code" and name in teachers:
            own = set(cell["source"].splitlines()) - teachers[name]
            if any(DEFINES.match(line) and not SEED_LINE.match(line) for line in own):
                yield f"the cell “{name}” is the teacher's, and what was written into it is not run"

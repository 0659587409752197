"""What a class gets to read: a page for each student, one for the teacher, and the tables.

All that stands in a result may have been written by a student who means harm: a name, the name of
a file, the text of an error. The templates escape everything, and the pages forbid scripts and
requests.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape

from grading import explanations, files, report, table
from grading.attempt import HURRIED
from grading.filenames import file_names
from grading.notebook import is_empty

TEMPLATES = Path(__file__).parent / "templates"
MARK = "<!doctype html>\n<!-- feedback -->"  # by which pages of an earlier run are known

HURRIED_ERROR = f"it was stopped after {HURRIED:g} s"
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")  # they make text look like other text
_POINTS = re.compile(r" *\(\d+ points?\b[^()]*\)$")  # which are told beside the title
_CODE = re.compile(r"`([^`]+)`")

MEANING = {
    "graded": (
        "All tasks were run, and the values they gave were compared.",
        "A check that failed names a property that your function must have. Think of a small case "
        "in which you can tell by hand what should come out, and try your function on it.",
    ),
    "timed out": (
        "A task took longer than it may and was stopped. Values that it had given before were "
        "compared; those that were missing passed no check.",
        "Look for a loop that does not end, or for work that is done again and again. If your "
        "teacher takes another version, hand one in that runs through.",
    ),
    "crashed": (
        "Python itself ended before a task had given all its values: too much memory, too many "
        "processes, or a call that ends the program.",
        "Choose “Restart kernel and run all cells” and see where it ends. If your teacher takes "
        "another version, hand one in that runs through.",
    ),
    "unreadable": (
        "No notebook could be read from the file, so nothing was run. That is no 0: somebody will "
        "look at it.",
        "Open your file in JupyterLab. If it opens, save it and hand it in again; if it does not, "
        "look for an earlier version, and talk to your teacher.",
    ),
    "needs review": (
        "Something about this notebook is unusual, so somebody looks at it before its points "
        "count. That is no accusation: a cell that was copied or deleted by mistake is enough.",
        "You need not do anything. If you know what the note is about, tell your teacher.",
    ),
}

ABOUT = {
    "graded": "All tasks were run and compared.",
    "timed out": "A task was stopped at its limit. What came before counts.",
    "crashed": "Python ended within a task. What came before counts.",
    "unreadable": "No notebook could be read; nothing was run.",
    "needs review": "Something is unusual; a person looks before the points count.",
}


def write_pages(title: str, results, out: Path, rubrics=None) -> None:
    """Write what a class gets to read.

    Parameters
    ----------
    title : str
        The problem set's.
    results : list of dict
        One for each submission.
    out : Path
        The folder for ``grades.csv``, ``feedback/``, ``report.html``, ``explanations.html`` and
        ``explanations.csv``. Points that somebody has filled in there are kept.
    rubrics : dict of Rubric, optional
        By explanation: what it is graded by (`explanations.rubrics`).

    Raises
    ------
    ValueError
        If the ``explanations.csv`` that is there cannot be read; all else is written then.
    """
    out, results = Path(out), report.ordered(results)
    names = file_names([result["student"] for result in results])
    files.write(out / "grades.csv", table.text_of(table.grades(results)))
    _write_feedback(title, results, out / "feedback", names)
    links = {student: f"feedback/{quote(name)}" for student, name in names.items()}
    page = _render("report.html", title=title, links=links, about=ABOUT, **report.summary(results))
    files.write(out / "report.html", page)
    tasks = {}
    for letters, (_, part) in explanations.answers(results).items():
        tasks.setdefault(part["name"], []).append((letters, part))
    rubrics = rubrics or {}
    page = _render("explanations.html", title=title, tasks=tasks, rubrics=rubrics)
    files.write(out / "explanations.html", page)
    explanations.write_points(results, out)


def _write_feedback(title, results, folder: Path, names) -> None:
    for path in folder.glob("*.html") if folder.is_dir() else ():
        if path.name not in names.values() and _is_ours(path):
            path.unlink()
    for result in results:
        page = _render("feedback.html", title=title, result=result, cells=_cells(result))
        files.write(folder / names[result["student"]], page)


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK.encode()


def _cells(result) -> list[tuple[str, str]]:
    """Return the cells that stopped early, each once: every task runs the whole notebook."""
    found = {}
    for cell in (cell for task in result["tasks"] for cell in task["cells"]):
        if found.get(cell["cell"]) in (None, HURRIED_ERROR):  # a task that it is not for hurries it
            found[cell["cell"]] = cell["error"]
    return sorted(found.items())


def shown(text, most=20_000) -> str:
    """Return text as a page shows it: without what is invisible, and not without end."""
    text = str(text)
    left = len(text) - most
    text = _BIDI.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", table.plain(text, most))
    return text if left <= 0 else f"{text} … ({left:,} more characters)"


def unwrapped(text) -> str:
    """Return a text whose paragraphs and items are one line each."""
    return re.sub(r"(?<=\S)\n[ \t]*(?![ \t\n]|[-*#|>]|\d+\.)", " ", text)


def titled(text) -> str:
    """Return a task's title without the points."""
    return shown(_POINTS.sub("", text), 200)


def sentence(text) -> Markup:
    """Return a sentence with its `code` set as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(shown(text, 2000)))))


def counted(value, noun: str) -> str:
    """Return a number with its noun: 1 point, 2 points."""
    return f"{table.number(value)} {noun}{'' if value == 1 else 's'}"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "shown": shown,
        "sentence": sentence,
        "titled": titled,
        "unwrapped": unwrapped,
        "number": table.number,
        "counted": counted,
    }
    environment.globals |= {
        "meaning": MEANING,
        "waiting": table.waiting,
        "is_empty": is_empty,
    }
    return environment


def _render(template: str, **values) -> str:
    return _environment().get_template(template).render(values)

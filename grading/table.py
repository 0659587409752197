"""Tables for spreadsheets, safe to open: ``grades.csv``, and the cells of every other table."""

from __future__ import annotations

import csv
import io
import re

# A cell that begins with one of these is computed and not shown; the last four are fullwidth.
_FORMULA = re.compile(r"\s*[=+\-@\t\r＝＋－＠]")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST = 32_000  # characters; a spreadsheet's cell holds few more


def plain(text, longest=_LONGEST) -> str:
    """Return text that any file holds: no control characters, no halves of a surrogate pair."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(text)[:longest].replace("\r\n", "\n"))


def defused(value):
    """Return what a cell may hold: a number as it is, and text that is not taken for a formula."""
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(value)
    text = plain(value)
    return "'" + text if _FORMULA.match(text) else text


def fused(text: str) -> str:
    """Return the text that `defused` made safe."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text


def number(value) -> str:
    """Write points without the digits that say nothing: 2, 2.5."""
    return f"{round(value, 6):.10g}"


def text_of(rows) -> str:
    """Return the rows of a table, each cell made safe, as one CSV text."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerows([defused(cell) for cell in row] for row in rows)
    return file.getvalue()


def columns(results, kind: str) -> list[str]:
    """Return the names of all tasks (or explanations) that occur, in the order of the set."""
    parts = (part for result in results for part in result[kind])
    return list(dict.fromkeys(part["name"] for part in parts))


def waiting(result) -> float:
    """Return the points of a submission that a person still has to give."""
    parts = result["explanations"]
    return sum(part["max_points"] for part in parts if part["points"] is None)


def grades(results):
    """Yield the rows of ``grades.csv``: a head, and one for each submission."""
    tasks, texts = columns(results, "tasks"), columns(results, "explanations")
    head = ["student", "set", "status", "score", "max_score"]
    yield [*head, *tasks, *texts, "waiting", "note", "file"]
    for result in results:
        points = {
            kind: {part["name"]: part["points"] for part in result[kind]}
            for kind in ("tasks", "explanations")
        }
        yield [
            *(result[name] for name in head),
            *(points["tasks"].get(name) for name in tasks),
            *(points["explanations"].get(name) for name in texts),
            waiting(result),
            result["note"],
            result["file"],
        ]

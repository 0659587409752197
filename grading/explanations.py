"""What a person grades: the students' explanations without their names, and the points given.

Each answer has a code of ten letters. ``explanations.html`` shows the answers under their codes and
in the order of these, which says nothing of who wrote them. ``explanations.csv`` has a row for each
code with room for points and a comment, and ``explanations-key.json`` says whose they are. A code
belongs to the text as it was handed in: whoever hands in another text gets another code, and the
points that the earlier text was given stay with that.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

from grading import files, table
from grading.grade import with_score
from grading.notebook import is_empty, is_explanation, nbgrader

CSV, KEY = "explanations.csv", "explanations-key.json"
HEAD = ["code", "task", "points", "max_points", "comment"]
_LETTERS = "bcdfghjkmnpqrstvwxz"  # no words, no numbers and no dates come of them
_SOLUTION = re.compile(r"^#+ *BEGIN SOLUTION *\n(.*?)^#+ *END SOLUTION", re.MULTILINE | re.DOTALL)
_SCHEME = re.compile(
    r"^=+ *BEGIN MARK SCHEME *=+ *\n(.*?)^=+ *END MARK SCHEME", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Rubric:
    """What a person grades by: the question, an answer with all points, and what points are for."""

    question: str = ""
    answer: str = ""
    scheme: str = ""


def rubrics(problem_set) -> dict[str, Rubric]:
    """Return the rubric of each explanation of a problem set, from its source."""
    found, question = {}, ""
    for cell in problem_set.source["cells"]:
        if is_explanation(cell):
            parts = (pattern.search(cell["source"]) for pattern in (_SOLUTION, _SCHEME))
            answer, scheme = (part[1].strip() if part else "" for part in parts)
            found[nbgrader(cell)["grade_id"]] = Rubric(question, answer, scheme)
        elif cell["cell_type"] == "markdown":
            question = cell["source"]
    return found


def code(result, explanation) -> str:
    """Return the code of a student's answer: ten letters that tell nothing of the student."""
    names = result["set"], result["student"], explanation["name"], explanation["text"]
    digest = hashlib.sha256(json.dumps([str(name) for name in names]).encode()).digest()
    value, letters = int.from_bytes(digest, "big"), []
    for _ in range(10):
        value, letter = divmod(value, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return f"{''.join(letters[:5])}-{''.join(letters[5:])}"


def answers(results) -> dict:
    """Return (result, explanation) by code, in the order for grading: empty answers come last."""
    found = {
        code(result, part): (result, part) for result in results for part in result["explanations"]
    }
    return dict(sorted(found.items(), key=lambda item: (is_empty(item[1][1]["text"]), item[0])))


def read_points(path: Path) -> dict[tuple[str, str], tuple[float, str]]:
    """Return what a person has filled in, as ``{(student, task): (points, comment)}``.

    Raises
    ------
    ValueError
        If anything in the file is not understood; each row that is not is named.
    """
    key = _key(Path(path).parent)
    rows = _by_code(Path(path), {letters: entry["max_points"] for letters, entry in key.items()})
    return {
        (key[letters]["student"], key[letters]["task"]): given
        for letters, given in rows.items()
        if key[letters]["current"] and given[0] is not None
    }


def merge_points(results, out: Path):
    """Put the points and comments of the file in `out` into the results, and return these.

    Points count for the very text they were given for; points that were taken out of the file are
    taken out of the result. The scores are renewed.

    Raises
    ------
    ValueError
        As `read_points` does. No result is changed then.
    """
    path, current = Path(out) / CSV, answers(results)
    if not path.exists():
        return results
    known = {letters: entry["max_points"] for letters, entry in _key(path.parent).items()}
    known |= {letters: part["max_points"] for letters, (_, part) in current.items()}
    for letters, given in _by_code(path, known).items():
        if letters in current:
            part = current[letters][1]
            part["points"], part["comment"] = given
    return [with_score(result) for result in results]


def write_points(results, out: Path) -> None:
    """Write ``explanations.csv`` and its key anew, with all that a person has filled in before."""
    path = Path(out) / CSV
    before = {}
    for row in _rows(path) if path.exists() else []:
        if row["points"] or row["comment"]:
            before.setdefault(row["code"], []).append(row)
    rows, current = [HEAD], answers(results)
    for letters, (_, part) in current.items():
        name, most = part["name"], part["max_points"]
        kept = before.pop(letters, [{"points": part["points"], "comment": part["comment"]}])
        rows += [[letters, name, _cell(row["points"]), most, row["comment"]] for row in kept]
    for left in before.values():
        rows += [[row[name] for name in HEAD] for row in left]
    key = {letters: {**entry, "current": False} for letters, entry in _key(Path(out)).items()}
    for letters, (result, part) in current.items():
        who = {"student": result["student"], "task": part["name"]}
        key[letters] = {**who, "max_points": part["max_points"], "current": True}
    files.write(Path(out) / KEY, json.dumps(key, indent=1), durable=True)
    # By this mark Excel knows UTF-8; without it, comments come back with other letters.
    files.write(path, "\ufeff" + table.text_of(rows), durable=True)


def _key(folder: Path) -> dict:
    path = folder / KEY
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _cell(points):
    """Return points as a number where they are one, and as they were written where not."""
    try:
        return float(points)
    except (TypeError, ValueError):
        return points


def _by_code(path: Path, known: dict) -> dict[str, tuple[float | None, str]]:
    """Return points and comments by code; refuse what is not understood, row by row."""
    found, seen, wrong = {}, {}, []
    for line, row in enumerate(_rows(path), start=2):
        letters, filled = row["code"], row["points"] or row["comment"]
        if letters in seen and (letters or filled):
            wrong.append(f"row {line}: the code {letters} is in row {seen[letters]}, too")
        elif letters in known:
            try:
                found[letters] = _points(row["points"], known[letters]), row["comment"]
            except ValueError as error:
                wrong.append(f"row {line}, code {letters}: {error}")
        elif filled:
            wrong.append(f"row {line}: nobody's answer has the code {letters or '(empty)'}")
        seen.setdefault(letters, line)
    if wrong:
        raise ValueError("\n".join([f"{path} cannot be taken over:", *wrong]))
    return found


def _points(text: str, most: float) -> float | None:
    """Return points as a number, with a decimal point or comma; None where there are none."""
    if not text:
        return None
    try:
        points = float(text.replace(",", "."))
    except ValueError:
        raise ValueError(f"points must be a number, got {text!r}") from None
    if not 0 <= points <= most:
        raise ValueError(f"points must be from 0 to {table.number(most)}, got {text}")
    return int(points) if points.is_integer() else points


def _rows(path: Path) -> list[dict]:
    """Return the rows below the head, whichever way a spreadsheet has saved them."""
    raw = path.read_bytes()
    utf = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(utf)
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise ValueError(f"{path} is no CSV file: {error}") from None
    names = [name.strip().lower() for name in lines[0]] if lines else []
    missing = [name for name in HEAD if name not in names]
    if missing:
        raise ValueError(f"{path} must have the columns {', '.join(HEAD)}; {missing[0]} is missing")
    rows = []
    for cells in lines[1:]:
        row = dict(zip(names, cells, strict=False))
        row = {name: table.fused(row.get(name, "").strip()) for name in HEAD}
        rows.append(row | {"code": row["code"].lower()})
    return rows

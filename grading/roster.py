"""The table of students, for whom personal releases are made."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_ID_COLUMNS = ("student_id", "id", "student", "username", "login", "user", "email")


class ReleaseError(ValueError):
    """Raised when a problem set, or a roster, is not fit to be released; says all that is wrong."""

    def __init__(self, what: str, problems: list[str]):
        super().__init__("\n  ".join([f"{what} cannot be released:", *problems]))


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

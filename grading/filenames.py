"""File names for students, whatever they are called: safe on every system, and never shared."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter

# What a name may look like to be kept. No "~" is in it, so that none is taken for a hashed one.
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.@+ -]{0,78}[A-Za-z0-9_])?")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)


def file_stem(student: str) -> str:
    """Return a name for a student's files that every system takes, and no other student has."""
    if _NAME.fullmatch(student) and not _RESERVED.match(student):
        return student
    letters = unicodedata.normalize("NFKD", student[:200]).encode("ascii", "ignore").decode()
    readable = re.sub(r"[^A-Za-z0-9]+", "-", letters).strip("-")[:40] or "student"
    return _hashed(readable, student)


def lone_stem(student: str) -> str:
    """Return a stem that stays a student's own where upper and lower case are the same."""
    stem = file_stem(student)
    return stem if stem == stem.casefold() or "~" in stem else _hashed(stem, student)


def file_names(students) -> dict[str, str]:
    """Return the name of each student's page; those that differ only by case are told apart."""
    stems = {student: file_stem(student) for student in students}
    twins = Counter(stem.casefold() for stem in stems.values())
    return {
        student: (stem if twins[stem.casefold()] == 1 else _hashed(stem, student)) + ".html"
        for student, stem in stems.items()
    }


def _hashed(readable: str, student: str) -> str:
    digest = hashlib.sha256(student.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{readable[:60]}~{digest[:16]}"

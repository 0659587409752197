"""The markers in a source notebook: what stands between them is the teacher's alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

SOLUTION, RUBRIC = "SOLUTION", "MARK SCHEME"
_MARKER = re.compile(rf"(BEGIN|END) ({SOLUTION}|{RUBRIC})")
# As a slip of the pen writes it; nbgrader would see no marker there and publish what follows.
_LIKE_A_MARKER = re.compile(
    r"\b(?:begin|end)[\s_-]*(?:solution|mark(?:ing)?[\s_-]*scheme)|\bhidden[\s_-]+test|\bautotest\b",
    re.IGNORECASE,
)


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


def outside(source: str) -> Iterator[str]:
    """Yield the lines that stand between no markers."""
    inside = False
    for line in source.splitlines():
        if marker := _MARKER.search(line):
            inside = marker[1] == "BEGIN"
        elif not inside:
            yield line


def with_stub(source: str) -> str:
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

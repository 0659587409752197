"""What must not get out of a problem set, and whether a text holds any of it."""

from __future__ import annotations

import json
import re

from grading.markers import outside, regions
from grading.problemset import ProblemSet

_PRINTED = str.maketrans("‘’“”–—", "''\"\"--")
MIN_PRIVATE = 12  # characters without spaces; shorter lines stand everywhere


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
    return "\n".join(line for cell in problem_set.source.cells for line in outside(cell["source"]))


def leaks(text: str, private: dict[str, str]) -> list[str]:
    """List the private lines that a text holds, spaced, split or escaped as it may be."""
    plain = text.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
    text = squeezed(text) + "\n" + squeezed(plain)
    return [line for form, line in private.items() if form in text]


def squeezed(text: str) -> str:
    """Return a text without white space, and with plain quotes and dashes in place of printed."""
    return re.sub("--+", "-", "".join(text.translate(_PRINTED).split()))

"""Write the ledger of claims from the verdicts stored in the notebooks: `python -m tools.ledger`.

`make notebooks` runs it last. Nothing in the ledger is written by hand: each row is a line that an
experiment printed, and a line that contradicts itself, or that no call in its cell printed, is
refused.
"""

import ast
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gradnb.claims import ARTICLES, CLAIMS, ROUNDING

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "chapters"
PAGE = FOLDER / "claims.md"


class Chapter(NamedTuple):
    """A chapter of the book, written or to come, and the claims that it settles."""

    name: str
    claims: str


CHAPTERS = {
    "backprop": Chapter("Backpropagation", "B1 B5 B6 B10"),
    "numerical_gradients": Chapter("Numerical gradients", "E1 E2 E3 E4 E7 E8"),
    "sgd": Chapter("Stochastic descent", "A10 A12 A13 A14 A15 A16 A17 A19 B11 E6"),
    "optimizers": Chapter("Optimisers", "A18 E5 D9 D10"),
    "zero_grad": Chapter("Zeroing gradients", "C1 C2 C3 C4 C5 C6 C7 C8"),
    "gradient_stability": Chapter("Gradient stability", "A1 A7 A8 A11 B2 B3 B4 B7 B8 B9 B17"),
    "stabilizing": Chapter("Stabilising", "B12 B13 B14 B15 B16 D1 D2 D3 D4 D5 D6 D7"),
    "zero_gradients": Chapter("Zero gradients", "A2 A3 A4 A5 A6 A9"),
    "monitoring": Chapter("Monitoring", "D8"),
}
HEADINGS = {
    "A": "Some gradients are zero: has training finished?",
    "B": "Unstable gradients",
    "C": "Why are gradients set to zero?",
    "D": "Handling abnormal gradients",
    "E": "The numerical gradient is wrong",
}

NUMBER = rf"< {ROUNDING:g}|-?(?:inf|\d[\d.]*(?:e[+-]\d+)?)"
DECISION = re.compile(r"([A-E]\d+) (holds|fails|cited)\b")
VERDICT = re.compile(
    r"(?P<claim>\w+) (?P<word>holds when .+?|holds|fails): "
    rf"(?P<measure>.+?) (?P<value>{NUMBER})(?: then, (?P<outside>{NUMBER}) otherwise)? "
    rf"\(threshold (?P<relation>[<>]=?) (?P<threshold>{NUMBER})\)"
)
CITED = re.compile(r"(?P<claim>\w+) cited: (?P<says>.+?\.) \((?P<source>.+)\)")
INSTEAD = re.compile(r"Instead: (.+)")


class Settled(NamedTuple):
    """What the cell that settles a claim has printed: a verdict, a citation, or both."""

    chapter: str
    verdict: dict | None = None
    instead: str | None = None
    cited: dict | None = None


def read(folder: Path = FOLDER) -> tuple[dict[str, Settled], list[str]]:
    """Collect what the notebooks have settled, and what is wrong with it."""
    settled, problems, places = {}, [], defaultdict(list)
    for path in sorted(folder.glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                where = f"{path.stem}, cell {cell['id']}"
                found, wrong = read_cell(cell, path.stem)
                settled |= found
                problems += [f"{where}: {problem}" for problem in wrong]
                for claim in found:
                    places[claim].append(where)
    problems += [
        f"{claim} is settled {len(where)} times: {'; '.join(where)}"
        for claim, where in places.items()
        if len(where) > 1
    ]
    for stem, chapter in CHAPTERS.items():
        for claim in chapter.claims.split():
            if claim not in settled and (folder / f"{stem}.ipynb").is_file():
                problems.append(f"{stem} has no verdict on {claim}, which it is to settle")
            elif claim in settled and settled[claim].chapter != stem:
                problems.append(f"{claim} is settled in {settled[claim].chapter}, not in {stem}")
    return settled, problems


def read_cell(cell: dict, chapter: str) -> tuple[dict[str, Settled], list[str]]:
    """Collect what one cell has settled, and what is wrong with it."""
    lines = "".join("".join(output.get("text", "")) for output in cell["outputs"]).splitlines()
    found, problems, printed = {}, [], Counter()
    for above, line, below in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
        if not (match := DECISION.match(line)):
            continue
        claim, kind = match[1], "cited" if match[2] == "cited" else "verdict"
        printed[kind, claim] += 1
        if above != f"Claim {claim}. {CLAIMS.get(claim)}":
            problems.append(f"{claim} stands under {above!r}, not under its claim")
        parts = (VERDICT if kind == "verdict" else CITED).fullmatch(line)
        if parts is None:
            problems.append(f"this is not how it reads when it is {kind}: {line}")
            continue
        found[claim] = found.get(claim, Settled(chapter))._replace(**{kind: parts.groupdict()})
        if kind == "verdict":
            problems += _contradictions(**parts.groupdict())
            if instead := INSTEAD.fullmatch(below):
                found[claim] = found[claim]._replace(instead=instead[1])
            if (parts["word"] == "fails") != bool(instead):
                problems.append(
                    f"{claim} {parts['word']}: what is true instead goes with a failure"
                )
    calls = _calls(cell)
    problems += [f"{claim} is settled {n} times" for (_, claim), n in calls.items() if n > 1]
    if printed != calls:
        problems.append(f"calls {_list(calls)}, but prints {_list(printed)}")
    return found, problems


def _contradictions(claim, word, measure, value, outside, relation, threshold) -> Iterator[str]:
    """Compare the word of a verdict with the numbers beside it."""
    then = _compare(value, relation, threshold)
    otherwise = outside and _compare(outside, relation, threshold)
    if None in (then, otherwise if outside else True):
        yield f"{claim}: a number cannot be told from its threshold"
        return
    expected = "fails" if not then else "holds when" if otherwise is False else "holds"
    if expected != ("holds when" if word.startswith("holds when") else word):
        yield f"{claim} says {word!r}, but its numbers say {expected!r}"


def _compare(value: str, relation: str, threshold: str) -> bool | None:
    """Whether a printed number is on the right side of a printed threshold; None if unclear."""
    ends = (-ROUNDING, ROUNDING) if value.startswith("< ") else (float(value),)
    limit = float(threshold)
    sides = {
        {"<": x < limit, "<=": x <= limit, ">": x > limit, ">=": x >= limit}[relation] for x in ends
    }
    return sides.pop() if len(sides) == 1 else None


def _calls(cell: dict) -> Counter:
    """Count the calls of `verdict` and `cited` in a cell by the claims that they name."""
    calls = Counter()
    for node in ast.walk(ast.parse("".join(cell["source"]))):
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "id", getattr(node.func, "attr", None))
            if name in ("verdict", "cited"):
                calls[name, ast.unparse(node.args[0]).strip("'")] += 1
    return calls


def _list(calls: Counter) -> str:
    return ", ".join(f"{kind} {claim}" for kind, claim in sorted(calls)) or "nothing"


# --- the page


INTRODUCTION = """\
# The ledger of claims

Every claim that this book puts to the test, in our words, under the article that makes it. The
verdicts and numbers are the lines that the experiments print: this page is made from the stored
outputs of the notebooks, and the book's tests fail where it differs from them. A verdict is
computed from its number and the threshold beside it; {doc}`notation` says how to read it.
"""


def write(settled: dict[str, Settled]) -> str:
    """Write the page, in MyST Markdown."""
    parts = [INTRODUCTION, summary(settled) + "\n"]
    for letter, heading in HEADINGS.items():
        parts.append(f"## {letter}. {heading}\n\n{_escape(ARTICLES[letter])}\n")
        rows = [_row(claim, settled.get(claim)) for claim in CLAIMS if claim.startswith(letter)]
        parts.append("\n".join([":::{table}\n:class: ledger\n", *TABLE_HEAD, *rows, ":::\n"]))
    return "\n".join(parts)


TABLE_HEAD = ["| claim | verdict | what decided it | experiment |", "|---|---|---|---|"]


def summary(settled: dict[str, Settled]) -> str:
    """Count the verdicts, in one sentence or two."""
    n = Counter(kind(settled.get(claim)) for claim in CLAIMS)
    verbs = {
        "holds": ("holds", "hold"),
        "holds when": ("holds under a condition", "hold under a condition"),
        "fails": ("fails", "fail"),
        "cited": ("could only be looked up", "could only be looked up"),
    }
    counts = [f"{n[word]} {verb[n[word] > 1]}" for word, verb in verbs.items() if n[word]]
    text = f"{len(CLAIMS) - n['open']} of {len(CLAIMS)} claims are settled: {', '.join(counts)}."
    others = {0: "", 1: " The other one is open."}
    return text + others.get(n["open"], f" The other {n['open']} are open.")


def kind(entry: Settled | None) -> str:
    """Say what has become of a claim: holds, holds when, fails, cited or open."""
    if entry is None:
        return "open"
    if entry.verdict is None:
        return "cited"
    return "holds when" if entry.verdict["word"].startswith("holds when") else entry.verdict["word"]


def _row(claim: str, entry: Settled | None) -> str:
    cells = [f"**{claim}** {_escape(CLAIMS[claim])}"]
    if entry is None:
        cells += ["open", "", f"{CHAPTERS[_chapter_of(claim)].name}, to come"]
    else:
        said = entry.verdict["word"] if entry.verdict else "cited"
        partly = ", partly cited" if entry.verdict and entry.cited else ""
        cells += [_escape(said) + partly, "<br>".join(_reasons(entry))]
        cells += [f"[{CHAPTERS[entry.chapter].name}](#claim-{claim.lower()})"]
    return f"| {' | '.join(cells)} |"


def _reasons(entry: Settled) -> Iterator[str]:
    if entry.verdict:
        part = {name: text and _escape(text) for name, text in entry.verdict.items()}
        otherwise = f" then, **{part['outside']}** otherwise" if part["outside"] else ""
        limit = f"(threshold {part['relation']} {part['threshold']})"
        yield f"{part['measure']} **{part['value']}**{otherwise}<br>{limit}"
    if entry.instead:
        yield f"*Instead:* {_escape(entry.instead)}"
    if entry.cited:
        yield f"*Cited:* {_escape(entry.cited['says'])} ({_escape(entry.cited['source'])})"


def _chapter_of(claim: str) -> str:
    return next(stem for stem, chapter in CHAPTERS.items() if claim in chapter.claims.split())


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>$|#~])", r"\\\1", text)


def main() -> int:
    """Write the page, and return 1 if something is wrong with a verdict."""
    settled, problems = read()
    for problem in problems:
        print(problem)
    text = write(settled)
    if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        PAGE.write_text(text, encoding="utf-8", newline="\n")
        print(f"written    {PAGE.relative_to(ROOT)}")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())

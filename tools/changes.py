"""Show what changed in the stored outputs, on one page: `python -m tools.changes [revision]`.

Compares the notebooks of the working tree, and what is made from them, with a revision of git (the
last commit, unless another is named), cell by cell: text as a diff, figures as pictures before and
after with their difference. The page is `_build/changes.html`; it needs no network.
"""

import argparse
import base64
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path

from jinja2 import Environment

from tools import figures
from tools.update import versions

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "_build" / "changes.html"
TEMPLATE = Path(__file__).with_suffix(".html")
# What `make notebooks` makes besides the notebooks.
MADE = re.compile(r"chapters/(claims\.md|live/[^/]+\.svg)")
CONTEXT = 2
COLOUR_CODES = re.compile(r"\x1b\[[\d;]*m")


@dataclass
class Picture:
    """A figure on one side of the comparison, or their difference."""

    kind: str
    url: str
    alt: str
    size: tuple[int, int] | None = None


@dataclass
class Figure:
    name: str
    caption: str
    how: str
    pictures: list[Picture]


@dataclass
class Entry:
    """What changed in a cell, or in a file that is made from the cells."""

    title: str
    state: str  # changed, added or removed
    code: list = field(default_factory=list)
    text: list = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)


@dataclass
class Chapter:
    path: str
    title: str
    state: str
    entries: list[Entry]


class Revision:
    """The files of a commit."""

    def __init__(self, name):
        self.name = name
        self.commit = self._git("rev-parse", "--short", f"{name}^{{commit}}").strip()
        listed = self._git("ls-tree", "-r", "-z", "--name-only", self.commit)
        self.paths = set(listed.split("\0")[:-1])

    def read(self, path):
        """Return a file's text, or None where it is not there."""
        return self._git("show", f"{self.commit}:./{path}") if path in self.paths else None

    @staticmethod
    def _git(*arguments):
        command = ["git", *arguments]
        return subprocess.run(
            command, check=True, cwd=ROOT, capture_output=True, encoding="utf-8"
        ).stdout


class WorkingTree:
    """The files as they are now."""

    def __init__(self):
        chapters = (ROOT / "chapters").rglob("*.*")
        self.paths = {path.relative_to(ROOT).as_posix() for path in chapters}

    @staticmethod
    def read(path):
        file = ROOT / path
        return file.read_text(encoding="utf-8") if file.is_file() else None


def moved_versions(before, after):
    """List each package whose version moved: its name, the versions, and whether we pin it."""
    ours = versions(after.read("requirements.txt") or "").keys()
    sides = []
    for side in (before, after):
        pins = [side.read(name) or "" for name in ("constraints.txt", "requirements.txt")]
        # Our own pins last: constraints.txt may not have been renewed yet.
        found = [versions(text) for text in pins]
        sides.append({**found[0], **found[1]})
    old, new = sides
    return sorted(
        (
            (name, ", ".join(old.get(name, [])), ", ".join(new.get(name, [])), name in ours)
            for name in old.keys() | new.keys()
            if old.get(name) != new.get(name)
        ),
        key=lambda row: (not row[3], row[0]),
    )


def compare_files(before, after):
    """Compare all that `make notebooks` makes; yields the chapters that differ."""
    for path in sorted(before.paths | after.paths):
        if not re.fullmatch(r"chapters/[^/.][^/]*\.ipynb", path) and not MADE.fullmatch(path):
            continue
        old, new = before.read(path), after.read(path)
        if old == new:
            continue
        state = "added" if old is None else "removed" if new is None else "changed"
        if path.endswith(".ipynb"):
            pair = [json.loads(text) if text else {"cells": []} for text in (old, new)]
            entries = list(compare_notebooks(*pair))
            title = _title(pair[1] if new else pair[0]) or path
        else:
            entries = [_made(path, state, old, new)]
            title = path
        if entries:
            yield Chapter(path, title, state, entries)


def compare_notebooks(old, new):
    """Yield what changed of each code cell: outputs, and with them the code."""
    before, after = ({cell["id"]: cell for cell in _code_cells(nb)} for nb in (old, new))
    headings = {**_headings(old), **_headings(new)}
    for key in [*after, *(key for key in before if key not in after)]:
        pair = before.get(key), after.get(key)
        state = "added" if not pair[0] else "removed" if not pair[1] else "changed"
        code, text = ([side(cell) if cell else None for cell in pair] for side in (_code, _text))
        entry = Entry(headings[key], state, figures=list(_figures(*pair)))
        if text[0] != text[1]:
            entry.text = diff(*text)
        if code[0] != code[1]:
            entry.code = diff(*code)
        # Code that was changed without its outputs is seen in `git diff`.
        if entry.text or entry.figures or state != "changed":
            yield entry


def diff(old, new):
    """List the lines that changed, each with its sign and its pieces, marked where they differ."""
    old, new = ((text or "").splitlines() for text in (old, new))
    rows = []
    groups = SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT)
    for number, group in enumerate(groups):
        if number:
            rows.append(("…", []))
        for kind, i, i_end, j, j_end in group:
            if kind == "equal":
                rows += [(" ", [(False, line)]) for line in old[i:i_end]]
                continue
            pairs = [_pieces(*pair) for pair in zip(old[i:i_end], new[j:j_end], strict=False)]
            gone = [pair[0] for pair in pairs] + [[(False, x)] for x in old[i + len(pairs) : i_end]]
            come = [pair[1] for pair in pairs] + [[(False, x)] for x in new[j + len(pairs) : j_end]]
            rows += [("−", line) for line in gone] + [("+", line) for line in come]
    return rows


def _pieces(old, new):
    """Cut two lines into pieces, and mark those which the other has not."""
    words = [re.findall(r"\w+|\W", line) for line in (old, new)]
    sides = [], []
    for kind, i, i_end, j, j_end in SequenceMatcher(None, *words, autojunk=False).get_opcodes():
        for side, part in zip(sides, (words[0][i:i_end], words[1][j:j_end]), strict=True):
            if part:
                side.append((kind != "equal", "".join(part)))
    return sides


def _code_cells(notebook):
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] == "code":
            yield {"id": f"cell {number}", **cell}


def _title(notebook):
    text = "\n".join("".join(cell["source"]) for cell in notebook["cells"])
    found = re.search(r"^# +(.+)", text, re.MULTILINE)
    return found[1] if found else None


def _headings(notebook):
    """Say for each code cell where it stands: the heading above it, and its number."""
    heading, found = "", {}
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] == "markdown":
            for line in re.findall(r"^#+ +(.+)", "".join(cell["source"]), re.MULTILINE):
                heading = f", under “{line}”"
        key = cell.get("id", f"cell {number}")
        found[key] = f"Cell {number} ({key}){heading}"
    return found


def _code(cell):
    return "".join(cell["source"])


def _text(cell):
    """Return all that a cell says; what is not plain output is told by a line above it."""
    parts = []
    for output in cell["outputs"]:
        kind = output["output_type"]
        if kind == "stream":
            label = [] if output["name"] == "stdout" else [f"[{output['name']}]"]
            parts += [*label, "".join(output["text"])]
        elif kind == "error":
            parts += ["[error]", *output["traceback"]]
        else:
            for mime, data in output["data"].items():
                shown = "".join(data) if isinstance(data, list) else str(data)
                if mime == "text/plain" and "image/png" not in output["data"]:
                    parts.append(shown)
                elif mime not in {"text/plain", "image/png"}:
                    parts += [f"[{mime}]", shown]
    return COLOUR_CODES.sub("", "\n".join(part.removesuffix("\n") for part in parts))


def _figures(old, new):
    """Yield the figures of a cell that are not the same picture."""
    sides = []
    for cell in (old, new):
        data = [output.get("data", {}) for output in cell["outputs"]] if cell else []
        sides.append(["".join(d["image/png"]) for d in data if "image/png" in d])
    described = [_described(cell) for cell in (old, new)]
    for before, after in zip_longest(*sides):
        pictures, how = [], ""
        if before and after:
            pair = [figures.pixels(png) for png in (before, after)]
            how = figures.difference(*pair)
            if not how:
                continue
            picture = _difference(*pair)
            alt = f"The figure before, faded, and in red where they differ: {how}"
            pictures = [Picture("difference", _url(picture), alt, pair[0].shape[1::-1])]
        else:
            how = "there was no such figure before" if after else "the figure is no longer there"
        for place, (kind, png) in enumerate((("before", before), ("after", after))):
            if png:
                size = figures.pixels(png).shape[1::-1]
                alt = f"{kind.capitalize()}: {described[place]['alt']}"
                pictures.insert(place, Picture(kind, _url(png), alt, size))
        last = described[1] if new else described[0]
        yield Figure(last["name"], last["caption"], how[0].upper() + how[1:] + ".", pictures)


def _described(cell):
    mystnb = cell["metadata"].get("mystnb", {}) if cell else {}
    figure = mystnb.get("figure", {})
    return {
        "name": figure.get("name", "a figure without a name"),
        "caption": figure.get("caption", ""),
        "alt": mystnb.get("image", {}).get("alt", "a figure without a description"),
    }


def _difference(old, new):
    with tempfile.TemporaryDirectory() as folder:
        *_, path = figures.save_comparison(Path(folder) / "figure", old, new)
        return base64.b64encode(path.read_bytes()).decode()


def _url(png):
    return "data:image/png;base64," + "".join(png.split())


def _made(path, state, old, new):
    """Compare what is made from the notebooks and the scripts; of a drawing, its code as well."""
    if not path.endswith(".svg"):
        return Entry("", state, text=diff(old, new))
    pictures = []
    for kind, svg in (("before", old), ("after", new)):
        if svg:
            url = "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
            said = re.search(r"<desc>(.*?)</desc>", svg, re.DOTALL)
            alt = f"{kind.capitalize()}: {said[1] if said else 'a drawing without a description'}"
            pictures.append(Picture(kind, url, alt))
    name = f"live figure {Path(path).stem}"
    figure = Figure(name, "", "A drawing, which is compared by its code alone.", pictures)
    return Entry("", state, code=diff(old, new), figures=[figure])


def render(**values):
    """Fill the page's template."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(**values)


def count(number, what):
    return f"{number} {what}{'' if number == 1 else 's'}"


def summary(packages, chapters):
    """Say in a sentence what the page shows."""
    entries = [entry for chapter in chapters for entry in chapter.entries]
    drawn = sum(len(entry.figures) for entry in entries)
    told = sum(bool(entry.text) for entry in entries)
    return (
        f"{count(len(packages), 'version')} moved; {count(told, 'text')} and "
        f"{count(drawn, 'figure')} changed, in {count(len(chapters), 'file')}."
    )


def main():
    """Write the page and say where it is."""
    parser = argparse.ArgumentParser(description="Show what changed in the stored outputs.")
    parser.add_argument("revision", nargs="?", default="HEAD", help="default: the last commit")
    parser.add_argument("--failed", type=Path, metavar="LOG", help="what a failed update said")
    arguments = parser.parse_args()
    try:
        before, after = Revision(arguments.revision), WorkingTree()
    except (OSError, subprocess.CalledProcessError):
        sys.exit(
            f"git knows no revision {arguments.revision!r} here. `git log` shows what it knows."
        )
    packages, chapters = moved_versions(before, after), list(compare_files(before, after))
    said = summary(packages, chapters)
    log = arguments.failed and COLOUR_CODES.sub("", arguments.failed.read_text(encoding="utf-8"))
    page = render(
        revision=before, packages=packages, chapters=chapters, summary=said, log=log, count=count
    )
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    for name, old, new, ours in packages:
        if ours:
            print(f"  {name}: {old or 'not there'} → {new or 'gone'}")
    for chapter in chapters:
        names = [figure.name for entry in chapter.entries for figure in entry.figures]
        texts = sum(bool(entry.text) for entry in chapter.entries)
        print(f"  {chapter.path}: {', '.join([count(texts, 'text'), *names])}")
    print(f"{said} See {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

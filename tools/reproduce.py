"""Run the whole book in many surroundings and compare all it gives: `make reproduce`.

    python -m tools.reproduce                   every row of tools/surroundings.py
    python -m tools.reproduce Haswell-1 oldest  the rows named

A cell is reproduced when its text is the stored one, a figure when it plots what is stored, and
where the pinned versions draw it, when it is the same picture, too. In every row a copy of one
notebook runs besides, in which a plotted line is 1 % higher and one stored digit is another: both
must be found, and nothing else.
"""

import argparse
import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import nbformat
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from tools import figure_record, figures
from tools.notebooks import execute, prepare_kernels
from tools.surroundings import ROOT, Row, UnavailableError, probe, rows

PICTURES = ROOT / "_build" / "figure-diffs"
HEADINGS = ("", "Python", "NumPy", "matplotlib", "OpenBLAS as", "cells", "figures", "planted")
WIDTHS = (13, 8, 10, 11, 12, 9, 8, 0)
PLANTED = "index"
HIGHER = """
import matplotlib.pyplot as plt
for line in plt.gcf().axes[0].lines:
    line.set_ydata(1.01 * line.get_ydata())
"""


class Compared:
    """What was compared, and what of it differs."""

    def __init__(self) -> None:
        self.total = Counter(cells=0, figures=0)
        self.wrong: dict[str, list[str]] = {"cells": [], "figures": []}

    def share(self, kind: str) -> str:
        """Say how many of how many are reproduced."""
        return f"{self.total[kind] - len(self.wrong[kind])}/{self.total[kind]}"

    @property
    def differences(self) -> list[str]:
        """List all that differs."""
        return self.wrong["cells"] + self.wrong["figures"]

    def add_cell(self, name: str, stored: list[dict], new: list[dict], *, may_warn: bool) -> None:
        """Compare the texts of one cell."""
        self.total["cells"] += 1
        old, now = texts(stored), texts(new, may_warn=may_warn)
        if old != now:
            self.wrong["cells"].append(f"{name} printed {now!r} instead of {old!r}")

    def add_figures(
        self, name: str, stored: list[dict], new: list[dict], record: list[dict], *, pixels: bool
    ) -> None:
        """Compare the figures of one cell."""
        pair = pictures(stored), pictures(new)
        self.total["figures"] += max(map(len, pair))
        how = list(figure_record.problems(record, pair[0], figure_record.take(new)))
        if len(pair[0]) != len(pair[1]):
            how.append(f"{len(pair[0])} figure(s) stored, {len(pair[1])} drawn")
        elif pixels:
            how += [said for png in zip(*pair, strict=True) if (said := in_pixels(name, *png))]
        if how:
            self.wrong["figures"].append(f"{name}: {' '.join(how)}")


def texts(outputs: list[dict], *, may_warn: bool = False) -> list[tuple[str, str]]:
    """List what a cell has said, in order, and not what it has drawn."""
    said = []
    for output in outputs:
        if output["output_type"] == "stream":
            if not (may_warn and output["name"] == "stderr"):
                said.append((output["name"], output["text"]))
        elif output["output_type"] == "error":
            said.append(("error", f"{output['ename']}: {output['evalue']}"))
        else:
            said.append((output["output_type"], output["data"].get("text/plain", "")))
    return said


def pictures(outputs: list[dict]) -> list[str]:
    """List the PNGs among a cell's outputs."""
    return [
        output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})
    ]


def in_pixels(name: str, *pngs: str) -> str | None:
    """Say how two pictures differ, and where to see it."""
    pair = [figures.pixels(png) for png in pngs]
    if how := figures.difference(*pair):
        figures.save_comparison(PICTURES / name.replace(" ", "-"), *pair)
        return f"{how} (_build/figure-diffs)."
    return None


async def compare(path: Path, row: Row, python: Path, env: dict, compared: Compared) -> None:
    """Run one notebook in the surroundings of a row, and compare what it gives."""
    stored = nbformat.read(path, as_version=4)
    record = figure_record.load(ROOT / "chapters" / path.name)
    try:
        new = await execute(path, python, env, allow_errors=True)
    except (CellTimeoutError, DeadKernelError, RuntimeError) as error:
        said = f"{path.stem} did not run to its end: {error}"
        new = nbformat.v4.new_notebook(cells=[{**c, "outputs": []} for c in stored.cells])
        compared.wrong["cells"].append(said)
    for cell, now in zip(stored.cells, new.cells, strict=True):
        if cell.cell_type == "code":
            name = f"{row.name} {path.stem} {cell.id}"
            options = {"may_warn": row.versions == "pre-release"}
            compared.add_cell(name, cell.outputs, now.outputs, **options)
            compared.add_figures(
                name, cell.outputs, now.outputs, record.get(cell.id, []), pixels=not row.versions
            )


def plant(source: Path, folder: Path) -> Path:
    """Copy a notebook, with its first figure's lines 1 % higher and one stored digit changed."""
    notebook = nbformat.read(source, as_version=4)
    figure = next(cell for cell in notebook.cells if pictures(cell.get("outputs", [])))
    figure.source += HIGHER
    printed = next(
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and re.search(r"\d", output.text)
    )
    printed.text = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), printed.text, count=1)
    nbformat.write(notebook, folder / source.name)
    return folder / source.name


async def run(row: Row, python: Path, root: Path) -> tuple[Compared, Compared]:
    """Run a row: all notebooks, as many at a time as there are cores for, and the planted one."""
    book, planted = Compared(), Compared()
    free_core = asyncio.Semaphore(max(1, (os.cpu_count() or 1) // row.threads))
    env = row.all_env | ({"PYTHONPATH": str(root)} if root != ROOT else {})

    async def take_turn(path: Path, compared: Compared) -> None:
        async with free_core:
            await compare(path, row, python, env, compared)

    with tempfile.TemporaryDirectory() as folder:
        copy = plant(root / "chapters" / f"{PLANTED}.ipynb", Path(folder))
        jobs = [take_turn(path, book) for path in sorted((root / "chapters").glob("*.ipynb"))]
        await asyncio.gather(*jobs, take_turn(copy, planted))
    return book, planted


def line(row: Row) -> tuple[list[str], list[str]]:
    """Run a row and return its line of the table, and what is wrong."""
    with row.place() as (python, root):
        about = probe(python, row.all_env)
        if row.needs and not about["features"].get(row.needs):
            return [row.name, f"not run: this processor has no {row.needs}"], []
        book, planted = asyncio.run(run(row, python, root))
    found = [len(wrong) for wrong in planted.wrong.values()]
    wrong = book.differences
    if found != [1, 1]:
        wrong.append(f"{row.name}: of one digit and one figure changed, {found} were found")
    cells = [
        row.name,
        *about["versions"],
        about["blas"],
        book.share("cells"),
        book.share("figures"),
    ]
    return [*cells, "found" if found == [1, 1] else "MISSED"], wrong


def show(cells: list[str] | tuple[str, ...]) -> None:
    """Print a line of the table."""
    widths = WIDTHS[: len(cells) - 1]
    print(*(f"{cell:{width}}" for cell, width in zip(cells, (*widths, 0), strict=True)), flush=True)


def main() -> int:
    """Run the command and return its exit status: 1 if anything was not reproduced."""
    every = {row.name: row for row in rows()}
    parser = argparse.ArgumentParser(description="Run the book in many surroundings.")
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(every)}")
    names = parser.parse_args().rows or list(every)
    if unknown := [name for name in names if name not in every]:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(every)}")

    prepare_kernels()
    shutil.rmtree(PICTURES, ignore_errors=True)
    wrong = []
    show(HEADINGS)
    for name in names:
        try:
            cells, different = line(every[name])
        except UnavailableError as error:
            cells, different = [name, f"FAILED: {error}"], [f"{name}: {error}"]
        show(cells)
        wrong += different
    if wrong:
        print(f"\n{len(wrong)} not reproduced:", *wrong, sep="\n  ")
        return 1
    print("\nAll cells and figures are reproduced.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Run the whole book in many surroundings and compare all it gives: `make reproduce`.

    python -m tools.reproduce                   every row of tools/surroundings.py
    python -m tools.reproduce Haswell-1 oldest  the rows named

A cell is reproduced when its text is the stored one, a figure when it plots what is stored, and
where the pinned versions draw it, when it is the same picture, too. In every row a copy of one
notebook runs besides, in which a plotted line is 1 % higher and one stored digit is another: both
must be found.
"""

import argparse
import asyncio
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat

from tools import budget, figure_record, figures
from tools.notebooks import execute, prepare_kernels
from tools.surroundings import ROOT, SET_OUTSIDE, Row, UnavailableError, probe, rows

PICTURES = ROOT / "_build" / "figure-diffs"
HEADINGS = ("", "Python", "NumPy", "matplotlib", "OpenBLAS as", "cells", "figures", "planted")
WIDTHS = (13, 8, 10, 11, 12, 9, 8, 0)
CELL_TIMEOUT = 600  # threads that wait for each other are slow on a busy machine
PLANTED = "index"
HIGHER = """
import matplotlib.pyplot as plt
for line in plt.gcf().axes[0].lines:
    line.set_ydata(1.01 * line.get_ydata())
"""


class Comparison:
    """What of some notebooks was compared in a row, and what of it differs."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.total = {"cells": 0, "figures": 0}
        self.wrong: dict[str, dict[str, str]] = {"cells": {}, "figures": {}}  # how, by the cell

    def share(self, kind: str) -> str:
        """Say how many of how many are reproduced."""
        return f"{self.total[kind] - len(self.wrong[kind])}/{self.total[kind]}"

    def differences(self) -> list[str]:
        """List all that differs."""
        found = [f"{name} {how}" for kind in self.wrong.values() for name, how in kind.items()]
        return [f"{self.row.name}: {what}" for what in found]

    def add(self, name: str, stored: list[dict], new: list[dict], record: list[dict]) -> None:
        """Compare the outputs of one cell."""
        data = figure_record.take(new)
        self.total["cells"] += 1
        old, now = texts(stored), texts(new, may_warn=self.row.versions == "pre-release")
        if old != now:
            self.wrong["cells"][name] = f"printed {now!r} instead of {old!r}"

        pngs = figures.stored_in(stored), figures.stored_in(new)
        self.total["figures"] += max(map(len, pngs))
        how = list(figure_record.problems(record, pngs[0], data))
        if len(pngs[0]) != len(pngs[1]):
            how.append(f"{len(pngs[0])} figure(s) stored, {len(pngs[1])} drawn")
        elif not self.row.versions:  # the pinned ones
            stem = f"{self.row.name} {name}".replace(" ", "-")
            how += [said for pair in zip(*pngs, strict=True) if (said := in_pixels(stem, *pair))]
        if how:
            self.wrong["figures"][name] = f"draws another figure. {' '.join(how)}"


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


def in_pixels(stem: str, *pngs: str) -> str | None:
    """Say how two pictures differ, and where to see it."""
    pair = [figures.pixels(png) for png in pngs]
    if how := figures.difference(*pair):
        figures.save_comparison(PICTURES / stem, *pair)
        return f"In _build/figure-diffs: {how}."
    return None


async def compare(
    path: Path, record: dict, python: Path, env: dict, comparison: Comparison
) -> None:
    """Run one notebook and compare what it gives."""
    stored = nbformat.read(path, as_version=4)
    ended = None
    try:
        new = await execute(path, python, env, allow_errors=True, timeout=CELL_TIMEOUT)
    except Exception as error:  # whatever ended it, its cells are not reproduced
        new = nbformat.from_dict({"cells": [{**cell, "outputs": []} for cell in stored.cells]})
        why = str(error).partition("\n")[0]
        ended = f"is not reproduced, because its notebook did not run to its end: {why}"
    for cell, now in zip(stored.cells, new.cells, strict=True):
        if cell.cell_type == "code":
            name = f"{path.stem} {cell.id}"
            comparison.add(name, cell.outputs, now.outputs, record.get(cell.id, []))
            if ended:
                comparison.wrong["cells"][name] = ended


def plant(source: Path, folder: Path) -> tuple[Path, dict[str, str]]:
    """Copy a notebook with a figure's lines 1 % higher and one stored digit changed; say where."""
    notebook = nbformat.read(source, as_version=4)
    figure = next(cell for cell in notebook.cells if figures.stored_in(cell.get("outputs", [])))
    figure.source += HIGHER
    printing, output = next(
        (cell, output)
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and re.search(r"\d", output.text)
    )
    output.text = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), output.text, count=1)
    nbformat.write(notebook, folder / source.name)
    names = {"figures": f"{source.stem} {figure.id}", "cells": f"{source.stem} {printing.id}"}
    return folder / source.name, names


async def run(row: Row, python: Path, root: Path) -> tuple[Comparison, bool]:
    """Run all notebooks, as many at a time as there are cores for, and the planted one.

    Returns what was compared, and whether both planted faults were found.
    """
    book, spoilt = Comparison(row), Comparison(row)
    free_core = asyncio.Semaphore(max(1, (os.cpu_count() or 1) // row.threads))
    env = row.all_env | ({"PYTHONPATH": str(root)} if root != ROOT else {})

    async def take_turn(path: Path, comparison: Comparison) -> None:
        record = figure_record.load(root / "chapters" / path.name)
        async with free_core:
            await compare(path, record, python, env, comparison)

    paths = sorted((root / "chapters").glob("*.ipynb"), key=dearest_first)
    with tempfile.TemporaryDirectory() as folder:
        copy, planted = plant(root / "chapters" / f"{PLANTED}.ipynb", Path(folder))
        await asyncio.gather(*(take_turn(path, book) for path in paths), take_turn(copy, spoilt))
    # Found are these and no others, or else the copy has come to grief in another way.
    return book, all(
        name in spoilt.wrong[kind] and spoilt.wrong[kind].keys() <= {*book.wrong[kind], name}
        for kind, name in planted.items()
    )


def dearest_first(path: Path) -> float:
    """Sort notebooks so that the longest does not run alone at the end."""
    return -budget.BUDGETS.get(path.stem, budget.GENERAL)


def line(row: Row) -> tuple[list[str], list[str]]:
    """Run a row and return its line of the table, and what is wrong."""
    with row.place() as (python, root):
        # Asked in other surroundings: in its own, NumPy might not even be imported.
        if row.needs and not probe(python, {})["features"].get(row.needs):
            return [row.name, f"not run: this processor has no {row.needs}"], []
        about = probe(python, row.all_env)
        if "OPENBLAS_CORETYPE" in row.env and about["blas"] == "?":
            return [row.name, "not run: NumPy's products here cannot be chosen so"], []
        book, found = asyncio.run(run(row, python, root))
    wrong = book.differences()
    if not found:
        wrong.append(f"{row.name}: the two planted faults were not found, or not they alone")
    shares = [book.share(kind) for kind in book.total]
    return [
        row.name,
        *about["versions"],
        about["blas"],
        *shares,
        "found" if found else "MISSED",
    ], wrong


def show(cells: list[str] | tuple[str, ...]) -> None:
    """Print a line of the table."""
    widths = WIDTHS[: len(cells) - 1]
    print(*(f"{cell:{width}}" for cell, width in zip(cells, (*widths, 0), strict=True)), flush=True)


def main() -> int:
    """Run the command and return its exit status: 1 if anything was not reproduced."""
    for name in SET_OUTSIDE:
        os.environ.pop(name, None)
    every = {row.name: row for row in rows()}
    parser = argparse.ArgumentParser(description="Run the book in many surroundings.")
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(every)}")
    names = parser.parse_args().rows or list(every)
    if unknown := [name for name in names if name not in every]:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(every)}")

    prepare_kernels()
    shutil.rmtree(PICTURES, ignore_errors=True)
    wrong, not_run = [], []
    show(HEADINGS)
    for name in names:
        try:
            cells, different = line(every[name])
        except UnavailableError as error:
            cells, different = [name, f"FAILED: {error}"], [f"{name}: {error}"]
        except KeyboardInterrupt:
            told = f"\nBroken off in the row {name}: what is above is compared, the rest is not."
            print(told, file=sys.stderr, flush=True)
            # At once: nbclient would end kernels that were just starting, with a traceback each.
            # They end by themselves when this process has.
            os._exit(1)
        show(cells)
        wrong += different
        if len(cells) < len(HEADINGS) and not different:
            not_run.append(name)
    if wrong:
        print(f"\n{len(wrong)} not reproduced:", *wrong, sep="\n  ")
        return 1
    if len(not_run) == len(names):
        print("\nNothing was compared: this machine lacks what these rows need. Name others.")
        return 1
    print("\nAll cells and figures are reproduced.")
    if not_run:
        print(f"Not run, and so not compared: {', '.join(not_run)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The rules for stored notebooks: each one refuses what it names, and nothing else."""

import copy
import json
from collections import Counter
from pathlib import Path

import pytest
from nbval.plugin import comment_markers, metadata_tags

from tools.notebook_rules import NOTEBOOK_METADATA, figure_names, problems

CHAPTERS = sorted((Path(__file__).parents[1] / "chapters").glob("*.ipynb"))
CODE, FIGURE = 1, 2


def clean_notebook():
    """Make a notebook that breaks no rule: prose, a printed line, a figure."""
    caption = {"name": "fig-walk", "caption": "Fifty steps."}
    alt = "A jagged line that falls for forty steps and then climbs half-way back."
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": copy.deepcopy(NOTEBOOK_METADATA),
        "cells": [
            {"cell_type": "markdown", "id": "title", "metadata": {}, "source": ["# A walk"]},
            {
                "cell_type": "code",
                "id": "code",
                "execution_count": 1,
                "metadata": {"tags": ["hide-input"]},
                "source": ["# a walk of 50 steps\n", "walk = steps.cumsum()\n", "print(walk[-1])"],
                "outputs": [
                    {
                        "output_type": "stream",
                        "name": "stdout",
                        "text": ["sum 0.25, 3 steps in 10 s-curves, 1/3 of /all, ratio 1.5e-12\n"],
                    }
                ],
            },
            {
                "cell_type": "code",
                "id": "figure",
                "execution_count": 2,
                "metadata": {"mystnb": {"image": {"alt": alt}, "figure": caption}},
                "source": ["ax.plot(walk);"],
                "outputs": [
                    {
                        "output_type": "display_data",
                        "data": {"image/png": "aGk=", "text/plain": ["<Figure size 640x480>"]},
                        "metadata": {},
                    }
                ],
            },
        ],
    }


def broken(where, fault):
    """Apply a fault to a part of the clean notebook: a cell by its index, or the whole."""
    notebook = clean_notebook()
    fault(notebook if where is None else notebook["cells"][where])
    return problems(notebook)


def putting(*path, value):
    """Make the fault that sets `part[path[0]][path[1]]… = value`."""

    def fault(part):
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value

    return fault


def printing(text):
    return putting("outputs", 0, "text", value=[text])


def test_a_clean_notebook_has_no_problems():
    assert problems(clean_notebook()) == []


FAULTS = {
    "never run": (CODE, putting("execution_count", value=None), "never run"),
    "count too high": (CODE, putting("execution_count", value=3), "count is 3, not 1"),
    "counts repeated": (FIGURE, putting("execution_count", value=1), "count is 1, not 2"),
    "stored error": (
        CODE,
        putting("outputs", 0, value={"output_type": "error", "ename": "KeyError"}),
        "a stored KeyError",
    ),
    "stored stderr": (CODE, putting("outputs", 0, "name", value="stderr"), "a stored warning"),
    "caption missing": (
        FIGURE,
        putting("metadata", "mystnb", "figure", "caption", value=" "),
        "without caption",
    ),
    "description missing": (
        FIGURE,
        putting("metadata", "mystnb", "image", value={}),
        "without description",
    ),
    "description short": (
        FIGURE,
        putting("metadata", "mystnb", "image", "alt", value="A falling line."),
        "does not tell",
    ),
    "description a file name": (
        FIGURE,
        putting("metadata", "mystnb", "image", "alt", value=f"../_build/{'x' * 40}.png"),
        "does not tell",
    ),
    "description is the caption": (
        FIGURE,
        putting("metadata", "mystnb", "figure", "caption", value=(
            "A jagged line that falls for forty steps and then climbs half-way back."
        )),
        "the same",
    ),
    "figure name missing": (
        FIGURE,
        putting("metadata", "mystnb", "figure", value={"caption": "Fifty steps."}),
        "the figure name ''",
    ),
    "figure gone": (FIGURE, putting("outputs", value=[]), "but no figure"),
    "two figures": (
        FIGURE,
        lambda cell: cell["outputs"].append(cell["outputs"][0]),
        "2 figures",
    ),
    "interactive output": (
        FIGURE,
        putting("outputs", 0, "data", "text/html", value="<b>"),
        "an output of type text/html",
    ),
    "address": (CODE, printing("<Line2D at 0x7f3a2c10>"), "a memory address"),
    "home path": (CODE, printing("saved to /home/me/x.npy"), "a path of one machine"),
    "Windows path": (CODE, printing(r"saved to C:\me\x.npy"), "a path of one machine"),
    "milliseconds": (CODE, printing("took 12.5 ms"), "a time"),
    "seconds": (CODE, printing("done in 3.1 s"), "a time"),
    "clock": (CODE, printing("finished 12:03:44"), "a time"),
    "memory": (CODE, printing("peak 3.2 MB"), "a memory figure"),
    "unrounded": (CODE, printing("0.30000000000000004"), "more digits"),
    "address of a value": (
        FIGURE,
        putting("outputs", 0, "data", "text/plain", value="<Axes at 0x7f3a2c10>"),
        "a memory address",
    ),
    "empty": (CODE, putting("source", value=[" \n"]), "empty"),
    "empty prose": (0, putting("source", value=[]), "empty"),
    "long": (CODE, putting("source", value=["x = 1\n\n"] * 26), "26 lines of code"),
    "captured": (CODE, putting("source", value=["%%capture\n", "x"]), "hides the outputs"),
    "warnings hidden": (
        CODE,
        putting("source", value=['warnings.filterwarnings("ignore")']),
        "hides warnings",
    ),
    "numbers' warnings hidden": (
        CODE,
        putting("source", value=['np.seterr(all="ignore")']),
        "hides warnings",
    ),
    "warnings hidden for a while": (
        CODE,
        putting("source", value=['with np.errstate(over="ignore"):\n', "    x"]),
        "hides warnings",
    ),
    "numbers' warnings raised but for one": (
        CODE,
        putting("source", value=['with np.errstate(all="raise", over="ignore"):\n', "    x"]),
        "hides warnings",
    ),
    "numbers' warnings sent away": (
        CODE,
        putting("source", value=['with np.errstate(all="log", call=nowhere):\n', "    x"]),
        "hides warnings",
    ),
    "id missing": (CODE, lambda cell: cell.pop("id"), "no cell id"),
    "timings": (CODE, putting("metadata", "execution", value={}), "not content (execution)"),
    "id repeated": (CODE, putting("id", value="title"), "the cell id 'title' is used 2 times"),
    "figure name repeated": (
        None,
        lambda notebook: notebook["cells"].append({**notebook["cells"][2], "id": "again",
                                                   "execution_count": 3}),
        "the figure name 'fig-walk' is used 2 times",
    ),
    "widget state": (None, putting("metadata", "widgets", value={}), "its metadata"),
    "other kernel": (
        None,
        putting("metadata", "kernelspec", "name", value="my-env"),
        "its metadata",
    ),
    "Python version": (
        None,
        putting("metadata", "language_info", "version", value="3.11.7"),
        "its metadata",
    ),
    "old format": (None, putting("nbformat_minor", value=4), "older than format 4.5"),
} | {
    f"comment {marker}": (
        CODE,
        putting("source", value=["x = 1\n", f"  #{marker}"]),
        "switches the comparison off",
    )
    for marker in [*comment_markers, "NBVAL_INVENTED_LATER"]
} | {
    f"tag {tag}": (CODE, putting("metadata", "tags", value=[tag]), f"{tag!r} switches")
    for tag in [*metadata_tags, "skip-execution"]
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_by_its_own_rule_alone(name):
    where, fault, message = FAULTS[name]
    (problem,) = broken(where, fault)
    assert message in problem


def test_a_problem_names_its_cell():
    (problem,) = broken(CODE, putting("execution_count", value=None))
    assert problem == "cell 2 (id code): never run; run `make notebooks`"


@pytest.mark.parametrize("loud", ['all="raise"', 'all="log", call=sys.stdout'])
def test_warnings_may_be_raised_or_printed(loud):
    for options in (loud, f'{loud}, under="ignore"'):
        assert (
            broken(CODE, putting("source", value=[f"with np.errstate({options}):\n", "    x"]))
            == []
        )


def test_25_lines_of_code_are_not_too_many():
    assert broken(CODE, putting("source", value=["x = 1\n\n"] * 25)) == []


@pytest.mark.skipif(not CHAPTERS, reason="there are no chapters yet")
def test_figure_names_are_unique_in_the_book():
    notebooks = [json.loads(path.read_text(encoding="utf-8")) for path in CHAPTERS]
    uses = Counter(name for notebook in notebooks for name in figure_names(notebook))
    assert {name: count for name, count in uses.items() if count > 1} == {}

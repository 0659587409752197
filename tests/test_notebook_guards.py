"""Plant faults in a notebook and see `pytest --nbval` turn red, each in its own cell.

One small notebook is executed and stored by `make notebooks`' own program. One run of pytest then
meets it twice: as stored, and with a fault in every cell but the last. Every test below reads that
run's report.
"""

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from tools import figure_record
from tools.notebook_rules import NOTEBOOK_METADATA

ROOT = Path(__file__).resolve().parents[1]
ALT = "A drawing that is made only to be spoilt, with a description of honest length."

SOURCES = {
    "setup": (
        "import warnings\nimport numpy as np\nimport matplotlib.pyplot as plt\n"
        "rng = np.random.default_rng(0)\nx = np.arange(50)\nwalk = rng.normal(size=50).cumsum()\n"
        "points = rng.normal(size=50)\ntable = rng.normal(size=(5, 5))\nprint('ready')"
    ),
    "number": "print('first')\nprint(f'the walk ends at {walk[-1]:.3f}')",
    "value": "{'end': round(float(walk[-1]), 3), 'steps': x[:3]}",
    "line": "fig, ax = plt.subplots()\nax.plot(x, x / 10)\nax.plot(x, walk);",
    "scatter": "fig, ax = plt.subplots()\nax.scatter(x, x / 10)\nax.scatter(x, points);",
    "bars": "fig, ax = plt.subplots()\nax.bar(x, abs(walk))\nax.set_ylim(0, 20);",
    "heat-map": "fig, ax = plt.subplots()\nfig.colorbar(ax.imshow(table));",
    "replaced": "fig, ax = plt.subplots()\nax.plot(x, -walk);",
    "removed": "fig, ax = plt.subplots()\nax.plot(x, 1 - walk);",
    "warning": "print('calm')",
    "uncaptioned": "fig, ax = plt.subplots()\nax.plot(x, 2 - walk);",
    "unrun": "x = x + 0",
    "traceback": "x = x + 0.0",
    "stderr": "print('quiet')",
    "ignored": "print('checked')",
    "tagged": "print('checked too')",
    "untouched": "fig, ax = plt.subplots()\nax.hist(points);",
}

# The fault by the cell that has it: how it is planted (on the cell) and what the report must say
# of that cell. Faults that only reading the notebook can find leave the executed cell green.
STORED = {name: f"cell {number} (id {name})" for number, name in enumerate(SOURCES, start=1)}


def change_source(old, new):
    def plant(cell, cells):
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return plant


def change_number(cell, cells):
    digit = cell.outputs[0].text.strip()[-1]
    cell.outputs[0].text = cell.outputs[0].text.strip()[:-1] + f"{(int(digit) + 1) % 10}\n"


def change_value(cell, cells):
    data = cell.outputs[0].data
    data["text/plain"] = data["text/plain"].replace("2]", "3]")


def swap_figure(cell, cells):
    cell.outputs = cells["line"].outputs


def remove_figure(cell, cells):
    cell.outputs = []


def remove_count(cell, cells):
    cell.execution_count = None


def store_traceback(cell, cells):
    cell.outputs.append(nbformat.v4.new_output("error", ename="ValueError", evalue="no"))


def store_stderr(cell, cells):
    text = "x.py:1: RuntimeWarning: overflow encountered in exp\n  y = np.exp(x)\n"
    cell.outputs.append(nbformat.v4.new_output("stream", name="stderr", text=text))


def ignore(cell, cells):
    cell.source = "# NBVAL_IGNORE_OUTPUT\n" + cell.source.replace("checked", "anything")


def tag(cell, cells):
    cell.metadata["tags"] = ["nbval-ignore-output"]
    cell.source = cell.source.replace("checked", "anything")


def remove_caption(cell, cells):
    del cell.metadata["mystnb"]["figure"]


EXECUTED = {
    "number": (change_number, "mismatch 'stdout'"),
    "value": (change_value, "mismatch 'text/plain'"),
    "line": (change_source("walk)", "1.01 * walk)"), "The figure is not the stored one"),
    "scatter": (change_source("points)", "1.01 * points)"), "The figure is not the stored one"),
    "bars": (change_source("abs(walk)", "1.01 * abs(walk)"), "The figure is not the stored one"),
    "heat-map": (change_source("table", "1.01 * table"), "The figure is not the stored one"),
    "replaced": (swap_figure, "The figure is not the stored one"),
    "removed": (remove_figure, "0 figure(s) stored, 1 drawn"),
    "warning": (
        change_source("print", "warnings.warn('careful', stacklevel=1)\nprint"),
        "Unexpected output fields from running code: {'stderr'}",
    ),
    "traceback": (store_traceback, "Missing output fields from running code"),
    "stderr": (store_stderr, "Missing output fields from running code: {'stderr'}"),
}
# What the stored data of the figures must say besides.
DATA = {
    "line": "The figure plots something else than the stored one: axes 1: 2 of 2",
    "bars": "The figure plots something else than the stored one: axes 1: area 1: 2 of",
    "heat-map": "The figure plots something else than the stored one: axes 1: image 1: ",
    "scatter": "belongs to another picture than the stored one",
    "replaced": "belongs to another picture than the stored one",
}
READ = {
    "removed": (None, "a caption or description, but no figure"),
    "uncaptioned": (remove_caption, "a figure without caption"),
    "unrun": (remove_count, "never run"),
    "traceback": (None, "a stored ValueError"),
    "stderr": (None, "a stored warning or error message (x.py:1: RuntimeWarning: overflow"),
    "ignored": (ignore, "`NBVAL_IGNORE_OUTPUT` switches the comparison off"),
    "tagged": (tag, "the tag 'nbval-ignore-output' switches the comparison off"),
}


def run(*command):
    result = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    return result.returncode, result.stdout + result.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Store the sound notebook and the faulty one."""
    folder = tmp_path_factory.mktemp("notebooks")
    cells = [
        new_code_cell(source, id=name, metadata=_description(name) if "subplots" in source else {})
        for name, source in SOURCES.items()
    ]
    nbformat.write(new_notebook(cells=cells), folder / "sound.ipynb")
    status, said = run("tools.notebooks", folder / "sound.ipynb")
    assert status == 0, said
    assert "refuse" not in said, said

    notebook = nbformat.read(folder / "sound.ipynb", as_version=4)
    cells = {cell.id: cell for cell in notebook.cells}
    for faults in (EXECUTED, READ):
        for name, (plant, _) in faults.items():
            if plant:
                plant(cells[name], cells)
    # As plain JSON: nbformat would refuse to write some of the faults.
    (folder / "faulty.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    record = figure_record.load(folder / "sound.ipynb")
    del record["scatter"]
    text = figure_record.dumps(record)
    figure_record.path_of(folder / "faulty.ipynb").write_text(text, encoding="utf-8")
    return folder


def _description(name):
    figure = {"name": f"fig-{name}", "caption": f"The {name} figure."}
    return {"mystnb": {"image": {"alt": ALT}, "figure": figure}}


@pytest.fixture(scope="module")
def report(folder):
    """Run pytest over both and return its messages: {(notebook, test): failure text or None}."""
    status, said = run(
        *("pytest", "-p", "conftest", "-c", ROOT / "pyproject.toml", "--rootdir", folder),
        *("--nbval", "--color=no", "--junitxml", folder / "report.xml"),
        *(folder / "sound.ipynb", folder / "faulty.ipynb"),
    )
    assert status == pytest.ExitCode.TESTS_FAILED, said
    messages = {}
    for test in ElementTree.parse(folder / "report.xml").iter("testcase"):
        notebook = "sound" if "sound" in test.get("classname") else "faulty"
        failure = test.find("failure")
        messages[notebook, test.get("name")] = None if failure is None else failure.text
    return messages


def in_cell(report, notebook, name):
    return report[notebook, f"Cell {list(SOURCES).index(name)}"]


def test_the_sound_notebook_is_green(report):
    verdicts = {
        test: message for (notebook, test), message in report.items() if notebook == "sound"
    }
    assert len(verdicts) == len(SOURCES) + 2  # its cells, its rules and its cost
    assert set(verdicts.values()) == {None}


@pytest.mark.parametrize("name", EXECUTED)
def test_a_fault_in_the_outputs_is_red(report, name):
    message = in_cell(report, "faulty", name)
    assert message, f"the fault in {name!r} went unnoticed"
    assert EXECUTED[name][1] in message
    assert "run `make notebooks`" in message


@pytest.mark.parametrize("name", DATA)
def test_a_fault_in_what_a_figure_plots_is_red(report, name):
    assert DATA[name] in in_cell(report, "faulty", name)


@pytest.mark.parametrize("name", READ)
def test_a_fault_in_the_notebook_is_red(report, name):
    assert f"{STORED[name]}: {READ[name][1]}" in report["faulty", "rules"]


def test_cells_without_fault_stay_green(report):
    for name in ("setup", "untouched"):
        assert in_cell(report, "faulty", name) is None
        assert STORED[name] not in report["faulty", "rules"]


def test_a_figure_that_differs_can_be_looked_at(report, folder):
    message = in_cell(report, "faulty", "line")
    for kind in ("stored", "new", "difference"):
        path = folder / "_build" / "figure-diffs" / f"faulty-line-1-{kind}.png"
        assert path.is_file()
        assert str(path) in message
    assert not list(path.parent.glob("*untouched*"))


@pytest.fixture(scope="module")
def again(folder, report):
    """Execute three notebooks in one go; return the exit status, what was said, the old bytes."""
    broken = [new_code_cell("print('fine')"), new_code_cell("1 / 0")]
    nbformat.write(new_notebook(cells=broken), folder / "broken.ipynb")

    carried = {"execution": {}, "scrolled": True, "tags": ["x"]}
    cells = [new_code_cell("1 + 1", id="kept", metadata=carried)]
    metadata = {"widgets": {}, "colab": {}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), folder / "carrying.ipynb")

    # Another machine may pack the pixels of a figure into other bytes.
    notebook = nbformat.read(folder / "sound.ipynb", as_version=4)
    data = notebook.cells[-1].outputs[0].data
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    image.save(packed := io.BytesIO(), "png", compress_level=1)
    other = base64.b64encode(packed.getvalue()).decode()
    assert data["image/png"] != other
    data["image/png"] = other
    nbformat.write(notebook, folder / "sound.ipynb")

    paths = [folder / f"{name}.ipynb" for name in ("broken", "carrying", "sound")]
    before = {path.stem: path.read_bytes() for path in paths}
    return *run("tools.notebooks", *paths), before


def test_a_failed_execution_leaves_the_notebook_as_it_was(folder, again):
    status, said, before = again
    assert status == 1
    assert (folder / "broken.ipynb").read_bytes() == before["broken"]
    assert "1 / 0" in said
    assert "ZeroDivisionError" in said
    assert "1 of 3 notebooks failed" in said


def test_executing_a_sound_notebook_again_changes_nothing(folder, again):
    _, said, before = again
    assert f"unchanged  {folder / 'sound.ipynb'}" in said
    assert (folder / "sound.ipynb").read_bytes() == before["sound"]


def test_what_a_notebook_carries_around_is_removed(folder, again):
    notebook = nbformat.read(folder / "carrying.ipynb", as_version=4)
    assert notebook.metadata == NOTEBOOK_METADATA
    (cell,) = notebook.cells
    assert cell.metadata == {"tags": ["x"]}
    assert cell.id == "kept"
    assert cell.outputs[0].data["text/plain"] == "2"

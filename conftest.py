"""What `pytest` does with notebooks.

Every notebook it meets is read and held against the rules of `tools/notebook_rules.py`. With
`--nbval` every notebook is also executed, in a fresh kernel, and each cell's outputs are compared
with the stored ones: the text by nbval, character by character; the figures here, because nbval
leaves them out. Its cost is held against a budget (`tools/budget.py`).
"""

import dataclasses
import importlib
import json
import shutil
import statistics
from pathlib import Path

import pytest
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell, IPyNbFile

from tools import budget, figure_record, figures, notebook_rules, notebooks

LONGEST = {"test_pages": 0, "test_hostile": 1, "test_exercises": 2, "test_live": 3, "test_gates": 4}


def pytest_configure(config):
    """Prepare the surroundings, and with `--nbval` the comparison."""
    notebooks.prepare_kernels()
    # A test that draws needs no window. (Imported only now: matplotlib reads its settings then.)
    importlib.import_module("matplotlib").use("Agg")
    config.figure_diffs = config.rootpath / "_build" / "figure-diffs"
    if config.option.nbval:
        # The kernel is the Python that runs pytest, not whatever is called "python3" on a machine.
        config.option.nbval_current_env = True
        config.option.nbval_cell_timeout = notebooks.CELL_TIMEOUT
        IPyNbCell.compare_outputs = compare_outputs
        RunningKernel.execute_cell_input = execute_cell_input
        if not hasattr(config, "workerinput"):  # once, not in every process of pytest-xdist
            shutil.rmtree(config.figure_diffs, ignore_errors=True)


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, so that none of them is left alone at the end."""
    items.sort(key=lambda item: start_order(item.path))


def start_order(path):
    """Put the longest files of tests first, then the notebooks by what they cost, then the rest."""
    if path.suffix == ".ipynb":
        return len(LONGEST), -budget.BUDGETS.get(path.stem, budget.GENERAL)
    return LONGEST.get(path.stem, len(LONGEST) + 1), 0


def execute_cell_input(kernel, code, allow_stdin=None):
    """Run a cell as Jupyter does, with history.

    nbval runs it without, and then IPython shows a last line's value in spite of its semicolon.
    """
    return kernel.kc.execute(code, allow_stdin=allow_stdin, stop_on_error=False)


# nbval leaves no place to add a comparison, so it is put around the one it has.
compare_text = IPyNbCell.compare_outputs


def compare_outputs(cell, new, stored):
    """Compare a cell's text, then its figures; what differs goes to `comparison_traceback`."""
    data = figure_record.take(new)
    same_text = compare_text(cell, new, stored)
    different = [
        *different_figures(cell, figures.stored_in(stored), figures.stored_in(new)),
        *different_data(cell, figures.stored_in(stored), data),
    ]
    cell.comparison_traceback += [
        *different,
        f"If this is how {cell.path.name} should be now: run `make notebooks` and look at what it "
        "changes.",
    ]
    return same_text and not different


def different_figures(cell, stored, new):
    """Say how each figure differs and where to see it; nothing when all are the same."""
    if len(stored) != len(new):
        yield f"{len(stored)} figure(s) stored, {len(new)} drawn"
        return
    for number, pngs in enumerate(zip(stored, new, strict=True), start=1):
        pair = [figures.pixels(png) for png in pngs]
        if how := figures.difference(*pair):
            stem = f"{cell.path.stem}-{cell.cell.get('id', cell.cell_num)}-{number}"
            paths = figures.save_comparison(cell.config.figure_diffs / stem, *pair)
            yield "\n  ".join([f"The figure is not the stored one: {how}. See", *map(str, paths)])


def different_data(cell, stored_pngs, new):
    """Say what each figure plots otherwise, or that its picture and its data do not belong."""
    stored = figure_record.load(cell.path).get(cell.cell.get("id"), [])
    yield from figure_record.problems(stored, stored_pngs, new)


def pytest_collect_file(file_path: Path, parent):
    """Hold every notebook against the rules; nbval adds its cells when it is to execute them."""
    if file_path.suffix == ".ipynb":
        return StoredNotebook.from_parent(parent, path=file_path)
    return None


class StoredNotebook(pytest.File):
    """A notebook as it is stored, not run."""

    def collect(self):
        """Yield the one test there is."""
        yield RulesItem.from_parent(self, name="rules")


class RulesItem(pytest.Item):
    """Passes when the notebook breaks no rule."""

    def runtest(self):
        """Fail with a list of everything to mend."""
        notebook = json.loads(self.path.read_text(encoding="utf-8"))
        if found := notebook_rules.problems(notebook):
            pytest.fail("\n".join([f"{self.path.name} must be mended:", *found]), pytrace=False)

    def reportinfo(self):
        """Name the test in reports."""
        return self.path, 0, f"{self.path.name}: rules"


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Let the last test of an executed notebook be what it has cost."""
    report = yield
    if isinstance(collector, IPyNbFile) and report.passed:
        report.result.append(CostItem.from_parent(collector, name="cost"))
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Measure the unit of cost before a notebook's kernel starts, and count its cells."""
    notebook = item.parent
    if isinstance(notebook, IPyNbFile):
        if notebook.kernel is None:
            notebook.stash[UNIT_BEFORE] = budget.unit()
        notebook.stash[BEGUN] = notebook.stash.get(BEGUN, 0) + isinstance(item, IPyNbCell)


UNIT_BEFORE = pytest.StashKey[float]()
BEGUN = pytest.StashKey[int]()


class CostItem(pytest.Item):
    """Passes when the kernel that has run all cells is within the notebook's budget."""

    def runtest(self):
        """Fail with the cost, the budget and what to do."""
        notebook = self.parent
        cells = sum(cell.cell_type == "code" for cell in notebook.nb.cells)
        if notebook.stash[BEGUN] < cells or not notebook.kernel.is_alive():
            pytest.fail(
                f"What {self.path.name} costs is known when all its cells have run: mend those "
                f"that failed, then run `pytest {self.path}`.",
                pytrace=False,
            )
        seconds = budget.spent(notebook.kernel.km.provisioner.pid)
        unit = statistics.mean([notebook.stash[UNIT_BEFORE], budget.unit()])
        cost = budget.Cost(self.path.stem, seconds, unit)
        self.user_properties.append(("cost", dataclasses.asdict(cost)))
        if reason := budget.not_judged():
            pytest.skip(reason)
        if complaint := cost.complaint():
            pytest.fail(complaint, pytrace=False)

    def reportinfo(self):
        """Name the test in reports."""
        return self.path, 0, f"{self.path.name}: cost"


def pytest_terminal_summary(terminalreporter):
    """Show what the notebooks have cost, wherever they ran."""
    outcomes = ("passed", "failed", "skipped")
    costs = [
        budget.Cost(**value)
        for outcome in outcomes
        for report in terminalreporter.getreports(outcome)
        for name, value in getattr(report, "user_properties", ())
        if name == "cost" and report.when == "call"
    ]
    if costs:
        terminalreporter.section("what the notebooks cost")
        for line in budget.table(costs):
            terminalreporter.line(line)

"""Execute the book's notebooks and store their outputs: `make notebooks`.

    python -m tools.notebooks                         all of chapters/
    python -m tools.notebooks chapters/backprop.ipynb  the ones named

A notebook whose execution fails stays as it was. One whose outputs have not changed is not written
at all, and a figure that is the same picture keeps its stored bytes: what `git diff` shows has
really changed.
"""

import argparse
import asyncio
import importlib
import os
import statistics
import sys
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from tools import budget, figure_record, figures
from tools.notebook_rules import CELL_METADATA, NOTEBOOK_METADATA, problems

ROOT = Path(__file__).resolve().parents[1]
CELL_TIMEOUT = 120

# A history on disk makes kernels that run side by side wait for each other, and a kernel that only
# this machine can reach need not warn that its messages are not encrypted. What a figure plots is
# sent beside its picture by an extension, which is found behind all that is installed.
KERNEL_CONFIG = f"""\
import sys
sys.path.append({str(ROOT)!r})
c = get_config()
c.HistoryManager.hist_file = ":memory:"
c.IPKernelApp.log_level = "ERROR"
c.InteractiveShellApp.extensions = ["tools.figure_data"]
"""


class OnePython(KernelSpecManager):
    """Starts every kernel with one Python, whatever is called "python3" on a machine."""

    def __init__(self, python: str | Path, env: dict[str, str]) -> None:
        super().__init__()
        self.argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self.env = env

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Describe that Python's kernel."""
        return KernelSpec(argv=self.argv, env=self.env, display_name=kernel_name, language="python")


def prepare_kernels() -> None:
    """Give every kernel started from this process the same surroundings on every machine.

    A reader's own IPython start-up files and matplotlib style would change the outputs, and
    threads would make several small kernels fight over the cores.
    """
    for name in ("MPLBACKEND", "MATPLOTLIBRC", "JUPYTER_PATH", "JUPYTER_CONFIG_PATH"):
        os.environ.pop(name, None)
    for kind in ("CONFIG", "DATA", "RUNTIME"):
        os.environ[f"JUPYTER_{kind}_DIR"] = str(ROOT / "_build" / "jupyter" / kind.lower())
    profile = ROOT / "_build" / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text(KERNEL_CONFIG, encoding="utf-8")
    os.environ["IPYTHONDIR"] = str(profile.parent)
    os.environ["MPLCONFIGDIR"] = str(ROOT / "_build" / "matplotlib")
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    # On a fresh machine this lists the fonts, once. A kernel that did it would say so on stderr,
    # and a stored message on stderr is a failure.
    importlib.import_module("matplotlib.font_manager")


async def execute(
    path: Path,
    python: str | Path = sys.executable,
    env: dict[str, str] | None = None,
    after_cell=lambda kernel_pid: None,
    **options,
) -> nbformat.NotebookNode:
    """Run a notebook from a fresh start, in its own folder; options are those of NotebookClient."""
    options = {"timeout": CELL_TIMEOUT} | options
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(
            kernel_name="python3", kernel_spec_manager=OnePython(python, env or {})
        ),
        resources={"metadata": {"path": str(path.parent)}},
        coalesce_streams=True,
        shutdown_kernel="immediate",
        on_cell_executed=lambda **_: after_cell(client.km.provisioner.pid),
        **options,
    )
    # It would answer Ctrl-C by ending the kernel it has started last, and go on with all others.
    asyncio.get_running_loop().add_signal_handler = refuse
    return await client.async_execute(cleanup_kc=True)


def refuse(*_) -> None:
    """Stand in for what cannot be had, as nbclient expects it."""
    raise RuntimeError


def normalise(notebook: nbformat.NotebookNode) -> None:
    """Remove what differs from run to run or machine to machine without being content."""
    notebook.nbformat_minor = 5
    notebook.metadata = nbformat.from_dict(NOTEBOOK_METADATA)
    for cell in notebook.cells:
        for key in set(cell.metadata) - CELL_METADATA:
            del cell.metadata[key]


def keep_same_figures(new: nbformat.NotebookNode, stored: nbformat.NotebookNode) -> None:
    """Put the stored bytes back wherever the new figure is the same picture."""
    stored_figures = {cell.id: _figures(cell) for cell in stored.cells}
    for cell in new.cells:
        for data, old in zip(_figures(cell), stored_figures.get(cell.id, ()), strict=False):
            pair = figures.pixels(old["image/png"]), figures.pixels(data["image/png"])
            if figures.difference(*pair) is None:
                data["image/png"] = old["image/png"]


def take_data(notebook: nbformat.NotebookNode, stored: dict) -> dict:
    """Take what the figures plot out of the outputs, as stored where it is the same."""
    record = {cell.id: figure_record.take(cell.get("outputs", ())) for cell in notebook.cells}
    for name, taken in record.items():
        for number, (new, old) in enumerate(zip(taken, stored.get(name, ()), strict=False)):
            same = new["picture"] == old["picture"] and not figure_record.difference(old, new)
            taken[number] = old if same else new
    return {name: taken for name, taken in record.items() if taken}


def _figures(cell: nbformat.NotebookNode) -> list[dict]:
    data = (output.get("data", {}) for output in cell.get("outputs", ()))
    return [bundle for bundle in data if "image/png" in bundle]


def write(path: Path, text: str) -> bool:
    """Write a file if its text is another now, all or nothing; say whether it was."""
    if path.exists() and text == path.read_text(encoding="utf-8"):
        return False
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    temporary.replace(path)
    return True


async def renew(path: Path, free_core: asyncio.Semaphore) -> list[str] | None:
    """Execute and store one notebook; return what it breaks of the rules, None if it failed."""
    async with free_core:
        unit_before = await asyncio.to_thread(budget.unit)
        seconds = [0.0]  # up to the end of each cell: after the last one the kernel is soon gone
        try:
            notebook = await execute(path, after_cell=lambda pid: seconds.append(budget.spent(pid)))
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            print(f"FAILED     {path}, which stays as it was. The cell and what happened:\n{error}")
            return None
        unit = statistics.mean([unit_before, await asyncio.to_thread(budget.unit)])
    cost = budget.Cost(path.stem, seconds[-1], unit)
    normalise(notebook)
    keep_same_figures(notebook, stored=nbformat.read(path, as_version=4))
    record = take_data(notebook, stored=figure_record.load(path))
    changed = write(path, nbformat.writes(notebook).rstrip("\n") + "\n")
    changed |= write(figure_record.path_of(path), figure_record.dumps(record))
    print(f"{'written' if changed else 'unchanged':10} {path}  {cost}", flush=True)
    if (complaint := cost.complaint()) and not budget.not_judged():
        print(f"           {complaint}")
    return [f"{path}: {problem}" for problem in problems(notebook)]


async def renew_all(paths: list[Path]) -> list[list[str] | None]:
    """Execute the notebooks, as many at a time as there are cores."""
    free_core = asyncio.Semaphore(os.cpu_count() or 1)
    return await asyncio.gather(*(renew(path, free_core) for path in paths))


def main() -> int:
    """Run the command and return its exit status: 1 if a notebook could not be executed."""
    parser = argparse.ArgumentParser(description="Execute notebooks and store their outputs.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of chapters/")
    paths = parser.parse_args().notebooks or sorted(Path("chapters").glob("*.ipynb"))
    if missing := [str(path) for path in paths if not path.is_file()]:
        parser.error(f"no such notebook: {', '.join(missing)}")

    prepare_kernels()
    results = asyncio.run(renew_all(paths))
    failed = results.count(None)
    to_mend = [problem for result in results for problem in result or ()]
    if to_mend:
        print("\nStored, but `make test` will refuse:", *to_mend, sep="\n  ")
    if failed:
        print(f"\n{failed} of {len(paths)} notebooks failed: mend the cell shown, then run again.")
        return 1
    print("\nNext: look at every figure that `git diff --stat` says has changed, then `make test`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

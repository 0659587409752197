"""What the site offers to download: every notebook runs with the offered wheel and nothing else."""

import ast
import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest

from tools import notebooks

ROOT = Path(__file__).parents[1]
SHORT = "zero_grad.ipynb"  # has a live figure, too
PICTURE = re.compile(r'<img src="data:image/svg\+xml;base64,([\w+/=]+)" alt="[^"]{40,}">\n\n\S')


@pytest.fixture(scope="module")
def downloads(site):
    return site / "_downloads"


@pytest.fixture(scope="module")
def elsewhere(downloads, tmp_path_factory):
    """Return an empty folder, and surroundings in which Python finds gradnb in the wheel alone."""
    folder = tmp_path_factory.mktemp("elsewhere")
    [wheel] = downloads.glob("*.whl")
    installed = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(installed)
    return folder, {**os.environ, "PYTHONPATH": str(installed)}


def sources():
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    pages = [ROOT / f"{name}.ipynb" for name in re.findall(r"(?:root|file):\s*(\S+)", toc)]
    return [path for path in pages if path.exists()]


def code(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def text(cell):
    """Return what a cell printed and showed, without the figures."""
    return [
        out.get("text") or out["data"].get("text/plain")
        for out in cell.get("outputs", [])
        if "image/png" not in out.get("data", {})
    ]


def test_each_notebook_is_there_as_it_is_but_for_pictures_that_lay_beside_it(downloads):
    pictures = 0
    assert {p.name for p in downloads.glob("*.ipynb")} == {p.name for p in sources()}
    for path in sources():
        published = (downloads / path.name).read_text(encoding="utf-8").splitlines(keepends=True)
        stored = path.read_text(encoding="utf-8").splitlines(keepends=True)
        if not any("live/" in line for line in stored):
            assert published == stored
            continue
        cells = [json.loads("".join(lines))["cells"] for lines in (published, stored)]
        for new, old in zip(*cells, strict=True):
            source = "".join(old["source"])
            if "live/" in source:
                found = PICTURE.findall("".join(new["source"]))
                wanted = re.findall(r"\{figure\} (live/\S+)", source)
                files = [(path.parent / name).read_bytes() for name in wanted]
                assert files == [base64.b64decode(picture) for picture in found]
                pictures += len(found)
            else:
                assert new == old
        assert "live/" not in "".join(published)
    assert pictures


def test_the_wheel_is_made_of_this_package_and_always_the_same(downloads, tmp_path, monkeypatch):
    [wheel] = downloads.glob("*.whl")
    for file in zipfile.ZipFile(wheel).infolist():
        if file.filename.startswith("gradnb/"):
            assert zipfile.ZipFile(wheel).read(file) == (ROOT / file.filename).read_bytes()
    monkeypatch.syspath_prepend(str(ROOT / "_ext"))
    from downloads import build_wheel

    build_wheel(tmp_path, ROOT)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_what_the_notebooks_import_is_numpy_matplotlib_and_the_wheel(elsewhere):
    folder, surroundings = elsewhere
    imports = {
        ast.unparse(node)
        for path in sources()
        for cell in code(path)
        for node in ast.walk(ast.parse(re.sub(r"^[%!].*", "", cell, flags=re.M)))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    named = {re.match(r"(?:import|from) (\w+)", line)[1] for line in imports}
    assert named <= {"gradnb", "numpy", "matplotlib", *sys.stdlib_module_names}
    script = "\n".join([*sorted(imports), "import gradnb", "print(gradnb.__file__)"])
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=surroundings,
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stdout.strip().startswith(surroundings["PYTHONPATH"])


def test_a_downloaded_chapter_runs_alone_and_prints_the_same(downloads, elsewhere, monkeypatch):
    folder, surroundings = elsewhere
    monkeypatch.setenv("PYTHONPATH", surroundings["PYTHONPATH"])
    stored = nbformat.read(downloads / SHORT, as_version=4)
    notebook = nbformat.read(downloads / SHORT, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("print(gnb.__file__)"))
    nbformat.write(notebook, folder / SHORT)
    with ThreadPoolExecutor() as thread:  # in this one, a browser of other tests may be at work
        run = thread.submit(asyncio.run, notebooks.execute(folder / SHORT)).result()
    assert run.cells.pop().outputs[0].text.startswith(surroundings["PYTHONPATH"])
    for new, old in zip(run.cells, stored.cells, strict=True):
        assert text(new) == text(old)

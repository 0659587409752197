"""`make reproduce` on a small book: what differs is found in every row, and in no other case."""

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from tools import figure_data, figure_record, reproduce, surroundings
from tools.surroundings import Row, rows

SETUP = """\
import warnings
import numpy as np
import matplotlib.pyplot as plt
print(f"sum {np.arange(9.0).sum():.1f}")"""
DRAW = "fig, ax = plt.subplots()\nax.plot([1, 2], [3, 4]);"


def store(path, **sources):
    """Store a notebook as `make notebooks` does."""
    cells = [new_code_cell(source, id=name) for name, source in sources.items()]
    nbformat.write(new_notebook(cells=cells), path)
    command = [sys.executable, "-m", "tools.notebooks", path]
    subprocess.run(command, cwd=surroundings.ROOT, check=True, capture_output=True)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    chapters = tmp_path_factory.mktemp("book") / "chapters"
    chapters.mkdir()
    store(chapters / "index.ipynb", setup=SETUP, figure=DRAW, last="print('end')")
    return chapters


@pytest.fixture
def chapters(stored, tmp_path, monkeypatch):
    """Make a copy of the small book, and let it be the one that is run."""
    (tmp_path / "chapters" / "figures").mkdir(parents=True)
    for path in stored.rglob("*.*"):
        copy = tmp_path / "chapters" / path.relative_to(stored)
        copy.write_bytes(path.read_bytes())
    for module in (reproduce, surroundings):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(reproduce, "PICTURES", tmp_path / "pictures")
    return tmp_path / "chapters"


def change(path, cell, **changes):
    notebook = nbformat.read(path, as_version=4)
    (found,) = [one for one in notebook.cells if one.id == cell]
    found.update(changes)
    nbformat.write(notebook, path)


def line(row):
    """Run a row in a thread of its own, because the browser of other tests has a loop in this."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(reproduce.line, row).result()


def shares(row):
    """Run a row, and return the shares of cells and figures, the planted faults, what is wrong."""
    cells, wrong = line(row)
    return cells[-3:], wrong


def test_all_is_reproduced_in_the_surroundings_that_a_row_names(chapters):
    core = next(iter(surroundings.CORES.get("x86_64")))
    cells, wrong = line(Row("a row", {"OPENBLAS_CORETYPE": core}, threads=2))
    assert wrong == []
    assert cells[0] == "a row"
    assert cells[-3:] == ["3/3", "1/1", "found"]
    assert cells[1] == ".".join(map(str, sys.version_info[:3]))


def test_the_surroundings_reach_the_kernels(chapters):
    code = "import os, time\nprint([os.environ.get(k) for k in ('TZ', 'OMP_NUM_THREADS')])"
    change(chapters / "index.ipynb", "last", source=code)
    _, wrong = shares(Row("a row", {"TZ": "NPT-5:45"}, threads=2))
    assert wrong == [
        """a row: index last printed [('stdout', "['NPT-5:45', '2']\\n")] instead of """
        "[('stdout', 'end\\n')]"
    ]


def test_each_row_has_another_seed_of_hashes():
    row = Row("a row")
    assert row.all_env["PYTHONHASHSEED"] != row.all_env["PYTHONHASHSEED"]


def test_a_digit_that_another_machine_prints_is_found(chapters):
    change(chapters / "index.ipynb", "setup", source=SETUP.replace("9.0", "9.1"))
    found, wrong = shares(Row("a row"))
    assert found[:2] == ["2/3", "1/1"]
    assert "printed [('stdout', 'sum 45.0\\n')] instead of [('stdout', 'sum 36.0\\n')]" in wrong[0]


@pytest.mark.parametrize("versions", ["", "oldest", "newest"])
def test_a_figure_that_plots_1_percent_more_is_found(chapters, versions, monkeypatch):
    monkeypatch.setattr(surroundings, "environment", lambda versions: sys.executable)
    change(chapters / "index.ipynb", "figure", source=DRAW.replace("[3, 4]", "[3.03, 4.04]"))
    found, wrong = shares(Row("a row", versions=versions))
    assert found[:2] == ["3/3", "0/1"]
    assert "plots something else than the stored one" in wrong[0]
    assert ("pixels differ" in wrong[0]) == (not versions)


def test_a_picture_that_its_data_do_not_belong_to_is_found(chapters, monkeypatch):
    monkeypatch.setattr(surroundings, "environment", lambda versions: sys.executable)
    path = chapters / "index.ipynb"
    data = {"image/png": picture(), "text/plain": "<Figure size 640x480 with 1 Axes>"}
    outputs = [nbformat.v4.new_output("display_data", data=data)]
    change(path, "figure", outputs=outputs)
    found, wrong = shares(Row("a row", versions="oldest"))
    assert found[1] == "0/1"
    assert "belongs to another picture than the stored one" in wrong[0]


def picture():
    Image.new("RGBA", (1024, 560), "white").save(packed := io.BytesIO(), "png")
    return base64.b64encode(packed.getvalue()).decode()


def test_other_letters_are_no_difference_where_other_versions_draw(chapters, monkeypatch):
    monkeypatch.setattr(surroundings, "environment", lambda versions: sys.executable)
    change(chapters / "index.ipynb", "figure", source="plt.rcParams['font.size'] = 7\n" + DRAW)
    assert shares(Row("a row", versions="newest"))[0][:2] == ["3/3", "1/1"]
    assert shares(Row("a row"))[0][:2] == ["3/3", "0/1"]


def test_an_error_and_a_kernel_that_dies_are_found(chapters):
    change(chapters / "index.ipynb", "last", source="1 / 0")
    found, wrong = shares(Row("a row"))
    assert found[:2] == ["2/3", "1/1"]
    assert "ZeroDivisionError: division by zero" in wrong[0]
    change(chapters / "index.ipynb", "last", source="import os\nos._exit(1)")
    found, wrong = shares(Row("a row"))
    assert found[:2] == ["0/3", "0/1"]
    assert "its notebook did not run to its end" in wrong[0]


def test_only_what_is_not_released_yet_may_warn(chapters, monkeypatch):
    monkeypatch.setattr(surroundings, "environment", lambda versions: sys.executable)
    warn = "warnings.warn('it will change', stacklevel=1)\nprint('end')"
    change(chapters / "index.ipynb", "last", source=warn)
    for versions, share in {"pre-release": "3/3", "newest": "2/3", "": "2/3"}.items():
        assert shares(Row("a row", versions=versions))[0][0] == share


def test_a_comparison_that_finds_nothing_is_found(chapters, monkeypatch):
    monkeypatch.setattr(figure_record, "difference", lambda stored, new: None)
    monkeypatch.setattr(reproduce, "in_pixels", lambda name, *pngs: None)
    found, wrong = shares(Row("a row"))
    assert found == ["3/3", "1/1", "MISSED"]
    assert wrong == ["a row: the two planted faults were not found, or not they alone"]


def test_whoever_writes_into_the_checkout_is_found(chapters):
    write = "from pathlib import Path\nPath('left.txt').write_text('x')\nprint('end')"
    assert line(Row("a row", read_only=True))[1] == []
    change(chapters / "index.ipynb", "last", source=write)
    if os.geteuid():
        assert "PermissionError" in line(Row("a row", read_only=True))[1][0]
    else:  # root can write, but it is found afterwards
        with pytest.raises(surroundings.UnavailableError, match=r"left\.txt"):
            line(Row("a row", read_only=True))


def test_a_row_whose_drawings_do_not_say_what_they_plot_is_found(chapters, monkeypatch):
    monkeypatch.setattr(surroundings, "environment", lambda versions: sys.executable)
    silent = f"del get_ipython().display_formatter.formatters[{figure_data.MIME!r}]\n"
    change(chapters / "index.ipynb", "figure", source=silent + DRAW)
    found, wrong = shares(Row("a row", versions="newest"))
    assert found[:2] == ["3/3", "0/1"]
    assert "0 drawing(s) said what they plot, where 1 did before" in wrong[0]


def test_a_copy_that_comes_to_grief_by_itself_does_not_pass_for_found(chapters):
    here = "from pathlib import Path\nPath('figures/index.json').stat()\nprint('end')"
    change(chapters / "index.ipynb", "last", source=here)
    assert shares(Row("a row"))[0] == ["3/3", "1/1", "MISSED"]


def test_python_caches_nothing_in_the_read_only_checkout(chapters, monkeypatch):
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    (chapters.parent / "small.py").touch()
    change(chapters / "index.ipynb", "last", source="import small\nprint('end')")
    (row,) = [row for row in rows() if row.read_only]
    assert line(row)[1] == []


def test_what_a_processor_does_not_have_is_said(chapters):
    """It is asked where the row's settings are not in force: NumPy could not be imported there."""
    cells, wrong = line(Row("a row", {"PYTHONHOME": "/nowhere"}, needs="AVX9000"))
    assert cells == ["a row", "not run: this processor has no AVX9000"]
    assert wrong == []


def test_a_setting_that_openblas_does_not_know_is_no_row(chapters):
    cells, wrong = line(Row("a row", {"OPENBLAS_CORETYPE": "Pentium9"}))
    assert cells == ["a row", "not run: NumPy's products here cannot be chosen so"]
    assert wrong == []


def test_a_python_that_cannot_import_numpy_ends_its_row_alone():
    with pytest.raises(surroundings.UnavailableError, match="cannot be imported"):
        line(Row("a row", {"PYTHONHOME": "/nowhere"}))


def run_main(monkeypatch, *made):
    for name in surroundings.SET_OUTSIDE:
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(reproduce, "rows", lambda: made)
    monkeypatch.setattr(sys, "argv", ["reproduce"])
    return reproduce.main()


def test_what_is_set_outside_is_in_no_row(chapters, monkeypatch, capsys):
    code = f"import os\nprint([n for n in {surroundings.SET_OUTSIDE} if n in os.environ])"
    command = [sys.executable, "-c", code]

    def line(row):
        return [subprocess.check_output(command, text=True)], []

    monkeypatch.setattr(reproduce, "line", line)
    run_main(monkeypatch, Row("a row"))
    assert "[]" in capsys.readouterr().out


def test_rows_that_were_not_run_are_named(chapters, monkeypatch, capsys):
    lines = {"a": (["a", "not run: …"], []), "b": (list("b2345678"), [])}
    monkeypatch.setattr(reproduce, "line", lambda row: lines[row.name])
    assert run_main(monkeypatch, Row("a"), Row("b")) == 0
    assert "reproduced.\nNot run, and so not compared: a.\n" in capsys.readouterr().out
    assert run_main(monkeypatch, Row("a")) == 1
    assert "Nothing was compared" in capsys.readouterr().out


def test_a_locale_with_a_comma_is_found_or_made(monkeypatch, tmp_path):
    monkeypatch.setattr(surroundings, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(surroundings, "writes_commas", lambda env: env["LC_ALL"] == "de_DE.UTF-8")
    real = subprocess.run

    def listing(command, **options):
        if command[0] == "locale":
            return subprocess.CompletedProcess(command, 0, stdout="C\n" + "\n".join(there))
        return real(["true"], check=True)

    monkeypatch.setattr(surroundings.subprocess, "run", listing)
    there = ["xx_XX", "de_DE.UTF-8"]
    assert surroundings.foreign_locale() == {"LC_ALL": "de_DE.UTF-8"}
    there = []
    made = {"LC_ALL": "de_DE.UTF-8", "LOCPATH": str(tmp_path / "locale")}
    assert surroundings.foreign_locale() == made
    monkeypatch.setattr(surroundings, "writes_commas", lambda env: False)
    assert surroundings.foreign_locale() == {"LC_ALL": "C"}


def test_a_locale_that_cannot_be_set_writes_no_commas():
    assert not surroundings.writes_commas({"LC_ALL": "xx_XX"})
    assert not surroundings.writes_commas({"LC_ALL": "C"})


MAIN = """\
import sys
from pathlib import Path
from tools import reproduce, surroundings

root = Path(sys.argv.pop())
reproduce.ROOT = surroundings.ROOT = root
reproduce.PICTURES = root / "pictures"
reproduce.rows = lambda: [surroundings.Row("a row")]
sys.exit(reproduce.main())
"""


def test_ctrl_c_ends_all_at_once_and_with_a_sentence(chapters):
    wait = "import time\nfrom pathlib import Path\nPath('begun').touch()\ntime.sleep(600)"
    for name in ("index", "other"):
        notebook = nbformat.read(chapters / "index.ipynb", as_version=4)
        nbformat.write(notebook, chapters / f"{name}.ipynb")
        change(chapters / f"{name}.ipynb", "last", source=wait.replace("begun", name))
    command = [sys.executable, "-c", MAIN, chapters.parent]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=os.getcwd(), **options) as process:
        try:
            while not (chapters / "index").exists() and process.poll() is None:
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 1
    assert "Broken off in the row a row:" in said
    assert "Traceback" not in said


def test_the_rows_are_the_ones_that_are_promised():
    names = [row.name for row in rows()]
    assert {"here", "locale", "read-only", "oldest", "newest", "pre-release"} <= {*names}
    assert len({*names}) == len(names)
    if surroundings.platform.machine() == "x86_64":
        for core in ("Haswell", "SkylakeX", "Zen", "Sandybridge", "Prescott"):
            assert {f"{core}-1", f"{core}-2"} <= {*names}
        assert not [name for name in names if name.startswith("no-")] or "no-AVX2" in names


def test_an_unknown_row_ends_with_a_sentence():
    command = [sys.executable, "-m", "tools.reproduce", "Pentium"]
    done = subprocess.run(
        command, cwd=surroundings.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no such row: Pentium; there are here, " in done.stderr


def test_numpy_obeys_what_a_row_switches_off():
    for row in rows():
        if off := row.env.get("NPY_DISABLE_CPU_FEATURES"):
            features = surroundings.probe(sys.executable, row.env)["features"]
            assert not [name for name in off.split() if features[name]]


def test_the_data_are_stored_so_that_a_difference_can_be_read(stored):
    text = (stored / "figures" / "index.json").read_text(encoding="utf-8")
    assert json.loads(text)["figure"][0]["axes"][0]["parts"][0]["y"] == "3 4"
    assert '"y": "3 4"\n' in text

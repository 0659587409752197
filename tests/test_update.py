"""`make update` renews everything or nothing, and `make lock` likewise.

Both run here in a small book of their own, with a uv and a Makefile that do as the test says.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_notebook, new_output, writes

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = """\
# What readers need
-c constraints.txt
-e .

numpy==2.4.5  # the newest that Python 3.11 knows
Jupyter_Book==1.0.4
nbgrader[docs]==0.9.5 ; os_name != 'nt'
"""
CONSTRAINTS = "jupyter-book==1.0.4\nnbgrader==0.9.5\nnumpy==2.4.5\nzipp==1.0\n"
NEWEST = """\
# made by make lock
jupyter-book==1.0.5
nbgrader==0.9.6
numpy==2.5.0
    # via matplotlib
zipp==1.1
"""
RENEWED = """\
# What readers need
-c constraints.txt
-e .

numpy==2.5.0  # the newest that Python 3.11 knows
Jupyter_Book==1.0.5
nbgrader[docs]==0.9.6 ; os_name != 'nt'
"""
UV = """\
#!/bin/sh
cat >> asked
if [ -e offline ]; then echo "uv: no network" >&2; exit 2; fi
cat newest
"""
MAKEFILE = """\
venv:
	@echo "Installing …"; if [ -e broken-install ]; then rm -r .venv; exit 1; fi
notebooks:
	@sed -i.bak s/0.125/0.126/ chapters/walk.ipynb && rm chapters/*.bak
	@if [ -e broken ]; then echo "FAILED     chapters/jump.ipynb"; exit 1; fi
	@if [ -e slow ]; then touch started; sleep 100; fi
"""


@pytest.fixture
def book(tmp_path):
    """Put a book under git whose pins are not the newest."""

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def git(*command):
        me = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", *me, *command], check=True, cwd=tmp_path, capture_output=True, text=True
        ).stdout

    def start(module):
        # What a shell starts in the background ignores Ctrl-C, and the test may be that.
        heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        return subprocess.Popen(
            [sys.executable, "-c", f"{heard}; from tools.{module} import main; main()"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def run(module):
        """Return the exit status and what was said."""
        with start(module) as process:
            said = process.communicate()[0]
        return process.returncode, said

    def page():
        text = (tmp_path / "_build" / "changes.html").read_text(encoding="utf-8")
        return BeautifulSoup(text, "html.parser")

    def read(name):
        return (tmp_path / name).read_text(encoding="utf-8")

    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=lambda *_: {"__pycache__"})
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    output = new_output("stream", text="loss 0.125\n")
    cells = [new_code_cell("print(loss)", id="loss", outputs=[output])]
    for name, text in {
        "requirements.txt": REQUIREMENTS,
        "constraints.txt": CONSTRAINTS,
        "chapters/walk.ipynb": writes(new_notebook(cells=cells)),
        "Makefile": MAKEFILE,
        ".gitignore": "_build/\n.venv/\n",
        "newest": NEWEST,
    }.items():
        write(name, text)
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "A book")
    write(".venv/bin/python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n').chmod(0o755)
    write("_build/uv/bin/uv", UV).chmod(0o755)
    return SimpleNamespace(
        write=write, git=git, start=start, run=run, page=page, read=read, folder=tmp_path
    )


def assert_as_before(book):
    assert not book.git("status", "--porcelain", "requirements.txt", "constraints.txt", "chapters")
    assert book.read("requirements.txt") == REQUIREMENTS


def test_all_is_renewed_and_shown(book):
    status, said = book.run("update")
    assert status == 0, said
    assert book.read("requirements.txt") == RENEWED
    assert book.read("constraints.txt") == NEWEST
    assert "0.126" in book.read("chapters/walk.ipynb")
    page = book.page()
    assert [mark.text for mark in page.select("mark")] == ["125", "126"]
    names = [name.text for name in page.select("tbody th")]
    assert names == ["jupyter-book", "nbgrader", "numpy", "zipp"]
    assert "numpy: 2.4.5 → 2.5.0" in said
    assert "git restore requirements.txt constraints.txt chapters" in said


def test_bare_names_and_bounds_are_asked_for_then_the_pins(book):
    book.run("update")
    unpinned = REQUIREMENTS.partition("-e .\n")[2].replace("==2.4.5", "").replace("==0.9.5", "")
    unpinned = "# What readers need\n" + unpinned.replace("Book==1.0.4", "Book<2")
    pinned = RENEWED.replace("-c constraints.txt\n-e .\n", "")
    assert book.read("asked") == unpinned.rstrip("\n") + pinned.rstrip("\n")


def test_nothing_is_run_where_nothing_is_newer(book):
    book.write("newest", CONSTRAINTS)
    book.write("broken-install", "")
    status, said = book.run("update")
    assert (status, said.splitlines()[-1]) == (0, "All versions are the newest already.")


def test_what_cannot_be_resolved_changes_nothing(book):
    book.write("offline", "")
    status, said = book.run("update")
    assert status == 1
    assert "uv: no network" in said
    assert "Nothing was changed" in said
    assert_as_before(book)


def test_no_version_that_suits_all_changes_nothing(book):
    book.write("newest", NEWEST + "numpy==2.6.0 ; python_full_version >= '3.12'\n")
    status, said = book.run("update")
    assert status == 1
    assert "numpy has no newest version that suits every Python and system" in said
    assert_as_before(book)


def test_a_failed_install_is_undone(book):
    book.write("broken-install", "")
    status, said = book.run("update")
    assert status == 1
    assert "pins and notebooks are as before" in said
    assert_as_before(book)


def test_a_failed_notebook_is_shown_and_all_is_undone(book):
    book.write("broken", "")
    status, said = book.run("update")
    assert status == 1
    assert "pins and notebooks are as before" in said
    assert_as_before(book)
    assert "FAILED     chapters/jump.ipynb" in book.page().select_one(".failed pre").text
    assert "0.126" in book.page().main.text  # what had changed until then
    book.git("apply", "_build/update.patch")
    assert book.read("requirements.txt") == RENEWED
    assert book.read("constraints.txt") == NEWEST


def test_an_interrupted_update_is_undone(book):
    book.write("slow", "")
    with book.start("update") as process:
        while not (book.folder / "started").exists():
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "pins and notebooks are as before" in said
    assert_as_before(book)


@pytest.mark.parametrize("name", ["requirements.txt", "chapters/notes.md"])
def test_work_that_is_not_committed_is_left_alone(book, name):
    book.write(name, "# my work\n")
    status, said = book.run("update")
    assert status == 1
    assert name in said
    assert "Commit this first" in said
    assert book.read(name) == "# my work\n"
    assert not (book.folder / "asked").exists()


def test_without_git_it_says_so(book):
    shutil.rmtree(book.folder / ".git")
    status, said = book.run("update")
    assert (status, "needs git and a clone" in said) == (1, True)


def test_the_lock_is_renewed_or_left_as_it_is(book):
    assert book.run("lock") == (0, "")
    assert book.read("constraints.txt") == NEWEST
    book.write("newest", "")
    book.write("offline", "")
    status, said = book.run("lock")
    assert status == 1
    assert "Nothing was changed" in said
    assert book.read("constraints.txt") == NEWEST

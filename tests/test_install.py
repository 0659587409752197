"""What can go wrong on a fresh machine ends with a sentence, and the next run is right.

Each test runs the book's own Makefile and tools in a copy of their own. A stand-in for Python
answers for pip and for jupyter-book, and does there what the test asks for.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import browser, live

ROOT = Path(__file__).parent.parent
PINS = ["requirements.txt", "constraints.txt", "pyproject.toml"]
TOOLS = ["tools/python.sh", "tools/locked.py", "tools/venv.py", "tools/build_site.py"]

# `$PIP` and `$BOOK` say what the two programs do. All else is done by the true Python, which only
# takes the stand-in for itself.
STAND_IN = """#!/bin/sh
case "$1 $2" in
    "-E -s") echo "{base}" ;;
    "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$0" "$3/bin/jupyter-book" ;;
    "-m pip") eval "${{PIP:-:}}"; exit ;;
    "-m "*) exit ;;
    "build "*) eval "${{BOOK:-mkdir -p _build/html}}"; exit ;;
    *) echo $$ >> "{base}.pids"; exec "{true}" -c 'if True:
        import runpy, sys
        del sys.argv[0]
        sys.executable, sys._base_executable = sys.argv.pop(0), "{base}"
        runpy.run_path(sys.argv[0], run_name="__main__")' "$0" "$@" ;;
esac
"""
NO_ROOM = "echo 'OSError: [Errno 28] No space left on device'; exit 1"


class Checkout:
    """A folder with the Makefile and the tools, and what a `make` in it has said and done."""

    def __init__(self, folder):
        self.folder = folder
        for name in ["Makefile", *TOOLS]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        for name in PINS:
            (folder / name).write_text(f"# {name}\n", encoding="utf-8")
        self.python = folder.parent / "python"
        self.python.write_text(STAND_IN.format(base=self.python, true=sys.executable))
        self.python.chmod(0o755)
        self.without_rights, self.runs = [], []
        self.venv, self.complete = folder / ".venv", folder / ".venv" / "complete"
        self.built = folder / "_build" / "built"

    def start(self, *what, **settings):
        settings = {"PYTHON": str(self.python)} | settings
        run = subprocess.Popen(
            [*self.without_rights, "make", *what],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder.parent)} | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,  # a group of its own, to which Ctrl-C can be sent
        )
        self.runs.append(run)
        return run

    def end(self):
        for run in self.runs:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.communicate()

    def make(self, *what, **settings):
        run = self.start(*what, **settings)
        said, _ = run.communicate(timeout=60)
        return run.returncode, said

    def fails(self, *what, **settings):
        """Return what a `make` says that must fail, and without a traceback."""
        status, said = self.make(*what, **settings)
        assert status, said
        assert "Traceback" not in said
        return said

    def works(self, *what, **settings):
        status, said = self.make(*what, **settings)
        assert not status, said
        return said


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "Bücher und Räume" / "book"
    folder.mkdir(parents=True)
    made = Checkout(folder)
    yield made
    made.end()


def wait_for(path):
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.05)
    pytest.fail(f"{path.name} never came")


# --- installing


def test_it_installs_once(checkout):
    assert "Installing into .venv" in checkout.works("venv")
    assert "Installing" not in checkout.works("venv", PIP="exit 1")
    assert list(checkout.venv.glob("tmp")) == []


@pytest.mark.parametrize("name", [*PINS, "tools/venv.py"])
def test_what_decides_the_environment_has_changed(checkout, name):
    checkout.works("venv")
    with open(checkout.folder / name, "a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert "Installing into .venv" in checkout.works("venv")


def test_the_folder_was_moved(checkout):
    checkout.works("venv")
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("moved"))
    assert "Installing into .venv" in checkout.works("venv")


@pytest.mark.parametrize("reason", [NO_ROOM, "echo 'ERROR: No matching distribution'; exit 1"])
def test_pip_fails(checkout, reason):
    said = checkout.fails("venv", PIP=reason)
    assert reason.split("'")[1] in said
    assert "With a network, and a gigabyte of room" in said
    assert not checkout.venv.exists()
    assert "Installing into .venv" in checkout.works("venv")


def test_pip_is_killed(checkout):
    assert "Installing was broken off (Killed)" in checkout.fails("venv", PIP="kill -KILL $$")
    assert "Installing into .venv" in checkout.works("venv")


def test_ctrl_c_while_pip_works(checkout):
    run = checkout.start("venv", PIP="touch ../begun; exec sleep 60")
    wait_for(checkout.folder.parent / "begun")
    os.killpg(run.pid, signal.SIGINT)
    said, _ = run.communicate(timeout=30)
    assert run.returncode
    sentence = "Installing was broken off (Ctrl-C). The next run begins it anew."
    assert 0 < said.find(sentence) < said.rfind("make: ")
    assert "Traceback" not in said
    assert "Installing into .venv" in checkout.works("venv")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_all_of_it_is_killed_while_pip_works(checkout, how):
    run = checkout.start("venv", PIP='touch ../begun "$TMPDIR/unpacked"; exec sleep 60')
    wait_for(checkout.folder.parent / "begun")
    os.killpg(run.pid, how)
    said, _ = run.communicate(timeout=30)
    assert "Traceback" not in said
    assert (checkout.venv / "tmp" / "unpacked").exists()
    assert "Installing into .venv" in checkout.works("venv")
    assert list(checkout.venv.glob("tmp")) == []


def test_all_but_pip_are_killed_and_the_next_one_waits(checkout):
    go_on = checkout.folder.parent / "go on"
    wait = "touch ../begun; until [ -e '../go on' ]; do sleep 0.1; done; echo done > ../pip"
    first = checkout.start("venv", PIP=wait)
    wait_for(checkout.folder.parent / "begun")
    first.kill()
    for pid in checkout.python.with_name("python.pids").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    second = checkout.start("venv")
    assert "Waiting for another make" in second.stdout.readline()
    go_on.touch()
    said, _ = second.communicate(timeout=30)
    assert second.returncode == 0, said
    assert "Installing into .venv" in said


def test_removing_the_old_one_is_broken_off(checkout):
    """What is left of it would pass for complete as soon as its own pins are back."""
    checkout.works("venv")
    order = """
import os, shutil, sys
from tools import venv
shutil.rmtree = lambda path: os._exit(9)
venv.remove()
"""
    subprocess.run([sys.executable, "-c", order], cwd=checkout.folder, check=False)
    assert checkout.venv.exists()
    assert "Installing into .venv" in checkout.works("venv")


@pytest.mark.parametrize("foreign", ["folder", "file", "link", "broken link", "mark", "no python"])
def test_a_foreign_or_broken_environment_is_replaced(checkout, foreign):
    elsewhere = checkout.folder.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    if foreign == "folder":
        shutil.copytree(elsewhere, checkout.venv)
    elif foreign == "file":
        checkout.venv.touch()
    elif foreign == "link":
        checkout.venv.symlink_to(elsewhere)
    elif foreign == "broken link":
        checkout.venv.symlink_to("nowhere")
    elif foreign == "mark":
        checkout.works("venv")
        checkout.complete.write_bytes(b"\xff")
    else:
        checkout.works("venv")
        (checkout.venv / "bin" / "python").unlink()
    assert "Installing into .venv" in checkout.works("venv")
    assert checkout.complete.is_file()
    assert not (checkout.venv / "kept").exists()
    assert (elsewhere / "kept").exists()


def test_one_node_does_all():
    """Playwright's own does not start on a small system, and with it every test of the site."""
    assert browser.os.environ["PLAYWRIGHT_NODEJS_PATH"] == str(live.NODE)


# --- which Python


def python_named(folder, name, script):
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def choose(checkout, folder, **settings):
    """Return what tools/python.sh says where only the Pythons in `folder` are."""
    for name in ("sh", "tail"):
        (folder / name).symlink_to(shutil.which(name))
    return subprocess.run(
        ["sh", "tools/python.sh"],
        cwd=checkout.folder,
        env={"PATH": str(folder)} | settings,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("version_info = (3, 10, 13)", "is Python 3.10.13, which is too old"),
        ("modules['ensurepip'] = None", "is Python 3.11 without its venv module"),
        ("modules['venv'] = None", "is Python 3.11 without its venv module"),
    ],
)
@pytest.mark.parametrize("asked", [True, False])
def test_a_python_that_will_not_do(checkout, tmp_path, lines, why, asked):
    """The question of tools/python.sh is put to a Python that was made to look like that one."""
    (tmp_path / "bin").mkdir()
    change = f"import sys; sys.version_info = (3, 11, 2); sys.{lines}; exec(sys.argv[1])"
    python_named(tmp_path / "bin", "python3", f'exec "{sys.executable}" -c "{change}" "$4"')
    run = choose(checkout, tmp_path / "bin", **({"PYTHON": "python3"} if asked else {}))
    assert run.returncode == 2
    assert run.stdout == ""
    begin = "PYTHON=python3" if asked else "No Python that can build this book: python3"
    assert run.stderr.startswith(f"{begin} {why}.\nInstall Python 3.11 or newer")


def test_no_python_at_all(checkout, tmp_path):
    (tmp_path / "bin").mkdir()
    run = choose(checkout, tmp_path / "bin")
    assert run.returncode == 2
    assert run.stderr.startswith("No Python that can build this book: none was found.")


def test_a_python_that_is_broken_is_passed_over(checkout, tmp_path):
    (tmp_path / "bin").mkdir()
    python_named(tmp_path / "bin", "python3.12", "echo cannot start >&2; exit 127")
    python_named(tmp_path / "bin", "python3", "printf /the/right/one")
    (checkout.venv / "bin").mkdir(parents=True)
    (checkout.venv / "bin" / "python").symlink_to("/gone/python3.11")
    assert choose(checkout, tmp_path / "bin").stdout == "/the/right/one\n"


# --- building


def test_there_is_no_room_for_the_site(checkout):
    said = checkout.fails("book", BOOK=f"mkdir -p _build/html; touch _build/html/half; {NO_ROOM}")
    assert "because the disk is full. Make room" in said
    checkout.works("book")
    assert checkout.built.exists()
    assert not (checkout.folder / "_build" / "html" / "half").exists()


def test_the_builder_is_killed(checkout):
    assert "Building was broken off (Killed)" in checkout.fails("book", BOOK="kill -KILL $$")
    checkout.works("book")


def test_ctrl_c_while_the_book_is_built(checkout):
    checkout.works("book")
    run = checkout.start("book", BOOK="touch _build/html/half; exec sleep 60")
    wait_for(checkout.folder / "_build" / "html" / "half")
    os.killpg(run.pid, signal.SIGINT)
    said, _ = run.communicate(timeout=30)
    assert run.returncode
    assert "Building was broken off (Ctrl-C)" in said
    assert "Traceback" not in said
    checkout.works("book")
    assert not (checkout.folder / "_build" / "html" / "half").exists()


def test_after_ctrl_c_make_test_does_not_go_on(checkout):
    """As bash would, where it is the shell, after a command that ends as if nothing had been."""
    run = checkout.start(
        "test", f"SHELL={shutil.which('bash')}", BOOK="touch ../begun; exec sleep 60"
    )
    wait_for(checkout.folder.parent / "begun")
    os.killpg(run.pid, signal.SIGINT)
    said, _ = run.communicate(timeout=30)
    assert run.returncode
    assert "Building was broken off (Ctrl-C)" in said
    assert "Running the tests" not in said


def test_a_site_without_its_pages_is_built_from_nothing(checkout):
    checkout.works("book")
    doctrees = checkout.folder / "_build" / ".doctrees"
    doctrees.mkdir()
    shutil.rmtree(checkout.folder / "_build" / "html")
    checkout.works("book")
    assert not doctrees.exists()


def test_build_is_no_folder(checkout):
    (checkout.folder / "_build").touch()
    assert "The book was not built: File exists" in checkout.fails("book")


# --- a checkout that cannot be written


@pytest.fixture
def read_only(checkout):
    """Return what makes a checkout read-only."""
    if os.geteuid() == 0:  # whom modes do not stop
        checkout.without_rights = ["setpriv", "--bounding-set=-dac_override"]

    def allow(write):
        for path in [checkout.folder, *checkout.folder.rglob("*")]:
            path.chmod(path.stat().st_mode & 0o555 | write)

    yield lambda: allow(0)
    allow(0o200)


def test_nothing_is_installed_where_nothing_can_be_written(checkout, read_only):
    read_only()
    said = checkout.fails("book")
    assert "Nothing can be installed here" in said
    assert "Copy it to a folder of your own" in said


def test_the_book_is_not_built_where_nothing_can_be_written(checkout, read_only):
    checkout.works("venv")
    read_only()
    assert "The book cannot be built here" in checkout.fails("book")


def test_nothing_is_tested_where_nothing_can_be_written(checkout, read_only):
    checkout.works("book")
    read_only()
    assert "The tests cannot run here" in checkout.fails("test")


def test_a_built_book_stays_where_nothing_can_be_written(checkout, read_only):
    checkout.works("book")
    read_only()
    assert "the book stays as it was built" in checkout.works("book", PIP="exit 1", BOOK="exit 1")

"""What the walls around a student's code keep in, and out. Each is tried from inside."""

import json
import os
import platform
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from grading import enter, runner, sandbox
from grading.sandbox import Limits, NoIsolationError, Sandbox, Stopped

ROOT = Path(__file__).parents[1]
ENTER = sandbox.ENTER


@pytest.fixture(scope="module")
def walls():
    try:
        return Sandbox()
    except NoIsolationError as error:
        pytest.skip(f"no isolation here: {error}")


def inside(walls, program, seconds=5, job=None):
    return walls.run(job or {}, seconds, program=textwrap.dedent(program))


def test_what_it_prints_comes_out(walls):
    run = inside(walls, "print('hello')")
    assert (run.output, run.errors, run.ended, run.exit_code) == (b"hello\n", b"", "", 0)


def test_it_reads_its_job(walls):
    run = inside(walls, "import json, sys; print(json.load(sys.stdin)['x'])", job={"x": 17})
    assert run.output == b"17\n"


@pytest.mark.parametrize(
    "program",
    [
        "import os; os.fork()",
        "import threading; threading.Thread(target=print).start()",
        "import subprocess; subprocess.run(['/bin/true'])",
        "open('/written', 'w')",
        "open('/usr/written', 'w')",
        "open('/packages/written', 'w')",
        "open('/course/gradnb/written', 'w')",
        "open('/runner.py', 'a')",
        "import os; os.setuid(0)",
        "import os; os.chroot('/tmp')",
        "import os; os.kill(os.getppid() or 1 << 22, 9)",
        "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (50, 50))",
        "import socket; socket.create_connection(('127.0.0.1', 9), 1)",
        "from socket import *; socket(AF_INET, SOCK_DGRAM).sendto(b'', ('1.1.1.1', 53))",
        "import socket; socket.getaddrinfo('pypi.org', 443)",
        "x = bytearray(2 * 2**30)",
        "import os; os.listdir('/proc/1')",
        "open('/etc/passwd')",
        "open('/tmp/a', 'wb').write(bytes(40 * 2**20))",
        "import pathlib; [pathlib.Path(f'/tmp/{i}').touch() for i in range(2000)]",
        "import os; [os.open('/dev/null', 0) for _ in range(200)]",
        "import socket; socket.socket(socket.AF_VSOCK)",
        "import socket; socket.socket(socket.AF_UNIX)",
        "import ctypes as c; c.CDLL(None).syscall(425, 1, 0) + 1 or 1 / 0  # io_uring_setup",
        "import os; os.memfd_create('memory that counts for nobody')",
        "import ctypes as c; c.CDLL(None).ptrace(0, 0, 0, 0) + 1 or 1 / 0",
        "import grading",
        "import checks",
    ],
)
def test_it_is_refused(walls, program):
    """A signal would end it as well, so an error of Python's own is demanded."""
    run = inside(walls, program)
    assert run.exit_code == 1
    assert b"rror" in run.errors


@pytest.mark.skipif(platform.machine() not in enter.PROCESSORS, reason="no numbers for it")
def test_no_refused_call_reaches_the_kernel(walls):
    """One that did would find its arguments wrong, and say so by another error."""
    column = enter.PROCESSORS[platform.machine()][1]
    numbers = [numbers[column] for numbers in enter.REFUSED.values()]
    program = f"""
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        for number in {numbers}:
            print(libc.syscall(number, -1, -1, -1, -1, -1, -1), ctypes.get_errno())
    """
    lines = inside(walls, program).output.splitlines()
    assert lines == [b"-1 1"] * len(numbers)  # EPERM
    assert set(enter.REFUSED) >= {"vmsplice", "io_setup", "memfd_create", "memfd_secret"}


def test_it_is_nobody(walls):
    run = inside(walls, "import os; print(os.getuid(), os.getgid(), os.getgroups(), os.getpid())")
    assert run.output.split()[:2] == [str(enter.NOBODY).encode()] * 2
    assert run.output.endswith(b" 1\n")


def test_no_further_namespaces(walls):
    """Root of a namespace of its own could mount memory without limit."""
    for kind in enter.NEW_NAMESPACES.values():
        run = inside(walls, f"import ctypes; print(ctypes.CDLL(None).unshare({kind}))")
        assert run.output == b"-1\n"


def test_it_sees_no_environment_of_ours(walls, monkeypatch):
    monkeypatch.setenv("COURSE_SECRET", "s3cret")
    run = inside(walls, "import os; print(dict(os.environ))")
    assert b"s3cret" not in run.output
    assert str(ROOT).encode() not in run.output


def test_it_sees_no_solutions(walls):
    names = {path.name for path in (ROOT / "exercises").rglob("ps*.*")} | {"problemset.py"}
    assert {"ps1_backprop.ipynb", "ps1_backprop.py"} <= names
    program = f"""
        import os
        for folder, folders, files in os.walk("/"):
            for name in {names!r} & set(files):
                print(os.path.join(folder, name))
    """
    run = inside(walls, program, seconds=20)
    assert (run.output, run.errors) == (b"", b"")
    for path in (ROOT / "exercises", ROOT / "grading", ROOT / "tests"):
        assert inside(walls, f"import os; os.stat({str(path)!r})").exit_code == 1


def test_each_run_starts_anew(walls):
    inside(walls, "open('/tmp/left', 'w').write('x')")
    assert b"left" not in inside(walls, "import os; print('in', os.listdir('/tmp'))").output


def test_time_ends_it(walls):
    began = time.monotonic()
    for program in (
        "while True: pass",
        "import time; time.sleep(60)",
        "import os; os.close(1); os.close(2)\nwhile 1: pass",
    ):
        run = inside(walls, program, seconds=1)
        assert run.ended == "time"
    assert time.monotonic() - began < 6


def test_a_limit_of_the_kernel_is_reached_later_than_that_of_time(walls):
    """Else a loop without end would be told as a crash where the start took long."""
    assert walls._kernel_limits(6.9)["RLIMIT_CPU"] > 6.9 + 2


def test_all_can_be_ended_at_once():
    try:
        walls = Sandbox()
    except NoIsolationError as error:
        pytest.skip(f"no isolation here: {error}")
    began = time.monotonic()
    threading.Timer(0.5, walls.stop).start()
    marker = f"stopped-{os.getpid()}"
    for _ in range(2):  # the second does not begin
        with pytest.raises(Stopped):
            inside(walls, f"import time; x = '{marker}'; time.sleep(60)", seconds=60)
    assert time.monotonic() - began < 20
    assert not running(marker)
    walls.stop()


def test_what_was_said_before_the_end_of_time_stays(walls):
    run = inside(walls, "print('first', flush=True)\nwhile True: pass", seconds=1)
    assert (run.output, run.ended) == (b"first\n", "time")


def test_output_ends_it():
    try:
        walls = Sandbox(Limits(output=2**16))
    except NoIsolationError as error:
        pytest.skip(f"no isolation here: {error}")
    run = inside(walls, "import os\nwhile True: os.write(1, bytes(4096))")
    assert run.ended == "output"
    assert len(run.output) == 2**16


def test_a_crash_is_told_from_an_end(walls):
    assert inside(walls, "import os; os._exit(3)").exit_code == 3
    assert inside(walls, "import ctypes; ctypes.string_at(0)").ended == "crash"


def running(marker):
    """Return the processes whose command line holds the marker, as the machine sees them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            pass
    return found


def test_nothing_outlives_it(walls):
    marker = f"marker-{os.getpid()}"
    inside(walls, f"import time; x = '{marker}'; time.sleep(60)", seconds=0.5)
    for _ in range(50):
        if not running(marker):
            break
        time.sleep(0.1)
    assert not running(marker)


def test_nothing_outlives_the_grader(walls, tmp_path):
    """Whoever kills the grader kills what it runs, without a word from the grader."""
    marker = f"orphan-{os.getpid()}"
    code = (
        "from grading.sandbox import Sandbox; print('up', flush=True); "
        f"Sandbox().run({{}}, 60, program='import time; time.sleep(60)  # {marker}')"
    )
    grader = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    for _ in range(100):
        if len(running(marker)) >= 4:  # the grader and the three that lock up
            break
        time.sleep(0.1)
    assert len(running(marker)) >= 4
    grader.send_signal(signal.SIGKILL)
    grader.communicate()
    for _ in range(50):
        if not running(marker):
            break
        time.sleep(0.1)
    assert not running(marker)


# --- the trial that comes before all grading


DOORS = {
    "the solutions in sight": (
        "it can see",
        # Put there, since what is mounted below /tmp would be covered by another mount.
        lambda spec: spec["put"].append((str(ROOT / "README.md"), str(ROOT / "exercises"))),
    ),
    "processes": ("start processes", lambda spec: spec["limits"].update(RLIMIT_NPROC=50)),
    "memory": ("more memory", lambda spec: spec["limits"].update(RLIMIT_AS=2**36)),
}


@pytest.mark.parametrize("door", DOORS)
def test_the_trial_finds_an_open_door(walls, door, monkeypatch):
    message, open_door = DOORS[door]
    command = Sandbox._command

    def with_door(self, seconds, program):
        *start, spec = command(self, seconds, program)
        spec = json.loads(spec)
        open_door(spec)
        return [*start, json.dumps(spec)]

    monkeypatch.setattr(Sandbox, "_command", with_door)
    with pytest.raises(NoIsolationError, match=message):
        Sandbox()


WALLS = {
    "namespaces of users": ('"user": 0x10000000,', ""),
    "read-only mounts": (
        "        read_only(inside, devices",
        "        (lambda *a, **k: 0)(inside, devices",
    ),
    "the old root": ('    call("umount2", b".", MNT_DETACH)', "    pass"),
    "further namespaces": ('write(proc, "sys/user/max_user_namespaces", "0")', "pass"),
    "memory that is shared": ('    "sys/kernel/shmmni": "0",\n', ""),
    "messages": ('    "sys/kernel/msgmni": "0",\n', ""),
    "semaphores": ('    "sys/kernel/sem": "0 0 0 0",\n', ""),
    "nobody": ("    become_nobody(proc)\n", ""),
}


@pytest.mark.parametrize("wall", WALLS)
def test_the_trial_finds_a_wall_that_is_gone(walls, wall, monkeypatch, tmp_path):
    """Each wall is taken out of a copy of what builds them."""
    without(monkeypatch, tmp_path, [WALLS[wall]])
    with pytest.raises(NoIsolationError):
        Sandbox()


def test_the_trial_finds_a_network(walls, monkeypatch, tmp_path):
    """Two walls are around it: a network of its own, with nobody in it, and no sockets."""
    namespace, sockets = ('    "net": 0x40000000,\n', ""), ("    filter_calls()\n", "")
    without(monkeypatch, tmp_path, [namespace])
    assert inside(Sandbox(), "import socket; socket.socket()").exit_code == 1
    without(monkeypatch, tmp_path, [sockets])
    program = "import socket; s = socket.socket(); s.settimeout(1); s.connect(('127.0.0.1', 9))"
    assert b"unreachable" in inside(Sandbox(), program).errors
    without(monkeypatch, tmp_path, [namespace, sockets])
    with pytest.raises(NoIsolationError, match="it has a network"):
        Sandbox()


def without(monkeypatch, folder, parts):
    """Build the walls from a copy of `enter.py` that lacks some parts."""
    source = Path(ENTER).read_text(encoding="utf-8")
    for there, instead in parts:
        assert there in source
        source = source.replace(there, instead)
    weak = folder / "enter.py"
    weak.write_text(source, encoding="utf-8")
    monkeypatch.setattr(sandbox, "ENTER", weak)


@pytest.mark.skipif(os.getuid() != 0, reason="only root runs students' code as somebody else")
def test_what_nobody_may_read_is_named(walls, monkeypatch, tmp_path):
    """As in a checkout made under umask 077."""
    (tmp_path / "gradnb").mkdir()
    (tmp_path / "gradnb" / "__init__.py").touch(0o600)
    monkeypatch.setattr(sandbox, "ROOT", tmp_path)
    with pytest.raises(NoIsolationError, match=r"nobody, who may not read .*__init__.py"):
        Sandbox()
    (tmp_path / "gradnb").chmod(0o700)
    with pytest.raises(NoIsolationError, match=r"may not read .*gradnb \(`chmod -R go.rX`"):
        Sandbox()


def test_other_systems_are_refused(monkeypatch):
    monkeypatch.setattr(sandbox.sys, "platform", "darwin")
    with pytest.raises(NoIsolationError, match="darwin has no namespaces"):
        Sandbox()


def test_windows_is_refused_in_words():
    """Also without isolation; and whatever needs no sandbox can be imported there."""
    code = """
        import sys
        import nbformat, numpy, jinja2, subprocess, tempfile, argparse, ctypes, selectors
        sys.modules["fcntl"] = sys.modules["resource"] = None
        sys.platform = "win32"
        from grading.__main__ import main
        main(["grade", "ps1_backprop", sys.argv[1], "--out", sys.argv[2], "--no-isolation"])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    run = subprocess.run(
        [*command, "exercises", "unused"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "Windows" in run.stderr
    assert "Traceback" not in run.stderr


def test_without_isolation_the_limits_stay():
    free = Sandbox(Limits(memory=2**30), isolation=False)
    assert b"MemoryError" in inside(free, "x = bytearray(2 * 2**30)").errors
    assert inside(free, "while True: pass", seconds=1).ended == "time"
    killed = inside(free, "import os; os.kill(os.getpid(), 9)")
    assert (killed.ended, killed.exit_code) == ("crash", 128 + signal.SIGKILL)
    program = "import subprocess, sys; subprocess.Popen(['sleep', '61.25']).wait()"
    assert inside(free, program, seconds=1).ended == "time"
    time.sleep(0.2)
    assert not running("61.25")


# --- the runner


def job(cells, calls, **given):
    numbered = [(number, source, 1.0) for number, source in enumerate(cells, start=1)]
    return {"cells": numbered, "calls": calls, "task": "t", "given": runner.encode(given)}


def said(walls, *arguments, **given):
    return [json.loads(line) for line in walls.run(job(*arguments, **given), 5).output.splitlines()]


def test_a_cell_that_fails_stops_no_other(walls):
    cells = ["x = 1", "y = 2\nraise ValueError('no')\ny = 3", "z = (", "w = x + y"]
    lines = said(walls, cells, "def t(s, g):\n    yield 'w', lambda: s.w")
    values = [runner.decode(line["value"]) for line in lines if "value" in line]
    assert values == [3]
    stopped = {line["cell"]: line["error"] for line in lines if "cell" in line}
    assert stopped[2] == "ValueError: no (cell 2, line 2)"
    assert stopped[3].startswith("SyntaxError")
    assert lines[-1] == {"end": True}


def test_what_is_ipythons_is_left_out(walls):
    cells = [
        "%matplotlib inline\nx = 1\n!ls\nx?",
        "%%time\nx += 1",
        "if x:\n    %time x\n    x += 1",
    ]
    lines = said(walls, cells, "def t(s, g):\n    yield 'x', lambda: s.x")
    assert [runner.decode(line["value"]) for line in lines if "value" in line] == [3]


def test_a_part_that_fails_costs_only_itself(walls):
    calls = "def t(s, g):\n    yield 'a', lambda: s.missing\n    yield 'b', lambda: g['n'] + 1"
    failed, got, _ = said(walls, [], calls, n=4)[2:]
    assert failed == {"part": "a", "error": "NameError: your notebook does not define `missing`"}
    assert runner.decode(got["value"]) == 5


def test_a_slow_cell_is_stopped(walls):
    lines = said(
        walls, ["x = 1\nwhile True: pass", "y = x"], "def t(s, g):\n    yield 'y', lambda: s.y"
    )
    assert {"cell": 1, "error": "it was stopped after 1 s", "slow": True} in lines
    assert any("value" in line for line in lines)

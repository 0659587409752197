"""Run a student's code where it can do no harm, and take no more than bytes from it.

`Sandbox` prepares what all runs share; `run` runs one job. On Linux every run has namespaces of its
own (`enter.py` says what that means). On another Unix there is only a process with what limits the
system has, which `Sandbox` refuses unless told ``isolation=False``.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from grading import runner
from grading.problemset import ROOT

ENTER = Path(__file__).with_name("enter.py")  # not imported: Windows lacks what it needs
PROBE = Path(__file__).with_name("probe.py").read_text(encoding="utf-8")
MB = 2**20
PATIENCE = 5.0  # s, for processes that were told to end
ON_WINDOWS = "Windows has none of what it takes, with or without --no-isolation"
STARTING = 30.0  # s, for the walls and the interpreter on a machine that has much to do


@dataclass(frozen=True)
class Limits:
    """What one process may use; `memory` and `disk` in bytes.

    `disk` is what `/tmp` holds, a part of the memory; `output` what may be handed out.
    """

    memory: int = 1024 * MB
    disk: int = 16 * MB
    files: int = 1000
    open_files: int = 64
    output: int = 8 * MB


@dataclass(frozen=True)
class Run:
    """What is left of a run: the bytes handed out, and how it ended."""

    output: bytes
    errors: bytes
    ended: str  # "", "time", "output" or "crash"
    exit_code: int


class Sandbox:
    """A place to run jobs in.

    Parameters
    ----------
    limits : Limits, optional
        What a process may use.
    hidden : iterable of Path
        Folders that must not be in sight, beside those of this repository.
    isolation : bool, default True
        False runs without namespaces: the student's code can then read and write what you can.

    Raises
    ------
    NoIsolationError
        If the system offers no isolation, or not all of it. What is missing is found by trying.
        On Windows always.
    """

    def __init__(
        self, limits: Limits | None = None, isolation: bool = True, hidden: Iterable[Path] = ()
    ):
        if sys.platform == "win32":
            raise NoIsolationError(ON_WINDOWS)
        self.limits = limits or Limits()
        self.isolation = isolation
        self._stopped, stop = os.pipe()  # whoever waits for a run sees when this is closed
        self._stop = weakref.finalize(self, os.close, stop)
        weakref.finalize(self, os.close, self._stopped)
        self._root = tempfile.mkdtemp(prefix="grading-")
        weakref.finalize(self, shutil.rmtree, self._root, ignore_errors=True)
        os.chmod(self._root, 0o755)
        self._put = fonts() if isolation else []
        if isolation and (reason := self._reason_against(hidden)):
            raise NoIsolationError(reason)

    def stop(self) -> None:
        """End all runs at once, those to come as well."""
        self._stop()

    def run(self, job: dict, seconds: float, program: str | None = None) -> Run:
        """Run the runner on a job, or another program, for `seconds` at most.

        The runner's time begins when it says that it is up.

        Raises
        ------
        Stopped
            If `stop` has been called, before or meanwhile.
        """
        with tempfile.TemporaryFile(dir=self._root) as source:
            source.write(json.dumps(job).encode())
            source.seek(0)
            process = subprocess.Popen(
                self._command(seconds, program),
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(sys.path),
                cwd=self._root,
                start_new_session=True,
            )
        with process:
            try:
                return self._listen(process, seconds, 0.0 if program else STARTING)
            finally:
                _end(process, self.isolation)

    def _listen(self, process, seconds: float, starting: float) -> Run:
        """Collect what comes until all is said, too much is said, or time is over."""
        deadline = time.monotonic() + seconds + starting
        heard = {process.stdout: bytearray(), process.stderr: bytearray()}
        with selectors.DefaultSelector() as selector:
            for stream in (*heard, self._stopped):
                selector.register(stream, selectors.EVENT_READ)
            ended = ""
            while len(selector.get_map()) > 1 and not ended:
                ready = selector.select(max(0, deadline - time.monotonic()))
                for key, _ in ready:
                    if key.fileobj not in heard:
                        raise Stopped
                    some = os.read(key.fd, 65536)
                    if starting and key.fileobj is process.stdout:
                        deadline, starting = time.monotonic() + seconds, 0.0
                    heard[key.fileobj] += some
                    if not some:
                        selector.unregister(key.fileobj)
                if not ready:
                    ended = "time"
                elif sum(map(len, heard.values())) > self.limits.output:
                    ended = "output"
        if not ended:
            try:
                process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                ended = "time"
        code = process.poll() or 0
        code = code if code >= 0 else 128 - code  # a signal, told as `enter.py` tells it
        if not ended and code:
            ended = "crash"
        output, errors = (bytes(heard[stream]) for stream in (process.stdout, process.stderr))
        return Run(output[: self.limits.output], errors[-4000:], ended, code)

    def _command(self, seconds: float, program: str | None) -> list[str]:
        """Return the command line of the process that locks itself up."""
        python = os.path.realpath(sys.executable)
        command = [python, "-S", "-B", *(["-c", program] if program else [runner.__file__])]
        spec = {"root": None, "command": command, "environment": _environment(sys.path)}
        spec["limits"] = self._kernel_limits(seconds)
        if self.isolation:
            if program is None:
                command[-1] = "/runner.py"
            spec |= {
                "root": self._root,
                "see": visible(),
                "disk": self.limits.disk,
                "files": self.limits.files,
                "put": self._put,
                "environment": _environment(["/course", "/packages"]),
            }
        return [python, "-I", "-S", "-B", str(ENTER), json.dumps(spec)]

    def _kernel_limits(self, seconds: float) -> dict:
        limits = {
            "RLIMIT_CPU": int(seconds) + 3,  # with the start, which `seconds` do not count
            "RLIMIT_NOFILE": self.limits.open_files,
            "RLIMIT_FSIZE": self.limits.disk,
            "RLIMIT_CORE": 0,
        }
        if sys.platform != "darwin":  # which refuses it
            limits["RLIMIT_AS"] = self.limits.memory
        if self.isolation:  # else all processes of this user would count
            limits["RLIMIT_NPROC"] = 1
        return limits

    def _reason_against(self, hidden: Iterable[Path]) -> str:
        """Try out whether the walls stand; return what is wrong, or an empty text."""
        if not sys.platform.startswith("linux"):
            return f"{sys.platform} has no namespaces; Linux has"
        secret = Path(self._root, "outside")
        secret.write_text("only this side may read it")
        if os.getuid() == 0 and (closed := [path for path in _shown_files() if not _for_all(path)]):
            return (
                f"it would run as nobody, who may not read {closed[0]} "
                "(`chmod -R go+rX` on the checkout and its .venv changes that)"
            )
        private = [secret, ROOT / "exercises", ROOT / "grading", ROOT / "tests", *hidden]
        job = {"hidden": [str(path) for path in private]}
        run = self.run(job, seconds=20, program=PROBE)
        said = (run.output + run.errors).decode("utf-8", "replace").strip()
        if run.ended or run.exit_code or said != "walls stand":
            return said or f"the trial ended with {run.ended or run.exit_code}"
        return ""


class NoIsolationError(RuntimeError):
    """The system does not keep a student's code apart."""


class Stopped(BaseException):
    """Raised in what waits for a run when all runs are to end; no failure of anybody's."""


def visible() -> list[tuple[str, str]]:
    """Return the folders and files that the sandbox shows, as (here, there)."""
    base = os.path.realpath(sys.base_prefix)
    system = ["/usr", "/bin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store"]
    shown = [(path, path) for path in system if os.path.lexists(path)]
    if not base.startswith(("/usr/", "/nix/", "/gnu/")) and base != "/usr":
        shown.append((base, base))
    shown.append((str(Path(np.__file__).resolve().parents[1]), "/packages"))
    shown.append((str(ROOT / "gradnb"), "/course/gradnb"))
    shown.append((str(Path(runner.__file__)), "/runner.py"))
    return shown + [(f"/dev/{name}",) * 2 for name in ("null", "zero", "random", "urandom")]


def _shown_files() -> list[Path]:
    """Return what every run reads first, of all that is shown."""
    package = ROOT / "gradnb"
    return [package, package / "__init__.py", Path(runner.__file__), Path(np.__file__)]


def _for_all(path: Path) -> bool:
    """Say whether everybody may read a file, or look into a folder."""
    wanted = 0o005 if path.is_dir() else 0o004
    return path.stat().st_mode & wanted == wanted


@cache
def fonts() -> list[tuple[str, str]]:
    """Return matplotlib's list of fonts and its place there, or nothing.

    It takes seconds to make, and students import matplotlib, though no exercise needs it.
    """
    ask = "import matplotlib.font_manager; print(matplotlib.get_cachedir())"
    run = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, check=False, env={**os.environ}
    )
    if run.returncode:
        return []
    found = Path(run.stdout.strip()).glob("fontlist-*.json")
    return [(str(path), f"/tmp/matplotlib/{path.name}") for path in found]


def _environment(path: list[str]) -> dict:
    """Return all that the student's process learns from its environment."""
    threads = ("OMP", "OPENBLAS", "MKL", "VECLIB", "BLIS")
    return {
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "HOME": "/tmp",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        **{f"{name}_NUM_THREADS": "1" for name in threads},
    }


def _end(process, isolated: bool) -> None:
    """End a run and all that it has started, and wait until they have ended."""
    if isolated and process.poll() is None:
        process.terminate()  # `enter.py` passes it on
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
    elif not isolated:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()

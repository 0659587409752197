"""Make `.venv` with all that requirements.txt names, unless it is already there and current.

Whatever ended a run early, the next one is right: `.venv/complete` is written last, and says for
which folder, which pins and which Python the environment was made. If that differs from what is
wanted now, the environment is made again from nothing.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
COMPLETE = VENV / "complete"
# On the same disk, and gone with `.venv`: pip that is killed leaves here what it has unpacked.
TEMPORARY = VENV / "tmp"
INPUTS = ["requirements.txt", "constraints.txt", "pyproject.toml", "tools/venv.py"]


def wanted():
    pins = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in INPUTS)).hexdigest()
    python = f"{Path(sys._base_executable).resolve()}\n{sys.version}\n{sysconfig.get_platform()}"
    # The folder, because an environment holds its own absolute path: a moved one is broken.
    return os.fsencode(f"{ROOT}\n{pins}\n{python}\n")


def current():
    try:
        return COMPLETE.read_bytes() == wanted() and PYTHON.exists()
    except OSError:
        return False


def remove():
    if VENV.is_dir() and not VENV.is_symlink():
        COMPLETE.unlink(missing_ok=True)  # first: what is half removed must not pass for complete
        shutil.rmtree(VENV)
    else:
        VENV.unlink(missing_ok=True)


def run(*command, **options):
    # Open files are handed on: pip holds the lock of tools/locked.py even if it is orphaned.
    return subprocess.run(command, check=True, cwd=ROOT, close_fds=False, **options)


def make():
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Installing into .venv with Python {version}: one to three minutes …", flush=True)
    if sys.version_info >= (3, 15):
        print("(Tested with Python 3.11 to 3.14; on a newer one pip may have to compile.)")
    remove()
    # The base interpreter, because this may be the one inside the environment just removed.
    venv = [sys._base_executable, "-m", "venv", VENV]
    run(*venv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    TEMPORARY.mkdir()
    pip = [PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run(*pip, "install", "-r", "requirements.txt", env={**os.environ, "TMPDIR": str(TEMPORARY)})
    shutil.rmtree(TEMPORARY)
    COMPLETE.write_bytes(wanted())


def main():
    if current():
        return
    if not os.access(ROOT, os.W_OK):
        sys.exit(
            f"Nothing can be installed here, because {ROOT} cannot be written.\n"
            "Copy it to a folder of your own, and run the same command there."
        )
    broken_off = []
    # pip gets Ctrl-C, too, and ends; this process stays to say so.
    signal.signal(signal.SIGINT, lambda *_: broken_off.append("Ctrl-C"))
    try:
        make()
    except subprocess.CalledProcessError as error:
        shutil.rmtree(VENV, ignore_errors=True)  # up to a gigabyte, perhaps on a full disk
        if error.returncode < 0 and not broken_off:
            broken_off.append(signal.strsignal(-error.returncode))
        if broken_off:
            sys.exit(f"Installing was broken off ({broken_off[0]}). The next run begins it anew.")
        sys.exit(
            f"{error.stdout or ''}Installing failed; the reason is above. With a network, and a "
            "gigabyte of room\non the disk, the same command tries again."
        )
    except OSError as error:
        sys.exit(
            f"Installing failed: {error.strerror} ({error.filename or VENV}).\n"
            "If that is mended, or .venv removed, the same command tries again."
        )


if __name__ == "__main__":
    main()

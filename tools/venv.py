"""Make `.venv` with all that requirements.txt names, unless it is already there and current.

Whatever ended a run early, the next one is right: `.venv/complete` is written last, and says for
which folder, which pins and which Python the environment was made. If that differs from what is
wanted now, the environment is made again from nothing.
"""

import hashlib
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
COMPLETE = VENV / "complete"
INPUTS = ["requirements.txt", "constraints.txt", "pyproject.toml", "tools/venv.py"]


def wanted():
    pins = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in INPUTS)).hexdigest()
    # The folder, because an environment holds its own absolute path: a moved one is broken.
    return f"{ROOT}\n{pins}\n{Path(sys._base_executable).resolve()}\n{sys.version}\n"


def make():
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Installing into .venv with Python {version}: one to three minutes …", flush=True)
    if sys.version_info >= (3, 15):
        print("(Tested with Python 3.11 to 3.14; on a newer one pip may have to compile.)")
    if VENV.is_symlink():
        VENV.unlink()
    elif VENV.exists():
        shutil.rmtree(VENV)
    # The base interpreter, because this may be the one inside the environment just removed.
    subprocess.run([sys._base_executable, "-m", "venv", VENV], check=True)
    pip = [VENV / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    # Open files are handed on: pip holds the lock of tools/locked.py even if it is orphaned.
    subprocess.run(
        [*pip, "install", "-r", "requirements.txt"], check=True, cwd=ROOT, close_fds=False
    )
    COMPLETE.write_text(wanted(), encoding="utf-8")


def main():
    if COMPLETE.exists() and COMPLETE.read_text(encoding="utf-8") == wanted():
        return
    try:
        make()
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"Installing failed (exit code {error.returncode}); the reason is above. With a network"
            "\nand room on the disk, the same command tries again."
        )


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    main()

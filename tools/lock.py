"""Renew constraints.txt: `make lock`.

It locks all that requirements.txt and the extras of pyproject.toml bring, with one version for
every system and Python wherever there is one.
"""

import signal
import subprocess
import sys
import tomllib
from pathlib import Path

from tools.uv import uv

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS, CONSTRAINTS = ROOT / "requirements.txt", ROOT / "constraints.txt"
# PyTorch comes in a different build for each machine, and only tests that can do without it use it.
UNLOCKED = {"oracles"}


def resolve(requirements):
    """Return what constraints.txt has to hold for a requirements.txt, given as text.

    Raises `subprocess.CalledProcessError` once uv, or pip, has said why it cannot.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = sorted(set(project["optional-dependencies"]) - UNLOCKED)
    command = ["pip", "compile", "--upgrade"]
    command += ["--universal", "--python-version", project["requires-python"].removeprefix(">=")]
    command += ["--fork-strategy", "fewest", "--prerelease", "disallow"]
    command += [f"--extra={extra}" for extra in extras]
    command += ["--no-emit-package", project["name"], "--no-emit-index-url"]
    command += ["--custom-compile-command", "make lock", "-", "pyproject.toml"]
    # Options, such as the `-c constraints.txt` itself, are for pip.
    wanted = [line for line in requirements.splitlines() if not line.startswith("-")]
    return uv(*command, cwd=ROOT, input="\n".join(wanted), stdout=subprocess.PIPE).stdout


def main():
    try:
        text = resolve(REQUIREMENTS.read_text(encoding="utf-8"))
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"Nothing was changed, for the reason above (exit code {error.returncode}). Mend "
            "requirements.txt, or try again with a network."
        )
    CONSTRAINTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    main()

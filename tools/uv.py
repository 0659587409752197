"""uv, from a folder of its own, so that .venv holds nothing that the lock does not name."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "_build" / "uv"
CHOOSING = {"UV_EXCLUDE_NEWER", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_PRERELEASE", "UV_RESOLUTION"}


def uv(*arguments, **options):
    """Run uv; raise `subprocess.CalledProcessError` once it, or pip, has said why it cannot."""
    program = FOLDER / "bin" / "uv"
    if not program.exists():
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--target", FOLDER, "uv"], check=True, stdout=sys.stderr)
    # What somebody has set for other work must not choose the versions here.
    env = {name: value for name, value in os.environ.items() if name not in CHOOSING}
    command = [program, "--quiet", "--no-config", *arguments]
    return subprocess.run(command, check=True, text=True, env=env, **options)

"""uv, from a folder of its own, so that .venv holds nothing that the lock does not name."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "_build" / "uv"


def uv(*arguments, **options):
    """Run uv; raise `subprocess.CalledProcessError` once it, or pip, has said why it cannot."""
    program = FOLDER / "bin" / "uv"
    if not program.exists():
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--target", FOLDER, "uv"], check=True, stdout=sys.stderr)
    command = [program, "--quiet", "--no-config", *arguments]
    return subprocess.run(command, check=True, text=True, **options)

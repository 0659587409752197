"""Build the site into `_build/html`, with every warning an error: `build_site.py [--fresh]`."""

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / "_build" / "built"
FOLDERS = ["_ext", "_extra", "_static", "_templates"]


def fresh():
    """Whether every page must be read again, not only those that changed.

    Sphinx repeats a warning only for the pages that it reads again, so after a failed build it
    would pass; and it does not notice changes to the extensions, to what they make the style sheet
    from, or to the installed packages.
    """
    if "--fresh" in sys.argv[1:] or not BUILT.exists():
        return True
    watched = [ROOT / name for name in ("_config.yml", "_toc.yml", ".venv/complete")]
    watched += [path for name in FOLDERS for path in (ROOT / name).rglob("*.*")]
    return any(path.exists() and path.stat().st_mtime > BUILT.stat().st_mtime for path in watched)


def main():
    command = [Path(sys.executable).parent / "jupyter-book", "build", ROOT]
    command += ["--quiet", "-W", "--keep-going"]
    if fresh():  # nor would it remove the page of a chapter that is gone
        for folder in ("html", ".doctrees"):
            shutil.rmtree(ROOT / "_build" / folder, ignore_errors=True)
    BUILT.unlink(missing_ok=True)
    print("Building the book …", flush=True)
    # A file, not a pipe: what a failed build leaves running would hold a pipe open for ever.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        run = subprocess.run(
            command,
            check=False,
            stdout=said,
            stderr=subprocess.STDOUT,
            close_fds=False,  # hands on the lock of tools/locked.py
        )
        if run.returncode:
            said.seek(0)
            sys.exit(f"{said.read()}\nThe book was not built; each warning above is an error.")
    BUILT.touch()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    main()

"""Build the site into `_build/html`, with every warning an error: `build_site.py [--fresh]`."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
SITE = BUILD / "html"
BUILT = BUILD / "built"  # touched last, so that nothing half-built passes for the book
FULL = [os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT)]
FOLDERS = ["_ext", "_extra", "_static", "_templates"]
interrupted = []


def fresh():
    """Whether every page must be read again, not only those that changed.

    Sphinx repeats a warning only for the pages that it reads again, so after a failed build it
    would pass; and it does not notice changes to the extensions, to what they make the style sheet
    from, or to the installed packages.
    """
    if "--fresh" in sys.argv[1:] or not BUILT.exists() or not SITE.exists():
        return True
    watched = [ROOT / name for name in ("_config.yml", "_toc.yml", ".venv/complete")]
    watched += [path for name in FOLDERS for path in (ROOT / name).rglob("*.*")]
    return any(path.exists() and path.stat().st_mtime > BUILT.stat().st_mtime for path in watched)


def build():
    command = [Path(sys.executable).parent / "jupyter-book", "build", ROOT]
    command += ["--quiet", "-W", "--keep-going"]
    everything = fresh()
    BUILD.mkdir(exist_ok=True)
    BUILT.unlink(missing_ok=True)
    if everything:  # nor would Sphinx remove the page of a chapter that is gone
        for folder in (SITE, BUILD / ".doctrees"):
            if folder.exists():
                shutil.rmtree(folder)
    print("Building the book …", flush=True)
    # A file, not a pipe: what a failed build leaves running would hold a pipe open for ever.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace", dir=BUILD) as said:
        run = subprocess.run(
            command,
            check=False,
            stdout=said,
            stderr=subprocess.STDOUT,
            close_fds=False,  # hands on the lock of tools/locked.py
        )
        if run.returncode:
            said.seek(0)
            sys.exit(reason(said.read(), run.returncode))
    BUILT.touch()


def reason(said, status):
    """Return what to tell when a build that said this has ended with this status."""
    if interrupted or status < 0:
        how = "Ctrl-C" if interrupted else signal.strsignal(-status)
        return f"Building was broken off ({how}). The next run builds every page anew."
    if any(words in said for words in FULL) or shutil.disk_usage(BUILD).free < 2**20:
        return "The book was not built, because the disk is full. Make room, then run it again."
    return f"{said}\nThe book was not built; each warning above is an error."


def main():
    if not os.access(BUILD if BUILD.exists() else ROOT, os.W_OK):
        if BUILT.exists():
            print("This folder cannot be written: the book stays as it was built.")
            return
        sys.exit(
            f"The book cannot be built here, because {ROOT} cannot be written.\n"
            "Copy it to a folder of your own, and run the same command there."
        )
    # jupyter-book gets Ctrl-C, too, and ends; this process stays to say so.
    signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))
    try:
        build()
    except OSError as error:
        sys.exit(
            f"The book was not built: {error.strerror} ({error.filename or BUILD}).\n"
            "If that is mended, or _build removed, the same command tries again."
        )


if __name__ == "__main__":
    main()

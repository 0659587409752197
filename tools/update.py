"""Bring every pin to its newest version and show what that changes: `make update`.

It starts from what is committed and ends with all of it renewed, or all of it as before. Only the
standard library may be imported here: the environment that this runs in is made again meanwhile.
"""

import re
import subprocess
import sys
from pathlib import Path

from tools import lock

ROOT = Path(__file__).resolve().parent.parent
# Jupyter Book 2 is another program: it reads neither _config.yml nor our extensions.
BOUNDS = {"jupyter-book": "<2"}
RENEWED = ["requirements.txt", "constraints.txt", "chapters"]
GO_BACK = f"git restore {' '.join(RENEWED)}"
PATCH, LOG = ROOT / "_build" / "update.patch", ROOT / "_build" / "update.log"
PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)((?:\[.*?\])?)==([^\s;#,]+)", re.MULTILINE)
# Nobody's settings for reading differences may make a patch that cannot be applied.
DIFF = ["diff", "--no-ext-diff", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "--"]


def normal(name):
    """Spell a package's name as uv does."""
    return re.sub(r"[-_.]+", "-", name).lower()


def versions(pins):
    """Return the version, or versions, of each package of a requirements.txt or constraints.txt."""
    found = {}
    for name, _, version in PIN.findall(pins):
        found.setdefault(normal(name), []).append(version)
    return found


def unpinned(requirements):
    """Return requirements.txt with bare names, and the bounds of those that have one."""
    return PIN.sub(lambda pin: pin[1] + pin[2] + BOUNDS.get(normal(pin[1]), ""), requirements)


def pinned(requirements, newest):
    """Return requirements.txt with the newest versions, its order and comments as they were."""

    def pin(old):
        name, *several = newest[normal(old[1])]
        if several:
            sys.exit(
                f"{old[1]} has no newest version that suits every Python and system, but "
                f"{', '.join([name, *several])}. Nothing was changed; bound it in tools/update.py."
            )
        return f"{old[1]}{old[2]}=={name}"

    return PIN.sub(pin, requirements)


def git(*arguments):
    return subprocess.run(
        ["git", *arguments], check=True, cwd=ROOT, capture_output=True, encoding="utf-8"
    ).stdout


def require_committed():
    """End here if going back would lose somebody's work."""
    try:
        changed = git("status", "--porcelain", "--", *RENEWED)
    except (OSError, subprocess.CalledProcessError):
        sys.exit("`make update` needs git and a clone of the book: it goes back to the last commit")
    if changed:
        sys.exit(
            f"Changed and not committed:\n{changed}Commit this first, or go back to the last "
            f"commit with\n  {GO_BACK}\nAn update that fails would do that."
        )


def run(*command):
    """Run a command, and keep what it says in the log as well."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    try:
        with open(LOG, "a", encoding="utf-8") as log:
            for line in process.stdout:
                print(line, end="", flush=True)
                log.write(line)
    finally:  # after Ctrl-C, too, it must have ended before its work is undone
        status = process.wait()
    if status:
        raise subprocess.CalledProcessError(status, command)


def show_changes(*arguments):
    python = ROOT / ".venv" / "bin" / "python"
    subprocess.run([python, "-m", "tools.changes", *arguments], check=False, cwd=ROOT)


def renew(make, requirements, constraints):
    """Put the new pins in place, and make from them all that there is."""
    lock.REQUIREMENTS.write_text(requirements, encoding="utf-8")
    lock.CONSTRAINTS.write_text(constraints, encoding="utf-8")
    run(make, "--no-print-directory", "venv")
    try:
        run(make, "--no-print-directory", "notebooks")
    except subprocess.CalledProcessError:
        show_changes("--failed", str(LOG))
        raise


def main(make="make"):
    require_committed()
    old = lock.REQUIREMENTS.read_text(encoding="utf-8")
    print("Looking for the newest versions …", flush=True)
    try:
        new = pinned(old, versions(lock.resolve(unpinned(old))))
        constraints = lock.resolve(new)
    except (subprocess.CalledProcessError, KeyboardInterrupt):
        sys.exit("Nothing was changed; the reason is above. Mend it, or try again with a network.")
    if (new, constraints) == (old, lock.CONSTRAINTS.read_text(encoding="utf-8")):
        print("All versions are the newest already.")
        return
    print(f"Renewing them, and every notebook. If this is broken off: {GO_BACK}", flush=True)
    LOG.parent.mkdir(exist_ok=True)
    for left in (LOG, PATCH):
        left.unlink(missing_ok=True)
    try:
        renew(make, new, constraints)
    except BaseException as error:
        patch = git(*DIFF, "requirements.txt", "constraints.txt")
        git("restore", "--", *RENEWED)
        PATCH.write_text(patch, encoding="utf-8")
        if not isinstance(error, (subprocess.CalledProcessError, KeyboardInterrupt)):
            raise
        sys.exit(
            "The update failed, for the reason above; pins and notebooks are as before. To mend it "
            "with the new\nversions: git apply _build/update.patch, then make notebooks."
        )
    show_changes()
    print(f"Look at it, then run `make test`. To go back: {GO_BACK}")


if __name__ == "__main__":
    main(*sys.argv[1:])

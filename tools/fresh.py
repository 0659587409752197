"""Do what a reader does on a new machine: `make fresh`.

What is committed is cloned into a folder whose name has a space and an umlaut, and built and tested
there with an empty home and no settings; tested without a network, where the system lets us take it
away.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = {"PATH", "PYTHON", "CHROMIUM"}
# Without these there is no way out of some networks.
KEPT |= {name for name in os.environ if name.lower() in {"http_proxy", "https_proxy", "no_proxy"}}

# Kernels and browsers are spoken to through the loopback. To switch it on, somebody who is not root
# keeps for a moment the rights that making a network gives.
OFFLINE = ["unshare", "--net"]
if os.geteuid():
    OFFLINE += ["--map-current-user", "--keep-caps"]
LOOPBACK = """
import ctypes, fcntl, os, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
ctypes.CDLL(None).prctl(47, 4, 0, 0, 0)  # PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL
os.execvp(sys.argv[1], sys.argv[1:])
"""


def offline():
    """Return what to put before a command to run it without a network; None if nothing does."""
    command = [*OFFLINE, sys.executable, "-c", LOOPBACK]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return command


def tried(name, command, **options):
    print(f"== {name}", flush=True)
    start = time.monotonic()
    status = subprocess.run(command, check=False, **options).returncode
    how = "worked" if status == 0 else f"FAILED ({status})"
    return f"{how:12} {time.monotonic() - start:5.0f} s  {name}", status


def main():
    top = Path(tempfile.mkdtemp(prefix="fresh-"))
    home, book = top / "home", top / "Bücher und Räume" / "book"
    home.mkdir()
    env = {name: os.environ[name] for name in KEPT & os.environ.keys()} | {"HOME": str(home)}
    options = {"cwd": book, "env": env, "stdin": subprocess.DEVNULL}
    try:
        subprocess.run(["git", "clone", "--quiet", ROOT, book], check=True)
        found = [tried("make book", ["make", "book"], **options)]
        if without := offline():
            found.append(
                tried("make test, without a network", [*without, "make", "test"], **options)
            )
        else:
            found.append(tried("make test, with the network", ["make", "test"], **options))
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print("", f"In a fresh clone, {book}:", *(line for line, _ in found), sep="\n")
    sys.exit(any(status for _, status in found))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Broken off."))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Broken off.")

"""Try from inside whether the walls around a student's code stand; print what does not.

It is run in the sandbox before all grading, as the runner would be. Read by `grading.sandbox`.
"""

import ctypes
import json
import os
import socket
import sys

import numpy as np

import gradnb

libc = ctypes.CDLL(None, use_errno=True)
job = json.load(sys.stdin)
open_doors = []


def must_fail(what, attempt, *arguments):
    """Note a door that is open, unless what is attempted is refused."""
    try:
        attempt(*arguments)
    except (OSError, MemoryError, PermissionError, RuntimeError):
        return
    open_doors.append(what)


def call(name, *arguments):
    """Call a function of the C library; raise what it reports."""
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def write(path):
    """Write a file and remove it, lest it is there for ever where a wall is missing."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    os.unlink(path)


def send():
    """Send to a port of this machine, at which nobody need listen."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"", ("127.0.0.1", 9))


gradnb.Linear(2, 2, rng=0)(np.ones((1, 2)))
for path in job["hidden"]:
    must_fail(f"it can see {path}", os.stat, path)
    must_fail(f"it can see {path} behind its root", os.stat, "/.." + path)
for path in ("/", "/usr", "/packages", "/course/gradnb"):
    must_fail(f"it can write to {path}", write, path + "/written")
    if not os.statvfs(path).f_flag & os.ST_RDONLY:
        open_doors.append(f"{path} is not read-only")
must_fail("it can start processes", lambda: os.fork() or os._exit(0))
must_fail("it can become root", os.setuid, 0)
must_fail("it can make namespaces", call, "unshare", 0x10000000)
must_fail("it can mount", call, "mount", b"tmpfs", b"/tmp", b"tmpfs", 0, None)
must_fail("it can share memory", call, "shmget", 1, 4096, 0o1600)
must_fail("it can keep messages", call, "msgget", 1, 0o1600)
must_fail("it can keep semaphores", call, "semget", 1, 1, 0o1600)
must_fail("it has more memory than it should", np.empty, 4 * 2**30, np.uint8)
must_fail("it can raise its limits", call, "prlimit", 0, 9, b"\xff" * 16, None)
must_fail("it has a network", send)
if os.getuid() == 0:
    open_doors.append("it is root")
if len(os.listdir("/proc") if os.path.isdir("/proc") else []):
    open_doors.append("it can see other processes")
print("; ".join(open_doors) or "walls stand")

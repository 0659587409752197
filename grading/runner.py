"""What runs beside a student's code, in the sandbox: it executes the cells and hands out values.

It stands alone, on the standard library and NumPy, since nothing else of `grading` is in there. It
reads one job from standard input and writes one JSON object a line to where standard output led:

    {"up": true}                                            here we are
    {"start": 3}                                            a cell begins
    {"cell": 3, "error": "SyntaxError: invalid syntax"}     it did not run to its end
    {"cell": 3, "error": "…", "slow": true}                 since it took too long
    {"part": "batch", "value": {"dtype": …}}                a value
    {"part": "batch", "error": "TypeError: …"}              a part that has none
    {"end": true}                                           all was asked

All that is written here is hearsay: the student's code runs in this process and may write lines of
its own. So nothing but values is taken from it, and nothing is believed without comparison.
"""

import base64
import json
import os
import re
import signal
import sys
import traceback
import types

import numpy as np

MAX_TEXT = 300


def encode(value):
    """Turn arrays, numbers, strings, and lists, tuples and dicts of those into plain JSON."""
    if value is None:
        raise ValueError("it is None: is a `return` or an assignment missing?")
    if isinstance(value, dict):
        return {"dict": {str(key): encode(item) for key, item in value.items()}}
    try:
        array = np.asarray(value)
    except ValueError:  # of unequal shapes
        array = None
    if array is None or array.dtype.kind == "O":
        if isinstance(value, (list, tuple)):
            return {"list": [encode(item) for item in value]}
        raise TypeError(f"a value must be numbers or text, not {type(value).__name__}")
    if array.dtype.kind not in "biufcU":
        raise TypeError(f"a value must be numbers or text, not {array.dtype}")
    if array.dtype.kind == "U":
        return {"text": array.tolist()}
    wide = {"f": 8, "c": 16}.get(array.dtype.kind, 8)
    dtype = array.dtype.newbyteorder("<") if array.dtype.itemsize <= wide else f"<f{wide}"
    array = np.ascontiguousarray(array, dtype=dtype)
    data = base64.b64encode(array.tobytes()).decode("ascii")
    return {"dtype": array.dtype.str, "shape": np.shape(value), "data": data}


def decode(coded):
    """Turn back what `encode` made; a single number becomes Python's own."""
    if "dict" in coded:
        return {str(key): decode(item) for key, item in coded["dict"].items()}
    if "list" in coded:
        return [decode(item) for item in coded["list"]]
    if "text" in coded:
        return coded["text"]
    if not re.fullmatch(r"[<|][biufc]\d\d?", coded["dtype"]):
        raise ValueError(f"{coded['dtype']!r:.20} is no type of numbers")
    dtype = np.dtype(coded["dtype"])
    raw = base64.b64decode(coded["data"], validate=True)
    shape = [int(n) for n in coded["shape"]]
    if max(shape, default=0) > len(raw) + 10_000:  # of nothing, but long to go through
        raise ValueError("an empty array with an axis that has no end")
    array = np.frombuffer(raw, dtype).reshape(shape).copy()
    return array if array.ndim else array[()].item() if dtype.itemsize == 8 else array[()]


class Names:
    """The names of the student's notebook as attributes."""

    def __init__(self, namespace):
        self._namespace = namespace

    def __getattr__(self, name):
        try:
            return self._namespace[name]
        except KeyError:
            raise NameError(f"your notebook does not define `{name}`") from None


class CellTimeout(BaseException):
    """Raised inside a cell whose time is over; no `except Exception` stops it."""


def described(error):
    """Return an error as one short text with its place, even where its own code fails."""
    try:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        place = ""
        for frame, line in traceback.walk_tb(error.__traceback__):
            if cell := re.fullmatch(r"<(cell \d+)>", frame.f_code.co_filename):
                place = f" ({cell[1]}, line {line})"  # the innermost line of the notebook's
        return re.sub(r"<(cell \d+)>", r"\1", text[:MAX_TEXT]) + place
    except Exception:
        return "an error that cannot be shown"


def plain(source):
    """Leave out what is IPython's and not Python's: magics, shell commands, questions."""
    lines = source.split("\n")
    if lines and lines[0].startswith("%%"):
        lines[0] = ""
    return "\n".join(
        f"{line[: len(line) - len(line.lstrip())]}pass"
        if line.lstrip().startswith(("%", "!")) or line.rstrip().endswith("?")
        else line
        for line in lines
    )


def run_cell(source, label, namespace, seconds):
    """Execute a cell; return what is to be said of it: nothing, or what stopped it."""

    def over(signum, frame):
        raise CellTimeout(f"it was stopped after {seconds:g} s")

    if timed := hasattr(signal, "setitimer"):  # Windows has none
        signal.signal(signal.SIGALRM, over)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        try:
            code = compile(source, label, "exec", dont_inherit=True)
        except SyntaxError:
            code = compile(plain(source), label, "exec", dont_inherit=True)
        exec(code, namespace)
    except CellTimeout as error:
        return {"error": str(error), "slow": True}
    except BaseException as error:  # SystemExit and KeyboardInterrupt are no reason to end either
        return {"error": described(error)}
    finally:
        if timed:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return {}


def main():
    """Do the job."""
    job = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)

    def say(**line):
        out.write(json.dumps(line) + "\n")

    say(up=True)
    calls = {"__name__": "calls"}
    exec(compile(job["calls"], "calls", "exec"), calls)
    notebook = types.ModuleType("__main__")
    sys.modules["__main__"] = notebook
    for number, source, seconds in job["cells"]:
        say(start=number)
        if stopped := run_cell(source, f"<cell {number}>", notebook.__dict__, seconds):
            say(cell=number, **stopped)
    say(start=None)

    given = decode(job["given"])
    ask_all = calls[job["task"].replace("-", "_")]
    for part, ask in ask_all(Names(notebook.__dict__), given):
        try:
            say(part=part, value=encode(ask()))
        except BaseException as error:
            say(part=part, error=described(error))
    say(end=True)


if __name__ == "__main__":
    main()

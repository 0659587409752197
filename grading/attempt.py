"""One task of one student: run the code in the sandbox, compare the values here."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass, field

import numpy as np

from grading import runner
from grading.notebook import nbgrader, to_run
from grading.problemset import ProblemSet, Task
from grading.sandbox import Run, Sandbox

CELL_SECONDS, HURRIED = 3.0, 0.3
MAX_CELLS = 20  # of which it is told what stopped them
MAX_LINES = 20_000  # that are read; cells and parts are fewer


class PartFailedError(Exception):
    """Raised when a check asks for a value that the student's code did not give."""


class Got(dict):
    """The student's values by the name of the part; asking for one that failed raises its error."""

    def __init__(self, values: dict, errors: dict, silence: str):
        super().__init__(values)
        self.errors = errors
        self.silence = silence

    def __missing__(self, part):
        raise PartFailedError(self.errors.get(part, self.silence))


class NotStartedError(RuntimeError):
    """Raised when a run ended before any of the student's code could run: not their fault."""


@dataclass
class Heard:
    """What a run said, taken apart."""

    values: dict = field(default_factory=dict)
    errors: dict = field(default_factory=dict)
    cells: dict = field(default_factory=dict)  # what stopped a cell, by its number
    slow: set = field(default_factory=set)
    up: bool = False
    running: int | None = None  # the cell that had begun and not ended
    complete: bool = False
    forged: str = ""  # why this cannot be what the runner wrote


@dataclass
class Outcome:
    """What came of a task."""

    status: str
    note: str = ""
    failed: dict = field(default_factory=dict)  # by check, the student's own error or ""
    cells: dict = field(default_factory=dict)  # by number, what stopped the cell


@dataclass
class Patience:
    """What a submission's cells have cost so far; its other tasks need not pay again.

    A cell that ended a whole process is left out of the tasks that it does not answer, and one that
    was stopped gets less time there.
    """

    leave_out: dict = field(default_factory=dict)  # by number, why
    hurry: set = field(default_factory=set)
    retries: int = 3


def attempt(
    problem_set: ProblemSet,
    task: Task,
    cells: list,
    given: dict,
    sandbox: Sandbox,
    patience: Patience | None = None,
) -> Outcome:
    """Grade one task; `given` are its inputs, the student's SEED among them.

    Raises
    ------
    NotStartedError
        If the sandbox could not start.
    """
    patience = patience or Patience()
    own = {n for n, cell in enumerate(cells, 1) if nbgrader(cell).get("grade_id") == task.name}
    everything = to_run(problem_set.source["cells"], cells, given["seed"])
    while True:
        job = {
            "cells": [
                (number, source, HURRIED if number in patience.hurry - own else CELL_SECONDS)
                for number, source in everything
                if number not in patience.leave_out or number in own
            ],
            "calls": problem_set.calls,
            "task": task.name,
            "given": runner.encode(given),
        }
        run = sandbox.run(job, task.seconds)
        heard = listen(run.output)
        if not heard.up:
            words = run.errors.decode("utf-8", "replace").strip().splitlines()
            raise NotStartedError(words[-1] if words else f"ended with {_how(run, task)}")
        patience.hurry |= heard.slow
        blamed = heard.running
        if not run.ended and not heard.complete and not heard.forged:
            run = Run(run.output, run.errors, "crash", run.exit_code)
        if run.ended and blamed and blamed not in own and patience.retries > 0:
            patience.retries -= 1
            patience.leave_out[blamed] = f"it ended the run ({_how(run, task)}) and was left out"
            continue
        return _outcome(task, given, run, heard, patience, own)


def listen(output: bytes) -> Heard:
    """Take apart what was written; what cannot come from the runner is noticed, not believed."""
    heard = Heard()
    *lines, rest = output.split(b"\n")
    for line in lines[:MAX_LINES]:
        try:
            _hear(json.loads(line), heard)
        except Exception:  # whatever it is, it was not written by the runner
            heard.forged = "its values did not come in the form in which they are handed out"
            break
    if (rest and heard.complete) or lines[MAX_LINES:]:
        heard.forged = "more was written than its values"
    return heard


def _hear(said: dict, heard: Heard) -> None:
    if heard.complete:
        raise ValueError("something after the end")
    if "up" in said:
        heard.up = True
    elif "start" in said:
        heard.running = None if said["start"] is None else int(said["start"])
    elif "cell" in said:
        if len(heard.cells) < MAX_CELLS:
            heard.cells[int(said["cell"])] = printable(said["error"])
        if said.get("slow"):
            heard.slow.add(int(said["cell"]))
    elif "part" in said:
        if said["part"] in heard.values or said["part"] in heard.errors:
            raise ValueError("a part came twice")
        if "value" in said:
            heard.values[str(said["part"])] = runner.decode(said["value"])
        else:
            heard.errors[str(said["part"])] = printable(said["error"])
    elif said["end"] is True:
        heard.complete = True


def printable(text: str) -> str:
    """Return a student's text without what moves cursors or hides characters."""
    text = text[: runner.MAX_TEXT].encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else " " for c in text)


def _how(run: Run, task: Task) -> str:
    if run.ended == "time":
        return f"more than {task.seconds:g} s"
    if run.ended == "output":
        return "too much was handed out"
    if not run.ended:
        return "no word"
    try:
        return signal.Signals(run.exit_code - 128).name  # such as SIGSEGV
    except ValueError:
        return f"exit code {run.exit_code}"


def _outcome(task, given, run, heard, patience, own) -> Outcome:
    """Compare, and say how it went."""
    silence = "the code ended before it gave this value"
    if run.ended == "time":
        silence = "no value came in time"
    got = Got(heard.values, heard.errors, silence)
    left_out = {n: why for n, why in patience.leave_out.items() if n not in own}
    outcome = Outcome("graded", cells={**heard.cells, **left_out})
    for check in task.checks:
        reason = failure(check, given, got)
        if reason is not None:
            outcome.failed[check.name] = reason

    if run.ended == "time":
        outcome.status = "timed out"
        outcome.note = f"it took more than {task.seconds:g} s and was ended"
    elif heard.forged:
        outcome.status, outcome.note = "needs review", heard.forged
    elif run.ended:
        outcome.status, outcome.note = "crashed", f"the run ended early: {_how(run, task)}"
    elif heard.slow and outcome.failed:
        outcome.status = "timed out"
        outcome.note = f"cells that took too long were stopped: {_listed(heard.slow)}"
    elif patience.leave_out and outcome.failed:
        outcome.status = "needs review"
        outcome.note = f"graded without the cells that ended the run: {_listed(patience.leave_out)}"
    return outcome


def _listed(numbers) -> str:
    return ", ".join(map(str, sorted(numbers)[:MAX_CELLS]))


def failure(check, given: dict, got: Got) -> str | None:
    """Return None if the check holds, or else the student's own error, which may be empty."""
    try:
        with np.errstate(all="ignore"):
            return None if check.holds(given, got) else ""
    except PartFailedError as error:
        return str(error)
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError):
        return "the value has another form than was asked for"

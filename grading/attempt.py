"""One task of one student: run the code elsewhere, compare the values here."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field

from grading import runner
from grading.notebook import to_run


class PartFailedError(Exception):
    """Raised when a check asks for a value that the student's code did not give."""


class Got(dict):
    """The student's values by the name of the part; asking for one that failed raises its error."""

    def __init__(self, values, errors):
        super().__init__(values)
        self.errors = errors

    def __missing__(self, part):
        raise PartFailedError(self.errors.get(part, "no value came"))


@dataclass
class Outcome:
    """What came of a task: the checks passed and failed, and what went wrong."""

    status: str
    failed: dict = field(default_factory=dict)  # by check, the student's own error or ""
    cells: dict = field(default_factory=dict)  # by number, the error that stopped the cell


def attempt(problem_set, task, cells, given, seed=0):
    """Grade one task (without a sandbox, for the authors of checks)."""
    job = {
        "cells": to_run(problem_set.source["cells"], cells, seed),
        "calls": problem_set.calls,
        "task": task.name,
        "given": runner.encode({**given, "seed": seed}),
        "cell_seconds": 3,
    }
    run = subprocess.run(
        [sys.executable, "-B", runner.__file__],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=task.seconds,
        check=False,
    )
    values, errors, outcome = {}, {}, Outcome("graded")
    for line in map(json.loads, run.stdout.splitlines()):
        if "cell" in line:
            outcome.cells[line["cell"]] = line["error"]
        elif "value" in line:
            values[line["part"]] = runner.decode(line["value"])
        elif "part" in line:
            errors[line["part"]] = line["error"]
    if run.stderr:
        print(run.stderr)
    for check in task.checks:
        try:
            if not check.holds({**given, "seed": seed}, Got(values, errors)):
                outcome.failed[check.name] = ""
        except PartFailedError as error:
            outcome.failed[check.name] = str(error)
    return outcome

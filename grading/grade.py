"""Grade one submission: every task by its values, into one plain dictionary."""

from __future__ import annotations

import hashlib

from grading.attempt import Outcome, Patience, attempt, printable
from grading.notebook import is_empty, is_explanation, nbgrader
from grading.problemset import ProblemSet, Task, names
from grading.sandbox import Sandbox
from grading.secret import hidden_inputs
from grading.submissions import Submission, own_lines_in_given_cells, structure_doubts

# From the one that says most about a submission to the one that says least.
STATUSES = ("unreadable", "needs review", "crashed", "timed out", "graded")


def grade_submission(
    problem_set: ProblemSet, submission: Submission, sandbox: Sandbox, secret: bytes, seed: int
) -> dict:
    """Return a submission's result, ready for JSON.

    Points that nobody has decided yet are None: those of explanations, and all of a submission that
    could not be read. They are not zero.
    """
    result = _empty(problem_set, submission, seed)
    if submission.unreadable:
        return _finished(result, problem_set, "unreadable", [submission.unreadable])
    source_cells = problem_set.source["cells"]
    doubts = [*submission.doubts, *structure_doubts(source_cells, submission.cells, seed)]
    if other := _another_set(problem_set, submission.cells):
        doubts = [*submission.doubts, f"it is the notebook of {other}"]
    patience = Patience()
    for task in problem_set.tasks.values():
        given = {
            **task.inputs(hidden_inputs(secret, problem_set.name, task.name, submission.student)),
            "seed": seed,
        }
        outcome = attempt(problem_set, task, submission.cells, given, sandbox, patience)
        result["tasks"].append(_task_result(problem_set, task, outcome))
    if any(task["points"] < task["max_points"] for task in result["tasks"]):
        doubts += own_lines_in_given_cells(source_cells, submission.cells)
    result["explanations"] = list(_explanations(problem_set, submission.cells))
    found = {task["status"] for task in result["tasks"]} | ({"needs review"} if doubts else set())
    status = next(status for status in STATUSES if status in {*found, "graded"})
    said = {}  # what is the same of several tasks is said once
    for task in result["tasks"]:
        if task["note"]:
            short = task["title"].split(".")[0]  # such as Task 3
            said.setdefault(task["note"], []).append(short)
    notes = [f"{', '.join(tasks)}: {note}" for note, tasks in said.items()]
    return _finished(result, problem_set, status, [*doubts, *notes])


def _another_set(problem_set: ProblemSet, cells) -> str:
    """Return the name of the set that a notebook answers, if it is another one."""
    there = {nbgrader(cell).get("grade_id") for cell in cells}
    if not there & set(problem_set.tasks):
        for name in names(problem_set.exercises):
            if set(ProblemSet(name, problem_set.exercises).tasks) <= there:
                return name
    return ""


def failed_here(problem_set: ProblemSet, submission: Submission, seed: int, error) -> dict:
    """Return the result of a submission on which the grader itself failed."""
    note = f"the grader failed, which is not the student's fault: {type(error).__name__}: {error}"
    result = _finished(_empty(problem_set, submission, seed), problem_set, "needs review", [note])
    return {**result, "failed_here": True}


def _empty(problem_set: ProblemSet, submission: Submission, seed: int) -> dict:
    return {
        "student": submission.student,
        "set": problem_set.name,
        "file": submission.file,
        "digest": hashlib.sha256(submission.raw).hexdigest(),
        "seed": seed,
        "status": "graded",
        "note": "",
        "tasks": [],
        "explanations": [],
    }


def _finished(result, problem_set, status, notes) -> dict:
    result["status"] = status
    result["note"] = printable("; ".join(notes))
    result["max_score"] = problem_set.max_score
    return with_score(result)


def with_score(result: dict) -> dict:
    """Add up the points; None where nothing could be graded."""
    parts = [*result["tasks"], *result["explanations"]]
    points = [part["points"] for part in parts if part["points"] is not None]
    result["score"] = sum(points) if result["tasks"] else None
    return result


def _task_result(problem_set: ProblemSet, task: Task, outcome: Outcome) -> dict:
    checks = [
        {
            "name": check.name,
            "points": 0 if check.name in outcome.failed else check.points,
            "max_points": check.points,
            "passed": check.name not in outcome.failed,
            "says": check.says,
            "error": outcome.failed.get(check.name, ""),
        }
        for check in task.checks
    ]
    return {
        "name": task.name,
        "title": problem_set.titles[task.name],
        "status": outcome.status,
        "note": outcome.note,
        "points": sum(check["points"] for check in checks),
        "max_points": task.points,
        "checks": checks,
        "cells": [{"cell": n, "error": error} for n, error in sorted(outcome.cells.items())],
    }


def _explanations(problem_set: ProblemSet, cells):
    for cell in filter(is_explanation, problem_set.source["cells"]):
        name = nbgrader(cell)["grade_id"]
        texts = [
            c["source"]
            for c in cells
            if nbgrader(c).get("grade_id") == name and c["cell_type"] == "markdown"
        ]
        empty = bool(texts) and all(map(is_empty, texts))
        if not texts:  # its cell has lost its mark: a person may find it among these
            handed_out = {c["source"] for c in problem_set.source["cells"]}
            own = (c["source"] for c in cells if c["cell_type"] == "markdown")
            added = [text for text in own if text not in handed_out and not is_empty(text)]
        yield {
            "name": name,
            "title": problem_set.titles[name],
            "max_points": nbgrader(cell)["points"],
            "points": 0 if empty else None,
            "comment": "There is no answer in its cell." if empty else "",
            "text": "\n\n".join(texts or added),
            "missing": not texts,
        }

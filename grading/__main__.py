"""The command line: ``python -m grading``."""

import sys

import numpy as np

from grading.attempt import attempt
from grading.problemset import ProblemSet
from grading.selftest import cases


def selftest(name):
    """Print how each answer of a problem set fares; return the number that fare otherwise."""
    problem_set = ProblemSet(name)
    wrong = 0
    for case in cases(problem_set):
        task = problem_set.tasks[case.task]
        given = task.inputs(np.random.default_rng(1))
        outcome = attempt(problem_set, task, case.cells, given)
        good = set(outcome.failed) == case.fails
        wrong += not good
        print("ok " if good else "BAD", case.id, outcome.failed, outcome.cells)
        if not good:
            print("     expected to fail:", sorted(case.fails))
    return wrong


if __name__ == "__main__":
    sys.exit(sum(selftest(name) for name in sys.argv[2:]))

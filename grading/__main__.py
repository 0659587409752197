"""The command line: ``python -m grading``."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from grading import secret
from grading.attempt import attempt
from grading.batch import grade
from grading.problemset import ProblemSet, names
from grading.release import personal_releases, write_releases
from grading.sandbox import NoIsolationError, Sandbox
from grading.selftest import cases


def main(arguments=None):
    """Do what the command line says; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except NoIsolationError as error:
        sys.exit(
            f"Students' code cannot be kept apart on this machine: {error}.\n"
            "Grade on Linux, or in the container that exercises/Containerfile describes. With\n"
            "--no-isolation it is run all the same: then it can read the solutions and change\n"
            "your files, so do that only with code that you have read."
        )
    except KeyboardInterrupt:
        goes_on = " What was graded is kept; the same command goes on from there."
        print(f"\nStopped.{goes_on * (options.run is _grade)}", file=sys.stderr)
        return 130
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}" if error.filename else f"{error}")
    except (ValueError, RuntimeError, ImportError) as error:
        sys.exit(f"{error}")


def _parser():
    parser = argparse.ArgumentParser(prog="python -m grading", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("release", help="make the students' versions")
    command.add_argument("sets", metavar="SET", nargs="*", help="all, if none is named")
    command.add_argument(
        "--students", type=Path, help="a table of students (CSV): one version each"
    )
    command.add_argument("--secret", type=Path, help="what each student's SEED is made from")
    command.add_argument("--out", type=Path, help="where the students' own versions go")
    command.set_defaults(run=_release)

    command = commands.add_parser("grade", help="grade a folder of submissions")
    command.add_argument("set", metavar="SET", help=", ".join(names()))
    command.add_argument("submissions", type=Path, help="one file or folder for each student")
    command.add_argument("--out", type=Path, help="results (default: graded/SET)")
    command.add_argument("--secret", type=Path, help="the file that personal releases came from")
    command.add_argument("--jobs", type=int, help="how many at a time (default: processors)")
    command.add_argument(
        "--dask", metavar="ADDRESS", help="grade on the workers of a Dask scheduler"
    )
    command.add_argument("--course", type=Path, help="an nbgrader course, for its grade book")
    command.add_argument(
        "--no-isolation",
        action="store_true",
        help="run students' code although this system cannot keep it apart",
    )
    command.set_defaults(run=_grade)

    command = commands.add_parser("secret", help="make the secret of a course")
    command.add_argument("file", type=Path)
    command.set_defaults(run=_secret)

    command = commands.add_parser("selftest", help="grade the sets' own right and wrong answers")
    command.add_argument("sets", metavar="SET", nargs="*", default=names())
    command.set_defaults(run=_selftest)
    return parser


def _release(options):
    personal = (options.students, options.secret, options.out)
    if not any(personal):
        changed = write_releases(options.sets)
        for path in changed:
            print(f"Made {path}")
        print("The students' versions are in exercises/release" + " as before." * (not changed))
        return
    if not all(personal) or len(options.sets) != 1:
        raise ValueError("for each student's own version name one SET, --students, --secret, --out")
    problem_set, key = ProblemSet(options.sets[0]), secret.read(options.secret)
    made = personal_releases(problem_set, options.students, key, options.out)
    print(f"Made {len(made)} notebooks in {options.out}, one for each student.")


def _secret(options):
    secret.make(options.file)
    print(f"Made {options.file}. Keep it: the students' data are made from it.")


def _grade(options):
    out = options.out or Path("graded", options.set)
    began = time.monotonic()
    counts = {}

    def progress(done, total, result):
        counts[result["status"]] = counts.get(result["status"], 0) + 1
        listed = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
        line = f"{done} of {total} done in {time.monotonic() - began:.0f} s: {listed}"
        if sys.stderr.isatty():
            print(f"\r\033[K{line}", end="\n" if done == total else "", file=sys.stderr, flush=True)
        elif done == total or done % max(1, total // 20) == 0:
            print(line, file=sys.stderr, flush=True)

    results = grade(
        ProblemSet(options.set),
        options.submissions,
        out,
        secret=options.secret and secret.read(options.secret),
        jobs=options.jobs,
        dask=options.dask,
        isolation=not options.no_isolation,
        course=options.course,
        progress=progress,
    )
    total = Counter(result["status"] for result in results)
    listed = ", ".join(f"{n} {status}" for status, n in sorted(total.items()))
    print(f"{len(results)} submission{'s' * (len(results) != 1)}: {listed}.")
    print(f"See {out / 'report.html'}.")


def _selftest(options):
    wrong = 0
    sandbox = Sandbox()
    for name in options.sets:
        problem_set = ProblemSet(name)
        for case in cases(problem_set):
            task = problem_set.tasks[case.task]
            given = {**task.inputs(np.random.default_rng(1)), "seed": 0}
            outcome = attempt(problem_set, task, case.cells, given, sandbox)
            good = set(outcome.failed) == case.fails
            wrong += not good
            print("ok " if good else "BAD", name, case.id, *sorted(outcome.failed))
            if not good:
                print("     expected to fail:", *sorted(case.fails))
                print("     said:", outcome.failed, outcome.cells, outcome.note)
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())

"""Grade a folder of submissions: in parallel, and each of them once.

Every result is a file of its own, written whole or not at all. A run that was ended, however, goes
on where it stood; a submission, a check or a secret that has changed is graded anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from grading import explanations, files, gradebook
from grading import secret as secrets
from grading.filenames import lone_stem
from grading.grade import failed_here, grade_submission, with_score
from grading.pages import write_pages
from grading.problemset import ROOT, ProblemSet
from grading.sandbox import ON_WINDOWS, NoIsolationError, Sandbox
from grading.submissions import Submission, find


@dataclass(frozen=True)
class Work:
    """A submission with all that its grade depends on."""

    submission: Submission
    seed: int
    key: str


def grade(
    problem_set: ProblemSet,
    folder: Path,
    out: Path,
    *,
    secret: bytes | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    isolation: bool = True,
    course: Path | None = None,
    progress: Callable[[int, int, dict], None] = lambda done, total, result: None,
) -> list[dict]:
    """Grade every submission of a folder, and write what a class gets to read.

    Returns the results in the order of the students, with the points that a person has given.

    Parameters
    ----------
    problem_set : ProblemSet
        What was assigned.
    folder : Path
        The submissions, laid out as `grading.submissions` says.
    out : Path
        Where results and pages are kept; ``out/results`` holds one file for each submission.
    secret : bytes, optional
        What the students' own SEEDs were made from. Without it everyone's SEED is 0, and hidden
        inputs come from a secret that is made for `out`.
    jobs : int, optional
        How many are graded at a time; as many as there are processors, if not given.
    dask : str, optional
        The address of a Dask scheduler, whose workers grade instead of this machine.
    isolation : bool, default True
        False also grades where the system keeps nothing apart.
    course : Path, optional
        A course of nbgrader's, whose grade book gets the results. Points that were given in its
        formgrader count for more than ours.
    progress : callable, optional
        ``progress(done, total, result)`` is called after each submission.

    Raises
    ------
    ValueError
        If there is no such folder, nothing in it, or `out` inside it; if `out` holds results of
        another problem set or secret; or if the points that a person filled in are not understood.
        Nothing is graded then.
    NoIsolationError
        If students' code cannot be kept apart and `isolation` is True.
    RuntimeError
        If another run is grading into `out`.
    """
    folder, out = Path(folder).resolve(), Path(out).resolve()
    if out.is_relative_to(folder):
        raise ValueError(f"the results, {out}, must not be inside the submissions, {folder}")
    submissions = find(folder, problem_set.name)
    if not submissions:
        raise ValueError(f"there is no submission in {folder}")
    with alone_in(out):
        made_from = hashlib.sha256(secret).hexdigest()[:16] if secret else "0"
        hold(out / ".set", problem_set.name, "results of the set {held}, this is {now}")
        hold(out / ".seeds", made_from, "results for other SEEDs: is --secret right?")
        if (out / explanations.CSV).exists():  # a mistake in it is told before the work, not after
            explanations.read_points(out / explanations.CSV)
        personal = secret is not None
        secret = secret or own_secret(out)
        version = fingerprint(problem_set)
        results, todo = {}, []
        for submission in submissions:
            student = submission.student
            seed = secrets.seed_for(secret, problem_set.name, student) if personal else 0
            key = key_of(submission, seed, secret, version)
            kept = read_result(result_path(out, student))
            if isinstance(kept, dict) and kept.get("key") == key:
                results[student] = kept
            else:
                todo.append(Work(submission, seed, key))
        if dask:
            from grading.cluster import graded_on

            finished = graded_on(dask, problem_set, todo, secret, version, isolation)
        else:
            sandbox = Sandbox(isolation=isolation, hidden=[folder, out]) if todo else None
            finished = graded_here(problem_set, todo, secret, jobs, sandbox)
        done = len(results)
        with closing(finished):  # or all that waits would be graded before an error is told
            for work, result in finished:
                result["key"] = work.key
                if not result.pop("failed_here", False):  # so that it is tried again
                    text = json.dumps(result, ensure_ascii=False, indent=1)
                    files.write(result_path(out, result["student"]), text, durable=True)
                results[result["student"]] = result
                done += 1
                progress(done, len(submissions), result)
        results = [results[submission.student] for submission in submissions]
        results = explanations.merge_points(results, out)
        if course:
            results = with_points(results, gradebook.manual_points(course, problem_set))
        rubrics = explanations.rubrics(problem_set)
        write_pages(problem_set.titles[problem_set.name], results, out, rubrics)
        if course:
            for note in gradebook.export(problem_set, results, course, folder):
                print(note, file=sys.stderr)
    return results


def graded_here(
    problem_set: ProblemSet, todo: list[Work], secret: bytes, jobs: int | None, sandbox: Sandbox
) -> Iterator[tuple[Work, dict]]:
    """Grade on this machine; yield each piece of work with its result as it is done.

    Closing it early ends what is being graded, and begins nothing else.
    """
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        futures = {
            pool.submit(graded, problem_set, work.submission, work.seed, sandbox, secret): work
            for work in todo
        }
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            if sandbox:
                sandbox.stop()
            pool.shutdown(wait=True, cancel_futures=True)


def graded(problem_set, submission, seed, sandbox, secret) -> dict:
    """Grade one submission; a failure of ours costs no other one, and nobody points."""
    try:
        return grade_submission(problem_set, submission, sandbox, secret, seed)
    except Exception as error:
        print(f"The grader failed on {submission.student!r}: {error!r}", file=sys.stderr)
        return failed_here(problem_set, submission, seed, error)


def with_points(results: list[dict], given: dict) -> list[dict]:
    """Put points and comments that a person gave, by student and task, into the results."""
    for result in results:
        for part in (*result["tasks"], *result["explanations"]):
            if (result["student"], part["name"]) in given:
                part["points"], part["comment"] = given[result["student"], part["name"]]
    return [with_score(result) for result in results]


@contextmanager
def alone_in(out: Path):
    """Hold the results folder, so that no other run writes into it; the system lets go of it."""
    try:
        import fcntl
    except ImportError:
        raise NoIsolationError(ON_WINDOWS) from None
    (out / "results").mkdir(parents=True, exist_ok=True)
    with open(out / ".lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"another run is grading into {out}; wait for it to end") from None
        yield


def own_secret(out: Path) -> bytes:
    """Return the secret of a results folder, from which its hidden inputs are drawn."""
    path = out / ".secret"
    try:
        return secrets.read(path)
    except (OSError, ValueError):  # none yet, or cut short: then all is graded anew
        path.unlink(missing_ok=True)
        secrets.write_new(path)
    return secrets.read(path)


def hold(path: Path, now: str, complaint: str) -> None:
    """Keep apart in a folder of results what would overwrite good results with others."""
    held = path.read_text(encoding="utf-8").strip() if path.exists() else now
    if held != now:
        said = complaint.format(held=held, now=now)
        raise ValueError(f"{path.parent} holds {said} (Else choose another folder.)")
    files.write(path, f"{now}\n")


def fingerprint(problem_set: ProblemSet) -> str:
    """Return a digest of all that decides a grade but the submission."""
    name = problem_set.name
    grader = ("attempt", "enter", "grade", "notebook", "problemset", "runner", "sandbox")
    files: Iterable[Path] = [
        problem_set.source_path,
        *(problem_set.exercises / kind / f"{name}.py" for kind in ("checks", "calls")),
        *(ROOT / "grading" / f"{module}.py" for module in (*grader, "secret", "submissions")),
        *sorted((ROOT / "gradnb").rglob("*.py")),
    ]
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def key_of(submission: Submission, seed: int, secret: bytes, version: str) -> str:
    """Return what changes when, and only when, a submission must be graded anew."""
    parts = [
        *(submission.student, submission.file, submission.unreadable, str(seed), version),
        *submission.doubts,
    ]
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace"))
    digest.update(submission.raw)
    digest.update(secret)
    return digest.hexdigest()


def result_path(out: Path, student: str) -> Path:
    """Return where a student's result is kept."""
    return out / "results" / f"{lone_stem(student)}.json"


def read_result(path: Path) -> dict | None:
    """Return a stored result; None if there is none, or none that can be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None

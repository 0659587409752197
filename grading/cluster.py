"""Grade on a Dask cluster, whose workers have this same checkout."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from grading.problemset import EXERCISES, ProblemSet
from grading.sandbox import Sandbox

TRIES = 5


def graded_on(
    address: str, problem_set: ProblemSet, todo: list, secret: bytes, version: str, isolation: bool
) -> Iterator[tuple]:
    """Send the work to the scheduler at `address`; yield each piece with its result.

    Dask hands the work of a worker that dies to another one. What is lost several times, as when
    workers die one after the other, is sent again from here.
    """
    try:
        from distributed import Client, KilledWorker, as_completed
    except ModuleNotFoundError:
        raise RuntimeError("for a cluster, install Dask with: make venv") from None
    with Client(address) as client:
        sent, tries = {}, {}

        def send(work):
            future = client.submit(
                grade_on_worker,
                *(problem_set.name, str(problem_set.exercises), work, secret, version, isolation),
                key=f"{problem_set.name}-{work.key}-{tries.get(work.key, 0)}",
                pure=False,
            )
            sent[future] = work
            return future

        waiting = as_completed([send(work) for work in todo])
        for future in waiting:
            work = sent.pop(future)
            try:
                result = future.result()
            except KilledWorker:
                tries[work.key] = tries.get(work.key, 0) + 1
                if tries[work.key] == TRIES:
                    raise
                waiting.add(send(work))
            else:
                yield work, result


def grade_on_worker(name, exercises, work, secret, version, isolation) -> dict:
    """Grade one submission, on a worker."""
    from grading.batch import fingerprint, graded

    problem_set = _problem_set(name, exercises)
    if fingerprint(problem_set) != version:
        raise RuntimeError("a worker has another version of this checkout, or of the problem set")
    return graded(problem_set, work.submission, work.seed, _sandbox(isolation), secret)


@cache
def _problem_set(name: str, exercises: str = str(EXERCISES)) -> ProblemSet:
    return ProblemSet(name, exercises)


@cache
def _sandbox(isolation: bool) -> Sandbox:
    return Sandbox(isolation=isolation)

"""The numbers of the class report: how a class fares, check by check."""

from __future__ import annotations

from dataclasses import dataclass, field

from grading import table

STATUSES = "graded", "timed out", "crashed", "unreadable", "needs review"
COUNTED = STATUSES[:3]  # with a score that stands
FEW = 20  # points that have a bar each


@dataclass
class Failures:
    """A check, and by how many submissions it is failed."""

    task: str
    says: str
    failed: int = 0
    of: int = 0

    @property
    def share(self) -> float:
        """The share of submissions that fail the check."""
        return self.failed / self.of


@dataclass
class Mean:
    """A task, and the mean of its points."""

    title: str
    max_points: float
    points: list = field(default_factory=list)

    @property
    def mean(self) -> float:
        """The mean of the points that were given."""
        return sum(self.points) / len(self.points)


def by_status(results) -> dict[str, int]:
    """Return how many submissions have each status, the known ones first."""
    found = [result["status"] for result in results]
    return {name: found.count(name) for name in dict.fromkeys([*STATUSES, *found])}


def scores(results) -> list[float]:
    """Return the scores that stand, from the least to the greatest."""
    counted = [result for result in results if result["status"] in COUNTED]
    return sorted(result["score"] for result in counted if result["score"] is not None)


def histogram(results) -> list[tuple[str, int]]:
    """Return (points, how many have them) for each bar."""
    found = scores(results)
    most = max([result["max_score"] or 0 for result in results] + found, default=0)
    if most <= FEW:
        edges = range(int(most) + 1)
        return [(str(low), sum(low <= score < low + 1 for score in found)) for low in edges]
    step = -(-most // 10)
    edges = range(0, int(most) + 1, int(step))
    return [
        (f"{low}–{low + step - 1:g}", sum(low <= score < low + step for score in found))
        for low in edges
    ]


def median(values) -> float:
    """Return the middle of sorted numbers."""
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def failures(results) -> list[Failures]:
    """Return all checks, those failed by most first."""
    found = {}
    for result in results:
        for task in result["tasks"]:
            for check in task["checks"]:
                key = task["name"], check["name"]
                entry = found.setdefault(key, Failures(task["title"], check["says"]))
                entry.of += 1
                entry.failed += not check["passed"]
    return sorted(found.values(), key=lambda check: -check.share)


def means(results) -> list[Mean]:
    """Return the mean points of each task, and of each explanation once all are graded."""
    found, unknown = {}, set()
    for kind in ("tasks", "explanations"):
        for result in results:
            for part in result[kind]:
                key = kind, part["name"]
                if part["points"] is None:
                    unknown.add(key)
                else:
                    entry = found.setdefault(key, Mean(part["title"], part["max_points"]))
                    entry.points.append(part["points"])
    return [entry for key, entry in found.items() if key not in unknown]


def waiting(results) -> int:
    """Return how many explanations a person still has to grade."""
    parts = (part for result in results for part in result["explanations"])
    return sum(part["points"] is None for part in parts)


def ordered(results) -> list[dict]:
    """Return the results in the order of students."""
    return sorted(results, key=lambda result: (str(result["student"]), str(result["file"])))


def summary(results) -> dict:
    """Return all that the class report shows."""
    results = ordered(results)
    found = scores(results)
    return {
        "results": results,
        "statuses": by_status(results),
        "scores": found,
        "median": table.number(median(found)) if found else "",
        "most": max([result["max_score"] or 0 for result in results], default=0),
        "bars": histogram(results),
        "failures": failures(results),
        "means": means(results),
        "people": [result for result in results if result["status"] != "graded"],
        "waiting": waiting(results),
    }

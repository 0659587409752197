"""Grading on a Dask cluster: two workers on this machine, one of which dies."""

import signal
import subprocess
import sys
from pathlib import Path

import mini_set
import pytest

from grading.batch import grade
from grading.sandbox import NoIsolationError, Sandbox

pytest.importorskip("distributed", reason="Dask is not installed: `make venv` installs it")
ROOT = Path(__file__).parents[1]


def start(*arguments, until):
    """Start a process of Dask's; return it when it has said what it is to say."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "distributed.cli." + arguments[0], *arguments[1:]],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = []
    for line in process.stderr:
        said.append(line)
        if until in line:
            return process, line.split()[-1]
    raise AssertionError("".join(said))


@pytest.fixture
def cluster():
    try:
        Sandbox()
    except NoIsolationError as error:
        pytest.skip(f"no isolation here: {error}")
    here = ("--host", "127.0.0.1", "--no-dashboard")
    scheduler, address = start("dask_scheduler", *here, "--port", "0", until="Scheduler at:")
    options = ("--nthreads", "1", "--no-dashboard", "--no-nanny")
    workers = [start("dask_worker", address, *options, until="Registered to:")[0] for _ in "ab"]
    yield address, workers
    for process in (*workers, scheduler):
        process.kill()
        process.communicate()


def test_no_grade_is_lost_with_a_worker(cluster, tmp_path):
    address, workers = cluster
    mini = mini_set.make(tmp_path / "exercises")
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    wrong = "def double(x):\n    return 2 * x.ravel()"
    for n in range(12):
        text = mini_set.notebook(mini, **({"double": wrong} if n % 3 == 0 else {}))
        (inbox / f"s{n:02}.ipynb").write_text(text, encoding="utf-8")
    done = []

    def progress(number, total, result):
        done.append(result["student"])
        if number == 3:
            workers[0].send_signal(signal.SIGKILL)

    results = grade(mini, inbox, tmp_path / "out", dask=address, progress=progress)
    assert sorted(done) == [f"s{n:02}" for n in range(12)]
    assert [result["score"] for result in results] == [4 if n % 3 == 0 else 5 for n in range(12)]
    assert workers[0].wait(5) == -signal.SIGKILL
    again = []
    grade(mini, inbox, tmp_path / "out", dask=address, progress=lambda *a: again.append(a))
    assert again == []


def test_a_worker_with_another_version_is_refused(cluster, tmp_path, monkeypatch):
    from grading import batch

    mini = mini_set.make(tmp_path / "exercises")
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "ana.ipynb").write_text(mini_set.notebook(mini), encoding="utf-8")
    monkeypatch.setattr(batch, "fingerprint", lambda problem_set: "another")
    with pytest.raises(RuntimeError, match="another version of this checkout"):
        grade(mini, tmp_path / "inbox", tmp_path / "out", dask=cluster[0])

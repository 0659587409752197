"""The log of a monitor is read back as it was, also after a kill, a crash or a full disk."""

import io
import json
import os
import random
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from gradnb import SGD, GradientMonitor, Linear, mlp, read_log

FIGURES = ["l1", "l2", "zero_fraction", "update_ratio"]


def eventful(log, steps=60, **options):
    """Return the monitor of a run with alarms that come, go on and come back; NaN and infinity."""
    model = mlp([3, 4, 2], rng=0)
    optimizer = SGD(model.parameters(), lr=0.1)
    rng = np.random.default_rng(0)
    options = {"high": 3.0, "window": 4, "relative": 5.0} | options
    with GradientMonitor(model, optimizer, log=log, **options) as monitor:
        for step in range(steps):
            for p in model.parameters():
                p.grad[...] = rng.normal(size=p.shape) * (9 if step % 11 < 2 else 1)
            if step in (20, 21):
                model[2].weight.grad[0, 0] = np.nan if step == 20 else np.inf
            weights = {name: p.data.copy() for name, p in model.named_parameters()}
            if step == 30:
                model[0].bias.grad = None
            with np.errstate(all="ignore"):
                model(np.full((1, 3), np.nan if step in (40, 41, 45) else 1.0))
                optimizer.step() if step != 30 else monitor._before() or monitor._after()
            for name, p in model.named_parameters():
                p.data[...] = weights[name]
                if p.grad is None:
                    p.grad = np.zeros(p.shape)
    return monitor


def same(log, monitor):
    assert log.names == monitor.names
    assert len(log.records) == len(monitor.records) > 0
    for one, other in zip(log.records, monitor.records, strict=True):
        assert one.keys() == other.keys()
        assert one["step"] == other["step"]
        for figure in ["norm", *FIGURES]:
            np.testing.assert_array_equal(one[figure], other[figure])
    for name in monitor.names:
        for figure in FIGURES:
            np.testing.assert_array_equal(
                log.history(name, figure), monitor.history(name, figure), strict=True
            )
    assert list(map(spelled, log.alarms)) == list(map(spelled, monitor.alarms))


def spelled(alarm):
    return {key: str(value) for key, value in alarm.items()}  # NaN equals nothing


@pytest.mark.parametrize(
    "options", [{}, {"detail_every": 3}, {"every": 3}, {"every": 7, "detail_every": 2}]
)
def test_it_reads_back_what_the_monitor_shows(options, tmp_path):
    path = tmp_path / "run.jsonl"
    monitor = eventful(path, **options)
    if "every" not in options:
        assert {a["kind"] for a in monitor.alarms} >= {"high", "rise", "nonfinite gradient"}
    assert any(a["last"] > a["step"] for a in monitor.alarms)
    assert len({(a["kind"], a["name"]) for a in monitor.alarms}) < len(monitor.alarms)
    log = read_log(path)
    assert log.complete
    same(log, monitor)
    same(read_log(str(path)), monitor)
    with path.open() as text, path.open("rb") as binary:
        same(read_log(text), monitor)
        same(read_log(binary), monitor)
    assert np.isnan(log.history("0.bias", "update_ratio")).any()


def test_it_has_all_records_though_the_monitor_keeps_few(tmp_path):
    monitor = eventful(tmp_path / "log", keep=1)
    log = read_log(tmp_path / "log")
    assert [record["step"] for record in log.records] == list(range(60))
    every = eventful(None)
    assert list(map(spelled, log.alarms)) == list(map(spelled, every.alarms))
    assert len(monitor.alarms) == 1


def test_an_alarm_that_ends_a_run_is_in_the_log(tmp_path):
    model = mlp([2, 3, 1], rng=0)
    with GradientMonitor(model, log=tmp_path / "log") as monitor, np.errstate(all="ignore"):
        monitor.step()
        model(np.full((1, 2), np.nan))
    log = read_log(tmp_path / "log")
    same(log, monitor)
    assert [a["kind"] for a in log.alarms][-1] == "nonfinite input"
    monitor.close()
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def test_cut_at_any_byte(tmp_path):
    path = tmp_path / "log"
    eventful(path, steps=4, detail_every=2)
    content = path.read_bytes()
    ends = [i for i, byte in enumerate(content) if byte == ord("\n")]
    (tmp_path / "cut").write_bytes(b"")
    for size in range(len(content) + 1):
        log = read_log(io.BytesIO(content[:size]))
        whole = sum(end <= size for end in ends)  # a line that lacks its end alone is whole
        assert [record["step"] for record in log.records] == list(range(whole))
        assert log.complete == (size in {0, *ends, *(end + 1 for end in ends)})
    assert read_log(tmp_path / "cut").names == ()


LINE = {"step": 0, "norm": 1.0, "parameters": {"w": None}, "alarms": []}
ALARM = {"step": 0, "kind": "low", "name": "w", "value": 1, "threshold": None, "last": 0}


def changed(**changes):
    return json.dumps({key: value for key, value in (LINE | changes).items() if value != "drop"})


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        (changed()[:-1], "is not JSON"),
        (changed(step=1) + changed(step=2), "is not JSON"),
        (changed(step=1).replace("1.0", "NaN"), "NaN stands for no number in JSON"),
        ("3", "is no line of a GradientMonitor"),
        ("[]", "is no line of a GradientMonitor"),
        (changed(step="drop"), "'step' is missing"),
        (changed(step=True), "step must be an integer, got True"),
        (changed(step=1, norm="drop"), "'norm' is missing"),
        (changed(step=1, norm="3"), "a figure must be a number, .* got '3'"),
        (changed(step=1, norm=True), "a figure must be a number, .* got True"),
        (changed(step=1, alarms="drop"), "'alarms' is missing"),
        (changed(step=1, alarms=[{"step": 1}]), "is missing"),
        (changed(step=1, parameters={"v": None}), r"parameters must be \('w',\), got \('v',\)"),
        (changed(step=1, parameters={"w": {"l1": 1}}), "'l2' is missing"),
        (changed(step=1, parameters=3), "is no line of a GradientMonitor"),
        (changed(step=0), "step 0 comes after step 0: if several runs"),
        (changed(step=1, ongoing=[["low", "w"]]), "is no line of a GradientMonitor"),
    ],
)
@pytest.mark.parametrize("after", [[], [changed(step=7)]])
def test_any_other_broken_line_is_named(line, match, after, tmp_path):
    path = tmp_path / "broken.jsonl"
    path.write_text("\n".join([changed(), line, *after]) + "\n")
    with pytest.raises(ValueError, match=match) as error:
        read_log(path)
    assert "line 2 of " in str(error.value)
    assert "broken.jsonl" in str(error.value)


def test_several_runs_in_one_file():
    stream = io.StringIO()
    for _ in range(2):
        eventful(stream, steps=5)
    stream.seek(0)
    with pytest.raises(ValueError, match=r"line 6 of the log .* give each a file of its own"):
        read_log(stream)
    stream.seek(0)
    for _ in range(5):
        stream.readline()
    assert len(read_log(stream).records) == 5, "from where it stands"


def test_the_end_of_a_log_can_be_read_alone(tmp_path):
    """An alarm may go on there that was raised before."""
    eventful(tmp_path / "log", low=None, high=1e-9, window=100)
    with (tmp_path / "log").open() as file:
        for _ in range(50):
            file.readline()
        log = read_log(file)
    assert [record["step"] for record in log.records] == list(range(50, 60))
    assert "high" not in {alarm["kind"] for alarm in log.alarms}


def test_errors_of_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        read_log(tmp_path / "missing")
    with pytest.raises(TypeError, match="file must be a path or a file open for reading, got 3"):
        read_log(3)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\n")
    with pytest.raises(ValueError, match=r"line 1 of .*binary is not JSON"):
        read_log(tmp_path / "binary")


def test_history_names_what_there_is(tmp_path):
    eventful(tmp_path / "log", steps=2)
    log = read_log(tmp_path / "log")
    with pytest.raises(ValueError, match=r"name must be one of 0\.weight, .*got 'w'"):
        log.history("w")
    with pytest.raises(ValueError, match=r"figure must be one of l1, l2, .*got 'l3'"):
        log.history("0.bias", "l3")


TRAIN = """
import os, sys
import numpy as np
from gradnb import SGD, CrossEntropyLoss, GradientMonitor, mlp
rng = np.random.default_rng(0)
x = rng.normal(size=(64, 6))
y = (x[:, 0] > 0).astype(int)
model = mlp([6] + [8] * 12 + [2], rng=0)
optimizer, criterion = SGD(model.parameters(), lr=0.1), CrossEntropyLoss()
monitor = GradientMonitor(model, optimizer, log=sys.argv[1], high=0.1, window=1)
step = 0
while True:
    optimizer.zero_grad()
    criterion(model(x), y)
    model.backward(criterion.backward())
    optimizer.step()
    os.write(1, b"%d\\n" % step)  # at once, as the log
    step += 1
"""


def start(code, path, **options):
    command = [sys.executable, "-c", code, str(path)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent, **options
    )


def test_killed_at_any_moment(tmp_path):
    """Each run is killed some random time after its first step, six at once."""
    delays = random.Random(0)
    running = [(start(TRAIN, tmp_path / f"{i}"), tmp_path / f"{i}") for i in range(6)]
    for process, path in running:
        with process:
            first = process.stdout.readline()
            time.sleep(delays.uniform(0, 0.02))
            process.kill()
            told = (first + process.stdout.read()).decode().rpartition("\n")[0].splitlines()
        steps = [record["step"] for record in read_log(path).records]
        assert steps == list(range(len(steps)))
        # What the run told of is in the log; the step it was killed in may be there, too
        assert len(told) <= len(steps) <= len(told) + 1
        lines = path.read_bytes().split(b"\n")
        assert len(steps) == len(lines) - 1 + (read_log(path).complete and lines[-1] != b"")


def test_a_run_that_ends_without_a_goodbye(tmp_path):
    code = TRAIN.replace("    step += 1", "    step += 1\n    if step == 7: os._exit(3)")
    with start(code, tmp_path / "log") as process:
        process.communicate(timeout=60)
    log = read_log(tmp_path / "log")
    assert (process.returncode, log.complete, len(log.records)) == (3, True, 7)


class Full(io.StringIO):
    """A file on a disk that takes so many characters."""

    name = "run.jsonl"

    def __init__(self, room):
        super().__init__()
        self.room = room

    def write(self, text):
        super().write(text[: self.room])
        self.room -= len(text)
        if self.room < 0:
            self.room = 0
            raise OSError(28, "No space left on device")
        return len(text)


def trained(log, steps=12, **options):
    model = mlp([3, 4, 2], rng=0)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    with GradientMonitor(model, optimizer, log=log, **options) as monitor:
        for _ in range(steps):
            for p in model.parameters():
                p.grad[...] = 1.0
            optimizer.step()
    return model.state_dict(), optimizer, monitor


def test_a_full_disk_does_not_stop_the_run():
    bare, _, whole = trained(None)
    file = Full(2000)
    with pytest.warns(RuntimeWarning, match=r"the log 'run\.jsonl' ends here.*No space") as caught:
        state, _, monitor = trained(file)
    assert len(caught) == 1
    assert all(np.array_equal(bare[name], state[name]) for name in bare)
    assert [r["step"] for r in monitor.records] == [r["step"] for r in whole.records]
    file.seek(0)
    log = read_log(file)
    assert not log.complete
    assert 2 <= len(log.records) < 6
    same_start = [record["norm"] for record in whole.records[: len(log.records)]]
    assert [record["norm"] for record in log.records] == same_start


def test_nothing_is_written_after_a_failure_though_there_is_room_again():
    """Else a cut line would stand in the middle, and steps would be missing."""
    file, model = Full(300), Linear(1, 1)
    with GradientMonitor(model, log=file) as monitor:
        with pytest.warns(RuntimeWarning):
            monitor.step()
        file.room = 9999
        monitor.step()
        model(np.array([[np.nan]]))
    assert file.tell() == 300


@pytest.mark.parametrize("error", [OSError(5, "gone"), ValueError("closed"), RuntimeError("odd")])
def test_a_warning_that_is_an_error_comes_after_a_whole_step(error):
    class Broken:
        def write(self, text):
            if text:
                raise error

    bare, _, _ = trained(None, steps=3)
    model = mlp([3, 4, 2], rng=0)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    monitor = GradientMonitor(model, optimizer, log=Broken())
    for step in range(3):
        for p in model.parameters():
            p.grad[...] = 1.0
        if step == 0:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with pytest.raises(RuntimeWarning, match=r"the log .*Broken object .*ends here"):
                    optimizer.step()
        else:
            optimizer.step()
    assert all(np.array_equal(bare[name], p.data) for name, p in model.named_parameters())
    assert [record["step"] for record in monitor.records] == [0, 1, 2]
    monitor.close()
    assert not optimizer._post_hooks


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limits of this kind")
def test_a_disk_that_is_really_full(tmp_path):
    """The system takes no more than 4,000 bytes of a file, and cuts the line that goes beyond."""
    code = """
import resource, sys, warnings
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
from tests.test_log import trained
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    state, _, monitor = trained(sys.argv[1], steps=40)
assert len(monitor.records) == 40
print(*[w.message for w in caught], state["0.weight"].sum())
"""
    with start(code, tmp_path / "log", stderr=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert out.count(b"ends here, for it cannot be written: OSError") == 1
    assert float(out.split()[-1]) == trained(None, steps=40)[0]["0.weight"].sum()
    log = read_log(tmp_path / "log")
    assert os.path.getsize(tmp_path / "log") == 4000
    assert not log.complete
    assert [r["step"] for r in log.records] == list(range(len(log.records)))
    assert len(log.records) > 3

"""Read the log of a `GradientMonitor` back, also that of a run that was killed."""

from __future__ import annotations

import math
import os

import numpy as np

from gradnb.records import FIGURES, Recorded


class Log(Recorded):
    """What `read_log` returns: the run as its monitor would show it.

    Attributes
    ----------
    names : tuple of str
        The parameters, in the order of the network.
    records : list of dict
        As those of the monitor, but all of them, whatever its ``keep``.
    alarms : list of dict
        As those of the monitor. ``"last"`` is the last step at which the log says that it held.
    complete : bool
        False if the last line was cut off in the middle; it is left out.
    """

    def __init__(self):
        self.names, self.alarms, self.complete = (), [], True
        self._steps, self._norms, self._values = [], [], []
        self._latest, self._seen = {}, -1

    @property
    def records(self):
        """What was measured, one dict for each step that was recorded."""
        return [
            {"step": step, "norm": norm} | dict(zip(FIGURES, values, strict=True))
            for step, norm, values in zip(self._steps, self._norms, self._values, strict=True)
        ]

    def _column(self, index, figure):
        i = FIGURES.index(figure)
        return np.array([values[i, index] for values in self._values])

    def _add(self, line):
        """Take in one line of the log."""
        step = line["step"]
        if type(step) is not int:
            raise ValueError(f"step must be an integer, got {step!r}")
        if step < self._seen or step in self._steps[-1:]:
            raise ValueError(
                f"step {step} comes after step {self._seen}: "
                "if several runs were written to one file, give each a file of its own"
            )
        values, norm = None, None
        if "parameters" in line:  # where nothing was due, there may be alarms alone
            norm, values = _number(line["norm"]), self._figures(line["parameters"])
        raised = [dict(alarm) for alarm in line["alarms"]]
        for alarm in raised:
            alarm["value"] = _number(alarm["value"])
        ongoing = [(kind, name, last) for kind, name, last in line.get("ongoing", ())]
        self._seen = step
        if values is not None:
            self._steps.append(step)
            self._norms.append(norm)
            self._values.append(values)
        for kind, name, last in ongoing:  # of those raised before this line
            if (kind, name) in self._latest:
                self._latest[kind, name]["last"] = last
        for alarm in raised:
            self.alarms.append(alarm)
            self._latest[alarm["kind"], alarm["name"]] = alarm

    def _figures(self, parameters):
        if not self.names and not self._steps:
            self.names = tuple(parameters)
        if tuple(parameters) != self.names:
            raise ValueError(f"parameters must be {self.names}, got {tuple(parameters)}")
        return np.array(
            [
                [math.nan if row is None else _number(row[figure]) for row in parameters.values()]
                for figure in FIGURES
            ]
        )


def read_log(file):
    """Read the log that a `GradientMonitor` has written.

    Every line that was written whole is read back to the last bit. A run that is killed may leave
    its last line cut off; that one is left out, and ``complete`` is False.

    Parameters
    ----------
    file : str, path or file
        The ``log`` of the monitor, of one run; an open file is read on from where it stands. The
        run may still be going on.

    Returns
    -------
    Log
        With `names`, `records`, `alarms`, ``history(name, figure)`` and ``dashboard()`` as those
        of the monitor, and ``complete``.

    Raises
    ------
    OSError
        If the file cannot be read.
    TypeError
        If `file` is neither a path nor a file open for reading.
    ValueError
        If a line other than a cut-off last one is not what a monitor writes, or several runs stand
        in one file; it names the line.

    Examples
    --------
    >>> import io
    >>> from gradnb import GradientMonitor, Linear
    >>> file = io.StringIO()
    >>> monitor = GradientMonitor(Linear(2, 1), log=file)
    >>> for step in range(3):
    ...     monitor.step()
    >>> cut = io.StringIO(file.getvalue()[:-10])
    >>> log = read_log(cut)
    >>> log.history("weight").tolist(), log.complete
    ([0.0, 0.0], False)
    >>> log.alarms[0]["kind"], log.alarms[0]["step"], log.alarms[0]["last"]
    ('zero', 0, 1)
    """
    if isinstance(file, (str, os.PathLike)):
        with open(file, "rb") as opened:  # the end of a character may be missing, too
            return _read(opened, os.fspath(file))
    if not callable(getattr(file, "readline", None)):
        raise TypeError(f"file must be a path or a file open for reading, got {file!r}")
    return _read(file, getattr(file, "name", "the log"))


def _read(file, name):
    import json  # here, since only a log needs it

    log = Log()
    for number, line in enumerate(file, start=1):
        try:
            record = json.loads(line, parse_constant=_refuse)
        except ValueError as error:
            if line[-1:] not in ("\n", b"\n"):
                log.complete = False
                break
            raise ValueError(f"line {number} of {name} is not JSON: {error}") from error
        try:
            log._add(record)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            detail = f"{error} is missing" if isinstance(error, KeyError) else error
            text = f"line {number} of {name} is no line of a GradientMonitor: {detail}"
            raise ValueError(text) from error
    return log


def _number(value):
    """Return a number of the log as a float; null is what was not measured."""
    if value is None:
        return math.nan
    if value not in ("nan", "inf", "-inf") and type(value) not in (int, float):
        raise ValueError(f"a figure must be a number, 'nan', 'inf' or null, got {value!r}")
    return float(value)


def _refuse(constant):
    raise ValueError(f"{constant} stands for no number in JSON")

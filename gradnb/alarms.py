"""When a gradient's size deserves attention: fixed thresholds, and the parameter's own history."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque


class RunningMedian:
    """The median of the last `window` values."""

    def __init__(self, window):
        self._latest, self._sorted = deque(maxlen=window), []

    def __len__(self):
        return len(self._sorted)

    def add(self, value):
        """Take in a value and forget the one that is too old."""
        if len(self._latest) == self._latest.maxlen:
            del self._sorted[bisect_left(self._sorted, self._latest[0])]
        self._latest.append(value)
        insort(self._sorted, value)

    @property
    def value(self):
        """The median; of an even count, the upper of the two in the middle."""
        return self._sorted[len(self._sorted) // 2]


class Alarms:
    """Raise alarms, each once until it has been over for `window` steps.

    `raised` holds the last `keep` alarms, `fresh` those since it was last emptied.
    """

    def __init__(self, low, high, relative, warmup, window, keep, on_alarm):
        self._low, self._high, self._relative = low, high, relative
        self._warmup, self._window, self._on_alarm = warmup, window, on_alarm
        self._medians, self._latest = {}, {}
        self.raised, self.fresh = deque(maxlen=keep), deque(maxlen=keep)

    def judge(self, step, name, l2):
        """Hold a parameter's finite gradient norm against the thresholds."""
        if name not in self._medians:
            self._medians[name] = RunningMedian(self._window)
        median = self._medians[name]

        def alarm(kind, threshold, reason):
            text = f"step {step}: the norm of the gradient of {name} is {l2:.3g}, {reason}"
            self.alarm(step, kind, name, l2, threshold, text)

        if l2 == 0:
            alarm("zero", 0.0, "exactly")
        elif self._low is not None and l2 < self._low:
            alarm("low", self._low, f"below {self._low:.3g}")
        elif self._high is not None and l2 > self._high:
            alarm("high", self._high, f"above {self._high:.3g}")
        if self._relative is not None and len(median) >= self._warmup and median.value > 0:
            usual = median.value
            if l2 > usual * self._relative:
                alarm("rise", usual * self._relative, f"its median of late {usual:.3g}")
            elif l2 < usual / self._relative:
                alarm("fall", usual / self._relative, f"its median of late {usual:.3g}")
        median.add(l2)

    def alarm(self, step, kind, name, value, threshold, message):
        """Raise an alarm, or note that the one raised before goes on."""
        known = self._latest.get((kind, name))
        if known and step - known["last"] <= self._window:
            known["last"] = step
            return
        alarm = {"step": step, "kind": kind, "name": name, "value": value, "threshold": threshold}
        alarm |= {"message": message, "last": step}
        self._latest[kind, name] = alarm
        self.raised.append(alarm)
        self.fresh.append(alarm)
        if self._on_alarm is not None:
            self._on_alarm(alarm)

"""When a gradient's size deserves attention: fixed thresholds, and the parameter's own history."""

from __future__ import annotations

from collections import deque
from math import inf

from gradnb import checks


class _State:
    """The latest norms of one parameter's gradient, and the bounds between which none is odd."""

    def __init__(self, low, high, window):
        self.norms, self.count, self.median = deque(maxlen=window), 0, None
        self.least, self.most = low, high
        self.fallen = self.last_fallen = 0


class Alarms:
    """Raise alarms, each once until it has been over for `window` steps.

    `raised` holds the last `keep` alarms, `fresh` those since the news was last asked for.
    """

    def __init__(self, low, high, relative, warmup, window, keep, on_alarm):
        for name, value in (("low", low), ("high", high), ("relative", relative)):
            if value is not None:
                checks.number(name, value, minimum=0)
        if low is not None and high is not None and low >= high:
            raise ValueError(f"low must be below high, got low={low} and high={high}")
        if relative is not None and relative <= 1:
            raise ValueError(f"relative must be above 1, got {relative}")
        checks.integer("window", window, minimum=1)
        warmup = min(20, window) if warmup is None else warmup
        if checks.integer("warmup", warmup, minimum=1) > window:
            raise ValueError(f"warmup must be at most window, {window}, got {warmup}")
        if on_alarm is not None and not callable(on_alarm):
            raise TypeError(f"on_alarm must be a callable, got {on_alarm!r}")
        self._low = 0 if low is None else low
        self._high, self._relative = (inf if v is None else v for v in (high, relative))
        self._warmup, self._window, self._on_alarm = warmup, window, on_alarm
        self._pace = min(warmup, 10)  # the median is renewed at every tenth norm, a fall takes ten
        self._states, self._latest = {}, {}
        self.raised, self.fresh, self._ongoing = deque(maxlen=keep), [], {}

    def news(self):
        """Return what was raised since the last call, and what went on: kind, name, last step."""
        ongoing = [[*which, last] for which, last in self._ongoing.items()]
        news = {"alarms": self.fresh, "ongoing": ongoing}
        self.fresh, self._ongoing = [], {}
        return news

    def judge(self, step, name, l2):
        """Hold a parameter's finite gradient norm against the thresholds."""
        state = self._states.get(name)
        if state is None:
            state = self._states[name] = _State(self._low, self._high, self._window)
        if not state.least <= l2 <= state.most or l2 == 0:
            self._compare(step, name, l2, state)
        state.norms.append(l2)
        state.count += 1
        if state.count >= self._warmup and state.count % self._pace == 0:
            state.median = sorted(state.norms)[len(state.norms) // 2]
            state.least = max(self._low, state.median / self._relative)
            state.most = min(self._high, state.median * self._relative if state.median else inf)

    def _compare(self, step, name, l2, state):
        found, median = [], state.median
        if l2 == 0:
            found.append(("zero", 0.0))
        elif l2 < self._low:
            found.append(("low", self._low))
        elif l2 > self._high:
            found.append(("high", self._high))
        if median and l2 > median * self._relative:
            found.append(("rise", median * self._relative))
        elif median and l2 < median / self._relative:
            # Once is nothing: the batch may have held only examples that are fitted well
            state.fallen = state.fallen + 1 if state.last_fallen == state.count - 1 else 1
            state.last_fallen = state.count
            if state.fallen >= self._pace:
                found.append(("fall", median / self._relative))
        for kind, threshold in found:
            text = f"step {step}: norm of the gradient of {name} is {l2:.3g}"
            if kind in ("rise", "fall"):
                text += f", its recent median {median:.3g}"
            self.alarm(step, kind, name, l2, threshold, text)

    def alarm(self, step, kind, name, value, threshold, message):
        """Raise an alarm, or note that the one raised before goes on."""
        known = self._latest.get((kind, name))
        if known and step - known["last"] <= self._window:
            if step > known["last"]:
                known["last"] = self._ongoing[kind, name] = step
            return
        alarm = {"step": step, "kind": kind, "name": name, "value": value, "threshold": threshold}
        alarm |= {"message": message, "last": step}
        self._latest[kind, name] = alarm
        self.raised.append(alarm)
        self.fresh.append(alarm)
        if self._on_alarm is not None:
            self._on_alarm(alarm)

"""When a gradient's size deserves attention: fixed thresholds, and the parameter's own history."""

from __future__ import annotations

from collections import deque
from math import inf

from gradnb import checks


class _State:
    """The latest values of one figure of a parameter, and the bounds between which none is odd."""

    def __init__(self, low, high, relative, window):
        self.values, self.count, self.median = deque(maxlen=window), 0, None
        self.low, self.high, self.relative = low, high, relative
        self.least, self.most = low, high
        self.fallen = self.last_fallen = 0


class Alarms:
    """Raise alarms, each once until it has been over for `window` steps.

    `raised` holds the last `keep` alarms, `fresh` those since the news was last asked for.
    """

    def __init__(self, low, high, relative, relative_update, warmup, window, keep, on_alarm):
        factors = {"relative": relative, "relative_update": relative_update}
        for name, value in ({"low": low, "high": high} | factors).items():
            if value is not None:
                checks.number(name, value, minimum=0)
        if low is not None and high is not None and low >= high:
            raise ValueError(f"low must be below high, got low={low} and high={high}")
        for name, factor in factors.items():
            if factor is not None and factor <= 1:
                raise ValueError(f"{name} must be above 1, got {factor}")
        checks.integer("window", window, minimum=1)
        warmup = min(20, window) if warmup is None else warmup
        if checks.integer("warmup", warmup, minimum=1) > window:
            raise ValueError(f"warmup must be at most window, {window}, got {warmup}")
        if on_alarm is not None and not callable(on_alarm):
            raise TypeError(f"on_alarm must be a callable, got {on_alarm!r}")
        self._low = 0 if low is None else low
        self._high, self._relative = (inf if v is None else v for v in (high, relative))
        self._relative_update = relative_update
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
            bounds = self._low, self._high, self._relative
            state = self._states[name] = _State(*bounds, self._window)
        self._judge(step, name, l2, state)

    def judge_update(self, step, name, ratio):
        """Hold a parameter's update-to-weight ratio against its own history."""
        if self._relative_update is None or ratio == inf or ratio != ratio:
            return
        state = self._states.get(("update", name))
        if state is None:
            bounds = 0, inf, self._relative_update
            state = self._states["update", name] = _State(*bounds, self._window)
        self._judge(step, name, ratio, state, "update ")

    def _judge(self, step, name, value, state, prefix=""):
        if not state.least <= value <= state.most or value == 0:
            self._compare(step, name, value, state, prefix)
        state.values.append(value)
        state.count += 1
        if state.count >= self._warmup and state.count % self._pace == 0:
            state.median = sorted(state.values)[len(state.values) // 2]
            state.least = max(state.low, state.median / state.relative)
            state.most = min(state.high, state.median * state.relative if state.median else inf)

    def _compare(self, step, name, value, state, prefix):
        found, median = [], state.median
        if value == 0 and not prefix:
            found.append(("zero", 0.0))
        elif value < state.low:
            found.append(("low", state.low))
        elif value > state.high:
            found.append(("high", state.high))
        if median and value > median * state.relative:
            found.append(("rise", median * state.relative))
        elif median and value < median / state.relative:
            # Once is nothing: the batch may have held only examples that are fitted well
            state.fallen = state.fallen + 1 if state.last_fallen == state.count - 1 else 1
            state.last_fallen = state.count
            if state.fallen >= self._pace:
                found.append(("fall", median / state.relative))
        figure = "update-to-weight ratio" if prefix else "norm of the gradient"
        for kind, threshold in found:
            text = f"step {step}: {figure} of {name} is {value:.3g}"
            if kind in ("rise", "fall"):
                text += f", its recent median {median:.3g}"
            self.alarm(step, prefix + kind, name, value, threshold, text)

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

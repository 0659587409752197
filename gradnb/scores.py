"""How good alarms are: what they catch, how late, and how often they cry wolf."""

from __future__ import annotations

from math import nan
from statistics import median
from typing import NamedTuple

from gradnb import checks


class AlarmScores(NamedTuple):
    """What `alarm_scores` returns; ``print`` shows it in words."""

    precision: float
    recall: float
    delay: float
    delays: tuple
    false_per_1000: float
    caught: int
    broken: int
    fooled: int
    true_alarms: int
    false_alarms: int
    healthy_steps: int

    def __str__(self):
        wolves = f"{self.false_alarms} in {self.healthy_steps:,}"
        return "\n".join(
            [
                f"precision  {self.precision:.3g}  ({self.caught} runs rightly called, "
                f"{self.fooled} wrongly)",
                f"recall     {self.recall:.3g}  ({self.caught} of {self.broken} broken caught)",
                f"delay      {self.delay:.3g} steps (median of the runs caught)",
                f"false      {self.false_per_1000:.3g} per 1,000 healthy steps ({wolves})",
            ]
        )


def alarm_scores(runs):
    """Compare the alarms raised in runs with the steps at which the runs broke.

    An alarm is **true** if it was raised at or after the step at which its run broke, and **false**
    if it was raised before, or in a healthy run. What counts is the step at which it was raised.
    One that began before the break and goes on (its ``"last"`` is later) stays false, and does not
    announce the break: nobody is called a second time.

    A broken run is *caught* if it has a true alarm. A run, healthy or broken, is *called wrongly*
    if it has a false one; a broken run may be both. Then

        precision = caught / (caught + called wrongly),   recall = caught / broken,

    so a run counts once, however many of its parameters raise an alarm. The delay of a run is the
    step of its first true alarm minus the step at which it broke. The healthy steps are those of
    healthy runs and those before the break.

    Parameters
    ----------
    runs : iterable of tuple
        ``(alarms, broke_at, steps)`` for each run. `alarms`: the ``alarms`` of its monitor, or the
        steps at which they were raised. `broke_at`: the first broken step, or None for a healthy
        run. `steps`: how many there were, from step 0 on.

    Returns
    -------
    AlarmScores
        A named tuple of ``precision``, nan if no run was called; ``recall``, nan if none was
        broken; ``delay``, the median over the runs that were caught, nan if none was; ``delays``,
        one for each broken run in their order, nan for those missed; ``false_per_1000``, false
        alarms per 1,000 healthy steps, nan without such steps; and the counts behind them: runs
        ``caught``, ``broken`` and ``fooled`` (called wrongly), ``true_alarms``, ``false_alarms``,
        ``healthy_steps``.

    Raises
    ------
    TypeError, ValueError
        If there is no run, one is not such a tuple, or a step is not an integer from 0 to below
        `steps`.

    Notes
    -----
    The median delay leaves out the runs that were missed: read it beside the recall. A monitor
    holds its last ``keep`` alarms alone; ``keep`` must exceed what a run raises.

    Examples
    --------
    >>> healthy, caught, early = ([], None, 400), ([137, 140], 120, 400), ([30], 100, 400)
    >>> scores = alarm_scores([healthy, caught, early])
    >>> scores.delays
    (17, nan)
    >>> print(scores)
    precision  0.5  (1 runs rightly called, 1 wrongly)
    recall     0.5  (1 of 2 broken caught)
    delay      17 steps (median of the runs caught)
    false      1.61 per 1,000 healthy steps (1 in 620)
    """
    delays, fooled, true_alarms, false_alarms, healthy_steps = [], 0, 0, 0, 0
    runs = _list("runs", runs)
    if not runs:
        raise ValueError("runs must hold at least one run, got none")
    for i, run in enumerate(runs):
        raised, broke_at, steps = _run(f"runs[{i}]", run)
        healthy = steps if broke_at is None else broke_at
        true = [step for step in raised if step >= healthy]  # none in a healthy run
        if broke_at is not None:
            delays.append(min(true) - broke_at if true else nan)
        fooled += len(true) < len(raised)
        true_alarms += len(true)
        false_alarms += len(raised) - len(true)
        healthy_steps += healthy
    known = [delay for delay in delays if delay == delay]
    caught, broken = len(known), len(delays)
    return AlarmScores(
        precision=caught / (caught + fooled) if caught + fooled else nan,
        recall=caught / broken if broken else nan,
        delay=median(known) if known else nan,
        delays=tuple(delays),
        false_per_1000=1000 * false_alarms / healthy_steps if healthy_steps else nan,
        caught=caught,
        broken=broken,
        fooled=fooled,
        true_alarms=true_alarms,
        false_alarms=false_alarms,
        healthy_steps=healthy_steps,
    )


def _run(name, run):
    """Return the steps of the alarms, the step of the break and the number of steps."""
    try:
        alarms, broke_at, steps = run
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be (alarms, broke_at, steps), got {run!r:.80}") from None
    steps = checks.integer(f"{name}: steps", steps, minimum=1)
    if broke_at is not None:
        broke_at = _step(f"{name}: broke_at", broke_at, steps)
    raised = []
    for alarm in _list(f"{name}: alarms", alarms):
        if isinstance(alarm, dict) and "step" not in alarm:
            raise ValueError(f"{name}: an alarm must have a step, got {alarm!r:.80}")
        step = alarm["step"] if isinstance(alarm, dict) else alarm
        raised.append(_step(f"{name}: the step of an alarm", step, steps))
    return raised, broke_at, steps


def _step(name, value, steps):
    if checks.integer(name, value, minimum=0) >= steps:
        raise ValueError(f"{name} must be below the number of steps, {steps}, got {value}")
    return int(value)


def _list(name, value):
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} must be a list, got {value!r:.80}")
    return list(value)

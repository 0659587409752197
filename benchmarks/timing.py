"""Timing side by side: everything is measured in turns, so that what disturbs one disturbs all."""

from __future__ import annotations

import gc
import time

import numpy as np

# The processor time of all threads: what other programs take does not count, and a helping thread
# is no gain. Where it ticks too coarsely, which is on Windows, wall-clock time has to do.
FINE = time.get_clock_info("process_time").resolution < 1e-5
clock = time.process_time if FINE else time.perf_counter


def interleaved(actions, rounds, turn=0.004):
    """Time each action once a round, in an order that is reversed from round to round.

    Parameters
    ----------
    actions : dict of str to callable
        What to time, by name.
    rounds : int
        How often every action gets its turn.
    turn : float
        A turn repeats its action for about so many seconds, at least once, after a call that is not
        counted and brings the action's data into the caches.

    Returns
    -------
    dict of str to ndarray
        Seconds of processor time per call, one number a round.
    """
    repeats = {}
    for name, action in actions.items():
        for _ in range(3):  # the first calls compile, allocate and load
            start = clock()
            action()
            once = clock() - start
        repeats[name] = max(1, round(turn / once))
    seconds = {name: np.empty(rounds) for name in actions}
    order = list(actions)
    gc.collect()
    gc.disable()  # a collection would look through the objects of all peers in anyone's turn
    try:
        for i in range(rounds):
            for name in order:
                action, repeat = actions[name], range(repeats[name])
                action()
                start = clock()
                for _ in repeat:
                    action()
                seconds[name][i] = (clock() - start) / len(repeat)
            order.reverse()
    finally:
        gc.enable()
    return seconds


def quartiles(values):
    """Return lower quartile, median and upper quartile as Python floats."""
    return [float(q) for q in np.quantile(values, [0.25, 0.5, 0.75])]

"""Putting everything back: parameters, gradients, buffers, modes, memories and random state."""

from __future__ import annotations

import contextlib
import random
from collections import deque

import numpy as np

GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)


class RandomState:
    """The random numbers to come: of NumPy, of Python, and of generators held by some objects."""

    def __init__(self, objects):
        self._generators = {}
        for holder in objects:
            for value in _held(holder):
                if isinstance(value, GENERATORS):
                    self._generators[id(value)] = value
        self._states = [_state(g) for g in self._generators.values()]
        self._numpy, self._python = np.random.get_state(), random.getstate()  # noqa: NPY002

    def rewind(self):
        """Go back, so that the same numbers are drawn again."""
        for generator, state in zip(self._generators.values(), self._states, strict=True):
            _set_state(generator, state)
        np.random.set_state(self._numpy)  # noqa: NPY002
        random.setstate(self._python)


@contextlib.contextmanager
def preserved(objects):
    """Put back, whatever happens, what `objects` hold, to the bit; yield their random state.

    Their attributes are bound again to what they were bound to, and arrays and containers among
    these, however deep, have the same contents as before.
    """
    slots = [(o, name, getattr(o, name)) for o in objects for name in _slots(o)]
    kept = [(a, a.copy()) for a in map(_attributes, objects) if a is not None]
    contents = [(value, value.copy()) for o in objects for value in _held(o) if _refillable(value)]
    random_state = RandomState(objects)
    try:
        yield random_state
    finally:
        for now, before in kept:
            _refill(now, before)
        for value, copy in contents:
            _refill(value, copy)
        for thing, name, value in slots:
            setattr(thing, name, value)
        random_state.rewind()


def _attributes(thing):
    attributes = getattr(thing, "__dict__", None)
    return attributes if isinstance(attributes, dict) else None


def _refillable(value):
    if isinstance(value, np.ndarray):
        return value.flags.writeable
    return type(value) in (list, dict, set, deque)


def _refill(value, copy):
    if isinstance(value, np.ndarray):
        value[...] = copy
    elif isinstance(value, list):
        value[:] = copy
    else:
        value.clear()
        value.extend(copy) if isinstance(value, deque) else value.update(copy)


def _held(holder):
    """Yield what an object, its class and a function's closure hold, also inside containers."""
    waiting = [*(_attributes(holder) or {}).values()]
    waiting += [getattr(holder, name) for name in _slots(holder)]
    for cls in type(holder).__mro__:
        waiting += [value for value in vars(cls).values() if isinstance(value, GENERATORS)]
    for cell in getattr(holder, "__closure__", None) or ():
        with contextlib.suppress(ValueError):  # an empty cell
            waiting.append(cell.cell_contents)
    seen = set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, (list, tuple, set, deque)):
            waiting += value


def _slots(thing):
    """Yield the names of the attributes that stand in ``__slots__`` and are set."""
    for cls in type(thing).__mro__:
        names = cls.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if name not in ("__dict__", "__weakref__") and hasattr(thing, name):
                yield name


def _state(generator):
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.get_state() if hasattr(generator, "get_state") else generator.getstate()


def _set_state(generator, state):
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif hasattr(generator, "set_state"):
        generator.set_state(state)
    else:
        generator.setstate(state)

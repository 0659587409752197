"""Putting everything back: parameters, gradients, buffers, modes, memories and random state."""

from __future__ import annotations

import contextlib
import random
from collections import OrderedDict, deque

import numpy as np

GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)


class RandomState:
    """The random numbers to come: of NumPy, of Python, and of generators held by some objects."""

    def __init__(self, objects, kinds=GENERATORS):
        self._generators = {}
        for holder in objects:
            for value in held(holder):
                if isinstance(value, kinds):
                    self._generators[id(value)] = value
        self._states = [_state(g) for g in self._generators.values()]
        self._numpy, self._python = np.random.get_state(), random.getstate()  # noqa: NPY002

    def rewind(self):
        """Go back, so that the same numbers are drawn again."""
        for generator, state in zip(self._generators.values(), self._states, strict=True):
            _set_state(generator, state)
        np.random.set_state(self._numpy)  # noqa: NPY002
        random.setstate(self._python)


class Contents:
    """What some objects hold now: their attributes, and what is in arrays and containers.

    Attributes are bound again to what they were bound to, and what is in them, however deep, is as
    it was.
    """

    def __init__(self, objects):
        self._slots = [(o, name, getattr(o, name)) for o in objects for name in _slots(o)]
        self._attributes = [(a, a.copy()) for a in map(_attributes, objects) if a is not None]
        values = [value for thing in objects for value in held(thing)]
        self._values = [(value, value.copy()) for value in values if _refillable(value)]

    def restore(self):
        """Put everything back."""
        for now, before in self._attributes + self._values:
            _refill(now, before)
        for thing, name, value in self._slots:
            setattr(thing, name, value)


@contextlib.contextmanager
def preserved(objects):
    """Put back, whatever happens, what `objects` hold, to the bit; yield their random state."""
    contents, random_state = Contents(objects), RandomState(objects)
    try:
        yield random_state
    finally:
        contents.restore()
        random_state.rewind()


def _attributes(thing):
    attributes = getattr(thing, "__dict__", None)
    return attributes if isinstance(attributes, dict) else None


def _refillable(value):
    if isinstance(value, np.ndarray):
        return value.flags.writeable
    return type(value) in (list, dict, set, deque, OrderedDict)


def _refill(value, copy):
    if isinstance(value, np.ndarray):
        value[...] = copy
    elif isinstance(value, list):
        value[:] = copy
    elif value or copy:
        value.clear()
        value.extend(copy) if isinstance(value, deque) else value.update(copy)


def held(holder):
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

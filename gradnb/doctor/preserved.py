"""Putting everything back: parameters, gradients, buffers, modes, memories and random state."""

from __future__ import annotations

import contextlib
import random

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

    Their attributes are bound again to what they were bound to, and arrays, lists, dicts and sets
    among these have the same contents as before.
    """
    kept, slots = [], []
    for thing in objects:
        for name in _slots(thing):
            slots.append((thing, name, getattr(thing, name)))
        attributes = getattr(thing, "__dict__", None)
        if isinstance(attributes, dict):
            contents = [(value, value.copy()) for value in attributes.values() if _holds(value)]
            kept.append((attributes, attributes.copy(), contents))
    random_state = RandomState(objects)
    try:
        yield random_state
    finally:
        for now, before, contents in kept:
            now.clear()
            now.update(before)
            for value, copy in contents:
                _refill(value, copy)
        for thing, name, value in slots:
            setattr(thing, name, value)
        random_state.rewind()


def _holds(value):
    if isinstance(value, np.ndarray):
        return value.flags.writeable
    return type(value) in (list, dict, set)


def _refill(value, copy):
    if isinstance(value, np.ndarray):
        value[...] = copy
    elif isinstance(value, list):
        value[:] = copy
    else:
        value.clear()
        value.update(copy)


def _held(holder):
    """Yield what an object and its class hold, also in a list or dict, and a function's closure."""
    values = [*(getattr(holder, "__dict__", None) or {}).values()]
    values += [getattr(holder, name) for name in _slots(holder)]
    for cls in type(holder).__mro__:
        values += [value for value in vars(cls).values() if isinstance(value, GENERATORS)]
    for value in values:
        yield value
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, (list, tuple, set)):
            yield from value
    for cell in getattr(holder, "__closure__", None) or ():
        with contextlib.suppress(ValueError):  # an empty cell
            yield cell.cell_contents


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

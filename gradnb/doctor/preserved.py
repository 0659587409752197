"""Putting everything back: parameters, gradients, buffers, modes, memories and random state."""

from __future__ import annotations

import collections
import contextlib
import random

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
    """What some objects hold now: their attributes, and what is in arrays, lists, dicts and sets.

    Attributes are bound again to what they were bound to, and what is in them is as it was.
    """

    def __init__(self, objects):
        self._slots, self._attributes, self._arrays, self._others = [], [], [], []
        for thing in objects:
            self._slots += [(thing, name, getattr(thing, name)) for name in _slots(thing)]
            attributes = getattr(thing, "__dict__", None)
            if not isinstance(attributes, dict):
                continue
            self._attributes.append((attributes, attributes.copy()))
            for value in attributes.values():
                if isinstance(value, np.ndarray):
                    self._arrays += [(value, value.copy())] if value.flags.writeable else []
                elif type(value) in (list, dict, set, collections.OrderedDict):
                    self._others.append((value, value.copy()))

    def restore(self):
        """Put everything back."""
        for now, before in self._attributes:
            now.clear()
            now.update(before)
        for value, copy in self._arrays:
            value[...] = copy
        for value, copy in self._others:
            if value or copy:
                value.clear()
                (value.extend if isinstance(value, list) else value.update)(copy)
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


def held(holder):
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

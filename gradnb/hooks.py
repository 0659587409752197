"""Hooks: functions that are called at a certain moment and look on."""

from __future__ import annotations


class Handle:
    """What registering a hook returns: ``remove()`` takes the hook away again."""

    def __init__(self, owner, attribute, hook):
        self._owner, self._attribute, self.hook = owner, attribute, hook

    def remove(self):
        """Take the hook away; a second call does nothing."""
        handles = getattr(self._owner, self._attribute)
        setattr(self._owner, self._attribute, tuple(h for h in handles if h is not self))


def register(owner, attribute, hook):
    """Add a `Handle` of `hook` to the tuple of handles of that name and return it."""
    if not callable(hook):
        raise TypeError(f"hook must be a callable, got {hook!r}")
    handle = Handle(owner, attribute, hook)
    setattr(owner, attribute, (*getattr(owner, attribute), handle))
    return handle

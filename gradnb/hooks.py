"""Hooks: functions that are called at a certain moment and look on."""

from __future__ import annotations


class Handle:
    """What registering a hook returns: ``remove()`` takes the hook away again."""

    def __init__(self, owner, attribute, hook):
        self._owner, self._attribute, self._hook = owner, attribute, hook

    def remove(self):
        """Take the hook away; a second call does nothing."""
        hooks = getattr(self._owner, self._attribute)
        setattr(self._owner, self._attribute, tuple(h for h in hooks if h is not self._hook))


def register(owner, attribute, hook):
    """Add `hook` to the tuple of hooks of that name and return a `Handle`."""
    if not callable(hook):
        raise TypeError(f"hook must be a callable, got {hook!r}")
    setattr(owner, attribute, (*getattr(owner, attribute), hook))
    return Handle(owner, attribute, hook)

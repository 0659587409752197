"""A log of JSON Lines that a killed run leaves whole."""

from __future__ import annotations

import math
import os
import warnings
from contextlib import suppress


class JsonLines:
    """Write one line of strict JSON at a time, and hand it to the system at once.

    It ends at the first line that cannot be written, with a warning: whoever writes it goes on. So
    at most the last line is cut off, as by a kill.

    Parameters
    ----------
    target : str, path or text file
        A path must not exist yet: one file is one run, and none is ever overwritten or mixed with
        another. To append, pass a file that is open; it is left open.

    Raises
    ------
    FileExistsError, OSError
        If the path exists or cannot be opened.
    TypeError
        If `target` is neither a path nor a text file open for writing.
    """

    def __init__(self, target):
        import json  # here, since only a log needs it

        self._encode = json.JSONEncoder(allow_nan=False).encode
        self._own, self._ended = isinstance(target, (str, os.PathLike)), False
        if self._own:
            try:
                self._file = open(target, "x", encoding="utf-8")  # noqa: SIM115
            except FileExistsError as error:
                raise FileExistsError(
                    f"log must be a new file, got {os.fspath(target)!r}, which exists: "
                    "move it away, or pass an open file"
                ) from error
        else:
            try:
                target.write("")
            except (AttributeError, TypeError, ValueError) as error:
                raise TypeError(
                    f"log must be a path or a text file open for writing, got {target!r}"
                ) from error
            self._file = target
        self._name = repr(os.fspath(target) if self._own else getattr(target, "name", target))

    def write(self, record):
        """Write one record; nan and inf become the strings "nan" and "inf"."""
        if self._ended:
            return
        line = self._encode(spelt(record)) + "\n"
        try:
            self._file.write(line)
            flush = getattr(self._file, "flush", None)
            if flush:
                flush()
        except Exception as error:
            self.close()
            text = f"the log {self._name} ends here, for it cannot be written: {error!r}"
            warnings.warn(text, RuntimeWarning, stacklevel=2)

    def close(self):
        """Close the file if it was opened here, and write no more."""
        self._ended = True
        if self._own:
            with suppress(OSError):  # each line was written at once; this is the rest of a cut one
                self._file.close()


def spelt(value):
    """Return `value` with every float that JSON does not know as a string."""
    if isinstance(value, dict):
        return {key: spelt(item) for key, item in value.items()}
    if isinstance(value, list):
        return [spelt(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value

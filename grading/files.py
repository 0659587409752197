"""Files that are written as a whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_UMASK = os.umask(0o077)  # it can only be read by setting it
os.umask(_UMASK)


def write(path: Path, data: str | bytes, durable: bool = False) -> bool:
    """Write a whole file or none: whoever looks meanwhile sees the one before.

    What is `durable` is on the disk when this returns, and so outlives a power cut. Returns whether
    the file was another one before.
    """
    data = data.encode("utf-8") if isinstance(data, str) else data
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with open(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_UMASK)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    return True

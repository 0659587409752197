"""What the C library does with memory that is freed."""

from __future__ import annotations

import numpy as np


def keep_freed():
    """Have the C library keep what is freed, in blocks of up to 24 MB.

    The allocator of Linux gives large blocks back to the system at once and asks for them anew,
    which costs more time than to fill them. Once a block was freed, it keeps those that are
    smaller, for as long as the process runs. Elsewhere this does nothing.
    """
    np.empty(3_000_000)

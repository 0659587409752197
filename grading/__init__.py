"""Release and grade the problem sets in ``exercises/``: values out, compared where trust is.

A student's code runs alone in a sandbox and hands out plain arrays. What they should be is known
only on this side, which never runs a line of a student's.
"""

from grading.problemset import Check, Right, Task, Wrong, close

__all__ = ["Check", "Right", "Task", "Wrong", "close"]

"""What a gradient check found, and how it is told."""

from __future__ import annotations

from collections import namedtuple


class Mismatch(namedtuple("Mismatch", ["name", "index", "analytic", "numeric"])):
    """One entry at which an analytic gradient and its numerical estimate differ."""

    __slots__ = ()

    def __str__(self):
        where = ", ".join(map(str, self.index))
        return f"{self.name}[{where}]: analytic {self.analytic:.6g}, numeric {self.numeric:.6g}"


class GradcheckError(AssertionError):
    """Raised when a backward pass disagrees with the differences."""


class GradcheckReport:
    """What `gradcheck` found; true if something was compared and nothing was found wrong.

    ``print`` it to read it. Where nothing at all could be compared, it is false without calling
    anything wrong: take other parameters or another batch.

    Attributes
    ----------
    errors : dict of str to float
        For each array with entries that could be compared, the largest |analytic − numeric| of
        those, relative to the largest entry of the array.
    mismatches : list of Mismatch
        For each array that disagrees, its worst entry.
    modified : list of str
        Arrays that the model changed in place and had to leave alone: x, grad_output.
    hidden : dict of str to float
        For each array, up to which size, relative like `errors`, an error is hidden by the rounding
        of the differences. Where that is more than `tol`, it is what limits the check.
    kinks : dict of str to int
        For each array, how many entries could not be compared because a kink is nearby.
    unresolved : list of str
        Arrays whose whole gradient lies below the rounding noise of the differences, or not ten
        times above it: nothing can be said of them.
    tol : float
        The relative error that was allowed.
    """

    def __init__(self, tol):
        self.tol = tol
        self.errors = {}
        self.mismatches = []
        self.modified = []
        self.hidden = {}
        self.kinks = {}
        self.unresolved = []

    def __bool__(self):
        return bool(self.errors) and not self.found_wrong

    @property
    def found_wrong(self):
        """Whether anything was found wrong; False also where nothing could be compared."""
        return bool(self.mismatches or self.modified)

    def __str__(self):
        verdict = "FAILED" if self.found_wrong else "passed" if self else "could compare nothing"
        lines = [f"gradcheck {verdict} (relative tolerance {self.tol:g})"]
        lines += [f"  {mismatch}" for mismatch in self.mismatches]
        lines += [f"  {name} was modified in place" for name in self.modified]
        lines += [
            f"  {name}: kink nearby at {count} of its entries, not compared there"
            for name, count in self.kinks.items()
        ]
        lines += [
            f"  {name}: errors below {size:.1g} are hidden by rounding"
            for name, size in self.hidden.items()
            if size > self.tol
        ]
        lines += [f"  {name}: gradient below the rounding noise" for name in self.unresolved]
        return "\n".join(lines)

    __repr__ = __str__

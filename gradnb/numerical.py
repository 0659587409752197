"""Numerical derivatives, and the check of a backward pass against them.

`gradnb.differences` takes differences of any function; `gradnb.gradient_check` holds a model's
``backward`` against them.
"""

from gradnb.differences import numerical_gradient
from gradnb.gradient_check import GradcheckError, GradcheckReport, Mismatch, gradcheck

__all__ = ["GradcheckError", "GradcheckReport", "Mismatch", "gradcheck", "numerical_gradient"]

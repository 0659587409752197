"""Numerical derivatives, and the check of a backward pass against them.

`gradnb.differences` takes differences of any function, `gradnb.second_differences` differences of
differences, `gradnb.whole_network` those of all parameters of a network at once, and
`gradnb.gradient_check` holds a model's ``backward`` against them.
"""

from gradnb.differences import numerical_gradient
from gradnb.gradcheck_report import GradcheckError, GradcheckReport, Mismatch
from gradnb.gradient_check import gradcheck
from gradnb.second_differences import hessian
from gradnb.whole_network import numerical_gradients

__all__ = [
    "GradcheckError",
    "GradcheckReport",
    "Mismatch",
    "gradcheck",
    "hessian",
    "numerical_gradient",
    "numerical_gradients",
]

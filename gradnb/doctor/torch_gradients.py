"""Gradients of PyTorch's tensors, without touching any ``.grad``."""

from __future__ import annotations

import math

import torch


def differentiated(output, inputs, start=None, **options):
    """Return the gradients, None where none arrives."""
    if not inputs or not output.requires_grad:
        return [None] * len(inputs)
    return torch.autograd.grad(output, inputs, start, allow_unused=True, **options)


def times(error, scale):
    """Multiply, in steps, as a narrow type may hold the product and not the factor."""
    mantissa, exponent = math.frexp(scale)
    half = (exponent - 1) // 2
    return error * 2.0**half * 2.0 ** (exponent - 1 - half) * (2 * mantissa)

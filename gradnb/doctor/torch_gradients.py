"""Gradients of PyTorch's tensors, without touching any ``.grad``."""

from __future__ import annotations

import math

import torch

from gradnb.measure import as_array


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


def wide(value):
    """Return a tensor of floating-point numbers in double precision, anything else as it is."""
    floating = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.double() if floating else value


def keep_gradient(tensor, stage, which, order):
    """Have the gradient that arrives at a tensor added to what the stage has of it."""
    if not tensor.requires_grad:
        return

    def keep(gradient):
        arrived, there = order(as_array(gradient).copy()), getattr(stage, which)
        setattr(stage, which, arrived if there is None else there + arrived)

    tensor.register_hook(keep)


def mark_bypassed(stages, passes_input):
    """Mark zero weights that an error gets around: it is there before them.

    Whether it arrives at the model's input, ``passes_input()`` tells, or None; that is asked only
    if need be. Steps in time are not got around.
    """
    for i, stage in enumerate(stages):
        if stage.kind != "recurrent" and any(not w.any() for w in stage.matrices.values()):
            before = [s.error_out for s in stages[:i] if s.error_out is not None]
            stage.bypassed = any(e.any() for e in before)
            if not stage.bypassed:
                arrives = passes_input()
                stage.bypassed = not before if arrives is None else arrives

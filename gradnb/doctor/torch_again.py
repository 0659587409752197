"""Asking a PyTorch module again, by itself, with another input."""

from __future__ import annotations

import contextlib

import numpy as np
import torch

from gradnb.doctor.torch_layout import tensors, undo
from gradnb.measure import as_array


def asked(module, use, x, kept):
    """Return what a module makes of x, which lies as the input of its `use`, or None if it fails.

    It starts as every pass does, from what is `kept`.
    """
    kept.rewind()
    device = next((p.device for p in module.parameters()), None)
    with contextlib.suppress(Exception):  # it may want more than one input
        given = torch.tensor(undo(use.orders[0], x), dtype=use.dtype, device=device)
        given = next(tensors(module(given)), None)
        return None if given is None else use.orders[1](as_array(given))
    return None


def is_repeated(module, use, kept):
    """Tell whether a module gives the same for the same input; dropout, for example, does not."""
    again = asked(module, use, use.input, kept)
    same = again is not None and again.shape == use.output.shape
    return same and np.allclose(again, use.output, rtol=1e-5, equal_nan=True)

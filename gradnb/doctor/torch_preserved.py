"""Putting a PyTorch model back: tensors, gradients, attributes, hooks, modes and random state."""

from __future__ import annotations

import contextlib
import functools
import sys

import torch

from gradnb.doctor.preserved import GENERATORS, Contents, RandomState, held


class Kept:
    """What a model and a loss hold, to be restored at the end, and before each pass in part.

    Tensors are restored as the same objects with the same memory and the same bits in it.
    """

    def __init__(self, model, loss):
        holders = list(_holders(model, loss))
        self._hooks = [(m._forward_hooks, m._forward_hooks.copy()) for m in _modules(holders)]
        for hooks, before in self._hooks:
            for key, hook in before.items():
                if (getattr(hook, "__module__", None) or "").startswith("gradnb."):
                    del hooks[key]  # who watches training is not to see this
        self._contents = Contents(holders)
        tensors = {id(t): t for t in _tensors(holders)}.values()
        self._tensors = [(t, t.data, t.data.clone()) for t in tensors]
        self._parameters = [
            (p, p.requires_grad, p.grad, None if p.grad is None else p.grad.data.clone())
            for p in tensors
            if isinstance(p, torch.nn.Parameter)
        ]
        self._random = RandomState(holders, (*GENERATORS, torch.Generator))
        self._torch_random = list(_random_states())
        self._type = torch.get_default_dtype()

    def rewind(self):
        """Have the next pass start as the first did: parameters alone may have moved."""
        self._contents.restore()
        for t, _, values in self._tensors:
            if not isinstance(t, torch.nn.Parameter):
                t.data.copy_(values)
        self._random.rewind()
        for set_state, state in self._torch_random:
            set_state(state)

    def widen(self):
        """Turn all floating-point tensors, and those to come, into double precision."""
        torch.set_default_dtype(torch.float64)
        for t, data, _ in self._tensors:
            if t.is_floating_point():
                t.data = data.double()

    def narrow(self):
        """Undo `widen`."""
        torch.set_default_dtype(self._type)
        for t, data, _ in self._tensors:
            t.data = data

    def restore(self):
        """Put everything back."""
        self.narrow()
        for _, data, values in self._tensors:
            data.copy_(values)
        for p, asks, grad, values in self._parameters:
            p.requires_grad_(asks)
            if p.grad is not grad:
                p.grad = grad
            if grad is not None:
                grad.data.copy_(values)
        self.rewind()
        for hooks, before in self._hooks:
            hooks.clear()
            hooks.update(before)


@contextlib.contextmanager
def preserved(model, loss):
    """Leave everything as it is, whatever happens, and differentiate, whatever the caller's mode.

    Yield what is `Kept`.
    """
    with torch.inference_mode(False), torch.enable_grad(), _without_compiled_code():
        kept = Kept(model, loss)
        try:
            yield kept
        finally:
            kept.restore()


def _without_compiled_code():
    """Have ``torch.compile``, where it was used, run the model itself: it has hooks to heed."""
    stance = getattr(torch.compiler, "set_stance", None)
    was_used = "torch._dynamo" in sys.modules and stance is not None
    return stance("force_eager") if was_used else contextlib.nullcontext()


def _holders(model, loss):
    """Yield the modules of the model, the loss, and the modules that it holds, each once."""
    inner = [loss, getattr(loss, "__self__", None), *held(loss)]
    if isinstance(loss, functools.partial):
        inner += [loss.func, *loss.args, *loss.keywords.values(), *held(loss.func)]
    found = {id(loss): loss}
    for part in (model, *inner):
        if isinstance(part, torch.nn.Module):
            found |= {id(m): m for m in part.modules()}
    return found.values()


def _modules(holders):
    return [m for m in holders if isinstance(m, torch.nn.Module)]


def _tensors(holders):
    """Yield the tensors in attributes, and in the lists, tuples and dicts among these."""
    for holder in holders:
        for value in held(holder):
            inner = value.values() if isinstance(value, dict) else value
            for t in inner if isinstance(value, (dict, list, tuple)) else [value]:
                if isinstance(t, torch.Tensor) and t.grad_fn is None and not t.is_inference():
                    yield t


def _random_states():
    yield torch.set_rng_state, torch.get_rng_state()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        yield torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        yield torch.mps.set_rng_state, torch.mps.get_rng_state()

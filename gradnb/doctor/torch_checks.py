"""Errors that say what is wrong with a PyTorch model, its output or its loss."""

from __future__ import annotations

import torch

from gradnb import checks


def parameters(model):
    """Return the floating-point parameters by name, each once, or refuse the model."""
    named = dict(model.named_parameters())
    for name, p in named.items():
        if torch.nn.parameter.is_lazy(p):
            raise ValueError(f"model must be initialised, but {name} has no shape; run it once")
        if p.is_complex():
            raise TypeError(f"model must have real parameters, but {name} is of type {p.dtype}")
        if p.is_inference():
            raise ValueError(
                f"model must be differentiable, but {name} was made in torch.inference_mode()"
            )
    named = {name: p for name, p in named.items() if p.is_floating_point()}
    if not named:
        raise ValueError(f"model must have parameters, got a {type(model).__name__} without")
    return named


def loss_function(loss):
    """Refuse what is no function, and gradnb's losses, which take arrays."""
    checks.function("loss", loss, "(prediction, target) -> scalar tensor")
    if callable(getattr(loss, "backward", None)):
        raise TypeError(
            "loss must be a function of tensors, as torch.nn.MSELoss() is, for a PyTorch "
            f"model; got {loss!r}, which has a backward() of its own"
        )


def numbers(prediction):
    """Return a prediction, which must be a tensor of floating-point numbers."""
    if not isinstance(prediction, torch.Tensor):
        raise TypeError(f"model(x) must be a tensor, got {type(prediction).__name__}")
    if not prediction.is_floating_point():
        raise TypeError(f"model(x) must be of a floating-point type, got {prediction.dtype}")
    return prediction


def scalar(loss):
    """Return a loss, which must be a tensor of one number."""
    if not isinstance(loss, torch.Tensor):
        raise TypeError(f"loss must return a scalar tensor, got {type(loss).__name__}")
    if loss.numel() != 1:
        raise ValueError(f"loss must return a scalar tensor, got shape {tuple(loss.shape)}")
    return loss

"""What a monitor is attached to: a `gradnb` or PyTorch model and its optimiser."""

from __future__ import annotations


def named_parameters(model):
    """Return the parameters of `model` by name, each once, or refuse the model."""
    if isinstance(model, type) or not callable(getattr(model, "named_parameters", None)):
        raise TypeError(f"model must have named_parameters(), got {_kind(model)}")
    named, seen = {}, set()
    for name, p in model.named_parameters():
        if not (hasattr(p, "data") and hasattr(p, "grad")):
            raise TypeError(f"model: {name} must have .data and .grad, got {type(p).__name__}")
        if id(p) not in seen:
            seen.add(id(p))
            named[name] = p
    if not named:
        raise ValueError(f"model must have parameters, got a {type(model).__name__} without any")
    return named


def check_optimizer(optimizer, parameters):
    """Refuse an optimiser that cannot be watched or has none of the parameters."""
    if isinstance(optimizer, type) or not hasattr(optimizer, "register_step_post_hook"):
        raise TypeError(
            "optimizer must have register_step_pre_hook and register_step_post_hook, "
            f"got {_kind(optimizer)}"
        )
    groups = getattr(optimizer, "param_groups", None) or [{"params": optimizer.params}]
    held = {id(p) for group in groups for p in group["params"]}
    if not any(id(p) in held for p in parameters):
        raise ValueError("optimizer must hold parameters of model, got none of them")


def around_step(optimizer, before, after):
    """Have `before` and `after` called around every step; yield what takes each away again.

    A deep copy of the optimiser shares the hooks, but does not set them off.
    """
    for register, look in (
        (optimizer.register_step_pre_hook, before),
        (optimizer.register_step_post_hook, after),
    ):

        def hook(stepping, args, kwargs, look=look):
            if stepping is optimizer:
                look()

        yield register(hook).remove


def _kind(thing):
    return f"the class {thing.__name__}" if isinstance(thing, type) else type(thing).__name__

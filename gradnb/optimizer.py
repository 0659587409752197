"""What every optimiser shares: the parameters, the rate and the hooks around a step."""

from __future__ import annotations

from collections.abc import Iterable

from gradnb import checks
from gradnb.hooks import register
from gradnb.module import Module, Parameter


class Optimizer:
    """Base class of the optimisers, like ``torch.optim.Optimizer``.

    A subclass writes ``_update()``, which changes every parameter once, in place. There are no
    parameter groups: parameters that need another rate get an optimiser of their own. Every
    parameter is changed in every step: where a backward pass has added nothing, the gradient is
    zero, and decay and momentum still act, while PyTorch passes over a gradient that is ``None``.

    Parameters
    ----------
    params : iterable of Parameter
        What to train, such as ``model.parameters()``.
    lr : float
        Learning rate η, at least 0.
    weight_decay : float
        λ, at least 0.

    Raises
    ------
    TypeError, ValueError
        If there are no parameters, one is listed twice or is not a `Parameter`, or a number is out
        of its range.
    """

    _pre_hooks = ()
    _post_hooks = ()

    def __init__(self, params, lr, weight_decay):
        self.params = parameter_list("params", params)
        self.lr = lr
        self.weight_decay = checks.number("weight_decay", weight_decay, minimum=0)

    @property
    def lr(self):
        """Learning rate η; may be changed between steps, which schedules do."""
        return self._lr

    @lr.setter
    def lr(self, value):
        self._lr = checks.number("lr", value, minimum=0)

    def zero_grad(self):
        """Fill the gradients of all parameters with zeros in place."""
        for p in self.params:
            p.zero_grad()

    def step(self):
        """Change every parameter once, in place, by its current gradient.

        Raises
        ------
        ValueError
            If a gradient has been replaced by something of another shape. Then nothing is changed.
        """
        for handle in self._pre_hooks:
            handle.hook(self, (), {})
        for i, p in enumerate(self.params):
            if getattr(p.grad, "shape", None) != p.data.shape:
                got = getattr(p.grad, "shape", p.grad)
                raise ValueError(
                    f"params[{i}].grad must be an array of shape {p.data.shape}, got {got}"
                )
        self._update()
        for handle in self._post_hooks:
            handle.hook(self, (), {})

    def register_step_pre_hook(self, hook):
        """Have ``hook(optimizer, args, kwargs)`` called before every step; return a `Handle`."""
        return register(self, "_pre_hooks", hook)

    def register_step_post_hook(self, hook):
        """Have ``hook(optimizer, args, kwargs)`` called after every step; return a `Handle`."""
        return register(self, "_post_hooks", hook)

    def _decay(self, p):
        """Return the gradient of L + λ/2 ‖w‖² with respect to one parameter, g + λ w."""
        return p.grad + self.weight_decay * p.data if self.weight_decay else p.grad

    def _update(self):
        raise NotImplementedError(f"{type(self).__name__} has no _update")

    def __repr__(self):
        return f"{type(self).__name__}(lr={self.lr:g})"


def parameter_list(name, value):
    """Return `value` as a list of distinct `Parameter` objects, at least one."""
    if isinstance(value, Module) or not isinstance(value, Iterable):
        hint = ": pass its parameters()" if isinstance(value, Module) else ""
        raise TypeError(
            f"{name} must be an iterable of Parameter, got {type(value).__name__}{hint}"
        )
    parameters = list(value)
    if not parameters:
        raise ValueError(f"{name} must hold at least one Parameter, got none")
    for i, p in enumerate(parameters):
        if not isinstance(p, Parameter):
            raise TypeError(f"{name}[{i}] must be a Parameter, got {type(p).__name__}")
    if len({id(p) for p in parameters}) < len(parameters):
        raise ValueError(f"{name} must hold each Parameter once; one is listed twice")
    return parameters

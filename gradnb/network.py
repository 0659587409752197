"""Networks: modules in a row, and the multilayer perceptron."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from gradnb import checks
from gradnb.init import he_normal
from gradnb.layers import Linear, ReLU
from gradnb.module import Module
from gradnb.recurrent import RNN, LastStep

__all__ = ["RNN", "LastStep", "Sequential", "mlp"]


class Sequential(Module):
    """Apply modules one after the other.

    Forward: y = fₖ(… f₂(f₁(x))). Backward: the gradient with respect to y goes through fₖ.backward,
    its result through fₖ₋₁.backward, and so on to the input.

    Parameters
    ----------
    *modules : Module
        At least one. Their parameters are named by position: ``"0.weight"``.

    Raises
    ------
    TypeError
        If something is not a `Module`.
    ValueError
        If no module is given, or if one object stands in two places: it could remember only the
        last of its two inputs, and its gradient would be wrong without any error. PyTorch allows
        it, since its tape remembers both. To share weights, make two layers and give the second the
        `Parameter` of the first.
    """

    def __init__(self, *modules):
        if not modules:
            raise ValueError("modules must hold at least one module, got none")
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"modules[{i}] must be a Module, got {type(module).__name__}")
        self._modules = modules
        first_place = {}
        for name, module in self.named_modules():
            if id(module) in first_place:
                raise ValueError(
                    f"the same {type(module).__name__} object stands at {first_place[id(module)]} "
                    f"and at {name}; a layer remembers one input, so make a second layer"
                )
            first_place[id(module)] = name

    def named_children(self):
        for i, module in enumerate(self._modules):
            yield str(i), module

    def forward(self, x):
        """Return the output of the last module."""
        for module in self._modules:
            x = module(x)
        return x

    def backward(self, grad_output, input_grad=True):
        for i, module in reversed(list(enumerate(self._modules))):
            grad_output = module.backward(grad_output, input_grad=input_grad or i > 0)
        return grad_output

    def __len__(self):
        return len(self._modules)

    def __getitem__(self, i):
        return self._modules[i]

    def __iter__(self):
        return iter(self._modules)

    def __repr__(self):
        return "Sequential(" + ", ".join(map(repr, self._modules)) + ")"


def mlp(sizes, activation=ReLU, *, bias=True, init=he_normal, rng=None, dtype=float):
    """Build a multilayer perceptron: `Linear` layers with an activation between them.

    Parameters
    ----------
    sizes : sequence of int
        Features from input to output, at least two: ``[64, 32, 10]`` has one hidden layer of 32.
    activation : callable
        Called once for each hidden layer to make its activation: a class such as `Tanh`. There is
        none after the last layer.
    bias, init, dtype
        Passed to every `Linear`.
    rng : numpy.random.Generator, int or None
        Source of the weights, drawn from the first layer to the last.

    Returns
    -------
    Sequential
        Linear, activation, Linear, …, Linear.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two sizes, one is not an integer of at least 1, or `activation` is a
        layer instead of what makes one.

    Examples
    --------
    >>> mlp([64, 32, 10])
    Sequential(Linear(64, 32), ReLU(), Linear(32, 10))
    """
    if not isinstance(sizes, Iterable):
        raise TypeError(f"sizes must be a sequence of integers, got {sizes!r}")
    sizes = [checks.integer(f"sizes[{i}]", size, minimum=1) for i, size in enumerate(sizes)]
    if len(sizes) < 2:
        raise ValueError(f"sizes must hold at least two integers, got {sizes}")
    if isinstance(activation, Module) or not callable(activation):
        raise TypeError(
            f"activation must be a class or function that makes a layer, such as Tanh, "
            f"got {activation!r}"
        )
    rng = checks.generator("rng", rng)
    modules = []
    for n_in, n_out in pairwise(sizes):
        modules.append(Linear(n_in, n_out, bias=bias, init=init, rng=rng, dtype=dtype))
        modules.append(activation())
    return Sequential(*modules[:-1])

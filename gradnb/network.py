"""Networks: modules in a row, a row with a shortcut, and the multilayer perceptron."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from gradnb import checks
from gradnb.init import he_normal
from gradnb.layers import Linear, PReLU, ReLU
from gradnb.module import Module
from gradnb.recurrent import RNN, LastStep

__all__ = ["RNN", "LastStep", "Residual", "Sequential", "mlp"]


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

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb.init import constant
    >>> model = Sequential(Linear(1, 1, init=constant(3.0)), ReLU())
    >>> model(np.array([[2.0]]))
    array([[6.]])
    >>> model.backward(np.array([[1.0]]))
    array([[3.]])
    >>> [name for name, _ in model.named_parameters()]
    ['0.weight', '0.bias']
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
        yield from super().named_children()  # the attributes of a subclass

    def forward(self, x):
        """Return the output of the last module."""
        for module in self._modules:
            x = module(x)
        return x

    def backward(self, grad_output, input_grad=True):
        first, *others = self._modules
        for module in reversed(others):
            grad_output = module.backward(grad_output)
        return first.backward(grad_output, input_grad)

    def __len__(self):
        return len(self._modules)

    def __getitem__(self, i):
        """Return one module, or a `Sequential` of those in a slice, as PyTorch does."""
        return Sequential(*self._modules[i]) if isinstance(i, slice) else self._modules[i]

    def __iter__(self):
        return iter(self._modules)

    def __repr__(self):
        return f"{type(self).__name__}(" + ", ".join(map(repr, self._modules)) + ")"


class Residual(Sequential):
    """Add what the modules compute to their input.

    Forward: y = x + α f(x), with f the modules one after the other and α the scale. Backward:
    ∂L/∂x = g + α g Jᵀ for each example, with J = ∂f/∂x the Jacobian of f: whatever f does, g itself
    arrives unchanged. He et al. (2016).

    Parameters
    ----------
    *modules : Module
        At least one; the last has to give the shape that the first takes. Parameters are named by
        position, as in `Sequential`.
    scale : float
        α. With 1, the variance usually grows with every block; 1/√B in each of B blocks keeps it
        bounded (Hayou et al. 2021), provided that f ends in a `Linear`: after a ReLU, f(x) is never
        negative, and its mean adds up.

    Raises
    ------
    TypeError, ValueError
        As `Sequential`; if `scale` is not a finite number; in ``forward``, if f(x) has not the
        shape of x (nothing is broadcast).

    Examples
    --------
    >>> import numpy as np
    >>> block = Residual(ReLU(), scale=0.5)
    >>> block(np.array([-2.0, 2.0]))
    array([-2.,  3.])
    >>> block.backward(np.array([1.0, 1.0]))
    array([1. , 1.5])
    """

    def __init__(self, *modules, scale=1.0):
        super().__init__(*modules)
        self.scale = checks.number("scale", scale)

    def forward(self, x):
        """Return x + α f(x), of the shape of x."""
        branch = super().forward(x)
        if branch.shape != x.shape:
            raise ValueError(
                f"modules must give back the shape of x, {x.shape}, got {branch.shape}"
            )
        y = x + self.scale * branch
        self._remember(None, y)
        return y

    def backward(self, grad_output, input_grad=True):
        self._recall(grad_output)
        branch = super().backward(self.scale * grad_output, input_grad)
        return grad_output + branch if input_grad else None

    def __repr__(self):
        return super().__repr__()[:-1] + f", scale={self.scale:g})"


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
        Passed to every `Linear`, and the dtype to `PReLU`, which has a parameter of that type.
    rng : numpy.random.Generator, int or None
        Source of the weights, drawn from the first layer to the last.

    Returns
    -------
    Sequential
        Linear, activation, Linear, …, Linear.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two sizes, one is not an integer of at least 1, or `activation` does
        not make a layer, as when it is one; also as `Linear`.

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
        if modules:
            modules.append(_made(activation, dtype))
        modules.append(Linear(n_in, n_out, bias=bias, init=init, rng=rng, dtype=dtype))
    return Sequential(*modules)


def _made(activation, dtype):
    refused = f"activation must make a layer when called without arguments, got {activation!r}"
    try:
        layer = PReLU(dtype=dtype) if activation is PReLU else activation()
    except TypeError as error:
        raise TypeError(refused) from error
    if not isinstance(layer, Module):
        raise TypeError(f"{refused}, which makes a {type(layer).__name__}")
    return layer

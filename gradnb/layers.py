"""Layers: each a ``forward`` and, below it, the ``backward`` that the book derives.

In the formulas, x is the input, y the output and g = ∂L/∂y the gradient that ``backward`` receives.
Rows are examples: x has shape (batch, in_features). The linear layer stands here; the others stand
in `gradnb.activations` and `gradnb.normalization` and can be imported from here all the same.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from gradnb import checks
from gradnb.activations import LeakyReLU, PReLU, ReLU, Sigmoid, Tanh
from gradnb.init import he_normal, initial_weight
from gradnb.module import Module, Parameter
from gradnb.normalization import BatchNorm1d

__all__ = ["BatchNorm1d", "LeakyReLU", "Linear", "PReLU", "ReLU", "Sigmoid", "Tanh"]


class Linear(Module):
    """Multiply by a weight matrix and add a bias.

    Forward: y = x W + b. Backward: ∂L/∂W = xᵀ g, ∂L/∂b = Σᵢ gᵢ and ∂L/∂x = g Wᵀ. The first two sum
    over the batch: where the loss is a mean, its factor 1 / batch is in g already.

    Parameters
    ----------
    in_features, out_features : int
        Number of inputs and of outputs, at least 1.
    bias : bool
        Whether to add b.
    init : callable
        ``(shape, rng) -> array`` for the weight, see `gradnb.init`. The bias starts at 0.
    rng : numpy.random.Generator, int or None
        Source of the weights; an int is a seed, None draws new ones each time.
    dtype : dtype
        Floating-point type of the parameters, and so of all that is computed.

    Attributes
    ----------
    weight : Parameter
        W, shape (in_features, out_features).
    bias : Parameter or None
        b, shape (out_features,).

    Raises
    ------
    TypeError, ValueError
        If a size is not an integer of at least 1, `init` is not a callable or returns another
        shape, or `rng` or `dtype` is not what it has to be. In ``forward``, if x is not a float
        array of shape (batch, in_features), or is wider than `dtype`.

    Notes
    -----
    ``torch.nn.Linear`` stores the transpose, (out_features, in_features), and starts weight and
    bias from U(−1/√in_features, 1/√in_features).

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb.init import constant
    >>> layer = Linear(2, 1, init=constant(3.0))
    >>> layer(np.array([[1.0, 10.0]]))
    array([[33.]])
    >>> layer.backward(np.array([[1.0]]))
    array([[3., 3.]])
    >>> layer.weight.grad
    array([[ 1.],
           [10.]])
    """

    def __init__(
        self, in_features, out_features, *, bias=True, init=he_normal, rng=None, dtype=float
    ):
        shape = (
            checks.integer("in_features", in_features, minimum=1),
            checks.integer("out_features", out_features, minimum=1),
        )
        bias = checks.flag("bias", bias)
        dtype = checks.float_dtype("dtype", dtype)
        weight = initial_weight("init", init, shape, checks.generator("rng", rng), dtype)
        self.in_features, self.out_features = shape
        self.weight = Parameter(weight)
        self.bias = Parameter(np.zeros(shape[1], dtype)) if bias else None

    def forward(self, x):
        """Return x W + b, of shape (batch, out_features)."""
        checks.rows("x", x, self.in_features)
        checks.not_wider("x", x, self.weight.data.dtype, than="the weight")
        y = x @ self.weight.data
        if self.bias is not None:
            y += self.bias.data
        self._remember(x, y)
        return y

    def backward(self, grad_output, input_grad=True):
        x = self._recall(grad_output)
        self.weight.grad += x.T @ grad_output
        if self.bias is not None:
            self.bias.grad += _sum_over_batch(grad_output)
        return grad_output @ self.weight.data.T if input_grad else None

    def __repr__(self):
        bias = "" if self.bias is not None else ", bias=False"
        return f"Linear({self.in_features}, {self.out_features}{bias})"


def _sum_over_batch(g):
    """Return ``g.sum(axis=0)`` as the product 1ᵀ g, for which BLAS takes half the time or less."""
    return _ones(len(g), g.dtype).dot(g)


@lru_cache(maxsize=16)
def _ones(n, dtype):
    return np.ones(n, dtype)

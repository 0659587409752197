"""Layers: each a ``forward`` and, below it, the ``backward`` that the book derives.

In the formulas, x is the input, y the output and g = ∂L/∂y the gradient that ``backward`` receives.
Rows are examples: x has shape (batch, in_features).
"""

from __future__ import annotations

import numpy as np

from gradnb import checks
from gradnb.init import he_normal, initial_weight
from gradnb.module import Module, Parameter


class Linear(Module):
    """Multiply by a weight matrix and add a bias.

    Forward: y = x W + b. Backward: ∂L/∂W = xᵀ g, ∂L/∂b = Σᵢ gᵢ (the sum over the batch) and
    ∂L/∂x = g Wᵀ.

    Parameters
    ----------
    in_features, out_features : int
        Number of inputs and of outputs, at least 1.
    bias : bool
        Whether to add b.
    init : callable
        ``(shape, rng) -> array`` for the weight, see `gradnb.init`. The bias starts at 0.
    rng : numpy.random.Generator, int or None
        Source of the weights; an int is a seed, None draws a new one each time.
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
            self.bias.grad += grad_output.sum(axis=0)
        return grad_output @ self.weight.data.T if input_grad else None

    def __repr__(self):
        bias = "" if self.bias is not None else ", bias=False"
        return f"Linear({self.in_features}, {self.out_features}{bias})"


class ReLU(Module):
    """Cut off the negative part.

    Forward: y = max(x, 0). Backward: ∂L/∂x = g where x > 0, else 0. The slope at exactly 0 is 0, as
    in PyTorch.

    Raises
    ------
    TypeError
        In ``forward``, if x is not a float array. Any shape will do.

    Examples
    --------
    >>> import numpy as np
    >>> relu = ReLU()
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    >>> relu.backward(np.array([5.0, 5.0, 5.0]))
    array([0., 0., 5.])
    """

    def forward(self, x):
        """Return max(x, 0), of the shape of x."""
        checks.float_array("x", x)
        y = np.maximum(x, 0)
        self._remember(x > 0, y)
        return y

    def backward(self, grad_output, input_grad=True):
        positive = self._recall(grad_output)
        return grad_output * positive if input_grad else None

    def __repr__(self):
        return "ReLU()"


class Sigmoid(Module):
    """Squash to the interval (0, 1).

    Forward: y = 1 / (1 + e⁻ˣ). Backward: ∂L/∂x = g · y (1 − y), at most |g| / 4 in size.

    Raises
    ------
    TypeError
        In ``forward``, if x is not a float array. Any shape will do.

    Notes
    -----
    From x ≈ 37 on (17 in float32), y rounds to 1 and the slope to exactly 0, as in PyTorch; on the
    negative side, slope and output are right down to the smallest numbers.

    Examples
    --------
    >>> import numpy as np
    >>> sigmoid = Sigmoid()
    >>> sigmoid(np.array([0.0, -1e8]))
    array([0.5, 0. ])
    >>> sigmoid.backward(np.array([1.0, 1.0]))
    array([0.25, 0.  ])
    """

    def forward(self, x):
        """Return 1 / (1 + e⁻ˣ), of the shape of x."""
        checks.float_array("x", x)
        e = np.exp(-np.abs(x))  # at most 1, so it cannot overflow
        y = np.where(x >= 0, 1, e) / (1 + e)
        self._remember(y, y)
        return y

    def backward(self, grad_output, input_grad=True):
        y = self._recall(grad_output)
        return grad_output * (y * (1 - y)) if input_grad else None

    def __repr__(self):
        return "Sigmoid()"


class Tanh(Module):
    """Squash to the interval (−1, 1).

    Forward: y = tanh x. Backward: ∂L/∂x = g · (1 − y²), at most |g| in size.

    Raises
    ------
    TypeError
        In ``forward``, if x is not a float array. Any shape will do.

    Notes
    -----
    From |x| ≈ 19 on (9 in float32), y rounds to ±1 and the slope to exactly 0, as in PyTorch.

    Examples
    --------
    >>> import numpy as np
    >>> tanh = Tanh()
    >>> tanh(np.array([0.0]))
    array([0.])
    >>> tanh.backward(np.array([3.0]))
    array([3.])
    """

    def forward(self, x):
        """Return tanh x, of the shape of x."""
        checks.float_array("x", x)
        y = np.tanh(x)
        self._remember(y, y)
        return y

    def backward(self, grad_output, input_grad=True):
        y = self._recall(grad_output)
        return grad_output * (1 - y**2) if input_grad else None

    def __repr__(self):
        return "Tanh()"

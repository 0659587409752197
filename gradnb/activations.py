"""Activations: the elementwise functions between the linear layers, and their derivatives.

As in `gradnb.layers`, x is the input, y the output and g = ∂L/∂y what ``backward`` receives. At the
kink of the three rectifiers, x = 0, the slope is that of the negative side, as in PyTorch.
"""

from __future__ import annotations

import numpy as np

from gradnb import checks
from gradnb.module import Module, Parameter


class ReLU(Module):
    """Replace negative numbers by 0.

    Forward: y = max(x, 0). Backward: ∂L/∂x = g where x > 0, else 0. The slope at exactly 0 is 0, as
    in PyTorch.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if x is not a float array, of any shape but ().

    Notes
    -----
    ``backward`` multiplies g by 0 or 1, so an infinite g becomes NaN where x ≤ 0. PyTorch gives 0.

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
        checks.batch("x", x)
        y = np.zeros(x.shape, x.dtype)
        np.maximum(x, y, out=y)  # with the number 0 for the array, NumPy takes up to 4 times longer
        self._remember(x > 0, y)
        return y

    def backward(self, grad_output, input_grad=True):
        positive = self._recall(grad_output)
        return grad_output * positive if input_grad else None

    def __repr__(self):
        return "ReLU()"


class LeakyReLU(Module):
    """Multiply negative numbers by a small slope.

    Forward: y = x where x > 0, else a x. Backward: ∂L/∂x = g where x > 0, else a g. Maas et al.
    (2013), whose a is 0.01.

    Parameters
    ----------
    negative_slope : float
        a.

    Raises
    ------
    TypeError, ValueError
        If `negative_slope` is not a finite number. In ``forward``, if x is not a float array, of
        any shape but ().

    Examples
    --------
    >>> import numpy as np
    >>> leaky = LeakyReLU(0.1)
    >>> leaky(np.array([-1.0, 0.0, 2.0]))
    array([-0.1,  0. ,  2. ])
    >>> leaky.backward(np.array([5.0, 5.0, 5.0]))
    array([0.5, 0.5, 5. ])
    """

    def __init__(self, negative_slope=0.01):
        self.negative_slope = checks.number("negative_slope", negative_slope)

    def forward(self, x):
        """Return x where it is positive, else a x; of the shape of x."""
        checks.batch("x", x)
        slope = np.where(x > 0, x.dtype.type(1), x.dtype.type(self.negative_slope))
        y = slope * x
        self._remember(slope, y)
        return y

    def backward(self, grad_output, input_grad=True):
        slope = self._recall(grad_output)
        return grad_output * slope if input_grad else None

    def __repr__(self):
        return f"LeakyReLU({self.negative_slope:g})"


class PReLU(Module):
    """Multiply negative numbers by a slope that is learned.

    Forward: y = x where x > 0, else a x. Backward: ∂L/∂x = g where x > 0, else a g, and
    ∂L/∂a = Σ g min(x, 0), the sum over the batch and all features that share an a. He et al.
    (2015).

    Parameters
    ----------
    num_parameters : int
        1 for one slope everywhere, or as many as there are features for one each.
    init : float
        The value from which the slopes start. In PyTorch too it is a number, not a callable.
    dtype : dtype
        Floating-point type of the slopes.

    Attributes
    ----------
    weight : Parameter
        a, shape (num_parameters,). Weight decay would pull it to 0, where PReLU is ReLU.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it has to be. In ``forward``, if x is not a float array, is wider
        than `dtype`, or, with a slope for each feature, has not the shape (batch, num_parameters).
        With one slope, any shape but () will do.

    Examples
    --------
    >>> import numpy as np
    >>> prelu = PReLU()
    >>> prelu(np.array([-4.0, 4.0]))
    array([-1.,  4.])
    >>> prelu.backward(np.array([1.0, 1.0]))
    array([0.25, 1.  ])
    >>> prelu.weight.grad
    array([-4.])
    """

    def __init__(self, num_parameters=1, init=0.25, *, dtype=float):
        self.num_parameters = checks.integer("num_parameters", num_parameters, minimum=1)
        init = checks.number("init", init)
        dtype = checks.float_dtype("dtype", dtype)
        self.weight = Parameter(np.full(self.num_parameters, init, dtype))

    def forward(self, x):
        """Return x where it is positive, else a x; of the shape of x."""
        if self.num_parameters == 1:
            checks.batch("x", x)
        else:
            checks.rows("x", x, self.num_parameters)
        checks.not_wider("x", x, self.weight.data.dtype, than="the weight")
        slope = np.where(x > 0, self.weight.data.dtype.type(1), self.weight.data)
        y = slope * x
        self._remember((x, slope), y)
        return y

    def backward(self, grad_output, input_grad=True):
        x, slope = self._recall(grad_output)
        products = grad_output * np.minimum(x, 0)
        if self.num_parameters == 1:
            self.weight.grad += products.sum()
        else:
            self.weight.grad += products.sum(axis=0)
        return grad_output * slope if input_grad else None

    def __repr__(self):
        return f"PReLU({self.num_parameters})"


class Sigmoid(Module):
    """Squash to the interval (0, 1).

    Forward: y = 1 / (1 + e⁻ˣ). Backward: ∂L/∂x = g · y (1 − y), at most |g| / 4 in size.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if x is not a float array, of any shape but ().

    Notes
    -----
    From x ≈ 37 on (17 in float32), y rounds to 1 and the slope to exactly 0, as in PyTorch. For
    negative x, output and slope are accurate down to the smallest floating-point numbers.

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
        checks.batch("x", x)
        e = np.exp(-np.abs(x))  # at most 1, so it cannot overflow
        y = np.where(x >= 0, 1, e) / (1 + e)  # for x < 0, eˣ / (1 + eˣ) is the same number
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
    TypeError, ValueError
        In ``forward``, if x is not a float array, of any shape but ().

    Notes
    -----
    From |x| ≈ 19 on (9 to 10 in float32), y rounds to ±1 and the slope to exactly 0, as in PyTorch.

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
        checks.batch("x", x)
        y = np.tanh(x)
        self._remember(y, y)
        return y

    def backward(self, grad_output, input_grad=True):
        y = self._recall(grad_output)
        return grad_output * (1 - y**2) if input_grad else None

    def __repr__(self):
        return "Tanh()"

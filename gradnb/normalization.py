"""Batch normalisation: every feature gets mean 0 and variance 1 over the batch."""

from __future__ import annotations

import numpy as np

from gradnb import checks
from gradnb.module import Module, Parameter


class BatchNorm1d(Module):
    """Standardise each feature over the batch, then scale and shift it.

    With mean μ and variance σ² of each column of x over the N rows,

    x̂ = (x − μ) / √(σ² + ε),  y = γ x̂ + β.

    Every row takes part in μ and σ², so the gradient with respect to a row has three paths: its
    own, and one each through the mean and the variance of all rows,

    ∂L/∂x = γ / √(σ² + ε) · (g − mean(g) − x̂ · mean(g x̂)),

    with ∂L/∂γ = Σ g x̂ and ∂L/∂β = Σ g, sums and means over the batch. In evaluation mode, the
    running statistics stand for μ and σ²; they are constants, and the first path is the only one.
    Ioffe & Szegedy (2015), algorithms 1 and 2.

    Parameters
    ----------
    num_features : int
        Columns of x.
    eps : float
        ε, above 0. (PyTorch takes 0 too.)
    momentum : float
        Share of the batch in the running statistics, from 0 to 1: the weight of what is new, while
        an optimiser's momentum is the weight of what is old.
    dtype : dtype
        Floating-point type of parameters and statistics.

    Attributes
    ----------
    weight, bias : Parameter
        γ, which starts at 1, and β, which starts at 0; shape (num_features,).
    running_mean, running_var : ndarray
        Updated by every ``forward`` in training, running ← (1 − momentum) running + momentum batch.
        Part of ``state_dict``. As in PyTorch, the running variance takes the sum of squares divided
        by N − 1, while x̂ takes it divided by N.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it has to be. In ``forward``, if x is not a float array of shape
        (batch, num_features) or is wider than `dtype`; in training, if it has fewer than two rows:
        one row is its own mean, so y would be β whatever x is, and every gradient before it 0.

    Notes
    -----
    Features as large as 10⁸ are standardised as well as small ones. Only where the squares overflow
    (from 10¹⁹ on in float32), the variance is infinite and x̂ is 0, as in PyTorch; NumPy warns.

    Examples
    --------
    >>> import numpy as np
    >>> norm = BatchNorm1d(1)
    >>> norm(np.array([[1.0], [3.0]])).round(4)
    array([[-1.],
           [ 1.]])
    >>> norm.running_mean
    array([0.2])
    """

    _buffers = ("running_mean", "running_var")

    def __init__(self, num_features, eps=1e-5, momentum=0.1, *, dtype=float):
        self.num_features = checks.integer("num_features", num_features, minimum=1)
        self.eps = checks.number("eps", eps, minimum=0)
        if self.eps == 0:
            raise ValueError("eps must be above 0, or a constant feature divides by 0; got 0")
        self.momentum = checks.number("momentum", momentum, minimum=0, maximum=1)
        dtype = checks.float_dtype("dtype", dtype)
        self.weight = Parameter(np.ones(self.num_features, dtype))
        self.bias = Parameter(np.zeros(self.num_features, dtype))
        self.running_mean = np.zeros(self.num_features, dtype)
        self.running_var = np.ones(self.num_features, dtype)

    def forward(self, x):
        """Return γ x̂ + β, of shape (batch, num_features)."""
        checks.rows("x", x, self.num_features)
        checks.not_wider("x", x, self.weight.data.dtype, than="the weight")
        if self.training:
            centred, var = self._batch_statistics(x)
        else:
            centred, var = x - self.running_mean, self.running_var
        inv_std = 1 / np.sqrt(var + self.eps)
        x_hat = centred * inv_std
        y = self.weight.data * x_hat + self.bias.data
        self._remember((x_hat, inv_std, self.training), y)
        return y

    def backward(self, grad_output, input_grad=True):
        x_hat, inv_std, training = self._recall(grad_output)
        grad_weight = (grad_output * x_hat).sum(axis=0)
        grad_bias = grad_output.sum(axis=0)
        self.weight.grad += grad_weight
        self.bias.grad += grad_bias
        if not input_grad:
            return None
        scale = self.weight.data * inv_std
        if not training:
            return scale * grad_output
        n = len(grad_output)
        return scale * (grad_output - grad_bias / n - x_hat * (grad_weight / n))

    def _batch_statistics(self, x):
        """Return x − μ and σ², and update the running statistics."""
        n = len(x)
        if n < 2:
            raise ValueError(
                f"x must have at least 2 rows while BatchNorm1d is training, got shape {x.shape}: "
                f"eval() uses the running statistics"
            )
        mean = x.mean(axis=0)
        centred = x - mean
        # Centred a second time: around 1e8 what rounding leaves is not small beside the variance
        rest = centred.mean(axis=0)
        centred -= rest
        var = (centred**2).mean(axis=0)
        self.running_mean += self.momentum * (mean + rest - self.running_mean)
        self.running_var += self.momentum * (var * (n / (n - 1)) - self.running_var)
        return centred, var

    def __repr__(self):
        return f"BatchNorm1d({self.num_features})"

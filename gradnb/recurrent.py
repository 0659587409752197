"""A recurrent layer, which applies the same weights at every step of a sequence.

Sequences have shape (batch, time, features). In the formulas, t runs from 1 to T, h₀ = 0, and
g_t = ∂L/∂h_t is what ``backward`` receives for step t: the gradient that does not come through
later steps.
"""

from __future__ import annotations

import numpy as np

from gradnb import checks
from gradnb.init import glorot_normal, initial_weight
from gradnb.module import Module, Parameter


class RNN(Module):
    """Read a sequence step by step, keeping a hidden state.

    Forward: h_t = tanh(z_t) with z_t = x_t W_ih + h_{t−1} W_hh + b. Backward, through time: the
    error δ_t = ∂L/∂z_t collects what comes from outside and from the next step,
    δ_t = (g_t + δ_{t+1} W_hhᵀ) ⊙ (1 − h_t²) with δ_{T+1} = 0. Every step uses the same weights, so
    their gradients are sums over time: ∂L/∂W_ih = Σ_t x_tᵀ δ_t, ∂L/∂W_hh = Σ_t h_{t−1}ᵀ δ_t, and
    ∂L/∂b = Σ_t δ_t, each over the batch too; ∂L/∂x_t = δ_t W_ihᵀ. Werbos (1990).

    Parameters
    ----------
    input_size, hidden_size : int
        Number of features of a step and of the hidden state, at least 1.
    bias : bool
        Whether to add b.
    init, hidden_init : callable
        ``(shape, rng) -> array`` for W_ih and for W_hh, see `gradnb.init`. The bias starts at 0.
    rng : numpy.random.Generator, int or None
        Source of the weights, W_ih first; an int is a seed, None draws new ones each time.
    dtype : dtype
        Floating-point type of the parameters, and so of all that is computed.

    Attributes
    ----------
    weight_ih : Parameter
        W_ih, shape (input_size, hidden_size).
    weight_hh : Parameter
        W_hh, shape (hidden_size, hidden_size).
    bias : Parameter or None
        b, shape (hidden_size,).

    Raises
    ------
    TypeError, ValueError
        If a size is not an integer of at least 1, `init` or `hidden_init` is not a callable or
        returns another shape, or `rng` or `dtype` is not what it has to be. In ``forward``, if x is
        not a float array of shape (batch, time, input_size) with at least one step, or is wider
        than `dtype`.

    Notes
    -----
    On its way from the last step to the first, an error is multiplied T − 1 times by W_hhᵀ. With
    `glorot_normal`, the entries of W_hh have variance 1 / hidden_size, so that on average one
    product keeps the squared length of an error; the slopes 1 − h² then shorten it. A large W_hh
    can still make gradients overflow to inf or nan, which is not hidden.

    ``torch.nn.RNN`` takes (time, batch, features) unless ``batch_first=True``, returns the last
    hidden state as well and accepts another h₀. It stores the transposes, ``weight_ih_l0`` and
    ``weight_hh_l0``, adds two biases, ``bias_ih_l0`` and ``bias_hh_l0``, whose sum is our b, and
    draws all of them from U(−1/√hidden_size, 1/√hidden_size), with a third of our variance in W_hh.

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb.init import constant
    >>> rnn = RNN(1, 1, init=constant(1.0), hidden_init=constant(3.0))
    >>> rnn(np.array([[[0.0], [0.0]]]))
    array([[[0.],
            [0.]]])
    >>> rnn.backward(np.array([[[0.0], [1.0]]]))  # W_hh = 3 lies between the two steps
    array([[[3.],
            [1.]]])
    """

    def __init__(
        self,
        input_size,
        hidden_size,
        *,
        bias=True,
        init=glorot_normal,
        hidden_init=glorot_normal,
        rng=None,
        dtype=float,
    ):
        self.input_size = checks.integer("input_size", input_size, minimum=1)
        self.hidden_size = checks.integer("hidden_size", hidden_size, minimum=1)
        bias = checks.flag("bias", bias)
        dtype = checks.float_dtype("dtype", dtype)
        rng = checks.generator("rng", rng)
        ih, hh = (self.input_size, self.hidden_size), (self.hidden_size, self.hidden_size)
        self.weight_ih = Parameter(initial_weight("init", init, ih, rng, dtype))
        self.weight_hh = Parameter(initial_weight("hidden_init", hidden_init, hh, rng, dtype))
        self.bias = Parameter(np.zeros(self.hidden_size, dtype)) if bias else None

    def forward(self, x):
        """Return h₁ to h_T, of shape (batch, time, hidden_size)."""
        checks.sequences("x", x, self.input_size)
        checks.not_wider("x", x, self.weight_ih.data.dtype, than="the weights")
        batch, time, _ = x.shape
        x = x.swapaxes(0, 1).reshape(time * batch, self.input_size)
        # What the inputs contribute to z, at all steps in one product
        z = x @ self.weight_ih.data
        if self.bias is not None:
            z += self.bias.data
        z = z.reshape(time, batch, self.hidden_size)
        h = np.empty_like(z)
        h[0] = np.tanh(z[0])
        for t in range(1, time):
            h[t] = np.tanh(z[t] + h[t - 1] @ self.weight_hh.data)
        output = h.swapaxes(0, 1)
        self._remember((x, h), output)
        return output

    def backward(self, grad_output, input_grad=True):
        x, h = self._recall(grad_output)
        g = grad_output.swapaxes(0, 1)
        delta = 1 - h**2  # the slopes; each becomes an error once multiplied by ∂L/∂h
        delta[-1] *= g[-1]
        for t in reversed(range(len(h) - 1)):
            delta[t] *= g[t] + delta[t + 1] @ self.weight_hh.data.T
        # With all errors known, each sum over time and batch is one product
        before, after = h[:-1], delta[1:]
        n = self.hidden_size
        self.weight_hh.grad += before.reshape(-1, n).T @ after.reshape(-1, n)
        delta = delta.reshape(-1, n)
        self.weight_ih.grad += x.T @ delta
        if self.bias is not None:
            self.bias.grad += delta.sum(axis=0)
        if not input_grad:
            return None
        grad_input = delta @ self.weight_ih.data.T
        return grad_input.reshape(*h.shape[:2], self.input_size).swapaxes(0, 1)

    def __repr__(self):
        bias = "" if self.bias is not None else ", bias=False"
        return f"RNN({self.input_size}, {self.hidden_size}{bias})"


class LastStep(Module):
    """Keep the last step of a sequence: what an `RNN` knows once it has read everything.

    Forward: y = x_T. Backward: ∂L/∂x_T = g, and 0 at all earlier steps.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if x is not a float array of shape (batch, time, features) with at least
        one step.

    Notes
    -----
    PyTorch has no such layer: one writes ``x[:, -1]``, a view. This is a copy.

    Examples
    --------
    >>> import numpy as np
    >>> last = LastStep()
    >>> last(np.array([[[1.0, 2.0], [3.0, 4.0]]]))
    array([[3., 4.]])
    >>> last.backward(np.array([[5.0, 6.0]]))
    array([[[0., 0.],
            [5., 6.]]])
    """

    def forward(self, x):
        """Return the last step, of shape (batch, features)."""
        checks.sequences("x", x)
        y = x[:, -1].copy()
        self._remember(x.shape, y)
        return y

    def backward(self, grad_output, input_grad=True):
        shape = self._recall(grad_output)
        if not input_grad:
            return None
        grad_input = np.zeros(shape, grad_output.dtype)
        grad_input[:, -1] = grad_output
        return grad_input

    def __repr__(self):
        return "LastStep()"

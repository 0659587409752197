"""Adaptive optimisers: every weight gets a step size of its own, from the history of its gradient.

In the formulas, w is a parameter, g = ∂L/∂w its gradient, η the learning rate and λ the weight
decay; with λ > 0, g stands for g + λ w. Histories such as s and v start at 0 unless something else
is said. Squares, roots and quotients are taken entry by entry.
"""

from __future__ import annotations

import numpy as np

from gradnb import checks
from gradnb.optimizer import Optimizer


class Adagrad(Optimizer):
    """Divide each step by the root of the sum of all squared gradients so far.

    s ← s + g²;  w ← w − ηₜ g / (√s + ε), with ηₜ = η / (1 + (t − 1) d) in step t = 1, 2, …

    This is the diagonal form in Figure 1 of Duchi, Hazan and Singer (2011), with ε for their δ and
    with their update (4) free of constraints. Rules and defaults are those of
    ``torch.optim.Adagrad``; the decay d of the rate is PyTorch's.

    Parameters
    ----------
    params : iterable of Parameter
        What to train, such as ``model.parameters()``.
    lr : float
        Learning rate η, at least 0. May be changed between steps.
    lr_decay : float
        d, at least 0.
    weight_decay : float
        λ, at least 0.
    initial_accumulator_value : float
        What s starts at instead of 0, at least 0.
    eps : float
        ε, at least 0. With 0, a weight whose gradient has been 0 in every step becomes NaN.

    Raises
    ------
    TypeError, ValueError
        If there are no parameters, one is listed twice or is not a `Parameter`, or a number is out
        of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb import Parameter
    >>> w = Parameter(np.array([1.0, 1.0]))
    >>> w.grad += [3.0, 300.0]
    >>> Adagrad([w], lr=0.1).step()
    >>> w.data
    array([0.9, 0.9])
    """

    def __init__(
        self,
        params,
        lr=0.01,
        lr_decay=0,
        weight_decay=0,
        initial_accumulator_value=0,
        eps=1e-10,
    ):
        super().__init__(params, lr, weight_decay)
        self.lr_decay = checks.number("lr_decay", lr_decay, minimum=0)
        self.eps = checks.number("eps", eps, minimum=0)
        start = checks.number("initial_accumulator_value", initial_accumulator_value, minimum=0)
        self._s = [np.full_like(p.data, start) for p in self.params]
        self._steps = 0

    def _update(self):
        rate = self.lr / (1 + self._steps * self.lr_decay)
        self._steps += 1
        for p, s in zip(self.params, self._s, strict=True):
            g = self._decay(p)
            s += g * g
            p.data -= rate * g / (np.sqrt(s) + self.eps)


class RMSprop(Optimizer):
    """Divide each step by the root of a running mean of the squared gradient.

    s ← α s + (1 − α) g²;  w ← w − η g / (√s + ε).

    With momentum β, v ← β v + g / (√s + ε) and w ← w − η v. Centered, √(s − a²) stands for √s, with
    the running mean of the gradient a ← α a + (1 − α) g, so that a variance takes the place of the
    mean square.

    The rule is Tieleman and Hinton's (2012, lecture 6.5, with α = 0.9 and no ε); the centered form
    is Graves's (2013, equations 38 to 41). Places of ε, rules and defaults are those of
    ``torch.optim.RMSprop``.

    Parameters
    ----------
    params : iterable of Parameter
        What to train, such as ``model.parameters()``.
    lr : float
        Learning rate η, at least 0. May be changed between steps.
    alpha : float
        α, from 0 to below 1. (PyTorch takes 1 and more too.)
    eps : float
        ε, at least 0. With 0, a weight whose gradient has been 0 in every step becomes NaN.
    weight_decay : float
        λ, at least 0.
    momentum : float
        β, from 0 to 1, not to be changed later. (PyTorch takes more than 1 too.)
    centered : bool
        Whether to divide by the standard deviation; not to be changed later.

    Raises
    ------
    TypeError, ValueError
        If there are no parameters, one is listed twice or is not a `Parameter`, or a number is out
        of its range.

    Notes
    -----
    A gradient that hardly changes has a variance s − a² near 0, and the centered form takes steps
    of up to η |g| / ε. Where rounding makes the variance negative, 0 is taken for it; PyTorch takes
    the root and gets NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb import Parameter
    >>> w = Parameter(np.array([1.0, 1.0]))
    >>> w.grad += [3.0, 300.0]
    >>> RMSprop([w], lr=0.1, alpha=0.75).step()
    >>> w.data
    array([0.8, 0.8])
    """

    def __init__(
        self,
        params,
        lr=0.01,
        alpha=0.99,
        eps=1e-8,
        weight_decay=0,
        momentum=0,
        centered=False,
    ):
        super().__init__(params, lr, weight_decay)
        self.alpha = checks.fraction("alpha", alpha)
        self.eps = checks.number("eps", eps, minimum=0)
        self.momentum = checks.number("momentum", momentum, minimum=0, maximum=1)
        self.centered = checks.flag("centered", centered)
        self._s = [np.zeros_like(p.data) for p in self.params]
        self._a = [np.zeros_like(p.data) for p in self.params] if self.centered else None
        self._v = [np.zeros_like(p.data) for p in self.params] if self.momentum else None

    def _update(self):
        lr, alpha = self.lr, self.alpha
        for i, p in enumerate(self.params):
            g, s = self._decay(p), self._s[i]
            s *= alpha
            s += (1 - alpha) * g * g
            variance = s
            if self.centered:
                a = self._a[i]
                a *= alpha
                a += (1 - alpha) * g
                variance = np.maximum(s - a * a, 0)
            step = g / (np.sqrt(variance) + self.eps)
            if self.momentum:
                v = self._v[i]
                v *= self.momentum
                v += step
                step = v
            p.data -= lr * step

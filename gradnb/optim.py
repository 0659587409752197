"""Optimisers: what is done with the gradients once ``backward`` has added them up."""

from __future__ import annotations

import numpy as np

from gradnb import checks
from gradnb.optimizer import Optimizer


class SGD(Optimizer):
    """Step against the gradient, with momentum and weight decay if wanted.

    With g = ∂L/∂w, learning rate η, weight decay λ and momentum β, each step does

    g ← g + λ w;  v ← β v + g (v starts at 0);  w ← w − η v, or w ← w − η (g + β v) with Nesterov.

    Without momentum and decay this is w ← w − η g (Rumelhart et al. 1986, equation 8; their
    equation 9 is the momentum, with the rate inside v). Rules and defaults are those of
    ``torch.optim.SGD``: the rate multiplies v, so changing it acts at once on the whole history.

    Parameters
    ----------
    params : iterable of Parameter
        What to train, such as ``model.parameters()``.
    lr : float
        Learning rate η, at least 0. May be changed between steps.
    momentum : float
        β, from 0 to 1, fixed once made. With 1 nothing is ever forgotten.
    nesterov : bool
        Whether to use Nesterov's form, which needs a momentum above 0.
    weight_decay : float
        λ, at least 0.

    Raises
    ------
    TypeError, ValueError
        If there are no parameters, one is listed twice or is not a `Parameter`, or a number is out
        of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb import Parameter
    >>> w = Parameter(np.array([1.0]))
    >>> w.grad += 4.0
    >>> SGD([w], lr=0.1).step()
    >>> w.data
    array([0.6])
    """

    def __init__(self, params, lr, momentum=0, nesterov=False, weight_decay=0):
        super().__init__(params, lr, weight_decay)
        self.momentum = checks.number("momentum", momentum, minimum=0, maximum=1)
        self.nesterov = bool(nesterov)
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov=True needs a momentum above 0, got 0")
        self._velocity = [np.zeros_like(p.data) for p in self.params] if self.momentum else None

    def _update(self):
        for i, p in enumerate(self.params):
            g = p.grad
            if self.weight_decay:
                g = g + self.weight_decay * p.data
            if self.momentum:
                v = self._velocity[i]
                v *= self.momentum
                v += g
                g = g + self.momentum * v if self.nesterov else v
            p.data -= self.lr * g

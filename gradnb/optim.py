"""Optimisers: what is done with the gradients once ``backward`` has added them up.

Stochastic gradient descent is here. What adapts the step to each weight is in `gradnb.adaptive` and
`gradnb.adam`, what changes the rate over time in `gradnb.schedules`, and what bounds the gradients
before a step in `gradnb.clipping`; all these names can be imported from here too.
"""

from __future__ import annotations

import numpy as np

from gradnb import checks
from gradnb.adam import Adam, AdamW
from gradnb.adaptive import Adagrad, RMSprop
from gradnb.clipping import clip_grad_norm_, clip_grad_value_
from gradnb.optimizer import Optimizer
from gradnb.schedules import CosineAnnealingLR, ExponentialLR, StepLR

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialLR",
    "RMSprop",
    "StepLR",
    "clip_grad_norm_",
    "clip_grad_value_",
]


class SGD(Optimizer):
    """Step against the gradient, with momentum and weight decay if wanted.

    With g = ∂L/∂w, learning rate η, weight decay λ and momentum β, each step does

    g ← g + λ w;  v ← β v + g (v starts at 0);  w ← w − η v, or w ← w − η (g + β v) with Nesterov.

    Without momentum and decay this is w ← w − η g (Rumelhart et al. 1986, equation 8; their
    equation 9 is the momentum, with the rate inside v). The rules are those of ``torch.optim.SGD``
    without its dampening: the rate multiplies v, so changing it acts at once on the whole history.
    Nesterov's form looks ahead by one step of momentum (Sutskever et al. 2013).

    PyTorch's arguments come in another order, so name all after `lr`.

    Parameters
    ----------
    params : iterable of Parameter
        What to train, such as ``model.parameters()``.
    lr : float
        Learning rate η, at least 0. May be changed between steps. It has no default (PyTorch's is
        0.001).
    momentum : float
        β, from 0 to 1, not to be changed later. With 1 nothing is ever forgotten. (PyTorch takes
        more than 1 too.)
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
        self.nesterov = checks.flag("nesterov", nesterov)
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov=True needs a momentum above 0, got 0")
        self._v = [np.zeros_like(p.data) for p in self.params] if self.momentum else None

    def _update(self):
        lr, beta = self.lr, self.momentum
        for i, p in enumerate(self.params):
            g = self._decay(p)
            if beta:
                v = self._v[i]
                v *= beta
                v += g
                g = g + beta * v if self.nesterov else v
            p.data -= lr * g

"""Adam, which keeps a running mean of the gradient and one of its square, and AdamW.

In the formulas, w is a parameter, g = ∂L/∂w its gradient, η the learning rate and λ the weight
decay; v and s start at 0. Squares, roots and quotients are taken entry by entry.
"""

from __future__ import annotations

import math

import numpy as np

from gradnb import checks
from gradnb.optimizer import Optimizer


class Adam(Optimizer):
    """Step by the running mean of the gradient over the root of that of its square.

    v ← β₁ v + (1 − β₁) g;  s ← β₂ s + (1 − β₂) g²;

    v̂ = v / (1 − β₁ᵗ);  ŝ = s / (1 − β₂ᵗ);  w ← w − η v̂ / (√ŝ + ε) in step t = 1, 2, …

    This is Algorithm 1 of Kingma and Ba (2015), whose names for v and s are m and v. Rules and
    defaults are those of ``torch.optim.Adam``. The weight decay is that of an L2 penalty: g stands
    for g + λ w, so that λ w goes through the means. `AdamW` keeps it out of them.

    Parameters
    ----------
    params : iterable of Parameter
        What to train, such as ``model.parameters()``.
    lr : float
        Learning rate η, at least 0. May be changed between steps.
    betas : pair of float
        β₁ and β₂, each from 0 to below 1.
    eps : float
        ε, at least 0. With 0, a weight whose gradient has been 0 in every step becomes NaN.
    weight_decay : float
        λ, at least 0.

    Raises
    ------
    TypeError, ValueError
        If there are no parameters, one is listed twice or is not a `Parameter`, or a number is out
        of its range.

    Notes
    -----
    The division by 1 − βᵗ makes v̂ and ŝ weighted means of all gradients and of all squares so far,
    with the weights 1, β, β², … back from the newest. The code keeps the weighted sums, which are
    v / (1 − β₁) and s / (1 − β₂), and divides by the sums of the weights: the same up to rounding,
    and faster.

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb import Parameter
    >>> w = Parameter(np.array([1.0, 1.0]))
    >>> w.grad += [3.0, -300.0]
    >>> Adam([w], lr=0.1).step()
    >>> w.data
    array([0.9, 1.1])
    """

    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0):
        super().__init__(params, lr, weight_decay)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"betas must be a pair of numbers, got {betas!r}")
        self.betas = checks.fraction("betas[0]", betas[0]), checks.fraction("betas[1]", betas[1])
        self.eps = checks.number("eps", eps, minimum=0)
        self._v_sums = [np.zeros_like(p.data) for p in self.params]
        self._s_sums = [np.zeros_like(p.data) for p in self.params]
        self._steps = 0

    def _update(self):
        self._steps += 1
        beta1, beta2 = self.betas
        # The sums of the weights, 1 + β + … + βᵗ⁻¹. Two numbers divide by them, not whole arrays
        weights1 = (1 - beta1**self._steps) / (1 - beta1)
        weights2 = (1 - beta2**self._steps) / (1 - beta2)
        rate = self.lr * math.sqrt(weights2) / weights1
        eps = self.eps * math.sqrt(weights2)
        for p, v, s in zip(self.params, self._v_sums, self._s_sums, strict=True):
            g = self._decay(p)
            v *= beta1
            v += g
            s *= beta2
            s += g * g
            # p.data -= rate * v / (np.sqrt(s) + eps), in one array, which takes about a tenth less
            step = np.sqrt(s, out=np.empty_like(s))  # an array even where s is a single number
            step += eps
            np.divide(v, step, out=step)
            step *= rate
            p.data -= step


class AdamW(Adam):
    """Step like `Adam`, with the decay of the weights kept apart from the gradient.

    w ← w − η λ w, then Adam's step with the gradient g alone.

    This is Algorithm 2 of Loshchilov and Hutter (2019) but for the rate: in their line 12 the
    learning rate α does not multiply λ, and a schedule multiplies both. Here one η multiplies both,
    as in ``torch.optim.AdamW``, whose rules and defaults these are.

    Parameters
    ----------
    params, lr, betas, eps
        As in `Adam`.
    weight_decay : float
        λ, at least 0.

    Raises
    ------
    TypeError, ValueError
        As in `Adam`.

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb import Parameter
    >>> w = Parameter(np.array([1.0]))
    >>> AdamW([w], lr=0.1, weight_decay=0.5).step()  # the gradient is 0
    >>> w.data
    array([0.95])
    """

    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr, betas, eps, weight_decay)

    def _decay(self, p):
        """Shrink the parameter itself; its gradient stays as it is."""
        p.data *= 1 - self.lr * self.weight_decay
        return p.grad

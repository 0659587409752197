"""Schedules: the learning rate as a function of the epoch."""

from __future__ import annotations

import math

from gradnb import checks
from gradnb.optimizer import Optimizer


class Schedule:
    """Base class of the schedules, like ``torch.optim.lr_scheduler.LRScheduler``.

    A subclass writes ``_rate(epoch)``, which returns the rate for that epoch. What an epoch is, the
    caller decides: ``step()`` is called at its end, after the last ``optimizer.step()``.

    Parameters
    ----------
    optimizer : Optimizer
        Its ``lr`` is set, and is the rate η₀ of epoch 0.

    Attributes
    ----------
    last_epoch : int
        Count of the steps so far.

    Raises
    ------
    TypeError
        If `optimizer` is not an `Optimizer`.
    """

    def __init__(self, optimizer):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be an Optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.last_epoch = 0
        self._last_lr = optimizer.lr

    def step(self):
        """Set the optimiser's rate for the next epoch."""
        epoch = self.last_epoch + 1
        self.optimizer.lr = self._rate(epoch)  # refuses a rate that is not finite
        self.last_epoch = epoch
        self._last_lr = self.optimizer.lr

    def get_last_lr(self):
        """Return the rate that was set last, in a list of one as PyTorch has one for each group."""
        return [self._last_lr]

    def _rate(self, epoch):
        raise NotImplementedError(f"{type(self).__name__} has no _rate")

    def __repr__(self):
        return f"{type(self).__name__}(last_epoch={self.last_epoch})"


class StepLR(Schedule):
    """Multiply the rate by γ after every so many epochs.

    ηₜ = η₀ γᵏ with k = ⌊t / step_size⌋, as in ``torch.optim.lr_scheduler.StepLR``. What is
    multiplied is the rate that the optimiser has at that moment, so a change by hand or by another
    schedule lasts.

    Parameters
    ----------
    optimizer : Optimizer
        Its ``lr`` is η₀.
    step_size : int
        Epochs between two changes, at least 1.
    gamma : float
        γ, at least 0.

    Raises
    ------
    TypeError, ValueError
        If `optimizer` is not an `Optimizer`, or a number is out of its range. In ``step``, if the
        rate is no longer finite, with γ > 1.

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb import SGD, Parameter
    >>> optimizer = SGD([Parameter(np.ones(1))], lr=8.0)
    >>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for epoch in range(4):
    ...     schedule.step()
    ...     print(optimizer.lr)
    8.0
    4.0
    4.0
    2.0
    """

    def __init__(self, optimizer, step_size, gamma=0.1):
        super().__init__(optimizer)
        self.step_size = checks.integer("step_size", step_size, minimum=1)
        self.gamma = checks.number("gamma", gamma, minimum=0)

    def _rate(self, epoch):
        changes = epoch % self.step_size == 0
        return self.optimizer.lr * self.gamma if changes else self.optimizer.lr


class ExponentialLR(Schedule):
    """Multiply the rate by γ after every epoch.

    ηₜ = η₀ γᵗ, as in ``torch.optim.lr_scheduler.ExponentialLR``. What is multiplied is the rate
    that the optimiser has at that moment, so a change by hand or by another schedule lasts.

    Parameters
    ----------
    optimizer : Optimizer
        Its ``lr`` is η₀.
    gamma : float
        γ, at least 0.

    Raises
    ------
    TypeError, ValueError
        If `optimizer` is not an `Optimizer`, or `gamma` is out of its range. In ``step``, if the
        rate is no longer finite, with γ > 1.

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb import SGD, Parameter
    >>> optimizer = SGD([Parameter(np.ones(1))], lr=8.0)
    >>> ExponentialLR(optimizer, gamma=0.5).step()
    >>> optimizer.lr
    4.0
    """

    def __init__(self, optimizer, gamma):
        super().__init__(optimizer)
        self.gamma = checks.number("gamma", gamma, minimum=0)

    def _rate(self, epoch):
        return self.optimizer.lr * self.gamma


class CosineAnnealingLR(Schedule):
    """Lower the rate to a minimum along half a period of the cosine.

    ηₜ = η_min + ½ (η₀ − η_min) (1 + cos(π t / T_max)), equation 5 of Loshchilov and Hutter (2017)
    without the restarts: after T_max epochs the rate rises again along the cosine, as it does in
    ``torch.optim.lr_scheduler.CosineAnnealingLR``.

    Parameters
    ----------
    optimizer : Optimizer
        Its ``lr`` is η₀.
    T_max : int
        Epochs from η₀ to η_min, at least 1.
    eta_min : float
        η_min, at least 0.

    Raises
    ------
    TypeError, ValueError
        If `optimizer` is not an `Optimizer`, or a number is out of its range.

    Notes
    -----
    PyTorch computes each rate from the one before, by a recursion that gives the same numbers. The
    formula has no memory: a change of the rate by hand lasts until the next ``step``, while
    PyTorch's schedule goes on from the changed rate.

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb import SGD, Parameter
    >>> optimizer = SGD([Parameter(np.ones(1))], lr=8.0)
    >>> schedule = CosineAnnealingLR(optimizer, T_max=2)
    >>> for epoch in range(4):
    ...     schedule.step()
    ...     print(round(optimizer.lr, 12))
    4.0
    0.0
    4.0
    8.0
    """

    def __init__(self, optimizer, T_max, eta_min=0):
        super().__init__(optimizer)
        self.T_max = checks.integer("T_max", T_max, minimum=1)
        self.eta_min = checks.number("eta_min", eta_min, minimum=0)
        self.base_lr = optimizer.lr

    def _rate(self, epoch):
        wave = (1 + math.cos(math.pi * epoch / self.T_max)) / 2
        return self.eta_min + (self.base_lr - self.eta_min) * wave

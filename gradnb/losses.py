"""Losses: one number for a batch, and its gradient with respect to the prediction.

A loss is called with prediction and target and returns a Python float. Its ``backward()`` then
gives the gradient with respect to that prediction, with which a network's ``backward`` starts.
Both losses are means, so the factor 1 / batch is in here and nowhere else.
"""

from __future__ import annotations

import numpy as np

from gradnb import checks


class MSELoss:
    """Average the squared errors.

    L = (1/M) Σ (ŷ − t)² over all M entries of the batch, ∂L/∂ŷ = 2 (ŷ − t) / M. The mean is over
    examples and outputs alike, as in ``torch.nn.MSELoss``; textbooks that sum over the outputs or
    write a factor 1/2 have gradients that differ by that factor.

    Raises
    ------
    TypeError, ValueError
        If prediction or target is not a float array, if their shapes differ (nothing is broadcast),
        or if they are empty.
    RuntimeError
        If ``backward`` comes before a call.

    Examples
    --------
    >>> import numpy as np
    >>> criterion = MSELoss()
    >>> criterion(np.array([[1.0, 4.0]]), np.array([[1.0, 2.0]]))
    2.0
    >>> criterion.backward()
    array([[0., 2.]])
    """

    def __init__(self):
        self._difference = None

    def __call__(self, prediction, target):
        """Return the loss of predictions of any shape against targets of the same shape."""
        self._check(prediction, target)
        self._difference = prediction - target
        return float((self._difference**2).sum()) / self._difference.size

    def per_example(self, prediction, target):
        """Return the loss of each example alone, shape (batch,), of which L is the mean."""
        self._check(prediction, target)
        difference = prediction - target
        return np.mean(difference**2, axis=tuple(range(1, difference.ndim)))

    def backward(self):
        """Return ∂L/∂ŷ, of the shape of the prediction."""
        if self._difference is None:
            raise RuntimeError("MSELoss.backward was called before the loss")
        return self._difference * (2 / self._difference.size)

    @staticmethod
    def _check(prediction, target):
        checks.batch("prediction", prediction)
        checks.same_shape("target", target, prediction.shape, of="prediction")
        if prediction.size == 0:
            raise ValueError(f"prediction must not be empty, got shape {prediction.shape}")
        checks.not_wider("target", target, prediction.dtype, than="prediction")

    def __repr__(self):
        return "MSELoss()"


class CrossEntropyLoss:
    """Average −log of the probability that the softmax gives the right class.

    With logits z of shape (batch, classes), p = softmax(z) along each row and the classes t:
    L = −(1/N) Σᵢ log p[i, tᵢ], ∂L/∂z = (p − onehot(t)) / N, with N the batch. It takes logits, not
    probabilities, like ``torch.nn.CrossEntropyLoss``.

    Raises
    ------
    TypeError, ValueError
        If the logits are not a float array of shape (batch, classes) with at least one row, or the
        target is not an integer array of shape (batch,) with values from 0 to classes − 1.
    RuntimeError
        If ``backward`` comes before a call.

    Notes
    -----
    The largest logit of a row is subtracted before the exponential, which changes no probability
    and keeps logits of 1e8 from overflowing.

    Examples
    --------
    >>> import numpy as np
    >>> criterion = CrossEntropyLoss()
    >>> round(criterion(np.array([[0.0, 0.0]]), np.array([1])), 4)  # log 2
    0.6931
    >>> criterion.backward()
    array([[ 0.5, -0.5]])
    """

    def __init__(self):
        self._memory = None  # what backward needs

    def __call__(self, logits, target):
        """Return the loss of logits (batch, classes) against class indices (batch,)."""
        self._check(logits, target)
        losses, *self._memory = self._losses(logits, target)
        return float(losses.sum()) / len(losses)

    def per_example(self, logits, target):
        """Return −log p[i, tᵢ] of each example, shape (batch,), of which L is the mean."""
        self._check(logits, target)
        losses, *_ = self._losses(logits, target)
        return losses

    def backward(self):
        """Return ∂L/∂z, of the shape of the logits."""
        if self._memory is None:
            raise RuntimeError("CrossEntropyLoss.backward was called before the loss")
        e, total, at_target = self._memory
        grad = e / total
        grad[at_target] -= 1
        grad /= len(total)
        return grad.T

    @staticmethod
    def _losses(logits, target):
        """Return −log p of the targets, and what the gradient will need, all transposed.

        With a row for each class instead of one for each example, the rows are long, and NumPy
        takes a third of the time.
        """
        z = logits.T.copy()
        z -= z.max(axis=0)
        at_target = target.copy(), np.arange(len(target))
        z_target = z[at_target]
        e = np.exp(z, out=z)
        total = e.sum(axis=0)
        return np.log(total) - z_target, e, total, at_target

    @staticmethod
    def _check(logits, target):
        checks.float_array("logits", logits)
        if logits.ndim != 2 or logits.size == 0:
            raise ValueError(
                f"logits must have shape (batch, classes), neither of them 0, got {logits.shape}"
            )
        if type(target) not in checks.ARRAYS or target.dtype.kind not in "iu":
            got = target.dtype if type(target) in checks.ARRAYS else type(target).__name__
            raise TypeError(f"target must be an array of integer classes, got {got}")
        if target.shape != logits.shape[:1]:
            raise ValueError(
                f"target must have shape (batch,) = {logits.shape[:1]}, got {target.shape}"
            )
        if target.min() < 0 or target.max() >= logits.shape[1]:
            raise ValueError(
                f"target must hold classes from 0 to {logits.shape[1] - 1}, "
                f"got values from {target.min()} to {target.max()}"
            )

    def __repr__(self):
        return "CrossEntropyLoss()"

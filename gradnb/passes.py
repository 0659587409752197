"""What passes through a network: activations on the way out, derivatives on the way back."""

from __future__ import annotations

from gradnb import checks
from gradnb.network import Sequential


def signals(model, x, loss, y):
    """Send a batch through a network and back, and keep what every module hands on.

    Forward: aₗ = fₗ(aₗ₋₁), with a₀ = x. Backward: ∂L/∂aₗ₋₁ = (∂L/∂aₗ) Jₗᵀ for each example, with
    Jₗ = ∂aₗ/∂aₗ₋₁, from ∂L/∂a_K, which the loss gives. It is what ``model(x)`` and
    ``model.backward(loss.backward())`` do, written out.

    Parameters
    ----------
    model : Sequential
        Its K modules are run one by one, a `Residual` inside as one module. Hooks on `model` itself
        are not called.
    x : ndarray
        The batch.
    loss : callable
        ``loss(prediction, y) -> number`` with a ``backward()``, such as `CrossEntropyLoss`.
    y : ndarray
        What `loss` compares the prediction with.

    Returns
    -------
    activations : list of ndarray
        a₀ to a_K.
    errors : list of ndarray
        ∂L/∂a₀ to ∂L/∂a_K, the l-th of the shape of aₗ. The loss is a mean over the batch, so each
        holds the factor 1/N.

    Raises
    ------
    TypeError
        If `model` is not a `Sequential`.

    Notes
    -----
    As after every backward pass, the parameters' gradients have been added to their ``.grad``, and
    in training mode a `BatchNorm1d` has moved its running statistics. In PyTorch, forward hooks and
    full backward hooks see the same arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb.init import constant
    >>> from gradnb.layers import Linear, ReLU
    >>> from gradnb.losses import MSELoss
    >>> model = Sequential(Linear(1, 1, init=constant(3.0)), ReLU())
    >>> activations, errors = signals(model, np.array([[2.0]]), MSELoss(), np.array([[5.0]]))
    >>> [float(a.item()) for a in activations], [float(e.item()) for e in errors]
    ([2.0, 6.0, 6.0], [6.0, 2.0, 2.0])
    """
    checks.instance("model", model, Sequential)
    activations = [x]
    for module in model:
        activations.append(module(activations[-1]))
    loss(activations[-1], y)
    errors = [loss.backward()]
    for module in reversed(model):
        errors.append(module.backward(errors[-1]))
    return activations, errors[::-1]

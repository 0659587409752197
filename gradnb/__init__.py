"""Neural networks in NumPy, small enough to read, with every backward pass in plain sight.

``gradnb`` is the package of the book. Each layer holds its ``forward`` and, right below it, the
``backward`` that the book derives. There is no tape and no automatic differentiation: what you
read is what runs. Names and meanings follow PyTorch wherever its users know them.

Importing ``gradnb`` imports NumPy and nothing else; ``from gradnb import plotting`` adds
matplotlib.
"""

from gradnb import claims, datasets, init
from gradnb.layers import Linear, ReLU, Sigmoid, Tanh
from gradnb.losses import CrossEntropyLoss, MSELoss
from gradnb.module import Module, Parameter
from gradnb.network import Sequential, mlp
from gradnb.numerical import gradcheck, numerical_gradient
from gradnb.optim import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    CosineAnnealingLR,
    ExponentialLR,
    RMSprop,
    StepLR,
    clip_grad_norm_,
    clip_grad_value_,
)

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "CrossEntropyLoss",
    "ExponentialLR",
    "Linear",
    "MSELoss",
    "Module",
    "Parameter",
    "RMSprop",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "StepLR",
    "Tanh",
    "claims",
    "clip_grad_norm_",
    "clip_grad_value_",
    "datasets",
    "gradcheck",
    "init",
    "mlp",
    "numerical_gradient",
]

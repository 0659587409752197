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
from gradnb.monitor import GradientMonitor
from gradnb.network import Sequential, mlp
from gradnb.numerical import gradcheck, numerical_gradient
from gradnb.optim import SGD

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "CrossEntropyLoss",
    "GradientMonitor",
    "Linear",
    "MSELoss",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "claims",
    "datasets",
    "gradcheck",
    "init",
    "mlp",
    "numerical_gradient",
]

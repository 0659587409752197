"""Neural networks in NumPy, small enough to read, with every backward pass in plain sight.

``gradnb`` is the package of the book. Each layer holds its ``forward`` and, right below it, the
``backward`` that the book derives. There is no tape and no automatic differentiation: what you
read is what runs. Names and meanings follow PyTorch wherever its users know them.

It needs NumPy and nothing else; only ``gradnb.plotting`` needs matplotlib.

To read it, take ``module``, ``layers``, ``activations``, ``losses``, ``network`` and ``optim`` in
this order: they are all that it takes to train. ``numerical`` compares gradients with differences,
``monitor`` watches them, and ``datasets`` has something to learn.
"""

from importlib import import_module

__version__ = "0.1.0"

# What stands where. `__getattr__` imports it when it is first asked for, so that `import gradnb`
# takes no time (PEP 562).
_HOME = {
    "comparison": ("compare",),
    "doctor": ("diagnose",),
    "layers": ("BatchNorm1d", "LeakyReLU", "Linear", "PReLU", "ReLU", "Sigmoid", "Tanh"),
    "log": ("read_log",),
    "losses": ("CrossEntropyLoss", "MSELoss"),
    "module": ("Module", "Parameter"),
    "monitor": ("GradientMonitor",),
    "network": ("RNN", "LastStep", "Residual", "Sequential", "mlp"),
    "numerical": (
        *("GradcheckError", "gradcheck"),
        *("hessian", "numerical_gradient", "numerical_gradients"),
    ),
    "optim": (
        *("SGD", "Adagrad", "RMSprop", "Adam", "AdamW"),
        *("StepLR", "ExponentialLR", "CosineAnnealingLR"),
        *("clip_grad_norm_", "clip_grad_value_"),
    ),
    "passes": ("signals",),
    "scores": ("alarm_scores",),
}
TYPE_CHECKING = False
if TYPE_CHECKING:  # for editors, which read and do not run
    # ruff: noqa: F401
    from gradnb import claims, datasets, init
    from gradnb.comparison import compare
    from gradnb.doctor import diagnose
    from gradnb.layers import BatchNorm1d, LeakyReLU, Linear, PReLU, ReLU, Sigmoid, Tanh
    from gradnb.log import read_log
    from gradnb.losses import CrossEntropyLoss, MSELoss
    from gradnb.module import Module, Parameter
    from gradnb.monitor import GradientMonitor
    from gradnb.network import RNN, LastStep, Residual, Sequential, mlp
    from gradnb.numerical import (
        GradcheckError,
        gradcheck,
        hessian,
        numerical_gradient,
        numerical_gradients,
    )
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
    from gradnb.passes import signals
    from gradnb.scores import alarm_scores

__all__ = ["claims", "datasets", "init"]
__all__ += [name for names in _HOME.values() for name in names]


def __getattr__(name):
    for module, names in _HOME.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"gradnb.{module}"), name)
            return value
    if not name.startswith("_"):
        try:
            return import_module(f"gradnb.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"gradnb.{name}":
                raise  # it is there, but something that it needs is not
    raise AttributeError(f"module 'gradnb' has no attribute {name!r}")


def __dir__():
    return sorted({*__all__, *_HOME, "plotting", "__version__"})

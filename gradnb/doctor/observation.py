"""What is observed of a model in one pass: what each module received and gave, both ways."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import hypot

import numpy as np

from gradnb.measure import length

CONTAINER = "container"


@dataclass
class Stage:
    """One module in one forward and backward pass, with arrays of NumPy whatever the model is.

    Attributes
    ----------
    name, label : str
        As ``named_modules()`` has it, and the kind of module: ``"2"``, ``"Linear"``.
    kind : str
        What it computes: ``"relu"``, ``"tanh"``, ``"sigmoid"``, ``"norm"`` (normalises its input),
        ``"recurrent"``, ``"container"`` (of other modules) or ``"other"``.
    input, output : ndarray
        What it received and gave.
    error_in, error_out : ndarray or None
        ∂L/∂input and ∂L/∂output; None where the backward pass has not come by.
    weights : dict of str to ndarray
        Its own parameters; matrices stand as (in_features, out_features), a unit a column.
    bypassed : bool
        Whether it stands in the branch of a `Residual`, so that the error also has another way.
    """

    name: str
    label: str
    kind: str
    input: np.ndarray
    output: np.ndarray
    error_in: np.ndarray | None = None
    error_out: np.ndarray | None = None
    weights: dict = field(default_factory=dict)
    bypassed: bool = False

    def __str__(self):
        return f"{self.name or 'the model'} ({self.label})"

    @property
    def matrices(self):
        """Weight matrices by name, without biases and slopes."""
        return {name: w for name, w in self.weights.items() if w.ndim == 2}


@dataclass
class Run:
    """One forward and backward pass: loss, gradients, and the stages in the order they were run.

    `modules` are the stages of containers too, each behind what it holds. `direct` is the part of
    the gradient that has not come through the prediction: that of a penalty which the loss adds.
    """

    loss: float
    prediction: np.ndarray
    error: np.ndarray
    gradients: dict
    direct: dict
    modules: list

    @property
    def stages(self):
        """The modules that compute something themselves."""
        return [stage for stage in self.modules if stage.kind != CONTAINER]

    @property
    def layers(self):
        """The stages with a weight matrix: the layers in the sense of depth."""
        return [stage for stage in self.stages if stage.matrices]


def data_part(run, name):
    """Return the part of a parameter's gradient that has come through the prediction."""
    g = run.gradients[name]
    return g - run.direct[name] if name in run.direct else g


def kind_of(x, y):
    """Tell which activation turns x into y, by what it computes, whatever it is called."""
    if x.shape != y.shape or x.dtype.kind != "f" or not x.any():
        return "other"
    tolerance = {"rtol": 1e-3, "atol": 1e-3 * float(np.abs(y).max())}
    with np.errstate(all="ignore"):
        for kind, function in ACTIVATIONS.items():
            if np.allclose(function(x), y, **tolerance):
                return kind
    return "other"


def _sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, "sigmoid": _sigmoid}


def size(array):
    """Return √Σxᵢ² of an array as a float."""
    return length(np.asarray(array).reshape(-1))


def norm(arrays):
    """Return √Σxᵢ² over all of several arrays."""
    return hypot(*map(size, arrays))


def rms(array):
    """Return the root of the mean square, 0 for an array without entries."""
    array = np.asarray(array)
    return size(array) / max(array.size, 1) ** 0.5

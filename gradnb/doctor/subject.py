"""A gradnb model under examination: it can be run, moved and measured, and is left as it was."""

from __future__ import annotations

import contextlib

import numpy as np

from gradnb import checks
from gradnb.differences import number
from gradnb.doctor.observation import CONTAINER, Run, Stage, kind_of
from gradnb.doctor.preserved import preserved
from gradnb.layers import BatchNorm1d, LeakyReLU, PReLU, ReLU, Sigmoid, Tanh
from gradnb.network import RNN, Residual

KINDS = (
    (RNN, "recurrent"),
    (BatchNorm1d, "norm"),
    (ReLU, "relu"),
    (Tanh, "tanh"),
    (Sigmoid, "sigmoid"),
    ((LeakyReLU, PReLU), "other"),
)


class Subject:
    """Run a model on a batch.

    The signs know a model by these attributes and methods alone; `TorchSubject` has the same.

    Attributes
    ----------
    names : list of str
        The parameters, each once.
    buffers : dict of str to ndarray or None
        What ``.grad`` held when the examination began.
    unasked : dict of str to str
        Parameters that the backward pass does not reach, with the reason; only PyTorch says so.
    training : bool
        Whether the model and every module in it are in training mode.
    rows : int
        How many examples the batch has.
    dtype : dtype
        Of the parameters; the narrowest, where they differ.
    """

    def __init__(self, model, loss, x, y):
        self.model, self.loss = model, loss
        checks.function("loss", loss, "(prediction, target) -> float with a backward()")
        if not callable(getattr(loss, "backward", None)):
            raise TypeError(f"loss must have a backward(), as MSELoss() has, got {loss!r}")
        self._named = dict(model.named_parameters())
        if not self._named:
            raise ValueError(f"model must have parameters, got a {type(model).__name__} without")
        if not isinstance(x, np.ndarray):
            raise TypeError(f"x must be a NumPy array, got {type(x).__name__}")
        self._x, self._y = x, y
        self.rows = check_batch(x, y)
        self.names, self.unasked = list(self._named), {}
        for name, p in self._named.items():
            checks.same_shape(f"the .grad of {name}", p.grad, p.data.shape, "the parameter")
            if not (p.data.flags.writeable and p.grad.flags.writeable):
                raise ValueError(f"{name} must be writeable, data and grad; got a read-only array")
        self.buffers = {name: p.grad.copy() for name, p in self._named.items()}
        self.dtype = min((p.data.dtype for p in self._named.values()), key=lambda d: d.itemsize)
        self.training = all(module.training for _, module in model.named_modules())

    @contextlib.contextmanager
    def untouched(self):
        """Leave the model, the loss and all random numbers as they were, whatever happens."""
        modules = [module for _, module in self.model.named_modules()]
        with preserved([self.loss, *modules, *self._named.values()]) as self._random:
            for module in modules:
                module._forward_hooks = ()  # who watches training is not to see this
            yield

    @property
    def inputs(self):
        """The batch of inputs."""
        return self._x

    def values(self, name):
        """Return a copy of a parameter's values."""
        return self._named[name].data.copy()

    def value(self, rows=None):
        """Return the loss, of all or of the first `rows` examples."""
        self._random.rewind()
        x, y = self._batch(rows)
        return number(self.loss(self.model(x), y), "loss")

    def loss_at(self, prediction, rows):
        """Return the loss of a prediction for the first `rows` examples."""
        return number(self.loss(prediction, self._batch(rows)[1]), "loss")

    def again(self, stage, x):
        """Return what a stage's module makes of another input, or None if it cannot be asked."""
        self._random.rewind()
        return dict(self.model.named_modules())[stage.name].forward(x)

    def loss_of_nothing(self, run):
        """Return the loss of a prediction of zeros."""
        return number(self.loss(np.zeros_like(run.prediction), self._batch(None)[1]), "loss")

    def shuffled_loss(self, prediction):
        """Return the loss against the targets in another order, or None without an order."""
        if not isinstance(self._y, np.ndarray) or self.rows < 2:
            return None
        order = np.random.default_rng(0).permutation(self.rows)
        return number(self.loss(prediction, self._y[order]), "loss")

    def gradients(self, rows=None):
        """Return the gradient of every parameter by name, without the stages."""
        return self.run(rows=rows, watch=False).gradients

    def run(self, scale=1.0, rows=None, watch=True):
        """Run forward and back, from gradients of 0, with the loss's gradient times `scale`."""
        self._random.rewind()
        for p in self._named.values():
            p.zero_grad()
        x, y = self._batch(rows)
        with contextlib.ExitStack() as watching:
            stages = self._watch(watching) if watch else []
            prediction = self.model(x)
            loss = number(self.loss(prediction, y), "loss")
            error = self.loss.backward()
            direct = {name: p.grad.copy() for name, p in self._named.items() if p.grad.any()}
            checks.same_shape("the gradient of the loss", error, prediction.shape, "the prediction")
            self.model.backward(np.ldexp(error, round(np.log2(scale))))
        gradients = {name: p.grad.copy() for name, p in self._named.items()}
        return Run(loss, prediction, error, gradients, direct, stages)

    @contextlib.contextmanager
    def shifted(self, moves):
        """Add to the parameters named in `moves`, and put them back."""
        before = {name: self._named[name].data.copy() for name in moves}
        try:
            for name, move in moves.items():
                self._named[name].data += move.astype(before[name].dtype)
            yield
        finally:
            for name, values in before.items():
                self._named[name].data[...] = values

    def widen(self):
        """Go on in double precision, until `untouched` ends; say whether that is possible."""
        holders = [self.loss, *(m for _, m in self.model.named_modules()), *self._named.values()]
        for holder in holders:
            attributes = getattr(holder, "__dict__", {})
            for name, value in attributes.items():
                if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                    attributes[name] = value.astype(float)  # the array itself stays as it is
        self._x, self._y = _wide(self._x), _wide(self._y)
        self._random.rewind()
        return self.model(self._batch(None)[0]).dtype == float

    def _batch(self, rows):
        """Return the first `rows` examples, as copies: a faulty layer may write into them."""
        x, y = self._x, self._y
        if rows is not None and isinstance(y, np.ndarray):
            x, y = x[:rows], y[:rows]
        return x.copy(), y.copy() if isinstance(y, np.ndarray) else y

    def _watch(self, watching):
        """Have each module leave a `Stage` in the list that is returned, in the order of use."""
        stages, names = [], {id(p): name for name, p in self._named.items()}
        branches = [m for _, m in self.model.named_modules() if isinstance(m, Residual)]
        bypassed = {id(m) for branch in branches for _, m in branch.named_modules()}
        for name, module in self.model.named_modules():
            own = {
                names[id(value)]: value.data
                for value in vars(module).values()
                if id(value) in names
            }
            container = not own and next(module.named_children(), None) is not None
            passes = _recorded(module, name, stages, own, id(module) in bypassed, container)
            watching.enter_context(_replaced(module, *passes))
        return stages


def _recorded(module, name, stages, weights, bypassed, container):
    """Return the module's two passes, made to leave a `Stage` in the list."""
    kind = next((kind for one, kind in KINDS if isinstance(module, one)), None)
    kind = CONTAINER if container else kind
    to, back, label = module.forward, module.backward, type(module).__name__

    def forward(x):
        y = to(x)
        what = kind or ("other" if weights else kind_of(x, y))
        stages.append(Stage(name, label, what, x, y, weights=weights, bypassed=bypassed))
        return y

    def backward(grad_output, input_grad=True):
        given = np.array(grad_output)
        result = back(grad_output, input_grad)
        for stage in stages:
            if stage.name == name:
                stage.error_out, stage.error_in = given, result
        return result

    return forward, backward


@contextlib.contextmanager
def _replaced(module, forward, backward):
    """Have a module use these passes: hooks would not see who calls ``forward`` directly."""
    attributes = vars(module)
    before = {key: attributes[key] for key in ("forward", "backward") if key in attributes}
    attributes |= {"forward": forward, "backward": backward}
    try:
        yield
    finally:
        del attributes["forward"], attributes["backward"]
        attributes |= before


def check_batch(x, y):
    """Return the number of examples, or refuse an empty batch and one that does not fit."""
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"x must hold at least one example, got shape {tuple(x.shape)}")
    shape = getattr(y, "shape", None)
    if shape is not None and (len(shape) == 0 or shape[0] != len(x)):
        raise ValueError(
            f"y must hold a target for each of the {len(x)} examples of x, got shape {tuple(shape)}"
        )
    return len(x)


def _wide(array):
    floating = isinstance(array, np.ndarray) and array.dtype.kind == "f"
    return array.astype(float) if floating else array

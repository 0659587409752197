"""A PyTorch model under examination: it can be run, moved and measured, and is left as it was."""

from __future__ import annotations

import contextlib

import numpy as np
import torch

from gradnb.doctor.observation import Run
from gradnb.doctor.subject import check_batch
from gradnb.doctor.torch_again import asked, is_repeated
from gradnb.doctor.torch_checks import loss_function, numbers, parameters, scalar
from gradnb.doctor.torch_gradients import differentiated, mark_bypassed, times, wide
from gradnb.doctor.torch_layout import channels_last, from_matrix, matrix
from gradnb.doctor.torch_preserved import preserved
from gradnb.doctor.torch_stages import Use, Watch
from gradnb.measure import as_array

FEW = 8  # examples on which double precision is tried


class TorchSubject:
    """Run a PyTorch model on a batch, with everything that goes in and out an array of NumPy.

    It has the attributes and methods of `Subject`. A `buffers` entry is None where ``.grad`` is
    None, and bfloat16, which NumPy does not have, counts as float32, whose range it has.

    Matrices stand as (in, out), a unit a column, and so do the kernels of convolutions, as
    (in · height · width, out); images and signals have their channels last, so that a unit is a
    channel, and sequences are (batch, time, features). Parameters that are not floating-point
    numbers are left out.
    """

    def __init__(self, model, loss, x, y):
        self.model, self.loss = model, loss
        loss_function(loss)
        self._named = parameters(model)
        modules = dict(model.named_modules())
        self._owner = {name: modules[name.rpartition(".")[0]] for name in self._named}
        self._by_id = {id(p): name for name, p in self._named.items()}
        if not isinstance(x, torch.Tensor):
            raise TypeError(f"x must be a PyTorch tensor, got {type(x).__name__}")
        self._x, self._y = x, y
        self.rows = check_batch(x, y)
        self.names, self.unasked = list(self._named), {}
        self.buffers = {
            name: None if p.grad is None else self._array(name, p.grad).copy()
            for name, p in self._named.items()
        }
        types = [as_array(torch.empty(0, dtype=p.dtype)).dtype for p in self._named.values()]
        self.dtype = min(types, key=lambda t: t.itemsize)
        self.training = all(module.training for module in model.modules())
        self._passes_input = self._divisible = None

    @contextlib.contextmanager
    def untouched(self):
        """Leave the model, the loss and all random numbers as they were, whatever happens."""
        with preserved(self.model, self.loss) as self._kept:
            yield

    @property
    def inputs(self):
        """The batch of inputs."""
        x = as_array(self._x)
        return channels_last(x) if x.ndim > 3 else x

    def values(self, name):
        """Return a copy of a parameter's values."""
        return self._array(name, self._named[name]).copy()

    def value(self, rows=None):
        """Return the loss, of all or of the first `rows` examples."""
        x, y = self._begin(rows)
        return self._loss_of(self._predict(x), y).item()

    def loss_at(self, prediction, rows):
        """Return the loss of a prediction for the first `rows` examples."""
        return self._loss_at(prediction, rows, slice(None))

    def loss_of_nothing(self, run):
        """Return the loss of a prediction of zeros."""
        return self._loss_at(np.zeros_like(run.prediction), None, slice(None))

    def shuffled_loss(self, prediction):
        """Return the loss against the targets in another order, or None without an order."""
        if not isinstance(self._y, torch.Tensor) or self.rows < 2:
            return None
        order = torch.from_numpy(np.random.default_rng(0).permutation(self.rows))
        return self._loss_at(prediction, None, order.to(self._y.device))

    def _loss_at(self, prediction, rows, order):
        """Let the model run first where the loss looks for something that it leaves."""
        x, y = self._begin(rows)
        self._predict(x)
        prediction = torch.tensor(prediction, device=self._device)
        return self._loss_of(prediction, y[order] if isinstance(y, torch.Tensor) else y).item()

    def again(self, stage, x):
        """Return what a stage's module makes of another input, or None if it cannot be asked.

        It can if it gives the same for the same input: dropout does not, nor what has several.
        """
        module = dict(self.model.named_modules()).get(stage.name)
        if module is None or not isinstance(stage, Use):
            return None
        if stage.repeats is None:
            stage.repeats = is_repeated(module, stage, self._kept)
        return asked(module, stage, x, self._kept) if stage.repeats else None

    def gradients(self, rows=None):
        """Return the gradient of every parameter by name, without the stages."""
        return self.run(rows=rows, watch=False).gradients

    def run(self, scale=1.0, rows=None, watch=True):
        """Run forward and back, with the loss's gradient times `scale`; no ``.grad`` gets anything.

        The graph is cut at the prediction: what of the gradient does not come through it is the
        `direct` part.
        """
        x, y = self._begin(rows)
        if not watch:
            return self._run(x, y, rows, scale, [])
        looker = Watch(self.model, self._by_id)
        with looker.attached():
            run = self._run(x, y, rows, scale, looker.leaves, looker.looking())
        looker.adopt(name for name in self.names if name not in self._missing)
        mark_bypassed(looker.stages, self._error_passes_input)
        run.modules = looker.stages
        return run

    def _run(self, x, y, rows, scale, leaves, looking=None):
        with looking or contextlib.nullcontext():
            prediction = self._predict(x)
        wanted = {name: p for name, p in self._named.items() if p.requires_grad}
        cut = prediction.detach().requires_grad_()
        loss = self._loss_of(cut.clone(), y)
        error, *direct = differentiated(loss, [cut, *wanted.values()], retain_graph=True)
        direct, through = self._arrays(wanted, direct), {}
        if error is not None:
            inputs = [*wanted.values(), *leaves]
            through = self._arrays(wanted, differentiated(prediction, inputs, times(error, scale)))
        self._missing = set(self.names) - {*direct, *through}
        if rows is None:
            self._note_unasked(wanted)
        return Run(
            float(loss.detach()),
            as_array(prediction).copy(),
            as_array(torch.zeros_like(cut) if error is None else error),
            {name: self._sum(name, direct, through) for name in self.names},
            {name: g for name, g in direct.items() if g.any()},
            [],
        )

    @contextlib.contextmanager
    def shifted(self, moves):
        """Add to the parameters named in `moves`, and put them back; frozen ones stay."""
        moves = {name: move for name, move in moves.items() if self._named[name].requires_grad}
        before = {name: self._named[name].data.clone() for name in moves}
        try:
            for name, move in moves.items():
                data = self._named[name].data
                move = from_matrix(self._owner[name], move, data.shape)
                data.add_(torch.from_numpy(move).to(data))
            yield
        finally:
            for name, values in before.items():
                self._named[name].data.copy_(values)

    def widen(self):
        """Go on in double precision, until `untouched` ends; say whether that is possible."""
        before = self._x, self._y
        self._kept.widen()
        self._x, self._y = wide(self._x), wide(self._y)
        with contextlib.suppress(Exception):  # a narrower type may be written down somewhere
            self.run(rows=FEW, watch=False)
            if self._precise:
                return True
        self._kept.narrow()
        self._x, self._y = before
        return False

    def _begin(self, rows):
        """Start anew; return the first `rows` examples, as copies: who writes may write."""
        if rows is not None and self._divisible is None:
            self._divisible = isinstance(self._y, torch.Tensor)
            try:
                x, y = self._begin(rows)
                self._loss_of(self._predict(x), y)
            except Exception:  # a graph's nodes, for example, come all or not at all
                self._divisible = False
        self._kept.rewind()
        x, y = self._x, self._y
        if rows is not None and self._divisible:
            x, y = x[:rows], y[:rows]
        y = y.detach().clone() if isinstance(y, torch.Tensor) else y
        return x.detach().clone().requires_grad_(x.requires_grad), y

    def _predict(self, x):
        prediction = numbers(self.model(x))
        self._device = prediction.device
        return prediction

    def _loss_of(self, prediction, y):
        loss = scalar(self.loss(prediction, y))
        self._precise = loss.dtype == prediction.dtype == torch.float64
        return loss

    def _error_passes_input(self):
        """Tell whether an error arrives at the model's input, or None if it holds no numbers."""
        if self._passes_input is None and self._x.is_floating_point():
            self._passes_input = False
            with contextlib.suppress(RuntimeError):  # not every model takes such an input
                x, y = self._begin(None)
                x.requires_grad_()
                loss = self._loss_of(self._predict(x.clone()), y)
                (error,) = differentiated(loss, [x])
                self._passes_input = error is not None and bool(error.any())
        return self._passes_input

    def _note_unasked(self, wanted):
        self.unasked = {
            name: "no gradient arrives: .grad is None"
            if name in wanted
            else "requires_grad is False"
            for name in self.names
            if name in self._missing
        }

    def _array(self, name, tensor):
        return matrix(self._owner[name], as_array(tensor))

    def _sum(self, name, *parts):
        found = [part[name] for part in parts if name in part]
        return sum(found[1:], found[0]) if found else np.zeros_like(self.values(name))

    def _arrays(self, names, gradients):
        """Return by name what there is of some gradients."""
        found = zip(names, gradients, strict=False)  # those of inputs come last
        return {name: self._array(name, g) for name, g in found if g is not None}

"""Watching a PyTorch module at work: a `Stage` for each use of a layer, and for what is in between.

Gradients come from hooks on tensors. Backward hooks of modules would forbid to work in place.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from gradnb.doctor.observation import CONTAINER, Stage, kind_of
from gradnb.doctor.torch_gradients import keep_gradient
from gradnb.doctor.torch_layout import as_it_is, layout, matrix, tensors
from gradnb.measure import as_array

NORMS = (torch.nn.modules.batchnorm._NormBase, torch.nn.LayerNorm, torch.nn.GroupNorm)
NORMS += (torch.nn.RMSNorm,) if hasattr(torch.nn, "RMSNorm") else ()
KINDS = (
    (torch.nn.RNNBase, "recurrent"),
    (NORMS, "norm"),
    ((torch.nn.ReLU, torch.nn.ReLU6), "relu"),
    (torch.nn.Tanh, "tanh"),
    (torch.nn.Sigmoid, "sigmoid"),
    ((torch.nn.LeakyReLU, torch.nn.PReLU, torch.nn.RReLU), "other"),
)
LISTS = (torch.nn.ParameterList, torch.nn.ParameterDict)
FUNCTIONS = {"relu": "relu", "relu6": "relu", "tanh": "tanh", "sigmoid": "sigmoid"}
FUNCTIONS |= dict.fromkeys(("clamp", "clamp_min", "hardtanh", "threshold"))  # it depends


@dataclass
class Use(Stage):
    """The use of a module, and how to put what it receives and gives in order."""

    orders: tuple = (as_it_is, as_it_is)
    dtype: torch.dtype | None = None
    repeats: bool | None = None  # whether it gives the same when it is asked again, once known


class Watch:
    """Look on while a model runs.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    names : dict of int to str
        The parameters' names by identity.

    Attributes
    ----------
    stages : list of Stage
        In the order in which the modules have finished.
    leaves : list of Tensor
        Inputs whose gradient is wanted, too.
    """

    def __init__(self, model, names):
        self.stages, self.leaves = [], []
        self._model, self._names = model, names
        self._open, self._running, self._last, self._input = False, [], None, None

    @contextlib.contextmanager
    def attached(self):
        """Have hooks on the layers: also on the way back, where some of them may run again."""
        with contextlib.ExitStack() as hooks:
            self._attach(hooks)
            yield

    @contextlib.contextmanager
    def looking(self):
        """Look on."""
        with _Functions(self):
            self._open = True
            yield
        self._open = False

    def _attach(self, hooks):
        for name, module in self._model.named_modules():
            lists = [m for m in module.children() if isinstance(m, LISTS)]
            hidden = isinstance(module, (*LISTS, torch.jit.ScriptModule))
            if hidden or "parametrizations" in name.split("."):
                continue
            own = {
                self._names[id(p)]: matrix(module, as_array(p))
                for holder in (module, *lists)
                for p in holder.parameters(recurse=False)
                if id(p) in self._names
            }
            container = not own and len(lists) < len(list(module.children()))
            before = functools.partial(self._before, name, own, CONTAINER if container else "")
            handle = module.register_forward_pre_hook(before, with_kwargs=True)
            hooks.callback(handle.remove)
            hooks.callback(module.register_forward_hook(self._after).remove)

    def adopt(self, names):
        """Give parameters that a module uses without running their owner to that module's stage."""
        used = {name for stage in self.stages for name in stage.weights}
        modules = dict(self._model.named_modules())
        parameters = dict(self._model.named_parameters())
        for name in names:
            owner = parent = name.rpartition(".")[0]
            while name not in used and parent:
                parent = parent.rpartition(".")[0]
                stage = next((s for s in self.stages if s.name == parent and s.weights), None)
                if stage is not None:
                    p = parameters[name]
                    stage.weights[name] = matrix(modules[owner], as_array(p))
                    used.add(name)

    def _before(self, name, own, kind, module, args, kwargs):
        given = next(tensors((*args, *kwargs.values())), None)
        if given is None or not self._open:
            stage = Use(name, type(module).__name__, kind, np.zeros(0), np.zeros(0))
        else:
            array = self._entered(name, as_array(given))
            stage = Use(name, type(module).__name__, kind, array, array)
        stage.weights = dict(own)
        if self._open:
            self._running.append((module, stage))
        alone = self._alone(module, given, bool(own))
        if alone is not given and any(given is v for v in (*args, *kwargs.values())):
            args = tuple(alone if v is given else v for v in args)
            kwargs = {key: alone if v is given else v for key, v in kwargs.items()}
        else:
            alone = given
        order = self._layout(module, stage.input)
        if self._open and alone is not None:
            keep_gradient(alone, stage, "error_in", order)
            self.leaves += [t for t in (given, alone) if t.is_leaf and t.requires_grad]
            stage.orders, stage.dtype = (order, as_it_is), alone.dtype
        stage.input = order(stage.input)
        return args, kwargs

    def _entered(self, name, array):
        """Return a copy of an input; where it is not the output before, add a stage for that."""
        if self._last is not None:
            before, output, order = self._last
            if _equal(output, array):
                array = output
            elif output.shape == array.shape and output.dtype == array.dtype:
                array = array.copy()
                kind = kind_of(output, array)
                label = "in between" if kind == "other" else kind
                between = f"{before} → {name}"
                self.stages.append(Stage(between, label, kind, order(output), order(array)))
                self._last = name, array, order
        if self._last is None or array is not self._last[1]:
            array = self._input if _equal(self._input, array) else array.copy()
        self._input = array
        return array

    def _alone(self, module, given, has_own):
        """Return the input as a tensor that only this module has, so that its gradient is its own.

        Not so where a module writes into its input: there everybody else has what it wrote.
        """
        if given is None or not torch.is_grad_enabled() or getattr(module, "inplace", False):
            return given
        if given.requires_grad:
            return given.view_as(given)
        trained = has_own and any(p.requires_grad for p in module.parameters(recurse=False))
        if trained and _is_torchs(module) and given.is_floating_point():
            return given.detach().requires_grad_()
        return given

    def _after(self, module, args, output):
        while self._open and self._running:
            running, stage = self._running.pop()
            if running is module:
                self._finished(module, stage, next(tensors(output), None))
                return

    def _finished(self, module, stage, given):
        if given is None:
            return
        array = as_array(given)
        same = self._last is not None and _equal(self._last[1], array)
        array = self._last[1] if same else array.copy()
        order = self._layout(module, array)
        stage.output, stage.orders = order(array), (stage.orders[0], order)
        kind = stage.kind or next((kind for one, kind in KINDS if isinstance(module, one)), None)
        stage.kind = kind or ("other" if stage.weights else kind_of(stage.input, stage.output))
        keep_gradient(given, stage, "error_out", order)
        self.stages.append(stage)
        self._last = stage.name, array, order

    def called(self, function, args, kwargs):
        """Call a function of PyTorch's, and add a stage if it is an activation outside of a layer.

        It may work in place, so its input is copied first.
        """
        name = getattr(function, "__name__", "").strip("_")
        given = next(tensors((*args, *kwargs.values())), None) if name in FUNCTIONS else None
        inside = self._running and self._running[-1][1].kind != CONTAINER
        inside = inside and _is_torchs(self._running[-1][0])
        if given is None or inside or not self._open:
            return function(*args, **kwargs)
        array = as_array(given).copy()
        result = function(*args, **kwargs)
        output = as_array(result).copy() if isinstance(result, torch.Tensor) else array
        kind = FUNCTIONS[name] or kind_of(array, output)
        if kind != "other" and output.shape == array.shape:
            order = self._layout(None, output)
            before = f"after {self._last[0]}" if self._last else ""
            stage = Stage(before, name, kind, order(array), order(output))
            keep_gradient(result, stage, "error_out", order)
            self.stages.append(stage)
            self._last = stage.name, output, order
        return result

    def _layout(self, module, array):
        return layout(module, array, self._last and self._last[1:])


class _Functions(TorchFunctionMode):
    """Tell the watch of every call of a function of PyTorch's."""

    def __init__(self, watch):
        super().__init__()
        self._watch = watch

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return self._watch.called(function, args, kwargs or {})


def _equal(a, b):
    floating = b.dtype.kind == "f"
    return a is not None and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=floating)


def _is_torchs(module):
    return type(module).__module__.startswith("torch.nn.")

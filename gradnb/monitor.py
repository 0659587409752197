"""Watch the gradients of a model in training, and what each step does with them."""

from __future__ import annotations

import math
from collections import deque
from contextlib import ExitStack, closing

import numpy as np

from gradnb import checks
from gradnb.alarms import Alarms
from gradnb.jsonlines import JsonLines
from gradnb.measure import flat, is_finite, length, sum_and_zeros
from gradnb.nonfinite import ForwardWatch

FIGURES = "l1", "l2", "zero_fraction", "update_ratio"
SMALL = 100_000  # parameters up to which every figure is taken at every step


class GradientMonitor:
    """Record the size of every parameter's gradient at every step, and raise alarms.

    For a gradient g of n entries and a step that turns the weights w into w + Δw it records
    ‖g‖₁ = Σ|gᵢ|, ‖g‖₂ = √Σgᵢ², the share of entries of g that are exactly 0 and the
    update-to-weight ratio ‖Δw‖₂ / ‖w‖₂; and, over all parameters together, ‖g‖₂. The gradient is
    the one the optimiser is given, so after any clipping.

    It looks on: the run is the same to the last bit as without it.

    Parameters
    ----------
    model : Module
        A `gradnb` or PyTorch module, or anything with ``named_parameters()`` whose parameters have
        ``.data`` and ``.grad``.
    optimizer : Optimizer, optional
        The model's `gradnb` or PyTorch optimiser: every ``optimizer.step()`` is then recorded.
        Without one, call ``monitor.step()`` after the backward pass; it cannot know when the
        weights change, so the update-to-weight ratio is absent.
    low, high : float or None
        Alarm where ‖g‖₂ of a parameter is below `low` or above `high`; None for never. No fixed
        bound suits all parameters: these are wide, and only catch what is beyond doubt.
    relative : float or None
        Alarm where ‖g‖₂ is more than this factor above or below the parameter's own median over the
        last `window` recorded steps; None for never. Gradients of mini-batches stay within a
        factor of 10 or so; those of single examples scatter more and need a larger one.
    window, warmup : int
        How many recorded steps make the median, and from how many on it is trusted.
    every : int
        Record step 0 and then every so many. Forward passes are always watched.
    keep : int
        How many records, and how many alarms, are kept; older ones are dropped.
    log : str, path or text file, optional
        Where to write each record as a line of JSON, which a killed run leaves whole. A path must
        not exist yet; an open file is not closed. What JSON does not know is written as ``"nan"``
        and ``"inf"``, what is absent as ``null``.
    on_alarm : callable, optional
        Called with each alarm. What it raises goes up through the training loop, so it can stop a
        run; of alarms on gradients before the weights have been changed by them.

    Attributes
    ----------
    names : tuple of str
        Names of the parameters, each once, in the order of ``named_parameters()``.
    records : deque of dict
        Per recorded step ``"step"`` (counted from 0), ``"norm"`` (‖g‖₂ of all parameters) and an
        array in the order of `names` for each of ``"l1"``, ``"l2"``, ``"zero_fraction"`` and
        ``"update_ratio"``. A parameter whose ``.grad`` is None is absent: NaN, not 0.
    alarms : deque of dict
        ``"step"``, ``"kind"``, ``"name"`` of the parameter or module, ``"value"``,
        ``"threshold"`` (None where there is none), ``"message"`` and ``"last"``, the last step at
        which it still held. An alarm is raised when it begins, and again only after it has been
        over for `window` steps. Kinds: ``"low"``, ``"high"``, ``"rise"`` and ``"fall"`` (against
        the median), ``"zero"`` (all of the gradient), and of numbers that are not finite
        ``"nonfinite input"``, ``"nonfinite output"``, ``"nonfinite gradient"``,
        ``"nonfinite weight"`` and ``"nonfinite update"``, each only where they arise.

    Raises
    ------
    TypeError, ValueError
        If `model` has no parameters, `optimizer` has no hooks or none of them, or an option is out
        of its range.
    FileExistsError, OSError
        If the log exists or cannot be opened.

    Notes
    -----
    It keeps one copy of the weights. On a network of 784-256-256-10 at batch 128 the whole costs
    8 to 10 % of a step of SGD on one thread; ``every=10`` nearly nothing. While it is attached, a
    PyTorch model can be copied but not pickled whole: save its ``state_dict()``, or close first.
    A closure passed to PyTorch's ``step`` runs after the gradients have been read.

    Examples
    --------
    >>> import numpy as np
    >>> from gradnb import SGD, Linear
    >>> from gradnb.init import constant
    >>> model = Linear(2, 1, init=constant(1.0))
    >>> optimizer = SGD(model.parameters(), lr=0.5)
    >>> with GradientMonitor(model, optimizer) as monitor:
    ...     y = model(np.array([[3.0, 0.0]]))
    ...     dx = model.backward(np.ones((1, 1)))
    ...     optimizer.step()
    >>> monitor.history("weight", "l2")
    array([3.])
    >>> monitor.history("weight", "zero_fraction")
    array([0.5])
    """

    def __init__(
        self,
        model,
        optimizer=None,
        *,
        low=1e-7,
        high=1e3,
        relative=100.0,
        window=100,
        warmup=20,
        every=1,
        detail_every=None,
        keep=1000,
        log=None,
        on_alarm=None,
    ):
        self._named = _named_parameters(model)
        self.names = tuple(self._named)
        _check_optimizer(optimizer, self._named.values())
        low, high = (
            v if v is None else checks.number(name, v, minimum=0)
            for name, v in (("low", low), ("high", high))
        )
        if low is not None and high is not None and low >= high:
            raise ValueError(f"low must be below high, got low={low:g} and high={high:g}")
        if relative is not None and checks.number("relative", relative) <= 1:
            raise ValueError(f"relative must be above 1, got {relative}")
        window = checks.integer("window", window, minimum=1)
        if checks.integer("warmup", warmup, minimum=1) > window:
            raise ValueError(f"warmup must be at most window, {window}, got {warmup}")
        self._every = checks.integer("every", every, minimum=1)
        if detail_every is None:
            detail_every = 1 if sum(map(_size, self._named.values())) <= SMALL else 10
        self._detail_every = checks.integer("detail_every", detail_every, minimum=1)
        keep = checks.integer("keep", keep, minimum=1)
        if on_alarm is not None and not callable(on_alarm):
            raise TypeError(f"on_alarm must be a callable, got {on_alarm!r}")
        self.records = deque(maxlen=keep)
        self._alarms = Alarms(low, high, relative, warmup, window, keep, on_alarm)
        self.alarms = self._alarms.raised
        self._copies = {}
        self._step, self._rows = 0, None
        self._optimizer = optimizer
        with ExitStack() as attached:  # taken apart again if one of these fails
            self._log = None if log is None else attached.enter_context(closing(JsonLines(log)))
            self._watch = attached.enter_context(closing(ForwardWatch(model, self._nonfinite)))
            if optimizer is not None:
                for register, look in (
                    (optimizer.register_step_pre_hook, self._before),
                    (optimizer.register_step_post_hook, self._after),
                ):
                    attached.callback(register(_only_of(optimizer, look)).remove)
            self._attached = attached.pop_all()
        self._closed = False

    def step(self):
        """Record the gradients as they are; for a model without an optimiser that has hooks.

        Raises
        ------
        RuntimeError
            If the optimiser calls it already, or the monitor is closed.
        """
        if self._closed:
            raise RuntimeError("step() was called on a monitor that is closed")
        if self._optimizer is not None:
            raise RuntimeError("optimizer.step() records already; call step() only without one")
        self._before()
        self._after()

    def history(self, name, figure="l2"):
        """Return a figure of one parameter, or of ``"step"``, over the records that are kept.

        Parameters
        ----------
        name : str
            One of `names`.
        figure : {"l1", "l2", "zero_fraction", "update_ratio"}
            What to return.

        Returns
        -------
        ndarray
            One number for each of `records`.

        Raises
        ------
        ValueError
            If there is no such parameter or figure.
        """
        if name not in self._named:
            raise ValueError(f"name must be one of {', '.join(self.names)}, got {name!r}")
        if figure not in FIGURES:
            raise ValueError(f"figure must be one of {', '.join(FIGURES)}, got {figure!r}")
        i = self.names.index(name)
        return np.array([record[figure][i] for record in self.records])

    def close(self):
        """Take every hook away and close the log; the records stay. A second call does nothing."""
        self._closed = True
        self._attached.close()
        self._copies.clear()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _before(self):
        """Measure gradients and weights before a step."""
        broken = self._watch.end_step()
        self._rows = None
        if self._step % self._every:
            return
        detailed = self._step % (self._every * self._detail_every) == 0
        with np.errstate(all="ignore"):
            self._rows = {name: self._measure(name, detailed) for name in self.names}
        last = None  # the parameter behind, which the backward pass has reached before
        for name in reversed(self.names):
            row = self._rows[name]
            if row is None:
                continue
            if math.isfinite(row["l2"]) or is_finite(self._named[name].grad):
                self._alarms.judge(self._step, name, row["l2"])
            elif not broken:
                broken = True  # the gradients in front of it follow from it
                arises = f"between {last} and it" if last else "in the loss or the backward pass"
                outputs = ", every output is" if self._watch.watching else ""
                text = f"gradient of {name} is not finite{outputs}; it arises {arises}"
                self._nonfinite("nonfinite gradient", name, text)
            if not broken and not math.isfinite(row.get("weights", 0)):
                broken = True
                self._nonfinite("nonfinite weight", name, f"{name} itself is not finite")
            last = name

    def _measure(self, name, detailed):
        """Return what is known before the step, or None without a gradient."""
        parameter = self._named[name]
        if parameter.grad is None:
            return None
        g = flat(parameter.grad)
        if not detailed:
            return {"l2": length(g)}
        l1, zeros = sum_and_zeros(g)
        row = {"l1": l1, "l2": length(g), "zero_fraction": zeros / max(g.size, 1)}
        w = flat(parameter.data)
        if self._optimizer is not None:
            copy = self._copies.get(name)
            if copy is None or copy.shape != w.shape or copy.dtype != w.dtype:
                copy = self._copies[name] = np.empty_like(w)
            copy[...] = w
        return row | {"weights": length(w)}

    def _after(self):
        """Measure what the step has changed, and keep the record."""
        if self._rows is not None:
            with np.errstate(all="ignore"):
                for name, row in self._rows.items():
                    if row and "weights" in row:
                        self._update_ratio(name, row, row.pop("weights"))
            record = {
                "step": self._step,
                "norm": math.hypot(*(r["l2"] for r in self._rows.values() if r)),
            }
            table = [[(row or {}).get(f) for row in self._rows.values()] for f in FIGURES]
            table = np.array(table, dtype=float)  # None becomes NaN
            self.records.append(record | dict(zip(FIGURES, table, strict=True)))
            if self._log is not None:
                parameters = {
                    name: row and {f: row.get(f) for f in FIGURES}
                    for name, row in self._rows.items()
                }
                alarms = list(self._alarms.fresh)
                self._log.write(record | {"parameters": parameters, "alarms": alarms})
            self._alarms.fresh.clear()
            self._rows = None
        self._step += 1

    def _update_ratio(self, name, row, before):
        if self._optimizer is None:
            return
        change = self._copies[name]
        np.subtract(flat(self._named[name].data), change, out=change)
        update = length(change)
        if not math.isfinite(update) and math.isfinite(row["l2"]) and math.isfinite(before):
            text = f"{name} is not finite after the step; its gradient is, and it was before"
            self._nonfinite("nonfinite update", name, text)
        row["update_ratio"] = update / before if before else math.inf if update else 0.0

    def _nonfinite(self, kind, name, text):
        self._alarms.alarm(self._step, kind, name, math.nan, None, f"step {self._step}: {text}")


def _only_of(optimizer, look):
    """Return a hook that a deep copy of `optimizer`, which shares it, does not set off."""
    return lambda stepping, *_: look() if stepping is optimizer else None


def _size(parameter):
    return math.prod(getattr(parameter.data, "shape", ()))


def _named_parameters(model):
    """Return the parameters by name, each once, or refuse the model."""
    if not callable(getattr(model, "named_parameters", None)):
        raise TypeError(f"model must have named_parameters(), got {type(model).__name__}")
    named, seen = {}, set()
    for name, p in model.named_parameters():
        if not (hasattr(p, "data") and hasattr(p, "grad")):
            raise TypeError(f"model: {name} must have .data and .grad, got {type(p).__name__}")
        if id(p) not in seen:
            seen.add(id(p))
            named[name] = p
    if not named:
        raise ValueError(f"model must have parameters, got a {type(model).__name__} without any")
    return named


def _check_optimizer(optimizer, parameters):
    """Refuse an optimiser that cannot be watched or belongs to another model."""
    if optimizer is None:
        return
    if not hasattr(optimizer, "register_step_post_hook"):
        raise TypeError(
            "optimizer must have register_step_pre_hook and register_step_post_hook, "
            f"got {type(optimizer).__name__}"
        )
    groups = getattr(optimizer, "param_groups", None) or [{"params": optimizer.params}]
    held = {id(p) for group in groups for p in group["params"]}
    if not any(id(p) in held for p in parameters):
        raise ValueError("optimizer must hold parameters of model, got none of them")

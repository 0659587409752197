"""Watch the gradients of a model in training, and what each step does with them."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, ExitStack, closing

import numpy as np

from gradnb import checks
from gradnb.alarms import Alarms
from gradnb.attach import around_step, check_optimizer, named_parameters
from gradnb.jsonlines import JsonLines
from gradnb.measure import is_finite
from gradnb.meter import Meter
from gradnb.nonfinite import ForwardWatch, first_broken
from gradnb.records import Recorded, Records

SMALL = 100_000  # parameters up to which every figure is taken at every step


class GradientMonitor(Recorded, AbstractContextManager):
    """Record the size of every parameter's gradient at every step, and raise alarms.

    For a gradient g and a step that turns the weights w into w + Δw: ‖g‖₁ = Σ|gᵢ|, ‖g‖₂ = √Σgᵢ²,
    the share of entries of g that are exactly 0, and the update-to-weight ratio ‖Δw‖₂ / ‖w‖₂. The
    gradient is the one that the optimiser is given, so after any clipping. The monitor looks on:
    the run is the same to the last bit as without it.

    Parameters
    ----------
    model : Module
        A `gradnb` or PyTorch module, or anything with ``named_parameters()`` whose parameters have
        ``.data`` and ``.grad``.
    optimizer : Optimizer, optional
        Each of its steps is recorded, gradnb's or PyTorch's. Without one, call ``monitor.step()``
        after the backward pass; there is no update-to-weight ratio then.
    low, high : float or None
        Alarm where ‖g‖₂ of a parameter is below or above; None for never. No fixed bound suits all
        networks: these are wide and catch what is beyond doubt.
    relative : float or None
        Alarm where ‖g‖₂ is more than this factor above the parameter's own median over its last
        `window` recorded steps, or at ten records in a row (at `warmup` if that is less) as far
        below; None for never. Single examples scatter more than mini-batches.
    relative_update : float or None
        The same for the update-to-weight ratio, where it is measured; 100 is a fair start. It sees
        a learning rate that jumps, which gradients do not show, and that a schedule ends at 0. It
        speaks after the step.
    window, warmup : int
        Recorded steps that make the median, and how many, by default 20, must be there first.
    every : int
        Record every so many steps, from step 0 on. Outputs are looked at in every forward pass.
    detail_every : int, optional
        Every so many records have all figures, the others ‖g‖₂ alone. By default all have them up
        to 100,000 parameters, and every twentieth above that, see the notes.
    keep : int
        How many records, and how many alarms, are kept; older ones are dropped.
    log : str, path or text file, optional
        Where each record is written as one line of strict JSON, at once, so that a killed run
        leaves them whole for `read_log`. A path must be new; an open file is not closed. Should
        writing fail, as on a full disk, the log ends there with a RuntimeWarning; the run goes on.
    on_alarm : callable, optional
        Called with each alarm. An exception that it raises passes through the training loop and so
        can stop it: where the gradient is to blame, before the weights have changed.

    Attributes
    ----------
    names : tuple of str
        The parameters, each once, in the order of ``named_parameters()``.
    records : list of dict
        ``"step"`` (from 0), ``"norm"`` (‖g‖₂ over all parameters) and an array in the order of
        `names` for each of ``"l1"``, ``"l2"``, ``"zero_fraction"``, ``"update_ratio"``: NaN where
        not measured, as where ``.grad`` is None. The ratio is inf where the weights were all 0.
    alarms : deque of dict
        ``"step"``, ``"kind"``, ``"name"`` of the parameter or module, ``"value"``,
        ``"threshold"`` (or None), ``"message"``, ``"last"``: the last step at which it still held.
        An alarm is raised once, and again only after `window` steps without it. Kinds: ``"low"``,
        ``"high"``, ``"zero"`` (all of the gradient), ``"rise"``, ``"fall"`` (against the
        median), ``"update rise"``, ``"update fall"``
        and, where a number that is not finite arises, ``"nonfinite input"``, ``"… output"``,
        ``"… gradient"``, ``"… weight"`` or ``"… update"``.

    Raises
    ------
    TypeError, ValueError
        If `model` has no parameters, `optimizer` none of them or no hooks, or an option is wrong.
    OSError
        If the log exists (FileExistsError) or cannot be opened.

    Notes
    -----
    On a network of 784-256-256-10 at batch 128, all figures at each step would cost 15 to 30 % of a
    step of SGD; the default, at every twentieth, costs 5 to 9 %, and ``every=10`` 1 to 3 %.
    A PyTorch model cannot be pickled whole while it is watched: save its ``state_dict()``. What a
    closure passed to ``step`` adds comes after the gradient is read.

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
        relative_update=None,
        window=100,
        warmup=None,
        every=1,
        detail_every=None,
        keep=1000,
        log=None,
        on_alarm=None,
    ):
        self._named = named_parameters(model)
        self.names = tuple(self._named)
        if optimizer is not None:
            check_optimizer(optimizer, self._named.values())
        self._every = checks.integer("every", every, minimum=1)
        self._detail_every = detail_every
        if detail_every is not None:
            checks.integer("detail_every", detail_every, minimum=1)
        self._records = Records(self.names, checks.integer("keep", keep, minimum=1))
        self._column = self._records.column
        self._alarms = Alarms(
            *(low, high, relative, relative_update, warmup, window, keep, on_alarm)
        )
        self.alarms = self._alarms.raised
        self._optimizer, self._closed = optimizer, False
        self._meter = Meter(self._named, updates=optimizer is not None)
        self._step, self._rows = 0, None
        with ExitStack() as attached:  # taken apart again if one of these fails
            self._log = None if log is None else attached.enter_context(closing(JsonLines(log)))
            self._watch = attached.enter_context(closing(ForwardWatch(model, self._nonfinite)))
            if optimizer is not None:
                for remove in around_step(optimizer, self._before, self._after):
                    attached.callback(remove)
            self._attached = attached.pop_all()

    def step(self):
        """Record the gradients as they are; for a model without an optimiser that has hooks.

        RuntimeError if the optimiser calls it already, or the monitor is closed.
        """
        if self._closed:
            raise RuntimeError("step() was called on a monitor that is closed")
        if self._optimizer is not None:
            raise RuntimeError("optimizer.step() records already; call step() only without one")
        self._before()
        self._after()

    @property
    def records(self):
        """What was measured at the last steps."""
        return self._records.all()

    def close(self):
        """Take every hook away and close the log; the records stay. A second call does nothing."""
        try:
            self._write(self._step)  # alarms of a step that was not to come
        finally:
            self._closed = True
            self._attached.close()

    def __exit__(self, *error):
        self.close()

    def _before(self):
        """Measure gradients and weights before a step."""
        broken = self._watch.end_step()
        self._rows = None
        if self._step % self._every:
            return
        if self._detail_every is None:  # not before now: lazy modules have no sizes yet
            size = sum(math.prod(p.data.shape) for p in self._named.values())
            self._detail_every = 1 if size <= SMALL else 20
        detailed = self._step % (self._every * self._detail_every) == 0
        with np.errstate(all="ignore"):
            self._rows = {name: self._meter.before(name, detailed) for name in self._named}
        try:
            found = None if broken else first_broken(self._named, self._rows, self._watch.watching)
            if found:
                self._nonfinite(*found)
            for name, row in self._rows.items():
                if row and (math.isfinite(row["l2"]) or is_finite(self._named[name].grad)):
                    self._alarms.judge(self._step, name, row["l2"])
        except BaseException:  # of on_alarm: the run may end here, and the log has to say why
            self._keep()
            raise

    def _after(self):
        """Measure what the step has changed, and keep the record."""
        try:
            for name, row in (self._rows or {}).items():
                if row and "weights" in row and self._optimizer is not None:
                    with np.errstate(all="ignore"):
                        broken = self._meter.after(name, row)
                    if broken:
                        text = "is not finite after the step; its gradient is, and it was before"
                        self._nonfinite("nonfinite update", name, f"{name} {text}")
                    self._alarms.judge_update(self._step, name, row["update_ratio"])
        finally:
            self._keep()

    def _keep(self):
        step, rows, self._rows = self._step, self._rows, None
        self._step += 1
        if rows is not None:
            self._records.add(step, [*rows.values()])
        self._write(step, rows is not None)

    def _write(self, step, recorded=False):
        """Write the last record to the log, or alarms alone; nothing if there is neither."""
        if recorded or self._alarms.fresh:
            news = self._alarms.news()
            if self._log is not None and not self._closed:
                self._log.write((self._records.latest() if recorded else {"step": step}) | news)

    def _nonfinite(self, kind, name, text):
        self._alarms.alarm(self._step, kind, name, math.nan, None, f"step {self._step}: {text}")

"""Where the first number that is not finite comes from: an output, a gradient or a weight."""

from __future__ import annotations

import math

from gradnb.measure import is_finite


class ForwardWatch:
    """Look at the output of every module in a forward pass and report the first not finite.

    Parameters
    ----------
    model : Module
        A `gradnb` or PyTorch module; one without ``named_modules`` is not watched.
    report : callable
        ``report(kind, name, message)``, called once the forward pass is over.
    """

    def __init__(self, model, report):
        self._model, self._report = model, report
        self._handles, self._found, self._last_output = [], None, None
        self.broken = False
        try:
            for name, module in getattr(model, "named_modules", tuple)():
                self._handles.append(module.register_forward_hook(self._hook(name, module)))
        except BaseException:
            self.close()
            raise

    def _hook(self, name, watched):
        container = next(iter(watched.named_children()), None) is not None

        # A method would be copied with the model, log and all; this is not, and ignores the copy
        def look(module, inputs, output):
            if module is not watched:
                return
            # What a container passes on from its last module has been looked at there
            if not (self.broken or (container and output is self._last_output)):
                self._last_output = output
                if not is_finite(output):
                    self.broken = True
                    self._found = name, type(module).__name__, self._say(module, inputs)
            if module is self._model:
                self._tell(inputs)

        return look

    def _say(self, module, inputs):
        """Say what the module was given, or None if that was not finite already."""
        if not is_finite(inputs):
            return None
        given = "; its input is finite" if inputs else ""
        weights = is_finite([p.data for p in module.parameters()])
        return given + ("" if weights else ", its weights are not")

    def _tell(self, model_inputs=()):
        """Report what was found in the forward pass that has ended."""
        self._last_output = None
        if self._found is None:
            return
        name, kind, given = self._found
        self._found = None
        this = f"{name or 'the model'} ({kind})"
        if given is not None:
            self._report("nonfinite output", name, f"output of {this} is not finite{given}")
        elif is_finite(model_inputs):
            text = f"input of {this} is not finite, but every output before it is"
            self._report("nonfinite input", name, text)
        else:
            self._report("nonfinite input", "", "input of the model is not finite")

    @property
    def watching(self):
        """Whether there are modules to watch."""
        return bool(self._handles)

    def end_step(self):
        """Say whether an output was not finite since the last step, and begin anew."""
        self._tell()
        broken, self.broken = self.broken, False
        return broken

    def close(self):
        """Take every hook away."""
        while self._handles:
            self._handles.pop().remove()


def first_broken(named, rows, watched):
    """Find the first gradient the backward pass made not finite, or a weight that is not.

    `named` holds the parameters in the order of the network, `rows` what was measured of them;
    `watched` says that the outputs are known to be finite. Returns kind, name and message, or None.
    """
    behind = None
    for name in reversed(named):
        row = rows[name]
        if row is None:
            continue
        if not math.isfinite(row["l2"]) and not is_finite(named[name].grad):
            arises = f"between {behind} and it" if behind else "in the loss or backward pass"
            outputs = ", every output is" if watched else ""
            text = f"gradient of {name} is not finite{outputs}; it arises {arises}"
            return "nonfinite gradient", name, text
        if not math.isfinite(row.get("weights", 0)):
            return "nonfinite weight", name, f"{name} itself is not finite"
        behind = name
    return None

"""What every layer shares: parameters with a gradient each, and a walk over them.

A `Module` computes its output in ``forward`` and remembers what its ``backward`` will need. The
``backward`` receives the gradient of the loss with respect to the module's output, **adds** the
gradients of its parameters to their ``.grad`` and returns the gradient with respect to its input.
"""

from __future__ import annotations

import numpy as np

from gradnb import checks
from gradnb.hooks import register
from gradnb.state import load


class Parameter:
    """Hold an array that is learned, together with its gradient.

    Attributes
    ----------
    data : ndarray
        The values: the given array itself, not a copy.
    grad : ndarray
        Same shape and dtype as `data`; starts at zeros. ``backward`` adds to it. PyTorch starts
        with ``None`` and returns to it in ``zero_grad``; here it is an array at all times.

    Raises
    ------
    TypeError, ValueError
        If `data` is not an array of floating-point numbers, or is read-only.
    """

    def __init__(self, data):
        self.data = checks.float_array("data", data)
        if not data.flags.writeable:
            raise ValueError("data must be writeable, since it is learned; got a read-only array")
        self.grad = np.zeros_like(data)

    def zero_grad(self):
        """Fill the gradient with zeros in place, so that references to it stay valid."""
        self.grad.fill(0)

    @property
    def shape(self):
        """Shape of `data` and of `grad`."""
        return self.data.shape

    @property
    def size(self):
        """Number of entries."""
        return self.data.size

    def __repr__(self):
        return f"Parameter(shape={self.shape}, dtype={self.data.dtype})"


class Module:
    """Base class of layers and networks, like ``torch.nn.Module``.

    A subclass writes ``forward(x)`` and ``backward(grad_output, input_grad=True)``. Attributes that
    are a `Parameter` or a `Module` are registered automatically, in the order they are set.

    Notes
    -----
    ``forward`` keeps references, not copies: an array that is changed in place between ``forward``
    and ``backward`` gives a wrong gradient. PyTorch raises an error there.

    Examples
    --------
    >>> import numpy as np
    >>> class Square(Module):
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x**2
    ...
    ...     def backward(self, grad_output, input_grad=True):
    ...         return 2 * self.x * grad_output if input_grad else None
    >>> square = Square()
    >>> square(np.array([3.0]))
    array([9.])
    >>> square.backward(np.array([1.0]))
    array([6.])
    """

    training = True
    _buffers = ()  # names of the arrays that belong to the state but are not learned
    _forward_hooks = ()
    _memory = None  # what the last forward kept for backward

    def forward(self, x):
        """Compute the output and remember what ``backward`` needs."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, grad_output, input_grad=True):
        """Add the parameters' gradients to their ``.grad`` and return the input's gradient.

        Parameters
        ----------
        grad_output : ndarray
            Gradient of the loss with respect to this module's output, of its shape. Never modified.
        input_grad : bool
            Whether the gradient with respect to the input is wanted. The first layer of a network
            in training can do without it, and so without a large matrix product.

        Returns
        -------
        ndarray or None
            Gradient of the loss with respect to the input, or None with ``input_grad=False``.

        Raises
        ------
        RuntimeError
            If ``forward`` has not been called.
        TypeError, ValueError
            If `grad_output` is not a float array of the shape of the output, or has a wider type.
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __call__(self, x):
        """Return ``forward(x)``, after the forward hooks have been called with it."""
        output = self.forward(x)
        for handle in self._forward_hooks:
            handle.hook(self, (x,), output)
        return output

    def register_forward_hook(self, hook):
        """Have ``hook(module, inputs, output)`` called after every forward pass.

        `inputs` is a tuple with the one input. The hook looks on: what it returns is ignored, while
        in PyTorch it would replace the output.

        Returns
        -------
        Handle
            Its ``remove()`` takes the hook away again.

        Raises
        ------
        TypeError
            If `hook` is not a callable.
        """
        return register(self, "_forward_hooks", hook)

    def named_children(self):
        """Yield ``(name, module)`` for the modules directly inside this one."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def named_modules(self, prefix=""):
        """Yield ``(name, module)`` for this module and all inside it; its own name is ``""``."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self):
        """Yield ``(name, parameter)`` in PyTorch's order, ``"0.weight"``, ``"0.bias"`` and so on.

        A parameter that is used in several places is listed once, under its first name.
        """
        seen = set()
        for prefix, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{prefix}.{name}" if prefix else name), value

    def named_buffers(self):
        """Yield ``(name, array)`` for what belongs to the state but is not learned."""
        for prefix, module in self.named_modules():
            for name in module._buffers:
                yield (f"{prefix}.{name}" if prefix else name), getattr(module, name)

    def parameters(self):
        """Yield the parameters, in the order of ``named_parameters``."""
        for _, parameter in self.named_parameters():
            yield parameter

    def zero_grad(self):
        """Fill every parameter's gradient with zeros in place."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def train(self, mode=True):
        """Set training mode in this module and all inside it; return the module."""
        mode = checks.flag("mode", mode)
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self):
        """Set evaluation mode in this module and all inside it; return the module."""
        return self.train(False)

    def state_dict(self):
        """Return a copy of the values of every parameter and buffer, by name.

        PyTorch's returns references, which change as training goes on.
        """
        return {name: array.copy() for name, array in self._state().items()}

    def load_state_dict(self, state):
        """Copy the values of `state` into the parameters and buffers, in place.

        Parameters
        ----------
        state : dict
            What ``state_dict`` of a module of the same structure returned.

        Raises
        ------
        TypeError
            If `state` is not a dict.
        ValueError
            If a name is missing or unknown, or an array has another shape or kind, values too large
            for the type, or cannot be written to. Then nothing has been changed.
        """
        load(self._state(), state)

    def _state(self):
        parameters = {name: parameter.data for name, parameter in self.named_parameters()}
        return parameters | dict(self.named_buffers())

    def _remember(self, saved, output):
        """Keep what ``backward`` will need, and what its `grad_output` has to fit."""
        self._memory = saved, output.shape, output.dtype

    def _recall(self, grad_output):
        """Return what ``forward`` kept, or refuse a `grad_output` that does not belong to it."""
        if self._memory is None:
            raise RuntimeError(f"{type(self).__name__}.backward was called before forward")
        saved, shape, dtype = self._memory
        usual = type(grad_output) is np.ndarray
        if not (usual and grad_output.shape == shape and grad_output.dtype == dtype):
            checks.same_shape("grad_output", grad_output, shape, of="the output")
            checks.not_wider("grad_output", grad_output, dtype, than="the output")
        return saved

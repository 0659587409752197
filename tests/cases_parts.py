"""Layers, losses and tools of which `cases` makes its networks: what people write, and break."""

import copy
from functools import lru_cache

import numpy as np

from gradnb import (
    CrossEntropyLoss,
    LeakyReLU,
    Linear,
    Module,
    MSELoss,
    Parameter,
    Tanh,
    datasets,
)

# --- data -----------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _digits():
    x, y, _, _ = datasets.digits()
    return x, y


def digits(rng, n):
    """Return n digits, pixels from 0 to 1, and their classes."""
    x, y = _digits()
    rows = rng.choice(len(x), n, replace=False)
    return x[rows], y[rows]


def task(s, kind=None, n=None):
    """Return x, y and the loss: digits or a smooth function, as classes or as numbers."""
    kind = kind or s.rng.choice(["digits", "one-hot", "function", "blobs"])
    n = n or int(s.rng.choice([16, 32, 64, 128]))
    if kind in ("digits", "one-hot"):
        x, y = digits(s.rng, n)
        x = (x - 0.3) / 0.37  # the mean and the standard deviation of all pixels
        if kind == "one-hot":
            return x.astype(s.dtype), np.eye(10, dtype=s.dtype)[y], MSELoss()
        return x.astype(s.dtype), y, CrossEntropyLoss()
    if kind == "function":
        x, y = function(s.rng, n)
        return x.astype(s.dtype), y.astype(s.dtype), MSELoss()
    y = s.rng.integers(5, size=n)
    x = s.rng.normal(size=(5, 12))[y] + s.rng.normal(size=(n, 12))
    return x.astype(s.dtype), y, CrossEntropyLoss()


def function(rng, n, n_in=8, n_out=4):
    """Return standard normal inputs, and a smooth function of them with a little noise."""
    x = rng.normal(size=(n, n_in))
    a, b = rng.normal(size=(n_in, 6)) / np.sqrt(n_in), rng.normal(size=(6, n_out)) / 2
    return x, np.tanh(x @ a) @ b + 0.1 * rng.normal(size=(n, n_out)) + 0.3


def outputs(y):
    return y.shape[1] if y.ndim == 2 else int(y.max()) + 1 if y.max() > 4 else 5


# --- tools ----------------------------------------------------------------------------------------


def backprop(model, loss, x, y):
    """Put a fresh gradient into ``.grad`` and return the loss."""
    model.zero_grad()
    value = loss(model(x), y)
    model.backward(loss.backward())
    return value


def flat(arrays):
    return np.concatenate([np.ravel(a) for a in arrays]).astype(float)


def gradient(model, loss, x, y):
    backprop(model, loss, x, y)
    return flat(p.grad for p in model.parameters())


def put(model, w):
    """Write a flat vector into the parameters."""
    start = 0
    for p in model.parameters():
        p.data[...] = w[start : start + p.size].reshape(p.shape)
        start += p.size


def cast(model, dtype):
    """Turn all parameters and buffers of a model into another type, in place; return it."""
    for _, module in model.named_modules():
        for value in vars(module).values():
            if isinstance(value, Parameter):
                value.data, value.grad = value.data.astype(dtype), value.grad.astype(dtype)
        for name in module._buffers:
            setattr(module, name, getattr(module, name).astype(dtype))
        module._memory = None
    return model


def as_type(array, dtype):
    return array.astype(dtype) if array.dtype.kind == "f" else array


def in_double(case):
    """Return a copy of a case in float64."""
    model, loss = copy.deepcopy((case.model, case.loss))
    x, y = as_type(case.x, float), as_type(case.y, float)
    return case._replace(model=cast(model, float), loss=loss, x=x, y=y)


def settle(model, loss, x, y, decay=0.0, steps=300, tol=1e-10, enough=0.0):
    """Descend by L-BFGS to where L + λ/2 ‖w‖² is at rest; return its value."""

    def evaluate(w):
        put(model, w)
        value = backprop(model, loss, x, y) + decay / 2 * w @ w
        return value, flat(p.grad for p in model.parameters()) + decay * w

    w = flat(p.data for p in model.parameters())
    value, g = evaluate(w)
    start, pairs = np.linalg.norm(g), []
    for _ in range(steps):
        d, alphas = -g, []
        for s, t in reversed(pairs):
            alphas.append(s @ d / (s @ t))
            d = d - alphas[-1] * t
        if pairs:
            s, t = pairs[-1]
            d = d * (s @ t / (t @ t))
        for (s, t), alpha in zip(pairs, reversed(alphas), strict=True):
            d = d + (alpha - t @ d / (s @ t)) * s
        if g @ d >= 0:
            d, pairs = -g, []
        step = 1.0 if pairs else min(1.0, 1.0 / np.abs(g).max())
        while True:
            new, g_new = evaluate(w + step * d)
            if new <= value + 1e-4 * step * (g @ d):
                break
            step /= 2
            if step < 1e-10:
                put(model, w)
                return value
        s, t = step * d, g_new - g
        if s @ t > 1e-12 * np.linalg.norm(s) * np.linalg.norm(t):
            pairs = [*pairs[-29:], (s, t)]
        w, value, g = w + s, new, g_new
        if np.linalg.norm(g) < tol * start or value < enough:
            break
    return value


def jacobian(model, x):
    """Return ∂f/∂θ of a chain of Linear and activations, one row for each number of f(x)."""
    inputs = [x]
    for module in model:
        inputs.append(module(inputs[-1]))
    n, m = inputs[-1].shape
    error, blocks = np.broadcast_to(np.eye(m), (n, m, m)), []
    for module, a, z in reversed(list(zip(model, inputs, inputs[1:], strict=False))):
        if isinstance(module, Linear):
            block = np.einsum("ni,nkj->nkij", a, error).reshape(n * m, -1)
            blocks = [block, error.reshape(n * m, -1), *blocks]
            error = error @ module.weight.data.T
        else:
            module(a)
            slope = module.backward(np.ones_like(z))
            error = error * slope[:, None, :]
    return np.hstack(blocks)


# --- layers ---------------------------------------------------------------------------------------


class Elementwise(Module):
    """f and its slope, from ``f(x) -> (y, slope)``."""

    def forward(self, x):
        y, slope = self.f(x)
        self._remember(slope, y)
        return y

    def backward(self, grad_output, input_grad=True):
        slope = self._recall(grad_output)
        return grad_output * slope if input_grad else None


class Exp(Elementwise):
    """A positive output, as of a rate."""

    def f(self, x):
        y = np.exp(x)
        return y, y


class MaskedLog(Elementwise):
    """Take log x where x is positive, else 0; the slope is the mask times 1/x."""

    def f(self, x):
        mask = x > 0
        return np.log(np.where(mask, x, 1)), mask * (1 / x)


class MaskedSqrt(Elementwise):
    """Take √x where x is positive, else 0; the slope is the mask times 1/2√x."""

    def f(self, x):
        mask = x > 0
        return mask * np.sqrt(x), mask * (0.5 / np.sqrt(x))


class Normalize(Module):
    """Divide every row by its length, whatever that is."""

    def forward(self, x):
        length = np.sqrt((x**2).sum(axis=1, keepdims=True))
        y = x / length
        self._remember((y, length), y)
        return y

    def backward(self, grad_output, input_grad=True):
        y, length = self._recall(grad_output)
        along = (grad_output * y).sum(axis=1, keepdims=True)
        return (grad_output - along * y) / length if input_grad else None


class Standardize(Module):
    """Subtract each column's mean and divide by its standard deviation, with no ε."""

    def forward(self, x):
        centred = x - x.mean(axis=0)
        std = np.sqrt((centred**2).mean(axis=0))
        y = centred / std
        self._remember((y, std), y)
        return y

    def backward(self, grad_output, input_grad=True):
        y, std = self._recall(grad_output)
        g = grad_output - grad_output.mean(axis=0) - y * (grad_output * y).mean(axis=0)
        return g / std if input_grad else None


class Detach(Module):
    """Hand on x, and nothing on the way back."""

    def forward(self, x):
        y = x.copy()
        self._remember(None, y)
        return y

    def backward(self, grad_output, input_grad=True):
        self._recall(grad_output)
        return np.zeros_like(grad_output) if input_grad else None


class RoundGradient(Module):
    """Round the gradient to half precision on its way back, as mixed precision does."""

    def forward(self, x):
        y = x.copy()
        self._remember(None, y)
        return y

    def backward(self, grad_output, input_grad=True):
        self._recall(grad_output)
        g = grad_output.astype(np.float16).astype(grad_output.dtype)
        return g if input_grad else None


class Unused(Detach):
    """Own a weight that was planned for something and takes part in nothing."""

    def __init__(self, n, rng, dtype):
        self.weight = Parameter(rng.normal(size=(n, n)).astype(dtype))

    def backward(self, grad_output, input_grad=True):
        self._recall(grad_output)
        return grad_output.copy() if input_grad else None


class TwoHeads(Module):
    """Two output layers, of which only one is used."""

    def __init__(self, n_in, n_out, rng, dtype):
        self.used = Linear(n_in, n_out, rng=rng, dtype=dtype)
        self.spare = Linear(n_in, n_out, rng=rng, dtype=dtype)

    def forward(self, x):
        return self.used(x)

    def backward(self, grad_output, input_grad=True):
        return self.used.backward(grad_output, input_grad)


class ScaleForgetsItself(Module):
    """Multiply each feature by a learned factor; backward forgets the factor's own gradient."""

    def __init__(self, n, rng, dtype):
        self.weight = Parameter(rng.uniform(0.5, 1.5, size=n).astype(dtype))

    def forward(self, x):
        y = x * self.weight.data
        self._remember(None, y)
        return y

    def backward(self, grad_output, input_grad=True):
        self._recall(grad_output)
        return grad_output * self.weight.data if input_grad else None


class LinearNoWeightGradient(Linear):
    def backward(self, grad_output, input_grad=True):
        before = self.weight.grad.copy()
        grad_input = super().backward(grad_output, input_grad)
        self.weight.grad[...] = before
        return grad_input


class LinearBiasMean(Linear):
    """The bias gets the mean over the batch, where the loss has taken it already."""

    def backward(self, grad_output, input_grad=True):
        before = self.bias.grad.copy()
        grad_input = super().backward(grad_output, input_grad)
        self.bias.grad[...] = before + grad_output.mean(axis=0)
        return grad_input


class LinearWrongSignWeight(Linear):
    def backward(self, grad_output, input_grad=True):
        before = self.weight.grad.copy()
        grad_input = super().backward(grad_output, input_grad)
        self.weight.grad[...] = before - (self.weight.grad - before)
        return grad_input


class LinearHalfInput(Linear):
    """The factor 1/2 that belonged to the loss."""

    def backward(self, grad_output, input_grad=True):
        grad_input = super().backward(grad_output, input_grad)
        return None if grad_input is None else grad_input / 2


class LeakyReLUAlwaysOne(LeakyReLU):
    """The derivative of the positive side, on both."""

    def backward(self, grad_output, input_grad=True):
        self._recall(grad_output)
        return grad_output.copy() if input_grad else None


class TanhSlopeOfInput(Tanh):
    """1 − x² in place of 1 − y²."""

    def forward(self, x):
        y = super().forward(x)
        self._remember(np.clip(x, -1.4, 1.4), y)
        return y


# --- losses ---------------------------------------------------------------------------------------


class Scaled:
    """A loss times a constant: the weight of a side task."""

    def __init__(self, loss, scale):
        self.loss, self.scale = loss, scale

    def __call__(self, prediction, target):
        return self.scale * self.loss(prediction, target)

    def backward(self):
        g = self.loss.backward()
        return (np.longdouble(self.scale) * g).astype(g.dtype)


class Penalised:
    """L + λ/2 ‖w‖², which adds the penalty's gradient to ``.grad`` itself."""

    def __init__(self, loss, model, decay):
        self.loss, self.model, self.decay = loss, model, decay

    def __call__(self, prediction, target):
        penalty = sum(float((p.data**2).sum()) for p in self.model.parameters())
        return self.loss(prediction, target) + self.decay / 2 * penalty

    def backward(self):
        for p in self.model.parameters():
            p.grad += (self.decay * p.data).astype(p.grad.dtype)
        return self.loss.backward()


class Elementloss:
    """The mean of ρ(ŷ − t), from ``rho(d) -> (ρ, ρ′)``."""

    def __call__(self, prediction, target):
        self.difference = prediction - target
        return float(self.rho(self.difference)[0].mean())

    def backward(self):
        d = self.difference
        return (self.rho(d)[1] / d.size).astype(d.dtype)


class Welsch(Elementloss):
    """1 − exp(−d²/2)."""

    def rho(self, d):
        e = np.exp(-(d**2) / 2)
        return 1 - e, d * e


class GemanMcClure(Elementloss):
    """d² / (1 + d²)."""

    def rho(self, d):
        return d**2 / (1 + d**2), 2 * d / (1 + d**2) ** 2


class Tukey(Elementloss):
    """Tukey's biweight, constant from |d| = 2 on."""

    def rho(self, d):
        inside = np.maximum(1 - (d / 2) ** 2, 0)
        return 1 - inside**3, 1.5 * d * inside**2


class Clipped(Elementloss):
    """min(d², 1)."""

    def rho(self, d):
        return np.minimum(d**2, 1), np.where(d**2 < 1, 2 * d, 0)


class Ramp(Elementloss):
    """tanh d²."""

    def rho(self, d):
        t = np.tanh(d**2)
        return t, 2 * d / np.cosh(d**2) ** 2


class Length:
    """The mean length of ŷ − t, whose gradient is 0/0 where they are equal."""

    def __call__(self, prediction, target):
        self.difference = prediction - target
        self.length = np.sqrt((self.difference**2).sum(axis=1, keepdims=True))
        return float(self.length.mean())

    def backward(self):
        return self.difference / self.length / len(self.length)


class NaiveCrossEntropy:
    """−mean log softmax with no maximum subtracted: eᶻ / Σ eᶻ, its logarithm, their derivatives."""

    def __call__(self, logits, target):
        e = np.exp(logits)
        self.p = e / e.sum(axis=1, keepdims=True)
        self.at = np.arange(len(target)), target
        return float(-np.log(self.p[self.at]).mean())

    def backward(self):
        grad_p = np.zeros_like(self.p)
        grad_p[self.at] = -1 / self.p[self.at] / len(self.p)
        return self.p * (grad_p - (self.p * grad_p).sum(axis=1, keepdims=True))


class LogOfOutput:
    """−mean t log ŷ for outputs that are said to be positive."""

    def __call__(self, prediction, target):
        self.prediction, self.target = prediction, target
        return float(-(target * np.log(prediction)).mean())

    def backward(self):
        return -self.target / self.prediction / self.prediction.size

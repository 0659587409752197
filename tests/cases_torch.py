"""The same cases in PyTorch: `torch_twin` gives the network, the loss, x and y.

What has a counterpart in PyTorch becomes that. What was written wrong becomes a
``torch.autograd.Function`` that calls the NumPy layer's forward and backward.
"""

import cases_parts as parts
import numpy as np
import torch

from gradnb import (
    RNN,
    BatchNorm1d,
    CrossEntropyLoss,
    LastStep,
    LeakyReLU,
    Linear,
    MSELoss,
    PReLU,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
)

nn = torch.nn


def tensor(array):
    return torch.tensor(np.ascontiguousarray(array.T) if array.ndim == 2 else array)


# --- layers ---------------------------------------------------------------------------------------


class TorchResidual(nn.Sequential):
    def __init__(self, *modules, scale):
        super().__init__(*modules)
        self.scale = scale

    def forward(self, x):
        return x + self.scale * super().forward(x)


class LastOfRNN(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn

    def forward(self, x):
        return self.rnn(x)[0][:, -1]


class Function(nn.Module):
    """A layer without parameters, from a function of tensors."""

    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x)


class TorchUnused(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(tensor(weight))

    def forward(self, x):
        return x


class TorchTwoHeads(nn.Module):
    def __init__(self, used, spare):
        super().__init__()
        self.used, self.spare = used, spare

    def forward(self, x):
        return self.used(x)


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output.half().to(grad_output.dtype)


class ByNumPy(torch.autograd.Function):
    """Forward and backward of a NumPy layer, whose parameters come as tensors."""

    @staticmethod
    def forward(ctx, layer, x, *tensors):
        for p, t in zip(layer.parameters(), tensors, strict=True):
            array = t.detach().numpy()
            p.data = np.array(array.T if array.ndim == 2 else array, order="C")
            p.grad = np.zeros_like(p.data)
        ctx.layer = layer
        y = torch.from_numpy(np.array(layer(x.detach().numpy())))
        ctx.memory = [(m, m._memory) for _, m in layer.named_modules()]
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_output):
        for module, memory in ctx.memory:
            module._memory = memory
        ctx.layer.zero_grad()
        back = ctx.layer.backward(np.array(grad_output.numpy()))
        # What got nothing is not returned, as where somebody forgot it
        grads = [tensor(p.grad) if p.grad.any() else None for p in ctx.layer.parameters()]
        return None, torch.from_numpy(np.array(back)), *grads


class Bridge(nn.Module):
    """A NumPy layer as a module."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        for i, p in enumerate(layer.parameters()):
            self.register_parameter(f"p{i}", nn.Parameter(tensor(p.data)))

    def forward(self, x):
        return ByNumPy.apply(self.layer, x, *self.parameters())


def bridge(layer):
    return type(type(layer).__name__, (Bridge,), {})(layer)


def normalize(x):
    return x / (x**2).sum(1, keepdim=True).sqrt()


def standardize(x):
    return (x - x.mean(0)) / x.std(0, correction=0)


def masked(f):
    return lambda x: torch.where(x > 0, f(x), torch.zeros_like(x))


FUNCTIONS = {
    parts.Exp: torch.exp,
    parts.MaskedLog: masked(torch.log),
    parts.MaskedSqrt: masked(torch.sqrt),
    parts.Normalize: normalize,
    parts.Standardize: standardize,
    parts.Detach: torch.Tensor.detach,
    parts.RoundGradient: Rounded.apply,
}


def layer(module):
    """Return the PyTorch layer with the same parameters and gradients."""
    kind = type(module)
    if kind is Residual:
        return TorchResidual(*map(layer, module), scale=module.scale)
    if kind is Sequential:
        modules = list(module)
        if isinstance(modules[0], RNN) and isinstance(modules[1], LastStep):
            first = recurrent(modules[0]) if type(modules[0]) is RNN else None
            first = first or bridge(Sequential(*modules[:2]))
            return nn.Sequential(first, *map(layer, modules[2:]))
        return nn.Sequential(*map(layer, modules))
    if kind in FUNCTIONS:
        return Function(FUNCTIONS[kind])
    if kind is parts.Unused:
        return TorchUnused(module.weight.data)
    if kind is parts.TwoHeads:
        return TorchTwoHeads(layer(module.used), layer(module.spare))
    if kind in (ReLU, Tanh, Sigmoid):
        return getattr(nn, kind.__name__)()
    if kind is LeakyReLU:
        return nn.LeakyReLU(module.negative_slope)
    if kind is Linear:
        dtype = tensor(module.weight.data).dtype
        other = nn.Linear(module.in_features, module.out_features, dtype=dtype)
    elif kind is PReLU:
        other = nn.PReLU(module.num_parameters, dtype=tensor(module.weight.data).dtype)
    elif kind is BatchNorm1d:
        dtype = tensor(module.weight.data).dtype
        other = nn.BatchNorm1d(module.num_features, module.eps, module.momentum, dtype=dtype)
        other.running_mean = tensor(module.running_mean)
        other.running_var = tensor(module.running_var)
    else:
        return bridge(module)
    for name, p in module.named_parameters():
        fill(getattr(other, name), p)
    return other


def fill(theirs, ours):
    """Copy values and, where there are any, gradients."""
    theirs.data = tensor(ours.data)
    theirs.grad = tensor(ours.grad) if ours.grad.any() else None


def recurrent(rnn):
    dtype = tensor(rnn.weight_ih.data).dtype
    other = nn.RNN(rnn.input_size, rnn.hidden_size, batch_first=True, dtype=dtype)
    fill(other.weight_ih_l0, rnn.weight_ih)
    fill(other.weight_hh_l0, rnn.weight_hh)
    fill(other.bias_ih_l0, rnn.bias)
    other.bias_hh_l0.data.zero_()
    other.bias_hh_l0.grad = None if other.bias_ih_l0.grad is None else other.bias_ih_l0.grad.clone()
    return LastOfRNN(other)


# --- losses ---------------------------------------------------------------------------------------


class LossByNumPy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, loss, prediction, target):
        value = loss(prediction.detach().numpy(), target.numpy())
        ctx.gradient = loss.backward()
        return prediction.new_tensor(value)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_output):
        return None, grad_output * torch.from_numpy(np.array(ctx.gradient)), None


def elementwise(rho):
    return lambda prediction, target: rho(prediction - target).mean()


def naive_cross_entropy(logits, target):
    e = logits.exp()
    p = e / e.sum(1, keepdim=True)
    return -p[torch.arange(len(target)), target].log().mean()


LOSSES = {
    MSELoss: nn.MSELoss(),
    CrossEntropyLoss: nn.CrossEntropyLoss(),
    parts.Welsch: elementwise(lambda d: 1 - torch.exp(-(d**2) / 2)),
    parts.GemanMcClure: elementwise(lambda d: d**2 / (1 + d**2)),
    parts.Tukey: elementwise(lambda d: 1 - (1 - (d / 2) ** 2).clamp(min=0) ** 3),
    parts.Clipped: elementwise(lambda d: (d**2).clamp(max=1)),
    parts.Ramp: elementwise(lambda d: torch.tanh(d**2)),
    parts.Length: lambda prediction, target: torch.sqrt(((prediction - target) ** 2).sum(1)).mean(),
    parts.NaiveCrossEntropy: naive_cross_entropy,
    parts.LogOfOutput: lambda prediction, target: -(target * prediction.log()).mean(),
}


def criterion(loss, model):
    """Return the loss as a function of prediction and target."""
    kind = type(loss)
    if kind is parts.Scaled:
        inner, scale = criterion(loss.loss, model), loss.scale
        return lambda prediction, target: scale * inner(prediction, target)
    if kind is parts.Penalised:
        inner, decay = criterion(loss.loss, model), loss.decay

        def penalised(prediction, target):
            penalty = sum((p**2).sum() for p in model.parameters())
            return inner(prediction, target) + decay / 2 * penalty

        return penalised
    if kind in LOSSES:
        return LOSSES[kind]
    return lambda prediction, target: LossByNumPy.apply(loss, prediction, target)


def torch_twin(case):
    """Return (module, loss, x, y) in PyTorch, with the case's weights and gradients."""
    with np.errstate(all="ignore"):
        model = layer(case.model)
        x, y = torch.tensor(case.x), torch.tensor(case.y)
        if isinstance(case.loss, parts.Length):  # an exact answer, with PyTorch's rounding
            y[0] = model(x)[0].detach()
        return model, criterion(case.loss, model), x, y

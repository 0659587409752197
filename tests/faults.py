"""Layers and losses with one fault each, of the kind that trains and goes unnoticed."""

import numpy as np

from gradnb import (
    BatchNorm1d,
    CrossEntropyLoss,
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


class LinearDoubledWeight(Linear):
    def backward(self, grad_output, input_grad=True):
        self.weight.grad += self._recall(grad_output).T @ grad_output
        return super().backward(grad_output, input_grad)


class LinearDoubledInput(Linear):
    def backward(self, grad_output, input_grad=True):
        return super().backward(grad_output) * 2 if input_grad else super().backward(grad_output)


class LinearTransposedWeight(Linear):
    def backward(self, grad_output, input_grad=True):
        x = self._recall(grad_output)
        self.weight.grad += grad_output.T @ x
        self.bias.grad += grad_output.sum(axis=0)
        return grad_output @ self.weight.data.T if input_grad else None


class LinearTransposedInput(Linear):
    def backward(self, grad_output, input_grad=True):
        grad_input = super().backward(grad_output, input_grad)
        return grad_input if grad_input is None else grad_output @ self.weight.data


class LinearNoBiasSum(Linear):
    def backward(self, grad_output, input_grad=True):
        bias = self.bias.grad.copy()
        grad_input = super().backward(grad_output, input_grad)
        self.bias.grad[...] = bias + grad_output[0]
        return grad_input


class LinearNoBiasGradient(Linear):
    def backward(self, grad_output, input_grad=True):
        bias = self.bias.grad.copy()
        grad_input = super().backward(grad_output, input_grad)
        self.bias.grad[...] = bias
        return grad_input


class LinearMeanOverBatch(Linear):
    def backward(self, grad_output, input_grad=True):
        x = self._recall(grad_output)
        self.weight.grad += x.T @ grad_output / len(x)
        self.bias.grad += grad_output.mean(axis=0)
        return grad_output @ self.weight.data.T if input_grad else None


class LinearOverwrites(Linear):
    def backward(self, grad_output, input_grad=True):
        self.weight.grad.fill(0)
        return super().backward(grad_output, input_grad)


class LinearRebinds(Linear):
    def backward(self, grad_output, input_grad=True):
        self.weight.grad = np.zeros_like(self.weight.grad)
        return super().backward(grad_output, input_grad)


class LinearWrongSign(Linear):
    def backward(self, grad_output, input_grad=True):
        grad_input = super().backward(grad_output, input_grad)
        return None if grad_input is None else -grad_input


class ReLUInPlaceForward(ReLU):
    def forward(self, x):
        y = np.maximum(x, 0, out=x)
        self._remember(x > 0, y)
        return y


class ReLUInPlaceBackward(ReLU):
    def backward(self, grad_output, input_grad=True):
        grad_output[~self._recall(grad_output)] = 0
        return grad_output.copy() if input_grad else None


class ReLUAlwaysOne(ReLU):
    """The derivative tested with ``>=`` on the output, which is never negative."""

    def forward(self, x):
        y = super().forward(x)
        self._remember(y >= 0, y)
        return y


class SigmoidForgetsFactor(Sigmoid):
    def backward(self, grad_output, input_grad=True):
        return grad_output * (1 - self._recall(grad_output)) if input_grad else None


class TanhInPlace(Tanh):
    def backward(self, grad_output, input_grad=True):
        grad_output *= 1 - self._recall(grad_output) ** 2
        return grad_output.copy() if input_grad else None


class TanhNotSquared(Tanh):
    def backward(self, grad_output, input_grad=True):
        return grad_output * (1 - self._recall(grad_output)) if input_grad else None


class LeakyReLUForgetsSlope(LeakyReLU):
    def backward(self, grad_output, input_grad=True):
        return grad_output * (self._recall(grad_output) == 1) if input_grad else None


class LeakyReLUInPlaceBackward(LeakyReLU):
    def backward(self, grad_output, input_grad=True):
        grad_output *= self._recall(grad_output)
        return grad_output.copy() if input_grad else None


class PReLUOverAllInputs(PReLU):
    def backward(self, grad_output, input_grad=True):
        x, _ = self._recall(grad_output)
        self.weight.grad += (grad_output * np.maximum(x, 0)).sum()
        return super().backward(grad_output, input_grad)


class PReLUMean(PReLU):
    def backward(self, grad_output, input_grad=True):
        before = self.weight.grad.copy()
        grad_input = super().backward(grad_output, input_grad)
        self.weight.grad[...] = before + (self.weight.grad - before) / len(grad_output)
        return grad_input


class BatchNormWithoutVariancePath(BatchNorm1d):
    def backward(self, grad_output, input_grad=True):
        super().backward(grad_output, input_grad)
        _, inv_std, _ = self._recall(grad_output)
        scale = self.weight.data * inv_std
        return scale * (grad_output - grad_output.mean(axis=0)) if input_grad else None


class BatchNormWithoutMeanPath(BatchNorm1d):
    def backward(self, grad_output, input_grad=True):
        super().backward(grad_output, input_grad)
        x_hat, inv_std, _ = self._recall(grad_output)
        along = grad_output - x_hat * (grad_output * x_hat).mean(axis=0)
        return self.weight.data * inv_std * along if input_grad else None


class BatchNormAsConstants(BatchNorm1d):
    """The gradient of evaluation mode, used in training."""

    def backward(self, grad_output, input_grad=True):
        super().backward(grad_output, input_grad)
        _, inv_std, _ = self._recall(grad_output)
        return self.weight.data * inv_std * grad_output if input_grad else None


class BatchNormForgetsWeight(BatchNorm1d):
    def backward(self, grad_output, input_grad=True):
        grad_input = super().backward(grad_output, input_grad)
        return grad_input / self.weight.data if input_grad else None


class BatchNormMeanOfParameters(BatchNorm1d):
    def backward(self, grad_output, input_grad=True):
        before = self.weight.grad.copy()
        grad_input = super().backward(grad_output, input_grad)
        self.weight.grad[...] = before + (self.weight.grad - before) / len(grad_output)
        return grad_input


class ResidualWithoutShortcut(Residual):
    def backward(self, grad_output, input_grad=True):
        return Sequential.backward(self, self.scale * grad_output, input_grad)


class ResidualForgetsScale(Residual):
    def backward(self, grad_output, input_grad=True):
        branch = Sequential.backward(self, grad_output, input_grad)
        return grad_output + branch if input_grad else None


class ResidualInPlace(Residual):
    def backward(self, grad_output, input_grad=True):
        grad_output += Sequential.backward(self, self.scale * grad_output)
        return grad_output.copy() if input_grad else None


LAYERS = [
    LinearDoubledWeight,
    LinearDoubledInput,
    LinearTransposedWeight,
    LinearTransposedInput,
    LinearNoBiasSum,
    LinearNoBiasGradient,
    LinearMeanOverBatch,
    LinearOverwrites,
    LinearRebinds,
    LinearWrongSign,
    ReLUInPlaceForward,
    ReLUInPlaceBackward,
    ReLUAlwaysOne,
    SigmoidForgetsFactor,
    TanhInPlace,
    TanhNotSquared,
    LeakyReLUForgetsSlope,
    LeakyReLUInPlaceBackward,
    PReLUOverAllInputs,
    PReLUMean,
    BatchNormWithoutVariancePath,
    BatchNormWithoutMeanPath,
    BatchNormAsConstants,
    BatchNormForgetsWeight,
    BatchNormMeanOfParameters,
    ResidualWithoutShortcut,
    ResidualForgetsScale,
    ResidualInPlace,
]


class MSEDoubled(MSELoss):
    def backward(self):
        return 2 * super().backward()


class MSEWithoutMean(MSELoss):
    def backward(self):
        return super().backward() * self._difference.size


class MSEMeanOverBatchOnly(MSELoss):
    def backward(self):
        return super().backward() * self._difference.shape[1]


class MSEWrongSign(MSELoss):
    def backward(self):
        return -super().backward()


class CrossEntropyWithoutMean(CrossEntropyLoss):
    def backward(self):
        gradient = super().backward()
        return gradient * len(gradient)


class CrossEntropyWithoutTarget(CrossEntropyLoss):
    def backward(self):
        return np.exp(self._log_p) / len(self._log_p)


LOSSES = [
    MSEDoubled,
    MSEWithoutMean,
    MSEMeanOverBatchOnly,
    MSEWrongSign,
    CrossEntropyWithoutMean,
    CrossEntropyWithoutTarget,
]


def build(fault, rng):
    """Return the faulty layer, 3 to 3 where it has a size, with random parameters."""
    if issubclass(fault, Linear):
        layer = fault(3, 3, rng=rng)
    elif issubclass(fault, BatchNorm1d):
        layer = fault(3)
    elif issubclass(fault, Residual):
        layer = fault(Linear(3, 3, rng=rng), Tanh(), scale=0.5)
    else:
        layer = fault()
    for p in layer.parameters():
        p.data[...] = rng.normal(size=p.shape)
    return layer

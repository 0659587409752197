"""Layers, losses and optimisers with one fault each, of the kind that trains and goes unnoticed."""

import math

import numpy as np

from gradnb import (
    RNN,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    BatchNorm1d,
    CrossEntropyLoss,
    LastStep,
    LeakyReLU,
    Linear,
    MSELoss,
    PReLU,
    ReLU,
    Residual,
    RMSprop,
    Sequential,
    Sigmoid,
    Tanh,
    clip_grad_norm_,
)
from gradnb.optimizer import Optimizer


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


class StepwiseRNN(RNN):
    """Right, but one step at a time as in the formulas, with a method for each thing to get wrong.

    `RNN` takes the sums over time as matrix products instead; a test holds both together.
    """

    def backward(self, grad_output, input_grad=True):
        x, states = self._recall(grad_output)
        x = x.reshape(len(states), -1, self.input_size)
        grad_input = np.zeros((*grad_output.shape[:2], self.input_size))
        from_next = np.zeros_like(states[0])
        for t in reversed(range(len(states))):
            delta = (grad_output[:, t] + from_next) * self.slope(states, t)
            self.weight_ih.grad += x[t].T @ delta
            self.weight_hh.grad += self.partner(states, t).T @ delta
            self.bias.grad += self.bias_sum(delta, t)
            grad_input[:, t] = delta @ self.weight_ih.data.T
            from_next = self.to_the_step_before(delta, t)
        return grad_input if input_grad else None

    def slope(self, states, t):
        return 1 - states[t] ** 2

    def partner(self, states, t):
        return states[t - 1] if t > 0 else np.zeros_like(states[0])

    def bias_sum(self, delta, t):
        return delta.sum(axis=0)

    def to_the_step_before(self, delta, t):
        return delta @ self.weight_hh.data.T


class RNNTruncatedByOneStep(StepwiseRNN):
    """Misses what comes back through the first transition."""

    def to_the_step_before(self, delta, t):
        return super().to_the_step_before(delta, t) * (t > 1)


class RNNTruncatedToOneStep(StepwiseRNN):
    def to_the_step_before(self, delta, t):
        return np.zeros_like(delta)


class RNNTransposedWeight(StepwiseRNN):
    def to_the_step_before(self, delta, t):
        return delta @ self.weight_hh.data


class RNNPairsStateWithItself(StepwiseRNN):
    def partner(self, states, t):
        return states[t]


class RNNWrapsAround(StepwiseRNN):
    """Pairs the first step with the last state, which is what index −1 is."""

    def partner(self, states, t):
        return states[t - 1]


class RNNForgetsSlope(StepwiseRNN):
    def slope(self, states, t):
        return np.ones_like(states[t])


class RNNSlopeOfStepBefore(StepwiseRNN):
    def slope(self, states, t):
        return 1 - self.partner(states, t) ** 2


class RNNNoBiasSumOverTime(StepwiseRNN):
    def bias_sum(self, delta, t):
        return delta.sum(axis=0) * (t == 0)


class RNNNoBiasSumOverBatch(StepwiseRNN):
    def bias_sum(self, delta, t):
        return delta[0]


class RNNOverwrites(RNN):
    def backward(self, grad_output, input_grad=True):
        self.weight_hh.grad.fill(0)
        return super().backward(grad_output, input_grad)


class RNNMeanOverTime(RNN):
    def backward(self, grad_output, input_grad=True):
        before = self.weight_hh.grad.copy()
        grad_input = super().backward(grad_output, input_grad)
        self.weight_hh.grad[...] = before + (self.weight_hh.grad - before) / grad_output.shape[1]
        return grad_input


class RNNInPlace(RNN):
    """Collects what comes back from the next step in `grad_output` itself."""

    def backward(self, grad_output, input_grad=True):
        _, h = self._recall(grad_output)
        for t in reversed(range(len(h) - 1)):
            delta = grad_output[:, t + 1] * (1 - h[t + 1] ** 2)
            grad_output[:, t] += delta @ self.weight_hh.data.T
        return super().backward(grad_output, input_grad)


class LastStepToAllSteps(LastStep):
    def backward(self, grad_output, input_grad=True):
        grad_input = super().backward(grad_output, input_grad)
        return None if grad_input is None else grad_input + grad_output[:, np.newaxis]


class LastStepToTheFirst(LastStep):
    def backward(self, grad_output, input_grad=True):
        grad_input = super().backward(grad_output, input_grad)
        return None if grad_input is None else grad_input[:, ::-1].copy()


RECURRENT = [
    RNNTruncatedByOneStep,
    RNNTruncatedToOneStep,
    RNNTransposedWeight,
    RNNPairsStateWithItself,
    RNNWrapsAround,
    RNNForgetsSlope,
    RNNSlopeOfStepBefore,
    RNNNoBiasSumOverTime,
    RNNNoBiasSumOverBatch,
    RNNOverwrites,
    RNNMeanOverTime,
    RNNInPlace,
    LastStepToAllSteps,
    LastStepToTheFirst,
]
"""Wrong on sequences, (batch, time, features); the other layers' faults show on a plain batch."""


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
        e, total, _ = self._memory
        return (e / total / len(total)).T


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
    if issubclass(fault, (Linear, RNN)):
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


class SGDDampened(SGD):
    """The velocity of a running mean, β v + (1 − β) g."""

    def _update(self):
        for i, p in enumerate(self.params):
            g = self._decay(p)
            if self.momentum:
                v = self._v[i]
                v *= self.momentum
                v += (1 - self.momentum) * g
                g = g + self.momentum * v if self.nesterov else v
            p.data -= self.lr * g


class SGDRateInVelocity(SGD):
    """The rate multiplies the gradient on its way into the velocity."""

    def _update(self):
        for i, p in enumerate(self.params):
            step = self.lr * self._decay(p)
            if self.momentum:
                v = self._v[i]
                v *= self.momentum
                v += step
                step = step + self.momentum * v if self.nesterov else v
            p.data -= step


class SGDNesterovIgnored(SGD):
    def __init__(self, params, nesterov=False, **options):
        super().__init__(params, **options)


class SGDDecaysApart(SGD):
    """The decay does not go through the velocity."""

    def _decay(self, p):
        p.data *= 1 - self.lr * self.weight_decay
        return p.grad


class SGDDecayInGradient(SGD):
    """The decay stays in the gradient that the caller may use again."""

    def _decay(self, p):
        p.grad += self.weight_decay * p.data
        return p.grad


class SGDRebinds(SGD):
    def _update(self):
        before = [p.data.copy() for p in self.params]
        super()._update()
        for p, data in zip(self.params, before, strict=True):
            p.data, data[...] = data, p.data


class SGDFirstRateForEver(SGD):
    def _update(self):
        self._first = getattr(self, "_first", self.lr)
        self.lr = self._first
        super()._update()


class AdagradForgets(Adagrad):
    def _update(self):
        for s in self._s:
            s.fill(0)
        super()._update()


class AdagradWithoutRoot(Adagrad):
    def _update(self):
        rate = self.lr / (1 + self._steps * self.lr_decay)
        self._steps += 1
        for p, s in zip(self.params, self._s, strict=True):
            g = self._decay(p)
            s += g * g
            p.data -= rate * g / (s + self.eps)


class AdagradEpsInRoot(Adagrad):
    def _update(self):
        rate = self.lr / (1 + self._steps * self.lr_decay)
        self._steps += 1
        for p, s in zip(self.params, self._s, strict=True):
            g = self._decay(p)
            s += g * g
            p.data -= rate * g / np.sqrt(s + self.eps)


class AdagradDecaysRateEarly(Adagrad):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._steps = 1


class RMSpropVariant(RMSprop):
    """A plain RMSprop whose faulty versions override one of its pieces."""

    def _update(self):
        for i, p in enumerate(self.params):
            g, s = self._decay(p), self._s[i]
            s *= self.alpha
            s += (1 - self.alpha) * g * g
            variance = s
            if self.centered:
                a = self._a[i]
                a *= self.alpha
                a += (1 - self.alpha) * g
                variance = self.center(s, a)
            step = g / self.root(variance)
            if self.momentum:
                v = self._v[i]
                v *= self.momentum
                v += self.into_velocity(step)
                step = v
            p.data -= self.lr * step

    def center(self, s, a):
        return s - a * a

    def root(self, variance):
        return np.sqrt(variance) + self.eps

    def into_velocity(self, step):
        return step


class RMSpropEpsInRoot(RMSpropVariant):
    def root(self, variance):
        return np.sqrt(variance + self.eps)


class RMSpropWithoutRoot(RMSpropVariant):
    def root(self, variance):
        return variance + self.eps


class RMSpropNotCentered(RMSpropVariant):
    def center(self, s, a):
        return s


class RMSpropMeanNotSquared(RMSpropVariant):
    def center(self, s, a):
        return np.abs(s - np.abs(a))


class RMSpropDampened(RMSpropVariant):
    def into_velocity(self, step):
        return (1 - self.momentum) * step


class AdamVariant(Adam):
    """A plain Adam whose faulty versions override one of its pieces."""

    def _update(self):
        self._steps += 1
        beta1, beta2 = self.betas
        for p, m, v in zip(self.params, self._v_sums, self._s_sums, strict=True):
            g = self._decay(p)
            m *= beta1
            m += (1 - beta1) * g
            v *= beta2
            v += (1 - beta2) * g * g
            m_hat, v_hat = self.correct(m, v, beta1, beta2)
            p.data -= self.lr * m_hat / self.root(v_hat)

    def correct(self, m, v, beta1, beta2):
        return m / (1 - beta1**self._steps), v / (1 - beta2**self._steps)

    def root(self, v_hat):
        return np.sqrt(v_hat) + self.eps


class AdamWithoutCorrection(AdamVariant):
    def correct(self, m, v, beta1, beta2):
        return m, v


class AdamCorrectsOneStepLate(AdamVariant):
    def correct(self, m, v, beta1, beta2):
        return m / (1 - beta1 ** (self._steps + 1)), v / (1 - beta2 ** (self._steps + 1))


class AdamCorrectsByTheWrongBeta(AdamVariant):
    def correct(self, m, v, beta1, beta2):
        return m / (1 - beta1**self._steps), v / (1 - beta1**self._steps)


class AdamUncorrectedEps(AdamVariant):
    """The paper's ε̂, which stands beside √v instead of √v̂."""

    def root(self, v_hat):
        return np.sqrt(v_hat) + self.eps / math.sqrt(1 - self.betas[1] ** self._steps)


class AdamEpsInRoot(AdamVariant):
    def root(self, v_hat):
        return np.sqrt(v_hat + self.eps)


class AdamWithoutRoot(AdamVariant):
    def root(self, v_hat):
        return v_hat + self.eps


class AdamSwappedBetas(Adam):
    def __init__(self, params, betas=(0.9, 0.999), **options):
        super().__init__(params, betas=betas[::-1], **options)


class AdamCountsParameters(Adam):
    """The time goes on with every parameter instead of every step."""

    def _decay(self, p):
        self._steps += 1
        return super()._decay(p)


class AdamDecoupled(Adam):
    _decay = AdamW._decay


class AdamWCoupled(AdamW):
    _decay = Optimizer._decay


class AdamWWithoutRate(AdamW):
    """The decay of the paper, which the learning rate does not multiply."""

    def _decay(self, p):
        p.data *= 1 - self.weight_decay
        return p.grad


OPTIMIZERS = [
    SGDDampened,
    SGDRateInVelocity,
    SGDNesterovIgnored,
    SGDDecaysApart,
    SGDDecayInGradient,
    SGDRebinds,
    SGDFirstRateForEver,
    AdagradForgets,
    AdagradWithoutRoot,
    AdagradEpsInRoot,
    AdagradDecaysRateEarly,
    RMSpropEpsInRoot,
    RMSpropWithoutRoot,
    RMSpropNotCentered,
    RMSpropMeanNotSquared,
    RMSpropDampened,
    AdamWithoutCorrection,
    AdamCorrectsOneStepLate,
    AdamCorrectsByTheWrongBeta,
    AdamUncorrectedEps,
    AdamEpsInRoot,
    AdamWithoutRoot,
    AdamSwappedBetas,
    AdamCountsParameters,
    AdamDecoupled,
    AdamWCoupled,
    AdamWWithoutRate,
]


def clip_each_parameter(params, max_norm):
    return math.hypot(*(clip_grad_norm_(p, max_norm) for p in params))


def clip_returning_the_norm_after(params, max_norm):
    clip_grad_norm_(params, max_norm)
    return clip_grad_norm_(params, math.inf)


def clip_by_the_sum_of_norms(params, max_norm):
    norm = sum(clip_grad_norm_(p, math.inf) for p in params)
    return _scaled(params, norm, min(1, max_norm / (norm + 1e-6)))


def clip_by_the_squared_norm(params, max_norm):
    norm = clip_grad_norm_(params, math.inf)
    return _scaled(params, norm, min(1, max_norm / (norm**2 + 1e-6)))


def clip_that_amplifies(params, max_norm):
    norm = clip_grad_norm_(params, math.inf)
    return _scaled(params, norm, max_norm / (norm + 1e-6))


def clip_without_the_small_term(params, max_norm):
    norm = clip_grad_norm_(params, math.inf)
    return _scaled(params, norm, min(1, max_norm / norm))


def clip_that_rebinds(params, max_norm):
    for p in params:
        p.grad = p.grad.copy()
    return clip_grad_norm_(params, max_norm)


def _scaled(params, norm, factor):
    for p in params:
        p.grad *= factor
    return norm


CLIPPINGS = [
    clip_each_parameter,
    clip_returning_the_norm_after,
    clip_by_the_sum_of_norms,
    clip_by_the_squared_norm,
    clip_that_amplifies,
    clip_without_the_small_term,
    clip_that_rebinds,
]

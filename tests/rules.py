"""The optimisers' rules once more, each in the plainest way, and the options to try them with.

A rule takes a start, the gradients and the rates of all steps, and yields w after every step.
"""

import numpy as np

from gradnb import SGD, Adagrad, Adam, AdamW, RMSprop


def sgd(w, gradients, rates, momentum=0, nesterov=False, weight_decay=0):
    v = 0
    for g, lr in zip(gradients, rates, strict=True):
        g = g + weight_decay * w
        v = momentum * v + g
        w = w - lr * (g + momentum * v if nesterov else v)
        yield w


def adagrad(
    w, gradients, rates, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10
):
    s = initial_accumulator_value
    for t, (g, lr) in enumerate(zip(gradients, rates, strict=True), 1):
        g = g + weight_decay * w
        s = s + g**2
        w = w - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s) + eps)
        yield w


def rmsprop(w, gradients, rates, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False):
    s = a = v = 0
    for g, lr in zip(gradients, rates, strict=True):
        g = g + weight_decay * w
        s = alpha * s + (1 - alpha) * g**2
        a = alpha * a + (1 - alpha) * g
        v = momentum * v + g / (np.sqrt(s - a**2 if centered else s) + eps)
        w = w - lr * v
        yield w


def adam(w, gradients, rates, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled=False):
    """Algorithm 1 of Kingma and Ba (2015), or Algorithm 2 of Loshchilov and Hutter (2019)."""
    m = v = 0
    beta1, beta2 = betas
    for t, (g, lr) in enumerate(zip(gradients, rates, strict=True), 1):
        decay = lr * weight_decay * w if decoupled else 0
        g = g if decoupled else g + weight_decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        w = w - decay - lr * m_hat / (np.sqrt(v_hat) + eps)
        yield w


def adamw(w, gradients, rates, weight_decay=0.01, **options):
    return adam(w, gradients, rates, weight_decay=weight_decay, decoupled=True, **options)


RULES = {SGD: sgd, Adagrad: adagrad, RMSprop: rmsprop, Adam: adam, AdamW: adamw}

OPTIONS = {
    SGD: [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"weight_decay": 0.05},
        {"momentum": 0.5, "weight_decay": 0.05},
        {"momentum": 0.5, "nesterov": True, "weight_decay": 0.05},
        {"momentum": 1.0},
    ],
    Adagrad: [
        {},
        {"lr_decay": 0.1},
        {"weight_decay": 0.05},
        {"initial_accumulator_value": 0.5},
        {"eps": 0.1},
        {"lr_decay": 1, "weight_decay": 0.3, "initial_accumulator_value": 2, "eps": 1e-3},
    ],
    RMSprop: [
        {},
        {"alpha": 0.5},
        {"alpha": 0},
        {"weight_decay": 0.05},
        {"momentum": 0.9},
        {"centered": True},
        {"eps": 0.1},
        {"eps": 0.1, "centered": True},
        {"alpha": 0.9, "weight_decay": 0.3, "momentum": 0.5, "centered": True, "eps": 1e-3},
    ],
    Adam: [
        {},
        {"betas": (0.5, 0.9)},
        {"betas": (0.99, 0.5)},
        {"betas": (0.0, 0.9)},
        {"betas": (0.9, 0.0)},
        {"eps": 0.1},
        {"weight_decay": 0.05},
        {"betas": (0.8, 0.99), "eps": 1e-3, "weight_decay": 0.3},
    ],
    AdamW: [
        {},
        {"weight_decay": 0},
        {"weight_decay": 0.3},
        {"betas": [0.5, 0.9], "eps": 0.1},
        {"betas": (0.8, 0.99), "eps": 1e-3, "weight_decay": 1},
    ],
}

CASES = [(cls, options) for cls, several in OPTIONS.items() for options in several]


def name(value):
    """Name a case for pytest."""
    if isinstance(value, dict):
        return ",".join(f"{key}={option}" for key, option in value.items()) or "defaults"
    return value.__name__

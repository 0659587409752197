"""Call what the student wrote for problem set 1."""

import numpy as np

import gradnb as gnb

MANY = 2000  # copies of a batch below each other: too many entries for differences


def swish(student, given):
    for name in ("batch", "cube"):

        def backward(case=given[name]):
            x, grad_output = case["x"].copy(), case["grad_output"].copy()
            return student.swish_backward(x, given["beta"], grad_output)

        yield f"{name} dx", lambda backward=backward: _pair(backward())[0]
        yield f"{name} dbeta", lambda backward=backward: _pair(backward())[1]

    batch = given["batch"]
    many = {name: np.tile(array, (MANY, 1)) for name, array in batch.items()}
    yield "large dx", lambda: _pair(backward(many))[0][-len(batch["x"]) :]


def huber(student, given):
    for name in ("full", "gaps"):
        prediction, target = given[f"{name} prediction"], given[f"{name} target"]

        def ask(prediction=prediction, target=target):
            return student.huber(prediction, target, given["delta"])

        copies = prediction.copy(), target.copy()
        yield f"{name} loss", lambda ask=ask, copies=copies: _pair(ask(*copies))[0]
        copies = prediction.copy(), target.copy()
        yield f"{name} gradient", lambda ask=ask, copies=copies: _pair(ask(*copies))[1]
        # With the arrays of the call before
        yield f"{name} loss again", lambda ask=ask, copies=copies: _pair(ask(*copies))[0]

    pair = given["full prediction"], given["full target"]
    many = [np.tile(array, (MANY, 1)) for array in pair]
    yield "large gradient", lambda: _pair(ask(*many))[1][-len(pair[0]) :]


def rms_norm(student, given):
    def backward(case):
        arrays = (case["x"].copy(), case["gamma"].copy(), case["eps"], case["grad_output"].copy())
        return _pair(student.rms_norm_backward(*arrays))

    yield "plain dx", lambda: backward(given["plain"])[0]
    yield "plain dgamma", lambda: backward(given["plain"])[1]
    yield "single dx", lambda: backward(given["single"])[0]
    yield "single dgamma", lambda: backward(given["single"])[1]
    yield "eps dx", lambda: backward(given["eps"])[0]
    yield "large dx", lambda: backward(large_rows())[0][::100]


def large_rows():
    """Return 500 rows of 80 features, too many for differences."""
    numbers = np.arange(40_000.0).reshape(500, 80)
    return {
        "x": 3 * np.sin(numbers),
        "gamma": 1.5 + np.cos(numbers[0]),
        "eps": 1e-6,
        "grad_output": np.cos(3 * numbers),
    }


def tied(student, given):
    def block():
        made = student.TiedBlock(*given["weight"].shape, np.random.default_rng(0))
        for name in ("weight", "bias", "shift"):
            getattr(made, name).data[...] = given[name]
        return made

    def back(made, case):
        made.forward(case["x"].copy())
        grad_output = case["grad_output"].copy()
        return made.backward(grad_output), grad_output

    def weight_grad():
        made = block()
        back(made, given["first"])
        return made.weight.grad

    def twice():
        made = block()
        back(made, given["first"])
        back(made, given["second"])
        return {name: getattr(made, name).grad for name in ("weight", "bias", "shift")}

    def unchanged():
        dx, grad_output = back(block(), given["second"])
        return {"dx": dx, "grad_output": grad_output}

    yield "weight", weight_grad
    yield "dx", lambda: back(block(), given["first"])[0]
    yield "twice", twice
    yield "unchanged", unchanged
    case = given["first"]
    many = {name: np.tile(array, (MANY, 1)) for name, array in case.items()}
    yield "large dx", lambda: back(block(), many)[0][-len(case["x"]) :]


def norms(student, given):
    def ask(name):
        case = given[name]
        weights = [weight.copy() for weight in case["weights"]]
        biases = [bias.copy() for bias in case["biases"]]
        return student.example_norms(case["X"].copy(), case["classes"].copy(), weights, biases)

    yield "answer", lambda: student.answer
    yield "deep", lambda: ask("deep")
    yield "shallow", lambda: ask("shallow")
    yield "large", lambda: ask("large")


def faults(student, given):
    def ask(case):
        layers, x, probes = network(case)
        parameters = [p for layer in layers for p in layer.parameters()]
        before = [p.data.copy() for p in parameters]
        errors = student.layer_errors(layers, x, probes)
        pairs = zip(parameters, before, strict=True)
        return {"errors": errors, "moved": max(np.abs(p.data - old).max() for p, old in pairs)}

    for name in ("returned", "added", "left over"):
        yield name, lambda name=name: ask(given[name])


def _pair(answer):
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise TypeError(f"two values must be returned, got {type(answer).__name__}")
    return answer


def network(case):
    """Return layers, input and probes of a network with faults."""
    layers = [Layer(**numbers) for numbers in case["layers"]]
    return layers, case["x"].copy(), [probe.copy() for probe in case["probes"]]


class Layer(gnb.Module):
    """A layer of one of several kinds; in some of them the backward pass is wrong."""

    def __init__(self, kind, weight=None, bias=None, left=0.0):
        self.kind = kind
        if weight is not None:
            self.weight = gnb.Parameter(weight.copy())
            self.bias = gnb.Parameter(bias.copy())
            self.weight.grad += left
            self.bias.grad += left

    def forward(self, x):
        self.x = x
        self.y = self.run(x, *(p.data for p in self.parameters()))
        return self.y

    def run(self, x, weight=None, bias=None):
        if self.kind in (31, 12):
            return x / (1 + x**2)
        if self.kind in (44, 23, 75):
            return x * weight + bias
        z = x @ weight + bias
        return np.log1p(np.exp(z)) if self.kind in (58, 66, 19) else np.tanh(z)

    def backward(self, grad_output, input_grad=True):
        kind, x, y, g = self.kind, self.x, self.y, grad_output
        if kind in (31, 12):
            at = y if kind == 31 else x
            return g * (1 - at**2) / (1 + at**2) ** 2
        weight = self.weight.data
        if kind in (44, 23, 75):
            self.weight.grad += np.sum(g * (y if kind == 75 else x), axis=0)
            self.bias.grad += g.sum(axis=0)
            return g * (np.abs(weight) if kind == 44 else weight)
        dz = g * (1 - np.exp(-y) if kind in (58, 66, 19) else 1 - y**2)
        dW = x[-1:].T @ dz[-1:] if kind == 66 else x.T @ dz
        self.weight.grad += x.T @ g if kind == 80 else dW
        self.bias.grad += (dz[1:] if kind in (37, 28) else dz).sum(axis=0)
        if kind in (91, 28):
            dz = g
        return dz @ (weight if kind == 19 else weight.T)

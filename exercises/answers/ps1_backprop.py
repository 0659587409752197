"""Answers that test the checks of problem set 1."""

from grading import Right, Wrong


def _swish(dx, dbeta, result="dx, dbeta"):
    return f"""
def swish_backward(x, beta, grad_output):
    s = sigmoid(beta * x)
    slope = s * (1 - s)
    dx = {dx}
    dbeta = {dbeta}
    return {result}
"""


DX = "grad_output * (s + beta * x * slope)"
DBETA = "np.sum(grad_output * x**2 * slope)"

SWISH = {
    "forgets beta inside": (_swish("grad_output * (s + x * slope)", DBETA), ["by x"]),
    "one of two paths, the product": (_swish("grad_output * beta * x * slope", DBETA), ["by x"]),
    "one of two paths, the sigmoid": (_swish("grad_output * s", DBETA), ["by x"]),
    "minus between the paths": (
        _swish("grad_output * (s - beta * x * slope)", DBETA),
        ["by x"],
    ),
    "slope of the plain sigmoid": (
        _swish("grad_output * (s + beta * x * sigmoid(x) * (1 - sigmoid(x)))", DBETA),
        ["by x"],
    ),
    "forgets grad_output by x": (_swish("s + beta * x * slope", DBETA), ["by x"]),
    "mean for beta": (_swish(DX, "np.mean(grad_output * x**2 * slope)"), ["by beta"]),
    "x once for beta": (_swish(DX, "np.sum(grad_output * x * slope)"), ["by beta"]),
    "beta for each column": (
        _swish(DX, "np.sum(grad_output * x**2 * slope, axis=0)"),
        ["by beta"],
    ),
    "beta for each entry": (_swish(DX, "grad_output * x**2 * slope"), ["by beta"]),
    "forgets grad_output by beta": (_swish(DX, "np.sum(x**2 * slope)"), ["by beta"]),
    "dx for the path through beta": (
        _swish(DX, "np.sum(dx * x**2 * slope)"),
        ["by beta"],
    ),
    "sums of factors": (
        _swish(DX, "np.sum(grad_output) * np.sum(x**2 * slope)"),
        ["by beta"],
    ),
    "two axes only": (
        _swish(DX, "np.sum(grad_output * x**2 * slope, axis=(0, 1))"),
        ["by beta"],
    ),
    "other order": (_swish(DX, DBETA, "dbeta, dx"), ["by x", "by beta"]),
    "dx alone": (_swish(DX, DBETA, "dx"), ["by x", "by beta"]),
}


def _huber(
    there="~np.isnan(target)",
    error="np.where(there, prediction - target, 0.0)",
    straight="delta * (np.abs(error) - delta / 2)",
    round_="error**2 / 2",
    grad="np.clip(error, -delta, delta)",
    count="there.sum()",
    total="rho.sum()",
    grad_count="count",
):
    return f"""
def huber(prediction, target, delta):
    there = {there}
    error = {error}
    straight = {straight}
    rho = np.where(np.abs(error) <= delta, {round_}, straight)
    grad = {grad}
    count = {count}
    return {total} / count, grad / {grad_count}
"""


ALL_HUBER = ["loss", "gradient", "missing"]
HUBER = {
    "sum for the mean": (_huber(count="1"), ALL_HUBER),
    "mean over rows": (_huber(count="there.any(axis=1).sum()"), ALL_HUBER),
    "no half": (_huber(round_="error**2"), ["loss", "missing"]),
    "straight part does not meet the round one": (
        _huber(straight="delta * np.abs(error)"),
        ["loss", "missing"],
    ),
    "sign of the error lost": (
        _huber(straight="delta * (error - delta / 2)"),
        ["loss", "missing"],
    ),
    "gradient of a square throughout": (_huber(grad="error"), ["gradient", "missing"]),
    "gradient without the sign": (
        _huber(grad="np.where(np.abs(error) <= delta, error, delta)"),
        ["gradient", "missing"],
    ),
    "gradient with slope 1 outside": (
        _huber(grad="np.where(np.abs(error) <= delta, error, np.sign(error))"),
        ["gradient", "missing"],
    ),
    "gradient of the sum": (_huber(grad_count="1"), ["gradient", "missing"]),
    "gradient by the target": (_huber(grad="-np.clip(error, -delta, delta)"), ALL_HUBER[1:]),
    "gradient 0 outside": (
        _huber(grad="np.where(np.abs(error) <= delta, error, 0)"),
        ["gradient", "missing"],
    ),
    "counts the missing": (_huber(count="target.size"), ["missing"]),
    "gradient counts the missing": (_huber(grad_count="target.size"), ["missing"]),
    "zero times nan": (_huber(error="there * (prediction - target)"), ["missing"]),
    "a missing target is 0": (
        _huber(error="prediction - np.nan_to_num(target)", there="np.isfinite(prediction)"),
        ["missing"],
    ),
    "nan in the gradient": (
        _huber(error="prediction - target", total="np.nansum(rho)"),
        ["missing"],
    ),
    "leaves out whole rows": (
        _huber(
            error="np.where(~np.isnan(target.sum(axis=1, keepdims=True)), "
            "prediction - np.nan_to_num(target), 0)",
            count="there.sum()",
        ),
        ["missing"],
    ),
    "gradient of what is there alone": (
        """
        def huber(prediction, target, delta):
            there = ~np.isnan(target)
            error = prediction[there] - target[there]
            size = np.abs(error)
            rho = np.where(size <= delta, error**2 / 2, delta * (size - delta / 2))
            return rho.mean(), np.clip(error, -delta, delta) / error.size
        """,
        ["gradient", "missing"],
    ),
    "fills the gaps in place": (
        """
        def huber(prediction, target, delta):
            there = ~np.isnan(target)
            target[~there] = prediction[~there]
            error = prediction - target
            size = np.abs(error)
            rho = np.where(size <= delta, error**2 / 2, delta * (size - delta / 2))
            return rho.sum() / there.sum(), np.clip(error, -delta, delta) / there.sum()
        """,
        ["missing"],
    ),
    "subtracts in place": (
        """
        def huber(prediction, target, delta):
            there = ~np.isnan(target)
            error = prediction
            error -= target
            error[~there] = 0
            size = np.abs(error)
            rho = np.where(size <= delta, error**2 / 2, delta * (size - delta / 2))
            return rho.sum() / there.sum(), np.clip(error, -delta, delta) / there.sum()
        """,
        ["missing"],
    ),
}


def _rms(
    r="np.sqrt(np.mean(x**2, axis=1, keepdims=True) + eps)",
    u="grad_output * gamma",
    through="x_hat * np.mean(u * x_hat, axis=1, keepdims=True)",
    dx="(u - through) / r",
    dgamma="np.sum(grad_output * x_hat, axis=0)",
):
    return f"""
def rms_norm_backward(x, gamma, eps, grad_output):
    r = {r}
    x_hat = x / r
    u = {u}
    through = {through}
    dx = {dx}
    dgamma = {dgamma}
    return dx, dgamma
"""


MEAN_SQUARE = "np.mean(x**2, axis=1, keepdims=True)"
RMS_NORM = {
    "r taken for a constant": (_rms(dx="u / r"), ["by x", "eps"]),
    "only its own path through r": (
        _rms(through="x_hat * u * x_hat / x.shape[1]"),
        ["by x", "eps"],
    ),
    "sum for the mean": (
        _rms(through="x_hat * np.sum(u * x_hat, axis=1, keepdims=True)"),
        ["by x", "eps"],
    ),
    "mean over the batch": (
        _rms(through="x_hat * np.mean(u * x_hat, axis=0)"),
        ["by x", "eps"],
    ),
    "gamma forgotten through r": (
        _rms(through="x_hat * np.mean(grad_output * x_hat, axis=1, keepdims=True)"),
        ["by x", "eps"],
    ),
    "gamma forgotten": (_rms(u="grad_output"), ["by x", "eps"]),
    "sign of the path through r": (_rms(dx="(u + through) / r"), ["by x", "eps"]),
    "not divided by r": (_rms(dx="u - through"), ["by x", "eps"]),
    "subtracts a mean, as batch normalisation": (
        _rms(dx="(u - u.mean(axis=1, keepdims=True) - through) / r"),
        ["by x", "eps"],
    ),
    "r over the batch": (
        _rms(r="np.sqrt(np.mean(x**2, axis=0) + eps)"),
        ["by gamma", "by x", "eps"],
    ),
    "r of the whole array": (
        _rms(r="np.sqrt(np.mean(x**2) + eps)"),
        ["by gamma", "by x", "eps"],
    ),
    "eps forgotten": (_rms(r=f"np.sqrt({MEAN_SQUARE})"), ["eps"]),
    "eps outside the root": (_rms(r=f"np.sqrt({MEAN_SQUARE}) + eps"), ["eps"]),
    "eps forgotten through r": (
        _rms(through=f"x * np.mean(u * x, axis=1, keepdims=True) / {MEAN_SQUARE}"),
        ["eps"],
    ),
    "norm of x_hat taken for n": (
        _rms(
            through="x_hat * np.sum(u * x_hat, axis=1, keepdims=True)"
            " / np.sum(x_hat**2, axis=1, keepdims=True)"
        ),
        ["eps"],
    ),
    "mean for gamma": (_rms(dgamma="np.mean(grad_output * x_hat, axis=0)"), ["by gamma"]),
    "x for gamma": (_rms(dgamma="np.sum(grad_output * x, axis=0)"), ["by gamma"]),
    "y for gamma": (_rms(dgamma="np.sum(u * x_hat, axis=0)"), ["by gamma"]),
    "gamma for each entry": (_rms(dgamma="grad_output * x_hat"), ["by gamma"]),
    "gamma summed over features": (
        _rms(dgamma="np.sum(grad_output * x_hat, axis=1)"),
        ["by gamma"],
    ),
    "gamma summed over all": (_rms(dgamma="np.sum(grad_output * x_hat)"), ["by gamma"]),
    "gamma keeps an axis": (
        _rms(dgamma="np.sum(grad_output * x_hat, axis=0, keepdims=True)"),
        ["by gamma"],
    ),
    "other order": (
        _rms() + "\nright = rms_norm_backward\n"
        "rms_norm_backward = lambda *args: right(*args)[::-1]\n",
        ["by gamma", "by x", "eps"],
    ),
}

TIED_HEAD = """
class TiedBlock(gnb.Module):
    def __init__(self, features, hidden, rng):
        self.weight = gnb.Parameter(rng.normal(0, 0.5, (features, hidden)))
        self.bias = gnb.Parameter(rng.normal(0, 0.5, hidden))
        self.shift = gnb.Parameter(rng.normal(0, 0.5, features))

    def forward(self, x):
        self.x = x
        self.h = np.tanh(x @ self.weight.data + self.bias.data)
        return x + self.h @ self.weight.data.T + self.shift.data

    def backward(self, grad_output):
"""


def _tied(
    dz="grad_output @ W * (1 - self.h**2)",
    first="self.weight.grad += self.x.T @ dz",
    second="self.weight.grad += grad_output.T @ self.h",
    bias="self.bias.grad += dz.sum(axis=0)",
    shift="self.shift.grad += grad_output.sum(axis=0)",
    result="grad_output + dz @ W.T",
):
    lines = ["W = self.weight.data", f"dz = {dz}", first, second, bias, shift, f"return {result}"]
    return TIED_HEAD + "".join(f"        {line}\n" for line in lines if line)


ALL_TIED = ["weight", "input", "adds", "unchanged"]
TIED = {
    "only the first use": (_tied(second=""), ["weight", "adds"]),
    "only the second use": (_tied(first=""), ["weight", "adds"]),
    "the second use overwrites the first": (
        _tied(second="self.weight.grad[...] = grad_output.T @ self.h"),
        ["weight", "adds"],
    ),
    "mean of both uses": (
        _tied(
            first="self.weight.grad += self.x.T @ dz / 2",
            second="self.weight.grad += grad_output.T @ self.h / 2",
        ),
        ["weight", "adds"],
    ),
    "uses subtracted": (
        _tied(second="self.weight.grad -= grad_output.T @ self.h"),
        ["weight", "adds"],
    ),
    "x for the second use": (
        _tied(second="self.weight.grad += grad_output.T @ (self.x @ W)"),
        ["weight", "adds"],
    ),
    "divided by the batch": (
        _tied(
            first="self.weight.grad += self.x.T @ dz / len(dz)",
            second="self.weight.grad += grad_output.T @ self.h / len(dz)",
        ),
        ["weight", "adds"],
    ),
    "overwrites .grad": (
        _tied(
            first="self.weight.grad[...] = self.x.T @ dz + grad_output.T @ self.h",
            second="",
            bias="self.bias.grad[...] = dz.sum(axis=0)",
            shift="self.shift.grad[...] = grad_output.sum(axis=0)",
        ),
        ["adds"],
    ),
    "overwrites the biases": (
        _tied(
            bias="self.bias.grad = dz.sum(axis=0)",
            shift="self.shift.grad = grad_output.sum(axis=0)",
        ),
        ["adds"],
    ),
    "mean for the biases": (
        _tied(
            bias="self.bias.grad += dz.mean(axis=0)",
            shift="self.shift.grad += grad_output.mean(axis=0)",
        ),
        ["adds"],
    ),
    "biases forgotten": (_tied(bias="", shift=""), ["adds"]),
    "b gets what goes on to x": (
        _tied(bias="self.bias.grad += (grad_output @ W).sum(axis=0)"),
        ["adds"],
    ),
    "shortcut forgotten": (_tied(result="dz @ W.T"), ["input", "unchanged"]),
    "only the shortcut": (_tied(result="grad_output"), ["input", "unchanged"]),
    "paths averaged": (_tied(result="(grad_output + dz @ W.T) / 2"), ["input", "unchanged"]),
    "shortcut gets the slope": (
        _tied(result="(grad_output @ W + grad_output @ W) * (1 - self.h**2) @ W.T"),
        ["input", "unchanged"],
    ),
    "returns nothing": (_tied(result="None"), ["input", "unchanged"]),
    "adds the paths in place": (
        _tied(second="self.weight.grad += grad_output.T @ self.h", result="grad_output").replace(
            "return grad_output", "grad_output += dz @ W.T\n        return grad_output"
        ),
        ["unchanged"],
    ),
    "adds the paths in place before it is used": (
        _tied(
            first="self.weight.grad += self.x.T @ dz; grad_output += dz @ W.T",
            result="grad_output",
        ),
        ["weight", "adds", "unchanged"],
    ),
    "no slope": (_tied(dz="grad_output @ W"), ALL_TIED),
    "tanh a second time": (_tied(dz="grad_output @ W * (1 - np.tanh(self.h) ** 2)"), ALL_TIED),
    "slope by y": (_tied(dz="grad_output @ W * (1 - self.h)"), ALL_TIED),
    "second use transposed": (
        _tied(second="self.weight.grad += self.h.T @ grad_output"),
        ALL_TIED,
    ),
}


def _norms(
    delta="softmax(Z)",
    factor="",
    squares="np.sum(delta**2, axis=1) * (np.sum(A[l] ** 2, axis=1) + 1)",
    below="(delta @ weights[l].T) * (1 - A[l] ** 2)",
    result="np.sqrt(squares)",
    answer="[np.argmax(own_norms), own_norms.max()]",
):
    return f"""
def example_norms(X, classes, weights, biases):
    *A, Z = forward(X, weights, biases)
    delta = {delta}
    delta[np.arange(len(X)), classes] -= 1
    {factor}
    squares = np.zeros(len(X))
    for l in reversed(range(len(weights))):
        squares += {squares}
        delta = {below}
    return {result}


own_norms = example_norms(own_X, own_classes, own_weights, own_biases)
answer = {answer}
"""


BOTH = ["own", "any network"]
TWO_LAYERS = """
def example_norms(X, classes, weights, biases):
    _, H, Z = forward(X, weights, biases)
    d2 = softmax(Z) - np.eye(Z.shape[1])[classes]
    d1 = d2 @ weights[1].T * (1 - H**2)
    squares = np.sum(d2**2, axis=1) * (1 + np.sum(H**2, axis=1))
    squares += np.sum(d1**2, axis=1) * (1 + np.sum(X**2, axis=1))
    return np.sqrt(squares)


own_norms = example_norms(own_X, own_classes, own_weights, own_biases)
answer = [np.argmax(own_norms), own_norms.max()]
"""
NORMS = {
    "1/N of the batch left in": (_norms(factor="delta /= len(X)"), BOTH),
    "biases forgotten": (
        _norms(squares="np.sum(delta**2, axis=1) * np.sum(A[l] ** 2, axis=1)"),
        BOTH,
    ),
    "the errors alone": (_norms(squares="np.sum(delta**2, axis=1)"), BOTH),
    "last layer only": (_norms(below="0 * delta @ weights[l].T"), BOTH),
    "no slope": (_norms(below="delta @ weights[l].T"), BOTH),
    "squares": (_norms(result="squares"), BOTH),
    "differences, row by row": (
        """
        def example_norms(X, classes, weights, biases):
            norms = []
            for i in range(len(X)):

                def loss(_):
                    p = softmax(forward(X[i : i + 1], weights, biases)[-1])
                    return -np.log(p[0, classes[i]])

                parts = [gnb.numerical_gradient(loss, a) for a in [*weights, *biases]]
                norms.append(np.sqrt(sum(np.sum(part**2) for part in parts)))
            return np.array(norms)


        own = example_norms(own_X, own_classes, own_weights, own_biases)
        answer = [np.argmax(own), np.max(own)]
        """,
        ["any network"],
    ),
    "sum of the layers' norms": (
        _norms(
            squares="np.sqrt(np.sum(delta**2, axis=1) * (np.sum(A[l] ** 2, axis=1) + 1))",
            result="squares",
        ),
        BOTH,
    ),
    "gradient by the input": (_norms(squares="0", result="np.sqrt(np.sum(delta**2, 1))"), BOTH),
    "norm of the batch for each": (
        _norms(result="np.full(len(X), np.sqrt(squares.sum()))"),
        BOTH,
    ),
    "sum of absolute values": (
        _norms(
            squares="np.sum(np.abs(delta), 1) * (np.sum(np.abs(A[l]), 1) + 1)", result="squares"
        ),
        BOTH,
    ),
    "an axis too many": (
        _norms(
            result="np.sqrt(squares)[:, None]",
        ),
        ["any network"],
    ),
    "two layers only": (TWO_LAYERS, ["any network"]),
    "row counted from 1": (_norms(answer="[np.argmax(own_norms) + 1, own_norms.max()]"), ["own"]),
    "shortest": (_norms(answer="[np.argmin(own_norms), own_norms.min()]"), ["own"]),
    "length alone": (_norms(answer="own_norms.max()"), ["own"]),
    "no answer": (_norms(answer="None"), ["own"]),
}


def _faults(
    zero="p.grad[...] = 0",
    pairs="[(dx, x), *((p.grad, p.data) for p in parameters)]",
    error="distance(g, n)",
    combine="max(found)",
    probe="probe",
    after="x = output",
    result="errors",
):
    return f"""
def layer_errors(layers, x, probes):
    errors = []
    for layer, probe in zip(layers, probes, strict=True):
        parameters = list(layer.parameters())
        for p in parameters:
            {zero}
        output = layer.forward(x)
        g = {probe}
        s = lambda _: np.sum(g * layer.forward(x))
        dx = layer.backward(g)
        pairs = {pairs}
        numeric = [gnb.numerical_gradient(s, a) for _, a in pairs]
        found = [{error} for (g, _), n in zip(pairs, numeric)] or [0]
        errors.append({combine})
        {after}
    return {result}
"""


ALL_FAULTS = ["returned", "added", "left over"]
FAULTS = {
    "looks at what is returned only": (_faults(pairs="[(dx, x)]"), ["added", "left over"]),
    "looks at parameters only": (
        _faults(pairs="[(p.grad, p.data) for p in parameters]"),
        ["returned", "left over"],
    ),
    "looks at the first parameter only": (
        _faults(pairs="[(dx, x), *((p.grad, p.data) for p in parameters[:1])]"),
        ["added", "left over"],
    ),
    "takes .grad as it is": (_faults(zero="pass"), ["left over"]),
    "zeroes after": (
        _faults(zero="pass", after="x = output; layer.zero_grad()"),
        ["left over"],
    ),
    "divides by the wrong one": (_faults(error="distance(n, g)"), ALL_FAULTS),
    "largest entries": (
        _faults(error="np.abs(g - n).max() / max(np.abs(g).max(), np.abs(n).max())"),
        ALL_FAULTS,
    ),
    "entry by entry": (_faults(error="np.max(np.abs(g - n) / np.abs(n))"), ALL_FAULTS),
    "absolute": (_faults(error="np.linalg.norm(g - n)"), ALL_FAULTS),
    "difference of the lengths": (
        _faults(error="abs(np.linalg.norm(g) / np.linalg.norm(n) - 1)"),
        ALL_FAULTS,
    ),
    "as gradcheck has it": (
        """
        class Probe:
            def __call__(self, output, probe):
                self.probe = probe
                return np.sum(output * probe)

            def backward(self):
                return self.probe

        def layer_errors(layers, x, probes):
            errors = []
            for layer, probe in zip(layers, probes):
                report = gnb.gradcheck(layer, Probe(), x, probe, raise_exception=False)
                errors.append(max(report.errors.values()))
                x = layer.forward(x)
            return errors
        """,
        ALL_FAULTS,
    ),
    "mean of the arrays": (_faults(combine="np.mean(found)"), ALL_FAULTS),
    "sum of the arrays": (_faults(combine="np.sum(found)"), ["left over"]),
    "last array": (_faults(combine="found[-1]"), ALL_FAULTS),
    "probe of ones": (_faults(probe="np.ones_like(output)"), ALL_FAULTS),
    "x of the network for every layer": (_faults(after="pass"), ALL_FAULTS),
    "probe goes on to the next": (_faults(after="x = dx"), ALL_FAULTS),
    "place of the first fault": (
        _faults(result="[i for i, e in enumerate(errors) if e > 1e-6][0]"),
        ALL_FAULTS,
    ),
    "whether, not how much": (_faults(result="[float(e > 1e-6) for e in errors]"), ALL_FAULTS),
    "stops at the first fault": (
        _faults(result="[e * (sum(errors[:i]) < 1e-6) for i, e in enumerate(errors)]"),
        ALL_FAULTS,
    ),
    "back to front": (_faults(result="errors[::-1]"), ALL_FAULTS),
    "weights left where a nudge took them": (
        _faults(after="x = output; [np.add(p.data, 1e-6, out=p.data) for p in parameters]"),
        ["left over"],
    ),
    "the whole network at once": (
        """
        def layer_errors(layers, x, probes):
            def s(_):
                y = x
                for layer in layers:
                    y = layer.forward(y)
                return np.sum(probes[-1] * y)

            for layer in layers:
                for p in layer.parameters():
                    p.grad[...] = 0
            s(x)
            g, errors = probes[-1], []
            for layer in reversed(layers):
                g = layer.backward(g)
                parts = [
                    distance(p.grad, gnb.numerical_gradient(s, p.data))
                    for p in layer.parameters()
                ]
                errors.insert(0, max(parts, default=0.0))
            return errors
        """,
        ALL_FAULTS,
    ),
}

WRONG = [
    Wrong(task, name, code, fails)
    for task, answers in {
        "swish": SWISH,
        "huber": HUBER,
        "rms-norm": RMS_NORM,
        "tied": TIED,
        "norms": NORMS,
        "faults": FAULTS,
    }.items()
    for name, (code, fails) in answers.items()
]

NORMS_END = """

own_norms = example_norms(own_X, own_classes, own_weights, own_biases)
answer = [int(np.argmax(own_norms)), float(np.max(own_norms))]
"""

RIGHT = [
    Right(
        "swish",
        "in loops",
        """
        def swish_backward(x, beta, grad_output):
            dx, dbeta = np.zeros(x.shape), 0.0
            for i in np.ndindex(x.shape):
                s = 1 / (1 + np.exp(-beta * x[i]))
                dx[i] = grad_output[i] * s * (1 + beta * x[i] * (1 - s))
                dbeta += grad_output[i] * x[i] ** 2 * s * (1 - s)
            return dx, dbeta
        """,
    ),
    Right(
        "swish",
        "by y",
        """
        def swish_backward(x, beta, grad_output):
            s = sigmoid(beta * x)
            y = x * s
            dbeta = np.ravel(grad_output) @ np.ravel(y * (x - y))
            return [grad_output * (beta * y + s * (1 - beta * y)), np.array([dbeta])]
        """,
    ),
    Right(
        "swish",
        "single precision",
        """
        def swish_backward(x, beta, grad_output):
            x, grad_output = np.float32(x), np.float32(grad_output)
            s = sigmoid(np.float32(beta) * x)
            slope = s * (1 - s)
            dx = grad_output * (s + np.float32(beta) * x * slope)
            return dx, np.einsum("i,i,i->", (grad_output * x).ravel(), x.ravel(), slope.ravel())
        """,
    ),
    Right(
        "swish",
        "in place of its own arrays",
        """
        def swish_backward(x, beta, grad_output):
            s = sigmoid(beta * x)
            slope = s * (1 - s)
            dx = beta * x
            dx *= slope
            dx += s
            dx *= grad_output
            return dx, (grad_output * x * x * slope).sum(axis=0).sum()
        """,
    ),
    Right(
        "huber",
        "in loops",
        """
        def huber(prediction, target, delta):
            loss, grad, count = 0.0, np.zeros(prediction.shape), 0
            for i in range(len(target)):
                for j in range(target.shape[1]):
                    if target[i, j] != target[i, j]:
                        continue
                    e = prediction[i, j] - target[i, j]
                    count += 1
                    loss += e * e / 2 if abs(e) < delta else delta * (abs(e) - delta / 2)
                    grad[i, j] = max(-delta, min(delta, e))
            grad /= count
            return loss / count, grad
        """,
    ),
    Right(
        "huber",
        "by the clipped error",
        """
        def huber(prediction, target, delta):
            c = np.clip(prediction - target, -delta, delta)
            rho = c * (prediction - target) - c**2 / 2
            grad = np.nan_to_num(c) / np.isfinite(target).sum()
            return np.nanmean(rho), grad
        """,
    ),
    Right(
        "huber",
        "indices of what is there",
        """
        def huber(prediction, target, delta):
            there = np.isfinite(target)
            error = (prediction - target)[there]
            near = np.abs(error) < delta
            rho = np.empty_like(error)
            rho[near] = 0.5 * error[near] ** 2
            rho[~near] = delta * np.abs(error[~near]) - 0.5 * delta**2
            grad = np.zeros_like(prediction)
            grad[there] = np.where(near, error, delta * np.sign(error)) / error.size
            return np.array([rho.mean()]), grad
        """,
    ),
    Right(
        "huber",
        "single precision",
        """
        def huber(prediction, target, delta):
            prediction, target = prediction.astype("f4"), target.astype("f4")
            error = np.nan_to_num(prediction - target)
            size = np.abs(error)
            rho = np.where(size <= delta, error**2 / 2, delta * size - delta**2 / 2)
            count = np.float32((target == target).sum())
            return rho.sum() / count, np.clip(error, -delta, delta) / count
        """,
    ),
    Right(
        "rms-norm",
        "row by row with Jacobians",
        """
        def rms_norm_backward(x, gamma, eps, grad_output):
            n = x.shape[1]
            dx, dgamma = [], 0
            for row, g in zip(x, grad_output):
                r = (row @ row / n + eps) ** 0.5
                J = np.diag(gamma) / r - np.outer(row, gamma * row) / (n * r**3)
                dx.append(J @ g)
                dgamma = dgamma + g * row / r
            return np.array(dx), dgamma
        """,
    ),
    Right(
        "rms-norm",
        "in loops over entries",
        """
        def rms_norm_backward(x, gamma, eps, grad_output):
            rows, n = x.shape
            dx, dgamma = np.zeros((rows, n)), np.zeros(n)
            for i in range(rows):
                r = np.sqrt(sum(v * v for v in x[i].tolist()) / n + eps)
                dr = 0.0
                for k in range(n):
                    dr -= grad_output[i, k] * gamma[k] * x[i, k] / r**2
                    dgamma[k] += grad_output[i, k] * x[i, k] / r
                for j in range(n):
                    dx[i, j] = grad_output[i, j] * gamma[j] / r + dr * x[i, j] / (n * r)
            return dx, dgamma
        """,
    ),
    Right(
        "rms-norm",
        "einsum",
        """
        def rms_norm_backward(x, gamma, eps, grad_output):
            s = 1 / np.sqrt(np.einsum("ij,ij->i", x, x) / x.shape[1] + eps)
            inner = np.einsum("ij,j,ij->i", grad_output, gamma, x) * s**3 / x.shape[1]
            dx = np.einsum("ij,j,i->ij", grad_output, gamma, s) - x * inner[:, None]
            return dx, np.einsum("ij,ij,i->j", grad_output, x, s)
        """,
    ),
    Right(
        "rms-norm",
        "single precision",
        """
        def rms_norm_backward(x, gamma, eps, grad_output):
            x, gamma, g = np.float32(x), np.float32(gamma), np.float32(grad_output)
            r = np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + np.float32(eps))
            x_hat = x / r
            dx = g * gamma / r - x_hat * (g * gamma * x_hat).mean(1, keepdims=True) / r
            return dx, (g * x_hat).sum(0)
        """,
    ),
    Right(
        "tied",
        "one product of stacked rows",
        _tied(
            first="left = np.concatenate([self.x, grad_output])",
            second="self.weight.grad += left.T @ np.concatenate([dz, self.h])",
            bias="self.bias.grad += np.ones(len(dz)) @ dz",
            result="(dz @ W.T).__iadd__(grad_output)",
        ),
    ),
    Right(
        "tied",
        "row by row",
        TIED_HEAD
        + """
        dx = np.empty_like(grad_output)
        for i, g in enumerate(grad_output):
            back = (1 - self.h[i] ** 2) * (g @ self.weight.data)
            self.weight.grad = self.weight.grad + np.outer(self.x[i], back)
            self.weight.grad = self.weight.grad + np.outer(g, self.h[i])
            self.bias.grad = self.bias.grad + back
            self.shift.grad = self.shift.grad + g
            dx[i] = g + self.weight.data @ back
        return dx
""",
    ),
    Right(
        "tied",
        "einsum",
        _tied(
            dz="np.einsum('ij,jk,ik->ik', grad_output, W, 1 - self.h * self.h)",
            first="self.weight.grad += np.einsum('ij,ik->jk', self.x, dz)",
            second="self.weight.grad += np.einsum('ij,ik->jk', grad_output, self.h)",
            result="np.einsum('ik,jk->ij', dz, W) + grad_output",
        ),
    ),
    Right(
        "tied",
        "result in single precision",
        _tied(result="np.float32(grad_output) + np.float32(dz) @ np.float32(W.T)"),
    ),
    Right(
        "norms",
        "one example at a time through gradnb",
        """
        def example_norms(X, classes, weights, biases):
            modules = []
            for W, b in zip(weights, biases):
                layer = gnb.Linear(*W.shape)
                layer.weight.data[...] = W
                layer.bias.data[...] = b
                modules += [layer, gnb.Tanh()]
            model, criterion = gnb.Sequential(*modules[:-1]), gnb.CrossEntropyLoss()
            norms = []
            for i in range(len(X)):
                model.zero_grad()
                criterion(model(X[i : i + 1]), classes[i : i + 1])
                model.backward(criterion.backward())
                norms.append(sum((p.grad**2).sum() for p in model.parameters()) ** 0.5)
            return norms
        """
        + NORMS_END.replace("\n", "\n        "),
    ),
    Right(
        "norms",
        "all gradients of all examples by einsum",
        """
        def example_norms(X, classes, weights, biases):
            *A, Z = forward(X, weights, biases)
            delta = softmax(Z) - np.eye(Z.shape[1])[classes]
            flat = []
            for W, a in zip(weights[::-1], A[::-1]):
                flat.append(np.einsum("ij,ik->ijk", a, delta).reshape(len(X), -1))
                flat.append(delta)
                delta = (delta @ W.T) * (1 - a**2)
            return np.linalg.norm(np.hstack(flat), axis=1)
        """
        + NORMS_END.replace("\n", "\n        "),
    ),
    Right(
        "norms",
        "single precision",
        """
        def example_norms(X, classes, weights, biases):
            X = np.float32(X)
            weights, biases = [np.float32(W) for W in weights], [np.float32(b) for b in biases]
            *A, Z = forward(X, weights, biases)
            delta = softmax(Z)
            delta[np.arange(len(X)), classes] -= 1
            total = 0
            for W, a in zip(weights[::-1], A[::-1]):
                total = total + (delta**2).sum(axis=1) * (1 + (a**2).sum(axis=1))
                delta = (delta @ W.T) * (1 - a**2)
            return np.sqrt(total)
        """
        + NORMS_END.replace("\n", "\n        "),
    ),
    Right(
        "faults",
        "subtracts what was there",
        """
        def layer_errors(layers, x, probes):
            errors = np.zeros(len(layers))
            for k, (layer, probe) in enumerate(zip(layers, probes)):
                y = layer.forward(x)
                before = [p.grad.copy() for p in layer.parameters()]
                dx = layer.backward(probe)
                after = [p.grad - b for p, b in zip(layer.parameters(), before)]
                s = lambda _: (probe * layer.forward(x)).sum()
                true = [gnb.numerical_gradient(s, x)]
                true += [gnb.numerical_gradient(s, p.data) for p in layer.parameters()]
                for mine, other in zip([dx, *after], true):
                    errors[k] = max(errors[k], distance(mine, other))
                x = y
            return errors
        """,
    ),
    Right(
        "faults",
        "differences by hand",
        """
        def layer_errors(layers, x, probes):
            inputs = [x]
            for layer in layers:
                inputs.append(layer.forward(inputs[-1]))
            errors = []
            for layer, a, probe in zip(layers, inputs, probes):
                layer.zero_grad()
                layer.forward(a)
                arrays = [[layer.backward(probe), a]]
                arrays += [[p.grad, p.data] for p in layer.parameters()]
                worst = 0
                for found, array in arrays:
                    numeric = np.zeros_like(array)
                    for i in np.ndindex(array.shape):
                        old = array[i]
                        array[i] = old + 1e-5
                        up = np.sum(probe * layer.forward(a))
                        array[i] = old - 1e-5
                        down = np.sum(probe * layer.forward(a))
                        array[i] = old
                        numeric[i] = (up - down) / 2e-5
                    square = ((found - numeric) ** 2).sum() / (numeric**2).sum()
                    worst = max(worst, square**0.5)
                errors.append(worst)
            return errors
        """,
    ),
    Right(
        "faults",
        "forward differences, rounded",
        _faults(error="round(distance(g, n), 6)").replace(
            "numerical_gradient(s, a)", "numerical_gradient(s, a, method='forward')"
        ),
    ),
]

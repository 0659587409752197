"""Hidden inputs of problem set 1, and what the values must satisfy.

What is expected comes from elsewhere than the notebook's solutions: from complex steps, Jacobians
written out, loops over entries, and `gradnb` with one example at a time.
"""

import importlib.util
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

import gradnb as gnb
from grading import Check, Task, close


@cache
def calls():
    """Return the calls, which hold the layers of the last task; read when first needed."""
    path = Path(__file__).resolve().parent.parent / "calls" / "ps1_backprop.py"
    spec = importlib.util.spec_from_file_location("calls_of_ps1_backprop", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def same(got, expected):
    """Allow for a part of the work having been done in single precision only at its end."""
    return close(got, expected, rtol=1e-6)


def same_number(got, expected):
    """Compare one number, whatever array it stands in."""
    return np.size(got) == 1 and same(np.reshape(got, ()), expected)


def complex_step(f, x):
    """Return the gradient of f at x, exact to rounding."""
    return gnb.numerical_gradient(f, x, method="complex")


# ---------------------------------------------------------------- swish


def swish_inputs(rng):
    def case(*shape):
        return {"x": rng.normal(0, 2, shape), "grad_output": rng.normal(0, 1.5, shape)}

    return {"beta": rng.uniform(1.5, 2.5), "batch": case(5, 4), "cube": case(2, 3, 4)}


def swish_loss(x, beta, grad_output):
    return np.sum(grad_output * x / (1 + np.exp(-beta * x)))


def swish_dx(given, got):
    def right(name):
        case = given[name]

        def loss(x):
            return swish_loss(x, given["beta"], case["grad_output"])

        return same(got[f"{name} dx"], complex_step(loss, case["x"]))

    return right("batch") and right("cube") and same(got["large dx"], got["batch dx"])


def swish_dbeta(given, got):
    def right(name):
        case = given[name]

        def loss(beta):
            return swish_loss(case["x"], beta[0], case["grad_output"])

        true = complex_step(loss, np.array([given["beta"]]))[0]
        return same_number(got[f"{name} dbeta"], true)

    return right("batch") and right("cube")


# ---------------------------------------------------------------- huber


def huber_inputs(rng):
    delta = rng.uniform(0.6, 1.6)

    def pair(rows, columns):
        half = rows * columns // 2
        near, far = rng.uniform(0.1, 0.8, half), rng.uniform(1.5, 4, rows * columns - half)
        error = rng.permutation(np.concatenate([near, far])) * delta
        error[::2] *= -1
        target = rng.normal(0, 2, (rows, columns))
        return target + error.reshape(rows, columns), target

    full, gaps = pair(6, 4), pair(7, 3)
    gaps[1].flat[rng.choice(21, 5, replace=False)] = np.nan
    return {
        "delta": delta,
        "full prediction": full[0],
        "full target": full[1],
        "gaps prediction": gaps[0],
        "gaps target": gaps[1],
    }


def huber(given, name):
    """Return loss and gradient, entry by entry."""
    prediction, target, delta = given[f"{name} prediction"], given[f"{name} target"], given["delta"]
    total, count, grad = 0.0, 0, np.zeros_like(prediction)
    for i in np.ndindex(prediction.shape):
        if np.isnan(target[i]):
            continue
        error = prediction[i] - target[i]
        count += 1
        if abs(error) > delta:
            total += delta * abs(error) - delta**2 / 2
            grad[i] = delta if error > 0 else -delta
        else:
            total += 0.5 * error * error
            grad[i] = error
    return total / count, grad / count


def huber_loss(given, got):
    return same_number(got["full loss"], huber(given, "full")[0])


def huber_gradient(given, got):
    gradient = huber(given, "full")[1]
    return same(got["full gradient"], gradient) and same(
        got["large gradient"], gradient / calls().MANY
    )


def huber_gaps(given, got):
    loss, grad = huber(given, "gaps")
    return same_number(got["gaps loss"], loss) and same(got["gaps gradient"], grad)


def huber_again(given, got):
    full, gaps = huber(given, "full")[0], huber(given, "gaps")[0]
    right = same_number(got["full loss again"], full)
    return right and same_number(got["gaps loss again"], gaps)


# ---------------------------------------------------------------- rms-norm


def rms_norm_inputs(rng):
    def case(rows, columns, eps, size):
        return {
            "x": rng.normal(0, size, (rows, columns)) * rng.uniform(0.5, 2, (rows, 1)),
            "gamma": rng.normal(1, 1, columns),
            "eps": eps,
            "grad_output": rng.normal(0, 1.5, (rows, columns)),
        }

    return {
        "plain": case(6, 4, 1e-12, 2.0),
        "single": case(1, 5, 1e-12, 2.0),
        "eps": case(4, 7, rng.uniform(0.2, 0.6), 0.6),
    }


def rms_norm(case):
    """Return dx and dgamma by the Jacobian of each row."""
    x, gamma, g = case["x"], case["gamma"], case["grad_output"]
    n = x.shape[1]
    dx, dgamma = np.zeros_like(x), np.zeros(n)
    for i, row in enumerate(x):
        r = np.sqrt(row @ row / n + case["eps"])
        jacobian = (np.eye(n) - np.outer(row, row) / (n * r**2)) / r * gamma
        dx[i] = jacobian @ g[i]
        dgamma += g[i] * row / r
    return dx, dgamma


def rms_norm_dgamma(given, got):
    right = same(got["plain dgamma"], rms_norm(given["plain"])[1])
    return right and same(got["single dgamma"], rms_norm(given["single"])[1])


def rms_norm_dx(given, got):
    right = same(got["plain dx"], rms_norm(given["plain"])[0])
    right = right and same(got["single dx"], rms_norm(given["single"])[0])
    return right and same(got["large dx"], rms_norm(calls().large_rows())[0][::100])


def rms_norm_eps(given, got):
    return same(got["eps dx"], rms_norm(given["eps"])[0])


# ---------------------------------------------------------------- tied


def tied_inputs(rng):
    features, hidden = 5, 3

    def case(rows):
        shape = rows, features
        return {"x": rng.normal(size=shape), "grad_output": rng.normal(0, 1.5, shape)}

    return {
        "weight": rng.normal(0, 0.6, (features, hidden)),
        "bias": rng.normal(0, 0.5, hidden),
        "shift": rng.normal(0, 0.5, features),
        "first": case(7),
        "second": case(4),
    }


def tied(given, case, name):
    """Return the gradient by one of the block's arrays, or by x."""
    arrays = {key: given[key] for key in ("weight", "bias", "shift")} | {"x": given[case]["x"]}

    def loss(value):
        a = arrays | {name: value}
        y = a["x"] + np.tanh(a["x"] @ a["weight"] + a["bias"]) @ a["weight"].T + a["shift"]
        return np.sum(given[case]["grad_output"] * y)

    return complex_step(loss, arrays[name])


def tied_weight(given, got):
    return same(got["weight"], tied(given, "first", "weight"))


def tied_dx(given, got):
    true = tied(given, "first", "x")
    return same(got["dx"], true) and same(got["large dx"], true)


def tied_adds(given, got):
    return all(
        same(got["twice"][name], tied(given, "first", name) + tied(given, "second", name))
        for name in ("weight", "bias", "shift")
    )


def tied_unchanged(given, got):
    after = got["unchanged"]
    untouched = np.array_equal(after["grad_output"], given["second"]["grad_output"])
    return untouched and same(after["dx"], tied(given, "second", "x"))


# ---------------------------------------------------------------- norms


def norms_inputs(rng):
    def case(rows, *sizes):
        return {
            "X": rng.normal(0, 1, (rows, sizes[0])),
            "classes": rng.integers(sizes[-1], size=rows),
            "weights": [rng.normal(0, 0.6, pair) for pair in pairwise(sizes)],
            "biases": [rng.normal(0, 0.5, n) for n in sizes[1:]],
        }

    return {
        "deep": case(9, 5, 7, 6, 3),
        "shallow": case(6, 4, 3),
        "large": case(300, 40, 60, 10),
    }


def norms(case):
    """Return the norms by a backward pass of `gradnb` for each example alone."""
    modules = []
    for weight, bias in zip(case["weights"], case["biases"], strict=True):
        linear = gnb.Linear(*weight.shape)
        linear.weight.data[...] = weight
        linear.bias.data[...] = bias
        modules += [linear, gnb.Tanh()]
    model, criterion = gnb.Sequential(*modules[:-1]), gnb.CrossEntropyLoss()
    found = []
    for i in range(len(case["X"])):
        model.zero_grad()
        criterion(model(case["X"][i : i + 1]), case["classes"][i : i + 1])
        model.backward(criterion.backward())
        found.append(np.sqrt(sum(np.sum(p.grad**2) for p in model.parameters())))
    return np.array(found)


def own_data(seed):
    """Return what the notebook makes of a seed."""
    rng = np.random.default_rng(seed)
    return {
        "X": rng.normal(size=(40, 6)),
        "classes": rng.integers(4, size=40),
        "weights": [rng.normal(0, 0.5, s) for s in [(6, 8), (8, 4)]],
        "biases": [rng.normal(0, 0.5, n) for n in (8, 4)],
    }


def norms_own(given, got):
    true = norms(own_data(given["seed"]))
    answer = np.ravel(got["answer"])
    if answer.shape != (2,) or answer.dtype.kind not in "iuf":
        return False
    return bool(answer[0] == np.argmax(true)) and same(answer[1], true.max())


def norms_any(given, got):
    return all(same(got[name], norms(given[name])) for name in ("deep", "shallow", "large"))


# ---------------------------------------------------------------- faults

# The kinds of layers in each network. Which of them are wrong stands in the calls.
NETWORKS = {
    "returned": [52, 23, 91, 19, 31],
    "added": [58, 12, 37, 80, 66],
    "left over": [52, 23, 31, 75, 28],
}
RIGHT_KINDS = {52, 23, 58, 12}
WITHOUT_PARAMETERS = {31, 12}
ONE_WEIGHT_A_FEATURE = {44, 23, 75}


def faults_inputs(rng):
    return {name: _network(rng, name) for name in NETWORKS}


def _network(rng, name):
    n = 4
    while True:
        layers = []
        for kind in rng.permutation(NETWORKS[name]).tolist():
            layer = {"kind": kind}
            if kind not in WITHOUT_PARAMETERS:
                shape = n if kind in ONE_WEIGHT_A_FEATURE else (n, n)
                layer |= {"weight": rng.normal(0, 0.8, shape), "bias": rng.normal(0, 0.5, n)}
                layer["left"] = rng.uniform(1, 4) if name == "left over" else 0.0
            layers.append(layer)
        if layers[0]["kind"] not in RIGHT_KINDS:
            continue  # or its input, which is the network's, would be good enough
        probes = [rng.normal(0, 1.5, (5, n)) for _ in layers]
        case = {"layers": layers, "x": rng.normal(size=(5, n)), "probes": probes}
        errors = layer_errors(case)
        wrong = [layer["kind"] not in RIGHT_KINDS for layer in layers]
        others = [layer_errors(case, over_found), layer_errors(case, largest_entries)]
        if name != "returned":
            others.append(layer_errors(case, bias=False))
        # Else a fault happens to do nothing here, or an answer to another question is the same
        far = [np.any(np.abs(errors - other) > 0.02) for other in others]
        if np.all(errors[wrong] > 0.02) and all(far):
            return case


def distance(found, true):
    return np.linalg.norm(found - true) / np.linalg.norm(true)


def over_found(found, true):
    return distance(true, found)


def largest_entries(found, true):
    return np.abs(found - true).max() / max(np.abs(found).max(), np.abs(true).max())


def layer_errors(case, measure=distance, bias=True):
    """Return the errors against complex steps."""
    layers, x, probes = calls().network(case)
    errors = []
    for layer, probe in zip(layers, probes, strict=True):
        parameters = list(layer.parameters())
        arrays = [x, *(p.data for p in parameters)]
        layer.zero_grad()
        y = layer.forward(x)
        gradients = [layer.backward(probe), *(p.grad for p in parameters)]
        worst = 0.0
        for place, found in enumerate(gradients if bias else gradients[:2]):

            def s(value, place=place, layer=layer, probe=probe, arrays=arrays):
                return np.sum(probe * layer.run(*arrays[:place], value, *arrays[place + 1 :]))

            worst = max(worst, measure(found, complex_step(s, arrays[place])))
        errors.append(worst)
        x = y
    return np.array(errors)


def faults_in(name):
    """Return the check of one network: every layer's number within 1e-4."""

    def holds(given, got):
        expected, numbers = layer_errors(given[name]), np.asarray(got[name]["errors"])
        if numbers.shape != expected.shape or numbers.dtype.kind not in "iuf":
            return False
        return bool(np.all(np.abs(numbers - expected) <= 1e-4 * np.maximum(1, expected)))

    return holds


def faults_left_over(given, got):
    """Compare the numbers, and see that no parameter was left moved."""
    return faults_in("left over")(given, got) and bool(got["left over"]["moved"] < 1e-9)


TASKS = [
    Task(
        "swish",
        swish_inputs,
        [
            Check(
                "by x",
                1,
                "The gradient by x is right, for x of two and of three axes, and in time for "
                "40,000 entries.",
                swish_dx,
            ),
            Check(
                "by beta",
                1,
                "The gradient by β is one number, and right, for x of two and of three axes.",
                swish_dbeta,
            ),
        ],
    ),
    Task(
        "huber",
        huber_inputs,
        [
            Check(
                "loss",
                1,
                "With all targets there, the loss is right for errors on both sides of δ.",
                huber_loss,
            ),
            Check(
                "gradient",
                1,
                "With all targets there, the gradient is right for errors on both sides of δ, and "
                "in time for 48,000 entries.",
                huber_gradient,
            ),
            Check(
                "missing",
                1,
                "With targets missing, loss and gradient are right, and the arrays that were "
                "handed in can be used again.",
                lambda given, got: huber_gaps(given, got) and huber_again(given, got),
            ),
        ],
    ),
    Task(
        "rms-norm",
        rms_norm_inputs,
        [
            Check(
                "by gamma",
                1,
                "The gradient by γ is right, for a batch and for a single row.",
                rms_norm_dgamma,
            ),
            Check(
                "by x",
                1,
                "With a tiny ε, the gradient by x is right: for a batch, for a single row, and in "
                "time for 40,000 entries.",
                rms_norm_dx,
            ),
            Check(
                "eps", 1, "The gradient by x is right where ε is not small beside x².", rms_norm_eps
            ),
        ],
    ),
    Task(
        "tied",
        tied_inputs,
        [
            Check("weight", 1, "One backward pass gives the right gradient of W.", tied_weight),
            Check(
                "input",
                1,
                "The gradient by the input is right, and in time for 70,000 entries.",
                tied_dx,
            ),
            Check(
                "adds",
                1,
                "After a second backward pass on another batch, the .grad of W, b and c each hold "
                "the sum of both passes.",
                tied_adds,
            ),
            Check(
                "unchanged",
                1,
                "The gradient by the input is right and grad_output is left as it was.",
                tied_unchanged,
            ),
        ],
    ),
    Task(
        "norms",
        norms_inputs,
        [
            Check("own", 1, "For your own data, row and length in `answer` are right.", norms_own),
            Check(
                "any network",
                1,
                "The norms are right for networks of one, two and three layers, and in time for "
                "300 examples.",
                norms_any,
            ),
        ],
    ),
    Task(
        "faults",
        faults_inputs,
        [
            Check(
                "returned",
                1,
                "The errors are right where faults are in what backward returns.",
                faults_in("returned"),
            ),
            Check(
                "added",
                1,
                "The errors are right where faults are in what backward adds to .grad.",
                faults_in("added"),
            ),
            Check(
                "left over",
                1,
                "The errors are right where .grad is not zero at first, and each parameter's .data "
                "is left as it was.",
                faults_left_over,
            ),
        ],
    ),
]

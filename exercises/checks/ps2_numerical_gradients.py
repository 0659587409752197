"""Hidden checks of problem set 2, numerical gradients."""

import itertools

import numpy as np

import gradnb as gnb
from grading import Check, Task, close


def polynomial(rng, shape, sign):
    """Return a polynomial of degree 4 of a·w, a point and a direction; `sign` is the error's."""
    case = {name: rng.choice([-1, 1], shape) * rng.uniform(0.5, 1.5, shape) for name in "awr"}
    slope = np.sum(case["a"] * case["r"])
    while abs(slope) < 0.5:
        case["r"] = rng.uniform(-2, 2, shape)
        slope = np.sum(case["a"] * case["r"])
    coefficients = rng.choice([-1, 1], 5) * rng.uniform(0.5, 2, 5)
    # Away from the point where the third derivative, and with it the error, is 0
    coefficients[4] = abs(coefficients[4]) * np.sign(np.sum(case["a"] * case["w"]))
    coefficients[3] = abs(coefficients[3])
    case["r"] *= sign * np.sign(slope)
    return {**case, "coefficients": coefficients, "h": float(rng.uniform(0.2, 0.6))}


def richardson_inputs(rng):
    """Return polynomials, of a vector and of a matrix."""
    return {"cases": {"vector": polynomial(rng, (4,), -1), "matrix": polynomial(rng, (3, 2), 1)}}


def richardson(case):
    """Return the derivative by t of p(a·w + t a·r), and the exact error of D(h)."""
    p = np.polynomial.Polynomial(case["coefficients"])
    at, slope = np.sum(case["a"] * case["w"]), np.sum(case["a"] * case["r"])
    return p.deriv(1)(at) * slope, case["h"] ** 2 / 6 * p.deriv(3)(at) * slope**3


def richardson_agrees(part, number):
    """Compare one of the two numbers."""

    def holds(given, got):
        return all(
            close(got[name][part], richardson(case)[number], rtol=1e-7)
            for name, case in given["cases"].items()
        )

    return holds


def best_step_inputs(rng):
    """Return sizes of f and of its fifth derivative."""

    def case(dtype, *signs):
        f_value, f5 = signs * np.exp(rng.uniform(np.log(0.1), np.log(10), 2))
        return {"f_value": float(f_value), "f5": float(f5), "dtype": dtype}

    return {
        "cases": {
            "double": case("float64", 1, 1),
            "f below 0": case("float64", -1, 1),
            "f5 below 0": case("float64", 1, -1),
            "single": case("float32", 1, 1),
        }
    }


def best_step(case):
    """Search for the least bound, without the formula of its minimum."""
    u = 2.0**-23 if case["dtype"] == "float32" else 2.0**-52
    low, high = np.log(1e-6), np.log(10.0)
    for _ in range(8):
        logs = np.linspace(low, high, 2001)
        h = np.exp(logs)
        bound = h**4 / 30 * abs(case["f5"]) + 0.75 * u * abs(case["f_value"]) / h
        best = min(max(int(bound.argmin()), 1), 1999)
        low, high = logs[best - 1], logs[best + 1]
        if high - low < 1e-6:
            break
    return {"h": h[best], "bound": bound[best]}


def best_step_agrees(part, *names):
    """Compare one of the two numbers."""

    def holds(given, got):
        return all(
            close(got[name][part], best_step(given["cases"][name])[part], rtol=1e-4)
            for name in names
        )

    return holds


def hessian_vector_inputs(rng):
    """Return sums of log cosh, and vectors of several lengths."""

    def case(length, *shape, near=None):
        n = int(np.prod(shape))
        v = rng.normal(size=shape)
        if near == "negative":  # its largest entry does not tell how long it is
            v = -np.abs(v)
            v[rng.integers(n)] = 1e-5
        if near == "balanced":  # nor does its sum
            v -= v.mean()
        v *= length / np.linalg.norm(v)
        A = rng.normal(size=(12, n)) / np.sqrt(n)
        return {"A": A, "b": rng.normal(size=12), "w": rng.normal(size=shape), "v": v}

    return {
        "cases": {
            "unit": case(1.0, 7),
            "long": case(rng.uniform(2e5, 1e6), 6, near="negative"),
            "short": case(rng.uniform(1e-6, 5e-6), 5, near="balanced"),
            "matrix": case(rng.uniform(2, 3), 3, 4),
        }
    }


def hessian_vector(case):
    """Return the product with the Hessian Aᵀ diag(1 − tanh²) A."""
    A, w, v = case["A"], case["w"], case["v"]
    slope = 1 - np.tanh(A @ w.ravel() + case["b"]) ** 2
    return (A.T @ (slope * (A @ v.ravel()))).reshape(w.shape)


def hessian_vector_lengths(given, got):
    """Compare the products with a long and a short vector, and see that v is as it was."""
    right = hessian_vector_agrees(short="short")(given, got)
    long = close(
        got["long"]["product"], hessian_vector(given["cases"]["long"]), rtol=1e-6, single=1e-6
    )
    size = np.abs(given["cases"]["long"]["v"]).max()
    return right and long and got["long"]["moved"] < 1e-9 * size


def hessian_vector_agrees(**parts):
    """Compare products."""

    def holds(given, got):
        return all(
            close(got[part], hessian_vector(given["cases"][name]), rtol=1e-6, single=1e-6)
            for part, name in parts.items()
        )

    return holds


def hessian_vector_clean(given, got):
    """Compare a product, and see that w and v are as they were."""
    right = close(
        got["clean"]["product"], hessian_vector(given["cases"]["unit"]), rtol=1e-6, single=1e-6
    )
    return right and got["clean"]["moved"] < 1e-9


def leaky_net(rng, rows, sizes, far=""):
    """Return a batch and a net; the kinks of one layer can be put far away."""
    n0, n1, n2 = sizes

    def apart(*shape):
        return rng.choice([-1, 1], shape) * rng.uniform(0.2, 1.8, shape)

    net = {
        "X": apart(rows, n0),
        "W1": apart(n0, n1),
        "b1": apart(n1),
        "W2": apart(n1, n2),
        "b2": apart(n2),
    }
    net["X"][:, :2] = np.abs(net["X"][:, :2]) * [1, -1]  # kinks above and below
    if far == "first":  # units on both sides of the kink
        net["b1"] = 1e4 * np.abs(net["b1"]) * (-1.0) ** np.arange(n1)
        Z1 = net["X"] @ net["W1"] + net["b1"]
        net["b2"] -= np.mean(np.where(Z1 > 0, Z1, 0.5 * Z1) @ net["W2"], axis=0)
    if far == "second":
        net["b2"] *= 1e4
    return net


def kinks_inputs(rng):
    """Return nets in which one layer has the nearest kinks."""
    return {
        "nets": {
            "first": leaky_net(rng, 7, (4, 3, 2), far="second"),
            "second": leaky_net(rng, 6, (5, 4, 3), far="first"),
        }
    }


def own_net(seed):
    """Return the arrays of the setup cell."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, 6))
    W1, b1 = rng.normal(size=(6, 5)), rng.normal(size=5)
    W2, b2 = rng.normal(size=(5, 4)), rng.normal(size=4)
    return {"X": X, "W1": W1, "b1": b1, "W2": W2, "b2": b2}


def kink_distance(net):
    """Walk from 0 to each kink with the derivatives that a complex step gives."""
    distance = np.empty(net["W1"].shape)
    for i in np.ndindex(distance.shape):
        W1 = net["W1"].astype(complex)
        W1[i] += 1e-30j
        Z1 = net["X"] @ W1 + net["b1"]
        Z2 = np.where(Z1.real > 0, Z1, 0.5 * Z1) @ net["W2"] + net["b2"]
        Z = np.concatenate([Z1, Z2], axis=1)
        moves = Z.imag != 0
        distance[i] = np.abs(Z.real[moves] / (Z.imag[moves] / 1e-30)).min()
    return distance


def kinks_agree(*names):
    """Compare the distances in some nets."""

    def holds(given, got):
        return all(close(got[name], kink_distance(given["nets"][name])) for name in names)

    return holds


def kinks_own(given, got):
    """Compare the two numbers for the student's own net."""
    distance = kink_distance(own_net(given["seed"]))
    right = close(got["own"]["longest"], distance.min())
    return right and close(got["own"]["crossing"], np.sum(distance < 0.03))


PARAMETERS = ("W1", "b1", "W2")


def repair_case(rng, slope, factor):
    """Return a net whose loss has this slope along r, and claims with one array off by `factor`."""
    n0, n1, n2 = 4, 3, 2
    case = {
        "X": rng.normal(size=(6, n0)),
        "T": rng.normal(size=(6, n2)),
        "W1": rng.normal(size=(n0, n1)),
        "b1": rng.normal(size=n1),
        "W2": rng.normal(size=(n1, n2)),
        "size": 1.0,
    }
    case["b1"][0] *= 1e-8  # moved there and back, it would lose its digits
    gradient = net_gradient(case)
    for name in PARAMETERS:
        g = gradient[name]
        r = np.zeros(g.shape)
        while np.sum(g * r) < 0.4 * np.sum(np.abs(g * r)) or not np.any(g * r < 0):
            r = g / np.abs(g).max() * rng.choice([-0.6, 1, 1.5], g.shape)
        case["r_" + name] = r
    case["size"] = slope / sum(np.sum(gradient[n] * case["r_" + n]) for n in PARAMETERS)
    for name in PARAMETERS:
        wrong = factor if name == "W1" else 1.0
        case["claimed_" + name] = wrong * case["size"] * gradient[name]
    return case


def net_gradient(case):
    """Return the derivatives of the mean squared error, by the chain rule."""
    A = np.tanh(case["X"] @ case["W1"] + case["b1"])
    d_out = 2 * (A @ case["W2"] - case["T"]) / case["T"].size
    delta = d_out @ case["W2"].T * (1 - A**2)
    return {"W1": case["X"].T @ delta, "b1": delta.sum(axis=0), "W2": A.T @ d_out}


def repair_inputs(rng):
    """Return losses of several sizes."""
    return {
        "cases": {
            "too small": repair_case(rng, rng.uniform(3, 9), rng.uniform(-0.5, 0.5)),
            "small loss": repair_case(rng, rng.uniform(1e-6, 9e-6), rng.uniform(3, 6)),
            "large loss": repair_case(rng, -rng.uniform(1e6, 9e6), rng.uniform(3, 6)),
        }
    }


def repair(case):
    """Take the slope with a complex step, and the claim as it is."""
    W1, b1, W2 = (case[n] + 1e-30j * case["r_" + n] for n in PARAMETERS)
    miss = np.tanh(case["X"] @ W1 + b1) @ W2 - case["T"]
    slope = case["size"] * np.mean(miss**2).imag / 1e-30
    claimed = sum(np.sum(case["claimed_" + n] * case["r_" + n]) for n in PARAMETERS)
    return abs(slope - claimed) / max(abs(slope), abs(claimed))


def repair_value(given, got, *names):
    """Compare the relative errors of some nets."""
    return all(
        close(got[name], repair(given["cases"][name]), rtol=1e-5, single=1e-5) for name in names
    )


def repair_left(got, part, allowed):
    """See that the loss was run with every array moved, and that none was left so.

    Whether the number is right is another matter, so that one mistake does not cost all points.
    """
    moved_all = got[part]["seen"] == len(PARAMETERS)
    return moved_all and close(got[part]["moved"], 0.0, rtol=allowed, single=0)


def fault_case(rng, sizes, index, relative):
    """Return a net and its gradient with one wrong entry, by a part of the largest."""
    n = sum((fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(sizes))
    gradient = np.zeros(n)
    while not 0.1 < np.abs(gradient).max() < 10:  # as the task promises
        case = {
            "sizes": np.array(sizes),
            "X": rng.normal(size=(8, sizes[0])),
            "T": rng.normal(size=(8, sizes[-1])),
            "w": 0.5 * rng.normal(size=n),
        }
        gradient = backpropagated(case)
    gradient[index] += relative * np.abs(gradient).max()
    return {**case, "claimed": gradient}


def backpropagated(case):
    """Return the true gradient, all weights in one vector."""
    net, criterion = gnb.mlp(case["sizes"].tolist(), gnb.Tanh), gnb.MSELoss()
    arrays = [p.data for p in net.parameters()]
    cuts = np.cumsum([a.size for a in arrays])[:-1]
    for a, part in zip(arrays, np.split(case["w"], cuts), strict=True):
        a[...] = part.reshape(a.shape)
    criterion(net(case["X"]), case["T"])
    net.backward(criterion.backward())
    return np.concatenate([p.grad.ravel() for p in net.parameters()])


def fault_inputs(rng):
    """Return nets, with faults of either sign."""

    def case(sizes, low, high, least, most):
        return fault_case(rng, sizes, rng.integers(low, high), rng.uniform(least, most))

    return {
        "cases": {
            "first entry": case([5, 7, 2], 0, 1, 0.1, 1),
            "last entry": case([6, 8, 3], -1, 0, -1, -0.1),
            "two entries": case([1, 1], 0, 2, 0.3, 1),
            "deep": case([9, 14, 12, 5], 20, 380, -1, -0.3),
            "wide": case([20, 30, 10], 100, 900, 0.1, 1),
            "weak": case([20, 27, 11], 50, 850, 1.2e-4, 2e-4),
            "weak, deep": case([9, 14, 12, 5], 20, 380, -2e-4, -1.2e-4),
            "weak, deeper": case([12, 20, 15, 4], 20, 620, 1.2e-4, 2e-4),
            "weak, wide": case([25, 30, 5], 100, 930, -2e-4, -1.2e-4),
        }
    }


def fault_found_weak(given, got):
    """Compare the index and the size of the error, but not its sign, where it is small."""
    names = ("weak", "weak, deep", "weak, deeper", "weak, wide")
    for name in names:
        case = given["cases"][name]
        error = np.abs(case["claimed"] - backpropagated(case)).max()
        if not close(np.abs(got[name]["error"]), error, rtol=1e-4, single=0):
            return False
    return fault_found("index", *names)(given, got)


def fault_found(part, *names):
    """Compare the index, or the error, of some nets."""

    def holds(given, got):
        for name in names:
            case = given["cases"][name]
            errors = case["claimed"] - backpropagated(case)
            index = np.abs(errors).argmax()
            expected = index if part == "index" else errors[index]
            if not close(got[name][part], expected, rtol=1e-4 if part == "error" else 0, single=0):
                return False
        return True

    return holds


def fault_found_clean(given, got):
    """Compare the index wherever the fault is, and see that the arguments are as they were."""
    names = ("first entry", "last entry", "two entries", "deep", "wide")
    clean = all(got[name]["moved"] < 1e-9 for name in names)
    return clean and fault_found("index", *names)(given, got)


TASKS = [
    Task(
        "richardson",
        richardson_inputs,
        [
            Check(
                "best",
                1,
                "The first number is the derivative along r, exactly so for polynomials of degree "
                "4.",
                richardson_agrees("best", 0),
            ),
            Check(
                "error",
                1,
                "The second number is the error of the plain central difference, with its sign.",
                richardson_agrees("error", 1),
            ),
        ],
    ),
    Task(
        "best-step",
        best_step_inputs,
        [
            Check(
                "step",
                1,
                "In float64 the step is the one with the least bound, whatever the signs of f and "
                "of its fifth derivative.",
                best_step_agrees("h", "double", "f below 0", "f5 below 0"),
            ),
            Check(
                "bound",
                1,
                "The second number is the bound of both errors at the best step, in float32 as "
                "well as in float64, and whatever the signs.",
                best_step_agrees("bound", "double", "single", "f below 0", "f5 below 0"),
            ),
        ],
    ),
    Task(
        "hessian-vector",
        hessian_vector_inputs,
        [
            Check(
                "value",
                1,
                "For a vector v of length 1 the product is right to 1e-6, with at most four calls "
                "of the gradient, and w and v are left as they were.",
                hessian_vector_clean,
            ),
            Check(
                "length",
                1,
                "The product is right to 1e-6 for very long and for very short v, too, and these "
                "are left as they were.",
                hessian_vector_lengths,
            ),
            Check(
                "buffer",
                1,
                "The product is right if the gradient returns the same array each time, for "
                "vectors and for matrices.",
                hessian_vector_agrees(buffer="unit", matrix="matrix"),
            ),
        ],
    ),
    Task(
        "kinks",
        kinks_inputs,
        [
            Check(
                "first",
                1,
                "The distances are right where the nearest kinks are those of the first layer.",
                kinks_agree("first"),
            ),
            Check(
                "second",
                1,
                "The distances are right where the nearest kinks are those of the second layer.",
                kinks_agree("second"),
            ),
            Check(
                "own",
                1,
                "The longest step and the number of entries are right for your own network.",
                kinks_own,
            ),
        ],
    ),
    Task(
        "repair",
        repair_inputs,
        [
            Check(
                "value",
                1,
                "A gradient that is too small in one of several arrays gets the right relative "
                "error.",
                lambda given, got: repair_value(given, got, "too small"),
            ),
            Check(
                "scale",
                1,
                "The relative error is right for very large and for very small losses, and where "
                "the gradient is too large.",
                lambda given, got: repair_value(given, got, "small loss", "large loss"),
            ),
            Check(
                "restored",
                1,
                "All arrays are moved when the loss is run, and afterwards the very arrays that "
                "were handed in hold the same numbers as before, bit for bit.",
                lambda given, got: repair_left(got, "left", 0.0),
            ),
            Check(
                "raises",
                1,
                "When the loss raises with arrays moved, the exception reaches the caller, the "
                "arrays are put back, and the function can be called again.",
                lambda given, got: all(repair_left(got, f"raises {at}", 1e-9) for at in (1, 2)),
            ),
        ],
    ),
    Task(
        "fault",
        fault_inputs,
        [
            Check(
                "index",
                1,
                "The wrong derivative is found wherever it is, with at most 50 runs, for 2 to "
                "1000 weights, and the arguments are left as they were.",
                fault_found_clean,
            ),
            Check(
                "weak",
                1,
                "The wrong derivative is found where it is off by little more than 1e-4 of the "
                "largest, and by how much it is off is right to 1e-4.",
                fault_found_weak,
            ),
            Check(
                "size",
                1,
                "By how much the derivative is off is right to 1e-4, with its sign.",
                fault_found("error", "deep", "wide"),
            ),
        ],
    ),
]

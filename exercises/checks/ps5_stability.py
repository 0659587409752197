"""Hidden checks of problem set 5."""

import math
from functools import partial
from itertools import pairwise

import numpy as np

from grading import Check, Task, close

# Four digits are asked for, in single precision too, which a Python number does not show.
close = partial(close, rtol=1e-4)

# The mean of a function of z ~ N(0, q), on far more nodes than students have. (Gauss's rule is off
# in the fourth digit for the slope of tanh at q = 6.)
NODES = np.linspace(-12, 12, 12_001)
WEIGHTS = np.exp(-(NODES**2) / 2)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def mean(f, q):
    """Return E f(z)."""
    return float(np.sum(WEIGHTS * f(math.sqrt(q) * NODES)))


def sigmoid(z):
    """Return the sigmoid of z."""
    return 1 / (1 + np.exp(-z))


def swish_slope(z):
    """Return the derivative of z σ(z)."""
    return sigmoid(z) + z * sigmoid(z) * sigmoid(-z)


# E φ(z)² and E φ'(z)² as functions of q
SQUARES = {
    "sine": (lambda q: (1 - math.exp(-2 * q)) / 2, lambda q: (1 + math.exp(-2 * q)) / 2),
    "swish": (
        lambda q: mean(lambda z: (z * sigmoid(z)) ** 2, q),
        lambda q: mean(lambda z: swish_slope(z) ** 2, q),
    ),
    "softplus": (
        lambda q: mean(lambda z: (np.log1p(np.exp(z)) - math.log(2)) ** 2, q),
        lambda q: mean(lambda z: sigmoid(z) ** 2, q),
    ),
    "tanh": (
        lambda q: mean(lambda z: np.tanh(z) ** 2, q),
        lambda q: mean(lambda z: np.cosh(z) ** -4, q),
    ),
}


def gains_inputs(rng):
    """Draw variances and biases for five activations."""
    q = rng.uniform([0.4, 1.3, 0.6, 2.0, 0.5], [0.8, 2.0, 0.9, 2.5, 0.8])
    return {
        "names": ["sine", "swish", "softplus", "leaky", "tanh"],
        "q": q,
        # smaller than q, too: who forgets the square gets a wrong number and no error
        "bias": np.minimum(q, np.sqrt(q)) * rng.uniform(0.5, 0.85, size=5),
        "slope": rng.uniform(0.2, 0.5),
    }


def gains_agree(which, biased, given, got):
    """Compare one of the two gains, for calls with or without biases."""
    for name, q, bias in zip(given["names"], given["q"], given["bias"], strict=True):
        square = (1 + given["slope"] ** 2) / 2
        forward, backward = SQUARES.get(name, (lambda q, s=square: q * s, lambda q, s=square: s))
        left = q - bias**2 if biased else q
        expected = math.sqrt(left / forward(q)), 1 / math.sqrt(backward(q))
        found = got[f"{name} {'with' if biased else 'without'} biases"]
        if not close(found[which], np.array(expected[which])):
            return False
    return True


def drawn_layers(rng, name, K):
    """Draw a network whose layers differ."""
    alike, first = name == "alike", rng.integers(4)
    kinds = ["tanh"] if alike else ["tanh", "swish", "sine", "softplus"]
    gains = rng.permutation(np.geomspace(0.4, 2.5, K) * rng.uniform(0.9, 1.1, K))
    return {
        "name": name,
        "names": [kinds[(first + i) % len(kinds)] for i in range(K)],
        "g": np.full(K, rng.uniform(1.6, 2.4)) if alike else gains,
        "bias": np.zeros(K) if alike else rng.uniform(0.2, 0.6, K),
        "mean_square": rng.uniform(0.3, 0.8),
    }


def predict_inputs(rng):
    """Draw a deep network of equal layers and two mixed ones."""
    cases = []
    for name, K in (("alike", 7), ("mixed", 6), ("other", 5)):
        case = drawn_layers(rng, name, K)
        while misleading(case):
            case = drawn_layers(rng, name, K)
        cases.append(case)
    return {"cases": cases}


def misleading(case):
    """Say whether all decades are near 0, or the gain of the wrong layer would hardly matter."""
    g = np.log10(case["g"])
    hardly = case["name"] != "alike" and np.abs(g[:-1] - g[-1]).max() < 0.3
    return bool(hardly or np.abs(prediction(case)[1]).max() < 0.3)


def prediction(case):
    """Return the variances and the decades of a network."""
    q, square, slopes = [], case["mean_square"], []
    for name, g, bias in zip(case["names"], case["g"], case["bias"], strict=True):
        q.append(g**2 * square + bias**2)
        square = SQUARES[name][0](q[-1])
        slopes.append(SQUARES[name][1](q[-1]))
    steps = np.log10(case["g"][1:]) + np.log10(slopes[:-1]) / 2
    return np.array(q), np.append(np.cumsum(steps[::-1])[::-1], 0.0)


def variances_agree(given, got):
    """Compare the variances of all networks."""
    return all(close(got[case["name"]]["q"], prediction(case)[0]) for case in given["cases"])


def decades_agree(names, given, got):
    """Compare the decades of the networks of those names."""
    return all(
        close(got[case["name"]]["decades"], prediction(case)[1])
        for case in given["cases"]
        if case["name"] in names
    )


def carried_inputs(rng):
    """Draw recurrent layers, and sequences of one and of several steps."""
    cases = []
    for name, T, n, m in (("one", 1, 4, 3), ("many", 5, 5, 2), ("long", 9, 3, 4)):
        case, largest = {}, 0.0
        while largest < 0.03:  # if all but nothing is left, differences would be noise
            case = {
                "name": name,
                "W_ih": rng.normal(size=(m, n)) / math.sqrt(m),
                "W_hh": 1.5 * rng.normal(size=(n, n)) / math.sqrt(n),
                "b": 0.5 * rng.normal(size=n),
                "x": rng.normal(size=(T, m)),
            }
            largest = np.linalg.norm(state_jacobian(case), 2)
        cases.append(case)
    return {"cases": cases}


def carries(names, given, got):
    """Compare the singular values of the cases of those names."""
    return all(
        close(got[case["name"]], np.linalg.svd(state_jacobian(case), compute_uv=False))
        for case in given["cases"]
        if case["name"] in names
    )


def state_jacobian(case):
    """Differentiate the last state by the first with complex steps."""
    h = 1e-30j * np.eye(len(case["W_hh"]))
    for x_t in case["x"]:
        h = np.tanh(x_t @ case["W_ih"] + h @ case["W_hh"] + case["b"])
    return h.imag / 1e-30


def scales_inputs(rng):
    """Draw matrices and times."""
    sizes, times = (5, 6, 9), (1, int(rng.integers(2, 6)), int(rng.integers(20, 60)))
    return {"W": [rng.normal(size=(n, n)) for n in sizes], "T": list(times)}


def scale(W, T):
    """Return the largest scale, by the eigenvalues of the product with its transpose."""
    product = np.eye(len(W))
    for _ in range(T):
        product = product @ W.T
    return math.exp(-math.log(np.linalg.eigvalsh(product @ product.T)[-1]) / (2 * T))


def scales_agree(given, got):
    """Compare the values of the function."""
    return all(
        close(got[f"W {i}"], np.array(scale(W, T)))
        for i, (W, T) in enumerate(zip(given["W"], given["T"], strict=True))
    )


def own_agree(given, got):
    """Compare the three scales of the student's own matrix."""
    W = np.random.default_rng([given["seed"], 4]).normal(size=(8, 8)) / math.sqrt(8)
    return all(
        close(got["own"][i], np.array(scale(W, T))) for i, T in enumerate((1, 10, 100))
    ) and np.shape(got["own"]) == (3,)


def clip_inputs(rng):
    """Draw batches whose gradients have lengths from 0.5 to 8."""
    cases = []
    for name, N, n, m in (("all long", 6, 4, 3), ("some long", 7, 3, 5), ("zero", 5, 5, 2)):
        x, delta = rng.normal(size=(N, n)), rng.normal(size=(N, m))
        norms = np.linalg.norm(delta, axis=1) * np.sqrt(np.sum(x**2, axis=1) + 1)
        # Lengths from 0.5 to 8, in any order
        delta *= (rng.permutation(np.geomspace(0.5, 8, N)) / norms)[:, None]
        limit = {"all long": 0.3, "some long": 2.0, "zero": 20.0}[name]
        if name == "zero":
            delta[1] = 0
        cases.append({"name": name, "x": x, "delta": delta, "limit": limit})
    return {"cases": cases}


def clips(name, given, got):
    """Compare both mean gradients of the case of that name, made one by one."""
    (case,) = (case for case in given["cases"] if case["name"] == name)
    x, delta = case["x"], case["delta"]
    dW, db = np.zeros((x.shape[1], delta.shape[1])), np.zeros(delta.shape[1])
    for x_i, delta_i in zip(x, delta, strict=True):
        gradient = np.append(np.outer(x_i, delta_i).ravel(), delta_i)
        factor = min(1, case["limit"] / (np.linalg.norm(gradient) or 1.0)) / len(x)
        dW += factor * np.outer(x_i, delta_i)
        db += factor * delta_i
    return close(got[name]["dW"], dW) and close(got[name]["db"], db)


# The ward: faults, a sign (of the factor, where the backward pass is wrong; -1 also for weights
# that are too small, and for healthy networks with outputs that are negative in every row, which
# are not dead), and where among the layers that can have this fault it is: in the first, the
# last or any. Its order is drawn, and nothing that is given says who is who.
WARD = [("healthy", 1, "any"), ("healthy", -1, "any")]
WARD += [("weights", -1, "first"), ("weights", 1, "last"), ("weights", -1, "any")]
WARD += [("dead", 1, "first"), ("dead", 1, "last")]
WARD += [("backward", 1, "first"), ("backward", -1, "any")]
WARD += [("backward", 1, "last"), ("backward", -1, "any")]


def examine_inputs(rng):
    """Draw the logs of a ward."""
    logs = []
    for i in rng.permutation(len(WARD)):
        log = drawn_log(rng, *WARD[i])
        while examined(log)[0] != WARD[i][0] or doubtful(log):
            log = drawn_log(rng, *WARD[i])
        logs.append(log)
    return {"logs": logs}


def drawn_log(rng, fault, sign, place):
    """Log a ReLU network, with its passes written out as the book derives them."""
    K = int(rng.integers(4, 7))
    sizes = [int(n) for n in rng.permutation(np.arange(10, 22))[: K + 1]]
    # Below a wrong factor in layer 3 or higher, errors are off without being at fault.
    lowest = 1 if fault != "backward" else 2 if sign > 0 else 3
    layers = range(lowest, K + (fault != "dead"))
    ill = {"first": layers[0], "last": layers[-1], "any": int(rng.choice(layers))}[place]
    # Without the sign to tell it, it is near 1.
    little, much = ((0.8, 0.95), (1.05, 1.25)) if sign > 0 else ((0.3, 0.9), (1.1, 4.0))
    times = sign * rng.choice([rng.uniform(*little), rng.uniform(*much)])
    W, b = [], []
    for layer, (n, m) in enumerate(pairwise(sizes), 1):
        W.append(rng.normal(0, math.sqrt(2 / n), (n, m)))
        b.append(0.1 * rng.normal(size=m))
        if layer == ill and fault == "weights":
            W[-1] *= rng.uniform(3.5, 6) if sign > 0 else rng.uniform(0.15, 0.3)
        if layer == ill and fault == "dead":
            b[-1][rng.random(m) < 0.65] -= 40
        if layer == K and (fault, sign) == ("healthy", -1):
            b[-1] -= 40
    a, on = [rng.normal(size=(int(rng.integers(14, 24)), sizes[0]))], []
    for W_l, b_l in zip(W, b, strict=True):
        z = a[-1] @ W_l + b_l
        on.append(z > 0 if len(a) < K else np.ones(z.shape))
        a.append(z * on[-1])
    dA = [rng.normal(size=a[-1].shape) / len(a[0])]
    for layer in range(K, 1, -1):
        back = np.einsum("ik,jk->ij", dA[0] * on[layer - 1], W[layer - 1])
        dA.insert(0, back * times if fault == "backward" and layer == ill else back)
    return {"x": a[0], "W": W, "b": b, "dA": dA}


def measured(log):
    """Return by layer: the size of weights, the share of dead units, the factor back."""
    a, K = log["x"], len(log["W"])
    sizes, dead, factors = {}, {}, {}
    for layer, (W, b, dA) in enumerate(zip(log["W"], log["b"], log["dA"], strict=True), 1):
        z = np.einsum("ij,jk->ik", a, W) + b
        sizes[layer] = np.linalg.norm(W) / math.sqrt(2 * W.shape[1])
        if layer < K:
            dead[layer] = np.mean(z.max(axis=0) <= 0)
        if layer > 1:
            right = (dA * (z > 0 if layer < K else 1)) @ W.T
            at = np.unravel_index(np.abs(right).argmax(), right.shape)
            factors[layer] = log["dA"][layer - 2][at] / right[at] if right[at] else 0.0
        a = np.maximum(z, 0)
    return sizes, dead, factors


def examined(log):
    """Return fault, layer and evidence."""
    sizes, dead, factors = measured(log)
    found = [("weights", i, size) for i, size in sizes.items() if not 0.5 <= size <= 2]
    found += [("dead", i, share) for i, share in dead.items() if share > 0.5]
    found += [("backward", i, c) for i, c in factors.items() if abs(c - 1) > 1e-6]
    if len(found) > 1:
        return "more than one", 0, 0.0
    return found[0] if found else ("healthy", 0, 0.0)


def doubtful(log):
    """Say whether a threshold is near, or an error has died out on its way."""
    sizes, dead, _ = measured(log)
    near = [size for size in sizes.values() if 0.4 < size < 0.75 or 1.33 < size < 2.5]
    near += [share for share in dead.values() if 0.4 < share < 0.55]
    norms = [np.linalg.norm(dA) for dA in log["dA"]]
    return bool(near) or min(norms) < 1e-3 * max(norms)


def all_named(given, got):
    """Compare the names of the faults; of healthy networks, the layer and the evidence too."""
    named = all(got[str(i)]["fault"] == examined(log)[0] for i, log in enumerate(given["logs"]))
    return named and proved("healthy", given, got)


def proved(fault, given, got):
    """Compare layer and evidence of the networks that have this fault."""
    for i, log in enumerate(given["logs"]):
        expected = examined(log)
        if expected[0] == fault:
            found = got[str(i)]
            exact = found["fault"] == fault and found["layer"] == expected[1]
            if not exact or not close(found["evidence"], np.array(expected[2])):
                return False
    return True


TASKS = [
    Task(
        "gains",
        gains_inputs,
        [
            Check(
                "forward",
                1,
                "Without biases, the first gain keeps the variance, for any activation and any q.",
                partial(gains_agree, 0, False),
            ),
            Check(
                "backward",
                1,
                "The second gain keeps the size of the errors, for any activation and any q.",
                partial(gains_agree, 1, True),
            ),
            Check(
                "biases",
                1,
                "The first gain is right where biases contribute to the variance, too.",
                partial(gains_agree, 0, True),
            ),
        ],
    ),
    Task(
        "predict",
        predict_inputs,
        [
            Check("variances", 1, "The variances q are right in all layers.", variances_agree),
            Check(
                "alike",
                1,
                "The decades are right for a deep network of equal layers.",
                partial(decades_agree, ("alike",)),
            ),
            Check(
                "mixed",
                1,
                "The decades are right where each layer has its own gain and activation.",
                partial(decades_agree, ("mixed", "other")),
            ),
        ],
    ),
    Task(
        "carried",
        carried_inputs,
        [
            Check(
                "one", 1, "The singular values are right for one step.", partial(carries, ["one"])
            ),
            Check(
                "many",
                1,
                "They are right for sequences of several steps.",
                partial(carries, ["many", "long"]),
            ),
        ],
    ),
    Task(
        "scales",
        scales_inputs,
        [
            Check(
                "function", 1, "The function is right for other matrices and times.", scales_agree
            ),
            Check("own", 1, "The three scales of your own matrix are right.", own_agree),
        ],
    ),
    Task(
        "clip",
        clip_inputs,
        [
            Check(
                "all long",
                1,
                "Where the gradients of all examples are too long, each is shortened by itself.",
                partial(clips, "all long"),
            ),
            Check(
                "some long",
                1,
                "Where some are too long and others are not, the mean is right.",
                partial(clips, "some long"),
            ),
            Check(
                "zero",
                1,
                "Where one is zero and none is too long, the mean is right and finite.",
                partial(clips, "zero"),
            ),
        ],
    ),
    Task(
        "examine",
        examine_inputs,
        [
            Check(
                "names",
                1,
                "Of a mixed ward, each gets the right name, and the healthy get layer 0, too.",
                all_named,
            ),
            Check(
                "weights",
                1,
                "Where weights are too large or too small, the layer and their size are right.",
                partial(proved, "weights"),
            ),
            Check(
                "dead",
                1,
                "Where units are dead, the layer and the share are right.",
                partial(proved, "dead"),
            ),
            Check(
                "backward",
                1,
                "Where the backward pass is wrong, the layer and the factor are right.",
                partial(proved, "backward"),
            ),
        ],
    ),
]

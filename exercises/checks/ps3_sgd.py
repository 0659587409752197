"""Hidden checks of problem set 3; what is expected is found in other ways than in its solution."""

from functools import partial

import numpy as np

from grading import Check, Task, close

# What was computed in single precision may come back in the double precision of its inputs.
near = partial(close, rtol=1e-5)

FAIR = "On average over all draws it is the full gradient, and each draw counts alike."
QUIETEST = "Among all draws, these have the least variance, and the probabilities add up to 1."
RATE_PLAIN = "Without momentum it is the largest stable rate of plain descent with weight decay."
RATE_NESTEROV = "With momentum it is the largest stable rate of Nesterov's form, for any β."
RATE_OWN = "my_rate is right for your own data."
FACTORED_MATRIX = "Five steps of a weight with more columns than rows, with gradients of full rank."
FACTORED_VECTOR = "Five steps of a bias, which keeps an s of its own shape."
FACTORED_SEVERAL = (
    "Several parameters are changed in place, each with its own history, at the rate of the"
    " moment, and their gradients stay as they are."
)
FLOOR_SMALL = "At a very small rate, for a batch of several rows drawn without replacement."
FLOOR_LARGE = "Close to the largest stable rate, with single rows."
FLOOR_OWN = "my_floor is right for your own data."


def own_data(seed):
    """Return X and t of the notebook's setup cell."""
    chance = np.random.default_rng(seed)
    features = chance.normal(size=(40, 3)) @ np.array([[1, 0.5, 0], [0, 1.5, -1], [0, 0, 0.5]])
    noise = (0.1 + 0.4 * features[:, 0] ** 2) * chance.normal(size=40)
    return features, features @ np.array([1.0, -2.0, 0.5]) + noise


def number(value, expected, rtol=1e-5):
    """Compare a number, whatever its shape."""
    return np.size(value) == 1 and near(np.reshape(value, ()), expected, rtol=rtol)


# Task 1


def draw_inputs(rng):
    q = rng.uniform(0.5, 3, size=4)
    return {
        "four": rng.normal(size=(4, 3)) * rng.uniform(0.3, 4, size=(4, 1)) + 0.5,
        "q": q / q.sum(),
        "drawn": rng.normal(size=(4, 5)) + 1,
        "q_drawn": rng.uniform(0.01, 0.05, size=4),
        "N": 61,
        "gradients": rng.normal(size=(7, 3)) * rng.uniform(0.2, 5, size=(7, 1)),
    }


def weighted(drawn, q, N):
    return sum(g / p for g, p in zip(drawn, q, strict=True)) / (len(q) * N)


def unbiased(given, got):
    four, q = given["four"], given["q"]
    single = np.asarray(got["single"])
    pairs = np.asarray(got["pairs"])
    if single.shape != (4, 3) or pairs.shape != (16, 3):
        return False
    chance = np.outer(q, q).ravel()
    return (
        near(q @ single, four.mean(axis=0))
        and near(chance @ pairs, four.mean(axis=0))
        and near(single, np.array([g / (4 * p) for g, p in zip(four, q, strict=True)]))
        and near(got["batch"], weighted(given["drawn"], given["q_drawn"], given["N"]))
    )


def quietest(given, got):
    lengths = np.array([np.linalg.norm(g) for g in given["gradients"]])
    return near(got["quietest"], lengths / sum(lengths))


# Task 2


def rate_inputs(rng):
    return {
        "X": rng.normal(size=(rng.integers(12, 30), 4)) * np.array([0.4, 1.0, 2.0, 0.7]) + 0.3,
        "decay": rng.uniform(0.3, 0.9),
        "betas": np.array([rng.uniform(0.2, 0.5), rng.uniform(0.85, 0.95)]),
    }


def edge(X, decay, beta):
    """Return the largest stable rate by bisection on the matrix of one step of (w, v)."""
    curvatures, axes = np.linalg.eigh(X.T @ X / len(X))
    H = (axes * (curvatures + decay)) @ axes.T
    one = np.eye(len(H))
    low, high = 0.0, 10 / np.linalg.norm(H, 2)
    for _ in range(60):
        rate = (low + high) / 2
        above = np.hstack([one - rate * (1 + beta) * H, -rate * beta**2 * one])
        step = np.vstack([above, np.hstack([H, beta * one])])
        stable = np.abs(np.linalg.eigvals(step)).max() < 1
        low, high = (rate, high) if stable else (low, rate)
    return low


def rate_plain(given, got):
    return number(got["plain"], edge(given["X"], given["decay"], 0.0))


def rate_nesterov(given, got):
    return all(
        number(got[f"beta {i}"], edge(given["X"], given["decay"], beta))
        for i, beta in enumerate(given["betas"])
    )


def rate_own(given, got):
    return number(got["own"], edge(own_data(given["seed"])[0], 0.1, 0.6), 1e-3)


# Task 3


def factored_inputs(rng):
    def gradients(*shape):
        return rng.normal(size=(5, *shape)) * rng.uniform(0.3, 3, size=shape) + 0.1

    return {
        "weight": rng.normal(size=(3, 5)),
        "bias": rng.normal(size=4),
        "other": rng.normal(size=(4, 2)),
        "twin": rng.normal(size=4),  # of the shape of another, with a history of its own
        "weight_grads": gradients(3, 5),
        "bias_grads": gradients(4),
        "other_grads": gradients(4, 2),
        "twin_grads": gradients(4),
        "lr": rng.uniform(0.05, 0.2),
        "beta": rng.uniform(0.6, 0.9),
        "eps": rng.uniform(0.05, 0.2),
    }


def factored_run(start, grads, given, slower=1.0):
    """Return where a parameter ends, from weighted sums over all gradients so far."""
    w, beta = np.array(start), given["beta"]
    for t in range(1, len(grads) + 1):
        shares = beta ** np.arange(t - 1, -1, -1.0)
        mean = np.tensordot(shares / shares.sum(), grads[:t] ** 2, axes=1)
        if w.ndim == 2:
            mean = np.outer(mean.sum(axis=1), mean.sum(axis=0)) / mean.sum()
        w = w - given["lr"] * slower ** (t - 1) * grads[t - 1] / (np.sqrt(mean) + given["eps"])
    return w


def factored_one(name):
    def holds(given, got):
        return near(got[name], factored_run(given[name], given[f"{name}_grads"], given))

    return holds


def factored_several(given, got):
    ends, left = got["several"]["data"], got["several"]["grad"]
    names = ("other", "bias", "twin", "weight")
    return all(
        near(ends[name], factored_run(given[name], given[f"{name}_grads"], given, 0.7))
        and np.array_equal(left[name], given[f"{name}_grads"][-1])
        for name in names
    )


# Task 4


def floor_inputs(rng):
    N, n = int(rng.integers(9, 20)), 4
    X = rng.normal(size=(N, n)) @ (np.eye(n) + rng.uniform(-0.8, 0.8, size=(n, n)))
    t = X @ rng.normal(size=n) + (0.2 + np.abs(X[:, 1])) * rng.normal(size=N) + 1
    highest = np.linalg.norm(X, 2) ** 2 / N
    return {
        "X": X,
        "t": t,
        "small": 1e-7 / highest,
        "large": rng.uniform(1.6, 1.9) / highest,
        "batch": int(rng.integers(3, 7)),
    }


def settled(X, t, rate, batch):
    """Return the excess loss from the covariance C of the weights: HC + CH − η HCH = η S."""
    w = np.linalg.solve(X.T @ X, X.T @ t)
    S = np.cov((X * (X @ w - t)[:, None]).T, ddof=1) * (1 / batch - 1 / len(X))
    H, one = X.T @ X / len(X), np.eye(X.shape[1])
    system = np.kron(one, H) + np.kron(H, one) - rate * np.kron(H, H)
    C = np.linalg.solve(system, rate * S.ravel()).reshape(S.shape)
    return np.trace(H @ C) / 2


def floor_small(given, got):
    expected = settled(given["X"], given["t"], given["small"], given["batch"])
    return number(got["small"], expected)


def floor_large(given, got):
    return number(got["large"], settled(given["X"], given["t"], given["large"], 1))


def floor_own(given, got):
    return number(got["own"], settled(*own_data(given["seed"]), 0.2, 8))


# Task 5


def record(X, t, batches, start, rate, gamma, epoch, mistake, size):
    """Yield the weights of a run, with a mistake of a given size."""
    weights = [start]
    yield start
    for step, rows in enumerate(batches):
        w = weights[max(step - size, 0)] if mistake == "old" else weights[step]
        g = (X[rows] @ w - t[rows]) @ X[rows] / len(rows)
        g = g * size if mistake == "factor" else g + size * w if mistake == "decay" else g
        lowered = step // (size if mistake == "schedule" else epoch)
        weights.append(weights[step] - rate * gamma**lowered * g)
        yield weights[-1]


def a_run(rng, mistake, second):
    """Draw a run with a mistake; the second of its kind has another sort of size."""
    n, B, epoch = int(rng.integers(2, 5)), int(rng.integers(3, 7)), int(rng.integers(5, 9))
    N, T = B * epoch, 6 * epoch
    X = rng.normal(size=(N, n)) + 0.2
    t = X @ rng.normal(size=n) + rng.normal(size=N)
    size = {
        "nothing": 0,
        "factor": float(rng.uniform(0.2, 0.8)) if second else B,
        "schedule": int(rng.integers(2 * epoch + 1, 3 * epoch))
        if second
        else int(rng.integers(1, 4)),
        "old": int(rng.integers(5, 9)) if second else int(rng.integers(1, 3)),
        "decay": float(rng.uniform(0.003, 0.01) if second else rng.uniform(0.2, 0.6)),
        "rows": int(rng.integers(1, 3)) if second else int(rng.integers(B, 2 * B)),
    }[mistake]
    loader = rng.permutation(N)[: N - size if mistake == "rows" else N]
    order = np.concatenate([rng.permutation(loader) for _ in range(12)])
    run = {
        "X": X,
        "t": t,
        "batches": order[: T * B].reshape(T, B),
        "rate": float(rng.uniform(0.02, 0.04)),
        "gamma": float(rng.uniform(0.6, 0.85)),
        "epoch": epoch,
    }
    weights = record(**run, start=rng.normal(size=n), mistake=mistake, size=size)
    return run | {"weights": np.array(list(weights))}


MISTAKES = {
    "factor": "Runs whose gradients were multiplied by a constant are found, with the factor.",
    "schedule": "Runs whose schedule was stepped at other times are found, with the steps between.",
    "old": "Runs with old gradients are found, with the age.",
    "decay": "Runs with a weight decay are found, with its size.",
    "rows": "Runs that never used some rows are found, with their number.",
}


def examine_inputs(rng):
    kinds = [kind for mistake in ["nothing", *MISTAKES] for kind in ((mistake, 0), (mistake, 1))]
    return {"runs": [a_run(rng, *kinds[i]) for i in rng.permutation(len(kinds))]}


def diagnosis(run):
    """Return the mistake and its size, by running again with every mistake that may be in it."""
    run = dict(run)
    weights = run.pop("weights")
    allowed = 1e-9 * np.abs(weights).max()
    run["start"] = start = weights[0]
    rows = run["batches"][0]
    g = run["X"][rows].T @ (run["X"][rows] @ start - run["t"][rows]) / len(rows)
    first = (start - weights[1]) / run["rate"]
    tries = [("nothing", 0), ("factor", first @ g / (g @ g))]
    tries += [("decay", (first - g) @ start / (start @ start))]
    tries += [("schedule", k) for k in range(1, len(run["batches"]) // 2 + 1)]
    tries += [("old", age) for age in range(1, 9)]
    for mistake, size in tries:
        again = record(**run, mistake=mistake, size=size)  # as far as it goes the same way
        if all(np.abs(a - w).max() < allowed for a, w in zip(again, weights, strict=True)):
            unused = len(set(range(len(run["X"]))) - set(run["batches"].ravel().tolist()))
            return ("rows", unused) if unused else (mistake, size)
    raise AssertionError("a hidden run that cannot be told")


def found(mistake):
    def holds(given, got):
        for i, run in enumerate(given["runs"]):
            true, size = diagnosis(run)
            if true in (mistake, "nothing"):
                named, value = got[f"run {i}"]["mistake"], got[f"run {i}"]["number"]
                if named != true or not abs(value - size) <= 1e-5 * size:
                    return False
        return True

    return holds


TASKS = [
    Task(
        "draw",
        draw_inputs,
        [Check("fair", 2, FAIR, unbiased), Check("quietest", 1, QUIETEST, quietest)],
    ),
    Task(
        "rate",
        rate_inputs,
        [
            Check("plain", 1, RATE_PLAIN, rate_plain),
            Check("nesterov", 1, RATE_NESTEROV, rate_nesterov),
            Check("own", 1, RATE_OWN, rate_own),
        ],
    ),
    Task(
        "factored",
        factored_inputs,
        [
            Check("matrix", 1, FACTORED_MATRIX, factored_one("weight")),
            Check("vector", 1, FACTORED_VECTOR, factored_one("bias")),
            Check("several", 1, FACTORED_SEVERAL, factored_several),
        ],
    ),
    Task(
        "floor",
        floor_inputs,
        [
            Check("small", 1, FLOOR_SMALL, floor_small),
            Check("large", 1, FLOOR_LARGE, floor_large),
            Check("own", 1, FLOOR_OWN, floor_own),
        ],
    ),
    Task(
        "examine",
        examine_inputs,
        [
            Check(name, 1, f"{says} No sound run is accused.", found(name))
            for name, says in MISTAKES.items()
        ],
    ),
]

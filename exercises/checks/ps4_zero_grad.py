"""Hidden checks of problem set 4, Forgetting zero_grad.

What is expected comes from elsewhere than the solutions do: from loops where they have a formula,
from formulas where they have a loop, and from backward passes that are written out here.
"""

import math
from itertools import pairwise

import numpy as np

from grading import Check, Task, close


def vector_of(value, size):
    """Return a vector of numbers; of anything else, one of NaN, which equals nothing."""
    is_vector = isinstance(value, np.ndarray) and value.shape == (size,)
    return value if is_vector and value.dtype.kind == "f" else np.full(size, np.nan)


# Task 1: count in a loop what the solution counts by a formula.


def uses_inputs(rng):
    every = int(rng.integers(3, 7))
    return {
        "whole": [every * int(rng.integers(2, 5)), every],
        "cut": [every * int(rng.integers(2, 5)) + int(rng.integers(1, every)), every],
        "never": [int(rng.integers(4, 9)), 12],
        "always": [int(rng.integers(4, 9)), 1],
    }


def counted(steps, every):
    count, in_buffer = np.zeros(steps), []
    for step in range(steps):
        if step % every == 0:
            in_buffer = []
        in_buffer.append(step)
        count[in_buffer] += 1
    return count


def counts(*parts):
    return lambda given, got: all(close(got[p], counted(*given[p])) for p in parts)


# Task 2: the valley is known to whoever makes the record, but not to the sandbox, so it is found
# again by another way than the solution's: as the solution of linear equations in λ, λm and s.


def record(rng, product, steps):
    while True:
        lr = rng.uniform(0.1, 2)
        curvature = product / lr
        lowest = rng.uniform(0.5, 4) * rng.choice([-1, 1])
        w = lowest + rng.uniform(1, 4) * rng.choice([-1, 1])
        buffer = curvature * rng.uniform(0.4, 1.5) * rng.choice([-1, 1])
        path = [w]
        for _ in range(steps):
            buffer += curvature * (w - lowest)
            w -= lr * buffer
            path.append(w)
        if abs(path[2] - path[1]) > 0.3:  # else so short a record leaves too many digits open
            return {"w": np.array(path), "lr": lr}


def read_swing_inputs(rng):
    return {
        "slow": record(rng, rng.uniform(0.05, 0.4), 60),
        "fast": record(rng, rng.uniform(2.3, 3.5), 25),
        "explodes": record(rng, rng.uniform(4.1, 4.4), 9),
        "short": record(rng, rng.uniform(0.5, 1.5), 3),
    }


def valley(run):
    """Solve w₀ − w_T = η (T s + λ Σ (T − j) w_j − λm T(T + 1)/2) for λ, m and s."""
    w, lr = run["w"], run["lr"]
    rows = []
    for T in range(1, len(w)):
        left = np.arange(T, 0, -1)
        rows.append([left @ w[:T], -T * (T + 1) / 2, T])
    curvature, height, stale = np.linalg.lstsq(np.array(rows), (w[0] - w[1:]) / lr)[0]
    return np.array([curvature, height / curvature, stale])


def swings(*entries):
    def holds(given, got):
        return all(
            close(vector_of(got[part], 3)[entry], valley(given[part])[entry], 1e-7)
            for part in ("slow", "fast", "explodes", "short")
            for entry in entries
        )

    return holds


# Task 3: the data of the student's own notebook, made as its first cell makes them.

DECAY, LR = 1.0, 0.2


def own_data(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 3)) * [1.5, 0.8, 0.1]
    return X, X @ rng.normal(0, 2, 3) + rng.normal(0, 0.5, 40)


def iteration(X, lr):
    """Return what one step does to weights and buffer together, without the targets' part."""
    H, one = 2 / len(X) * X.T @ X, np.eye(3)
    return np.block([[one - lr * (H + DECAY * one), -lr * one], [H, one]])


def growth(X, lr):
    return np.abs(np.linalg.eigvals(iteration(X, lr))).max()


def rest(given, got):
    X, t = own_data(given["seed"])
    return close(got["rest"], np.linalg.solve(X.T @ X, X.T @ t), 1e-6)


def edge(given, got):
    """Bracket the edge: eigenvalues within the unit circle on one side and not on the other."""
    X, _ = own_data(given["seed"])
    yours = got["edge"]
    if not (isinstance(yours, (float, np.floating)) and 0.01 < yours < 10):
        return False
    apart = 1e-4 if isinstance(yours, np.float32) else 1e-6
    return bool(growth(X, (1 - apart) * yours) < 1 < growth(X, (1 + apart) * yours))


def slow(given, got):
    X, _ = own_data(given["seed"])
    return close(got["slow"], growth(X, LR), 1e-6)


# Task 4, and the backward passes of tasks 4 to 6, on lists W, b, W, b, …


def weights(rng, sizes):
    state = []
    for n_in, n_out in pairwise(sizes):
        state.append(rng.normal(0, 1 / math.sqrt(n_in), (n_in, n_out)))
        state.append(rng.normal(0, 0.5, n_out))
    return state


def forward(state, x):
    """Return the activations of a network with tanh between its layers."""
    activations = [x]
    for i in range(0, len(state), 2):
        z = activations[-1] @ state[i] + state[i + 1]
        activations.append(np.tanh(z) if i + 2 < len(state) else z)
    return activations


def backward(state, activations, delta):
    """Return the gradients by the parameters, and by the input."""
    gradients = []
    for i in range(len(state) - 2, -1, -2):
        a = activations[i // 2]
        gradients = [a.T @ delta, delta.sum(axis=0), *gradients]
        delta = delta @ state[i].T
        if i:
            delta = delta * (1 - a**2)
    return gradients, delta


def cross_entropy(z, y):
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    right = np.arange(len(y)), y
    loss = -np.log(p[right]).mean()
    p[right] -= 1
    return loss, p / len(y)


def mean_square(z, t):
    return np.mean((z - t) ** 2), 2 * (z - t) / z.size


def flat(arrays):
    return np.concatenate([np.ravel(a) for a in arrays])


def loss_and_gradient(state, x, y):
    activations = forward(state, x)
    loss, delta = (cross_entropy if y.ndim == 1 else mean_square)(activations[-1], y)
    return loss, flat(backward(state, activations, delta)[0])


def accumulate_inputs(rng):
    given = {}
    for name, classes in (("classes", True), ("numbers", False)):
        sizes = [int(n) for n in rng.integers(3, 8, size=3)]
        rows = [int(n) for n in rng.permutation([1, 3, 6, 11])]
        x = rng.normal(size=(sum(rows), sizes[0]))
        y = rng.integers(0, sizes[-1], len(x)) if classes else rng.normal(size=(len(x), sizes[-1]))
        state = weights(rng, sizes)
        norm = np.linalg.norm(loss_and_gradient(state, x, y)[1])
        given[name] = {
            "state": state,
            "stale": [rng.normal(size=p.shape) for p in state],
            "x": x,
            "y": y,
            "rows": rows,
            "even": [7, 7, 7],  # together as many: what is stale shows where weighting does not
            "max_norm": rng.uniform(0.2, 0.6) * norm,
            "lr": rng.uniform(0.2, 0.9),
            "decay": rng.uniform(0.1, 0.5),
        }
    return given


def steps(part, clip):
    def holds(given, got):
        for name in ("classes", "numbers"):
            case = given[name]
            _, gradient = loss_and_gradient(case["state"], case["x"], case["y"])
            norm = np.linalg.norm(gradient)
            factor = min(1, case["max_norm"] / norm) if clip else 1
            true = -case["lr"] * (factor * gradient + case["decay"] * flat(case["state"]))
            if not close(got[f"{part}, {name}"], true, 1e-5):
                return False
        return True

    return holds


def mean_loss(given, got):
    return all(
        close(got[f"loss, {n}"], loss_and_gradient(*(given[n][k] for k in ("state", "x", "y")))[0])
        for n in ("classes", "numbers")
    )


# Task 5


def play_inputs(rng):
    noise, features, hidden = (int(n) for n in rng.integers(3, 6, size=3))
    generator = weights(rng, [noise, hidden, features])
    critic = weights(rng, [features, hidden + 1, 1])
    rows = [int(n) for n in rng.permutation([4, 7, 10])]
    return {
        "generator": generator,
        "critic": critic,
        "stale": [rng.normal(size=p.shape) for p in [*generator, *critic]],
        "z": [rng.normal(size=(rows[0], noise)), rng.normal(size=(rows[1], noise))],
        "real": [rng.normal(1, 1, (rows[1], features)), rng.normal(1, 1, (rows[2], features))],
        "lr": [rng.uniform(0.1, 0.3), rng.uniform(0.1, 0.3)],
        "decay": rng.uniform(0.1, 0.5),
    }


def critic_moved(state, generator, z, real, lr, decay):
    total = [np.zeros_like(p) for p in state]
    for x, wanted in ((real, 1.0), (forward(generator, z)[-1], 0.0)):
        activations = forward(state, x)
        _, delta = mean_square(activations[-1], wanted)
        gradients, _ = backward(state, activations, delta)
        total = [a + b for a, b in zip(total, gradients, strict=True)]
    return [p - lr * (g + decay * p) for p, g in zip(state, total, strict=True)]


def generator_moved(state, critic, z, lr, decay):
    made = forward(state, z)
    judged = forward(critic, made[-1])
    _, delta = mean_square(judged[-1], 1.0)
    _, delta = backward(critic, judged, delta)
    gradients, _ = backward(state, made, delta)
    return [p - lr * (g + decay * p) for p, g in zip(state, gradients, strict=True)]


def after(given, got, part):
    """Return generator's and critic's parameters, each as one vector."""
    vector = vector_of(got[part], sum(p.size for p in [*given["generator"], *given["critic"]]))
    return np.split(vector, [sum(p.size for p in given["generator"])])


def critics_step(given, got):
    start, z, real = given["critic"], given["z"][0], given["real"][0]
    true = critic_moved(start, given["generator"], z, real, given["lr"][0], given["decay"])
    return close(after(given, got, "clean")[1] - flat(start), flat(true) - flat(start), 1e-7)


def generators_step(given, got):
    """Judge the generator by the critic that the student made, be that right or wrong."""
    start = given["generator"]
    yours, critic = after(given, got, "clean")
    cuts = np.cumsum([p.size for p in given["critic"]])[:-1]
    arrays = zip(np.split(critic, cuts), given["critic"], strict=True)
    critic = [part.reshape(p.shape) for part, p in arrays]
    true = generator_moved(start, critic, given["z"][0], given["lr"][1], given["decay"])
    return close(yours - flat(start), flat(true) - flat(start), 1e-7)


def from_stale(given, got):
    generator, critic, decay = given["generator"], given["critic"], given["decay"]
    for z, real in zip(given["z"], given["real"], strict=True):
        critic = critic_moved(critic, generator, z, real, given["lr"][0], decay)
        generator = generator_moved(generator, critic, z, given["lr"][1], decay)
    start = flat([*given["generator"], *given["critic"]])
    yours = np.concatenate(after(given, got, "stale"))
    return close(yours - start, flat([*generator, *critic]) - start, 1e-7)


# Task 6


def broken_run(rng, sizes, faults):
    """Train with G = a g + b G before; return what is left of it."""
    while True:
        lr, state = rng.uniform(0.2, 1.5), weights(rng, sizes)
        read = [np.zeros_like(p) for p in state]
        batches, states, told_apart = [], [state], True
        for step in faults:
            x = rng.normal(size=(int(rng.integers(4, 10)), sizes[0]))
            y = rng.integers(0, sizes[-1], len(x))
            fresh = gradients_of(state, x, y)
            told_apart &= all(map(apart, fresh, read))
            read = [a * g + b * G for (a, b), g, G in zip(step, fresh, read, strict=True)]
            state = [p - lr * G for p, G in zip(state, read, strict=True)]
            batches.append({"x": x, "y": y})
            states.append(state)
        if told_apart:
            return {"sizes": sizes, "lr": lr, "batches": batches, "states": states}


def gradients_of(state, x, y):
    activations = forward(state, x)
    return backward(state, activations, cross_entropy(activations[-1], y)[1])[0]


def apart(g, G):
    """Say whether two gradients are far from parallel, and of like size, or the second is 0."""
    sizes = np.linalg.norm(g), np.linalg.norm(G)
    if sizes[1] == 0:
        return True
    return abs(np.vdot(g, G)) < 0.97 * sizes[0] * sizes[1] and sizes[1] > 0.02 * sizes[0]


def audit_inputs(rng):
    n = [int(k) for k in rng.integers(3, 6, size=6)]
    forgotten = np.ones((6, 4, 2))
    forgotten[:, :, 1] = np.array([0, 1, 1, 0, 1, 1])[:, None]
    factors = np.zeros((6, 4, 2))
    factors[:, :, 0] = rng.permutation([1, 2, 0.25, 0, 3, 0.6])[:, None]
    if factors[-1, 0, 0] == 0:  # a step that reads nothing has one after it
        factors = factors[::-1].copy()
    by_layer = np.empty((6, 6, 2))
    by_layer[..., 0] = rng.choice([0.25, 0.5, 1, 1, 2], size=(6, 6))
    by_layer[..., 1] = rng.choice([0, 0, 0.5, 1, 1.25], size=(6, 6))
    by_layer[2, rng.integers(0, 6)] = 0
    return {
        "forgotten": broken_run(rng, [n[0], n[1], 3], forgotten),
        "factors": broken_run(rng, [n[2], n[3], 4], factors),
        "by layer": broken_run(rng, [n[4], n[5], 4, 3], by_layer),
    }


def found_again(run):
    """Solve the 2×2 normal equations by Cramer's rule, where the solution takes least squares."""
    states, result = run["states"], []
    before = [np.zeros_like(p) for p in states[0]]
    for i, batch in enumerate(run["batches"]):
        rows, read = [], []
        fresh = gradients_of(states[i], batch["x"], batch["y"])
        for g, old, p, q in zip(fresh, before, states[i], states[i + 1], strict=True):
            G = (p - q) / run["lr"]
            gg, go, oo = np.vdot(g, g), np.vdot(g, old), np.vdot(old, old)
            gG, oG = np.vdot(g, G), np.vdot(old, G)
            if np.abs(old).max() == 0:
                rows.append([gG / gg, 0.0])
            else:
                det = gg * oo - go * go
                rows.append([(oo * gG - go * oG) / det, (gg * oG - go * gG) / det])
            read.append(G)
        result.append(rows)
        before = read
    return np.array(result)


def audits(part):
    return lambda given, got: close(got[part], found_again(given[part]), 1e-6)


TASKS = [
    Task(
        "uses",
        uses_inputs,
        [
            Check(
                "whole groups",
                1,
                "The numbers are right if `every` divides `steps`, also if it is 1.",
                counts("whole", "always"),
            ),
            Check(
                "the end",
                1,
                "The numbers are right if the loop ends before the buffer is emptied again, also "
                "if it is emptied at the start only.",
                counts("cut", "never"),
            ),
        ],
    ),
    Task(
        "read-swing",
        read_swing_inputs,
        [
            Check(
                "valley",
                1,
                "The curvature and the lowest point are right for slow and fast swings, for one "
                "that explodes and for a record of four weights.",
                swings(0, 1),
            ),
            Check(
                "stale",
                1,
                "The stale gradient is right for all of these.",
                swings(2),
            ),
        ],
    ),
    Task(
        "decay",
        lambda rng: {},
        [
            Check("rest", 1, "`rest` is where the loop on your own data comes to rest.", rest),
            Check(
                "edge",
                1,
                "The loop on your own data comes to rest just below `edge` and not just above.",
                edge,
            ),
            Check(
                "slow",
                1,
                "`slow` is what the distance from rest shrinks by in each step, in the long run.",
                slow,
            ),
        ],
    ),
    Task(
        "accumulate",
        accumulate_inputs,
        [
            Check(
                "whole batch",
                1,
                "Where no bound bites, the step is that of all rows in one batch, though the parts "
                "differ in size and can be gone through once.",
                steps("step", clip=False),
            ),
            Check(
                "clipped",
                1,
                "With a bound that bites, the step is that of the one batch, clipped.",
                steps("clipped", clip=True),
            ),
            Check("loss", 1, "The loss is the mean over all rows of all parts.", mean_loss),
            Check(
                "stale",
                1,
                "The step is right whatever the buffers held before, also with parts of one size.",
                steps("stale", clip=False),
            ),
        ],
    ),
    Task(
        "play",
        play_inputs,
        [
            Check(
                "critic",
                1,
                "From empty buffers, the critic's step follows the gradient of its loss, on real "
                "and made rows together.",
                critics_step,
            ),
            Check(
                "generator",
                1,
                "From empty buffers, the generator's step follows the gradient of its loss alone, "
                "judged by the critic after its step.",
                generators_step,
            ),
            Check(
                "stale",
                1,
                "Two rounds in a row are right for both, whatever the buffers held before the "
                "first.",
                from_stale,
            ),
        ],
    ),
    Task(
        "audit",
        audit_inputs,
        [
            Check(
                "forgotten",
                1,
                "It finds in which steps no buffer was emptied, where nothing else is wrong.",
                audits("forgotten"),
            ),
            Check(
                "factors",
                1,
                "It finds by which factor each gradient was added, where all buffers were emptied; "
                "also in a step that read nothing, and in the one after it.",
                audits("factors"),
            ),
            Check(
                "by layer",
                1,
                "It finds both where they differ from parameter to parameter.",
                audits("by layer"),
            ),
        ],
    ),
]

"""Call what the student wrote, for problem set 4, Forgetting zero_grad."""

import math

import numpy as np

import gradnb as gnb


def uses(student, given):
    for part in ("whole", "always", "cut", "never"):
        steps, every = (int(n) for n in given[part])
        yield part, lambda s=steps, e=every: student.uses(s, e)


def read_swing(student, given):
    for part in ("slow", "fast", "explodes", "short"):
        run = given[part]
        yield part, lambda run=run: numbers(student.read_swing(run["w"].copy(), run["lr"]), 3)


def numbers(found, n):
    """Return `n` numbers as an array, however each was wrapped."""
    values = [np.asarray(number, dtype=float).reshape(()) for number in found]
    if len(values) != n:
        raise ValueError(f"{n} numbers are expected, got {len(values)}")
    return np.array(values)


def decay(student, given):
    yield "rest", lambda: np.reshape(student.rest, 3)
    yield "edge", lambda: np.reshape(student.edge, ())[()]
    yield "slow", lambda: np.reshape(student.slow, ())[()]


def network(state):
    """Build a network with tanh between its layers, with these weights and biases."""
    sizes = [state[0].shape[0], *(bias.size for bias in state[1::2])]
    model = gnb.mlp(sizes, gnb.Tanh, rng=0)
    for p, values in zip(model.parameters(), state, strict=True):
        p.data[...] = values
    return model


def flat(model):
    return np.concatenate([p.data.ravel() for p in model.parameters()])


def leave(parameters, stale):
    for p, values in zip(parameters, stale, strict=True):
        p.grad += values


def accumulate(student, given):
    for name in ("classes", "numbers"):
        case = given[name]

        def run(max_norm, stale=False, case=case, name=name):
            model = network(case["state"])
            start = flat(model)
            if stale:
                leave(model.parameters(), case["stale"])
            rule = {"lr": float(case["lr"]), "weight_decay": float(case["decay"])}
            optimizer = gnb.SGD(model.parameters(), **rule)
            criterion = gnb.CrossEntropyLoss() if name == "classes" else gnb.MSELoss()
            cuts = np.cumsum(case["even" if stale else "rows"])[:-1]
            parts = zip(np.split(case["x"], cuts), np.split(case["y"], cuts), strict=True)
            loss = student.accumulate(model, criterion, optimizer, parts, max_norm)
            return flat(model) - start, loss

        # Once with a bound that is there and does not bite
        loose = math.inf if name == "classes" else 1e4 * float(case["max_norm"])
        yield f"step, {name}", lambda run=run, bound=loose: run(bound)[0]
        yield f"loss, {name}", lambda run=run: np.reshape(run(math.inf)[1], ())[()]
        yield (
            f"clipped, {name}",
            lambda run=run, bound=float(case["max_norm"]): run(bound)[0],
        )
        yield f"stale, {name}", lambda run=run: run(math.inf, stale=True)[0]


def play(student, given):
    def run(rounds, stale):
        generator, critic = network(given["generator"]), network(given["critic"])
        if stale:
            leave([*generator.parameters(), *critic.parameters()], given["stale"])
        c_lr, g_lr = (float(lr) for lr in given["lr"])
        decay = float(given["decay"])
        g_optimizer = gnb.SGD(generator.parameters(), lr=g_lr, weight_decay=decay)
        c_optimizer = gnb.SGD(critic.parameters(), lr=c_lr, weight_decay=decay)
        for z, real in list(zip(given["z"], given["real"], strict=True))[:rounds]:
            student.play(generator, critic, g_optimizer, c_optimizer, z.copy(), real.copy())
        return np.concatenate([flat(generator), flat(critic)])

    yield "clean", lambda: run(1, stale=False)
    yield "stale", lambda: run(2, stale=True)


def audit(student, given):
    for part in ("forgotten", "factors", "by layer"):
        run = given[part]

        def ask(run=run):
            names = [name for name, _ in network(run["states"][0]).named_parameters()]
            states = [dict(zip(names, s, strict=True)) for s in run["states"]]
            batches = [(batch["x"], batch["y"]) for batch in run["batches"]]
            model = gnb.mlp([int(n) for n in run["sizes"]], gnb.Tanh, rng=0)
            return student.audit(model, batches, states, float(run["lr"]))

        yield part, ask

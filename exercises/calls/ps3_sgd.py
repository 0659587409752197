"""Call what the student wrote, for problem set 3."""

import itertools

import numpy as np

import gradnb as gnb


def draw(student, given):
    four, q = given["four"], given["q"]

    def drawn(rows):
        return student.fair_gradient(four[rows], q[rows], 4)

    yield "single", lambda: [drawn([i]) for i in range(4)]
    yield "pairs", lambda: [drawn(list(i)) for i in itertools.product(range(4), repeat=2)]
    yield (
        "batch",
        lambda: student.fair_gradient(given["drawn"].copy(), given["q_drawn"].copy(), given["N"]),
    )
    yield "quietest", lambda: student.quietest_draw(given["gradients"].copy())


def rate(student, given):
    def largest(beta):
        return student.largest_rate(given["X"].copy(), given["decay"], float(beta))

    yield "plain", lambda: largest(0.0)
    for i, beta in enumerate(given["betas"]):
        yield f"beta {i}", lambda beta=beta: largest(beta)
    yield "own", lambda: student.my_rate


def factored(student, given):
    def run(names, slower=1.0):
        parameters = [gnb.Parameter(given[name].copy()) for name in names]
        held = [p.data for p in parameters]
        rule = {name: given[name] for name in ("lr", "beta", "eps")}
        optimizer = student.Factored(parameters, **rule)
        for step in range(5):
            for name, p in zip(names, parameters, strict=True):
                p.grad[...] = given[f"{name}_grads"][step]
            optimizer.step()
            optimizer.lr *= slower
        return parameters, held

    def several():
        names = ["other", "bias", "twin", "weight"]
        parameters, held = run(names, slower=0.7)
        grads = [p.grad for p in parameters]
        return {
            "data": dict(zip(names, held, strict=True)),
            "grad": dict(zip(names, grads, strict=True)),
        }

    yield "weight", lambda: run(["weight"])[0][0].data
    yield "bias", lambda: run(["bias"])[0][0].data
    yield "several", several


def floor(student, given):
    def of(rate, batch):
        return student.floor(given["X"].copy(), given["t"].copy(), rate, batch)

    yield "small", lambda: of(given["small"], given["batch"])
    yield "large", lambda: of(given["large"], 1)
    yield "own", lambda: student.my_floor


def examine(student, given):
    def copied(run):
        return {key: np.copy(v) if np.ndim(v) else v for key, v in run.items()}

    def examined(run):
        mistake, number = student.examine(copied(run))
        return {"mistake": str(mistake), "number": float(number)}

    for i, run in enumerate(given["runs"]):
        yield f"run {i}", lambda run=run: examined(run)

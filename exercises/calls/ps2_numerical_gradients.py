"""Call what the student wrote, for problem set 2."""

import numpy as np

import gradnb as gnb


def named(pair, *names):
    """Name the two numbers that a function returned, and keep the type of each."""
    first, second = pair
    return {names[0]: np.reshape(first, ()), names[1]: np.reshape(second, ())}


def richardson(student, given):
    """Call the functions of task 1."""

    def ask(case):
        def f(w):
            return np.polynomial.polynomial.polyval(np.sum(case["a"] * w), case["coefficients"])

        pair = student.slope_and_error(f, case["w"].copy(), case["r"].copy(), case["h"])
        return named(pair, "best", "error")

    for name, case in given["cases"].items():
        yield name, lambda case=case: ask(case)


def best_step(student, given):
    """Call the functions of task 2."""

    def ask(case):
        dtype = {"float32": np.float32, "float64": np.float64}[case["dtype"]]
        return named(student.best_step(case["f_value"], case["f5"], dtype), "h", "bound")

    for name, case in given["cases"].items():
        yield name, lambda case=case: ask(case)


def hessian_vector(student, given):
    """Call the functions of task 3."""

    def ask(case, same_array, limit=None, clean=False):
        A, w, v = case["A"], case["w"].copy(), case["v"].copy()
        kept, calls = np.empty(w.shape), []

        def gradient(w):
            calls.append(1)
            if limit and len(calls) > limit:
                raise RuntimeError(f"the gradient was called more than {limit} times")
            kept[...] = (A.T @ np.tanh(A @ w.ravel() + case["b"])).reshape(w.shape)
            return kept if same_array else kept.copy()

        product = student.hessian_vector(gradient, w, v)
        if not clean:
            return product
        moved = max(np.abs(w - case["w"]).max(), np.abs(v - case["v"]).max())
        return {"product": product, "moved": moved}

    cases = given["cases"]
    yield "clean", lambda: ask(cases["unit"], same_array=False, limit=4, clean=True)
    yield "long", lambda: ask(cases["long"], same_array=False, clean=True)
    yield "short", lambda: ask(cases["short"], same_array=False)
    yield "buffer", lambda: ask(cases["unit"], same_array=True)
    yield "matrix", lambda: ask(cases["matrix"], same_array=True)


def kinks(student, given):
    """Call the functions of task 4."""

    def ask(net):
        arrays = (net[name].copy() for name in ("X", "W1", "b1", "W2", "b2"))
        return student.kink_distance(*arrays)

    for name, net in given["nets"].items():
        yield name, lambda net=net: ask(net)
    yield "own", lambda: named(student.own_network(), "longest", "crossing")


def repair(student, given):
    """Call the functions of task 5."""

    def network(case, fails_at=None, seen=None):
        names = ("W1", "b1", "W2")
        W1, b1, W2 = arrays = tuple(case[name].copy() for name in names)
        calls = []

        def loss():
            calls.append(1)
            if seen is not None:
                pairs = zip(names, arrays, strict=True)
                seen.update(name for name, a in pairs if np.any(a != case[name]))
            if len(calls) == fails_at:
                raise RuntimeError("a batch of the wrong shape")
            miss = np.tanh(case["X"] @ W1 + b1) @ W2 - case["T"]
            return case["size"] * np.mean(miss**2)

        claimed = [case["claimed_" + name].copy() for name in names]
        directions = [case["r_" + name].copy() for name in names]
        return loss, list(arrays), claimed, directions

    def moved(arrays, case):
        start = (case[name] for name in ("W1", "b1", "W2"))
        return max(np.abs(a - b).max() for a, b in zip(arrays, start, strict=True))

    def value(case):
        return np.reshape(student.direction_error(*network(case), h=3e-4), ())

    def left(case):
        seen = set()
        loss, arrays, claimed, directions = network(case, seen=seen)
        held = list(arrays)
        student.direction_error(loss, arrays, claimed, directions)
        return {"seen": len(seen), "moved": moved(held, case)}

    def interrupted(case, at):
        seen = set()
        loss, arrays, claimed, directions = network(case, fails_at=at, seen=seen)
        held = list(arrays)
        try:
            student.direction_error(loss, arrays, claimed, directions)
        except RuntimeError as error:
            if "wrong shape" not in str(error):
                raise
        else:
            raise ValueError("the exception that the loss raised did not reach the caller")
        after = moved(held, case)
        student.direction_error(loss, held, claimed, directions)
        return {"seen": len(seen), "moved": after}

    for name in ("too small", "small loss", "large loss"):
        yield name, lambda name=name: value(given["cases"][name])
    yield "left", lambda: left(given["cases"]["too small"])
    for at in (1, 2):
        yield f"raises {at}", lambda at=at: interrupted(given["cases"]["too small"], at)


def fault(student, given):
    """Call the functions of task 6."""

    def ask(case):
        sizes = [int(n) for n in case["sizes"]]
        net, criterion, runs = gnb.mlp(sizes, gnb.Tanh), gnb.MSELoss(), []
        arrays = [p.data for p in net.parameters()]
        cuts = np.cumsum([a.size for a in arrays])[:-1]

        def loss(w):
            runs.append(1)
            if len(runs) > 50:
                raise RuntimeError("the network was run more than 50 times")
            for a, part in zip(arrays, np.split(np.asarray(w, dtype=float), cuts), strict=True):
                a[...] = part.reshape(a.shape)
            return criterion(net(case["X"]), case["T"])

        w, claimed = case["w"].copy(), case["claimed"].copy()
        pair = student.find_fault(loss, w, claimed)
        moved = max(np.abs(w - case["w"]).max(), np.abs(claimed - case["claimed"]).max())
        return {**named(pair, "index", "error"), "moved": moved}

    for name, case in given["cases"].items():
        yield name, lambda case=case: ask(case)

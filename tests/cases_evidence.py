"""What a case is, measured apart from the doctor: by the definition of its cause, in float64.

`verify` returns what speaks against a case's name; a case with anything against it is not used.
"""

import copy

import numpy as np
from cases_parts import Scaled, backprop, flat, gradient, in_double, put, settle

from gradnb import (
    RNN,
    Adam,
    Linear,
    MSELoss,
    ReLU,
    Sigmoid,
    Tanh,
    signals,
)


def quiet(function):
    """Run without NumPy's warnings of overflow and division by zero."""

    def run(*arguments):
        with np.errstate(all="ignore"):
            return function(*arguments)

    return run


def leaves(model):
    """Return the modules of a model one after the other, those inside others too."""
    return [m for _, m in model.named_modules() if not any(True for _ in m.named_children())]


def record(case):
    """Return (module, input, output) of every leaf in one forward pass."""
    model, rows, handles = copy.deepcopy(case.model), [], []
    for module in leaves(model):
        handles.append(
            module.register_forward_hook(lambda m, inputs, out: rows.append((m, inputs[0], out)))
        )
    model(case.x)
    return rows


def marks(case):
    """Measure what gives most causes away."""
    case = in_double(case)
    model, loss, x, y = case.model, case.loss, case.x, case.y
    found = {"x": spread_of(x), "dead": 0.0, "slope": 1.0, "live": 1.0, "apart": 1.0, "rank": 1.0}
    for module, _, out in record(case):
        out = out.reshape(-1, out.shape[-1])
        if isinstance(module, ReLU):
            found["dead"] = max(found["dead"], np.mean(out.max(axis=0) <= 0))
            found["live"] = min(found["live"], np.mean(out > 0))
        elif isinstance(module, (Tanh, Sigmoid, RNN)):
            slope = 4 * out * (1 - out) if isinstance(module, Sigmoid) else 1 - out**2
            found["slope"] = min(found["slope"], np.median(slope))
    linears = [m for m in leaves(model) if isinstance(m, Linear)]
    for i, module in enumerate(linears):
        w, b = module.weight.data, module.bias.data
        size = np.abs(w).max()
        if i < len(linears) - 1:
            apart = np.abs(w - w[:, :1]).max() / size if size else 0.0
            found["apart"] = min(found["apart"], max(apart, np.ptp(b)))
            if min(w.shape) > 1 and size and np.isfinite(w).all():
                s = np.linalg.svd(w, compute_uv=False)
                found["rank"] = min(found["rank"], s[1] / s[0])
    matrices = [p.data for p in model.parameters() if p.data.ndim == 2]
    found["zero"] = sum(not m.any() for m in matrices)
    found["loss"] = loss(model(x), y)
    backprop(model, loss, x, y)
    found["norm"] = np.linalg.norm(flat(p.grad for p in model.parameters()))
    found["finite"] = bool(np.isfinite([found["loss"], found["norm"]]).all())
    _, errors = signals(model, x, loss, y)
    sizes = [np.linalg.norm(e) for e in errors]
    at = [i + 1 for i, m in enumerate(model) if any(True for _ in m.parameters())]
    found["way"] = sizes[at[0]] / sizes[-1] if sizes[-1] else np.nan
    inner = [sizes[i] for i in at[:-1]] or sizes[:1]
    found["inner"] = inner[0] / inner[-1] if inner[-1] else np.nan
    if isinstance(model[0], RNN):
        found["way"] = found["inner"] = through_time(model[0], errors[1])
    steps = np.array([sizes[i] for i in at])
    with np.errstate(all="ignore"):
        found["steps"] = steps[:-1] / steps[1:]  # of each layer to the next
    buffer = flat(p.grad for p in case.model.parameters())
    found["buffer"] = buffer
    return found


def through_time(rnn, error):
    """Return ‖∂L/∂h₁‖ / ‖∂L/∂h_T‖, which what comes from outside at the last step alone makes."""
    _, h = rnn._memory[0]
    g = error[:, -1]
    last = np.linalg.norm(g)
    for t in reversed(range(1, len(h))):
        g = (g * (1 - h[t] ** 2)) @ rnn.weight_hh.data.T
    return np.linalg.norm(g) / last


def spread_of(x):
    """Return how far inputs are from mean 0 and size 1, at worst: size, mean, largest column."""
    x = x.reshape(-1, x.shape[-1])
    size = np.sqrt((x**2).mean(axis=0))
    return float(max(size.max(), np.abs(x.mean(axis=0)).max()))


def projection(case):
    """Return by how many fresh gradients ``.grad`` is more than nothing, along the fresh one."""
    held = flat(p.grad for p in case.model.parameters())
    g = gradient(*copy.deepcopy((case.model, case.loss)), case.x, case.y)
    return held @ g / (g @ g) if g.any() else 0.0


def fall(case, steps=40):
    """Return by what share the loss falls in some steps of Adam, at the best of two rates."""
    falls = []
    for rate in (3e-3, 3e-4):
        model, loss = copy.deepcopy((case.model, case.loss))
        optimizer = Adam(model.parameters(), lr=rate)
        before = backprop(model, loss, case.x, case.y)
        for _ in range(steps):
            optimizer.step()
            after = backprop(model, loss, case.x, case.y)
        falls.append((before - after) / abs(before) if before else 0.0)
    return max(falls)


def curvatures(case, steps=40):
    """Return the lowest and highest curvature that Lanczos' method finds, and the lowest's axis."""
    case = in_double(case)
    model, loss, x, y = case.model, case.loss, case.x, case.y
    w = flat(p.data for p in model.parameters())
    rng = np.random.default_rng(0)
    h = 1e-4

    def times(v):
        put(model, w + h * v)
        above = gradient(model, loss, x, y)
        put(model, w - h * v)
        return (above - gradient(model, loss, x, y)) / (2 * h)

    basis, alphas, betas = [], [], []
    v = rng.normal(size=w.size)
    v /= np.linalg.norm(v)
    for _ in range(min(steps, w.size)):
        basis.append(v)
        z = times(v)
        alphas.append(v @ z)
        for _ in range(2):
            for u in basis:
                z -= (u @ z) * u
        beta = np.linalg.norm(z)
        if beta < 1e-12:
            break
        betas.append(beta)
        v = z / beta
    n = len(alphas)
    off = np.diag(betas[: n - 1], 1)
    values, vectors = np.linalg.eigh(np.diag(alphas) + off + off.T)
    return values[0], values[-1], vectors[:, 0] @ basis


def trivial(case):
    """Return the loss of the best constant answer: the mean, or the classes' shares."""
    y = case.y
    if y.dtype.kind == "f":
        return float(((y - y.mean(axis=0)) ** 2).mean())
    p = np.bincount(y) / len(y)
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def plain(case, m, *, inputs=True, way=True):
    """Say what else is wrong with a network that should have only its own cause."""
    if not m["finite"]:
        yield "not finite"
    if inputs and m["x"] > 8:
        yield f"inputs {m['x']:.3g}"
    if m["dead"] > 0.6 or m["live"] < 0.05:
        yield f"dead {m['dead']:.2g}"
    if m["slope"] < 0.05:
        yield f"flat {m['slope']:.2g}"
    if m["apart"] < 0.01 or m["rank"] < 1e-3:
        yield f"copies {m['apart']:.2g} {m['rank']:.2g}"
    if m["zero"]:
        yield "zero weights"
    if way and not (1 / 30 < m["inner"] < 30 and 1e-4 < m["way"] < 100):
        yield f"errors {m['inner']:.2g} {m['way']:.2g}"


def healthy(case):
    m = marks(case)
    yield from plain(case, m)
    if not list(nonfinite(case)):
        yield "not finite in its own type"
    w, g = at(case)
    if -(g @ w) > 0.9 * np.linalg.norm(g) * np.linalg.norm(w):
        yield "gradient along the weights, as where a penalty balances it"
    if np.linalg.norm(g) * np.linalg.norm(w) < 1e-2 * m["loss"]:
        yield "too small a gradient for its loss"
    down = fall(case)
    if down < 0.02:
        yield f"falls by {down:.2g}"
    if not all(parts_reached(case)):
        yield "not all parameters reached"
    if against_differences(case, 4) > 0.03:
        yield "wrong backward"
    if m["loss"] < 0.03 * trivial(case):
        yield f"nearly fitted, {m['loss']:.2g}"
    if projection(case) > 1.6:
        yield f"buffer {projection(case):.3g}"


def dead(case):
    m = marks(case)
    if m["dead"] < 0.9:
        yield f"dead {m['dead']:.2g}"
    if not m["finite"] or m["x"] > 8 or m["zero"] or m["apart"] < 0.01 or m["rank"] < 0.01:
        yield "another cause"
    if np.nan_to_num(m["steps"]).max() > 30:
        yield "explodes"


def saturated(case):
    m = marks(case)
    if m["slope"] > 0.005:
        yield f"slope {m['slope']:.2g}"
    if not m["finite"] or m["x"] > 8 or m["zero"] or m["apart"] < 0.01 or m["rank"] < 1e-3:
        yield "another cause"
    if m["inner"] > 30 or m["way"] > 30:
        yield f"explodes {m['inner']:.2g} {m['way']:.2g}"


def symmetric(case):
    m = marks(case)
    tol = 1e-5 if next(case.model.parameters()).data.dtype == np.float32 else 1e-9
    if min(m["apart"], m["rank"]) > tol:
        yield f"apart {m['apart']:.2g}, rank {m['rank']:.2g}"
    others = plain(case, m | {"apart": 1.0, "rank": 1.0}, way=False)
    yield from others
    if m["way"] > 30:
        yield f"errors {m['way']:.2g}"


def zero_weights(case):
    m = marks(case)
    if not m["zero"]:
        yield "no zero weights"
    if not m["finite"] or m["x"] > 8:
        yield "another cause"


def vanishing(case):
    m = marks(case)
    if m["way"] > 1e-3:
        yield f"errors {m['way']:.2g}"
    drops = np.log(m["steps"] + 1e-300)
    if not isinstance(case.model[0], RNN) and drops.min() < 0.7 * drops.sum():
        yield f"one layer's doing, {drops.round(1)}"
    yield from plain(case, m, way=False)


def exploding(case):
    m = marks(case)
    if m["way"] < 500:
        yield f"errors {m['way']:.2g}"
    others = plain(case, m | {"slope": 2 * m["slope"]}, way=False)
    yield from others


def underflow(case):
    """Compare with the gradient of the same loss at a weight, or in a type, that loses nothing."""
    up = 2.0**30
    g = gradient(*copy.deepcopy((case.model, case.loss)), case.x, case.y)
    double = in_double(case)
    if isinstance(double.loss, Scaled):
        double.loss.scale *= up
    else:
        double = double._replace(loss=Scaled(double.loss, up))
    right = gradient(*double[2:6])
    right, g = right / np.abs(right).max(), g * up / np.abs(right).max()
    lost = np.linalg.norm(g - right) / np.linalg.norm(right)
    if not lost > 0.5:
        yield f"lost {lost:.2g}"
    bare = getattr(double.loss, "loss", double.loss)
    yield from plain(case, marks(case._replace(loss=bare)), way=False)
    if isinstance(bare, MSELoss):
        value = bare(double.model(double.x), double.y)
        if value < 0.5 * trivial(double):
            yield "nothing left to learn"


def nonfinite(case):
    model, loss = copy.deepcopy((case.model, case.loss))
    value = backprop(model, loss, case.x, case.y)
    g = flat(p.grad for p in model.parameters())
    if np.isfinite(value) and np.isfinite(g).all():
        yield "all finite"


def unreached(case):
    reached = parts_reached(case)
    if all(reached) or not any(reached):
        yield f"reached: {sum(reached)} of {len(reached)}"
    m = marks(case)
    sane = m | {"way": 1.0, "inner": 1.0}
    yield from plain(case, sane)


def not_zeroed(case):
    held = projection(case)
    if held < 2.5 and not (held > 1.9 and abs(held - round(held)) < 1e-3):
        yield f"buffer {held:.3g}"
    yield from plain(case, marks(case))


def unscaled_inputs(case):
    x = case.x.astype(float)
    if spread_of(x) < 30:
        yield f"inputs {spread_of(x):.3g}"
    scale = x.std(axis=0)
    scaled = case._replace(x=((x - x.mean(axis=0)) / (scale + (scale == 0))))
    m = marks(scaled)
    yield from plain(scaled, m)


def penalty(case):
    """At rest with the penalty, the data's gradient −λ w: a real pull, and not of collapsed w."""
    double = in_double(case)
    loss = getattr(double.loss, "loss", double.loss)
    g = gradient(double.model, loss, double.x, double.y)
    w = flat(p.data for p in double.model.parameters())
    decay = -(g @ w) / (w @ w)
    left = np.linalg.norm(g + decay * w) / np.linalg.norm(g)
    if not left < 0.02:
        yield f"at rest to {left:.2g} of the data's gradient"
    if np.linalg.norm(w) < 1 or decay < 1e-4:
        yield f"weights of length {np.linalg.norm(w):.2g}, decay {decay:.2g}"
    m = marks(case)
    if m["rank"] < 0.02:
        yield f"rank {m['rank']:.2g}"
    yield from plain(case, m, way=False)


def wrong_backward(case):
    wrong = against_differences(case)
    if not wrong > 0.1:
        yield f"wrong by {wrong:.2g}"
    m = marks(case)
    yield from plain(case, m | {"inner": 1.0, "way": 1.0})


def against_differences(case, directions=10):
    """Return by what share slopes along random directions are not differences of the loss."""
    double = in_double(case)
    model, loss, x, y = double.model, double.loss, double.x, double.y
    g = gradient(model, loss, x, y)
    w = flat(p.data for p in model.parameters())
    rng = np.random.default_rng(0)
    errors, slopes = [], []
    for _ in range(directions):
        d = rng.normal(size=w.size)
        values = []
        for h in (1e-6, -1e-6):
            put(model, w + h * d)
            values.append(loss(model(x), y))
        slopes.append((values[0] - values[1]) / 2e-6)
        errors.append(slopes[-1] - g @ d)
    return np.linalg.norm(errors) / np.linalg.norm(slopes)


def parts_reached(case):
    """Return for each parameter whether a backward pass gives it anything."""
    double = in_double(case)
    backprop(double.model, double.loss, double.x, double.y)
    return [bool(p.grad.any()) for p in double.model.parameters()]


def at(case):
    """Return the parameters and the gradient as flat vectors, in float64."""
    double = in_double(case)
    g = gradient(double.model, double.loss, double.x, double.y)
    return flat(p.data for p in double.model.parameters()), g


def left_to_gain(case):
    """Return what L-BFGS still gains, in units of what a constant answer costs."""
    double = in_double(case)
    before = double.loss(double.model(double.x), double.y)
    after = settle(double.model, double.loss, double.x, double.y, steps=30)
    return (before - after) / max(trivial(case), 1e-300)


def finished(case):
    m = marks(case)
    gain = left_to_gain(case)
    if gain > 1e-5:
        yield f"still to gain: {gain:.2g}"
    yield from plain(case, m, way=False)
    if m["loss"] > 1e-5 * trivial(case):
        low, high, _ = curvatures(case, 25)
        if low < -1e-5 * high:
            yield f"curvatures {low:.2g} to {high:.2g}"


def saddle(case):
    m = marks(case)
    double = in_double(case)
    first = gradient(double.model, double.loss, double.x, double.y)
    low, high, axis = curvatures(case, 40)
    if low > -2e-3 * high:
        yield f"curvatures {low:.2g} to {high:.2g}"
    # What a plain step of the best length would gain against what the curvature offers
    if np.linalg.norm(first) > 1e-3 * abs(low):
        yield f"norm {np.linalg.norm(first):.2g}, curvature {low:.2g}"
    before = m["loss"]
    put(double.model, flat(p.data for p in double.model.parameters()) + 0.1 * axis)
    after = settle(double.model, double.loss, double.x, double.y, steps=40)
    if after > 0.95 * before:
        yield f"falls by {1 - after / before:.2g} once it is left"
    yield from plain(case, m | {"inner": 1.0, "way": 1.0, "apart": 1.0})


def plateau(case):
    """Demand a loss that hardly changes, where the outputs' squared errors have a gradient."""
    double = in_double(case)
    model, loss, x, y = double.model, double.loss, double.x, double.y
    if y.dtype.kind != "f":
        yield "classes"
        return
    g, value = gradient(model, loss, x, y), loss(model(x), y)
    other = gradient(model, MSELoss(), x, y)
    if not np.linalg.norm(g) < 1e-5 * np.linalg.norm(other):
        yield f"norm {np.linalg.norm(g):.2g} of {np.linalg.norm(other):.2g}"
    if value < 0.9:
        yield f"loss {value:.2g}"
    for _ in range(20):
        put(model, flat(p.data for p in model.parameters()) - 0.1 * gradient(model, loss, x, y))
    if abs(loss(model(x), y) - value) > 1e-3:
        yield f"falls by {value - loss(model(x), y):.2g}"
    m = marks(case._replace(loss=MSELoss()))
    yield from plain(case, m)


TESTS = {
    "healthy": healthy,
    "finished": finished,
    "saddle": saddle,
    "plateau": plateau,
    "saturated": saturated,
    "dead": dead,
    "symmetric": symmetric,
    "zero weights": zero_weights,
    "vanishing": vanishing,
    "exploding": exploding,
    "underflow": underflow,
    "nonfinite": nonfinite,
    "unreached": unreached,
    "not zeroed": not_zeroed,
    "unscaled inputs": unscaled_inputs,
    "penalty": penalty,
    "wrong backward": wrong_backward,
}


@quiet
def verify(case):
    """Return what speaks against the case's name, as a list of texts; empty is good."""
    return list(TESTS[case.cause](case))

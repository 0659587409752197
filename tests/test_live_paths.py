"""The live figures of descent and the cliff: gradnb walks as they do, and the chapters print it."""

import ast
import functools
import json
import math
import re
from itertools import product

import numpy as np
import pytest
from test_live import grid, opening

import gradnb as gnb
from tools import live

NAMES = ("descent", "cliff")
CLIFF = {"clip": True, "threshold": 1, "rate": 0.05, "w": 5, "b": -2.2, "steps": 300}


@pytest.fixture(scope="module")
def shown(browser, server):
    yield from opening(browser, server)


def compute(figure, settings, keep="numbers"):
    """Return a figure's numbers for settings that its controls need not have."""
    script = f"(box, list) => list.map(box.live.figure.compute).map(numbers => {keep})"
    return figure.box.evaluate(script, settings)


@functools.cache
def cell(chapter, name):
    path = live.PICTURES.parent / f"{chapter}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    (found,) = (cell for cell in cells if cell["id"] == name)
    return found


def printed(chapter, name):
    return "".join(cell(chapter, name)["outputs"][0]["text"]).splitlines()


def functions(chapter, **names):
    """Return functions of a chapter, given the cell where each one stands."""
    space = {"np": np}
    for function, name in names.items():
        tree = ast.parse("".join(cell(chapter, name)["source"]))
        body = [part for part in tree.body if getattr(part, "name", None) == function]
        exec(compile(ast.Module(body, []), name, "exec"), space)
    return [space[function] for function in names]


def drawn(figure, kind):
    """Return the points of the one line of a kind, in pixels."""
    (line,) = figure.box.locator(f"path[class='line {kind}']").all()
    return np.array(re.findall(r"[ML](\S+) (\S+?)(?=[MLZ]|$)", line.get_attribute("d")), float)


def ticks(figure, anchor, first, last, panel=0):
    """Return the straight line from values to pixels on an axis, from two of its ticks."""
    place = {"middle": "x", "end": "y"}[anchor]
    found = {first: [], last: []}
    for tick in figure.box.locator(f"text.tick[text-anchor={anchor}]").all():
        name = tick.text_content().replace("−", "-")
        found.get(name, []).append(float(tick.get_attribute(place)))
    low, high = (found[name][panel] - 4 * (place == "y") for name in (first, last))
    scale = (high - low) / (float(last) - float(first))
    return lambda value: low + (np.asarray(value) - float(first)) * scale


def descend(rate, beta, kappa, steps):
    """Return the path of gradnb's optimiser from the chapter's start."""
    w = gnb.Parameter(np.array([-10.0, 0.5]))
    optimizer = gnb.SGD([w], lr=rate, momentum=beta)
    path = [w.data.copy()]
    for _ in range(steps):
        w.grad[...] = w.data * [1 / kappa, 1]
        optimizer.step()
        path.append(w.data.copy())
    return np.array(path)


def test_descent_walks_as_gradnb(shown):
    figure = shown("descent")
    for settings in grid(
        rate=[0.02, 0.5, 2, 3, 4.2], beta=[0, 0.5, 0.9], kappa=[1, 50, 1000], steps=[5, 100, 200]
    ):
        found, path = figure.set(**settings), descend(**settings)
        size = np.abs(path).max()  # of 1e100 too: then rounding is relative to that
        np.testing.assert_allclose(
            np.array(found["path"], float), path, rtol=1e-6, atol=1e-12 * size
        )
        x, y = path[-1]
        loss = (x * x / settings["kappa"] + y * y) / 2
        assert math.isclose(found["loss"], loss, rel_tol=1e-6)
        assert math.isclose(found["distance"], math.hypot(x, y), rel_tol=1e-6)
    figure.set(rate=4.2, beta=0, steps=500)
    assert "the loss beyond the largest number." in figure.says()


def test_the_map_of_descent_tells_what_gradnb_does(shown):
    """The factor, the words and the boundary, from the long run of each direction alone."""
    figure = shown("descent")
    kinds = set()
    for settings in grid(
        rate=[0.1, 0.9, 1.1, 1.9, 2.1, 2.5, 3, 3.7, 3.9, 4.1], beta=[0, 0.2, 0.5, 0.8, 0.9]
    ):
        rate, beta = settings.values()
        found = figure.set(kappa=1, steps=5, **settings)["across"]
        kinds.add(found["kind"])
        roots = np.abs(np.roots([1, -(1 + beta - rate), beta]))
        assert math.isclose(found["factor"], roots.max(), rel_tol=1e-6)
        if found["kind"] == "on the boundary":
            assert rate == 2 * (1 + beta)
            continue
        w = descend(**settings, kappa=1, steps=407)[:, 1]
        w = w[np.abs(w) > 1e-250]
        late = np.abs(w[len(w) % 17 :]).reshape(-1, 17).max(axis=1)  # no swing is 0 for so long
        half = len(late) // 2
        measured = (late[-1] / late[half]) ** (1 / (17 * (len(late) - 1 - half)))
        assert math.isclose(measured, found["factor"], rel_tol=0.02)
        assert (found["kind"] == "exploding") == (rate > 2 * (1 + beta)) == (measured > 1)
        changes = np.mean(w[-40:-1] * np.sign(w[-39:]) < 0)
        swings = found["kind"] == "swinging"
        wanted = 0 if found["kind"] == "creeping" else 1
        assert 0 < changes < 1 if swings else changes == wanted, (settings, found)
    assert kinds == {"creeping", "swinging", "changing sides", "on the boundary", "exploding"}


def test_descent_says_the_numbers_of_the_chapter(shown):
    figure = shown("descent")
    values = "(box, name) => box.live.figure.controls.find(c => c.name === name).values"
    rates, betas = (figure.box.evaluate(values, name) for name in ("rate", "beta"))
    rows = re.findall(
        r"rate (.*), beta (.*), distance left (.*)", "\n".join(printed("optimizers", "valley"))
    )
    assert len(rows) == 3
    for rate, beta, left in rows[:2]:  # the third is Nesterov's, which has another rule
        beta = "0.00" if beta == "none" else beta
        (rate,) = (value for value in rates if f"{value:.2f}" == rate)
        (beta,) = (value for value in betas if f"{value:.2f}" == beta)
        found = figure.set(rate=rate, beta=beta, kappa=50, steps=25)
        assert f"{found['distance']:.2g}" == left
        said = re.search(r"minimum is ([\d.]+),", figure.says())[1]
        assert f"{float(said):.2g}" == left
    known = dict(
        re.findall(r"^(\w+) +factor (\S+),", "\n".join(printed("optimizers", "factors")), re.M)
    )
    (found,) = compute(figure, [{"rate": 1, "beta": 0, "kappa": 100, "steps": 1}])
    best = found["best"]
    assert f"{best['factor']:.4f}" == known["heavy_ball"]
    plain = {"rate": 2 / (1 + 1 / 100), "beta": 0}
    for name, pair in {"heavy_ball": best, "descent": plain}.items():
        (found,) = compute(figure, [{**pair, "kappa": 100, "steps": 1}])
        for way in ("along", "across"):
            assert f"{found[way]['factor']:.4f}" == known[name]


@pytest.mark.parametrize("width", [1280, 390])
def test_descent_is_drawn_where_its_numbers_say(shown, width):
    figure = shown("descent")
    figure.page.set_viewport_size({"width": width, "height": 900})
    figure.page.wait_for_timeout(200)
    found = figure.set(rate=1.9, beta=0.5, kappa=10, steps=50)
    x, y = ticks(figure, "middle", "-10", "10"), ticks(figure, "end", "-2", "2")
    path = np.array(found["path"])
    np.testing.assert_allclose(
        drawn(figure, "thin purple"), np.stack([x(path[:, 0]), y(path[:, 1])], axis=1), atol=0.2
    )
    x = ticks(figure, "middle", "1", "4", -1)
    ends = drawn(figure, "thin purple dashed")
    pushes = [found[way]["push"] for way in ("along", "across")]
    np.testing.assert_allclose(ends[:, 0], x(pushes), atol=0.2)
    y = ticks(figure, "end", "0.5", "1", -1)
    np.testing.assert_allclose(ends[:, 1], y(0.5), atol=0.2)
    boundary = drawn(figure, "vermilion")
    np.testing.assert_allclose(boundary[:, 0], x([2, 4]), atol=0.2)
    np.testing.assert_allclose(boundary[:, 1], y([0, 1]), atol=0.2)


def unit(w, b):
    """Return loss and gradient of the chapter's unit, from gradnb's recurrent layer.

    With h = tanh(x/2), σ(x) = (1 + h)/2 turns x ← wσ(x) + b into h ← tanh((wh + w + 2b)/4).
    """
    rnn = gnb.RNN(1, 1)
    rnn.weight_ih.data[...] = rnn.weight_hh.data[...] = w / 4
    rnn.bias.data[...] = w / 4 + b / 2
    inputs = np.zeros((1, 50, 1))
    inputs[0, 0, 0] = np.tanh(0.5 / 2)  # the state that it starts from
    miss = (1 + rnn(inputs)[0, -1, 0]) / 2 - 0.7
    g = np.zeros((1, 50, 1))
    g[0, -1, 0] = miss  # 2 miss · ½
    rnn.backward(g)
    to_bias = rnn.bias.grad.item()
    to_w = rnn.weight_ih.grad.item() + rnn.weight_hh.grad.item() + to_bias
    return miss**2, [to_w / 4, to_bias / 2]


def test_the_slope_of_the_cliff_is_that_of_gradnb(shown):
    figure = shown("cliff")
    points = grid(w=np.linspace(4, 6, 21).tolist(), b=np.linspace(-3.4, -0.6, 29).tolist())
    rest = {"clip": False, "threshold": 1, "rate": 0.05, "steps": 0}
    found = compute(figure, [{**point, **rest} for point in points])
    for point, row in zip(points, found, strict=True):
        loss, gradient = unit(**point)
        assert math.isclose(row["start"]["loss"], loss, rel_tol=1e-6, abs_tol=1e-12)
        # Where it is above 1, a last digit of exp is amplified about as much as the gradient is.
        np.testing.assert_allclose(row["start"]["gradient"], gradient, rtol=1e-6, atol=1e-12)


def test_a_clipped_step_is_that_of_gradnb(shown):
    figure, (coarse,) = shown("cliff"), functions("stabilizing", coarse="stack-rest")
    figure.set(steps=1, clip=True)
    clipped = 0
    for settings in grid(
        threshold=[0.1, 1, 10], w=[4.6, 5, 5.4], b=[-2.8, -2.6, -2.4], rate=[0.05, 0.5]
    ):
        found = figure.set(**settings)["clipped"]
        p = gnb.Parameter(np.array([settings["w"], settings["b"]]))
        optimizer = gnb.SGD([p], lr=settings["rate"])
        p.grad[...] = coarse(np.array(unit(*p.data)[1]))
        norm = gnb.clip_grad_norm_([p], settings["threshold"])
        clipped += norm > settings["threshold"]
        optimizer.step()
        # gradnb divides by norm + 1e-6, as PyTorch does, the chapter by norm + 1e-9
        np.testing.assert_allclose(found["path"][1], p.data, rtol=1e-6)
        assert math.isclose(found["largest"], norm, rel_tol=1e-6)
    assert clipped > 5


def walk(starts, rate, limit, steps=300):
    """Walk by the chapter's code from starts of shape (2, walkers)."""
    cliff, coarse = functions("stabilizing", cliff="cliff", coarse="stack-rest")
    path, norms = [starts], []
    for _ in range(steps):
        g = coarse(cliff(*path[-1])[1])
        norms.append(np.hypot(*g))
        path.append(path[-1] - rate * (np.minimum(1, limit / (norms[-1] + 1e-9)) * g))
    return np.array(path), np.array(norms), cliff(*path[-1])[0]


def test_the_walkers_go_where_those_of_the_chapter_go(shown):
    """Whole paths agree: both round the gradient, or the wall would amplify the last digits."""
    figure = shown("cliff")
    starts = grid(w=[4.6, 5, 5.4], b=[-2.8, -2.2, -1.4])
    points = np.array([list(start.values()) for start in starts]).T
    for rate, limit in product([0.005, 0.05, 0.2], [math.inf, 10, 1, 0.1]):
        paths, norms, losses = walk(points, rate, limit)
        rest = {"clip": True, "threshold": limit, "rate": rate, "steps": 300}
        found = compute(figure, [{**start, **rest} for start in starts], "numbers.clipped")
        for i, run in enumerate(found):
            np.testing.assert_allclose(run["path"], paths[:, :, i], rtol=1e-6)
            assert math.isclose(run["largest"], norms[:, i].max(), rel_tol=1e-6)
            assert run["above"] == np.sum(norms[:, i] > limit)
            longest = rate * np.minimum(norms[:, i], limit).max()
            assert math.isclose(run["longest"], longest, rel_tol=1e-6)
            assert math.isclose(run["loss"], losses[i], rel_tol=1e-6, abs_tol=1e-12)
    free, clipped = (compute(figure, [{**CLIFF, "threshold": limit}])[0] for limit in (1, math.inf))
    assert free["free"]["path"] == clipped["clipped"]["path"] != free["clipped"]["path"]


def test_the_hundred_walkers_of_the_chapter(shown):
    """The shares that arrive and the gradients that they meet, as the chapter prints them."""
    starts = 0.2 * np.random.default_rng(0).normal(size=(2, 1, 100))
    starts += np.array([5.0, -2.4])[:, None, None]
    number = r"[\d.]+(?:e[+-]\d+)?|inf"
    rows = [re.findall(number, line) for line in printed("stabilizing", "cliff")]
    assert len(rows) == 4
    figure = shown("cliff")
    keep = "[numbers.clipped.loss, numbers.clipped.largest]"
    for threshold, share, norm in rows:
        rest = {"clip": True, "threshold": float(threshold), "rate": 0.05, "steps": 300}
        settings = [{"w": w, "b": b, **rest} for w, b in starts[:, 0].T.tolist()]
        losses, largest = np.array(compute(figure, settings, keep)).T
        assert f"{np.mean(losses < 0.01):.2f}" == share
        assert f"{np.median(largest):.2g}" == norm


def test_the_cliff_is_drawn_where_its_numbers_say(shown):
    figure = shown("cliff")
    found = figure.set(**CLIFF)
    x, y = ticks(figure, "middle", "4", "6"), ticks(figure, "end", "-3", "-1")
    for way, kind in (("free", "vermilion thin"), ("clipped", "blue thin")):
        path = np.array(found[way]["path"])
        wanted = np.stack([x(path[:, 0]), y(path[:, 1])], axis=1)
        np.testing.assert_allclose(drawn(figure, kind), wanted, atol=0.2)


def test_the_tint_of_the_cliff_tells_the_loss(shown):
    """One layer for each level that the loss is above, wherever one looks."""
    figure, (cliff,) = shown("cliff"), functions("stabilizing", cliff="cliff")
    levels = np.array([0.01, 0.03, 0.06, 0.12, 0.24, 0.4])
    w, b = (
        axis.ravel()
        for axis in np.meshgrid(np.linspace(4.05, 5.95, 39), np.linspace(-3.3, -0.7, 53))
    )
    near = [(cliff(w, b + step)[0][:, None] > levels).sum(axis=1) for step in (-0.01, 0, 0.01)]
    sure = (near[0] == near[1]) & (near[1] == near[2])  # not at the edge of a layer
    assert sure.sum() > 1500
    assert len(set(near[1][sure])) >= 6
    x, y = ticks(figure, "middle", "4", "6"), ticks(figure, "end", "-3", "-1")
    count = """(box, points) => points.map(([x, y]) =>
        [...box.querySelectorAll("path.area")]
            .filter(area => area.isPointInFill(new DOMPoint(x, y))).length)"""
    found = figure.box.evaluate(count, np.stack([x(w[sure]), y(b[sure])], axis=1).tolist())
    assert found == near[1][sure].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_the_description_says_what_the_default_shows(shown, name):
    figure = shown(name)
    alt = figure.box.locator("svg.drawing").get_attribute("aria-label")
    numbers = re.findall(r"\d+(?:\.\d+)?", alt)
    assert numbers
    for number in numbers:
        assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d]|\.\d)", figure.says()), number


def test_the_cliff_says_who_has_arrived(shown):
    figure = shown("cliff")
    for settings in grid(rate=[0.01, 0.05, 0.5], threshold=[0.1, 1, 50], clip=[False, True]):
        found, said = figure.set(**settings), figure.says()
        words = said.replace("not arrived", "lost").split("Clipped at")
        runs = [found["free"], found["clipped"]][: 1 + settings["clip"]]
        assert len(words) == len(runs)
        for run, text in zip(runs, words, strict=True):
            assert ("arrived" in text) == (run["loss"] < 0.01)
            assert ("lost" in text) == (run["loss"] >= 0.01)


@pytest.mark.parametrize("name", NAMES)
def test_the_keyboard_moves_it_and_brings_it_back(shown, name):
    figure = shown(name)
    said, keys = figure.says(), figure.page.keyboard
    controls = figure.box.locator("form :is(input, select, button)")
    controls.first.focus()
    for i in range(controls.count() - 1):
        control, before = controls.nth(i), figure.says()
        assert control.evaluate("control => control === document.activeElement")
        if control.get_attribute("type") == "range":
            end = control.input_value() == control.get_attribute("max")
            for _ in range(3):
                keys.press("ArrowLeft" if end else "ArrowRight")
        else:
            keys.press("Space")
        assert figure.says() != before, control.get_attribute("name")
        keys.press("Tab")
    keys.press("Enter")
    assert figure.says() == said


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", NAMES)
def test_no_word_leaves_the_drawing_or_covers_another(shown, name, width):
    figure = shown(name)
    figure.page.set_viewport_size({"width": width, "height": 900})
    figure.page.wait_for_timeout(200)
    corners = {
        "descent": grid(rate=[0.02, 1, 4.2], beta=[0, 0.5, 0.98], kappa=[1, 50, 1000], steps=[5]),
        "cliff": grid(threshold=[0.1, 50], clip=[True]),
    }
    for settings in corners[name]:
        figure.set(**settings)
        boxes = figure.box.locator("svg.drawing").evaluate(
            """drawing => {
                const frame = drawing.getBoundingClientRect();
                return [...drawing.querySelectorAll("text")].map(text => {
                    const box = text.getBoundingClientRect();
                    return [text.textContent, box.left - frame.left, box.top - frame.top,
                            frame.right - box.right, frame.bottom - box.bottom,
                            box.width, box.height];
                });
            }"""
        )
        for text, *room, _, _ in boxes:
            assert min(room) > -1, (settings, text)
        fixed = [box for box in boxes if box[0] not in {"λ₁", "λ₂"}]  # those move over the map
        for i, (one, x, y, _, _, wide, tall) in enumerate(fixed):
            for other, u, v, _, _, width2, height2 in fixed[:i]:
                apart = (
                    x + wide <= u + 1
                    or u + width2 <= x + 1
                    or y + tall <= v + 3
                    or v + height2 <= y + 3
                )
                assert apart, (settings, one, other)

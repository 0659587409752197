"""The live figures: their numbers are gradnb's and the chapters', and a keyboard moves them."""

import base64
import contextlib
import io
import json
import math
import re
from itertools import pairwise, product

import numpy as np
import pytest
from browsing import Reader

import gradnb as gnb
from tools import live

CHAPTERS = live.PICTURES.parent
HELD = sorted(  # which page holds which figure
    (name, f"chapters/{path.stem}.html")
    for path in CHAPTERS.glob("*.ipynb")
    for name in re.findall(r"\{figure\} live/(\w+)\.svg", path.read_text(encoding="utf-8"))
)
PAGES = dict(sorted(HELD, key=lambda held: "index" not in held[1]))  # the chapter's, if two do
ON_A_PAGE = pytest.mark.parametrize(("name", "page_name"), HELD)
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789−")


class Figure:
    """A live figure in a browser's page."""

    def __init__(self, page, name):
        self.page, self.box = page, page.locator(f"#live-{name}")

    def set(self, **settings):
        """Set some of its controls and return its numbers."""
        return self.box.evaluate(
            "(box, settings) => { box.live.set(settings); return box.live.result; }", settings
        )

    def says(self):
        """Return the sentence below it."""
        return self.box.locator("output").inner_text()

    def network(self):
        """Return the arrays that the figure about depth computed with."""
        packed = self.box.evaluate("""box => {
          const {x, top, weights} = box.live.result.network();
          return [x, top, ...weights].map(matrix => {
            const bytes = new Uint8Array(Float64Array.from(matrix.flatMap(row => [...row])).buffer);
            return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
          });
        }""")
        arrays = [np.frombuffer(base64.b64decode(text)).reshape(-1, 64) for text in packed]
        return arrays[0], arrays[1], arrays[2:]

    def line(self, kind):
        """Return the points of a drawn line, read off the picture's own axes."""
        marks = self.box.evaluate(
            """(box, kind) => ({
              path: box.querySelector(`path.line.${kind}[d*="L"]`).getAttribute("d"),
              ticks: [...box.querySelectorAll("text.tick")].map(text =>
                [text.getAttribute("text-anchor"), +text.getAttribute("x"), +text.getAttribute("y"),
                 text.firstChild.data, text.querySelector("tspan")?.textContent ?? ""]),
            })""",
            kind,
        )
        points = np.array([point.split() for point in re.split("[ML]", marks["path"])[1:]], float)
        for axis, anchor in enumerate(("middle", "end")):
            ticks = [mark for mark in marks["ticks"] if mark[0] == anchor]
            places = [mark[1 + axis] - (4 if anchor == "end" else 0) for mark in ticks]
            # on a logarithmic axis, the exponents
            values = [float((mark[4] or mark[3]).replace("−", "-")) for mark in ticks]
            slope, start = np.polyfit(places, values, 1)
            points[:, axis] = slope * points[:, axis] + start
        return points.T


def opening(browser, server):
    """Yield a function that opens the page of a figure by the figure's name."""
    context = browser.new_context()
    reader = Reader(context, server)

    def open_figure(name):
        reader.open(PAGES[name])
        return Figure(reader.page, name)

    yield open_figure
    context.close()
    assert not reader.problems


@pytest.fixture(scope="module")
def figure(browser, server):
    yield from opening(browser, server)


def grid(**values):
    """Yield every combination of the values, by name."""
    return [dict(zip(values, row, strict=True)) for row in product(*values.values())]


def same(found, wanted):
    np.testing.assert_allclose(np.asarray(found, dtype=float), wanted, rtol=1e-6, atol=1e-12)


def cells(chapter):
    """Return a chapter's cells by their ids."""
    notebook = json.loads((CHAPTERS / f"{chapter}.ipynb").read_text(encoding="utf-8"))
    return {cell["id"]: cell for cell in notebook["cells"]}


def printed(cell):
    return "".join(cell["outputs"][0]["text"]).splitlines()


def run(chapter, *ids):
    """Run some cells of a chapter and return their names."""
    names, code = {}, cells(chapter)
    for i in ("setup", *ids):
        with contextlib.redirect_stdout(io.StringIO()):
            exec("".join(code[i]["source"]), names)
    return names


def test_the_pictures_are_those_of_the_scripts():
    """If this fails, run `python -m tools.live` and look at what it changes."""
    stored = {path.stem: path.read_text(encoding="utf-8") for path in live.PICTURES.glob("*.svg")}
    assert stored == live.stills()


# --- zero_grad


def test_zero_grad_swings_as_the_loop_of_gradnb(figure):
    shown = figure("zero_grad")
    for settings in grid(zero=[False, True], rate=[0.01, 0.5, 2, 3.7, 4.01], steps=[20, 200]):
        w = gnb.Parameter(np.array(1.0))
        optimizer = gnb.SGD([w], lr=settings["rate"])
        path = [1.0]
        for _ in range(settings["steps"]):
            if settings["zero"]:
                optimizer.zero_grad()
            w.grad += w.data
            optimizer.step()
            path.append(float(w.data))
        same(shown.set(**settings)["path"], path)


def test_zero_grad_says_the_numbers_of_the_chapter(figure):
    """The table of periods and amplitudes that the chapter prints."""
    rows = printed(cells("zero_grad")["period"])[1:]
    shown = figure("zero_grad")
    for row in rows:
        rate, period, _, amplitude, _ = row.split()
        shown.set(zero=False, rate=float(rate), steps=2000)
        assert f"period {period} steps, amplitude {amplitude}" in shown.says()


# --- depth

LAYERS = {"sigmoid": [gnb.Sigmoid], "tanh": [gnb.Tanh], "ReLU": [gnb.ReLU], "linear": []}


def rms(array):
    return np.sqrt(np.mean(array**2))


def norms(activation, x, top, weights):
    """Return the sizes of errors and weight gradients that gradnb computes."""
    model = gnb.Sequential(
        *(
            module
            for _ in weights
            for module in (gnb.Linear(64, 64, bias=False), *(a() for a in LAYERS[activation]))
        )
    )
    linear = [module for module in model if isinstance(module, gnb.Linear)]
    for module, W in zip(linear, weights, strict=True):
        module.weight.data[...] = W
    model(x)
    gradient, errors = top / len(x), []
    for module in reversed(model):
        if module in linear:
            errors.insert(0, rms(gradient) * len(x))  # of one example's loss
        gradient = module.backward(gradient)
    return errors, [rms(module.weight.grad) for module in linear]


# Where tanh and sigmoid explode over many layers, they are chaotic ahead, too: the last digit of a
# sum decides about the first of the result, and no two programs agree.
DETERMINED = grid(activation=["ReLU", "linear"], layers=[2, 50], gain=[0.1, 12], seed=[1])
DETERMINED += grid(activation=["sigmoid", "tanh"], layers=[50], gain=[0.5, 2], seed=[2])
DETERMINED += grid(activation=LAYERS, layers=[5, 10], gain=[1, 12], seed=[7])


def test_depth_has_the_norms_of_gradnb(figure):
    shown = figure("depth")
    for settings in DETERMINED:
        result = shown.set(**settings)
        errors, gradients = norms(settings["activation"], *shown.network())
        for found, wanted in ((result["errors"], errors), (result["gradients"], gradients)):
            np.testing.assert_allclose(np.array(found, float), wanted, rtol=1e-6)


def test_depth_draws_the_weights_that_it_names(figure):
    shown = figure("depth")
    drawn = {}
    for seed, gain in product((1, 2), (0.5, 12)):
        shown.set(activation="ReLU", layers=50, gain=gain, seed=seed)
        _, _, weights = shown.network()
        drawn[seed] = W = np.array(weights).ravel() * math.sqrt(64) / gain
        assert W.size == 50 * 64 * 64
        limit = 4 / math.sqrt(W.size)  # in standard errors: four
        assert abs(W.mean()) < limit
        assert abs(W.std() - 1) < limit / math.sqrt(2)
        assert abs(np.mean(W**4) - 3) < limit * math.sqrt(96)
        assert abs(np.corrcoef(W[1:], W[:-1])[0, 1]) < limit
    assert abs(np.corrcoef(drawn[1], drawn[2])[0, 1]) < limit


def test_depth_foretells_with_the_chapters_chi(figure):
    """χ by the chapter's own function, and as its table prints it."""
    chapter = run("gradient_stability", "slopes", "chi")
    functions = {name: chapter[name.upper()] for name in ("sigmoid", "tanh", "ReLU")}
    table = [re.split(" +", row)[:3] for row in printed(cells("gradient_stability")["a1"])[3:12]]
    assert {name for name, _, _ in table} == set(functions)
    shown = figure("depth")
    for name, g, theory in table:
        gain = math.sqrt(2) if g == "1.41" else float(g)
        result = shown.set(activation=name, layers=50, gain=gain, seed=1)
        chi = chapter["chi"](functions[name], gain)[1]
        assert result["chi"] == pytest.approx(chi, rel=1e-9)
        assert f"{result['chi']:.3f}" == theory
        foretold = np.array(result["foretold"], float)
        np.testing.assert_allclose((foretold[:-1] / foretold[1:]) ** 2, chi)


def test_depth_draws_what_it_computes(figure):
    shown = figure("depth")
    for settings in grid(activation=["sigmoid", "ReLU"], layers=[2, 50], gain=[0.1, 12], seed=[4]):
        result = shown.set(**settings)
        for kind, sizes in (("blue", "errors"), ("vermilion", "gradients"), ("dashed", "foretold")):
            layer, exponent = shown.line(kind)
            assert layer == pytest.approx(np.arange(1, settings["layers"] + 1), abs=0.02)
            assert exponent == pytest.approx(np.log10(np.array(result[sizes], float)), abs=0.1)


def test_depth_stays_within_float64(figure):
    """No setting overflows, underflows or dies, so the figure need not speak of it."""
    smallest, largest = figure("depth").box.evaluate("""box => {
      const sizes = [];
      const move = (name, end) => {
        const input = box.querySelector(`[name=${name}]`);
        input.value = input[end];
        input.dispatchEvent(new Event("input", {bubbles: true}));
      };
      for (const end of ["min", "max"]) {
        for (const name of ["layers", "gain", "seed"]) move(name, end);
        move("layers", "max");
        for (const activation of ["sigmoid", "tanh", "ReLU", "linear"]) {
          box.live.set({activation});
          const {errors, gradients, foretold} = box.live.result;
          sizes.push(...errors, ...gradients, ...foretold);
        }
      }
      return [Math.min(...sizes), Math.max(...sizes)];
    }""")
    assert 1e-150 < smallest < 1e-70  # squares of 1e-150 are still normal numbers
    assert 1e45 < largest < 1e150


# --- step_size

TYPES = ("float64", "float32")


@pytest.fixture(scope="module")
def steps():
    return run("numerical_gradients", "neuron", "curves", "grids")


def test_step_size_has_the_errors_of_the_chapters_functions(figure, steps):
    """Bit by bit for the differences; NumPy's complex arithmetic is free in its last digits."""
    shown = figure("step_size")
    for dtype, method in product(TYPES, ("forward", "central", "complex")):
        result = shown.set(precision=dtype, method=method)
        h, found = np.array(result["steps"]), np.array(result["curves"][method], float)
        with np.errstate(invalid="ignore"):
            wanted = steps["median_errors"](method, dtype, h)
        u = float(np.finfo(dtype).eps)
        if method == "complex":
            np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=4 * u)
        else:
            np.testing.assert_array_equal(found, wanted)
            theory = steps["predicted_errors"](method, u, h)
            np.testing.assert_allclose(result["theory"]["both"], theory, rtol=1e-12)
            truncation = steps["predicted_errors"](method, 0.0, h)
            np.testing.assert_allclose(result["theory"]["truncation"], truncation, rtol=1e-12)
            f, f1 = np.abs(steps["derivatives"](steps["weights"]))[:2]
            rounding = np.median(f / f1) * u / h / (2 if method == "central" else 1)
            np.testing.assert_allclose(result["theory"]["rounding"], rounding, rtol=1e-12)


def test_step_size_prints_the_chapters_table(figure, steps):
    rows = printed(cells("numerical_gradients")["table"])[1:5]
    shown = figure("step_size")
    for dtype, method in product(TYPES, ("forward", "central")):
        result = shown.set(precision=dtype, method=method)
        inside = np.isin(result["steps"], steps["grids"][dtype])
        T = np.array(result["theory"]["both"])[inside]
        h = np.array(result["steps"])[inside][T.argmin()]
        best = f"{result['best']:9.0e}  ({h:.0e})"
        assert f"{dtype} {method} {best} {result['least']:12.0e}  ({T.min():.0e})" in rows


def test_step_size_draws_and_says_what_it_computes(figure):
    shown = figure("step_size")
    colours = {"forward": "vermilion", "central": "blue", "complex": "green"}
    for precision, method in product(TYPES, colours):
        result = shown.set(precision=precision, method=method, h=2.0**-13)
        i = result["steps"].index(2.0**-13)
        for name, colour in colours.items():
            E = np.array(result["curves"][name], float)
            there = ~np.isnan(E)
            step, error = shown.line(colour)
            assert step == pytest.approx(np.log10(result["steps"])[there], abs=0.01)
            limited = np.maximum(E[there], 4 * result["u"])
            assert error == pytest.approx(np.log10(limited), abs=0.01)
        error = result["curves"][method][i]
        words = re.search("relative error is (?:below 4u = )?([^ ]*?)[.] ", shown.says())[1]
        number = float(words.translate(RAISED).replace("\xa0×\xa010", "e").replace("−", "-"))
        limited = max(error, 4 * result["u"])
        assert number == pytest.approx(limited, rel=0.06)


def test_step_size_says_when_float32_loses_the_step(figure):
    shown = figure("step_size")
    shown.set(precision="float32", method="central", h=2.0**-30)
    assert "0 is divided by 0" in shown.says()
    shown.set(precision="float64")
    assert "so the step is too short" in shown.says()


# --- the frame, on every page that has a figure

FOCUSED = """box => {  // the type of the control in focus, and what shows of it
  const element = document.activeElement, value = element.getAttribute("aria-valuetext");
  return !box.contains(element) ? null : {
    type: element.type,
    outline: getComputedStyle(element).outlineStyle,
    shown: [value ?? (element.type === "checkbox" ? element.checked : element.value),
      box.querySelector("output").textContent, box.querySelector("svg").innerHTML],
  };
}"""
TO_THE_LINK_BEFORE = """box => {
  const follows = link => link.compareDocumentPosition(box) & Node.DOCUMENT_POSITION_FOLLOWING;
  [...document.querySelectorAll("main a[href]")].filter(follows).at(-1).focus();
}"""
KEYS = {
    "range": ("Home", "ArrowRight", "PageUp", "End"),
    "checkbox": ("Space", "Space"),
    "button": (),
}


@ON_A_PAGE
def test_a_keyboard_moves_it_from_disk(browser, site, name, page_name):
    """Tab reaches every control, its keys change numbers and words, and Enter resets."""
    context = browser.new_context()
    reader = Reader(context, site.as_uri() + "/")
    reader.open(page_name)
    page, shown = reader.page, Figure(reader.page, name)
    drawing = shown.box.locator("> svg")
    first, alt = shown.says(), drawing.get_attribute("aria-label")
    shown.box.evaluate(TO_THE_LINK_BEFORE)
    seen = []
    while seen[-1:] != ["button"]:
        page.keyboard.press("Tab")
        focused = shown.box.evaluate(FOCUSED)
        assert focused, f"Tab leaves the figure after {seen}"
        assert focused["outline"] != "none"
        seen.append(focused["type"])
        states = [focused["shown"]]
        for key in KEYS.get(seen[-1], ("ArrowDown",)):
            page.keyboard.press(key)
            states.append(shown.box.evaluate(FOCUSED)["shown"])
        if len(states) > 1:
            # One key may find the control at that end already.
            assert sum(a[0] != b[0] for a, b in pairwise(states)) >= max(1, len(states) - 2)
            for i, part in ((1, "words"), (2, "drawing")):
                assert len({state[i] for state in states}) > 1, f"{seen} does not change the {part}"
    assert len(seen) == shown.box.locator("input, select, button").count()
    assert drawing.get_attribute("aria-label") == shown.says()  # the other one is not true now
    page.keyboard.press("Enter")
    assert (shown.says(), drawing.get_attribute("aria-label")) == (first, alt)
    spoken = re.sub("10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)", r"10 to the power \1", first).translate(RAISED)
    page.wait_for_function(
        "([id, text]) => document.querySelector(`#${id} [role=status]`).textContent === text",
        arg=[f"live-{name}", spoken],
        timeout=3000,
    )
    context.close()
    assert not reader.problems


AT_THE_ENDS = """box => {  // move every control to its ends and report what does not fit
  const wrong = [], times = [];
  const look = where => {
    const svg = box.querySelector("svg"), frame = svg.getBoundingClientRect();
    const scale = frame.width / svg.viewBox.baseVal.width;
    for (const text of svg.querySelectorAll("text, tspan")) {
      const {left, right} = text.getBoundingClientRect();
      const px = parseFloat(getComputedStyle(text).fontSize) * scale;
      if (left < frame.left - 1 || right > frame.right + 1 || px < 12) {
        wrong.push(`${where}: ${text.textContent}, ${px} px, from ${left} to ${right}`);
      }
    }
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth) wrong.push(`${where}: ${root.scrollWidth} px wide`);
  };
  look("start");
  for (const input of box.querySelectorAll("input, select")) {
    const ends = {range: [input.min, input.max], checkbox: [true, false]}[input.type]
      ?? [...input.options].map(option => option.value);
    for (const end of ends) {
      input[input.type === "checkbox" ? "checked" : "value"] = end;
      const start = performance.now();
      input.dispatchEvent(new Event("input", {bubbles: true}));
      times.push(performance.now() - start);
      look(`${input.name} ${end}`);
    }
  }
  const tall = element => element.getBoundingClientRect().height;
  const least = Math.min(...[...box.querySelectorAll("[type=range], select, button")].map(tall));
  if (least < 44) wrong.push(`a control of ${least} px is too small for a finger`);
  return {wrong, slowest: Math.max(...times)};
}"""


@ON_A_PAGE
def test_it_fits_a_phone_and_paper(browser, server, name, page_name):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    reader = Reader(context, server)
    reader.open(page_name)
    box = reader.page.locator(f"#live-{name}")
    found = box.evaluate(AT_THE_ENDS)
    print(f"{name}: the slowest redrawing took {found['slowest']:.0f} ms")
    assert not found["wrong"]
    reader.page.set_viewport_size({"width": 680, "height": 960})
    reader.page.emulate_media(media="print")
    assert box.locator("output").is_visible()
    assert not box.locator("form").is_visible()
    drawing = box.locator("> svg").bounding_box()
    assert drawing["x"] >= 0
    assert drawing["x"] + drawing["width"] <= 680
    context.close()
    assert not reader.problems


@ON_A_PAGE
def test_without_scripts_its_picture_and_its_sentence_remain(browser, server, name, page_name):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(server + page_name)
    box = page.locator(f"#live-{name}")
    drawing = box.locator("> svg[role=img]")
    assert len(box.locator("output").inner_text()) > 40
    assert len(drawing.get_attribute("aria-label")) > 40
    assert drawing.bounding_box()["width"] > 550  # of its 640, so that its words can be read
    assert not box.locator("form").is_visible()
    context.close()

"""The live figures: their numbers are gradnb's and the chapters', and a keyboard moves them."""

import json
from itertools import product

import numpy as np
import pytest
from browsing import Reader

import gradnb as gnb
from tools import live

PAGES = {"zero_grad": "chapters/zero_grad.html"}


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


@pytest.fixture(scope="module")
def figure(browser, server):
    context = browser.new_context()
    reader = Reader(context, server)

    def open_figure(name):
        reader.open(PAGES[name])
        return Figure(reader.page, name)

    yield open_figure
    context.close()
    assert not reader.problems


def grid(**values):
    """Yield every combination of the values, by name."""
    return [dict(zip(values, row, strict=True)) for row in product(*values.values())]


def same(found, wanted):
    np.testing.assert_allclose(np.asarray(found, dtype=float), wanted, rtol=1e-6, atol=1e-12)


def test_the_pictures_are_those_of_the_scripts():
    """If this fails, run `python -m tools.live` and look at what it changes."""
    stored = {path.stem: path.read_text(encoding="utf-8") for path in live.PICTURES.glob("*.svg")}
    assert stored == live.stills()


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
    notebook = json.loads((live.PICTURES.parent / "zero_grad.ipynb").read_text(encoding="utf-8"))
    (cell,) = (cell for cell in notebook["cells"] if cell["id"] == "period")
    rows = "".join(cell["outputs"][0]["text"]).splitlines()[1:]
    shown = figure("zero_grad")
    for row in rows:
        rate, period, _, amplitude, _ = row.split()
        shown.set(zero=False, rate=float(rate), steps=2000)
        assert f"period {period} steps, amplitude {amplitude}" in shown.says()

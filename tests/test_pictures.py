"""The figures as they are published: their dark versions, and their descriptions."""

import importlib
import itertools
from pathlib import Path

import numpy as np
import pytest
from docutils import nodes
from docutils.utils import new_document
from PIL import Image, ImageDraw

from gradnb import plotting

ROOT = Path(__file__).parents[1]
PAPER = "#15171a"  # of the dark pages, in book.css
NAMES = ("BLUE", "SKY", "GREEN", "ORANGE", "VERMILION", "PURPLE", "GREY", "BLACK")


@pytest.fixture(scope="module")
def pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "_ext")
        return importlib.import_module("pictures")


def channels(colour):
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def screened(colour):
    """Return a colour of a dark figure as the page shows it."""
    return 1 - (1 - channels(PAPER)) * (1 - colour)


def contrast(a, b):
    def luminance(colour):
        linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def hue(colour):
    r, g, b = colour
    return np.degrees(np.arctan2(3**0.5 * (g - b), 2 * r - g - b))


def test_the_inks_are_those_of_the_figures(pictures):
    inks = {getattr(plotting, name).lower() for name in NAMES if name != "GREY"}
    assert inks == {light for light, _ in pictures.INKS.values()}


def test_an_ink_turns_into_its_dark_counterpart_and_paper_into_black(pictures):
    light, dark = (np.array([channels(pair[i]) for pair in pictures.INKS.values()]) for i in (0, 1))
    np.testing.assert_allclose(pictures.on_black(light), dark, atol=1e-12)
    assert not pictures.on_black(np.ones((1, 3))).any()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_in_an_ink_can_be_read_in_the_dark(pictures, name):
    """As a line, and in the darker shade of its label."""
    colour = channels(getattr(plotting, name))
    for shade in (colour, 0.8 * colour):
        (dark,) = pictures.on_black(shade[None])
        assert contrast(screened(dark), channels(PAPER)) >= 4.5
        if name not in {"GREY", "BLACK"}:
            assert abs((hue(dark) - hue(colour) + 180) % 360 - 180) < 20


def test_the_inks_stay_apart_in_the_dark(pictures):
    dark = pictures.on_black(np.array([channels(getattr(plotting, name)) for name in NAMES]))
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(dark, 2)) > 0.2


def test_mixing_with_paper_is_linear(pictures):
    """So the edge of a line stays one, and a band of 20 % ink has 20 % of the dark ink."""
    inks = np.array([channels(light) for light, _ in pictures.INKS.values()])
    for share in (0.05, 0.2, 0.7):
        mixed = pictures.on_black(1 - share * (1 - inks))
        np.testing.assert_allclose(mixed, share * pictures.on_black(inks), atol=1e-12)


def test_a_colour_map_keeps_its_colours_and_its_surroundings_turn(pictures):
    figure = Image.new("RGB", (400, 300), "white")
    draw = ImageDraw.Draw(figure)
    for x in range(100, 300):  # from blue over nearly white to red, as in a map of signs
        t = (x - 100) / 199
        red, blue = round(248 * min(2 * t, 1)), round(248 * min(2 - 2 * t, 1))
        draw.line((x, 50, x, 250), fill=(red, min(red, blue), blue))
    draw.text((150, 150), "label", fill="black")
    draw.text((150, 270), "axis", fill="black")
    draw.line((20, 50, 20, 250), fill="black", width=4)
    dark = np.asarray(pictures.dark_version(figure, keep_colours=True))
    box = np.s_[55:245, 105:295]
    assert (dark[box][..., :3] == np.asarray(figure)[box]).all()
    assert (dark[box][..., 3] == 255).all()
    assert dark[150, 20].min() > 200, "the axis is light"
    assert dark[20, 20, 3] == 0, "the paper is transparent"
    plain = np.asarray(pictures.dark_version(figure, keep_colours=False))
    assert plain.shape[2] == 3
    assert not plain[20, 20].any()


# --- descriptions

GOOD = "The loss falls along a straight line and rests at a thousandth after forty steps."


@pytest.mark.parametrize(
    ("alt", "caption", "wanted"),
    [
        (GOOD, "The loss of a network.", ""),
        (GOOD, "", "without a caption"),
        (GOOD, " ", "without a caption"),
        ("", "The loss of a network.", "does not say"),
        ("The loss against the step.", "The loss of a network.", "does not say"),
        (f"{GOOD} See loss.png.", "The loss of a network.", "does not say"),
        (GOOD, GOOD, "repeats its caption"),
    ],
)
@pytest.mark.parametrize("of_notebook", [False, True])
def test_a_picture_that_is_not_described_is_reported(
    pictures, monkeypatch, alt, caption, wanted, of_notebook
):
    """A report is a warning of Sphinx, and so fails the build."""
    said = []
    monkeypatch.setattr(pictures.logger, "warning", lambda text, *_, location: said.append(text))
    document, figure = new_document("chapter"), nodes.figure()
    inside = nodes.container() if of_notebook else figure
    if of_notebook:
        figure += inside
    inside += nodes.image(uri="loss.png", alt=alt)
    if caption:
        figure += nodes.caption("", caption)
    document += figure
    pictures.Descriptions(document).apply()
    assert len(said) == bool(wanted)
    assert all(wanted in text for text in said)


def test_a_picture_outside_of_a_figure_is_reported(pictures, monkeypatch):
    said = []
    monkeypatch.setattr(pictures.logger, "warning", lambda text, *_, location: said.append(text))
    document = new_document("chapter")
    document += nodes.paragraph("", "", nodes.image(uri="loss.png", alt=GOOD))
    pictures.Descriptions(document).apply()
    assert len(said) == 1

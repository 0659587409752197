"""The drawing functions draw what they are given, and say so when they cannot."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from gradnb import plotting


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_style_starts_from_the_defaults():
    with mpl.rc_context({"lines.marker": "x", "lines.linewidth": 9}):
        plotting.use_style()
        assert mpl.rcParams["lines.marker"] == mpl.rcParamsDefault["lines.marker"]
        assert mpl.rcParams["lines.linewidth"] == plotting._STYLE["lines.linewidth"]


def test_band_draws_median_and_range(ax):
    x, runs = np.arange(3), np.array([[1.0, 2, 3], [5, 5, 5], [12, 8, 4]])
    assert plotting.band(ax, x, runs, "name", plotting.GREEN) is ax
    (line,), (area,), (text,) = ax.lines, ax.collections, ax.texts
    np.testing.assert_array_equal(line.get_ydata(), [5, 5, 4])
    corners = area.get_paths()[0].vertices
    assert (corners[:, 1].min(), corners[:, 1].max()) == (1, 12)
    assert (text.get_text(), text.xy) == ("name", (2, 4))
    assert line.get_color() == plotting.GREEN
    np.testing.assert_allclose(
        text.get_color(), 0.8 * np.array(mpl.colors.to_rgb(line.get_color()))
    )


@pytest.mark.parametrize("runs", [np.zeros(3), np.zeros((2, 4)), np.zeros((1, 2, 3))])
def test_band_refuses_other_shapes(ax, runs):
    with pytest.raises(ValueError, match=r"runs must have shape \(runs, 3\), got \("):
        plotting.band(ax, np.arange(3), runs)


def test_images_shows_ink_dark_on_a_fixed_scale():
    figure, axes = plt.subplots(1, 2)
    pixels = np.stack([np.zeros(4), np.linspace(0, 0.5, 4)])
    assert plotting.images(axes, pixels, ["a", "b"]) is axes
    (image,) = axes[1].images
    np.testing.assert_array_equal(image.get_array(), pixels[1].reshape(2, 2))
    assert image.get_clim() == (0, 1)
    assert axes[1].get_title() == "b"
    plt.close(figure)


def test_images_errors():
    figure, axes = plt.subplots(1, 2)
    with pytest.raises(ValueError, match="axes must hold one for each of 3 images, got 2"):
        plotting.images(axes, np.zeros((3, 4)))
    with pytest.raises(ValueError, match="pixels must hold square images, got 5 pixels each"):
        plotting.images(axes, np.zeros((2, 5)))
    with pytest.raises(TypeError, match="pixels must hold floating-point numbers, got dtype int64"):
        plotting.images(axes, np.zeros((2, 4), np.int64))
    plt.close(figure)


def test_graph_shows_every_number_of_the_network(ax):
    shapes = {"x": (1, 2), "z": (1, 2), "a": (1, 2), "y": (1, 1)}
    shapes |= {"W1": (2, 2), "b1": (2,), "W2": (2, 1), "b2": (1,)}
    rng = np.random.default_rng(0)
    values = {name: rng.normal(size=shape) for name, shape in shapes.items()} | {"L": 0.123}
    gradients = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    assert plotting.graph_221(ax, values, gradients) is ax
    shown = {text.get_text() for text in ax.texts}
    for numbers in (values, gradients):
        assert {f"{v:.3f}" for array in numbers.values() for v in np.ravel(array)} <= shown

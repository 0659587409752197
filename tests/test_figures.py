"""The rule by which two drawings count as the same figure."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import pytest

from tools import figures

rng = np.random.default_rng(0)
x = np.linspace(0, 1, 200)
walk = rng.normal(size=200).cumsum()
points = rng.normal(size=(2, 40))
heights = rng.uniform(1, 3, 8)
table = rng.normal(size=(12, 12))
errors = 10.0 ** np.linspace(-12, -1, 24) * np.exp(rng.normal(size=24))


def heat_map(ax, cmap, change):
    ax.figure.colorbar(ax.imshow(change(table), vmin=-5, vmax=5, cmap=cmap))


# Each draws with `change` applied to one array only; most have axes that do not follow it.
DRAWINGS = {
    "line": lambda ax, change: ax.plot(x, change(walk)),
    "second line": lambda ax, change: (ax.plot(x, 10 * x), ax.plot(x, change(0.3 * np.exp(-x)))),
    "line along x": lambda ax, change: ax.plot(change(x), walk),
    "log-log line": lambda ax, change: ax.loglog(errors, change(errors**2)),
    "log-log markers": lambda ax, change: (
        ax.loglog(errors, errors**3),
        ax.loglog(errors, change(errors**2), "o"),
    ),
    "scatter": lambda ax, change: ax.scatter(points[0], change(points[1])),
    "second scatter": lambda ax, change: (
        ax.scatter(*points * 3, s=9),
        ax.scatter(points[0], change(points[1]), s=9),
    ),
    "bars": lambda ax, change: ax.bar(range(8), change(heights)),
    "low bars": lambda ax, change: (ax.bar(range(8), change(heights)), ax.set_ylim(0, 20)),
    "histogram": lambda ax, change: ax.hist(change(points[1]), 20),
    "heat map": lambda ax, change: ax.figure.colorbar(ax.imshow(change(table))),
    "grey heat map": lambda ax, change: heat_map(ax, "gray", change),
    "diverging heat map": lambda ax, change: heat_map(ax, "RdBu", change),
    "filled contours": lambda ax, change: ax.contourf(change(table)),
    "filled curve": lambda ax, change: ax.fill_between(x, change(walk)),
    "arrows": lambda ax, change: ax.quiver(*points, change(points[1]), points[0]),
    "steps": lambda ax, change: ax.step(x, change(walk)),
}


def draw(name, change=lambda array: array):
    fig, ax = plt.subplots()
    DRAWINGS[name](ax, change)
    file = io.BytesIO()
    fig.savefig(file, bbox_inches="tight")
    plt.close(fig)
    return figures.pixels(base64.b64encode(file.getvalue()).decode())


def noisy(array):
    return array * (1 + 1e-12 * np.random.default_rng(1).normal(size=array.shape))


@pytest.mark.parametrize("name", DRAWINGS)
def test_noise_is_the_same_figure_and_one_percent_is_not(name):
    stored = draw(name)
    assert figures.difference(stored, draw(name, noisy)) is None
    assert figures.difference(stored, draw(name, lambda array: 1.01 * array))


def test_the_difference_is_told_in_numbers():
    stored = np.zeros((10, 20, 4), dtype=np.int16)
    new = stored.copy()
    new[0, :2, 1] = 255
    assert figures.difference(stored, new) is None
    new[5, 5, 2] = 1
    assert figures.difference(stored, new) == (
        "3 of 200 pixels differ (1.50%), by up to 255 of 255 levels; together 2.00 full pixels, "
        "allowed are 2"
    )
    assert figures.difference(stored, new[:, 1:]) == (
        "the size changed from 20 by 10 to 19 by 10 pixels"
    )


def test_the_difference_is_drawn_even_between_sizes(tmp_path):
    stored = np.full((10, 20, 4), 255, dtype=np.int16)
    new = stored[:, :15].copy()
    new[0, 0, :3] = 0
    paths = figures.save_comparison(tmp_path / "made" / "figure", stored, new)
    assert [path.name for path in paths] == [
        "figure-stored.png",
        "figure-new.png",
        "figure-difference.png",
    ]
    difference = figures.pixels(base64.b64encode(paths[2].read_bytes()).decode())
    assert difference.shape == (10, 20, 4)
    assert difference[0, 0].tolist() == [255, 0, 0, 255]
    assert difference[1, 1].tolist() == [255, 255, 255, 255]

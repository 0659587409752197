"""Figures of the book: functions on arrays that draw on an `ax` and return it.

The colours are those of Okabe & Ito (2008), which people with any kind of colour vision can tell
apart. Lines carry their name at their end, so that no legend has to be matched by colour.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager

from gradnb import checks

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, GREY, BLACK = "#CC79A7", "#56B4E9", "#767676", "#1A1A1A"
_FAINT = "#9A9A9A"  # edges of a graph

_FONTS = Path(__file__).parent / "data"
_STYLE = {
    "figure.figsize": (6.4, 3.5),
    "figure.dpi": 160,
    "figure.constrained_layout.use": True,
    # The sans of the book's pages, DejaVu for signs that it lacks, and formulas as on the pages.
    "font.family": ["Book Sans", "DejaVu Sans"],
    "mathtext.fontset": "cm",
    "font.size": 11,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.labelcolor": BLACK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "lines.linewidth": 1.8,
    "axes.prop_cycle": mpl.cycler(color=[BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GREY]),
}


def use_style():
    """Set the book's look, from matplotlib's defaults on, so that no local setting enters a figure.

    In a notebook, figures are stored at their full size instead of cropped to their content: an
    image whose size depends on a label could not be compared.
    """
    for path in _FONTS.glob("book-sans-*.ttf"):
        if str(path) not in (font.fname for font in font_manager.fontManager.ttflist):
            font_manager.fontManager.addfont(path)
    mpl.rcdefaults()
    mpl.rcParams.update(_STYLE)
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:  # no notebook here
        return
    set_matplotlib_formats("png", bbox_inches=None)


def end_label(ax, x, y, text, color=BLACK, *, dx=6, dy=0, **kwargs):
    """Write `text` beside a point, in a darker shade of the line that ends there.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    x, y : float
        The point, in data coordinates.
    text : str
        The name.
    color : color
        Of the line; the text is a little darker.
    dx, dy : float
        Offset in points.
    **kwargs
        Passed to ``ax.annotate``.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.
    """
    ink = tuple(0.8 * channel for channel in mpl.colors.to_rgb(color))  # letters are thin
    options = {"va": "center", "ha": "left", "color": ink, "annotation_clip": False} | kwargs
    ax.annotate(text, (x, y), xytext=(dx, dy), textcoords="offset points", **options)
    return ax


def band(ax, x, runs, text=None, color=BLUE, *, dy=0, **kwargs):
    """Draw the median of several runs, the range from lowest to highest, and a name at the end.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    x : array_like
        Shape (points,).
    runs : array_like
        One run a row, shape (runs, points).
    text : str, optional
        Name, written at the end of the median.
    color : color
        Of line, band and name.
    dy : float
        Vertical offset of the name in points, to keep names apart.
    **kwargs
        Passed to ``ax.plot``.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    x, runs = np.asarray(x), np.asarray(runs)
    if runs.ndim != 2 or x.shape != runs.shape[1:]:
        raise ValueError(f"runs must have shape (runs, {x.size}), got {runs.shape}")
    median = np.median(runs, axis=0)
    ax.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=color, alpha=0.2, linewidth=0)
    ax.plot(x, median, color=color, **kwargs)
    if text is not None:
        end_label(ax, x[-1], median[-1], text, color, dy=dy)
    return ax


def images(axes, pixels, titles=None):
    """Show images in a row of axes, dark ink on light paper.

    Parameters
    ----------
    axes : sequence of matplotlib.axes.Axes
        One for each image.
    pixels : ndarray
        Shape (images, pixels), each a square with values in [0, 1].
    titles : sequence of str, optional
        One above each image.

    Returns
    -------
    sequence of matplotlib.axes.Axes
        `axes`.

    Raises
    ------
    ValueError
        If there are not as many axes as images, or the images are not square.
    """
    checks.float_array("pixels", pixels)
    side = round(np.sqrt(pixels.shape[1]))
    if side * side != pixels.shape[1]:
        raise ValueError(f"pixels must hold square images, got {pixels.shape[1]} pixels each")
    if len(axes) != len(pixels):
        raise ValueError(f"axes must hold one for each of {len(pixels)} images, got {len(axes)}")
    for i, ax in enumerate(axes):
        ax.imshow(pixels[i].reshape(side, side), cmap="gray_r", vmin=0, vmax=1)
        ax.set_axis_off()
        if titles is not None:
            ax.set_title(titles[i], fontsize=9, loc="center")
    return axes


def graph_221(ax, values, gradients):
    """Draw a 2-2-1 network with each number's value above and the loss's derivative below.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw; its axes are switched off.
    values, gradients : dict
        Arrays ``x``, ``z``, ``a`` (1, 2), ``y`` (1, 1), ``W1`` (2, 2), ``b1`` (2,), ``W2`` (2, 1)
        and ``b2`` (1,); `values` has the loss ``L`` as well.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.
    """
    columns, rows = {"x": 0.05, "z": 0.4, "a": 0.57, "y": 0.85, "L": 0.97}, (0.76, 0.3)
    places = {f"{name}{i}": (columns[name], rows[i]) for name in "xza" for i in (0, 1)}
    places |= {"y0": (columns["y"], sum(rows) / 2), "L0": (columns["L"], sum(rows) / 2)}
    values = {name: np.atleast_2d(value) for name, value in values.items()}
    gradients = {name: np.atleast_2d(value) for name, value in gradients.items()} | {
        "L": np.ones((1, 1))
    }

    def numbers(x, y, name, i, j):
        style = {"ha": "center", "fontsize": 9.5, "zorder": 3}
        ax.text(x, y + 0.008, f"{values[name][i, j]:.3f}", va="bottom", color=BLUE, **style)
        ax.text(x, y - 0.008, f"{gradients[name][i, j]:.3f}", va="top", color=VERMILION, **style)

    def edge(start, end, weight=None, at=0.5):
        (x0, y0), (x1, y1) = places[start], places[end]
        ax.plot([x0, x1], [y0, y1], color=_FAINT, lw=1, zorder=1)
        if weight:
            x, y = x0 + at * (x1 - x0), y0 + at * (y1 - y0)
            ax.plot([x], [y], "s", ms=31, color="white", zorder=2)  # a gap in the edge
            numbers(x, y, *weight)

    for i in (0, 1):
        for j in (0, 1):
            edge(f"x{i}", f"z{j}", ("W1", i, j), at=0.36)
        edge(f"z{i}", f"a{i}")
        edge(f"a{i}", "y0", ("W2", i, 0))
    edge("y0", "L0")
    for place, (x, y) in places.items():
        name, i = place[0], int(place[1])
        ax.plot([x], [y], "o", ms=37, mfc="white", mec=_FAINT, mew=1.2, zorder=2)
        label = {"y": r"$\hat y$", "L": "$L$"}.get(name, f"${name}_{i + 1}$")
        ax.text(x, y + 0.115, label, ha="center", va="bottom", fontsize=11)
        numbers(x, y, name, 0, i)
    for name, i, place in (("b1", 0, "z0"), ("b1", 1, "z1"), ("b2", 0, "y0")):
        x, y = places[place]
        numbers(x, y - 0.2, name, 0, i)
        ax.text(x - 0.042, y - 0.2, "bias", ha="right", va="center", fontsize=9.5)
    ax.set(xlim=(0, 1.02), ylim=(0, 1))
    ax.set_axis_off()
    return ax

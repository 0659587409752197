"""The data behind a figure: what its lines, points, areas, images and texts plot.

Fonts, margins and colours change from version to version of matplotlib, and the pixels with them;
the numbers that a figure shows do not. `read` gives them as plain lists, axes by axes, whatever
matplotlib drew the figure. Colours and sizes that stand for no number are left to the pixels. As an
IPython extension, this file sends the data with every figure that a kernel shows, so it imports
nothing that another environment might lack.
"""

import numpy as np
from matplotlib import axis, collections, image, legend, lines, patches, spines, text
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter

MIME = "application/vnd.gradnb.figure-data+json"
DIGITS = 6


def load_ipython_extension(shell):
    """Send a figure's data beside its picture."""
    from IPython.core.formatters import JSONFormatter

    class FigureData(JSONFormatter):
        format_type = MIME

        # Not `for_type`: a notebook that chooses the format of its pictures takes every formatter
        # for figures away.
        def __call__(self, shown):
            return read(shown) if isinstance(shown, Figure) else None

    shell.display_formatter.formatters[MIME] = FigureData(parent=shell.display_formatter)


def read(figure):
    """Return what is drawn: the figure's own texts, and each of its axes."""
    return {"texts": _texts(_own_texts(figure)), "axes": [_axes(ax) for ax in figure.axes]}


def _own_texts(figure):
    if figure.artists or figure.lines or figure.images or figure.patches:
        raise TypeError("a figure draws outside of its axes: say in figure_data.py what it plots")
    own = [part for part in figure.get_children() if isinstance(part, text.Text)]
    own += [name for legend in figure.legends for name in legend.get_texts()]
    return own + [part for inner in figure.subfigs for part in _own_texts(inner)]


def _axes(ax):
    if hasattr(ax, "get_zlim"):
        raise TypeError("a figure has a third axis: say in figure_data.py what it plots there")
    legend = ax.get_legend()
    return {
        "labels": [ax.get_title(loc) for loc in ("left", "center", "right")]
        + [ax.get_xlabel(), ax.get_ylabel()],
        "x scale": ax.get_xscale(),
        "y scale": ax.get_yscale(),
        "x limits": _numbers(ax.get_xlim()),
        "y limits": _numbers(ax.get_ylim()),
        "x ticks": _chosen_ticks(ax.xaxis),
        "y ticks": _chosen_ticks(ax.yaxis),
        "legend": _texts(legend.get_texts() if legend else []),
        "parts": [_part(artist) for artist in ax.get_children() if _plots(artist, ax)],
    }


def _texts(artists):
    return [artist.get_text() for artist in artists if artist.get_text()]


def _chosen_ticks(axis):
    """Give the ticks that the figure's code has set; all others are matplotlib's choice."""
    locator, formatter = axis.get_major_locator(), axis.get_major_formatter()
    if not isinstance(locator, FixedLocator):
        return []
    if isinstance(formatter, (FixedFormatter, FuncFormatter)):
        return formatter.format_ticks(locator.locs)
    return _numbers(locator.locs).split()


def _plots(artist, ax):
    titles = (ax.title, ax._left_title, ax._right_title)
    if not artist.get_visible() or artist is ax.patch or any(artist is t for t in titles):
        return False
    if isinstance(artist, text.Text):
        return bool(artist.get_text())
    return not isinstance(artist, NOT_DATA)


def _part(artist):
    for kind, reader in READERS.items():
        if isinstance(artist, kind):
            return reader(artist)
    raise TypeError(f"a figure holds a {type(artist).__name__}: say in READERS what it plots")


def _text(artist):
    at = artist.xy if isinstance(artist, text.Annotation) else artist.get_position()
    return {"kind": "text", "text": artist.get_text()} | _points(np.array([at], float))


def _line(artist):
    if isinstance(artist, lines.AxLine):
        raise TypeError("a figure holds a line without ends: give it two points")
    return {"kind": "line"} | _points(artist.get_xydata())


def _image(artist):
    corners = np.reshape(artist.get_extent(), (2, 2)).T
    return {"kind": "image"} | _coloured(artist) | _points(corners)


def _patch(artist):
    return {"kind": "area"} | _points(
        artist.get_patch_transform().transform(artist.get_path().vertices)
    )


def _scatter(artist):
    return {"kind": "points"} | _points(artist.get_offsets()) | _coloured(artist)


def _mesh(artist):
    corners = artist.get_coordinates()
    sides = corners[0, :, 0], corners[:, 0, 1]
    if not np.array_equal(corners, np.stack(np.meshgrid(*sides), axis=-1)):
        raise TypeError("a figure holds a mesh whose cells are no rectangles: store every corner")
    x, y = map(_numbers, sides)
    return {"kind": "mesh", "x": x, "y": y} | _coloured(artist)


def _collection(artist):
    vertices = [np.empty((0, 2)), *(path.vertices for path in artist.get_paths())]
    return {"kind": "area"} | _points(np.concatenate(vertices)) | _coloured(artist)


def _coloured(artist):
    values = artist.get_array()
    if values is None:
        return {}
    scale = {"values scale": "log"} if isinstance(artist.norm, LogNorm) else {}
    limits = {"values limits": _numbers(artist.get_clim())}
    return {"values": _numbers(values)} | limits | scale


def _points(xy):
    x, y = np.ma.filled(np.ma.asarray(xy, dtype=float), np.nan).T
    return {"x": _numbers(x), "y": _numbers(y)}


def _numbers(values):
    values = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan).ravel()
    return " ".join(f"{value:.{DIGITS}g}" for value in values)


NOT_DATA = (spines.Spine, axis.Axis, legend.Legend)
READERS = {
    text.Text: _text,
    lines.Line2D: _line,
    image.AxesImage: _image,
    patches.Patch: _patch,
    collections.PathCollection: _scatter,
    collections.QuadMesh: _mesh,
    collections.Collection: _collection,
}

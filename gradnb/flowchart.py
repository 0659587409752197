"""A flow chart of yes/no questions, one below the other, each with what "yes" means beside it."""

from __future__ import annotations

from matplotlib.patches import FancyBboxPatch
from matplotlib.textpath import TextPath

from gradnb.plotting import BLACK

_PAD, _GAP = 4.0, 13.0  # points: between a box and its text, and least between two boxes
_LINE, _SPACING = 1.17, 1.05  # a line's height by its font size, and what is put between lines


def ladder(ax, start, rungs, end, *, left=0.44, fontsize=9.0):
    """Draw a ladder of questions: "no" leads down, "yes" to the right.

    Text is wrapped at the width of its box, and each box is as high as its text. What room is left
    goes between the rows.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw, the only axes of its figure. They are switched off, and their coordinates
        become points from the lower left.
    start : str
        What leads to the first question.
    rungs : sequence of tuple
        ``(question, answer, advice)``: what to measure, what "yes" means (in bold), what to do.
    end : tuple
        ``(answer, advice)`` after the last "no".
    left : float
        Share of the width for the questions, 0.2 to 0.8.
    fontsize : float
        In points.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ValueError
        If there is no question, `left` is out of its range, a word is wider than its box, or the
        axes are not high enough for the text.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> fig, ax = plt.subplots()
    >>> ax = ladder(ax, "It is dark.", [("Is it night?", "Night", "Sleep.")], ("Dust", "Clean."))
    >>> len(ax.patches)
    4
    >>> plt.close(fig)
    """
    if not rungs:
        raise ValueError("rungs must hold at least one question, got none")
    if not 0.2 <= left <= 0.8:
        raise ValueError(f"left must be from 0.2 to 0.8, got {left}")
    ax.set_axis_off()
    ax.figure.draw_without_rendering()  # settles the layout, and so the size
    width, height = (72 / ax.figure.dpi * side for side in ax.get_window_extent().size)
    ax.set(xlim=(0, width), ylim=(0, height))

    split = left * width
    here, there = (1, split - _GAP), (split + _GAP, width - 1)
    rows = [[_Box(ax, here, "", start, fontsize)]]
    for question, *yes in rungs:
        rows.append([_Box(ax, here, "", question, fontsize), _Box(ax, there, *yes, fontsize)])
    rows.append([_Box(ax, here, *end, fontsize)])

    heights = [max(box.height for box in row) for row in rows]
    gap = (height - 2 - sum(heights)) / (len(rows) - 1)
    if gap < _GAP:
        missing = (_GAP - gap) * (len(rows) - 1)
        raise ValueError(f"ax must be at least {missing:.0f} points higher to hold this text")
    top = height - 1
    for row, row_height in zip(rows, heights, strict=True):
        for box in row:
            box.draw(top - row_height / 2, rounded=len(row) == 1)
        top -= row_height + gap

    label = {"fontsize": fontsize, "fontstyle": "italic", "color": BLACK}
    for i, (question, *yes) in enumerate(rows):
        for answer in yes:
            _arrow(ax, (question.right, question.middle), (answer.left, answer.middle))
            ax.text(split, question.middle + 2, "yes", ha="center", va="bottom", **label)
        if i + 1 < len(rows):
            x, below = (question.left + question.right) / 2, rows[i + 1][0]
            _arrow(ax, (x, question.bottom), (x, below.top))
            if i > 0:
                ax.text(x + 5, (question.bottom + below.top) / 2, "no", va="center", **label)
    return ax


class _Box:
    """A box with text in it, which may begin with a bold heading."""

    def __init__(self, ax, sides, head, text, fontsize):
        self.ax, (self.left, self.right) = ax, sides
        room = self.right - self.left - 2 * _PAD
        self.texts, self.heights = [], []
        for string, weight in ((head, "bold"), (text, "normal")):
            if string:
                self.texts.append(_wrapped(ax, string, room, fontsize=fontsize, fontweight=weight))
                lines = self.texts[-1].get_text().count("\n") + 1
                self.heights.append(lines * _LINE * _SPACING * fontsize + 1)
        self.height = sum(self.heights) + 2 * _PAD

    def draw(self, middle, rounded):
        self.middle = middle
        self.top, self.bottom = middle + self.height / 2, middle - self.height / 2
        style = "round,pad=0,rounding_size=6" if rounded else "square,pad=0"
        corner, width = (self.left, self.bottom), self.right - self.left
        box = FancyBboxPatch(corner, width, self.height, style, fc="white", ec=BLACK, lw=1)
        self.ax.add_patch(box)
        y = self.top - _PAD
        for text, height in zip(self.texts, self.heights, strict=True):
            text.set_position((self.left + _PAD, y))
            y -= height


def _wrapped(ax, string, room, **style):
    """Return a text with line breaks, so that no line is longer than `room` points."""
    text = ax.text(0, 0, "", color=BLACK, va="top", linespacing=_SPACING, zorder=3, **style)
    lines = [""]
    for word in string.split():
        longer = f"{lines[-1]} {word}".strip()
        if _width(text, longer) <= room:
            lines[-1] = longer
            continue
        if _width(text, word) > room:
            raise ValueError(f"every word must fit its box of {room:.0f} points, got {word!r}")
        lines.append(word)
    text.set_text("\n".join(lines))
    return text


def _width(text, string):
    """Measure the outlines, with room for what is drawn, which differs between versions."""
    font = text.get_fontproperties()
    outlines = TextPath((0, 0), string, size=font.get_size_in_points(), prop=font)
    return 1.04 * outlines.get_extents().width


def _arrow(ax, start, end):
    style = {"arrowstyle": "-|>", "color": BLACK, "lw": 1, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=style)

"""A training run on one page: gradient norms, update-to-weight ratios, zeros and alarms."""

from __future__ import annotations

import math

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from gradnb import plotting

GUIDE = 1e-3  # the update-to-weight ratio that is a common rule of thumb
FEW, LINES = 4, 12  # so many parameters are all named; more than so many make a heat map
DRAWN = 1e-120, 1e120  # positive numbers beyond are drawn as these
COLUMNS = 400  # of a heat map; more records are drawn together
TITLES = {
    "l2": "Gradient norm  ‖g‖₂",
    "update_ratio": "Update-to-weight ratio  ‖Δw‖₂ / ‖w‖₂",
    "zero_fraction": "Share of zeros in the gradient",
}
DEPTH = mpl.colors.ListedColormap(mpl.colormaps["viridis"](np.linspace(0, 0.72, 256)))


def dashboard(run, names=None):
    """Draw what a monitor has recorded, on three panels over the step.

    From the top: ‖g‖₂, the update-to-weight ratio beside its rule of thumb of 10⁻³, and the share
    of entries of the gradient that are 0. Up to 12 parameters are lines, dark at the input to light
    at the output; more are the rows of a heat map, the input at the top. A vertical line stands at
    each step at which an alarm was raised. What a logarithm has no place for is a triangle at the
    edge (or a colour of its own): ▼ for 0, ▲ for infinity and NaN.

    Parameters
    ----------
    run : GradientMonitor or Log
        What is drawn: its ``records`` and ``alarms``.
    names : sequence of str, optional
        Parameters to draw. By default all up to four; of more, those whose name does not end with
        ``bias``.

    Returns
    -------
    matplotlib.figure.Figure
        A pyplot figure, 6.4 in wide; its first three axes are the panels. In a notebook, end a last
        line with a semicolon, or it is shown twice.

    Raises
    ------
    ValueError
        If nothing is recorded yet, or a name is not one of the run's.
    """
    records = run.records
    if not records:
        raise ValueError("the run must have at least one record, got none: it has taken no step")
    names = _names(run, names)
    steps = np.array([record["step"] for record in records])
    figures = _figures(run, names, broken=~np.isfinite([record["norm"] for record in records]))
    alarms = [alarm for alarm in run.alarms if alarm["step"] >= steps[0]]
    heat = len(names) > LINES
    with mpl.rc_context():  # no local setting enters, and none is changed
        mpl.rcdefaults()
        mpl.rcParams.update(plotting._STYLE)
        size = 6.4, 7.4 if heat else 6.2
        page, axes = plt.subplots(3, 1, sharex=True, figsize=size, layout="constrained")
        ends = []
        for ax, (figure, values) in zip(axes, figures.items(), strict=True):
            ax.set_title(TITLES[figure])
            measured = ~np.isnan(values).all(axis=0)
            if measured.any():
                draw = _heat if heat else _lines
                ends.append((ax, draw(ax, figure, steps[measured], values[:, measured], names)))
            else:
                why = "without an optimiser" if figure == "update_ratio" else "at these steps"
                style = {"ha": "center", "va": "center", "color": plotting.GREY}
                ax.text(0.5, 0.5, f"not recorded {why}", transform=ax.transAxes, **style)
                ax.set_yticks([])
        _steps(axes, steps, max([steps[-1], *[alarm["step"] for alarm in alarms]]))
        _mark_alarms(page, axes, alarms)
        page.draw_without_rendering()  # settles the layout, by which names are moved apart
        for ax, labels in ends:
            _end_labels(ax, labels)
    return page


def _names(run, names):
    if names is None:
        weights = [name for name in run.names if not name.endswith("bias")]
        return weights if weights and len(run.names) > FEW else [*run.names]
    names = [names] if isinstance(names, str) else [*names]
    unknown = [name for name in names if name not in run.names]
    if unknown or not names:
        got = repr(unknown[0]) if unknown else "none"
        raise ValueError(f"names must be of {', '.join(run.names)}, got {got}")
    return names


def _figures(run, names, broken):
    """Return the figures to draw, with infinity for a norm that is not finite."""
    norms, ratios, zeros = (np.array([run.history(name, f) for name in names]) for f in TITLES)
    nan = np.isnan(norms)
    never = nan.all(axis=1, keepdims=True) & (not nan.all())
    norms[nan & broken & ~never] = math.inf  # the gradient is NaN; elsewhere there is none
    zeros[~np.isfinite(norms)] = math.nan
    for values in norms, ratios:  # matplotlib's axes end before the floats do
        np.clip(values, *DRAWN, out=values, where=np.isfinite(values) & (values > 0))
    return dict(zip(TITLES, (norms, ratios, zeros), strict=True))


def _limits(figure, values):
    """Return the least and the greatest value that a logarithmic axis has to show."""
    shown = values[np.isfinite(values) & (values > 0)]
    shown = np.append(shown, GUIDE if figure == "update_ratio" or not shown.size else [])
    return shown.min(), shown.max()


def _lines(ax, figure, steps, values, names):
    """Draw a line for each parameter; return the names and where they belong."""
    logarithmic, guided = figure != "zero_fraction", figure == "update_ratio"
    if logarithmic:
        low, high = np.log10(_limits(figure, values))
        low, high = low - 0.06 * (high - low) - 0.1, high + 0.06 * (high - low) + 0.1
        if math.floor(high) - math.ceil(low) < 1:  # two powers of ten at least
            low, high = math.floor(low), math.ceil(high)
        ax.set(yscale="log", ylim=(10.0**low, 10.0**high))
        ax.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    else:
        ax.set_ylim(-0.04, 1.04)
    bottom, top = ax.get_ylim()
    ends, there = [], {}
    for i, (name, row) in enumerate(zip(names, values, strict=True)):
        known = ~np.isnan(row)
        x, y, color = steps[known], row[known], DEPTH(i / max(len(names) - 1, 1))
        zero, infinite = (y == 0) & logarithmic, np.isinf(y)
        line = np.where(zero | infinite, np.nan, y)  # broken where it has no place
        few = np.isfinite(line).sum() < 3
        ax.plot(x, line, color=color, lw=1.5, marker="o" if few else "", ms=4)
        for marker, where, height in (("v", zero, 0.025), ("^", infinite, 0.975)):
            if where.any():
                there[marker] = True
                style = {"marker": marker, "c": [color] * where.sum(), "s": 14, "clip_on": False}
                place = {"transform": ax.get_xaxis_transform(), "zorder": 3}
                ax.scatter(x[where], np.full(where.sum(), height), **style, **place)
        if len(y) and (len(names) <= FEW or i in (0, len(names) - 1)):
            ends.append((bottom if zero[-1] else min(y[-1], top), _short(name), color))
    if guided:
        ax.axhline(GUIDE, color=plotting.GREY, lw=1, ls=(0, (5, 3)), zorder=1)
        ends.append((GUIDE, "guide 10⁻³", plotting.GREY))
    _note(ax, {"▲ not finite": "^" in there, "▼ 0": "v" in there})
    return ends


def _heat(ax, figure, steps, values, names):
    """Draw a row for each parameter, the first one at the top."""
    steps, values = _thinned(steps, values)
    if figure == "zero_fraction":
        norm, colors = mpl.colors.Normalize(0, 1), "cividis"
    else:
        low, high = _limits(figure, values)
        if figure == "update_ratio":  # the guide in the middle, where the colours are faint
            factor = max(high / GUIDE, GUIDE / low, 10)
            low, high, colors = GUIDE / factor, GUIDE * factor, "PRGn_r"
        else:
            low, high, colors = low / 1.1, high * 1.1, "viridis"
        norm = mpl.colors.LogNorm(low, high)
    zero, infinite = (values == 0) & (figure != "zero_fraction"), np.isinf(values)
    inside = np.clip(values, norm.vmin, norm.vmax)
    seen = np.where(zero, norm.vmin / 2, np.where(infinite, norm.vmax * 2, inside))
    over = {"under": "black", "over": plotting.VERMILION, "bad": "#D0D0D0"}
    edges = np.r_[steps[0] - 0.5, (steps[:-1] + steps[1:]) / 2, steps[-1] + 0.5]
    mesh = ax.pcolormesh(
        *(edges, np.arange(len(names) + 1) - 0.5, np.ma.masked_invalid(seen)),
        norm=norm,
        cmap=mpl.colormaps[colors].with_extremes(**over),
    )
    ax.set(ylim=(len(names) - 0.5, -0.5), yticks=[0, len(names) - 1])
    ax.set_yticklabels([_short(names[0]), _short(names[-1])], fontsize=8.5)
    bar = ax.figure.colorbar(mesh, ax=ax, pad=0.01, aspect=12)
    if figure == "update_ratio":
        bar.ax.axhline(GUIDE, color="black", lw=1)
    missing = np.isnan(values).any()
    _note(ax, {"red: not finite": infinite.any(), "black: 0": zero.any(), "grey: none": missing})
    return []


def _thinned(steps, values):
    """Take neighbouring records together, by their median; what is infinite stays so."""
    size = -(-len(steps) // COLUMNS)
    starts = np.arange(0, len(steps), size)
    columns = []
    for start in starts:
        block = values[:, start : start + size]
        middle = np.ma.median(np.ma.masked_invalid(block), axis=1).filled(math.nan)
        columns.append(np.where(np.isinf(block).any(axis=1), math.inf, middle))
    return np.array([steps[start : start + size].mean() for start in starts]), np.array(columns).T


def _steps(axes, steps, last):
    pad = max((last - steps[0]) * 0.01, 0.5)
    axes[-1].set(xlabel="step", xlim=(steps[0] - pad, last + pad))
    axes[-1].xaxis.set_major_locator(
        mpl.ticker.MaxNLocator(7, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
    )


def _mark_alarms(page, axes, alarms):
    """Stand a line at each step at which there is an alarm, and tell the first ones."""
    told = {}
    for alarm in alarms:
        told.setdefault((alarm["step"], alarm["kind"]), []).append(alarm["name"])
    steps = sorted({step for step, _ in told})
    thin = {"lw": 0.9, "alpha": 0.8} if len(steps) <= 20 else {"lw": 0.5, "alpha": 0.4}
    for ax in axes:
        for step in steps:
            ax.axvline(step, color=plotting.VERMILION, zorder=1.5, **thin)
    text, left = "Alarms", len(alarms)
    for (step, kind), names in told.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        longer = f"{text}   step {step}: {kind} {_short(names[0])}".rstrip() + more
        if left < len(alarms) and len(longer) > 85:
            text += f"   … {left} more"
            break
        text, left = longer, left - len(names)
    color = plotting.VERMILION if alarms else plotting.GREY
    page.suptitle(text if alarms else "No alarm", x=0.01, ha="left", fontsize=9, color=color)


def _end_labels(ax, ends):
    """Name the lines at the right edge, moved apart where they would overlap."""
    ends = sorted(ends, key=lambda end: end[0])
    points, apart = 72 / ax.figure.dpi, 10.5
    at = [ax.transData.transform((0, y))[1] * points for y, _, _ in ends]
    placed = []
    for y in at:
        placed.append(max(y, placed[-1] + apart) if placed else y)
    highest = ax.get_window_extent().y1 * points
    for i, (y, new) in enumerate(zip(at, placed, strict=True)):
        value, name, color = ends[i]
        new = min(new, highest - apart * (len(ends) - 1 - i))
        style = {"xycoords": ("axes fraction", "data"), "fontsize": 8.5, "dy": new - y}
        plotting.end_label(ax, 1, value, name, color, **style)


def _note(ax, meanings):
    text = "   ".join(text for text, there in meanings.items() if there)
    ax.set_title(text, loc="right", fontsize=8, color=plotting.GREY)


def _short(name):
    return name if len(name) <= 18 else f"…{name[-17:]}"

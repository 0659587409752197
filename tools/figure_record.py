"""The data of a notebook's figures: stored beside it, and compared.

`chapters/figures/sgd.json` holds for each figure of `chapters/sgd.ipynb` what it plots, and which
picture that belongs to. The pixels of a figure are compared where the pinned libraries draw it;
what it plots is compared everywhere, since that outlives fonts and defaults.

The rule: the same texts, scales and number of everything, and **no coordinate further off than a
thousandth**: on a linear axis of the largest in its line or of the axis, whichever is less, on any
other of itself. (1e-5 of an axis that is not logarithmic, which nobody sees, is allowed besides.)
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tools import figures
from tools.figure_data import MIME

RELATIVE = 1e-3
INVISIBLE = 1e-5


def path_of(notebook: Path) -> Path:
    """Say where the data of a notebook's figures are stored."""
    return notebook.parent / "figures" / f"{notebook.stem}.json"


def load(notebook: Path) -> dict:
    """Read what is stored for a notebook: {cell id: [figure, …]}."""
    path = path_of(notebook)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def dumps(record: dict) -> str:
    """Write a record as text, one line for each row of numbers, so that `git diff` can be read."""
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def take(outputs: list[dict]) -> list[dict]:
    """Take the figures' data out of a cell's outputs, each with the name of its picture."""
    bundles = [output["data"] for output in outputs if MIME in output.get("data", {})]
    return [{"picture": fingerprint(data["image/png"])} | data.pop(MIME) for data in bundles]


def fingerprint(png: str) -> str:
    """Name a picture by its pixels, however they are packed."""
    pixels = figures.pixels(png).astype(np.uint8)
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:16]


def problems(stored: list[dict], pictures: list[str], new: list[dict]) -> Iterator[str]:
    """Say what a cell's figures plot otherwise than stored, and what is not stored as it should."""
    if [figure["picture"] for figure in stored] != [fingerprint(png) for png in pictures]:
        yield "What is stored of the figure's data belongs to another picture than the stored one."
    elif len(stored) != len(new):
        yield f"{len(new)} drawing(s) said what they plot, where {len(stored)} did before."
    else:
        for old, now in zip(stored, new, strict=True):
            if how := difference(old, now):
                yield f"The figure plots something else than the stored one: {how}."


def difference(stored: dict, new: dict) -> str | None:
    """Say what another drawing plots otherwise, or return None when it plots the same."""
    return next(_differences(stored, new), None)


def _differences(stored: dict, new: dict) -> Iterator[str]:
    if stored["texts"] != new["texts"]:
        yield f"its texts were {stored['texts']}, now {new['texts']}"
    if len(stored["axes"]) != len(new["axes"]):
        yield f"it had {len(stored['axes'])} axes, now {len(new['axes'])}"
        return
    for number, (old, now) in enumerate(zip(stored["axes"], new["axes"], strict=True), start=1):
        yield from (f"axes {number}: {what}" for what in _in_axes(old, now))


def _in_axes(stored: dict, new: dict) -> Iterator[str]:
    for name in ("labels", "legend", "x scale", "y scale", "x ticks", "y ticks"):
        if stored[name] != new[name]:
            yield f"{name} were {stored[name]}, now {new[name]}"
    for name in "xy":
        span = np.ptp(_array(stored[f"{name} limits"]))
        yield from _off(f"{name} limits", stored, new, span, stored[f"{name} scale"])

    kinds = [[part["kind"] for part in axes["parts"]] for axes in (stored, new)]
    if kinds[0] != kinds[1]:
        yield f"it showed {', '.join(kinds[0])}; now {', '.join(kinds[1])}"
        return
    for number, (old, now) in enumerate(zip(stored["parts"], new["parts"], strict=True), start=1):
        yield from (f"{old['kind']} {number}: {what}" for what in _in_part(old, now, stored))


def _in_part(stored: dict, new: dict, axes: dict) -> Iterator[str]:
    if stored.get("text") != new.get("text"):
        yield f"was {stored.get('text')!r}, now {new.get('text')!r}"
    for name in "xy":
        span = np.ptp(_array(axes[f"{name} limits"]))
        yield from _off(name, stored, new, span, axes[f"{name} scale"])
    if stored.get("values scale") != new.get("values scale"):
        yield "its values are coloured by another scale"
    if "values" in stored or "values" in new:
        limits = _array(stored.get("values limits", "0"))
        span = np.ptp(limits) or np.abs(limits).max()  # all of one colour
        for name in ("values", "values limits"):
            yield from _off(name, stored, new, span, stored.get("values scale", "linear"))


def _off(name: str, stored: dict, new: dict, span: float, scale: str) -> Iterator[str]:
    """Compare one row of numbers that lie on an axis of this span and scale."""
    old, now = _array(stored.get(name, "")), _array(new.get(name, ""))
    if old.shape != now.shape:
        yield f"its {name} had {old.size} numbers, now {now.size}"
        return
    largest = np.abs(old)
    if scale == "linear":
        largest = min(np.abs(old[np.isfinite(old)]).max(initial=0), span)
    allowed = RELATIVE * largest + (0 if scale == "log" else INVISIBLE * span)
    with np.errstate(invalid="ignore"):  # inf - inf
        off = np.nan_to_num(np.abs(now - old), nan=np.inf)
        wrong = ~((off <= allowed) | (now == old) | (np.isnan(now) & np.isnan(old)))
    if wrong.any():
        worst = np.argmax(np.where(wrong, off, -1))
        yield (
            f"{wrong.sum():,} of {old.size:,} numbers of its {name} differ, one was {old[worst]:g} "
            f"and is {now[worst]:g}"
        )


def _array(numbers: str) -> np.ndarray:
    return np.array(numbers.split(), dtype=float)

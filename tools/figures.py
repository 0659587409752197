"""Compare two drawings of one figure, pixel by pixel.

The pinned libraries draw the same picture from the same numbers, so almost no difference is
allowed. What rounding noise may do is move the edge of a curve by 1/256 of a pixel: it changes many
pixels by one level of 255 each. A changed number moves whole edges, tick labels or colours. Adding
up all differences tells the two apart where neither a largest difference nor a count of changed
pixels can: noise of 1e-12 in the data summed to 0.7 at most in the drawings we measured, a change
of 1 % to 10 at least.

The rule: **same size, and all differences together come to no more than 2 pixels turned from black
to white** (the largest difference among a pixel's four channels, summed over the pixels, at most
2 times 255 levels).
"""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

ALLOWED = 2.0


def stored_in(outputs: list[dict]) -> list[str]:
    """List the PNGs (base64) among a cell's outputs."""
    bundles = [output.get("data", {}) for output in outputs]
    return [bundle["image/png"] for bundle in bundles if "image/png" in bundle]


def pixels(png: str) -> np.ndarray:
    """Decode a PNG as a notebook stores it (base64): (height, width, red-green-blue-alpha)."""
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        return np.asarray(image.convert("RGBA"), dtype=np.int16)


def difference(stored: np.ndarray, new: np.ndarray) -> str | None:
    """Say how two figures differ, or return None when they are the same figure."""
    if stored.shape != new.shape:
        (height, width), (new_height, new_width) = stored.shape[:2], new.shape[:2]
        return f"the size changed from {width} by {height} to {new_width} by {new_height} pixels"
    per_pixel = np.abs(new - stored).max(axis=2)
    total = per_pixel.sum() / 255
    if total <= ALLOWED:
        return None
    changed = np.count_nonzero(per_pixel)
    return (
        f"{changed:,} of {per_pixel.size:,} pixels differ ({changed / per_pixel.size:.2%}), "
        f"by up to {per_pixel.max()} of 255 levels; together {total:.2f} full pixels, "
        f"allowed are {ALLOWED:g}"
    )


def save_comparison(stem: Path, stored: np.ndarray, new: np.ndarray) -> list[Path]:
    """Write `stem`-stored.png, -new.png and -difference.png and return their paths.

    In the difference the stored figure is faded and every pixel that changed is red; figures of
    different sizes are laid over each other at the top left.
    """
    height, width = np.maximum(stored.shape[:2], new.shape[:2])
    padded = np.full((2, height, width, 4), 255, dtype=np.int16)
    for canvas, figure in zip(padded, (stored, new), strict=True):
        canvas[: figure.shape[0], : figure.shape[1]] = figure
    faded = 255 - (255 - padded[0]) // 4
    faded[(padded[0] != padded[1]).any(axis=2)] = (255, 0, 0, 255)

    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind, figure in (("stored", stored), ("new", new), ("difference", faded)):
        path = stem.with_name(f"{stem.name}-{kind}.png")
        Image.fromarray(figure.astype(np.uint8), "RGBA").save(path)
        paths.append(path)
    return paths

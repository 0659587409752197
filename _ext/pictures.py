"""Figures as they are published: light, at home in the dark, and described for who cannot see them.

A description missing here would never be missed by its author: the build fails without it.
"""

import re
from pathlib import Path

import numpy as np
from docutils import nodes
from PIL import Image, ImageDraw, ImageFilter
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms.images import ImageConverter
from sphinx.util import logging

logger = logging.getLogger(__name__)

LEVELS = 32  # of red, green and blue in a figure: at most 4 of 255 away from what is stored
_NEAREST = [round(round(v / 255 * (LEVELS - 1)) * 255 / (LEVELS - 1)) for v in range(256)]
WORDS = 8  # that a description has at least

# The inks of `gradnb.plotting`, and what stands for them on dark paper: the same hue, at least
# 4.5:1 against the page, mostly as in book.css. Sky stays the fainter of the two blues.
INKS = {
    "black": ("#1a1a1a", "#e6e3dc"),
    "blue": ("#0072b2", "#62b5f0"),
    "sky": ("#56b4e9", "#3f88bc"),
    "green": ("#009e73", "#3fc79c"),
    "orange": ("#e69f00", "#f0b440"),
    "vermilion": ("#d55e00", "#f47d3a"),
    "purple": ("#cc79a7", "#e08dbd"),
}
# Every colour is white paper under three of them, which are neighbours: these triangles cover all.
NEIGHBOURS = (
    ("black", "blue", "purple"),
    ("blue", "sky", "purple"),
    ("black", "green", "blue"),
    ("green", "sky", "blue"),
    ("black", "purple", "vermilion"),
    ("black", "vermilion", "orange"),
    ("black", "orange", "green"),
)


def _channels(colour):
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def on_black(colours):
    """Print what was printed on white paper on black paper: shape (colours, 3), from 0 to 1.

    How much of which inks makes the colour on white? So much of their dark counterparts is laid on
    black. Mixing is linear, as in antialiasing, so the edge of a line stays one, and a faint band
    stays faint.
    """
    best, printed = np.full(len(colours), -np.inf), np.zeros_like(colours)
    for names in NEIGHBOURS:
        light = np.array([1 - _channels(INKS[name][0]) for name in names])
        dark = np.array([_channels(INKS[name][1]) for name in names])
        amounts = (1 - colours) @ np.linalg.inv(light)
        least = amounts.min(axis=1)
        better = least > best
        best[better] = least[better]
        amounts = amounts[better].clip(0)
        amounts /= amounts.sum(axis=1, keepdims=True).clip(1)
        printed[better] = amounts @ dark
    return printed


def colour_maps(figure):
    """Mark the pixels of the figure's colour maps: its rectangles that are filled."""
    inked = Image.fromarray((np.asarray(figure).min(axis=2) < 255).astype(np.uint8) * 255)
    rest = inked.filter(ImageFilter.MinFilter(15)).filter(ImageFilter.MaxFilter(15))
    marked = Image.new("L", figure.size)
    while rest.getbbox():
        pixels = np.asarray(rest)
        start = divmod(int(pixels.argmax()), rest.width)[::-1]
        ImageDraw.floodfill(rest, start, 128)
        area = np.asarray(rest) == 128
        left, top, right, bottom = Image.fromarray(area).getbbox()
        if area[top:bottom, left:right].mean() > 0.8:  # but not the band around a curve
            ImageDraw.Draw(marked).rectangle((left, top, right - 1, bottom - 1), fill=255)
        rest.paste(0, mask=Image.fromarray(area))
    # A colour bar may end in points.
    colourful = np.ptp(np.asarray(figure), axis=2) > 40
    near = np.asarray(marked.filter(ImageFilter.MaxFilter(25))) > 0
    return (np.asarray(marked) > 0) | (near & colourful)


def dark_version(figure, keep_colours):
    """Return the figure for dark pages: on black, to be screened onto the page.

    With `keep_colours` its colour maps stay as they are and its paper is transparent.
    """
    pixels = np.asarray(figure)
    codes = pixels @ np.array([65536, 256, 1])
    codes, where = np.unique(codes, return_inverse=True)
    colours = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1) / 255
    dark = np.round(255 * on_black(colours)).astype(np.uint8)[where.reshape(pixels.shape[:2])]
    if not keep_colours:
        return Image.fromarray(dark)
    maps = colour_maps(figure)
    brightest = dark.max(axis=2)
    ink = np.round(255 * (dark / np.maximum(brightest, 1)[..., None])).astype(np.uint8)
    ink[maps], brightest[maps] = pixels[maps], 255
    return Image.fromarray(np.dstack([ink, brightest]))


def save(figure, path):
    figure.save(path, "WEBP", lossless=True, quality=100, method=5)  # 6 takes five times as long


class LightWebP(ImageConverter):
    """Publish the notebooks' PNG figures as WebP, which takes a quarter of the bytes.

    Without loss it would be two fifths, most of it for shades of a line's edge that no eye tells
    apart. So the shades are rounded first. What is compared in the tests is the stored figure.

    Beside each stands its dark version. The theme shows one of them, and a browser loads no lazy
    picture that is not shown.
    """

    conversion_rules = [("image/png", "image/webp")]  # noqa: RUF012 (Sphinx declares it so)

    def is_available(self):
        return True

    def handle(self, node):
        super().handle(node)
        light = node["uri"]
        path = Path(light)
        dark = str(path.with_name(f"{path.stem}-dark.webp"))
        with Image.open(light) as figure:
            save(dark_version(figure.convert("RGB"), "keep-colours" in node["classes"]), dark)
        self.env.images.add_file(self.env.docname, dark)

        twin = node.deepcopy()
        twin["uri"] = twin["candidates"]["*"] = dark
        node["loading"] = twin["loading"] = "lazy"
        node["classes"].append("only-light")
        twin["classes"].append("only-dark")
        both = nodes.container(classes=["pictures"])
        node.parent.replace(node, both)
        both += [node, twin]

    def convert(self, _from, _to):
        with Image.open(_from) as figure:
            save(figure.convert("RGB").point(3 * _NEAREST), _to)
        return True


class Descriptions(SphinxTransform):
    """Report each picture that has no caption, or no description that says what it shows."""

    default_priority = 300  # while live figures are still images

    def apply(self):
        for image in self.document.findall(nodes.image):
            alt, figure = image.get("alt", "").strip(), image.parent
            while isinstance(figure, nodes.container):  # one for each kind of an output
                figure = figure.parent
            captions = [c.astext().strip() for c in figure if isinstance(c, nodes.caption)]
            if not any(captions):
                logger.warning("a picture without a caption: %s", image["uri"], location=image)
            if len(alt.split()) < WORDS or re.search(r"\.(png|svg|jpe?g|webp)\b", alt):
                logger.warning(
                    "a picture whose description (alt) does not say in %d words or more what it "
                    "shows: %r",
                    WORDS,
                    alt,
                    location=image,
                )
            elif alt in captions:
                logger.warning("a picture whose description repeats its caption", location=image)


def prefer_webp(app):
    if app.builder.name == "html":
        others = [kind for kind in app.builder.supported_image_types if kind != "image/png"]
        app.builder.supported_image_types = [*others, "image/webp"]


def setup(app):
    app.add_transform(Descriptions)
    app.add_post_transform(LightWebP)
    app.connect("builder-inited", prefer_webp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

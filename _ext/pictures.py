"""Figures as they are published: light, and described for those who do not see them."""

from PIL import Image
from sphinx.transforms.post_transforms.images import ImageConverter

LEVELS = 32  # of red, green and blue in a figure: at most 4 of 255 away from what is stored
_NEAREST = [round(round(v / 255 * (LEVELS - 1)) * 255 / (LEVELS - 1)) for v in range(256)]


class LightWebP(ImageConverter):
    """Publish the notebooks' PNG figures as WebP, which takes a quarter of the bytes.

    Without loss it would be two fifths, most of it for shades of a line's edge that no eye tells
    apart. So the shades are rounded first. What is compared in the tests is the stored figure.
    """

    conversion_rules = [("image/png", "image/webp")]  # noqa: RUF012 (Sphinx declares it so)

    def is_available(self):
        return True

    def convert(self, _from, _to):
        with Image.open(_from) as figure:
            rounded = figure.convert("RGB").point(3 * _NEAREST)
            rounded.save(_to, "WEBP", lossless=True, quality=100, method=6)
        return True


def prefer_webp(app):
    if app.builder.name == "html":
        others = [kind for kind in app.builder.supported_image_types if kind != "image/png"]
        app.builder.supported_image_types = [*others, "image/webp"]


def setup(app):
    app.add_post_transform(LightWebP)
    app.connect("builder-inited", prefer_webp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""What a page needs not carry is taken off before it is published."""

import io
import re
from pathlib import Path

from bs4 import BeautifulSoup, SoupStrainer
from fontTools.subset import Options, Subsetter, load_font, save_font


def shrink_fonts(app):
    """Leave in the fonts and in the icons' style sheet only what the pages can show.

    Whole, they are 280 KB of the 400 KB of a page with formulas, which readers pay for on every
    visit.
    """
    static = Path(app.outdir, "_static")
    pages = "".join(p.read_text(encoding="utf-8") for p in Path(app.outdir).rglob("*.html"))
    formulas = BeautifulSoup(
        pages, "html.parser", parse_only=SoupStrainer(class_="katex-html")
    ).get_text()
    scripts = "".join(p.read_text(encoding="utf-8") for p in static.glob("scripts/*theme.js"))
    named = set(re.findall(r"fa-[a-z0-9-]+", pages + scripts))

    for sheet in static.glob("styles/*.css"):
        css = sheet.read_text(encoding="utf-8")
        css = re.sub(
            r'((?:\.fa-[a-z0-9-]+:before,?)+)\{content:"[^"]*"\}',
            lambda rule: rule[0] if named & set(re.findall(r"fa-[a-z0-9-]+", rule[1])) else "",
            css,
        )
        sheet.write_text(css, encoding="utf-8")
    icons = "".join(p.read_text(encoding="utf-8") for p in static.glob("styles/*.css"))
    icons = re.sub(r"\\([ef][0-9a-f]{3})\b", lambda code: chr(int(code[1], 16)), icons)

    texts = (
        ("vendor/fontawesome/webfonts", icons),
        ("katex/fonts", formulas),
        ("fonts", "".join(set(pages))),
    )
    for fonts, text in texts:
        for path in static.glob(f"{fonts}/*.woff2"):
            options = Options(flavor="woff2", notdef_outline=True)
            font = load_font(io.BytesIO(path.read_bytes()), options)
            subsetter = Subsetter(options)
            subsetter.populate(text=text)
            subsetter.subset(font)
            save_font(font, path, options)


def finish(app, exception):
    if exception is None and app.builder.name == "html":
        shrink_fonts(app)


def setup(app):
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

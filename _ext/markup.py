"""The pages' own text, made lighter and better described."""

import html
import re
from pathlib import Path

from docutils import nodes
from PIL import Image

# Names, punctuation and blanks have the colour of the text around them; operators would be as green
# as strings, every dot of them. Together they are two spans of three, and half of a chapter.
UNCOLOURED = re.compile(r'<span class="(?:n|nn|p|w|o)">([^<]*)</span>')
DESCRIPTION = 160  # letters, as much as search engines show


def describe(doctree):
    """Return the beginning of a page's first paragraph, whole sentences if there is room for one."""
    paragraph = next((p for p in doctree.findall(nodes.paragraph)), None)
    if paragraph is None:
        return ""
    text = " ".join(paragraph.astext().split())
    if len(text) <= DESCRIPTION:
        return text
    short = text[:DESCRIPTION]
    sentences = re.match(r".*[.?!][”’)]?(?= )", short)
    if sentences and len(sentences[0]) > DESCRIPTION / 2:
        return sentences[0]
    return short[: short.rindex(" ")].rstrip(",;:") + " …"


def size_images(body, builder):
    """Give pictures their size, so that text does not jump when they come."""
    sources = {name: path for path, name in builder.images.items()}

    def sized(tag):
        with Image.open(Path(builder.srcdir, sources[tag[1]])) as image:
            width, height = image.size
        return f'{tag[0]} width="{width}" height="{height}" decoding="async"'

    return re.sub(r'<img(?=[^>]*? src="[^"]*_images/([^"]+\.webp)")', sized, body)


def lighten(app, pagename, templatename, context, doctree):
    if doctree is not None:
        body = UNCOLOURED.sub(r"\1", context["body"])
        # A name must hold the words that are seen: "Show the code" is one already.
        body = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
        context["body"] = size_images(body, app.builder)
    text = describe(doctree) if doctree is not None else "Search the book."
    # The layout has a viewport already.
    metatags = re.sub(r'<meta name="viewport"[^>]*>', "", context.get("metatags", ""))
    if text and 'name="description"' not in metatags:
        metatags += f'\n    <meta name="description" content="{html.escape(text)}" />'
    context["metatags"] = metatags


def setup(app):
    app.connect("html-page-context", lighten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

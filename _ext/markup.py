"""The pages' own text, made lighter and better described."""

import html
import re
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from docutils import nodes
from PIL import Image

# What has a colour in code (`book.css`), in Pygments' names. Two spans of three have none.
COLOURS = {
    "k": "k kc kd kn kr ow",  # keywords
    "nf": "nf nc nd fm",  # what is defined
    "nb": "nb bp ne",  # what Python brings
    "s": "s s1 s2 sa sb sd se si sx",  # strings
    "mi": "mi mf mh il",  # numbers
    "c": "c c1 cm",  # comments
}
COLOUR_OF = {name: colour for colour, names in COLOURS.items() for name in names.split()}
SPAN = r'<span class="(\w+)">([^<]*)</span>'
DESCRIPTION = 160  # letters, as much as search engines show


def colour(spans):
    """Write neighbouring spans of code as one for each colour."""
    parts = [(COLOUR_OF.get(name), text) for name, text in re.findall(SPAN, spans[0])]
    text = ""
    for name, group in groupby(parts, key=itemgetter(0)):
        words = "".join(word for _, word in group)
        text += f'<span class="{name}">{words}</span>' if name else words
    return text


def lighten_code(block):
    return re.sub(f"(?:{SPAN})+", colour, block[0])


def describe(doctree):
    """Return the beginning of the first paragraph, in whole sentences if one fits."""
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
    """Give pictures their size, so that the text below does not jump when they come."""
    sources = {name: path for path, name in builder.images.items()}

    def sized(tag):
        with Image.open(Path(builder.srcdir, sources[tag[1]])) as image:
            width, height = image.size
        return f'{tag[0]} width="{width}" height="{height}" decoding="async"'

    return re.sub(r'<img(?=[^>]*? src="[^"]*_images/([^"]+\.webp)")', sized, body)


def lighten(app, pagename, templatename, context, doctree):
    if doctree is not None:
        body = re.sub(
            r'<div class="highlight"><pre>.*?</pre>', lighten_code, context["body"], flags=re.S
        )
        # A name must hold the words that are seen: "Show the code" is one already.
        body = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
        context["body"] = size_images(body, app.builder)
    text = (
        describe(doctree)
        if doctree is not None
        else "Search the chapters, problem sets and claims of the book."
    )
    # The layout has a viewport already.
    metatags = re.sub(r'<meta name="viewport"[^>]*>', "", context.get("metatags", ""))
    if text and 'name="description"' not in metatags:
        metatags += f'\n    <meta name="description" content="{html.escape(text)}" />'
    context["metatags"] = metatags


def setup(app):
    app.connect("html-page-context", lighten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

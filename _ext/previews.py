"""Previews of what references lead to, and figures that open at full size: scripts where needed.

The script of the previews finds an equation or a figure of the same page there, and a citation's
entry in the link itself. It fetches nothing. So what stands on another page is put at the end of
the page that refers to it.
"""

import copy
import posixpath
import re
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

from bs4 import BeautifulSoup

REFERENCE = re.compile(r'<a class="reference internal" href="([^"#]*#[^"]+)"(?! title=)')
PREVIEWS = re.compile('<template id="preview-.*</template>\n', re.S)


def load_scripts(app, pagename, templatename, context, doctree):
    body = context.get("body", "")
    if 'class="pictures' in body:
        app.add_js_file("figures.js", loading_method="defer")
    if 'class="reference internal" href="' in body:
        app.add_js_file("previews.js", loading_method="defer")


def preview(page, place, target):
    """Return the equation or figure at `place` of the page `target`, to stand on `page`."""
    part = target.find(id=place)
    if not part or not (part.name == "figure" or "math" in part.get("class", [])):
        return ""
    if part.find(class_="live"):  # would need its style there
        return ""
    part = copy.copy(part)  # other pages may refer to it, too
    for tag in part.find_all(class_="headerlink"):
        tag.decompose()
    for tag in [part, *part.find_all(True)]:
        if "src" in tag.attrs:
            image = urljoin(target.page, tag["src"])
            tag["src"] = posixpath.relpath(image, posixpath.dirname(page))
        for name in ("id", "href"):
            tag.attrs.pop(name, None)
    return f'<template id="preview-{place}">{part}</template>\n'


def add_previews(app, exception):
    """Give each page previews of the equations and figures of other pages that it refers to."""
    if exception is not None or app.builder.name != "html":
        return
    out, targets = Path(app.outdir), {}
    for name in app.env.all_docs:
        page = f"{name}.html"
        html = (out / page).read_text(encoding="utf-8")
        previews = ""
        for url in dict.fromkeys(REFERENCE.findall(html)):
            path, place = urldefrag(urljoin(page, url))
            if path != page:
                if path not in targets:
                    text = (out / path).read_text(encoding="utf-8")
                    targets[path] = BeautifulSoup(text, "html.parser")
                    targets[path].page = path
                previews += preview(page, unquote(place), targets[path])
        updated = PREVIEWS.sub("", html).replace("</body>", previews + "</body>")
        if updated != html:
            (out / page).write_text(updated, encoding="utf-8")


def setup(app):
    app.connect("html-page-context", load_scripts)
    app.connect("build-finished", add_previews)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

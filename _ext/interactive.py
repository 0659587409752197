"""Live figures: a `{figure}` of `live/NAME.svg` is joined by the script `live/NAME.js`.

Jupyter shows the picture. The site holds it as text, so that it takes the page's colours, and with
it the controls that the script listens to. Without scripts, the picture and its sentence remain.
"""

import html
import re
from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform


class LiveFigures(SphinxTransform):
    """Put a live figure's picture into the page, with its sentence below."""

    default_priority = 400

    def apply(self):
        for image in list(self.document.findall(nodes.image)):
            if not image["uri"].startswith("live/"):
                continue
            path = Path(self.env.doc2path(self.env.docname)).parent / image["uri"]
            self.env.note_dependency(str(path))
            picture = path.read_text(encoding="utf-8")
            sentence = re.search("<desc>(.*?)</desc>", picture, re.S)[1]
            controls = re.search("<metadata>(.*?)</metadata>", picture, re.S)[1]
            picture = re.sub("<(desc|metadata|style)>.*?</\\1>\n?", "", picture, flags=re.S)
            alt = html.escape(image.get("alt", ""), quote=True)
            picture = picture.replace("<svg ", f'<svg role="img" aria-label="{alt}" ', 1)
            name = f'id="live-{path.stem}" data-live="{path.stem}"'
            parts = f"{controls}{picture}<output>{sentence}</output>"
            text = f'<div class="live" {name}>{parts}</div>'
            image.replace_self(nodes.raw("", text, format="html"))


def load_scripts(app, pagename, templatename, context, doctree):
    """Load the figures' scripts and style on the pages that have one, and on no other."""
    if names := re.findall('data-live="(\\w+)"', context.get("body", "")):
        app.add_css_file("live/live.css")
        for name in ("live", *names):
            app.add_js_file(f"live/{name}.js", loading_method="defer")


def setup(app):
    app.add_transform(LiveFigures)
    app.connect("html-page-context", load_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

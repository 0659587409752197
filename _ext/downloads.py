"""What a reader needs to run the book: its notebooks, and `gradnb` as a wheel."""

import base64
import contextlib
import html
import json
import os
import re
import shutil
from pathlib import Path

from flit_core import buildapi
from sphinx.util import logging

import gradnb

logger = logging.getLogger(__name__)
WHEEL = f"gradnb-{gradnb.__version__}-py3-none-any.whl"
FIGURE = re.compile(r"^```\{figure\} (live/\w+\.svg)\n((?::.*\n)*)\n?((?:.*\n)*?)```$", re.M)


def say_where(app, pagename, templatename, context, doctree):
    """Tell the templates where the page's notebook is, if it has one, and gradnb."""
    if pagename in app.env.all_docs and app.env.doc2path(pagename).endswith(".ipynb"):
        context["notebook"] = f"_downloads/{Path(pagename).name}.ipynb"
        context["wheel"] = f"_downloads/{WHEEL}"


def publish(app, exception):
    if exception is not None or app.builder.name != "html":
        return
    folder = Path(app.outdir, "_downloads")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in app.env.all_docs:
        source = Path(app.env.doc2path(name))
        if source.suffix == ".ipynb":
            text = source.read_text(encoding="utf-8")
            # They would be in the download.
            if re.search(r'"remove[-_]cell"', text):
                logger.warning("a removed cell would be published in the download", location=name)
            Path(folder, source.name).write_text(standalone(text, source.parent), encoding="utf-8")
    build_wheel(folder, app.srcdir)


def standalone(text, folder):
    """Put the pictures that lie beside a notebook into it.

    They become a tag, which Jupyter shows with MyST and without. An SVG that is an attachment, or
    an address in Markdown, it refuses to show.
    """
    notebook = json.loads(text)

    def embed(figure):
        picture = base64.b64encode(Path(folder, figure[1]).read_bytes()).decode()
        alt = html.escape(re.search(r":alt: (.*)", figure[2])[1], quote=True)
        image = f'<img src="data:image/svg+xml;base64,{picture}" alt="{alt}">'
        return f"{image}\n\n{figure[3].strip()}"

    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if "live/" in source:
            cell["source"] = FIGURE.sub(embed, source).splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def build_wheel(folder, root):
    """Build gradnb's wheel; the same files make the same bytes."""
    os.environ.setdefault("SOURCE_DATE_EPOCH", "1577836800")  # 2020-01-01
    with contextlib.chdir(root):
        built = buildapi.build_wheel(folder)
    if built != WHEEL:
        logger.warning("gradnb's wheel is %s, not %s", built, WHEEL)


def setup(app):
    app.connect("html-page-context", say_where)
    app.connect("build-finished", publish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

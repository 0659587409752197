"""Chapters and problem sets as the notebooks they are, to download from their page."""

import re
import shutil
from pathlib import Path

from sphinx.util import logging

logger = logging.getLogger(__name__)


def chapter_notebook(app, pagename, templatename, context, doctree):
    """Tell the template of the buttons where the page's notebook is, if it has one."""
    if pagename in app.env.all_docs and app.env.doc2path(pagename).endswith(".ipynb"):
        context["notebook"] = f"_downloads/{Path(pagename).name}.ipynb"


def publish_notebooks(app, exception):
    """Offer each chapter and each problem set as the notebook it is.

    Cells tagged `remove-cell` would be in it, so they are refused.
    """
    if exception is not None or app.builder.name != "html":
        return
    folder = Path(app.outdir, "_downloads")
    folder.mkdir(exist_ok=True)
    for name in app.env.all_docs:
        source = Path(app.env.doc2path(name))
        if source.suffix == ".ipynb":
            if re.search(r'"remove[-_]cell"', source.read_text(encoding="utf-8")):
                logger.warning("a removed cell would be published in the download", location=name)
            shutil.copyfile(source, folder / source.name)


def setup(app):
    app.connect("html-page-context", chapter_notebook)
    app.connect("build-finished", publish_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

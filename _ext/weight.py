"""What the pages need not carry is taken off before they are published.

All style sheets become one, `_static/site.css`, without the rules that nothing on the pages can
match; all scripts become one, `_static/site.js`; the fonts keep the signs that the pages show.
Before, a chapter loaded ten style sheets of 420 KB and twelve scripts of 150 KB.
"""

import hashlib
import io
import re
from pathlib import Path
from urllib.parse import urljoin

import purge
from bs4 import BeautifulSoup, SoupStrainer
from fontTools.subset import Options, Subsetter, load_font, save_font

# The theme's layout loads these itself. It loads bootstrap.js and fontawesome.js too, which only
# draw tooltips and icons that the browser and a font draw anyway.
THEME_SHEETS = ["basic.css", "styles/pydata-sphinx-theme.css"]
THEME_SCRIPT = "scripts/pydata-sphinx-theme.js"
SEARCH_SCRIPTS = ["searchtools.js", "language_data.js"]
NEVER_LOADED = [
    "**/*.map",
    "**/*.ttf",
    "**/*.html",
    "scripts/fontawesome.js",
    "scripts/bootstrap.js",
]


def leave_own_files(app, pagename, templatename, context, doctree):
    """Take from a page's lists what all pages load, which the template loads joined."""
    styles, scripts = app.builder._orig_css_files, app.builder._orig_js_files
    context["css_files"] = [file for file in context["css_files"] if file not in styles]
    # The theme tells its scripts the page's name and that searching while typing is off: it is
    # off without a word, and only a list of versions would ask for the name.
    context["script_files"] = [
        file
        for file in context["script_files"]
        if file not in scripts and "DOCUMENTATION_OPTIONS." not in file.attributes.get("body", "")
    ]


def names(files):
    """Return where shared files lie in `_static`, in the order in which Sphinx loads them."""
    files = sorted((f for f in files if f.filename), key=lambda file: file.priority)
    return [Path(file.filename).relative_to("_static").as_posix() for file in files]


def join_scripts(static, files, search=False):
    """Join scripts in their order, which begin at once: the page is read when they are loaded."""
    parts = [file.attributes["body"] for file in files if not file.filename]  # settings
    for name in [*names(files), THEME_SCRIPT]:
        # marks on a page what was searched for, if it does not find that it is on the search page
        if name == "sphinx_highlight.js" and search:
            parts += [(static / each).read_text(encoding="utf-8") for each in SEARCH_SCRIPTS]
        parts.append((static / name).read_text(encoding="utf-8"))
    text = "\n;\n".join(dict.fromkeys(parts))
    return re.sub(r"^\s*//.*\n|^\s*/\*(?!!)(?s:.*?)\*/ *\n", "", text, flags=re.M)


def join_styles(static, files):
    """Join style sheets as they are, but for their links to fonts and pictures."""
    parts = []
    for name in files:
        css = (static / name).read_text(encoding="utf-8")
        css = re.sub(r"/\*.*?\*/|@charset[^;]*;", "", css, flags=re.S)
        # every browser takes the first, and the others are not there
        css = re.sub(r",\s*url\([^)]*\.(?:woff|ttf)\)\s*format\([^)]*\)", "", css)
        parts.append(
            re.sub(
                r"url\((['\"]?)(?!data:)([^)'\"]+)\1\)",
                lambda url, name=name: f"url({urljoin(name, url[2])})",
                css,
            )
        )
    return "\n".join(parts)


def loaded(site, pages):
    """Return the text of all scripts, and of the sheets beside `site.css`, that pages load."""
    found = set()
    for path, text in pages.items():
        tags = re.findall(r"<(?:script|link)\b[^>]*?\b(?:src|href)=\"([^\"?]+\.(?:js|css))\b", text)
        found |= {(path.parent / name).resolve() for name in tags}
    found -= {site / "_static/site.css", site / "searchindex.js"}
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(found))


def shrink_fonts(static, pages):
    """Leave in the fonts only what the pages can show: whole, they are 280 KB."""
    formulas = BeautifulSoup(
        "".join(pages.values()), "html.parser", parse_only=SoupStrainer(class_="katex-html")
    ).get_text()
    css = (static / "site.css").read_text(encoding="utf-8")
    icons = re.sub(r"\\([ef][0-9a-f]{3})\b", lambda code: chr(int(code[1], 16)), css)
    texts = (
        ("vendor/fontawesome/webfonts", icons),
        ("katex/fonts", formulas),
        ("fonts", "".join(set().union(*pages.values()))),
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
    if exception is not None or app.builder.name != "html":
        return
    if not hasattr(app.builder, "_orig_css_files"):  # no page was written, and no file copied
        return
    site = Path(app.outdir).resolve()
    static = site / "_static"
    for pattern in NEVER_LOADED:
        for path in static.glob(pattern):
            path.unlink()
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}

    scripts = app.builder._orig_js_files
    (static / "site.js").write_text(join_scripts(static, scripts), encoding="utf-8")
    (static / "search.js").write_text(join_scripts(static, scripts, search=True), encoding="utf-8")

    sheets = [*THEME_SHEETS, *names(app.builder._orig_css_files)]
    css = purge.purge(join_styles(static, sheets), "".join(pages.values()), loaded(site, pages))
    (static / "site.css").write_text(f"/* {' '.join(sheets)} */\n{css}\n", encoding="utf-8")
    shrink_fonts(static, pages)

    # A name that changes with the contents, so that no browser shows a page in an old dress.
    for path, text in pages.items():
        for name in ("site.css", "site.js", "search.js"):
            mark = hashlib.sha256((static / name).read_bytes()).hexdigest()[:8]
            text = re.sub(rf'(_static/{name})(\?v=\w+)?"', rf'\1?v={mark}"', text)
        path.write_text(text, encoding="utf-8")


def setup(app):
    app.connect("html-page-context", leave_own_files, priority=900)
    # after the theme has written its colours of code
    app.connect("build-finished", finish, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

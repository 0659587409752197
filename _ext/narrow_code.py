"""Code and printed tables that fit a phone: long lines wrap under their own beginning.

A style sheet cannot know how far a line is indented, nor how wide a printed table is.
"""

import html
import re

PHONE = 42  # characters of code that fit a line there
BLOCK = re.compile(
    r'(<div class="(?P<kind>[^"]*)"><div class="highlight"><pre)>(?P<text>.*?)</pre>', re.S
)


def length(line):
    return len(html.unescape(re.sub("<[^>]*>", "", line)))


def hang(line):
    """Tell the style sheet how far a long line is indented."""
    if length(line) <= PHONE:
        return line
    plain = html.unescape(re.sub("<[^>]*>", "", line))
    indent = len(plain) - len(plain.lstrip())
    line = re.sub(r"(?<=[(\[{])(?=[^<>]*(?:<|$))", "<wbr>", line)
    return f'<span class="long" style="--indent:{indent}">{line}</span>'


def fit(block):
    lines = block["text"].splitlines(keepends=True)
    if "output" in block["kind"].split():
        widest = max(length(line.rstrip()) for line in lines)
        return f'{block[1]} style="--columns:{widest}">{block["text"]}</pre>'
    return f"{block[1]}>{''.join(map(hang, lines))}</pre>"


def fit_code(app, pagename, templatename, context, doctree):
    if "body" in context:
        context["body"] = BLOCK.sub(fit, context["body"])


def setup(app):
    app.connect("html-page-context", fit_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

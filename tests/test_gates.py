"""Plant faults in a page of the site and see each of them found by what checks the pages."""

import base64
import io
import json
import re
import shutil
import zipfile
from typing import NamedTuple

import pytest
from PIL import Image

from tools import leaks, site_check

WORDS = "A drawing that is made only to be found out"


def picture(shade, size=(90, 90)):
    data = io.BytesIO()
    Image.new("RGB", size, (shade,) * 3).save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


WHITE = picture(255)


class Fault(NamedTuple):
    """A fault, as it stands in the page, and how it is reported: kind, mode, part of the text."""

    kind: str
    mode: str
    says: str
    html: str


def figure(name, picture, caption=True):
    caption = (
        f'<figcaption><span class="caption-text">{name}</span></figcaption>' if caption else ""
    )
    return f"<figure>{picture}{caption}</figure>"


def formula(tex, style="", mathml="<math><mi>x</mi></math>"):
    base = f'<span class="base" style="{style}">{tex}</span>'
    said = f'<span class="katex-mathml">{mathml}</span><annotation>{tex}</annotation>'
    seen = f'<span class="katex-html" aria-hidden="true">{base}</span>'
    formula = f'<span class="katex">{said}{seen}</span>'
    return f'<div class="math"><span class="katex-display">{formula}</span></div>'


# On one page, since none hides another.
PARTS = {
    "grey text": Fault(
        "axe", "light", "text-grey", '<p id="text-grey" style="color: #aaa">grey</p>'
    ),
    "grey text in the dark": Fault(
        "axe",
        "dark",
        "text-dark",
        "<style>html[data-theme=dark] #text-dark { color: #555 }</style><p id=text-dark>grey</p>",
    ),
    "grey text on the phone": Fault(
        "axe",
        "phone",
        "text-phone",
        "<style>@media (max-width: 500px) { #text-phone { color: #aaa } }</style>"
        "<p id=text-phone>grey</p>",
    ),
    "grey word among others of its kind": Fault(
        "axe",
        "light",
        "grey-word",
        "<pre><span class=k>for</span> <span class=k style='color: #bbb'>grey-word</span></pre>",
    ),
    "button without a name": Fault("axe", "light", "nameless", '<button id="nameless"></button>'),
    "wide table": Fault(
        "overflow",
        "phone",
        "wide-table",
        "<table><tr><td><div style='width: 500px'>wide-table</div></td></tr></table>",
    ),
    "code that paper cuts": Fault(
        "overflow",
        "paper",
        "scrolls-far",
        "<div style='overflow: auto' tabindex=0><p style='width: 900px'>scrolls-far</p></div>",
    ),
    "unset formula": Fault("unset", "page", "left-over", "<p>left-over $x^2$</p>"),
    "unset reference": Fault("unset", "page", "eq-nowhere", "<p>as {eq}`eq-nowhere` says</p>"),
    "wide formula": Fault(
        "wide", "phone", "wide-one", formula("wide-one", "display: inline-block; width: 450px")
    ),
    "wide formula on paper": Fault(
        "wide",
        "paper",
        "wide-paper",
        "<style>@media print { .wide-paper .base { width: 800px !important } }</style>"
        f"<div class=wide-paper>{formula('wide-paper', 'display: inline-block; width: 9px')}</div>",
    ),
    "formula for the eye alone": Fault("mathml", "page", "unsaid", formula("unsaid", mathml="")),
    "picture without a description": Fault(
        "pictures",
        "page",
        "undescribed",
        figure("undescribed", f'<img id="undescribed" src="{WHITE}">'),
    ),
    "picture described by its file": Fault(
        "pictures",
        "page",
        "by-file",
        figure(
            "by-file",
            f'<img id="by-file" alt="../_images/one two three 4 5 6 7 8.png" src="{WHITE}">',
        ),
    ),
    "picture without a caption": Fault(
        "pictures",
        "page",
        "mute",
        figure("", f'<img id="mute" alt="{WORDS}" src="{WHITE}">', False),
    ),
    "picture described by its caption": Fault(
        "pictures",
        "page",
        f"the description is the caption: {WORDS}",
        figure(WORDS, f'<img alt="{WORDS}" src="{WHITE}">'),
    ),
    "white picture in the dark": Fault(
        "boxes",
        "dark",
        "255,255,255",
        figure(
            "white",
            "<img style='background: none; filter: none; mix-blend-mode: normal' "
            f'width="90" height="90" alt="{WORDS} in the dark" src="{WHITE}">',
        ),
    ),
    "heading out of order": Fault("headings", "page", "h5 follows h", "<h5>Too deep</h5>"),
    "link to no page": Fault("links", "page", "nothing.html", '<a href="nothing.html">link</a>'),
    "link to no place": Fault("links", "page", "#nowhere", '<a href="sound.html#nowhere">link</a>'),
    "name used twice": Fault("ids", "page", "#again", "<p id=again>1</p><p id=again>2</p>"),
    "no ring": Fault(
        "focus",
        "keyboard",
        "ringless",
        "<style>#ringless { outline: none !important }</style>"
        '<a id="ringless" href="sound.html">link</a>',
    ),
    "pale ring": Fault(
        "focus",
        "keyboard",
        "pale-ring",
        "<style>#pale-ring { outline-color: #ddd !important }</style>"
        '<a id="pale-ring" href="sound.html">link</a>',
    ),
    "an order of its own": Fault(
        "keyboard", "keyboard", "hurries", '<button id="hurries" tabindex="2">first</button>'
    ),
    "slow change": Fault(
        "motion",
        "page",
        "P.fades",
        "<p class=fades style='transition: color 1s !important'>slow</p>",
    ),
    "animation": Fault(
        "motion",
        "page",
        "turns",
        "<style>@keyframes turns { to { rotate: 360deg } }</style>"
        "<p class=spins style='animation: turns 9s infinite !important'>round</p>",
    ),
    "smooth scrolling": Fault(
        "motion",
        "page",
        "scrolls smoothly: DIV.glides",
        "<div class=glides style='scroll-behavior: smooth !important'>smooth</div>",
    ),
    "small buttons": Fault(
        "touch",
        "phone",
        "tiny",
        "<div>"
        + "".join(
            f"<button id=tiny-{i} style='width: 12px; height: 12px; padding: 0'>{i}</button>"
            for i in range(9)
        )
        + "</div>",
    ),
    "small text": Fault(
        "text", "phone", "footnote", "<p id=footnote style='font-size: 11px'>small print</p>"
    ),
    "pale print": Fault(
        "ink",
        "paper",
        "pale-print",
        "<style>@media print { #pale { color: #bbb } }</style><p id=pale>pale-print</p>",
    ),
}
# On a page of their own, since they spoil what comes after.
WHOLE = {
    "picture from elsewhere": Fault(
        "elsewhere",
        "light",
        "asks for https://elsewhere.example/",
        f'<img alt="{WORDS}" src="https://elsewhere.example/a.png">',
    ),
    "picture from elsewhere, later": Fault(
        "elsewhere",
        "page",
        "lazy.example",
        f'<img alt="{WORDS}" loading=lazy style="margin-top: 9999px" src="//lazy.example/a.png">',
    ),
    "console": Fault(
        "errors", "light", "a-complaint", "<script>console.warn('a-complaint')</script>"
    ),
    "script that fails": Fault("errors", "phone", "no_such", "<script>no_such()</script>"),
    "file not found": Fault("errors", "light", "404", '<script src="../nothing.js"></script>'),
    "heavy page": Fault("weight", "page", "KB, more than", "<!-- heavy -->"),
    "keyboard trap": Fault(
        "keyboard",
        "keyboard",
        "behind-trap",
        "<input aria-label=trap onkeydown=\"if (event.key === 'Tab') event.preventDefault()\">"
        "<button id=behind-trap>never</button>",
    ),
    "no description": Fault("head", "page", "its description is", ""),
    "title of another page": Fault("head", "page", "the title of 2 pages: sound", ""),
    "no language": Fault("head", "page", "lang is", ""),
}


def spoilt(page, name, faults, title=None):
    """Return the page with a title and a description of its own, and with the faults."""
    about = (
        f'<meta name="description" content="{name}: a page that is made to be looked at closely.">'
    )
    page = re.sub("<meta name=.description.[^>]*>", "", page)
    page = re.sub("<title>.*?</title>", f"<title>{title or name}</title>", page, flags=re.S)
    page = page.replace("</head>", f"{about}</head>")
    return page.replace("</article>", "".join(fault.html for fault in faults) + "</article>")


@pytest.fixture(scope="module")
def visit(site, browser, tmp_path_factory):
    copy = tmp_path_factory.mktemp("site")
    for path in site.iterdir():
        if path.name != "chapters":
            (copy / path.name).symlink_to(path, target_is_directory=path.is_dir())
    (copy / "chapters").mkdir()
    for path in (site / "chapters").iterdir():
        (copy / "chapters" / path.name).symlink_to(path)
    page = (site / "chapters" / "references.html").read_text(encoding="utf-8")
    whole = spoilt(page, "whole", WHOLE.values(), title="sound")
    whole = re.sub("<meta name=.description.[^>]*>", "", whole)
    whole = re.sub("<html lang=.[^>]*?. ", "<html ", whole)
    numbers = "".join(hex(hash((i, "heavy")))[3:] for i in range(60_000))
    pages = {
        "sound": spoilt(page, "sound", []),
        "parts": spoilt(page, "parts", PARTS.values()),
        "whole": whole.replace("<!-- heavy -->", f"<script>/* {numbers} */</script>"),
    }
    for name, text in pages.items():
        (copy / "chapters" / f"{name}.html").write_text(text, encoding="utf-8")
    return site_check.check(browser, copy, [f"chapters/{name}.html" for name in pages])


def test_the_sound_page_has_no_fault(visit):
    found = [p for p in visit.problems if p.page == "chapters/sound.html" and "title" not in p.what]
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize("name", [*PARTS, *WHOLE])
def test_the_fault_is_found(visit, name):
    page, fault = ("parts", PARTS[name]) if name in PARTS else ("whole", WHOLE[name])
    of_kind = [p for p in visit.by_kind(fault.kind) if p.page == f"chapters/{page}.html"]
    found = [p for p in of_kind if fault.says in p.what and p.mode.startswith(fault.mode)]
    assert found, "\n".join(["found instead:", *map(str, of_kind)])


def test_every_kind_of_problem_is_planted():
    planted = {fault.kind for fault in [*PARTS.values(), *WHOLE.values()]} | {"leaks"}
    assert planted == set(site_check.KINDS)


# --- what only instructors may see


def page_of(line):
    return "<pre>" + re.sub(r"(\w+)", r"<span>\1</span>", line.replace("&", "&amp;")) + "</pre>"


def published(folder, name, line):
    """Publish a line in one way or another."""
    folder.mkdir(exist_ok=True)
    if name.endswith(".whl"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("gradnb/solutions.py", line)
    elif name.endswith(".ipynb"):
        cell = {"cell_type": "code", "source": ["x = 1\n", line]}
        (folder / name).write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    else:
        (folder / name).write_text(page_of(line) if "html" in name else line, encoding="utf-8")
    return [where.split(":")[0] for where, _ in leaks.leaks(folder)]


SOLUTION = "    there = ~np.isnan(target); error = np.where(there, prediction - target, 0.0)"


@pytest.fixture(scope="module")
def solution():
    """Return a line that only a source has."""
    found = leaks.lines(leaks.read(leaks.ROOT, leaks.PRIVATE))
    found -= leaks.lines(leaks.read(leaks.ROOT, leaks.PUBLIC))
    text = leaks.read(leaks.ROOT, ["exercises/source/ps1_backprop/*.ipynb"])
    return next(line for line in text.splitlines() if re.sub(r"\s", "", line) in found)


@pytest.mark.parametrize("name", ["page.html", "set.ipynb", "gradnb.whl", "list.txt"])
def test_a_published_solution_is_found(tmp_path, solution, name):
    assert published(tmp_path / "site", name, solution) == [name]
    assert (
        published(tmp_path / "site", name, "dx, dbeta = None, None  # what anybody may write") == []
    )


def test_a_published_name_is_found_where_lines_are_not_kept(tmp_path):
    text = leaks.names(leaks.read(leaks.ROOT, leaks.PRIVATE))
    name = max(text - leaks.names(leaks.read(leaks.ROOT, leaks.PUBLIC)), key=len)
    assert published(tmp_path / "site", "searchindex.js", f"terms:{{{name}:3}}") == [
        "searchindex.js"
    ]


def test_a_published_folder_of_sources_is_found(tmp_path):
    shutil.copytree(leaks.ROOT / "exercises" / "checks", tmp_path / "exercises" / "checks")
    assert {what for _, what in leaks.leaks(tmp_path)} >= {"a folder that is not for students"}

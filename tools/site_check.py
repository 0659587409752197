"""Visit every page of the built site as its readers do, and say what is wrong.

`python -m tools.site_check` prints it; with `--store`, what the colophon shows is written too. A
page is loaded twice. Served, it is read in the light, with the keyboard, on paper and in the dark;
from the disk, on a phone.
"""

import argparse
import gzip
import json
import math
import re
import runpy
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urldefrag, urljoin, urlparse

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import TimeoutError

from tools import ledger
from tools.browsing import SITE, Reader, serve
from tools.leaks import leaks

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "chapters" / "colophon.json"
SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PAPER = {"width": 658, "height": 950}  # what lies between the margins of A4, the narrower paper
# A page with all it loads, compressed as servers send it; a long chapter may weigh more.
MAX_KB, MAX_KB_LONG, LONG = 350, 450, 6  # figures
COMPRESSED = {".woff2", ".webp", ".png", ".jpg"}
PATIENCE = 60_000  # ms, on a machine that is busy with other tests
MIN_DESCRIPTION = 50  # characters, of a page

# What can be wrong, as the colophon calls it, and the questions of site_check.js that find it.
KINDS = {
    "elsewhere": "requests to other sites",
    "errors": "errors and warnings in the console, files not found",
    "axe": "violations of accessibility rules (axe)",
    "overflow": "things wider than the page or cut by their box",
    "unset": "formulas that are not set",
    "wide": "formulas wider than their column",
    "mathml": "formulas without MathML",
    "pictures": "figures without a caption or a real description",
    "boxes": "figures on a box of another colour than the page",
    "headings": "headings out of order",
    "links": "links that lead nowhere",
    "leaks": "solutions, or hidden checks, in a published file",
    "weight": "pages heavier than they may be",
    "keyboard": "things that the Tab key does not reach",
    "focus": "things that do not show that they have the focus",
    "motion": "things that move although less motion is asked for",
    "touch": "targets on the phone that are too small or too close",
    "text": "text on the phone below 12 px (printed numbers: 9.5 px)",
    "ink": "text that would be printed too light",
    "ids": "names used twice on a page",
    "head": "pages without their own title, description and language",
}
QUESTIONS = {
    "elsewhere": "elsewhere",
    "overflow": "overflow",
    "paper": "overflow",
    "unsetFormulas": "unset",
    "wideFormulas": "wide",
    "formulasWithoutMathML": "mathml",
    "pictures": "pictures",
    "boxes": "boxes",
    "headings": "headings",
    "unreached": "keyboard",
    "order": "keyboard",
    "ink": "ink",
    "rings": "focus",
    "motion": "motion",
    "smallText": "text",
    "ids": "ids",
    "language": "head",
}


class Problem(NamedTuple):
    """Something wrong: a key of KINDS, the page, the way it was looked at, and what it is."""

    kind: str
    page: str
    mode: str
    what: str

    def __str__(self):
        return f"{self.page} ({self.mode}): {self.what}"


@dataclass
class Visit:
    """What was found on the pages."""

    site: Path
    facts: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)
    made_with: dict = field(default_factory=dict)

    def add(self, kind, page, mode, problems):
        self.problems += [
            Problem(kind, page, mode, " ".join(str(what).split())) for what in problems
        ]

    def by_kind(self, kind):
        return [problem for problem in self.problems if problem.kind == kind]


def page_names(site):
    """List the pages. `index.html` only leads on to the first."""
    names = (path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    return sorted(n for n in names if not n.startswith("_static/") and n != "index.html")


def compressed_size(site, path, sizes={}):  # noqa: B006 (remembers what most pages share)
    file = site / path
    if file not in sizes:
        data = file.read_bytes() if file.is_file() else b""  # reported as not found
        sizes[file] = len(data) if file.suffix in COMPRESSED else len(gzip.compress(data))
    return sizes[file]


def ask(visit, reader, name, mode, *questions):
    found = reader.page.evaluate("names => siteCheck.ask(names)", list(questions))
    for question, problems in found.items():
        visit.add(QUESTIONS[question], name, mode, problems)


def ask_axe(visit, reader, name, mode):
    # `preload` would make axe fetch style sheets of its own accord; `target-size` is off unless
    # it is asked for.
    options = {"resultTypes": ["violations"], "preload": False}
    options["rules"] = {"target-size": {"enabled": mode == "phone"}}
    violations = reader.page.evaluate(
        "options => axe.run(options).then(({violations}) => violations.map(v =>"
        " [v.id, v.nodes.map(node => `${v.id}: ${node.target} ${node.html.slice(0, 120)}`)]))",
        options,
    )
    for rule, nodes in violations:
        visit.add("touch" if rule == "target-size" else "axe", name, mode, nodes)


def open_page(visit, reader, name, mode):
    """Open a page and note what goes wrong meanwhile."""
    reader.problems.clear()
    reader.open(name)
    reader.page.evaluate(SCRIPT)
    note(visit, reader, name, mode)


def note(visit, reader, name, mode):
    for problem in reader.problems:
        visit.add(
            "elsewhere" if problem.startswith("asks for") else "errors", name, mode, [problem]
        )
    reader.problems.clear()


def walk(visit, reader, name):
    """Press Tab until it brings nothing new."""
    left, before = reader.page.evaluate("siteCheck.watch()"), math.inf
    presses = left + 5
    while 0 < left < before:
        for _ in range(presses):
            reader.page.keyboard.press("Tab")
        before, left = left, reader.page.evaluate("siteCheck.ask(['unreached']).unreached.length")
        presses = left + 5
    ask(visit, reader, name, "keyboard", "unreached", "order", "rings")


def turn(visit, reader, name, scheme):
    """Turn the system dark, or light, and wait until the page's scripts have noticed it."""
    reader.page.emulate_media(color_scheme=scheme)
    turned = f"document.documentElement.dataset.theme === '{scheme}'"
    try:
        reader.page.wait_for_function(turned, polling=20, timeout=5_000)
    except TimeoutError:
        visit.add("errors", name, scheme, ["does not follow the system's colour scheme"])


def visit_desk(visit, reader, name):
    page = reader.page
    open_page(visit, reader, name, "light")
    visit.facts[name] = facts = page.evaluate("siteCheck.facts()")
    ask(visit, reader, name, "page", "elsewhere", "language", "ids", "headings", "pictures")
    ask(visit, reader, name, "page", "formulasWithoutMathML", "unsetFormulas", "motion")
    walk(visit, reader, name)
    page.evaluate("siteCheck.hurry()")
    paths = (unquote(urlparse(url).path).lstrip("/") for url in reader.loaded)
    facts["kb"] = sum(compressed_size(visit.site, path) for path in paths) / 1024
    limit = MAX_KB_LONG if facts["figures"] >= LONG else MAX_KB
    if facts["kb"] > limit:
        visit.add("weight", name, "page", [f"{facts['kb']:.0f} KB, more than {limit}"])

    page.evaluate("siteCheck.unfoldAndThinOut()")
    ask(visit, reader, name, "light", "overflow", "wideFormulas", "boxes")
    page.set_viewport_size(PAPER)
    turn(visit, reader, name, "dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    ask(visit, reader, name, "paper", "paper", "wideFormulas", "ink")
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    turn(visit, reader, name, "light")
    page.set_viewport_size(DESK)

    page.evaluate(AXE_SCRIPT)
    ask_axe(visit, reader, name, "light")
    turn(visit, reader, name, "dark")
    page.evaluate("siteCheck.hurry()")
    ask(visit, reader, name, "dark", "overflow", "boxes")
    ask_axe(visit, reader, name, "dark")
    page.emulate_media(color_scheme="light")
    note(visit, reader, name, "dark")


def visit_phone(visit, reader, name):
    open_page(visit, reader, name, "phone, from the disk")
    reader.page.evaluate("siteCheck.unfoldAndThinOut()")
    ask(visit, reader, name, "phone", "overflow", "wideFormulas", "smallText")
    reader.page.evaluate(AXE_SCRIPT)
    ask_axe(visit, reader, name, "phone")


def follow_links(visit):
    """Look up every link to a page of the site, or to a place on it."""
    ids = {name: set(facts["ids"]) for name, facts in visit.facts.items()}
    for name, facts in visit.facts.items():
        for url in facts["links"]:
            if not url or urlparse(url).scheme or url.startswith("//"):
                continue
            path, anchor = urldefrag(url)
            target = unquote(urlparse(urljoin(name, path)).path) if path else name
            if not (visit.site / target).is_file():
                visit.add("links", name, "page", [f"nothing at {url}"])
            elif anchor and target in ids and unquote(anchor) not in ids[target]:
                visit.add("links", name, "page", [f"no such place: {url}"])


def compare_heads(visit):
    """Demand a title and a description of every page, and of no two pages the same."""
    for key, least in (("title", 3), ("description", MIN_DESCRIPTION)):
        pages = defaultdict(list)
        for name, facts in visit.facts.items():
            pages[facts[key]].append(name)
        for text, names in pages.items():
            for name in names:
                if len(text) < least:
                    visit.add("head", name, "page", [f"its {key} is “{text}”"])
                elif len(names) > 1:
                    visit.add("head", name, "page", [f"the {key} of {len(names)} pages: {text}"])


def check(browser, site=SITE, names=None):
    """Visit the pages, all or those named, and return what was found."""
    visit = Visit(site)
    names = names or page_names(site)
    with serve(site) as address:
        desk = browser.new_context(viewport=DESK, color_scheme="light", reduced_motion="reduce")
        desk.set_default_timeout(PATIENCE)
        reader = Reader(desk, address)
        for name in names:
            visit_desk(visit, reader, name)
        visit.made_with["axe-core"] = reader.page.evaluate("axe.version")
        desk.close()
    phone = browser.new_context(
        viewport=PHONE, color_scheme="light", reduced_motion="reduce", has_touch=True
    )
    phone.set_default_timeout(PATIENCE)
    reader = Reader(phone, site.as_uri() + "/")
    for name in names:
        visit_phone(visit, reader, name)
    phone.close()
    follow_links(visit)
    compare_heads(visit)
    visit.made_with["Chromium"] = browser.version
    return visit


def find_leaks(visit):
    for name, what in leaks(visit.site):
        visit.add("leaks", name, "file", [what])


# --- what the colophon shows


def summary(visit):
    """Return what is stored for the colophon, the pages in the order of the book."""
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    order = [f"{page}.html" for page in re.findall(r"(?:root|file):\s*(\S+)", contents)]
    return {
        "checked with": visit.made_with,
        "pages": {
            name.removesuffix(".html"): {
                "kb": math.ceil(facts["kb"] / 10) * 10,
                "formulas": facts["formulas"],
                "figures": facts["figures"],
                "links": len(facts["links"]),
            }
            for name in order
            for facts in [visit.facts[name]]
        },
        "found": {name: len(visit.by_kind(kind)) for kind, name in KINDS.items()},
        "tests": tests(),
    }


def tests():
    """Count what the tests of `make test` run again, and the faults that they must find."""
    from tests import faults, hostile

    cells = [
        cell
        for path in (ROOT / "chapters").glob("*.ipynb")
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    outputs = [output.get("data", {}) for cell in cells for output in cell["outputs"]]
    answers = [runpy.run_path(str(path)) for path in (ROOT / "exercises/answers").glob("*.py")]
    return {
        "cells that are run again and compared": len(cells),
        "figures that are drawn again and compared": sum("image/png" in data for data in outputs),
        "claims with a verdict that an experiment printed": len(ledger.read()[0]),
        "wrong backward passes and losses": len(faults.LAYERS + faults.RECURRENT + faults.LOSSES),
        "wrong optimisers and clippings": len(faults.OPTIMIZERS + faults.CLIPPINGS),
        "wrong answers to the problem sets": sum(len(kinds["WRONG"]) for kinds in answers),
        "right answers of other kinds": sum(len(kinds["RIGHT"]) for kinds in answers),
        "hostile or broken submissions": len(hostile.CORPUS),
    }


def differences(stored, visit):
    """Say where the stored summary is not what was measured now."""
    measured = summary(visit)
    for part in ("found", "tests"):
        for what in stored[part].keys() | measured[part].keys():
            was, now = stored[part].get(what), measured[part].get(what)
            if was != now:
                yield f"{what}: {was} is stored, {now} found"
    if stored["pages"].keys() != measured["pages"].keys():
        yield f"pages: {sorted(stored['pages'].keys() ^ measured['pages'].keys())}"
    for name in stored["pages"].keys() & measured["pages"].keys():
        was, now = dict(stored["pages"][name]), dict(measured["pages"][name])
        # Compressors and font tools of other machines take some bytes more or less, and 10 KB are
        # what is shown.
        if abs(was.pop("kb") - now.pop("kb")) > 10 or was != now:
            yield f"{name}: {stored['pages'][name]} is stored, {measured['pages'][name]} measured"


def main():
    from playwright.sync_api import sync_playwright

    from tools.browser import NONE, launch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", help="such as chapters/sgd.html; by default all")
    parser.add_argument("--store", action="store_true", help="write what the colophon shows")
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = launch(playwright) or sys.exit(NONE)
        visit = check(browser, names=arguments.pages)
    find_leaks(visit)
    for kind, name in KINDS.items():
        if problems := visit.by_kind(kind):
            print(f"\n{len(problems)} {name}:")
            for problem in problems:
                print(f"  {problem}")
    if arguments.store:
        text = json.dumps(summary(visit), indent=1, ensure_ascii=False) + "\n"
        STORED.write_text(text, encoding="utf-8")
    print(dict(Counter(problem.kind for problem in visit.problems)) or "Nothing is wrong.")
    sys.exit(bool(visit.problems))


if __name__ == "__main__":
    main()

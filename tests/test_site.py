"""The built site, as its readers meet it: its files are read, then a browser visits every page."""

import base64
import gzip
import hashlib
import io
import json
import re
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import SITE, Reader
from bs4 import BeautifulSoup
from PIL import Image, ImageChops

from gradnb.claims import CLAIMS
from tools import ledger

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    if "_static" not in path.parts
)
# A page with all it loads, compressed as servers send it; a long chapter may weigh more.
MAX_KB, MAX_KB_LONG, LONG = 350, 450, 6  # figures
MAX_SHADES = 4  # of 255, between a figure as it is stored and as it is published
SEARCH_FOR = "backpropagation"
LIGHT_INK = "rgb(28, 33, 40)"  # the text of book.css in the light scheme


def compressed_size(url):
    file = SITE / unquote(urlparse(url).path).lstrip("/")
    if not file.is_file():  # reported as a 404
        return 0
    data = file.read_bytes()
    return (
        len(data)
        if file.suffix in {".woff2", ".webp", ".png", ".jpg"}
        else len(gzip.compress(data))
    )


@pytest.fixture(scope="session")
def pages(site):
    return {
        name: BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")
        for name in PAGES
    }


def report(problems):
    assert not problems, "\n" + "\n".join(problems)


# --- the files


def test_nothing_is_loaded_from_elsewhere(pages):
    report(
        [
            f"{name}: {tag}"
            for name, page in pages.items()
            for tag in page.select(
                "script[src], link[href], img[src], iframe, source, object, embed"
            )
            if urlparse(
                tag.get("src") or tag.get("href") or tag.get("srcset") or "//elsewhere"
            ).netloc
        ]
    )


def test_every_link_leads_somewhere(site, pages):
    problems = []
    for name, page in pages.items():
        for tag in page.select("a[href], link[href], script[src], img[src]"):
            url = tag.get("href") or tag.get("src")
            if urlparse(url).scheme:
                continue
            path, anchor = urldefrag(url)
            target = unquote(urlparse(urljoin(name, path)).path) if path else name
            if not (site / target).is_file():
                problems.append(f"{name}: nothing at {url}")
            elif anchor and not (target in pages and pages[target].find(id=unquote(anchor))):
                problems.append(f"{name}: no such place: {url}")
    report(problems)


def test_every_picture_has_a_description_and_a_caption(pages):
    problems = []
    for name, page in pages.items():
        for image in page.select(".bd-article img"):
            alt, figure = image.get("alt", "").strip(), image.find_parent("figure")
            if len(alt.split()) < 4 or re.search(r"\.(png|svg|jpe?g)\b|_images/", alt):
                problems.append(f"{name}: {image['src']} is described as {alt!r}")
            caption = figure and figure.find("figcaption")
            if not (caption and caption.select_one(".caption-text").get_text(strip=True)):
                problems.append(f"{name}: {image['src']} has no caption")
    report(problems)


def test_figures_are_published_as_they_are_stored_but_for_shades(site):
    pictures = (path for path in (site / "_images").glob("*.webp") if "-dark" not in path.stem)
    published = {path.stem: path for path in pictures}
    for notebook in (ROOT / "chapters").glob("*.ipynb"):
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                if png := output.get("data", {}).get("image/png"):
                    stored = base64.b64decode(png)
                    path = published.pop(hashlib.sha256(stored).hexdigest())
                    with Image.open(io.BytesIO(stored)) as a, Image.open(path) as b:
                        assert a.convert("RGBA").getextrema()[3] == (255, 255), "transparent"
                        apart = ImageChops.difference(a.convert("RGB"), b.convert("RGB"))
                    assert max(high for _, high in apart.getextrema()) <= MAX_SHADES, cell["id"]
    assert not published, "pictures of no notebook"


def test_headings_are_in_order(pages):
    problems = []
    for name, page in pages.items():
        levels = [
            int(heading.name[1]) for heading in page.select("article :is(h1, h2, h3, h4, h5, h6)")
        ]
        if name.startswith("chapters/") and levels[:1] != [1]:
            problems.append(f"{name}: begins with {levels[:1]}, not with its title")
        problems += [
            f"{name}: h{b} follows h{a}" for a, b in pairwise(levels) if b > a + 1 or b == 1
        ]
    report(problems)


def test_all_mathematics_is_set(pages):
    problems = []
    for name, page in pages.items():
        formulas = page.select(".katex")
        problems += [
            f"{name}: without MathML: {f.get_text()[:60]}" for f in formulas if not f.find("math")
        ]
        problems += [
            f"{name}: {error}"
            for error in page.select(".katex-error, span.math > code, div.math > code")
        ]
        text = BeautifulSoup(str(page.select_one("article") or page.body), "html.parser")
        for tag in text.select(".katex, pre, code, script, style"):
            tag.decompose()
        problems += [
            f"{name}: {line.strip()[:80]}"
            for line in text.get_text().splitlines()
            if re.search(r"\$|\\[(\[a-zA-Z]|\{(eq|numref|ref|cite|doc)", line)
        ]
    report(problems)


def test_no_cell_failed_or_warned(pages):
    """Jupyter Book publishes a stored traceback without a word."""
    report(
        [
            f"{name}: {o.get_text()[:80]}"
            for name, p in pages.items()
            for o in p.select(".traceback, .stderr")
        ]
    )


def test_the_site_says_nothing_of_the_machine_that_built_it(site):
    secrets = {str(Path(__file__).parents[1]), str(Path.home())} - {"/"}
    texts = (
        p
        for p in site.rglob("*")
        if p.suffix in {".html", ".js", ".css", ".json", ".ipynb", ".txt", ".inv"}
    )
    report(
        [
            f"{p.relative_to(site)}: {s}"
            for p in texts
            for s in secrets
            if s.encode() in p.read_bytes()
        ]
    )


def test_sources_stay_private_and_notebooks_can_be_downloaded(site, pages):
    assert not (site / "_sources").exists()
    for name in pages:
        source = SITE.parents[1] / Path(name).with_suffix(".ipynb")
        if source.exists():
            link = pages[name].select_one(".article-header-buttons a[download]")
            assert (site / urljoin(name, link["href"])).is_file()  # test_downloads.py reads it


def test_no_page_is_left_from_an_earlier_build(site, pages):
    toc = (SITE.parents[1] / "_toc.yml").read_text(encoding="utf-8")
    expected = {f"{page}.html" for page in re.findall(r"(?:root|file):\s*(\S+)", toc)} | {
        "index.html",
        "search.html",
    }
    assert set(pages) == expected


# --- in a browser


SCREENS = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "color_scheme": "light",
        "has_touch": True,
    },
}


@pytest.fixture(scope="module", params=SCREENS)
def reader(request, browser, server):
    context = browser.new_context(reduced_motion="reduce", **SCREENS[request.param])
    yield Reader(context, server)
    context.close()


# What sticks out of the window sideways or of a box that cuts it off, unless that scrolls.
OVERFLOW = """() => {
  const page = document.documentElement, out = [];
  if (page.scrollWidth > innerWidth) out.push(`the page is ${page.scrollWidth} px wide`);
  const parts = [".bd-article-container *", ".bd-header-article *", ".bd-footer-content *"];
  for (const e of document.querySelectorAll(parts.join())) {
    const box = e.getBoundingClientRect();
    if (!box.width || !box.height || e.closest(".katex, .visually-hidden")) continue;
    for (let p = e.parentElement; p; p = p.parentElement) {
      const {overflowX} = getComputedStyle(p);
      if (/auto|scroll/.test(overflowX)) break;
      if (overflowX === "visible" && p !== page) continue;
      const frame = p === page ? {left: 0, right: innerWidth} : p.getBoundingClientRect();
      if (box.left < frame.left - 1 || box.right > frame.right + 1) {
        out.push(`${e.tagName}.${e.className} is cut: ${e.textContent.trim().slice(0, 60)}`);
        break;
      }
    }
  }
  return out;
}"""
# A formula wider than its box is cut unless the box scrolls, and the scrolling must reach its
# beginning.
FORMULAS = """() => [...document.querySelectorAll(".katex-display")].flatMap(box => {
  const range = document.createRange();
  range.selectNodeContents(box.querySelector(".katex-html"));
  const formula = range.getBoundingClientRect(), frame = box.getBoundingClientRect();
  const scrolls = getComputedStyle(box).overflowX === "auto";
  const start = box.textContent.slice(0, 60);
  if (formula.left < frame.left - 1) return [`the beginning is out of reach: ${start}`];
  if (formula.right > frame.right + 1 && !scrolls) return [`cut on the right: ${start}`];
  return [];
})"""

# In the dark, figures are turned dark unless they are `keep-colours`; neither kind has the theme's
# grey box.
FIGURES = """() => [...document.querySelectorAll("[data-theme=dark] figure img")].flatMap(img => {
  const {filter, backgroundColor} = getComputedStyle(img);
  const wanted = img.classList.contains("keep-colours")
    ? "none on rgb(255, 255, 255)" : "invert(1) hue-rotate(180deg) on rgba(0, 0, 0, 0)";
  const found = `${filter} on ${backgroundColor}`;
  return found === wanted ? [] : [`${img.src}: ${found}`];
})"""


def test_every_page_in_every_scheme_and_size(reader, pages):
    problems = []
    for name in sorted(set(pages) - {"index.html"}):  # which only leads to chapters/index.html
        reader.problems.clear()
        reader.open(name)
        found = [
            *reader.problems,
            *(p for check in (OVERFLOW, FORMULAS, FIGURES) for p in reader.page.evaluate(check)),
        ]
        weight = sum(map(compressed_size, reader.loaded)) / 1024
        limit = MAX_KB_LONG if len(pages[name].select("article figure")) >= LONG else MAX_KB
        if weight > limit:
            found.append(f"weighs {weight:.0f} KB, more than {limit}")
        # `preload` would make axe fetch style sheets of its own accord.
        axe = Axe().run(reader.page, options={"resultTypes": ["violations"], "preload": False})
        for violation in axe.response["violations"]:
            found += [
                f"axe {violation['id']}: {node['target']} {node['html'][:120]}"
                for node in violation["nodes"]
            ]
        problems += [f"{name}: {problem}" for problem in found]
    report(problems)


def test_search_finds_the_chapter(browser, server, site):
    context = browser.new_context()
    reader = Reader(context, server)
    reader.open(f"search.html?q={SEARCH_FOR}")
    reader.page.wait_for_selector("#search-results li a")
    assert "backprop" in reader.page.locator("#search-results li a").first.get_attribute("href")
    report(reader.problems)
    context.close()


def test_only_the_search_page_loads_the_search(pages):
    """Its index grows with the book."""
    loads = {name for name, page in pages.items() if page.select('script[src*="searchindex.js"]')}
    assert loads == {"search.html"}


def test_the_ledger_leads_to_the_cells_that_decided(site, pages):
    rows = pages["chapters/claims.html"].select("table.ledger tbody tr")
    assert len(rows) == len(CLAIMS)
    settled = 0
    for row in rows:
        claim, verdict = (row.select("td")[i].get_text(" ", strip=True) for i in (0, 1))
        if link := row.find("a"):
            page, anchor = urldefrag(urljoin("chapters/claims.html", link["href"]))
            cell = pages[page].find(id=anchor)
            assert "cell" in cell["class"]
            word = verdict.removesuffix(", partly cited").replace("’", "'")
            assert f"{claim.split()[0]} {word}:" in cell.get_text()
            settled += 1
        else:
            assert verdict == "open"
    assert settled == len(ledger.read()[0])


def shown(page):
    """List the claims that the ledger shows, with their verdicts."""
    rows = page.locator("table.ledger tbody tr:visible").all_inner_texts()
    return [row.split()[0] for row in rows]


def test_the_ledger_is_filtered_without_a_mouse_or_a_network(browser, server):
    settled = {claim: ledger.kind(entry) for claim, entry in ledger.read()[0].items()}
    kinds = {claim: settled.get(claim, "open") for claim in CLAIMS}
    failed = [claim for claim in CLAIMS if kinds[claim] == "fails"]
    conditional = [claim for claim in CLAIMS if kinds[claim] == "holds when"]
    in_b = [claim for claim in failed if claim.startswith("B")]
    assert 0 < len(in_b) < len(failed)
    context = browser.new_context()
    reader = Reader(context, server)
    reader.open("chapters/claims.html")
    page = reader.page
    assert shown(page) == list(CLAIMS)
    verdicts, articles = page.get_by_label("Verdict"), page.get_by_label("Article")
    verdicts.focus()
    page.keyboard.type("fails")
    assert shown(page) == failed
    assert page.get_by_role("status").inner_text() == f"{len(failed)} of 62 claims shown"
    page.keyboard.press("Tab")
    page.keyboard.type("B.")
    assert shown(page) == in_b
    assert page.locator("article h2:visible").count() == 1
    assert urlparse(page.url).query == "verdict=fails&article=B"
    page.reload()
    assert shown(page) == in_b
    articles.select_option("")
    verdicts.select_option(label=f"holds when … ({len(conditional)})")
    assert shown(page) == conditional
    page.goto(server + "chapters/claims.html?verdict=nonsense&article=E")
    assert shown(page) == [claim for claim in CLAIMS if claim.startswith("E")]
    report(reader.problems)
    context.close()


def test_the_ledger_is_whole_without_scripts(browser, server):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server + "chapters/claims.html")
    assert shown(page) == list(CLAIMS)
    context.close()


def test_paper_cuts_nothing_and_is_light(browser, server, pages):
    context = browser.new_context(color_scheme="dark", viewport={"width": 658, "height": 950})
    reader = Reader(context, server)
    problems = []
    for name in pages:
        reader.open(name)
        reader.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        reader.page.emulate_media(media="print")
        problems += [
            f"{name}: {cut}"
            for cut in reader.page.evaluate(
                """() => {
                  const parts = ".katex-display, article :is(pre, table, figure)";
                  return [...document.querySelectorAll(parts)]
                    .filter(e => e.scrollWidth > e.clientWidth + 1)
                    .map(e => `cut: ${e.textContent.slice(0, 60)}`);
                }"""
            )
        ]
        if "chapters/" in name:
            assert (
                reader.page.evaluate(
                    "getComputedStyle(document.querySelector('.bd-article')).color"
                )
                == LIGHT_INK
            )
        reader.page.emulate_media(media="screen")
    report(problems)
    context.close()


def test_the_site_opens_from_the_disk(browser, site, pages):
    context = browser.new_context()
    reader = Reader(context, site.as_uri() + "/")
    problems = []
    for name in pages:
        reader.problems.clear()
        reader.open(name)
        problems += [f"{name}: {problem}" for problem in reader.problems]
    report(problems)
    context.close()

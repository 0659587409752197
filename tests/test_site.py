"""The built site: its files, its search and its ledger. `test_pages.py` visits every page."""

import base64
import hashlib
import io
import json
import re
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlparse

import pytest
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
MAX_SHADES = 4  # of 255, between a figure as it is stored and as it is published
SEARCH_FOR = "backpropagation"


@pytest.fixture(scope="session")
def pages(site):
    return {
        name: BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")
        for name in PAGES
    }


def report(problems):
    assert not problems, "\n" + "\n".join(problems)


# --- the files


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

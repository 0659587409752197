"""The print edition: each page on paper, and the whole book in one file."""

import html
import re
import struct
import zlib
from collections import Counter

import pytest
from browsing import Reader
from bs4 import BeautifulSoup

from tools import pdf, pdf_file

# A chapter, and what it takes to see every kind of link in it.
SOME = [
    ("", ["chapters/index"]),
    ("Foundations", ["chapters/zero_grad"]),
    ("Reference", ["chapters/claims", "chapters/notation", "chapters/references"]),
]
A4 = 627  # px between the margins; Letter is wider
FOOT = 57 + 70  # pt: the margin below, and less than a heading and two lines of text
# What serves a screen alone, or is folded away.
UNPRINTED = """
  .bd-sidebar, .bd-header-article, .prev-next-area, .run-it, .bd-footer, .headerlink, .copybtn,
  .toggle-button, .ledger-filter, .begin, .live-controls, .skip-link, #jb-print-docs-body, summary,
  .toggle-hidden, dialog, button, input, select
"""
SHOWN = """selectors => [...document.querySelectorAll(selectors)]
  .filter(tag => tag.checkVisibility()).map(tag => tag.outerHTML.slice(0, 80))"""
TOO_WIDE = """() => {
  const found = [];
  for (const tag of document.querySelectorAll(".bd-article *")) {
    if (tag.closest(".katex-mathml, .katex svg, svg.drawing > *")) continue;
    const {width, right} = tag.getBoundingClientRect();
    const inner = /^(PRE|TABLE|FIGURE)$/.test(tag.tagName) ? tag.scrollWidth - tag.clientWidth : 0;
    if (width && (right > innerWidth + 1 || inner > 1)) found.push(tag.outerHTML.slice(0, 120));
  }
  return found;
}"""


@pytest.fixture(scope="module")
def whole(site):
    return pdf.assemble(pdf.toc())


@pytest.fixture(scope="module")
def page(browser):
    context = browser.new_context(viewport={"width": A4, "height": 900})
    yield context.new_page()
    context.close()


def open_book(page, name, text):
    """Open a book that lies where its links to the site's files hold."""
    path = pdf.BUILD / f"{name}.html"
    path.write_text(text, encoding="utf-8")
    page.goto(path.as_uri())
    path.unlink()


@pytest.fixture(scope="module")
def printed(site, page):
    """Print some of the book; return its page and its file."""
    text = pdf.assemble(SOME)
    open_book(page, "some", text)
    return BeautifulSoup(text, "html.parser"), pdf.print_pages(page)


def test_every_chapter_is_in_the_book_and_every_link_leads_somewhere(whole):
    tags = re.findall(r"<[a-z][^<>]*>", whole)
    ids = Counter(found[1] for tag in tags if (found := re.search(r'\sid="([^"]*)"', tag)))
    assert [name for name, count in ids.items() if count > 1] == []
    links = {found[1] for tag in tags if (found := re.search(r'\shref="([^"]*)"', tag))}
    local = {link for link in links if not re.match("https?:|mailto:", link)}
    assert {link for link in local if link[0] == "#" and link[1:] not in ids} == set()
    assert {link for link in local - {"#"} if link[0] != "#"} == {
        link for link in local if (pdf.BUILD / link.split("?")[0]).is_file()
    }
    pages = [path for _, paths in pdf.toc() for path in paths]
    chapters = [
        found[1] for tag in tags if (found := re.search(r'class="chapter" id="(.*?)"', tag))
    ]
    assert chapters == [*(path.rpartition("/")[2] for path in pages), "solutions"]


def test_no_text_of_a_chapter_is_missing_in_the_book(whole, site):
    """Every paragraph, line of code and cell of a table that is on the site."""
    book = words(whole)
    for _, paths in pdf.toc():
        for path in paths:
            page = (site / f"{path}.html").read_text(encoding="utf-8")
            article = re.search("<article.*</article>", page, re.S)[0]
            article = re.sub(r'<details class="[^"]*\bhide\b.*?</details>', "", article, flags=re.S)
            article = re.sub("<(script|template).*?</\\1>", "", article, flags=re.S)
            book.subtract(words(article))
    lacking = [word for word, count in book.items() if count < 0]
    assert set(lacking) <= {"verdict", "article", "claims", "shown"}  # of the ledger's filter


def words(text):
    return Counter(re.findall(r"\w{4,}", html.unescape(re.sub("<[^>]*>", "", text))))


def test_nothing_in_the_book_is_wider_than_its_paper(whole, page):
    page.emulate_media(media="print")
    open_book(page, "whole", whole)
    assert page.evaluate(TOO_WIDE) == []


def test_the_book_has_its_outline_and_no_heading_at_the_foot_of_a_page(printed):
    book, file = printed
    objects, root, _ = pdf_file.objects(file)
    assert b"/Lang (en" in objects[root]
    assert b"/Marked true" in objects[root]
    entries = [o for o in objects.values() if b"/Parent" in o and b"/Title" in o]
    titles = [
        re.search(rb"/Title (\(.*?\)|<[0-9A-F]*>)(?=\n|>)", entry, re.S)[1] for entry in entries
    ]
    plain = [t for t in book.select("h1, h2, h3") if not t.select(".katex")]
    assert len(entries) == len(book.select("h1, h2, h3"))
    assert {squeezed(t.get_text()) for t in plain} <= {squeezed(decoded(t)) for t in titles}
    heights = [re.search(rb"/XYZ [\d.]+ ([\d.]+)", entry)[1] for entry in entries]
    low = [decoded(t) for t, height in zip(titles, heights, strict=True) if float(height) < FOOT]
    assert low == []


def decoded(title):
    if title.startswith(b"<"):
        return bytes.fromhex(title[1:-1].decode()).decode("utf-16")
    return re.sub(rb"\\([()\\])", rb"\1", title[1:-1]).decode("latin-1")


def squeezed(text):
    return re.sub(r"\W", "", text)


def test_the_numbers_in_its_contents_are_those_of_its_pages(printed, page):
    book, file = printed
    places = pdf_file.places(file)
    pages = sum(b"/Type /Page\n" in o for o in pdf_file.objects(file)[0].values())
    assert 30 <= pages <= 80
    shown = page.evaluate(
        """() => [...document.querySelectorAll("[data-page-of]")]
          .map(tag => [tag.dataset.pageOf, Number(tag.textContent)])"""
    )
    assert dict(shown) == {name: places[name] for name, _ in shown}
    assert len(shown) == len(book.select("[data-page-of]"))
    assert max(places.values()) <= pages
    chapters = [places[tag["id"]] for tag in book.select("section.chapter")]
    assert chapters == sorted(set(chapters)), "each begins on a page of its own"


def test_it_is_made_smaller_without_a_change(printed):
    _, file = printed
    small = pdf_file.compact(file, Author="Somebody")
    assert len(small) < 0.6 * len(file)
    objects, _, info = pdf_file.objects(file)
    objects[info] = objects[info].replace(b"<<", b"<</Author (Somebody)\n", 1)
    start = int(re.search(rb"startxref\n(\d+)", small)[1])
    rows = inflated(small[start:])
    where = [struct.unpack(">BIH", rows[i : i + 7]) for i in range(0, len(rows), 7)]
    read = {}
    for number in objects:
        kind, at, _ = where[number]
        if kind == 1:
            head = b"%d 0 obj\n" % number
            assert small[at:].startswith(head)
            read[number] = small[at + len(head) : small.index(b"\nendobj\n", at)]
        else:
            read[number] = packed(small, where[at][1])[number]
    assert read == objects


def inflated(text):
    return zlib.decompress(text[text.index(b"stream\n") + 7 :])


def packed(small, at, seen={}):  # noqa: B006 (what is unpacked is kept)
    """Return the objects of the compressed stream that begins there."""
    if at not in seen:
        first = int(re.search(rb"/First (\d+)", small[at:])[1])
        data = inflated(small[at:])
        numbers = [int(n) for n in data[:first].split()]
        ends = [*numbers[3::2], len(data) - first]
        seen[at] = {
            number: data[first + begin : first + end].removesuffix(b"\n")
            for number, begin, end in zip(numbers[::2], numbers[1::2], ends, strict=True)
        }
    return seen[at]


def test_a_page_is_printed_without_what_serves_a_screen(browser, server):
    context = browser.new_context()
    reader = Reader(context, server)
    for name in ("chapters/zero_grad.html", "chapters/claims.html"):
        reader.open(name)
        reader.page.emulate_media(media="print")
        assert reader.page.evaluate(SHOWN, UNPRINTED) == []
        reader.page.emulate_media(media="screen")
    context.close()


def test_a_solution_is_printed_if_it_is_open(browser, server):
    context = browser.new_context()
    reader = Reader(context, server)
    reader.open("chapters/zero_grad.html")
    reader.page.locator(".solution .toggle-button").first.click()
    reader.page.emulate_media(media="print")
    solutions = reader.page.locator(".solution")
    shown = [solutions.nth(i).is_visible() for i in range(solutions.count())]
    assert shown == [True] + [False] * (len(shown) - 1)
    context.close()

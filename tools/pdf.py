"""Print the built site into one file, `_build/gradients.pdf`: `python -m tools.pdf [Letter]`.

Its pages are joined into one, `_build/gradients.html`, which Chromium prints. It prints twice,
because only then is it known on which page a chapter begins.
"""

import json
import re
import signal
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlparse

import yaml
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright

from tools import pdf_file
from tools.browser import NONE, launch

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
SITE = BUILD / "html"
SOURCE, TARGET = BUILD / "gradients.html", BUILD / "gradients.pdf"
SOLUTIONS = "solutions"
# What serves a screen alone. The code of a figure is folded away there, and in the notebooks.
UNPRINTED = "script, style, template, .headerlink, .ledger-filter, .only-dark, details.hide"
REFERRING = {"for", "headers", "aria-labelledby", "aria-describedby", "aria-controls"}


def soup(html):
    return BeautifulSoup(html, "html.parser")


def toc():
    """Return the parts of the book, each as its title and its pages."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    parts = [(part["caption"], [c["file"] for c in part["chapters"]]) for part in toc["parts"]]
    return [("", [toc["root"]]), *parts]


class Chapter:
    """A page of the site as a chapter of the book, with ids that are its own."""

    def __init__(self, path):
        self.path, self.key = path, Path(path).name
        html = (SITE / f"{path}.html").read_text(encoding="utf-8")
        self.sheets = soup(html[: html.index("</head>")]).select('link[rel="stylesheet"]')
        self.body = soup(re.search("<article.*</article>", html, re.S)[0]).article
        self.body.name = "section"
        self.body.attrs = {"class": ["chapter"], "id": self.key, "style": f"page: {self.key}"}
        for tag in self.body.select(UNPRINTED):
            tag.decompose()
        for row in self.body.select("table.ledger tbody tr"):  # as ledger.js does, for the colours
            row["data-verdict"] = row.select("td")[1].get_text(strip=True).split(",")[0]
        self.solutions = [solution.extract() for solution in self.body.select("div.solution")]
        self.title = self.body.h1.get_text(" ", strip=True)

    def id(self, anchor):
        return f"{self.key}.{anchor}" if anchor else self.key

    def tags(self):
        yield from self.body.find_all(True)
        for solution in self.solutions:
            yield solution
            yield from solution.find_all(True)

    def localise(self, chapters):
        """Let ids and links, which hold on one page of a site, hold in the book."""
        for tag in self.tags():
            if "id" in tag.attrs:
                tag["id"] = self.id(tag["id"])
            for name in REFERRING & tag.attrs.keys():
                tag[name] = " ".join(map(self.id, tag.get_attribute_list(name)))
            tag.attrs.pop("loading", None)
            if "src" in tag.attrs:
                tag["src"] = "html/" + urljoin(self.path, tag["src"])
            if tag.name == "a" and "href" in tag.attrs:
                self.turn(tag, chapters)

    def turn(self, link, chapters):
        """Turn a link to a page of the site into one to its place in the book."""
        if urlparse(link["href"]).scheme:
            return
        path, anchor = urldefrag(urljoin(f"{self.path}.html", link["href"]))
        if target := chapters.get(path.removesuffix(".html")):
            link["href"] = f"#{target.id(anchor)}"
        else:
            link.unwrap()  # a download, which paper has not


def inner(tag):
    return "".join(map(str, tag.children)).strip()


def entry(anchor, title):
    return f'<a href="#{anchor}"><span data-page-of="{anchor}"></span> <span>{title}</span></a>'


def contents(parts, chapters):
    """Make the table of contents; the numbers of the pages come later."""
    lines = []
    titles = Counter(inner(title) for c in chapters.values() for title in c.body.select("h2"))
    for caption, paths in parts:
        lines += [f'<p class="part">{caption}</p>'] if caption else []
        for path in paths:
            chapter = chapters[path]
            lines.append(
                f'<p class="chapter-line">{entry(chapter.key, inner(chapter.body.h1))}</p>'
            )
            for title in chapter.body.select("h2") if caption != "Problem sets" else []:
                if titles[inner(title)] == 1:  # not "Summary", as in every chapter
                    lines.append(f"<p>{entry(title.parent['id'], inner(title))}</p>")
    lines.append(f'<p class="chapter-line">{entry(SOLUTIONS, "Solutions to the exercises")}</p>')
    return "\n".join(lines)


def running_heads(chapters):
    titles = {c.key: json.dumps(c.title, ensure_ascii=False) for c in chapters.values()}
    rule = "@page {} {{ @top-right {{ content: {}; }} }}".format
    return "\n".join(rule(key, title) for key, title in titles.items())


def lead_to_solutions(chapters):
    """Say below each exercise where its solution is."""
    for chapter in chapters.values():
        for solution in chapter.solutions:
            exercise = chapter.body.find(id=solution.a["href"].removeprefix("#"))
            page = f'<span data-page-of="{solution["id"]}"></span>'
            link = f'<a href="#{solution["id"]}">Solution on page {page}</a>'
            exercise.append(soup(f'<p class="to-solution">{link}</p>'))


def solutions(chapters):
    """Gather the solutions, which stand at the end, where no eye falls on them by chance."""
    lines = []
    for chapter in chapters.values():
        if chapter.solutions:
            lines += [f"<h2>{inner(chapter.body.h1)}</h2>", *map(str, chapter.solutions)]
    return "\n".join(lines)


def assemble(parts):
    """Return the pages of some parts as one."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    chapters = {path: Chapter(path) for _, paths in parts for path in paths}
    for chapter in chapters.values():
        chapter.localise(chapters)
    lead_to_solutions(chapters)
    sheets = {}
    for chapter in chapters.values():
        for sheet in chapter.sheets:
            sheet["href"] = "html/" + urljoin(chapter.path, sheet["href"])
            sheets[sheet["href"]] = str(sheet)
    book = (ROOT / "tools" / "pdf.html").read_text(encoding="utf-8")
    for name, text in {
        "title": config["title"],
        "author": config["author"],
        "year": config["copyright"],
        "licence": config["html"]["extra_footer"].strip(),
        "sheets": "\n".join(sheets.values()),
        "heads": running_heads(chapters),
        "contents": contents(parts, chapters),
        "chapters": "\n".join(str(chapter.body) for chapter in chapters.values()),
        "solutions": solutions(chapters),
    }.items():
        book = book.replace(f"{{{{ {name} }}}}", text)
    return book


FILL = """places => {
  for (const tag of document.querySelectorAll("[data-page-of]")) {
    tag.textContent = places[tag.dataset.pageOf] ?? "";
  }
}"""


def print_pages(page, paper="A4"):
    """Print the page that is open until the numbers in it are those of its pages."""
    page.evaluate("document.fonts.ready.then(() => null)")
    how = {"format": paper, "print_background": True, "outline": True}
    known = pdf_file.places(page.pdf(**how))
    for _ in range(3):
        page.evaluate(FILL, known)
        pdf = page.pdf(**how, tagged=True)
        before, known = known, pdf_file.places(pdf)
        if known == before:
            return pdf
    sys.exit("The numbers of the pages do not settle.")


def main(paper="A4"):
    if not SITE.exists():
        sys.exit("There is no site to print: run `make book` first.")
    print("Joining the pages …", flush=True)
    SOURCE.write_text(assemble(toc()), encoding="utf-8")
    print("Printing them …", flush=True)
    with sync_playwright() as p:
        browser = launch(p) or sys.exit(f"There is {NONE}.")
        page = browser.new_page()
        page.goto(SOURCE.as_uri())
        pdf = print_pages(page, paper)
        browser.close()
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    TARGET.write_bytes(pdf_file.compact(pdf, Author=config["author"]))
    print(f"The book is printed: {TARGET.relative_to(ROOT)}")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    main(*sys.argv[1:])

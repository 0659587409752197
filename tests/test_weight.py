"""The joined and thinned style sheet and scripts: nothing that a page needs is lost on the way."""

import re
import sys
from pathlib import Path

import pytest
from browsing import SITE, Reader
from bs4 import BeautifulSoup

sys.path.insert(0, str(Path(__file__).parents[1] / "_ext"))

import markup
import purge
import weight

# Pages that between them have everything, and what a reader does there.
PAGES = {
    "chapters/index.html": [],
    "chapters/stabilizing.html": ["solution", "code", "copy"],
    "chapters/zero_grad.html": ["contents"],
    "chapters/claims.html": ["chapters"],
    "chapters/instructors.html": ["search"],
    "exercises/release/ps1_backprop/ps1_backprop.html": [],
    "search.html?q=gradient": ["results"],
}
ACTIONS = {
    "solution": "document.querySelector('.toggle-button').click()",
    "code": "document.querySelector('details').open = true",
    "copy": "document.querySelector('.copybtn').classList.add('success')",
    "contents": "document.querySelector('.secondary-toggle').click()",
    "chapters": "document.querySelector('.primary-toggle').click()",
    "search": "document.querySelector('.search-button__button').click()",
    "results": "new Promise(done => setTimeout(done, 1000))",
}

# The rules of the sheets of a page, one for each selector, that match something on it now or would
# if it were pointed at, had the focus and so on; with the variables that are asked for.
RULES = """asked => {
  const states = "hover|focus-visible|focus-within|focus|active|visited|link|target|disabled";
  const dynamic = new RegExp(":(" + states + ")(?![-a-z])", "g");
  const rules = [];
  const walk = (list, at) => {
    for (const rule of list) {
      if (rule.selectorText === undefined) {
        if (rule.cssRules && rule.media) walk(rule.cssRules, at + rule.conditionText);
        continue;
      }
      const {style} = rule;
      const own = [...style].sort()
        .filter(name => !name.startsWith("--") || asked.includes(name))
        .map(name => name + ":" + style.getPropertyValue(name) + style.getPropertyPriority(name));
      if (!own.length) continue;
      for (const selector of rule.selectorText.split(/,(?![^(]*\\))/)) {
        const still = selector.replace(/::[\\w-]+|:not\\(:[^()]*\\)/g, "")
          .replace(dynamic, ":is(*)");
        let found = false;
        try { found = document.querySelector(still.trim() || "*"); } catch { }
        if (found) rules.push(at + selector.trim() + "{" + own.join(";").replace(/\\s/g, ""));
      }
    }
  };
  for (const sheet of document.styleSheets)
    if (/(site|whole)\\.css/.test(sheet.href)) walk(sheet.cssRules, "");
  return rules;
}"""

# Load the sheets as they were before anything was taken out, in place of what is left of them.
SWAP = """() => new Promise(done => {
  const link = document.querySelector("link[href*='site.css']");
  link.onload = done;
  link.href = link.href.replace(/site\\.css.*/, "whole.css");
})"""


@pytest.fixture(scope="module")
def whole(site):
    """Return the joined sheets before anything is taken out."""
    css = (site / "_static/site.css").read_text(encoding="utf-8")
    sheets = re.match(r"/\* (.*?) \*/", css)[1].split()
    return weight.join_styles(site / "_static", sheets)


@pytest.fixture
def visit(browser, server, whole):
    """Open a page in some state, with the sheet on the page or with the whole one."""
    contexts = []

    def open_page(name, **screen):
        context = browser.new_context(reduced_motion="reduce", **screen)
        contexts.append(context)
        reader = Reader(context, server)
        context.route(
            "**/whole.css", lambda route: route.fulfill(body=whole, content_type="text/css")
        )
        reader.open(name)
        for action in PAGES[name]:
            reader.page.evaluate(ACTIONS[action])
        assert not reader.problems
        return reader.page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", PAGES)
def test_every_rule_that_can_match_is_kept(visit, name):
    asked = re.findall(r"var\(\s*(--[\w-]+)", (SITE / "_static/site.css").read_text("utf-8"))
    page = visit(name, viewport={"width": 390, "height": 844}, has_touch=True)
    kept = set(page.evaluate(RULES, asked))
    page.evaluate(SWAP)
    wanted = page.evaluate(RULES, asked)
    assert len(wanted) > 200
    lost = [rule for rule in wanted if rule not in kept]
    assert not lost, "\n" + "\n".join(lost)


def test_what_stays_and_what_goes():
    css = """
        .shown, .never { color: red }  .shown .never { color: blue }  #made-by-script { top: 0 }
        .shown:not(.never):hover > a { left: 0 }  [data-made] { top: 1px } [data-never] { top: 2px }
        @media print { .never { top: 0 } p { --used: "a;b{}"; --unused: 1; top: var(--used) } }
        @font-face { font-family: Seen; src: url(a) }
        @font-face { font-family: Unseen; src: url(b) }
        p { font-family: Seen; background: url(data:x;y{z}) }  :is(.never, .gone) p { top: 3px }
        @keyframes turn { from { top: 0 } }  @keyframes spin { from { top: 0 } }
        i { animation: spin }
        :is(p, .never)::before { content: "," }"""
    pages = '<p class="shown"><a href="x">y</a><i></i></p>'
    scripts = 'e.id = "made-by-script"; e.dataset.made = 1; // not .never\n find(".never")'
    assert purge.purge(css, pages, scripts) == (
        ".shown{color:red}#made-by-script{top:0}"
        ".shown:not(.never):hover > a{left:0}[data-made]{top:1px}"
        '@media print{p{--used:"a;b{}";top:var(--used)}}'
        "@font-face{font-family: Seen; src: url(a)}"
        "p{font-family:Seen;background:url(data:x;y{z})}"
        "@keyframes spin{from { top: 0 }}i{animation:spin}"
        ':is(p, .never)::before{content:","}'
    )


def test_code_keeps_its_text_and_its_colours():
    before = (
        '<div class="highlight"><pre><span></span><span class="n">x</span> <span class="o">=</span>'
        ' <span class="sa">f</span><span class="s2">&quot;</span><span class="si">{</span>'
        '<span class="n">a</span><span class="si">}</span><span class="s2">&quot;</span>\n</pre>'
    )
    after = re.sub(
        r'<div class="highlight"><pre>.*?</pre>', markup.lighten_code, before, flags=re.S
    )
    assert after == (
        '<div class="highlight"><pre><span></span>x ='
        ' <span class="s">f&quot;{</span>a<span class="s">}&quot;</span>\n</pre>'
    )


def test_every_page_says_what_it_is_about(site):
    for path in SITE.rglob("*.html"):
        page = BeautifulSoup(path.read_text(encoding="utf-8")[:5000], "html.parser")
        said = [meta["content"] for meta in page.select("meta[name=description]")]
        assert [20 <= len(text) <= 165 for text in said] == [True], (path.name, said)
        assert len(page.select("meta[name=viewport]")) == 1, path.name


def test_pictures_have_their_size(site):
    for path in SITE.glob("chapters/*.html"):
        page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        bare = [str(img) for img in page.select("img") if not (img.get("width") and img["height"])]
        assert not bare, (path.name, bare[0])


def test_a_search_finds_and_marks_its_word(visit):
    page = visit("search.html?q=gradient")
    page.locator("#search-results .search li a").first.click()
    page.wait_for_load_state("load")
    page.wait_for_selector("span.highlighted")

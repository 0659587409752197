"""Previews of what references lead to, and figures at full size on a phone."""

import importlib
import json
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import Reader
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[1]
PAGE = "chapters/zero_grad.html"  # it refers to all there is
EQUATION, FIGURE = "#equation-eq-zero-period", "#fig-forgot-swing"
OPEN = ":is(#preview:not([hidden]), dialog.large[open])"
WAIT = 500  # ms, more than a preview waits before it opens or closes

SCREENS = {
    "light": {"viewport": {"width": 1280, "height": 900}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}


@pytest.fixture(scope="module", params=SCREENS)
def opened(request, browser, server):
    context = browser.new_context(reduced_motion="reduce", **SCREENS[request.param])
    reader = Reader(context, server)
    reader.open(PAGE)
    yield reader
    context.close()


@pytest.fixture
def reader(opened):
    """Return the opened page with nothing open on it."""
    opened.page.mouse.move(0, 0)
    opened.page.evaluate("document.activeElement.blur()")
    opened.page.keyboard.press("Escape")
    yield opened
    assert not opened.problems


def reference(reader, to):
    link = reader.page.locator(f'article a.reference.internal[href$="{to}"]').first
    link.scroll_into_view_if_needed()
    rest(reader)  # figures that come into view are loaded
    return link


def rest(reader):
    reader.page.wait_for_timeout(WAIT)


def focus(link):
    """Put the keyboard's focus on a link."""
    link.page.keyboard.press("Shift")
    link.focus()


def assert_sound(reader):
    """Check that what is open breaks no rule, lies within the window and doubles no name."""
    # `preload` would make axe fetch style sheets of its own accord.
    options = {"resultTypes": ["violations"], "preload": False}
    axe = Axe().run(reader.page, context=OPEN, options=options)
    assert not axe.violations_count, axe.generate_report()
    box = reader.page.locator(OPEN).bounding_box()
    size = reader.page.viewport_size
    assert 0 <= box["x"] <= size["width"] - box["width"]
    assert 0 <= box["y"] <= size["height"] - box["height"]
    for name in reader.page.eval_on_selector_all(
        f"{OPEN}, {OPEN} [id]", "all => all.map(e => e.id)"
    ):
        assert not name or reader.page.locator(f"[id={json.dumps(name)}]").count() == 1
    assert reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_an_equation_shows_where_the_mouse_or_the_focus_is(reader):
    page, preview = reader.page, reader.page.locator("#preview")
    link = reference(reader, EQUATION)
    equation = page.locator(EQUATION)
    formula = equation.locator(".katex").first.text_content()

    assert not preview.is_visible()
    link.hover()
    rest(reader)
    assert preview.locator(".katex").text_content() == formula
    assert preview.locator(".eqno").inner_text() == link.inner_text()
    assert link.get_attribute("aria-describedby") == "preview"
    assert_sound(reader)

    preview.hover()  # it can be read with the mouse on it
    rest(reader)
    assert preview.is_visible()
    page.keyboard.press("Escape")
    assert not preview.is_visible()

    focus(link)
    assert preview.is_visible()
    page.keyboard.press("Escape")
    assert not preview.is_visible()
    assert link.evaluate("e => e === document.activeElement")

    link.blur()
    focus(link)
    assert preview.is_visible()
    link.blur()
    assert not preview.is_visible()


def test_a_figure_shows_with_its_caption(reader):
    preview = reader.page.locator("#preview")
    focus(reference(reader, FIGURE))
    image = preview.locator("img:visible")
    image.evaluate("e => e.decode()")
    assert image.count() == 1
    assert image.get_attribute("alt") == reader.page.locator(FIGURE + " img").first.get_attribute(
        "alt"
    )
    assert preview.locator("figcaption").inner_text().startswith("Fig. ")
    assert preview.locator("a[href], button, [tabindex]").count() == 0
    assert_sound(reader)


def test_a_citation_shows_the_entry_of_the_bibliography(reader, site):
    links = reader.page.locator('article a[href^="references.html#"]')
    entries = BeautifulSoup(
        (site / "chapters" / "references.html").read_text(encoding="utf-8"), "html.parser"
    )
    assert links.count()
    for i in range(links.count()):
        focus(links.nth(i))
        assert not links.nth(i).get_attribute("title"), "the browser would show it, too"
        entry = entries.find(id=links.nth(i).get_attribute("href").split("#")[1]).p.get_text()
        assert reader.page.locator("#preview").inner_text() == " ".join(entry.split())
    assert_sound(reader)


def test_a_figure_of_another_page_shows(reader):
    link = reader.page.locator('article a.reference.internal[href*=".html#fig-"]').first
    before = set(reader.loaded)
    focus(link)
    image = reader.page.locator("#preview img:visible")
    image.evaluate("e => e.decode()")
    assert {Path(url).suffix for url in set(reader.loaded) - before} <= {".webp"}
    caption = reader.page.locator("#preview figcaption").inner_text()
    assert caption.startswith(link.inner_text())
    assert_sound(reader)


def test_a_mouse_that_passes_by_opens_nothing_and_one_that_leaves_closes(browser, server):
    context = browser.new_context()
    reader = Reader(context, server)
    reader.open(PAGE)
    link, preview = reference(reader, EQUATION), reader.page.locator("#preview")
    link.hover()
    reader.page.mouse.move(5, 5)
    rest(reader)
    assert not preview.is_visible()
    link.hover()
    rest(reader)
    assert preview.is_visible()
    reader.page.mouse.move(5, 5)
    rest(reader)
    assert not preview.is_visible()
    context.close()


def test_a_finger_follows_the_link(browser, server):
    context = browser.new_context(has_touch=True, viewport={"width": 390, "height": 844})
    reader = Reader(context, server)
    reader.open(PAGE)
    link = reference(reader, EQUATION)
    link.dispatch_event("pointerenter", {"pointerType": "touch"})  # as while it is pressed
    rest(reader)
    assert not reader.page.locator("#preview").is_visible()
    link.tap()
    rest(reader)
    assert reader.page.url.endswith(EQUATION)
    assert not reader.page.locator("#preview").is_visible()
    context.close()


def test_previews_come_from_the_disk_too_and_are_not_printed(browser, site):
    context = browser.new_context()
    reader = Reader(context, site.as_uri() + "/")
    reader.open(PAGE)
    focus(reference(reader, EQUATION))
    assert reader.page.locator("#preview .katex").is_visible()
    reader.page.emulate_media(media="print")
    assert not reader.page.locator("#preview").is_visible()
    assert not reader.problems
    context.close()


# --- what the build puts on a page


@pytest.fixture(scope="module")
def previews():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "_ext")
        return importlib.import_module("previews")


def test_what_another_page_shows_stands_in_the_page(previews):
    other = """
      <div class="math" id="equation-one"><span class="eqno">(1.2)
      <a class="headerlink" href="#">#</a></span>
      <span class="katex"><a id="x" href="#y">E = mc²</a></span></div>
      <figure id="fig-one"><img alt="A line" src="../_images/a.webp"><figcaption>Fig.</figcaption>
      </figure><p id="text">Text.</p>"""

    def shown(place):
        target = BeautifulSoup(other, "html.parser")
        target.page = "chapters/other.html"
        return previews.preview("exercises/release/set/set.html", place, target)

    equation = shown("equation-one")
    assert equation.startswith('<template id="preview-equation-one"><div class="math">')
    assert "E = mc²" in equation
    assert not re.search('headerlink|href|id="[xe]', equation)
    assert 'src="../../../_images/a.webp"' in shown("fig-one")
    assert not shown("text")
    assert not shown("nowhere")


# --- figures at full size


def test_a_figure_opens_at_full_size_on_a_phone(browser, server):
    for scheme in ("light", "dark"):
        context = browser.new_context(**SCREENS["phone"] | {"color_scheme": scheme})
        reader = Reader(context, server)
        reader.open(PAGE)
        figure = reader.page.locator(FIGURE)
        button = figure.get_by_role("button", name="Enlarge Fig.")
        small = figure.locator("img:visible").bounding_box()["width"]
        button.focus()
        reader.page.keyboard.press("Enter")
        large = reader.page.locator("dialog.large img:visible")
        large.evaluate("e => e.decode()")
        text = 10 / 72 / 6.4  # of a figure's width: 10 pt in 6.4 inches
        width = large.bounding_box()["width"]
        print(f"text in the figure: {text * small:.1f} px, enlarged {text * width:.1f} px")
        assert text * width > 14
        assert_sound(reader)
        before = reader.page.evaluate("document.querySelector('dialog.large .sheet').scrollLeft")
        reader.page.keyboard.press("Tab")
        for _ in range(3):
            reader.page.keyboard.press("ArrowRight")
        rest(reader)
        after = reader.page.evaluate("document.querySelector('dialog.large .sheet').scrollLeft")
        assert after > before, "the arrows scroll it"
        reader.page.keyboard.press("Escape")
        assert not large.is_visible()
        assert button.evaluate("e => e === document.activeElement")
        assert not reader.problems
        context.close()


def test_on_a_desk_figures_need_no_button(browser, server):
    context = browser.new_context(**SCREENS["light"])
    reader = Reader(context, server)
    reader.open(PAGE)
    assert not reader.page.locator(".enlarge").locator("visible=true").count()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_of_two_versions_of_a_figure_one_is_loaded(browser, server, scheme):
    context = browser.new_context(**SCREENS[scheme])
    reader = Reader(context, server)
    reader.open(PAGE)
    reader.page.locator(FIGURE).scroll_into_view_if_needed()
    rest(reader)
    pictures = [url for url in reader.loaded if url.endswith(".webp")]
    assert pictures
    assert all(url.endswith("-dark.webp") == (scheme == "dark") for url in pictures)
    context.close()

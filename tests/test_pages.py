"""Every page of the site in the light, in the dark, on a phone, on paper, with the keyboard.

`tools/site_check.py` visits them, and `test_gates.py` shows that it finds what is wrong.
"""

import json

import pytest

from tools import site_check
from tools.browsing import Reader


@pytest.fixture(scope="module")
def visit(browser, site):
    visit = site_check.check(browser, site)
    site_check.find_leaks(visit)
    return visit


@pytest.mark.parametrize("kind", site_check.KINDS)
def test_the_pages_have_no(visit, kind):
    problems = visit.by_kind(kind)
    assert not problems, "\n" + "\n".join(map(str, problems))


def test_the_colophon_shows_what_was_found(visit):
    stored = json.loads(site_check.STORED.read_text(encoding="utf-8"))
    different = list(site_check.differences(stored, visit))
    assert not different, "run `make colophon`:\n" + "\n".join(different)


@pytest.fixture
def reader(request, browser, server):
    context = browser.new_context(viewport=request.param, reduced_motion="reduce")
    reader = Reader(context, server)
    reader.open("chapters/sgd.html")
    yield reader
    assert not reader.problems
    context.close()


def focused(page, selector):
    return page.locator(selector).evaluate("e => e.contains(document.activeElement)")


@pytest.mark.parametrize("reader", [site_check.DESK], indirect=True)
def test_the_first_link_skips_to_the_text(reader):
    page = reader.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to main content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page, "main")


@pytest.mark.parametrize("reader", [site_check.DESK, site_check.PHONE], indirect=True)
def test_the_search_opens_and_closes_by_keyboard(reader):
    page = reader.page
    dialog = page.locator("dialog:has(input[type=search])")
    page.keyboard.press("Control+k")
    assert dialog.is_visible()
    assert focused(page, "dialog:has(input[type=search])")
    page.keyboard.type("momentum")
    page.keyboard.press("Escape")
    assert dialog.is_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type("momentum")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a")


@pytest.mark.parametrize("reader", [site_check.PHONE], indirect=True)
@pytest.mark.parametrize("side", ["primary", "secondary"])
def test_the_contents_open_and_close_by_keyboard_on_a_phone(reader, side):
    page = reader.page
    button = page.locator(f"button.{side}-toggle:visible")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.locator(f"dialog#pst-{side}-sidebar-modal")
    assert dialog.is_visible()
    page.keyboard.press("Tab")
    assert focused(page, f"dialog#pst-{side}-sidebar-modal")
    page.keyboard.press("Escape")
    assert dialog.is_hidden()
    page.wait_for_function(f"document.activeElement.matches('button.{side}-toggle')")


def test_the_first_file_leads_to_the_first_page(browser, site):
    context = browser.new_context()
    reader = Reader(context, site.as_uri() + "/")
    reader.open("index.html")  # waits until it has led on
    assert not reader.problems
    context.close()

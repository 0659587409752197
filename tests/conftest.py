"""The built site, a server for it and a browser, for the tests that read it as its readers do."""

import os

import pytest
from browsing import SITE, serve
from playwright.sync_api import sync_playwright

from tools.browser import NONE, launch


@pytest.fixture(scope="session")
def site():
    """Return the folder of the built site."""
    if not (SITE / "index.html").exists():
        pytest.fail(
            f"there is no site in {SITE.parent.name}/{SITE.name}: run `make book` first",
            pytrace=False,
        )
    return SITE


@pytest.fixture(scope="session")
def server(site):
    """Serve the site; the value is its address."""
    with serve(site) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    """Start a browser, or skip; where CI is set, a browser must be there."""
    with sync_playwright() as p:
        if not (browser := launch(p)):
            pytest.fail(NONE, pytrace=False) if os.environ.get("CI") else pytest.skip(NONE)
        yield browser
        browser.close()

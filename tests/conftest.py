"""The built site, a server for it and a browser, for the tests that read it as its readers do."""

import functools
import http.server
import os
import threading

import pytest
from browsing import SITE, Quiet
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
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=site)
    ) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()


@pytest.fixture(scope="session")
def browser():
    """Start a browser, or skip; where CI is set, a browser must be there."""
    with sync_playwright() as p:
        if not (browser := launch(p)):
            pytest.fail(NONE, pytrace=False) if os.environ.get("CI") else pytest.skip(NONE)
        yield browser
        browser.close()

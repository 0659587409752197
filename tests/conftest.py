"""The built site, a server for it and a browser, for the tests that read it as its readers do."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import pytest
from browsing import SITE, Quiet
from playwright.sync_api import sync_playwright


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
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as p:
        if not path and not Path(p.chromium.executable_path).exists():
            how = (
                "no browser: install Chromium, run `playwright install chromium`, "
                "or set CHROMIUM to its path"
            )
            pytest.fail(how, pytrace=False) if os.environ.get("CI") else pytest.skip(how)
        # Chromium's sandbox does not start for root, as in most containers.
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        browser = p.chromium.launch(executable_path=path, args=["--no-sandbox"] if root else [])
        yield browser
        browser.close()

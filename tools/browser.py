"""The browser that reads the site in the tests and prints the book."""

import os
import shutil
from pathlib import Path

from tools.live import NODE

# The one that Playwright brings wants a library (libatomic) that a small system has not.
os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(NODE))
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NONE = (
    "no browser: install Chromium, run `playwright install chromium`, or set CHROMIUM to its path"
)


def launch(playwright):
    """Start the machine's Chromium or Chrome; return None where there is neither."""
    chromium = playwright.chromium
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not path and not Path(chromium.executable_path).exists():
        return None
    # Chromium's sandbox does not start for root, as in most containers.
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return chromium.launch(executable_path=path, args=["--no-sandbox"] if root else [])

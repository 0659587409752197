"""The built site as a browser meets it: where it is, how it is served, and who reads it."""

import contextlib
import functools
import http.server
import threading
from pathlib import Path
from urllib.parse import urldefrag

SITE = Path(__file__).resolve().parents[1] / "_build" / "html"


class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open: a page is some thirty files

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serve(folder):
    """Serve a folder while the block runs; the value is its address."""
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()


class Reader:
    """A page of the browser that notes what goes wrong and lets nothing out."""

    def __init__(self, context, home):
        self.home, self.problems, self.loaded = home, [], {}
        self.page = context.new_page()
        self.page.on(
            "console",
            lambda m: m.type in {"error", "warning"} and self.problems.append(f"console: {m.text}"),
        )
        self.page.on("pageerror", lambda e: self.problems.append(f"script: {e}"))
        self.page.on(
            "response", lambda r: r.status >= 400 and self.problems.append(f"{r.status}: {r.url}")
        )
        self.page.on("requestfailed", self.failed)
        context.route("**/*", self.gate)

    def failed(self, request):
        """Note a file of the site that did not come, unless the page was left before it could."""
        if request.url.startswith(self.home) and "ERR_ABORTED" not in (request.failure or ""):
            self.problems.append(f"failed: {request.url}")

    def gate(self, route):
        """Let a request to the site pass, and no other."""
        url = route.request.url
        if url.startswith((self.home, "data:", "blob:")):
            self.loaded[urldefrag(url)[0].split("?")[0]] = route.request.resource_type
            route.continue_()
        else:
            self.problems.append(f"asks for {url}")
            route.abort()

    def open(self, name):
        """Open a page and wait until it is whole."""
        self.loaded.clear()
        self.page.goto(self.home + name)
        if name == "index.html":
            self.page.wait_for_url("**/chapters/index.html")
        self.page.wait_for_load_state("load")
        self.page.evaluate(
            "document.fonts.ready.then(() => new Promise(done => setTimeout(done, 100)))"
        )

"""Serve the built site as web hosts do, compressed: `python -m tools.serve [PORT]`.

Python's own server sends files as they are. A long chapter is 400 KB then, and 70 compressed.
"""

import functools
import gzip
import http.server
import io
import sys
from email.utils import formatdate
from pathlib import Path

SITE = Path(__file__).resolve().parents[1] / "_build" / "html"
TEXTS = ("text/", "application/javascript", "application/json", "image/svg+xml")


class Compressing(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open: a page is some twenty files

    def send_head(self):
        path = Path(self.translate_path(self.path))
        kind = self.guess_type(path)
        accepted = "gzip" in self.headers.get("Accept-Encoding", "")
        if not (accepted and path.is_file() and kind.startswith(TEXTS)):
            return super().send_head()
        data = gzip.compress(path.read_bytes())
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Last-Modified", formatdate(path.stat().st_mtime, usegmt=True))
        self.end_headers()
        return io.BytesIO(data)


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    handler = functools.partial(Compressing, directory=SITE)
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        sys.exit(f"Cannot serve on port {port}: {error.strerror}. Try: make serve PORT=8001")
    print(f"Serving on http://127.0.0.1:{port} until Ctrl-C.", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()

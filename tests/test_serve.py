"""`make serve` sends what is on the disk, texts compressed where the browser allows it."""

import functools
import gzip
import http.client
import http.server
import threading

import pytest

from tools.serve import Compressing


@pytest.fixture
def address(tmp_path):
    (tmp_path / "page.html").write_text("<p>" + 500 * "gradient " + "</p>", encoding="utf-8")
    (tmp_path / "font.woff2").write_bytes(bytes(range(256)))

    class Quiet(Compressing):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address
        server.shutdown()


def get(address, path, **headers):
    connection = http.client.HTTPConnection(*address)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_texts_are_compressed_and_whole(address, tmp_path):
    answer, body = get(address, "/page.html?v=1", **{"Accept-Encoding": "gzip, br"})
    assert answer.status == 200
    assert answer.getheader("Content-Type").startswith("text/html")
    assert answer.getheader("Content-Encoding") == "gzip"
    assert gzip.decompress(body) == (tmp_path / "page.html").read_bytes()
    assert len(body) < 300


def test_what_cannot_be_compressed_is_sent_as_it_is(address, tmp_path):
    for path, headers in (("/font.woff2", {"Accept-Encoding": "gzip"}), ("/page.html", {})):
        answer, body = get(address, path, **headers)
        assert answer.getheader("Content-Encoding") is None
        assert body == (tmp_path / path[1:]).read_bytes()


def test_what_is_not_there_is_not_found(address):
    assert get(address, "/nothing.html", **{"Accept-Encoding": "gzip"})[0].status == 404

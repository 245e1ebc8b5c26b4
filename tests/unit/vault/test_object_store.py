"""An object whose connection breaks is taken up again, and never put together of two versions; how listings read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from orchestrator.errors import Unreachable
from orchestrator.vault.objects import ObjectStore, parse_look
from orchestrator.vault.s3 import Credential

CONTENT = bytes(range(256)) * 40


class Breaking(ThreadingHTTPServer):
    """Sends a part of the object and closes; `changes` lets the object be another one from the second request on."""

    daemon_threads = True
    changes = False
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Breaking
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        span = self.headers.get("range")
        start = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        self.server.asked.append(span)
        etag = "two" if self.server.changes and span else "one"
        self.send_response(206 if span else 200)
        for name, value in (("etag", f'"{etag}"'), ("last-modified", "Tue, 17 Mar 2026 08:30:05 GMT")):
            self.send_header(name, value)
        self.send_header("content-length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : start + 4000])
        self.close_connection = True

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing: the test says what it wants to know."""


@pytest.fixture
def server() -> Iterator[Breaking]:
    with Breaking(("127.0.0.1", 0), Handler) as made:
        made.asked = []
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def read(server: Breaking) -> bytes:
    store = ObjectStore(
        "production", f"http://127.0.0.1:{server.server_port}", "us-east-1", "app", Credential("a", "b")
    )
    with store.open("k") as found:
        assert found.headers == {"content-type": "binary/octet-stream"}  # what S3 makes of none
        return b"".join(found.pieces)


def test_a_broken_connection_is_taken_up_where_it_broke(server: Breaking) -> None:
    assert read(server) == CONTENT
    assert server.asked == [None, "bytes=4000-", "bytes=8000-"]


def test_two_versions_never_become_one_object(server: Breaking) -> None:
    server.changes = True
    with pytest.raises(Unreachable, match="changed while a broken connection"):
        read(server)


def test_keys_of_a_listing_are_unquoted_only_where_the_store_quotes() -> None:
    page = (
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{said}<Contents><Key>a+b%2F%E6%96%87</Key>'
        "<ETag>&#34;5d41&#34;</ETag><Size>5</Size><LastModified>2026-11-23T00:58:51Z</LastModified></Contents>"
        "</ListBucketResult>"
    )
    ((quoted,), none) = parse_look(page.format(said="<EncodingType>url</EncodingType>").encode())
    ((plain,), _) = parse_look(page.format(said="").encode())
    assert (quoted.key, quoted.etag, none) == ("a b/文", "5d41", None)
    assert plain.key == "a+b%2F%E6%96%87"

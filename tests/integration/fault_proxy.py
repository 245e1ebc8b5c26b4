"""A proxy in front of a real cloud, through which a seeded part of all requests goes wrong.

It listens at a port of its own for each service, and gives itself for the services in the catalogue that Keystone hands
out. What it answers without asking the service has no effect there; what it cuts off afterwards has.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

#: What may happen to a request. `cut-before` never reaches the service; `cut-after` did all that it was to do.
KINDS = ("409", "429", "500", "503", "401", "cut-before", "cut-after", "late")
LATE_SECONDS = 0.5
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "host", "content-length", "accept-encoding"})
BODIES = {
    401: {"error": {"code": 401, "title": "Unauthorized", "message": "the token has expired"}},
    409: {"error": {"code": 409, "title": "Conflict", "message": "try again"}},
    429: {"error": {"code": 429, "title": "Too Many Requests", "message": "slowly"}},
    500: {"error": {"code": 500, "title": "Internal Server Error", "message": "broken"}},
    503: {"error": {"code": 503, "title": "Service Unavailable", "message": "restarting"}},
}


class Faults:
    """Which requests go wrong, and how: decided by a seed, one in `every` on the average, at most `limit` in all."""

    def __init__(self, seed: int, *, every: int, limit: int) -> None:
        self.happened: Counter[str] = Counter()
        self._random, self._lock = random.Random(seed), threading.Lock()
        self._every, self._left = every, limit

    def next(self) -> str | None:
        with self._lock:
            if not self._left or self._random.randrange(self._every):
                return None
            self._left -= 1
            kind = self._random.choice(KINDS)
            self.happened[kind] += 1
            return kind


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faults: ClassVar[Faults]
    service: ClassVar[tuple[str, int]]
    #: `host:port` of each service, and where the proxy stands for it.
    names: ClassVar[Mapping[str, str]]

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.faults.next()
        if kind == "401" and self.path.endswith("/auth/tokens"):
            kind = "503"  # a login that is refused is refused for good, and is no expired token
        if kind is not None and kind.isdigit():
            self._answer(
                int(kind), {"Retry-After": "1"} if kind == "429" else {}, json.dumps(BODIES[int(kind)]).encode()
            )
            return
        if kind == "cut-before":
            self._cut()
            return
        if kind == "late":
            time.sleep(LATE_SECONDS)
        status, headers, answer = self._forward(body)
        if kind == "cut-after":
            self._cut()
            return
        self._answer(status, headers, answer)

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(*self.service, timeout=60)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            connection.request(self.command, self.path, body or None, {**headers, "Connection": "close"})
            response = connection.getresponse()
            answer = response.read()
            told = {
                name: self._renamed(value) for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP
            }
            return response.status, told, self._renamed(answer.decode()).encode()
        finally:
            connection.close()

    def _renamed(self, text: str) -> str:
        for service, proxy in self.names.items():
            text = text.replace(service, proxy)
        return text

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Type" not in headers:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


for _method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
    setattr(_Handler, f"do_{_method}", _Handler._serve)


@contextmanager
def fault_proxy(services: Mapping[str, str], faults: Faults) -> Iterator[dict[str, str]]:
    """Stand in front of services, given as `host:port` by name, and yield `host:port` of each as it is reached here."""
    names: dict[str, str] = {}
    servers = []
    for each in services.values():
        host, port = urlsplit(f"//{each}").hostname, urlsplit(f"//{each}").port
        handler = type("Handler", (_Handler,), {"faults": faults, "service": (host, port), "names": names})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        names[each] = f"127.0.0.1:{server.server_port}"
        servers.append(server)
    threads = [threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.05}) for each in servers]
    for thread in threads:
        thread.start()
    try:
        yield {name: names[each] for name, each in services.items()}
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()

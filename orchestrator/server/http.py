"""The HTTP server of the metrics: a few pages, one thread for each request, no request without an end."""

from __future__ import annotations

import errno
import json
import logging
import socket
from collections.abc import Callable, Iterable
from html import escape
from http import HTTPStatus
from importlib.metadata import version
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from exporters.collector import TricenterCollector
from orchestrator.catalogue.reading import check_answers
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import InvalidInput, Refused, TricenterError
from policies.site import Site

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REQUEST_SECONDS = 15

PAGE = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>Tricenter · {title}</title>
<style>
body {{ font: 16px/1.7 "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; max-width: 40rem; margin: 4rem auto;
       padding: 0 1rem; color: #1c2733; }}
h1 {{ font-size: 1.4rem; margin-bottom: 0 }} p {{ margin-top: .2rem; color: #5b6b7b }} li {{ margin: .4rem 0 }}
a {{ color: #0b5cad }}
</style></head><body>
<h1>{title}</h1>
<p>两地三中心 Tricenter {version}</p>
<ul>
<li><a href="/metrics">/metrics</a> 指标 for Prometheus</li>
<li><a href="/healthz">/healthz</a> 健康检查 200 when the catalogue answers, 503 otherwise</li>
</ul>
</body></html>
"""

log = logging.getLogger(__name__)


class _Handler(WSGIRequestHandler):
    """One request. A client that is silent for too long is hung up on."""

    timeout = REQUEST_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
        log.debug("%s %s", self.address_string(), format % args)

    def address_string(self) -> str:
        return str(self.client_address[0])


class Server(ThreadingMixIn, WSGIServer):
    """Serves from construction on, once `serve_forever` runs. `url` is where."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str, port: int, application: WSGIApplication) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self.set_app(application)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are, which the base class does and which may hang."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is no error of ours: one line for those who debug."""
        log.debug("request of %s ended early", client_address, exc_info=True)

    @property
    def url(self) -> str:
        host, port = str(self.server_name), self.server_port
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def open_server(host: str, port: int, site: Site, catalogue: Catalogue) -> Server:
    """Return a server that listens. Raises Refused when the port is taken or may not be used, InvalidInput for a host
    that is not this machine's.
    """
    try:
        return Server(host, port, application(site, catalogue))
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            why = "is in use by another program" if error.errno == errno.EADDRINUSE else "needs more rights"
            raise Refused(
                f"port {port} on {host} {why}", hint=f"choose another: tricenter serve --listen {host}:PORT"
            ) from error
        raise InvalidInput(
            f"cannot listen on {host}: {error.strerror or error}", hint="name an address of this machine: 127.0.0.1"
        ) from error


def application(site: Site, catalogue: Catalogue) -> WSGIApplication:
    """Return the WSGI application: / and /metrics and /healthz."""
    registry = CollectorRegistry()
    registry.register(TricenterCollector(site, catalogue))
    metrics = make_wsgi_app(registry)

    def pages(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        if path not in ("", "/", "/healthz"):
            return _answer(start_response, HTTPStatus.NOT_FOUND, "text/plain", "no such page; try /\n")
        if method not in ("GET", "HEAD"):
            return _answer(start_response, HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", "GET only\n")
        status, kind, body = _health(site, catalogue) if path == "/healthz" else _front(site)
        return _answer(start_response, status, kind, body, head=method == "HEAD")

    return pages


def _health(site: Site, catalogue: Catalogue) -> tuple[HTTPStatus, str, str]:
    status, facts = HTTPStatus.OK, {"status": "ok", "site": site.site, "version": version("tricenter")}
    try:
        check_answers(catalogue)
    except TricenterError as error:
        # Not the message: a database's own words may name hosts and users.
        log.warning("%s", error)
        status = HTTPStatus.SERVICE_UNAVAILABLE
        facts |= {"status": "the catalogue does not answer", "error": type(error.__cause__).__name__}
    return status, "application/json", json.dumps(facts, ensure_ascii=False) + "\n"


def _front(site: Site) -> tuple[HTTPStatus, str, str]:
    page = PAGE.format(title=escape(str(site.title)), version=escape(version("tricenter")))
    return HTTPStatus.OK, "text/html", page


def _answer(
    start_response: Callable[[str, list[tuple[str, str]]], object],
    status: HTTPStatus,
    kind: str,
    body: str,
    *,
    head: bool = False,
) -> list[bytes]:
    raw = body.encode()
    start_response(
        f"{status.value} {status.phrase}",
        [
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(raw))),
            ("Cache-Control", "no-store"),
        ],
    )
    return [] if head else [raw]

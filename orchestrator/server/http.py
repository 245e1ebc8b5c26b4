"""What the server shows without a token: a front page, the metrics, and whether it is well; and the API behind one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from html import escape
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from exporters.collector import TricenterCollector
from exporters.exposition import only
from orchestrator.catalogue.reading import check_answers
from orchestrator.errors import TricenterError
from orchestrator.server.answers import HEADERS, explain_request
from orchestrator.server.api import Api
from orchestrator.server.control import Served

#: An engine whose beat has not changed for so long is not ready: other workers have taken its
#: runs over by then.
SILENT_SECONDS = 15.0
OPENMETRICS = "application/openmetrics-text"

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
<li><a href="/readyz">/readyz</a> 就绪检查 200 when this process's engine is at work, 503 otherwise</li>
{more}</ul>
</body></html>
"""
API_LINE = (
    "<li>/api/v1 任务接口，需令牌 the API of runs, for those who have its token: <code>tricenter run</code></li>\n"
)

log = logging.getLogger(__name__)


def application(served: Served) -> Starlette:
    """Return the ASGI application: / /metrics /healthz /readyz, and /api/v1 when there is something to control."""
    pages = _Pages(served)
    routes: list[BaseRoute] = [
        Route("/", pages.front),
        Route("/metrics", pages.metrics),
        Route("/healthz", pages.health),
        Route("/readyz", pages.ready),
    ]
    if served.control:
        routes += Api(served.catalogue, served.control).routes()
    handlers: dict[Any, Callable[[Request, Exception], Response]] = {
        HTTPException: explain_request,
        Exception: explain_request,
    }
    return Starlette(routes=routes, exception_handlers=handlers)


class _Pages:
    """Each is no coroutine, so that Starlette runs it in a thread: all of them ask the catalogue."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._collector = TricenterCollector(served.site, served.catalogue)
        self._pulse = Pulse()

    def front(self, request: Request) -> Response:
        title, more = escape(str(self._served.site.title)), API_LINE if self._served.control else ""
        return HTMLResponse(PAGE.format(title=title, version=escape(version("tricenter")), more=more), headers=HEADERS)

    def metrics(self, request: Request) -> Response:
        """In the format that is asked for; only the series of `name[]` where some are named."""
        _, kind = choose_encoder(request.headers.get("Accept", ""))
        shown, headers = self._collector.scrape(openmetrics=OPENMETRICS in kind), HEADERS | {"Content-Type": kind}
        names = request.query_params.getlist("name[]")
        if names or "gzip" not in request.headers.get("Accept-Encoding", ""):
            return Response(only(shown.text(), names) if names else shown.text(), headers=headers)
        return Response(shown.gzip(), headers=headers | {"Content-Encoding": "gzip"})

    def health(self, request: Request) -> Response:
        """200 when the catalogue answers. Of the engine nothing: to start a process anew heals no database."""
        return self._told(self._trouble())

    def ready(self, request: Request) -> Response:
        """200 when the catalogue answers and the engine of this process, when it has one, is at work."""
        return self._told(self._trouble() or self._engine_trouble())

    def _trouble(self) -> str:
        try:
            check_answers(self._served.catalogue)
        except TricenterError as error:
            # Not the message: a database's own words may name hosts and users.
            log.warning("%s", error)
            return "the catalogue does not answer"
        return ""

    def _engine_trouble(self) -> str:
        engine = self._served.engine
        if engine is None:
            return ""
        beats = [each.beat_at for each in self._served.catalogue.workers() if each.id == engine.id]
        if not beats:
            return "the engine is not enlisted"
        silent = self._pulse.seconds_since(beats[0])
        return f"the engine has been silent for {silent:.0f} s" if silent > SILENT_SECONDS else ""

    def _told(self, trouble: str) -> Response:
        facts = {"status": trouble or "ok", "site": self._served.site.site, "version": version("tricenter")}
        return JSONResponse(facts, HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.OK, HEADERS)


class Pulse:
    """How long a beat has stood still, by this process's own clock: the database's may differ from it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: tuple[Any, float] | None = None

    def seconds_since(self, beat: Any) -> float:
        """Return the seconds since another beat than this one was seen, or this one first."""
        moment = self._clock()
        if self._last is None or self._last[0] != beat:
            self._last = (beat, moment)
        return moment - self._last[1]

"""A port that listens, and uvicorn behind it: in a thread, so that signals stay with the process's main one."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from types import TracebackType

import h11
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from orchestrator.errors import InvalidInput, Refused, TricenterError

#: A client that does not get its request across in so long is hung up on.
REQUEST_SECONDS = 15
#: Connections at once; beyond it a request is answered with 503.
MOST_CONNECTIONS = 512
WAITING_CONNECTIONS = 128
START_SECONDS = 15
GOODBYE_SECONDS = 3


class _Protocol(H11Protocol):
    """One connection. uvicorn itself would wait for ever for a request that was begun."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose_patience()
        super().connection_lost(exc)

    def _await_request(self) -> None:
        unfinished = self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if unfinished and self._patience is None:
            self._patience = self.loop.call_later(REQUEST_SECONDS, self.transport.close)
        elif not unfinished:
            self._lose_patience()

    def _lose_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def listen_on(host: str, port: int) -> socket.socket:
    """Return a socket that is bound. Raises Refused when the port is taken or may not be used, InvalidInput for a
    host that is not this machine's.
    """
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(WAITING_CONNECTIONS)
    except OSError as error:
        made.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            why = "is in use by another program" if error.errno == errno.EADDRINUSE else "needs more rights"
            raise Refused(
                f"port {port} on {host} {why}", hint=f"choose another: tricenter serve --listen {host}:PORT"
            ) from error
        raise InvalidInput(
            f"cannot listen on {host}: {error.strerror or error}", hint="name an address of this machine: 127.0.0.1"
        ) from error
    return made


class HttpServer:
    """Serves an application on a bound socket from entering to leaving."""

    def __init__(self, application: Starlette, bound: socket.socket) -> None:
        self._socket = bound
        for name in ("uvicorn", "uvicorn.error"):
            logging.getLogger(name).setLevel(logging.ERROR)  # that a client sends rubbish is its own trouble
        self._server = uvicorn.Server(
            uvicorn.Config(
                application,
                http=_Protocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=GOODBYE_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([bound],), name="http", daemon=True)

    @property
    def url(self) -> str:
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def __enter__(self) -> HttpServer:
        self._thread.start()
        moments = threading.Event()
        for _ in range(START_SECONDS * 50):
            if self._server.started or not self.alive:
                break
            moments.wait(0.02)
        if not self._server.started:
            raise TricenterError("the HTTP server did not start", hint="run it again with --debug to see where")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(GOODBYE_SECONDS + 2)
        self._socket.close()

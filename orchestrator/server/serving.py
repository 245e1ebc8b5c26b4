"""`tricenter serve` and `tricenter worker`: the processes that stay."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Literal

import click

from orchestrator.errors import Interrupted, Refused, TricenterError
from orchestrator.notify.courier import Courier
from orchestrator.notify.pulse import Pulse
from orchestrator.server.control import Control, Served
from orchestrator.server.http import application
from orchestrator.server.listening import HttpServer, listen_on
from orchestrator.server.who import own_token, token_file

if TYPE_CHECKING:
    from orchestrator.app import App
    from orchestrator.engine.worker import Worker

DEFAULT_LISTEN = "127.0.0.1:15090"
DEFAULT_JOBS = 4
GRACE_SECONDS = 20.0
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Address(click.ParamType[tuple[str, int]]):
    """HOST:PORT; an IPv6 host stands in brackets."""

    name = "host:port"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, colon, port = value.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not (colon and host and port.isascii() and port.isdigit() and int(port) <= 65535):
            self.fail(f"{value!r} is no HOST:PORT, such as {DEFAULT_LISTEN}", param, ctx)
        return host, int(port)


_jobs = click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=DEFAULT_JOBS,
    show_default=True,
    help="同时执行几个任务 runs at a time",
)
_no_schedule = click.option("--no-schedule", is_flag=True, help="不按计划排队 queue nothing by the schedule")


@click.command()
@click.option(
    "--listen",
    type=Address(),
    default=DEFAULT_LISTEN,
    show_default=True,
    envvar="TRICENTER_LISTEN",
    show_envvar=True,
    help="监听地址 where to listen",
)
@_jobs
@_no_schedule
@click.option("--metrics-only", is_flag=True, help="只出指标，不执行任务 pages and metrics only: no engine and no API")
@click.pass_obj
def serve(app: App, listen: tuple[str, int], jobs: int, no_schedule: bool, metrics_only: bool) -> None:
    """服务：任务引擎、计划、接口与指标 the engine, the schedule, the API and the metrics in one process.

    Serves until ctrl-C or SIGTERM, which hand the runs back to the queue: the next server goes on with them. A second
    ctrl-C ends at once. Reads the site once: start it anew after the site has changed.
    """
    with ExitStack() as stack:
        bound = stack.enter_context(listen_on(*listen))
        if metrics_only:
            _stay(app, None, bound, Served(app.site, app.catalogue))
            return
        if _on_sqlite(app):
            from orchestrator.engine.lockfile import hold

            stack.enter_context(hold(app.state))
        control = Control(app.ledger, app.flows, app, own_token(app.secrets_folder), app.site.approval)
        worker = _worker(app, "server", jobs, no_schedule)
        app.console.print(f"令牌 token {token_file(app.secrets_folder)}", soft_wrap=True)
        _stay(app, worker, bound, Served(app.site, app.catalogue, control, worker))


@click.command()
@click.option("--listen", type=Address(), help="指标与探活的地址 where to show metrics and health, if anywhere")
@_jobs
@_no_schedule
@click.pass_obj
def worker(app: App, listen: tuple[str, int] | None, jobs: int, no_schedule: bool) -> None:
    """执行者：任务引擎与计划，可在多台机器上各开若干 the engine and the schedule, any number on any machines.

    For a catalogue on PostgreSQL. Works until ctrl-C or SIGTERM, which hand its runs back to the queue. A second ctrl-C
    ends at once.
    """
    if _on_sqlite(app):
        raise Refused(
            "workers share a catalogue on PostgreSQL, and this one is a SQLite file",
            hint="export TRICENTER_DATABASE_URL=postgresql://…; or let one server do it all: tricenter serve",
        )
    with ExitStack() as stack:
        bound = stack.enter_context(listen_on(*listen)) if listen else None
        engine = _worker(app, "worker", jobs, no_schedule)
        _stay(app, engine, bound, Served(app.site, app.catalogue, engine=engine))


def _worker(app: App, kind: Literal["server", "worker"], jobs: int, no_schedule: bool) -> Worker:
    from orchestrator.engine.worker import Worker

    return Worker(app, kind=kind, jobs=jobs, schedule=not no_schedule)


def _on_sqlite(app: App) -> bool:
    return app.catalogue.url.startswith("sqlite")


def _stay(app: App, engine: Worker | None, bound: socket.socket | None, served: Served) -> None:
    """Work and serve until a signal asks for the end."""
    with Signals() as signals, ExitStack() as stack:
        if engine:
            engine.start()
            stack.callback(engine.stop, GRACE_SECONDS)
            stack.enter_context(Courier(app))
            stack.enter_context(Pulse(app, engine))
            app.console.print(f"执行者 worker {engine.id}", soft_wrap=True)
        http = stack.enter_context(HttpServer(application(served), bound)) if bound else None
        if http:
            app.console.print(f"正在监听 listening on {http.url}", soft_wrap=True)
        while not signals.asked:
            time.sleep(0.1)
            if http and not http.alive:
                raise TricenterError("the HTTP server ended by itself", hint="look at the log; start it again")
        app.console.print("正在停止 stopping; once more ends at once")
    app.console.print("已停止 stopped")


class Signals:
    """While it is entered, SIGINT and SIGTERM ask for a polite end, and the second of them ends the process."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Signals:
        self._before = [signal.signal(each, self._hear) for each in SIGNALS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, before in zip(SIGNALS, self._before, strict=True):
            signal.signal(each, before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            os._exit(Interrupted.exit_code)
        self.asked = True

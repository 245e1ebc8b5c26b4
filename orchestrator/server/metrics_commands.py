"""`tricenter metrics`: the metrics of `serve`, for where nothing stays to be scraped."""

from __future__ import annotations

import os
import time
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import click
from prometheus_client import CollectorRegistry, delete_from_gateway, generate_latest, push_to_gateway
from prometheus_client.exposition import basic_auth_handler, default_handler

from exporters.collector import TricenterCollector
from exporters.written import Written, read_whole
from orchestrator.errors import CheckFailed, CredentialRefused, InvalidInput, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prometheus_client.metrics_core import Metric as Family

    from orchestrator.app import App

JOB = "tricenter"
SUFFIX = ".prom"
#: A catalogue of thousands of systems is read within this.
READ_SECONDS = 120.0
PUSH_SECONDS = 30.0
#: A draft that nobody has put in its place for so long was left by somebody who was killed.
DRAFT_SECONDS = 3600.0
MODE = 0o644

_textfile = click.option(
    "--textfile", type=click.Path(path_type=Path, dir_okay=False), metavar="PATH.prom", help="textfile 采集器读的文件"
)
_push = click.option("--push", metavar="URL", help="Pushgateway 地址 its address, without user or password")
_credential = click.option(
    "--push-credential", metavar="REF", help="引用 env:NAME or file:PATH of USER:PASSWORD, where the gateway wants one"
)


@click.group()
def metrics() -> None:
    """指标：写文件或推送，供一次性任务使用 metrics for one-shot runs: written to a file, or pushed.

    A server needs neither: Prometheus scrapes /metrics of `tricenter serve`.
    """


@metrics.command()
@_textfile
@_push
@_credential
@click.option("--dry-run", is_flag=True, help="只打印 print them and write nothing")
@click.pass_obj
def write(app: App, textfile: Path | None, push: str | None, push_credential: str | None, dry_run: bool) -> None:
    """把 serve 的全部指标写入文件或推送到 Pushgateway，整批替换。

    Write all metrics that a server would show, in the place of those of before: to a file for node_exporter's textfile
    collector, to a Pushgateway (job="tricenter", site=NAME), or both. When the catalogue does not answer, what was
    written before is taken away, for it does not hold any more; exit code 6.
    """
    _named(textfile, push, dry_run=dry_run)
    gateway = _Gateway(app, push, push_credential) if push else None
    seen, registry = _read(app), CollectorRegistry()
    registry.register(Written(seen, time.time()))
    if dry_run:
        click.echo(generate_latest(registry), nl=False)
    if textfile and not dry_run:
        replace_file(textfile, generate_latest(registry))
    if gateway and not dry_run:
        gateway.push(registry)
    if not seen:
        raise Unreachable(
            "the catalogue could not be read: of what was written before nothing is left",
            hint="look at TRICENTER_DATABASE_URL; then write again",
        )
    if not dry_run:
        app.progress_console.print(f"已写出指标 metrics written: {textfile or ''} {push or ''}".rstrip(), markup=False)


@metrics.command()
@_textfile
@_push
@_credential
@click.option("--dry-run", is_flag=True, help="只说明 only say what would be taken away")
@click.pass_obj
def withdraw(app: App, textfile: Path | None, push: str | None, push_credential: str | None, dry_run: bool) -> None:
    """撤回写出的指标 take away what was written: when nothing writes it any more. May be repeated."""
    _named(textfile, push)
    gateway = _Gateway(app, push, push_credential) if push else None
    if dry_run:
        app.console.print(f"将撤回 would take away: {textfile or ''} {push or ''}".rstrip(), markup=False)
        return
    if textfile:
        textfile.unlink(missing_ok=True)
    if gateway:
        gateway.withdraw()
    app.progress_console.print("已撤回 taken away")


def _read(app: App) -> list[Family]:
    try:
        catalogue = app.catalogue
    except Unreachable as error:
        app.progress_console.print(f"{error}", style="yellow", markup=False)
        return []
    return read_whole(TricenterCollector(app.site, catalogue), READ_SECONDS)


def _named(textfile: Path | None, push: str | None, *, dry_run: bool = False) -> None:
    if not (textfile or push or dry_run):
        raise click.UsageError("name where: --textfile PATH.prom, --push URL, or both")
    if textfile and textfile.suffix != SUFFIX:
        raise InvalidInput(
            f"{textfile} would not be read: node_exporter reads files that end in {SUFFIX} only",
            hint=f"--textfile {textfile.with_suffix(SUFFIX)}",
        )
    if push:
        address = urlsplit(push)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise InvalidInput("--push wants a URL such as http://pushgateway:9091")
        if address.username or address.password:
            raise InvalidInput(
                "a password in --push is seen by every user of this machine",
                hint="--push http://HOST:PORT --push-credential env:NAME, where NAME holds USER:PASSWORD",
            )


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` in the place of a file, whole or not at all, readable by all. What killed writers left is removed.

    Raises InvalidInput where it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{token_hex(4)}")  # does not end in .prom, so nobody reads half of it
    try:
        for old in path.parent.glob(f".{path.name}.*"):
            if time.time() - old.stat().st_mtime > DRAFT_SECONDS:
                old.unlink(missing_ok=True)
        with draft.open("xb") as sink:
            os.fchmod(sink.fileno(), MODE)  # whatever the umask is: another user reads it
            sink.write(content)
            sink.flush()
            os.fsync(sink.fileno())
        draft.replace(path)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written: {error.strerror}", hint="the folder must be there, and be ours to write"
        ) from None


class _Gateway:
    """A Pushgateway, and the group in it that is ours."""

    def __init__(self, app: App, url: str, credential: str | None) -> None:
        self._url, self._group = url.rstrip("/"), {"site": app.site.site}
        self._user, self._password = "", ""
        if credential:
            self._user, _, self._password = app.secret(credential).reveal().partition(":")

    def push(self, registry: CollectorRegistry) -> None:
        """Replace the group by these metrics: what is not among them is gone."""
        self._ask(lambda: push_to_gateway(self._url, JOB, registry, self._group, PUSH_SECONDS, self._handler))

    def withdraw(self) -> None:
        self._ask(lambda: delete_from_gateway(self._url, JOB, self._group, PUSH_SECONDS, self._handler))

    def _handler(self, **asked: Any) -> Callable[[], None]:
        known: Mapping[str, Any] = asked
        if self._user:
            return basic_auth_handler(**known, username=self._user, password=self._password)
        return default_handler(**known)

    def _ask(self, act: Callable[[], None]) -> None:
        try:
            act()
        except HTTPError as error:
            if error.code in (401, 403):
                raise CredentialRefused(
                    f"the Pushgateway {self._url} wants another credential ({error.code})",
                    hint="--push-credential env:NAME, where NAME holds USER:PASSWORD",
                ) from None
            said = error.read(300).decode(errors="replace")
            raise CheckFailed(f"the Pushgateway {self._url} refused: {error.code} {said}".strip()) from None
        except OSError as error:
            raise Unreachable(
                f"the Pushgateway {self._url} does not answer: {getattr(error, 'reason', error)}"
            ) from None

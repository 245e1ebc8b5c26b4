"""Looks what there is to tell, and tells it: one sender at a time, whoever it is, and never in the way of a run.

A lease of the catalogue lets one process look and send; who finds it taken leaves it to that one. What is lost with a
process that is killed is nothing but time: see `orchestrator.catalogue.notices` for what stands where.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection

from orchestrator.catalogue import leases, notices
from orchestrator.catalogue.database import clock, patient, serialise, writing
from orchestrator.catalogue.news import read_news
from orchestrator.catalogue.notices import Message, Notice, Telling
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import Busy, TricenterError
from orchestrator.notify.words import Rendered, Style, render
from orchestrator.secrets import Secret
from policies.notifications import Channel
from policies.site import Site
from policies.windows import zone

if TYPE_CHECKING:
    from orchestrator.notify.channels import Way

LEASE = "notify"
LOOK_SECONDS = 15.0
#: Looking takes no more than this share of the time, however large the catalogue is.
SHARE = 0.1
#: Channels that are sent to at once.
AT_ONCE = 8
#: Facts of so many notices go with a message to a machine; people are told fewer.
MOST_FACTS = 500
STOP_SECONDS = 25.0

log = logging.getLogger(__name__)


class Program(Protocol):
    """What the courier needs of the object graph."""

    @property
    def site(self) -> Site: ...

    @property
    def catalogue(self) -> Catalogue: ...

    def secret(self, reference: str, **names: str) -> Secret: ...


@dataclass(frozen=True, slots=True)
class Told:
    """What a turn came to: what was new, and where the messages are that were tried. `by_another`: it was not ours."""

    noted: tuple[Notice, ...] = ()
    tried: tuple[tuple[Message, Telling], ...] = ()
    by_another: bool = False


def tell(program: Program) -> Told:
    """Note what is new, and try what is to be sent now. May be repeated, and by several at once.

    Raises Unreachable when the catalogue does not answer. That a message does not get through raises nothing: it stays
    in the catalogue, and is tried again.
    """
    if not program.site.notifications.channels:
        return Told()
    holder = f"notify-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with leases.hold(program.catalogue, LEASE, holder, exclusive=True):
            return Told(tuple(look(program)), tuple(send_due(program)))
    except Busy:
        return Told(by_another=True)


def look(program: Program) -> list[Notice]:
    """Note what is new and put it into messages; return what is new. Raises Unreachable."""
    with reading(program.catalogue) as db:
        since, now = notices.read_mark(db, notices.LOOKED), clock(db)
        news = read_news(db, program.site, since or now, now)
    with writing(program.catalogue.engine) as db:
        serialise(db, notices.TELLING)
        if notices.read_mark(db, notices.LOOKED) != since:
            return []  # another one has looked since: what we read is not the newest
        return _note(db, program.site, news, now)


def foresee(program: Program) -> tuple[list[Notice], list[tuple[Message, Rendered]]]:
    """Return what `tell` would note, and the messages that it would send, without keeping or sending any of it."""
    with reading(program.catalogue) as db:
        since, now = notices.read_mark(db, notices.LOOKED), clock(db)
        news = read_news(db, program.site, since or now, now)
    with program.catalogue.engine.connect() as db:  # never committed
        serialise(db, notices.TELLING)
        fresh = _note(db, program.site, news, now)
        coming = [each for each in notices.due_messages(db, now) if each.channel in program.site.notifications.channels]
        return fresh, [(each, rendered(program, each, notices.notices_of(db, each.id))) for each in coming]


def _note(db: Connection, site: Site, news: list[Any], now: datetime) -> list[Notice]:
    channels, local = site.notifications.channels, zone(site.timezone)
    notices.abandon(db, channels, now)
    fresh = notices.note(db, news, channels, now)
    for name, channel in channels.items():
        notices.compose(db, name, channel, quiet=channel.is_quiet(now, local), now=now)
    notices.forget(db, now - site.keep_runs)
    return fresh


def send_due(program: Program) -> list[tuple[Message, Telling]]:
    """Try each message whose time has come, and return where it is then. Raises Unreachable for the catalogue only."""
    with reading(program.catalogue) as db:
        coming = notices.due_messages(db, clock(db))
    if not coming:
        return []
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="notify") as pool:
        return [each for each in pool.map(lambda one: _try(program, one), coming) if each]


def _try(program: Program, coming: Message) -> tuple[Message, Telling] | None:
    with writing(program.catalogue.engine) as db:
        message = notices.begin_attempt(db, coming.id, clock(db), random.random())  # noqa: S311 - spreads load
        told = notices.notices_of(db, coming.id)
    if message is None:
        return None
    error = _send(program, message, told)
    state = _end(program, message, error)
    if state is Telling.GIVEN_UP:
        log.error("channel %s: message %s was given up: %s", message.channel, message.id, error)
    elif error:
        log.warning("message %s will be tried again: %s", message.id, error)
    return message, state


def _send(program: Program, message: Message, told: list[Notice]) -> str | None:
    """Return why a message did not get through; None when it did."""
    from orchestrator.notify.channels import Sent

    try:
        way = way_of(program, message.channel)
        shown = rendered(program, message, told, way.most_bytes)
        way.send(Sent(message.id, shown, facts_of(program.site, told)))
    except TricenterError as error:
        return str(error)
    except Exception as error:
        # Whatever it is, it must not keep other channels from being told; nor may its text name an address.
        log.debug("channel %s failed unexpectedly", message.channel, exc_info=True)
        return f"channel {message.channel}: unexpected {type(error).__name__}"
    return None


@patient
def _end(program: Program, message: Message, error: str | None) -> Telling:
    with writing(program.catalogue.engine) as db:
        return notices.end_attempt(db, message, error, program.site.notifications.give_up_after, clock(db))


def way_of(program: Program, name: str) -> Way:
    """Return the way to a channel. Raises InvalidInput where its secret or its address is wrong."""
    from orchestrator.notify.channels import Way

    channel = program.site.notifications.channels[name]
    return Way(name, program.secret(channel.url), channel.endpoint)


def rendered(program: Program, message: Message, told: list[Notice], most_bytes: int = 30_000) -> Rendered:
    """Return what a message says, the same whenever it is asked for."""
    channel: Channel = program.site.notifications.channels[message.channel]
    return render(message.id, told, style_of(program.site), channel.language, most_bytes)


def style_of(site: Site) -> Style:
    return Style(str(site.title.zh), zone(site.timezone), site.notifications.report_link)


def facts_of(site: Site, told: list[Notice]) -> Mapping[str, Any]:
    """Return what a machine is told: docs/notifications.md describes it."""
    return {
        "site": site.site,
        "notices": [
            {
                "id": each.id,
                "event": each.event,
                "severity": each.severity,
                "subject": each.subject,
                "at": each.at.isoformat(),
                "over": each.over,
                "facts": dict(each.facts),
            }
            for each in told[:MOST_FACTS]
        ],
        "more_notices": max(len(told) - MOST_FACTS, 0),
    }


class Courier:
    """Tells, from entering to leaving, in a thread of its own: no channel that hangs holds up anything else."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="courier", daemon=True)

    def __enter__(self) -> Courier:
        if self._program.site.notifications.channels:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _work(self) -> None:
        wait = 0.0
        while not self._stop.wait(wait):
            began = time.monotonic()
            try:
                tell(self._program)
            except Exception as error:
                # A catalogue that is away for a moment. What there is to tell waits in it.
                log.warning("nothing is told for now: %s", error)
                log.debug("its traceback", exc_info=True)
            wait = max(LOOK_SECONDS, (time.monotonic() - began) * (1 / SHARE - 1))

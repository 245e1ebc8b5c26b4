"""Notices and the messages that tell them: what is told once, to whom, and how a message comes to its end.

Each step is one transaction. A process that is killed between two of them leaves what the next one goes on with:

    noted      what there is to tell has a row, and a row for every channel that is to be told of it
    composed   all that a channel was not told of yet is put into one message, which has an id from then on
    begun      an attempt is counted, and the next one is set, before anything is sent
    ended      it got through, or was tried for too long; until then it is tried again, under the same id

So nothing is lost, and what is sent twice bears the same id. Only what is composed is ever sent, and each notice is in
one message of a channel.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.news import News
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue
from policies.notifications import Channel, retry_at

#: Names the lock under which notices are written: one process looks and sends at a time.
TELLING = 0x7472_6963_0005
LOOKED = "looked"

#: So many messages go to a channel within the time beside it; what comes after them is gathered until there is room.
BURST, BURST_TIME = 3, timedelta(minutes=10)
#: What is told of when it is over, too.
TOLD_WHEN_OVER = ("objective", "corruption")
#: Few enough for a statement's parameters.
AT_ONCE = 500


class Telling(StrEnum):
    """Where a message is."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given-up"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people are told of, once. `over` tells that what lasted since `at` has ended."""

    id: str
    event: str
    severity: str
    subject: str
    at: datetime
    noted_at: datetime
    facts: Mapping[str, Any]

    @property
    def over(self) -> bool:
        return bool(self.facts.get("over"))


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one channel. `notices` counts what it tells; `error` says why it did not get through last."""

    id: str
    channel: str
    state: Telling
    made_at: datetime
    attempts: int
    next_at: datetime
    ended_at: datetime | None
    error: str | None
    notices: int


@dataclass(frozen=True, slots=True)
class Outbox:
    """What there is of messages now: how many, by channel and state; when one got through last, and what waits."""

    messages: Mapping[tuple[str, Telling], int]
    last_sent: Mapping[str, datetime]
    oldest_waiting: Mapping[str, datetime]


def read_mark(db: Connection, name: str) -> datetime | None:
    return db.execute(select(t.notice_marks.c.at).where(t.notice_marks.c.name == name)).scalar()


def set_mark(db: Connection, name: str, at: datetime) -> None:
    if not db.execute(update(t.notice_marks).where(t.notice_marks.c.name == name).values(at=at)).rowcount:
        db.execute(insert(t.notice_marks).values(name=name, at=at))


# --- noting


def note(db: Connection, news: Iterable[News], channels: Mapping[str, Channel], now: datetime) -> list[Notice]:
    """Write down what was not before, what is over, and which of the channels are told of it; return what is new.

    A channel that is seen for the first time is told of all that lasts, and of what happened since the last look.
    """
    found = list(news)
    known = {(row.event, row.subject): row for row in db.execute(_open())}
    lasting = {(each.event, each.subject): each for each in found if each.lasts}
    ended = [row for key, row in known.items() if key not in lasting]
    for row in ended:
        db.execute(update(t.notices).where(t.notices.c.id == row.id).values(over_at=now))
    begun = [_lasting(each, now) for key, each in lasting.items() if key not in known]
    happened = _unknown(db, [_happened(each, now) for each in found if not each.lasts])
    over = [(_over(row, now), row.severity) for row in ended if row.event in TOLD_WHEN_OVER]
    _insert(db, begun, None)
    _insert(db, [*happened, *(each for each, _ in over)], now)
    still = [as_notice(row) for key, row in known.items() if key in lasting]
    looked = read_mark(db, LOOKED) or now
    for name, channel in channels.items():
        since = read_mark(db, f"channel:{name}")
        recent = [each for each in happened if each.at >= (since or looked)]
        told = [*begun, *recent, *([] if since else still)]
        wanted = [each.id for each in told if channel.wants(each.event, each.severity)]
        # That it is over is told to those who were told that it began.
        wanted += [each.id for each, severity in over if since and channel.wants(each.event, severity)]
        _address(db, name, wanted)
        if since is None:
            set_mark(db, f"channel:{name}", looked)
    set_mark(db, LOOKED, now)
    return [*begun, *happened, *(each for each, _ in over)]


def _open() -> Any:
    return select(t.notices).where(t.notices.c.over_at.is_(None))


def _lasting(news: News, now: datetime) -> Notice:
    return _notice(f"{news.event}:{news.subject}:{secrets.token_hex(4)}", news, now)


def _happened(news: News, now: datetime) -> Notice:
    return _notice(f"{news.event}:{news.subject}", news, now)


def _notice(name: str, news: News, now: datetime) -> Notice:
    return Notice(name, news.event, news.severity, news.subject, news.at, now, news.facts)


def _over(row: Any, now: datetime) -> Notice:
    facts = {**row.facts, "over": True, "lasted_seconds": (now - row.at).total_seconds()}
    return Notice(f"{row.id}:over", row.event, "info", row.subject, now, now, facts)


def _unknown(db: Connection, notices: Sequence[Notice]) -> list[Notice]:
    known: set[str] = set()
    for first in range(0, len(notices), AT_ONCE):
        ids = [each.id for each in notices[first : first + AT_ONCE]]
        known.update(db.execute(select(t.notices.c.id).where(t.notices.c.id.in_(ids))).scalars())
    return [each for each in notices if each.id not in known]


def _insert(db: Connection, notices: Sequence[Notice], over_at: datetime | None) -> None:
    columns = ("id", "event", "severity", "subject", "at", "noted_at", "facts")
    values = [{name: getattr(each, name) for name in columns} | {"over_at": over_at} for each in notices]
    if values:
        db.execute(insert(t.notices), values)


def _address(db: Connection, channel: str, notices: Sequence[str]) -> None:
    if notices:
        db.execute(insert(t.tellings), [{"channel": channel, "notice_id": each} for each in notices])


# --- messages


def compose(db: Connection, name: str, channel: Channel, *, quiet: bool, now: datetime) -> str | None:
    """Put all that a channel was not told of into one message and return its id; None when there is nothing to tell.

    While a message to it waits, or several went to it just now, what there is waits as well, to be told at once. In
    its quiet time only what is critical is told.
    """
    if _in_hand(db, name, now):
        return None
    waiting = (
        select(t.tellings.c.notice_id)
        .join(t.notices, t.notices.c.id == t.tellings.c.notice_id)
        .where((t.tellings.c.channel == name) & t.tellings.c.message_id.is_(None))
    )
    ids = list(db.execute(waiting.where(t.notices.c.severity == "critical") if quiet else waiting).scalars())
    if not ids:
        return None
    made = secrets.token_hex(8)
    values = {"state": Telling.WAITING, "made_at": now, "attempts": 0, "next_at": now}
    db.execute(insert(t.messages).values(id=made, channel=name, **values))
    for first in range(0, len(ids), AT_ONCE):
        some = t.tellings.c.notice_id.in_(ids[first : first + AT_ONCE])
        db.execute(update(t.tellings).where((t.tellings.c.channel == name) & some).values(message_id=made))
    return made


def _in_hand(db: Connection, name: str, now: datetime) -> bool:
    rows = db.execute(
        select(t.messages.c.state, t.messages.c.made_at).where(
            (t.messages.c.channel == name)
            & ((t.messages.c.state == Telling.WAITING) | (t.messages.c.made_at > now - BURST_TIME))
        )
    ).all()
    return len(rows) >= BURST or any(row.state == Telling.WAITING for row in rows)


def begin_attempt(db: Connection, message: str, now: datetime, spread: float) -> Message | None:
    """Count an attempt that is about to be made and return the message; None when its time has not come."""
    found = read_message(db, message)
    if found is None or found.state is not Telling.WAITING or found.next_at > now:
        return None
    attempts = found.attempts + 1
    again = retry_at(found.made_at, attempts, now, spread)
    db.execute(update(t.messages).where(t.messages.c.id == message).values(attempts=attempts, next_at=again))
    return read_message(db, message)


def end_attempt(
    db: Connection, message: Message, error: str | None, give_up_after: timedelta, now: datetime
) -> Telling:
    """Write down how an attempt ended, and return where the message is now."""
    if error is None:
        state, ended = Telling.SENT, now
    elif now - message.made_at >= give_up_after:
        state, ended = Telling.GIVEN_UP, now
    else:
        state, ended = Telling.WAITING, None
    values = {"state": state, "ended_at": ended, "error": error}
    ours = (t.messages.c.id == message.id) & (t.messages.c.state == Telling.WAITING)
    db.execute(update(t.messages).where(ours).values(**values))
    return state


def abandon(db: Connection, channels: Collection[str], now: datetime) -> int:
    """Give up what waits for channels that the site has no more, and return how many messages that were."""
    gone = t.messages.c.channel.not_in(channels) & (t.messages.c.state == Telling.WAITING)
    values = {"state": Telling.GIVEN_UP, "ended_at": now, "error": "the site has no such channel any more"}
    db.execute(delete(t.tellings).where(t.tellings.c.channel.not_in(channels) & t.tellings.c.message_id.is_(None)))
    forgotten = t.notice_marks.c.name.not_in([LOOKED, *(f"channel:{each}" for each in channels)])
    db.execute(delete(t.notice_marks).where(forgotten))
    return db.execute(update(t.messages).where(gone).values(**values)).rowcount


def forget(db: Connection, before: datetime) -> None:
    """Drop messages that ended before then, and notices that were over and are told by no message any more."""
    old = select(t.messages.c.id).where((t.messages.c.ended_at < before) & (t.messages.c.state != Telling.WAITING))
    db.execute(delete(t.tellings).where(t.tellings.c.message_id.in_(old)))
    db.execute(delete(t.messages).where(t.messages.c.id.in_(old)))
    told = select(t.tellings.c.notice_id).where(t.tellings.c.notice_id == t.notices.c.id).exists()
    db.execute(delete(t.notices).where((t.notices.c.over_at < before) & ~told))


# --- reading


def read_message(db: Connection, message: str) -> Message | None:
    found = list(_messages(db, t.messages.c.id == message))
    return found[0] if found else None


def due_messages(db: Connection, now: datetime) -> list[Message]:
    """Return the messages that are to be tried now, the oldest first."""
    return _messages(db, (t.messages.c.state == Telling.WAITING) & (t.messages.c.next_at <= now))


def list_messages(db: Connection, limit: int, state: Telling | None = None) -> list[Message]:
    """Return messages, the newest first."""
    which = t.messages.c.state == state if state else t.messages.c.id.is_not(None)
    return _messages(db, which, limit)[::-1]


def _messages(db: Connection, which: Any, limit: int | None = None) -> list[Message]:
    counted = select(func.count()).where(t.tellings.c.message_id == t.messages.c.id).scalar_subquery()
    query = select(t.messages, counted.label("notices")).where(which)
    newest = query.order_by(t.messages.c.made_at.desc(), t.messages.c.id.desc()).limit(limit)
    rows = db.execute(newest).mappings()
    return [Message(**{**row, "state": Telling(row["state"])}) for row in rows][::-1]


def notices_of(db: Connection, message: str) -> list[Notice]:
    """Return what a message tells: what is critical first, then in the order in which it came about."""
    query = (
        select(t.notices)
        .join(t.tellings, t.tellings.c.notice_id == t.notices.c.id)
        .where(t.tellings.c.message_id == message)
        .order_by(t.notices.c.at, t.notices.c.id)
    )
    return [as_notice(row) for row in db.execute(query)]


def waiting_for(db: Connection) -> dict[str, int]:
    """Return how many notices wait to be put into a message, by channel."""
    query = select(t.tellings.c.channel, func.count()).where(t.tellings.c.message_id.is_(None))
    return {row[0]: row[1] for row in db.execute(query.group_by(t.tellings.c.channel))}


def read_outbox(catalogue: Catalogue) -> Outbox:
    """Return what there is of messages. One query. Raises Unreachable."""
    columns = t.messages.c
    group = (columns.channel, columns.state)
    with reading(catalogue) as db:
        rows = db.execute(
            select(*group, func.count(), func.max(columns.ended_at), func.min(columns.made_at)).group_by(*group)
        ).all()
    return Outbox(
        {(channel, Telling(state)): count for channel, state, count, _, _ in rows},
        {channel: ended for channel, state, _, ended, _ in rows if state == Telling.SENT},
        {channel: made for channel, state, _, _, made in rows if state == Telling.WAITING},
    )


def as_notice(row: Any) -> Notice:
    return Notice(row.id, row.event, row.severity, row.subject, row.at, row.noted_at, row.facts)

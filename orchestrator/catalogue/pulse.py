"""What the metrics show of the program itself: runs as they end, vaults that answered or did not, chain, epoch, clock.

Read for one who comes again and again: of runs only those that ended since, of the audit chain only the next stretch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.audit import read_head
from orchestrator.catalogue.audit_check import Stretch, walk_on
from orchestrator.catalogue.database import clock
from orchestrator.catalogue.database import now as this_machines
from orchestrator.catalogue.epochs import Adopted, history_of
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.records import RunState
from orchestrator.catalogue.store import Catalogue

#: So many runs that ended are looked at once. The rest waits for the next look.
AT_ONCE = 20_000

#: What errors of this type say of a vault that did not answer names its centre.
UNREACHABLE = "Unreachable"
_VAULT_OF = re.compile(r"\bthe vault of (production|same-city|provincial)\b")


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended. `seconds` is None when it never began.

    `vaults` are the centres whose vault it had to do with, `away` those whose vault did not answer it: a backup that
    was written past one is done all the same.
    """

    id: str
    flow: str
    state: RunState
    ended_at: datetime
    seconds: float | None
    error_type: str | None
    vaults: frozenset[str]
    away: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pulse:
    """One look. `ended` is in the order of ends; `skew` is this machine's clock less that of the database."""

    ended: tuple[Ended, ...]
    #: Every flow that has a run.
    flows: tuple[str, ...]
    #: By kind, the oldest beat among the workers of the kind.
    beats: Mapping[str, datetime]
    audit_head: int
    unsealed_since: datetime | None
    stretch: Stretch
    history: Sequence[Adopted]
    skew: timedelta


def read_pulse(catalogue: Catalogue, since: datetime, walked: Stretch | None) -> Pulse:
    """Return what there is now: runs that ended at `since` or after it, and the stretch of the chain after `walked`.

    Raises Unreachable when the catalogue does not answer.
    """
    with reading(catalogue) as db:
        skew = this_machines() - clock(db)
        return Pulse(
            ended=_ended(db, since),
            flows=tuple(db.execute(select(t.runs.c.flow).distinct()).scalars()),
            beats=_beats(db),
            audit_head=read_head(db)[0],
            unsealed_since=db.execute(select(func.min(t.audit.c.at)).where(t.audit.c.number.is_(None))).scalar(),
            stretch=walk_on(db, walked),
            history=history_of(db),
            skew=skew,
        )


def _ended(db: Connection, since: datetime) -> tuple[Ended, ...]:
    columns = t.runs.c
    wanted = (
        columns.id, columns.flow, columns.state, columns.started_at, columns.ended_at, columns.error_type,
        columns.error, columns.slots,
    )  # fmt: skip
    query = select(*wanted).where(columns.ended_at >= since).order_by(columns.ended_at, columns.id).limit(AT_ONCE)
    past = _written_past(db, since)
    return tuple(
        Ended(
            row.id, row.flow, RunState(row.state), row.ended_at,
            (row.ended_at - row.started_at).total_seconds() if row.started_at else None,
            row.error_type,
            frozenset(slot.removeprefix("vault:") for slot in row.slots if slot.startswith("vault:")),
            past.get(row.id, frozenset()) | frozenset(_named(row.error_type, row.error)),
        )
        for row in db.execute(query)
    )  # fmt: skip


def _named(error_type: str | None, error: str | None) -> Sequence[str]:
    return _VAULT_OF.findall(error or "") if error_type == UNREACHABLE else ()


def _written_past(db: Connection, since: datetime) -> dict[str, frozenset[str]]:
    """Return by run the centres whose vault did not answer, and past which it wrote its recovery point."""
    query = select(t.runs.c.id, t.bypasses.c.centre).join_from(
        t.bypasses, t.points, t.points.c.id == t.bypasses.c.point_id
    )
    query = query.join(t.runs, t.runs.c.id == t.points.c.run_id).where(t.runs.c.ended_at >= since)
    found: dict[str, frozenset[str]] = {}
    for run, centre in db.execute(query):
        found[run] = found.get(run, frozenset()) | {centre}
    return found


def _beats(db: Connection) -> dict[str, datetime]:
    query = select(t.workers.c.kind, func.min(t.workers.c.beat_at)).group_by(t.workers.c.kind)
    return {str(kind): moment for kind, moment in db.execute(query)}

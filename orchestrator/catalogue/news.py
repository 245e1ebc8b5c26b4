"""What there is to be told, read from the catalogue: what holds now, and what happened since a moment.

Nothing here is noted by those who do the work: whatever is told follows from rows that the work left anyway. So a run
that was killed, or whose messenger was away, is told of all the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.epochs import history_of
from orchestrator.catalogue.facts import SCHEDULE, Key, exposures
from orchestrator.catalogue.records import RunState
from policies.notifications import Event, Severity
from policies.site import Site

#: Rows are stamped before they are committed, by hosts whose clocks differ: so far back the last look is repeated.
OVERLAP = timedelta(minutes=10)
#: A run that failed so long ago and was never tried again is no news any more.
STALE = timedelta(days=7)
#: What a run that waits for an approval waits on.
APPROVAL = "approve:"
#: The error of what a fence turned away.
FENCED = "Fenced"
#: Kinds of drills that moved the production of a system, and are no drills.
FOR_REAL = ("failover", "switchover", "failback")
#: So much of an error's text is told.
LONGEST_ERROR = 300
#: So many systems of a drill are told one by one; all are in its report.
MOST_SYSTEMS = 20


@dataclass(frozen=True, slots=True)
class News:
    """Something to be told of. What `lasts` is told once, however often it is looked at, until it is over."""

    event: Event
    severity: Severity
    subject: str
    at: datetime
    facts: Mapping[str, Any]
    lasts: bool = True


def read_news(db: Connection, site: Site, since: datetime, now: datetime) -> list[News]:
    """Return all that lasts at `now`, and what happened since `since`, some of which may have been told already.

    A fixed number of queries.
    """
    since = since - OVERLAP
    return [
        *_missed(db, site, now),
        *_waiting(db),
        *_failing(db, since, now),
        *_corrupt(db),
        *_drilled(db, site, since),
        *_moved(db, since),
    ]


def _missed(db: Connection, site: Site, now: datetime) -> Iterator[News]:
    """Yield what the board shows as an exposure over its objective."""
    known = exposures(db, now)
    for ref in site.systems():
        for centre, copy in ref.copies.items():
            since, data = known.get(Key(ref.tenant.tenant, ref.name, str(centre)), (now, None))
            if now - since > copy.rpo:
                yield News(
                    "objective",
                    "critical",
                    f"{ref}@{centre}",
                    since + copy.rpo,
                    {
                        "system": str(ref),
                        "centre": str(centre),
                        "data_time": data.isoformat() if data else None,
                        "rpo_seconds": (now - since).total_seconds(),
                        "rpo_objective_seconds": copy.rpo.total_seconds(),
                    },
                )


def _waiting(db: Connection) -> Iterator[News]:
    waits = t.waits.c
    query = (
        select(t.runs, waits.began_at)
        .join(t.waits, (waits.run_id == t.runs.c.id) & (waits.topic == t.runs.c.waiting_for))
        .where((t.runs.c.state == RunState.WAITING) & t.runs.c.waiting_for.startswith(APPROVAL, autoescape=True))
        .where(waits.sent_at.is_(None) & waits.began_at.is_not(None))
    )
    for row in db.execute(query):
        # The topic is part of the subject: what is asked for anew, after it changed, is told anew.
        yield News(
            "approval",
            "warning",
            f"{row.id} {row.waiting_for.removeprefix(APPROVAL)}",
            row.began_at,
            {
                "run": row.id,
                "flow": row.flow,
                "about": row.subject,
                "reason": row.reason,
                "requested_by": row.requested_by,
            },
        )


def _failing(db: Connection, since: datetime, now: datetime) -> Iterator[News]:
    """Yield the flows and subjects whose last run failed: those of since then, and those that were told before."""
    runs, ended = t.runs.c, t.runs.c.ended_at
    proved = select(t.drills.c.id).where(t.drills.c.id == runs.id).exists()  # told as what it was
    whole = runs.parent.is_(None)
    fresh = select(t.runs).where((runs.state == RunState.FAILED) & whole & (ended >= since) & ~proved).order_by(ended)
    failed = {(row.flow, row.subject): row for row in db.execute(fresh)}
    told = [row for row in db.execute(_open_ones()) if row.at > now - STALE]
    known = {(row.facts["flow"], row.facts["about"]): row for row in told}
    if not failed and not known:
        return
    oldest = min([row.ended_at for row in failed.values()] + [row.at for row in told])
    done = _last_done(db, (ended >= oldest) & whole)
    for key, row in failed.items():
        if key not in done or done[key] < row.ended_at:
            yield _failure(row)
    for key, row in known.items():
        if key not in failed and (key not in done or done[key] < row.at):
            yield News(row.event, row.severity, row.subject, row.at, row.facts)


def _open_ones() -> Any:
    notices = t.notices.c
    return select(t.notices).where(notices.over_at.is_(None) & notices.event.in_(("run-failed", "failover")))


def _last_done(db: Connection, which: ColumnElement[bool]) -> dict[tuple[str, str], datetime]:
    runs = t.runs.c
    query = select(runs.flow, runs.subject, func.max(runs.ended_at)).where(which & (runs.state == RunState.DONE))
    return {(row[0], row[1]): row[2] for row in db.execute(query.group_by(runs.flow, runs.subject))}


def _failure(row: Row[Any]) -> News:
    fenced = row.error_type == FENCED
    return News(
        "failover" if fenced else "run-failed",
        "critical" if fenced else "warning",
        f"{row.flow} {row.subject}",
        row.ended_at,
        {
            "run": row.id,
            "flow": row.flow,
            "about": row.subject,
            "requested_by": row.requested_by,
            "error_type": row.error_type,
            "error": " ".join((row.error or "").split())[:LONGEST_ERROR],
            "hint": row.hint,
        },
    )


def _corrupt(db: Connection) -> Iterator[News]:
    found = t.findings.c
    place = (found.tenant, found.system, found.centre)
    query = select(*place, func.count(), func.min(found.found_at)).where(found.healed_at.is_(None)).group_by(*place)
    for tenant, system, centre, objects, at in db.execute(query):
        yield News(
            "corruption",
            "critical",
            f"{tenant}/{system}@{centre}",
            at,
            {"system": f"{tenant}/{system}", "centre": centre, "objects": objects},
        )


def _drilled(db: Connection, site: Site, since: datetime) -> Iterator[News]:
    """Yield the drills whose runs have ended: their rows are written before, and their reports as well."""
    query = (
        select(t.drills, t.runs.c.ended_at.label("run_ended_at"))
        .join(t.runs, t.runs.c.id == t.drills.c.id)
        .where(t.runs.c.ended_at >= since)
        .order_by(t.drills.c.id, t.drills.c.tenant, t.drills.c.system)
    )
    rows: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in db.execute(query):
        rows[row.id].append(row)
    for found in rows.values():
        yield _drill(site, found)


def _drill(site: Site, rows: Sequence[Row[Any]]) -> News:
    first, verdicts = rows[0], {row.verdict for row in rows}
    verdict = next((each for each in ("failed", "missed") if each in verdicts), "met")
    real = first.kind in FOR_REAL
    return News(
        "failover" if real else "drill",
        "critical" if real else "info" if verdict == "met" else "warning",
        first.id,
        first.run_ended_at,
        {
            "drill": first.id,
            "plan": first.plan,
            "kind": first.kind,
            "centre": first.centre,
            "verdict": verdict,
            "scheduled": first.requested_by == SCHEDULE,
            "report": first.report,
            "systems": [_drilled_system(site, row) for row in rows[:MOST_SYSTEMS]],
            "more_systems": max(len(rows) - MOST_SYSTEMS, 0),
        },
        lasts=False,
    )


def _drilled_system(site: Site, row: Row[Any]) -> dict[str, Any]:
    ref = site.system(row.tenant, row.system)
    copies = {str(centre): copy for centre, copy in ref.copies.items()} if ref else {}
    copy = copies.get(row.centre)
    return {
        "system": f"{row.tenant}/{row.system}",
        "verdict": row.verdict,
        "rpo_seconds": row.rpo_seconds,
        "rpo_objective_seconds": copy.rpo.total_seconds() if copy else None,
        "rto_seconds": row.rto_seconds,
        "rto_objective_seconds": copy.rto.total_seconds() if copy else None,
    }


def _moved(db: Connection, since: datetime) -> Iterator[News]:
    """Yield the epochs that this catalogue learned of: whoever writes at the centre before is fenced from then on."""
    for adopted in history_of(db):
        if adopted.adopted_at >= since:
            record = adopted.record
            yield News(
                "failover",
                "critical",
                f"epoch {record.epoch}",
                adopted.adopted_at,
                {
                    "epoch": record.epoch,
                    "moved": {name: record.active[name].centre for name in record.moved[:MOST_SYSTEMS]},
                    "more_systems": max(len(record.moved) - MOST_SYSTEMS, 0),
                    "forced": record.forced,
                    "declared_by": record.declared_by,
                    "approved_by": record.approved_by,
                },
                lasts=False,
            )

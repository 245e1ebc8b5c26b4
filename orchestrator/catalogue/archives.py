"""Continuous archives as the catalogue knows them: what each centre could give back when it was last looked at."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, delete, insert, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import patient, writing
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue
from policies.archive import Mark, Reach
from policies.site import SystemRef
from policies.tenant import archives_of


@dataclass(frozen=True, slots=True)
class ArchiveAt:
    """The archive of a source at a centre as of `observed_at`: what it gives back, and its base backups."""

    tenant: str
    system: str
    source: str
    centre: str
    observed_at: datetime
    reach: Reach
    full_at: datetime | None
    backup_at: datetime | None
    backups: int


@patient
def record_archive(catalogue: Catalogue, seen: ArchiveAt) -> None:
    """Remember a look at an archive, instead of the one before. May be repeated."""
    key = {"tenant": seen.tenant, "system": seen.system, "source": seen.source, "centre": seen.centre}
    values = {
        "observed_at": seen.observed_at,
        "since": seen.reach.since,
        "until": seen.reach.until,
        "missing": seen.reach.missing,
        "full_at": seen.full_at,
        "backup_at": seen.backup_at,
        "backups": seen.backups,
    }
    with writing(catalogue.engine) as db:
        db.execute(delete(t.archives).where(*(t.archives.c[name] == value for name, value in key.items())))
        db.execute(insert(t.archives).values(**key, **values))


def read_archives(catalogue: Catalogue) -> Sequence[ArchiveAt]:
    """Return the last look at every archive at every centre."""
    with reading(catalogue) as db:
        return archives_in(db)


def archives_in(db: Connection) -> Sequence[ArchiveAt]:
    """Return the same as one state of the catalogue has it."""
    columns = t.archives.c
    query = select(t.archives).order_by(columns.tenant, columns.system, columns.source, columns.centre.desc())
    return [
        ArchiveAt(
            row.tenant, row.system, row.source, row.centre, row.observed_at,
            Reach(row.since, row.until, row.missing), row.full_at, row.backup_at, row.backups,
        )
        for row in db.execute(query)
    ]  # fmt: skip


def archives_at(seen: Sequence[ArchiveAt], ref: SystemRef, centre: str) -> list[ArchiveAt | None]:
    """Return the last look at a centre at each archive that the site says of a system; None: it was never looked at."""
    names = [name for name, _ in archives_of(ref.system)]
    if not names:
        return []
    key = ref.tenant.tenant, ref.name
    known = {each.source: each for each in seen if (each.tenant, each.system) == key and each.centre == centre}
    return [known.get(name) for name in names]


def archived_until(found: Sequence[ArchiveAt | None]) -> datetime | None:
    """Return up to when all of these can be given back; None when one of them cannot, and when there are none."""
    moments = [each.reach.until if each else None for each in found]
    return min((each for each in moments if each), default=None) if all(moments) else None


@patient
def record_mark(catalogue: Catalogue, tenant: str, system: str, source: str, mark: Mark) -> None:
    """Remember by which segment all is written that was committed at a moment."""
    values = {"moment": mark.moment, "segment": mark.segment, "segment_bytes": mark.segment_bytes}
    with writing(catalogue.engine) as db:
        db.execute(insert(t.archive_marks).values(tenant=tenant, system=system, source=source, **values))


def read_marks(catalogue: Catalogue, tenant: str, system: str, source: str) -> list[Mark]:
    """Return the marks of a source that are kept, the oldest first."""
    query = select(t.archive_marks).where(*_of(t.archive_marks, tenant, system, source))
    with reading(catalogue) as db:
        rows = db.execute(query.order_by(t.archive_marks.c.moment))
        return [Mark(row.moment, row.segment, row.segment_bytes) for row in rows]


@patient
def forget_marks(
    catalogue: Catalogue, tenant: str, system: str, source: str, before: datetime, keep: Collection[datetime]
) -> None:
    """Let go of the marks before a moment, but for those of the moments to `keep`. May be repeated."""
    moment = t.archive_marks.c.moment
    gone = (*_of(t.archive_marks, tenant, system, source), moment < before, moment.not_in(keep))
    with writing(catalogue.engine) as db:
        db.execute(delete(t.archive_marks).where(*gone))


def _of(table: Table, tenant: str, system: str, source: str) -> tuple[ColumnElement[bool], ...]:
    return (table.c.tenant == tenant, table.c.system == system, table.c.source == source)

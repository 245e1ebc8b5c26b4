"""What is remembered of verification: when each part of each repository was read, and what was found wrong.

Nothing is kept per object: a slice of the hash space is one row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, select, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.audit import note
from orchestrator.catalogue.database import patient, writing
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue
from policies.verification import Slice


class Kind(StrEnum):
    """What is wrong with an object."""

    CORRUPT = "corrupt"  # its content does not match its name
    MISSING = "missing"  # something refers to it, and it is not there
    DAMAGED = "damaged"  # the repository or a recovery point cannot be read, for the reason in the detail


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at a centre: the object's key in its bucket, and what is wrong with it."""

    key: str
    kind: Kind
    detail: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault as it was recorded, and the runs that found and closed it. `healed_at` is when it was good again.

    `healed_from` is the centre whose copy, of the hash `sha256`, was put over it; None when it was good by itself, or
    nothing missed it any longer.
    """

    place: Key
    fault: Fault
    found_at: datetime
    healed_at: datetime | None
    found_by: str | None = None
    healed_by: str | None = None
    healed_from: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Good:
    """A copy that was put over what was wrong: the centre that it came from, and what it is."""

    centre: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Verified:
    """The last verification of one depth that came to its end."""

    place: Key
    depth: str
    began_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What the metrics show of verification and retention. What never happened is not there."""

    verified: tuple[Verified, ...]
    #: Since when the byte that was longest not read is unread.
    unread_since: dict[Key, datetime]
    open_findings: dict[Key, int]
    #: How many objects were healed from another centre, and when the last.
    healed: dict[Key, int]
    healed_at: dict[Key, datetime]
    #: When retention last came to its end.
    expired_at: dict[Key, datetime]


# --- the rolling read


@patient
def read_times(catalogue: Catalogue, place: Key) -> dict[str, datetime]:
    """Return when each slice of a repository was last read; slices that never were are not there."""
    read = t.read_slices.c.read_at
    query = select(t.read_slices.c.prefix, read).where(_at(t.read_slices, place) & read.is_not(None))
    with reading(catalogue) as db:
        return {row.prefix: row.read_at for row in db.execute(query)}


@patient
def keep_slices(catalogue: Catalogue, place: Key, slices: Iterable[Slice]) -> None:
    """Make the slices of a repository these: as its listing shows them now. May be repeated."""
    rows = [{**place._asdict(), **_slice_columns(each)} for each in slices]
    with writing(catalogue.engine) as db:
        db.execute(delete(t.read_slices).where(_at(t.read_slices, place)))
        if rows:
            db.execute(insert(t.read_slices), rows)


@patient
def mark_read(catalogue: Catalogue, place: Key, read: Slice) -> None:
    """Remember that every object of a slice was read. May be repeated; never goes back in time."""
    here = _at(t.read_slices, place) & (t.read_slices.c.prefix == read.prefix)
    with writing(catalogue.engine) as db:
        known = db.execute(select(t.read_slices.c.read_at).where(here)).one_or_none()
        if known is None:
            db.execute(insert(t.read_slices).values(**place._asdict(), **_slice_columns(read)))
        elif known.read_at is None or (read.read_at and known.read_at < read.read_at):
            db.execute(update(t.read_slices).where(here).values(**_slice_columns(read)))


def _slice_columns(each: Slice) -> dict[str, Any]:
    return {
        "prefix": each.prefix,
        "objects": each.objects,
        "bytes": each.size_bytes,
        "oldest": each.oldest,
        "read_at": each.read_at,
    }


# --- findings


@patient
def record_faults(
    catalogue: Catalogue, place: Key, faults: Iterable[Fault], now: datetime, *, by: str | None = None
) -> None:
    """Record what the run `by` found wrong. A finding that is open already stays as it was found. May be repeated."""
    fresh = {each.key: each for each in faults}
    with writing(catalogue.engine) as db:
        for key in set(db.execute(select(t.findings.c.key).where(_open(place))).scalars()) & fresh.keys():
            del fresh[key]
        rows = [
            {
                **place._asdict(),
                "key": each.key,
                "kind": str(each.kind),
                "detail": each.detail,
                "found_at": now,
                "healed_at": None,
                "found_by": by,
            }
            for each in fresh.values()
        ]
        if rows:
            db.execute(insert(t.findings), rows)


@patient
def heal(catalogue: Catalogue, place: Key, keys: Collection[str], now: datetime, *, by: str | None = None) -> None:
    """Close the open findings about these objects: the run `by` looked at them, and they are good. May be repeated."""
    with writing(catalogue.engine) as db:
        for key in keys:
            found = _open(place) & (t.findings.c.key == key)
            db.execute(update(t.findings).where(found).values(healed_at=now, healed_by=by))


@patient
def record_healed(catalogue: Catalogue, place: Key, key: str, good: Good, now: datetime, *, by: str) -> None:
    """Close the open finding about an object over which the run `by` has put a good copy, and tell the audit chain.

    May be repeated: what is closed already is left as it is.
    """
    found = _open(place) & (t.findings.c.key == key)
    values = {"healed_at": now, "healed_by": by, "healed_from": good.centre, "sha256": good.sha256}
    with writing(catalogue.engine) as db:
        if db.execute(update(t.findings).where(found).values(**values)).rowcount:
            note(db, "healed", by, now, {**place._asdict(), "key": key, **asdict(good)})


@patient
def open_faults(catalogue: Catalogue, place: Key) -> list[Fault]:
    """Return what is known to be wrong at a centre, in the order in which it was found."""
    query = select(t.findings).where(_open(place)).order_by(t.findings.c.id)
    with reading(catalogue) as db:
        return [_fault(row._mapping) for row in db.execute(query)]


@patient
def config_hash(catalogue: Catalogue, tenant: str, system: str) -> str | None:
    """Return the hash of the `config` with which the repository of a system last opened; None when not known."""
    here = (t.configs.c.tenant == tenant) & (t.configs.c.system == system)
    with reading(catalogue) as db:
        return db.execute(select(t.configs.c.sha256).where(here)).scalar_one_or_none()


@patient
def record_config(catalogue: Catalogue, tenant: str, system: str, sha256: str, now: datetime) -> None:
    """Remember the hash of the `config` with which a repository has just opened. May be repeated."""
    _put(catalogue, t.configs, {"tenant": tenant, "system": system}, {"sha256": sha256, "opened_at": now})


def findings(catalogue: Catalogue, *, healed: bool = True) -> list[Finding]:
    """Return all findings, the newest first; without the `healed` ones only those that are open."""
    query = select(t.findings).order_by(t.findings.c.id.desc())
    if not healed:
        query = query.where(t.findings.c.healed_at.is_(None))
    with reading(catalogue) as db:
        return [
            Finding(
                Key(row.tenant, row.system, row.centre),
                _fault(row._mapping),
                row.found_at,
                row.healed_at,
                row.found_by,
                row.healed_by,
                row.healed_from,
                row.sha256,
            )
            for row in db.execute(query)
        ]


def _fault(row: Mapping[Any, Any]) -> Fault:
    return Fault(row["key"], Kind(row["kind"]), row["detail"])


def _open(place: Key) -> ColumnElement[bool]:
    return _at(t.findings, place) & t.findings.c.healed_at.is_(None)


# --- verifications and retention


@patient
def record_verification(catalogue: Catalogue, verified: Verified, size_bytes: int) -> None:
    """Remember a verification that came to its end. May be repeated."""
    times = {"began_at": verified.began_at, "ended_at": verified.ended_at, "bytes": size_bytes}
    _put(catalogue, t.verifications, {**verified.place._asdict(), "depth": verified.depth}, times)


@patient
def last_verification(catalogue: Catalogue, place: Key, depth: str) -> Verified | None:
    query = select(t.verifications).where(_at(t.verifications, place) & (t.verifications.c.depth == depth))
    with reading(catalogue) as db:
        row = db.execute(query).one_or_none()
    return Verified(place, depth, row.began_at, row.ended_at) if row else None


@patient
def pruned_since_forgotten(catalogue: Catalogue, place: Key, *, not_before: datetime) -> bool:
    """Return whether the last prune is younger than both the last forgetting and `not_before`."""
    query = select(t.expiries.c.forgot_at, t.expiries.c.pruned_at).where(_at(t.expiries, place))
    with reading(catalogue) as db:
        row = db.execute(query).one_or_none()
    if row is None or row.pruned_at is None or row.pruned_at < not_before:
        return False
    return row.forgot_at is None or bool(row.forgot_at <= row.pruned_at)


@patient
def record_expiry(catalogue: Catalogue, place: Key, **changes: datetime | int) -> None:
    """Remember of a retention run: `ran_at`, `forgot_at`, `pruned_at`, and the points that it forgot."""
    _put(catalogue, t.expiries, place._asdict(), changes, fresh={"points": 0})


def read_upkeep(catalogue: Catalogue) -> Upkeep:
    """Return what the metrics show. Raises Unreachable when the catalogue does not answer."""
    with reading(catalogue) as db:
        return Upkeep(
            verified=tuple(
                Verified(Key(row.tenant, row.system, row.centre), row.depth, row.began_at, row.ended_at)
                for row in db.execute(select(t.verifications))
            ),
            unread_since=_unread_since(db),
            open_findings=_by_key(db, t.findings, func.count(), t.findings.c.healed_at.is_(None)),
            healed=_by_key(db, t.findings, func.count(), t.findings.c.healed_from.is_not(None)),
            healed_at=_by_key(db, t.findings, func.max(t.findings.c.healed_at), t.findings.c.healed_from.is_not(None)),
            expired_at=_by_key(db, t.expiries, func.max(t.expiries.c.ran_at), t.expiries.c.ran_at.is_not(None)),
        )


def _unread_since(db: Connection) -> dict[Key, datetime]:
    # Where nothing was listed yet, no byte was read since the first point landed.
    place = (t.points.c.tenant, t.points.c.system, t.landings.c.centre)
    landed = (
        select(*place, func.min(t.landings.c.landed_at))
        .join(t.landings, t.landings.c.point_id == t.points.c.id)
        .group_by(*place)
    )
    since = {Key(*row[:3]): row[3] for row in db.execute(landed)}
    known: dict[Key, datetime] = {}
    for row in db.execute(select(t.read_slices).where(t.read_slices.c.objects > 0)):
        key = Key(row.tenant, row.system, row.centre)
        unread = Slice(row.prefix, row.objects, row.bytes, row.oldest, row.read_at).unread_since
        known[key] = min(known.get(key, unread), unread)
    return since | known


def _by_key(db: Connection, table: Table, value: Any, condition: ColumnElement[bool]) -> dict[Key, Any]:
    place = (table.c.tenant, table.c.system, table.c.centre)
    query = select(*place, value).where(condition).group_by(*place)
    return {Key(*row[:3]): row[3] for row in db.execute(query)}


def _put(
    catalogue: Catalogue,
    table: Table,
    key: Mapping[str, Any],
    values: Mapping[str, Any],
    *,
    fresh: Mapping[str, Any] | None = None,
) -> None:
    """Write the row of `key`, made with `fresh` besides when there is none."""
    here = [table.c[name] == value for name, value in key.items()]
    with writing(catalogue.engine) as db:
        if not db.execute(update(table).where(*here).values(**values)).rowcount:
            db.execute(insert(table).values(**{**(fresh or {}), **key, **values}))


def _at(table: Table, place: Key) -> ColumnElement[bool]:
    return (table.c.tenant == place.tenant) & (table.c.system == place.system) & (table.c.centre == place.centre)

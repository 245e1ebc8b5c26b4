"""The catalogue: what was backed up, where it landed, what ran and what was proved.

Every change is one transaction. The vaults stay the truth about which points exist: a landing is written only
from a centre's own listing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.audit import note_drill
from orchestrator.catalogue.database import clock, looking, now, open_engine, patient, writing
from orchestrator.catalogue.landed import LATE, stamp
from orchestrator.catalogue.migrating import prepare
from orchestrator.catalogue.queue import QUEUE_ORDER
from orchestrator.catalogue.records import (
    OPEN,
    AttemptRow,
    DrillRow,
    Point,
    PointAt,
    RunRow,
    RunState,
    TenantCentre,
    WorkerRow,
)
from orchestrator.catalogue.rows import as_attempt, as_point, as_point_at, as_run, as_worker
from orchestrator.errors import UnknownName


class Catalogue:
    """The catalogue on one database. Safe to use from several threads and processes.

    Every method raises Unreachable when the database does not answer.
    """

    def __init__(self, url: str) -> None:
        """Open the catalogue; an empty database gets its tables.

        Raises Unreachable, and InvalidInput for a URL that cannot be read or tables of another version.
        """
        self.url = url
        self.engine = open_engine(url)
        try:
            prepare(self.engine)
        except BaseException:
            self.engine.dispose()
            raise

    # --- systems and tenants

    @patient
    def register_systems(self, systems: Iterable[tuple[str, str]]) -> None:
        """Remember since when each (tenant, system) is known. May be repeated."""
        with writing(self.engine) as db:
            known = {(row.tenant, row.system) for row in db.execute(select(t.systems))}
            fresh = [
                {"tenant": tenant, "system": system, "created_at": now()}
                for tenant, system in systems
                if (tenant, system) not in known
            ]
            if fresh:
                db.execute(insert(t.systems), fresh)

    def system_created(self) -> dict[tuple[str, str], datetime]:
        with looking(self.engine) as db:
            return {(row.tenant, row.system): row.created_at for row in db.execute(select(t.systems))}

    def record_tenant(self, tenant: str, centre: str, *, writes: int, pending: int) -> None:
        """Remember how an apply of a tenant at a centre ended: writes made, actions still pending."""
        moment = now()
        values = {"applied_at": moment, "looked_at": moment, "writes": writes, "pending": pending}
        self._set_tenant(tenant, centre, values, values)

    def record_look(self, tenant: str, centre: str, *, pending: int) -> None:
        """Remember how many actions a tenant at a centre wants, when it was looked at and nothing was changed."""
        values = {"looked_at": now(), "pending": pending}
        self._set_tenant(tenant, centre, values, {**values, "writes": 0})

    @patient
    def _set_tenant(self, tenant: str, centre: str, known: Mapping[str, Any], fresh: Mapping[str, Any]) -> None:
        key = (t.tenant_centres.c.tenant == tenant) & (t.tenant_centres.c.centre == centre)
        with writing(self.engine) as db:
            if not db.execute(update(t.tenant_centres).where(key).values(**known)).rowcount:
                db.execute(insert(t.tenant_centres).values(tenant=tenant, centre=centre, **fresh))

    def tenant_centres(self) -> list[TenantCentre]:
        with looking(self.engine) as db:
            return [TenantCentre(*row) for row in db.execute(select(t.tenant_centres))]

    # --- runs, attempts, workers: written by the ledger

    def runs(
        self,
        *,
        state: RunState | None = None,
        states: Collection[RunState] | None = None,
        flow: str | None = None,
        subject: str | None = None,
        limit: int = 1000,
    ) -> list[RunRow]:
        """Return runs, the one asked for last first."""
        query = select(t.runs).order_by(t.runs.c.queued_at.desc(), t.runs.c.id.desc()).limit(limit)
        for column, value in ((t.runs.c.state, state), (t.runs.c.flow, flow), (t.runs.c.subject, subject)):
            if value:
                query = query.where(column == value)
        if states is not None:
            query = query.where(t.runs.c.state.in_(states))
        with looking(self.engine) as db:
            return [as_run(row) for row in db.execute(query).mappings()]

    def parts(self, run_id: str) -> list[RunRow]:
        """Return the runs that are parts of a run, in the order in which they were asked for."""
        query = select(t.runs).where(t.runs.c.parent == run_id).order_by(t.runs.c.queued_at, t.runs.c.part)
        with looking(self.engine) as db:
            return [as_run(row) for row in db.execute(query).mappings()]

    def open_runs(self) -> list[RunRow]:
        """Return the runs that have not ended, in the order in which they come to their turn."""
        query = select(t.runs).where(t.runs.c.state.in_(OPEN)).order_by(*QUEUE_ORDER)
        with looking(self.engine) as db:
            return [as_run(row) for row in db.execute(query).mappings()]

    def run(self, run_id: str) -> RunRow:
        """Return one run. Raises UnknownName, which names one that looks like it."""
        with looking(self.engine) as db:
            row = db.execute(select(t.runs).where(t.runs.c.id == run_id)).mappings().one_or_none()
            if row is None:
                newest = select(t.runs.c.id).order_by(t.runs.c.queued_at.desc()).limit(5)
                raise UnknownName("run", run_id, db.execute(newest).scalars())
            return as_run(row)

    def attempts(self, run_id: str) -> list[AttemptRow]:
        """Return the evidence of a run in the order in which the attempts started."""
        query = select(t.attempts).where(t.attempts.c.run_id == run_id).order_by(t.attempts.c.id)
        with looking(self.engine) as db:
            return [as_attempt(row) for row in db.execute(query).mappings()]

    @patient
    def was_attempted(self, step: str, flow: str, subject: str, *, besides: str) -> bool:
        """Return whether any run of a flow about a subject, but for the run `besides`, came as far as this step."""
        runs = (t.runs.c.flow == flow) & (t.runs.c.subject == subject) & (t.runs.c.id != besides)
        query = select(t.attempts.c.id).join(t.runs, t.runs.c.id == t.attempts.c.run_id)
        with looking(self.engine) as db:
            return db.execute(query.where(runs & (t.attempts.c.step == step)).limit(1)).first() is not None

    def workers(self) -> list[WorkerRow]:
        """Return who claims runs now, the oldest first; one that died may still be among them for a while."""
        with looking(self.engine) as db:
            query = select(t.workers).order_by(t.workers.c.started_at, t.workers.c.id)
            return [as_worker(row) for row in db.execute(query).mappings()]

    # --- recovery points

    @patient
    def add_point(self, point: Point) -> None:
        """Record a recovery point. Recording it again changes nothing."""
        values = {
            c.name: getattr(point, c.name) for c in t.points.c if c.name not in ("sources", "suspicion", "bypassed")
        }
        values["suspicion"] = [each.as_json() for each in point.suspicion] or None
        values["bypassed"] = list(point.bypassed) or None
        with writing(self.engine) as db:
            if db.execute(select(t.points.c.id).where(t.points.c.id == point.id)).scalar() is None:
                db.execute(insert(t.points).values(**values, sources=[each.as_json() for each in point.sources]))
                for centre in point.bypassed:
                    db.execute(insert(t.bypasses).values(point_id=point.id, centre=centre))

    @patient
    def points(self, tenant: str | None = None, system: str | None = None) -> list[Point]:
        """Return recovery points, the newest data first."""
        query = select(t.points).order_by(t.points.c.data_time.desc())
        if tenant:
            query = query.where(t.points.c.tenant == tenant)
        if system:
            query = query.where(t.points.c.system == system)
        with looking(self.engine) as db:
            return [as_point(row._mapping) for row in db.execute(query)]

    @patient
    def has_points(self, tenant: str, system: str) -> bool:
        """Return whether a system was ever backed up, as far as is known here."""
        mine = (t.points.c.tenant == tenant) & (t.points.c.system == system)
        with looking(self.engine) as db:
            return db.execute(select(t.points.c.id).where(mine).limit(1)).first() is not None

    @patient
    def set_landings(self, centre: str, tenant: str, system: str, landed: Mapping[str, datetime]) -> None:
        """Make the landings of a system at a centre those of its listing: point id -> when it was complete there.

        A point that is no longer listed loses its landing: it cannot be recovered from there.
        """
        with writing(self.engine) as db:
            ids = select(t.points.c.id).where((t.points.c.tenant == tenant) & (t.points.c.system == system))
            here = (t.landings.c.centre == centre) & t.landings.c.point_id.in_(ids)
            known = set(db.execute(select(t.landings.c.point_id).where(here)).scalars())
            for gone in known - landed.keys():
                db.execute(t.landings.delete().where(here & (t.landings.c.point_id == gone)))
            fresh: list[dict[str, Any]] = [
                {"point_id": point, "centre": centre, "landed_at": when}
                for point, when in landed.items()
                if point not in known
            ]
            if fresh:
                db.execute(insert(t.landings), fresh)
                owed = (t.bypasses.c.centre == centre) & t.bypasses.c.landed_at.is_(None)
                for point in db.execute(select(t.bypasses.c.point_id).where(owed)).scalars().all():
                    if point in landed:
                        came = update(t.bypasses).where(owed & (t.bypasses.c.point_id == point))
                        db.execute(came.values(landed_at=landed[point]))
            if known - landed.keys() or any(each["landed_at"] < clock(db) - LATE for each in fresh):
                stamp(db, [(tenant, system)])

    @patient
    def points_at(
        self, centre: str | None = None, tenant: str | None = None, system: str | None = None
    ) -> list[PointAt]:
        """Return recovery points that are at a centre (or each with every centre), the newest data first."""
        query = (
            select(t.points, t.landings.c.centre, t.landings.c.landed_at, t.landings.c.proved_at, t.settlements)
            .join(t.landings, t.landings.c.point_id == t.points.c.id)
            .outerjoin(t.settlements, t.settlements.c.point_id == t.points.c.id)
            .order_by(t.points.c.data_time.desc(), t.landings.c.landed_at)
        )
        for column, value in (
            (t.landings.c.centre, centre),
            (t.points.c.tenant, tenant),
            (t.points.c.system, system),
        ):
            if value:
                query = query.where(column == value)
        with looking(self.engine) as db:
            return [as_point_at(row._mapping) for row in db.execute(query)]

    @patient
    def mark_proved(self, point_id: str, centre: str) -> None:
        """Remember that a restore test has proved this point at this centre."""
        key = (t.landings.c.point_id == point_id) & (t.landings.c.centre == centre)
        with writing(self.engine) as db:
            db.execute(update(t.landings).where(key).values(proved_at=now()))

    # --- drills

    @patient
    def add_drill(self, drill: DrillRow) -> None:
        """Record a drill that ended. Recording it again changes nothing."""
        with writing(self.engine) as db:
            same = (
                (t.drills.c.id == drill.id) & (t.drills.c.tenant == drill.tenant) & (t.drills.c.system == drill.system)
            )
            if db.execute(select(t.drills.c.id).where(same)).scalar() is None:
                values = {c.name: getattr(drill, c.name) for c in t.drills.c} | {"stages": dict(drill.stages)}
                db.execute(insert(t.drills).values(**values))
                note_drill(db, values)

    def drills(self, tenant: str | None = None, system: str | None = None, centre: str | None = None) -> list[DrillRow]:
        """Return drills that ended, newest first."""
        query = select(t.drills).order_by(t.drills.c.ended_at.desc())
        for column, value in (
            (t.drills.c.tenant, tenant),
            (t.drills.c.system, system),
            (t.drills.c.centre, centre),
        ):
            if value:
                query = query.where(column == value)
        with looking(self.engine) as db:
            return [DrillRow(**row._mapping) for row in db.execute(query)]

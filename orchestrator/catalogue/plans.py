"""Plans as the catalogue knows them: the state of each at each centre, and the last look at whether it is ready."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import writing
from orchestrator.catalogue.facts import last_drills
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue
from policies.plan import Plan
from policies.plan_digest import plan_digests
from policies.plan_state import Drilled, Standing, plan_cadence, standing
from policies.site import Site
from policies.work import plan_centres


@dataclass(frozen=True, slots=True)
class PlanCheck:
    """What a look at whether a plan is ready found. `items` are those of `policies.readiness`, as plain JSON."""

    plan: str
    centre: str
    kind: str
    run_id: str
    checked_at: datetime
    failed: int
    warned: int
    items: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class PlanAt:
    """A plan at one centre where it can be recovered. `check` is the last look, of whatever kind; None: none yet."""

    plan: Plan
    centre: str
    digest: str
    standing: Standing
    check: PlanCheck | None


def read_plans(
    site: Site, catalogue: Catalogue, now: datetime, *, digests: Mapping[str, str] | None = None
) -> tuple[PlanAt, ...]:
    """Return every plan of the site at every centre where it can be recovered, by name, the nearest centre first.

    A fixed number of queries. `digests` are those of `plan_digests`, for who asks often. Raises Unreachable.
    """
    known = digests if digests is not None else plan_digests(site)
    with reading(catalogue) as db:
        created = {(row.tenant, row.system): row.created_at for row in db.execute(select(t.systems))}
        drilled = _drilled(db, now)
        checks = _checks(db)
    found = []
    for name, plan in sorted(site.plans.items()):
        names = [system.partition("/") for system in plan.systems]
        since = min((created[key] for tenant, _, each in names if (key := (tenant, each)) in created), default=now)
        cadence = plan_cadence(site, plan)
        for centre in plan_centres(site, plan):
            stands = standing(plan, known[name], cadence, drilled[name, centre], since, now)
            found.append(PlanAt(plan, centre, known[name], stands, checks.get((name, centre))))
    return tuple(found)


def record_plan_check(catalogue: Catalogue, check: PlanCheck) -> None:
    """Remember what was found, in the place of what was found before. May be repeated."""
    columns = t.plan_checks.c
    key = (columns.plan == check.plan) & (columns.centre == check.centre) & (columns.kind == check.kind)
    values = {column.name: getattr(check, column.name) for column in columns}
    with writing(catalogue.engine) as db:
        db.execute(delete(t.plan_checks).where(key))
        db.execute(insert(t.plan_checks).values(**{**values, "items": [dict(each) for each in check.items]}))


def read_plan_checks(catalogue: Catalogue) -> list[PlanCheck]:
    """Return the last look at every plan, centre and kind that was ever looked at."""
    with reading(catalogue) as db:
        return [_check(row) for row in db.execute(select(t.plan_checks))]


def _checks(db: Connection) -> dict[tuple[str, str], PlanCheck]:
    rows = db.execute(select(t.plan_checks).order_by(t.plan_checks.c.checked_at))
    return {(row.plan, row.centre): _check(row) for row in rows}


def _check(row: Row[Any]) -> PlanCheck:
    return PlanCheck(**{**row._mapping, "items": tuple(row._mapping["items"])})


def _drilled(db: Connection, now: datetime) -> Mapping[tuple[str, str], list[Drilled]]:
    found: defaultdict[tuple[str, str], list[Drilled]] = defaultdict(list)
    for each in last_drills(db, now):
        system = f"{each.tenant}/{each.system}"
        run = Drilled(system, each.kind, str(each.verdict), each.ended_at, each.plan_digest)
        found[each.plan, each.centre].append(run)
    return found

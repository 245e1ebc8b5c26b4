"""What the catalogue knows of a loss of centres: a fixed number of queries, judged by `policies.scenarios`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, or_, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.facts import RECOVERED, Key, every_key, last_drills, of_newest, proved_at_centres
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.records import DrillRow
from orchestrator.catalogue.store import Catalogue
from policies.calibration import Calibration, calibrate
from policies.objectives import Landing
from policies.recovery_order import room_at
from policies.scenarios import HOME, Copy, Drilled, Estimate, Outcome, Protected, Sample, assess
from policies.site import Site, SystemRef
from policies.work import COPY_CENTRES

#: The last drills of a system at a centre that an estimate rests on: links and hosts change, and old drills tell less.
DRILLS_COUNTED = 10

#: What of a drill is the recovery itself. That people notice and decide is not in it.
RECOVERY_STAGES = ("restore", "start", "verify")


@dataclass(frozen=True, slots=True)
class CentreLeft:
    """A centre that is left. `room` is how many recoveries may run there at once, None for any number."""

    centre: str
    has_vault: bool
    has_cloud: bool
    room: int | None


@dataclass(frozen=True, slots=True)
class Statement:
    """What is lost if the centres `lost` are lost at `at`. `read_at` is when the catalogue was asked."""

    read_at: datetime
    at: datetime
    lost: tuple[str, ...]
    left: tuple[CentreLeft, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def holds(self) -> bool:
        """Whether every system comes through within its objectives."""
        return all(each.holds for each in self.outcomes)

    @property
    def home_stands(self) -> bool:
        return HOME not in self.lost

    @property
    def no_vault_left(self) -> bool:
        return not any(each.has_vault for each in self.left)

    def only(self, systems: Collection[tuple[str, str]]) -> Statement:
        """Return the same for some systems. Their turns stay those among all of the city."""
        kept = (each for each in self.outcomes if (each.system.tenant, each.system.system) in systems)
        return replace(self, outcomes=tuple(kept))


def read_statement(
    site: Site, catalogue: Catalogue, lost: Collection[str], at: datetime, read_at: datetime
) -> Statement:
    """Return what would be lost, from the catalogue alone: no cloud and no vault is asked.

    What had happened by `at` counts, as far as the catalogue still knows it: points that have expired since are
    gone. When `at` lies ahead, nothing is expected to land until then. Raises Unreachable.
    """
    with reading(catalogue) as db:
        known = _read(db, at)
    systems = [_protected(ref, site, known, at) for ref in site.systems()]
    return Statement(
        read_at=read_at,
        at=at,
        lost=tuple(centre for centre in site.centres if centre in lost),
        left=tuple(_left(site, centre) for centre in (HOME, *COPY_CENTRES) if centre not in lost),
        outcomes=assess(systems, known.samples, lost, at, site.limits),
    )


def read_estimates(
    site: Site, catalogue: Catalogue, centre: str, at: datetime, systems: Collection[str]
) -> dict[str, Estimate]:
    """Return how long the recovery of each of these systems (TENANT/SYSTEM) at a centre is likely to take.

    Of a centre without a vault of its own the nearest that has one is read. Raises Unreachable.
    """
    with reading(catalogue) as db:
        known = _read(db, at)
    drilled = Drilled(known.samples)
    found = {}
    for ref in site.systems():
        if str(ref) in systems:
            system = _protected(ref, site, known, at)
            here = next((each for each in system.copies if each.centre == centre), system.copies[0])
            found[str(ref)] = drilled.estimate(system, here)
    return found


class Expected(NamedTuple):
    """The recovery of a system at a centre: how long it is likely to take, and how good such estimates were so far."""

    estimate: Estimate
    calibration: Calibration


def read_expected(site: Site, catalogue: Catalogue, at: datetime) -> dict[Key, Expected]:
    """Return what is expected of every system at every centre that keeps copies of it. Raises Unreachable."""
    with reading(catalogue) as db:
        known = _read(db, at)
    drilled = Drilled(known.samples)
    history: defaultdict[Key, list[Sample]] = defaultdict(list)
    for sample in reversed(known.samples):  # the newest of each stands first
        history[Key(sample.tenant, sample.system, sample.centre)].append(sample)
    found = {}
    for ref in site.systems():
        system = _protected(ref, site, known, at)
        for copy in system.copies:
            key = Key(system.tenant, system.system, copy.centre)
            if copy.centre in ref.copies:
                found[key] = Expected(drilled.estimate(system, copy), calibrate(history[key]))
    return found


class _Point(NamedTuple):
    landing: Landing
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Known:
    created: dict[tuple[str, str], datetime]
    newest: dict[Key, _Point]
    proved: dict[Key, datetime]
    faults: dict[Key, int]
    samples: tuple[Sample, ...]
    drill_failed: frozenset[Key]


def _read(db: Connection, at: datetime) -> _Known:
    drills: defaultdict[Key, list[DrillRow]] = defaultdict(list)
    for drill in last_drills(db, at, apart=(), count=DRILLS_COUNTED):
        drills[Key(drill.tenant, drill.system, drill.centre)].append(drill)
    return _Known(
        created={(row.tenant, row.system): row.created_at for row in db.execute(select(t.systems))},
        newest=dict(_newest(db, at)),
        proved=dict(proved_at_centres(db, at)),
        faults=dict(_faults(db, at)),
        samples=tuple(_sample(each) for of_key in drills.values() for each in of_key if each.verdict in RECOVERED),
        drill_failed=frozenset(key for key, of_key in drills.items() if of_key[0].verdict not in RECOVERED),
    )


def _protected(ref: SystemRef, site: Site, known: _Known, at: datetime) -> Protected:
    tenant, system = ref.tenant.tenant, ref.name
    return Protected(
        tenant=tenant,
        system=system,
        tier=ref.tier.tier,
        level=ref.tier.gbt20988_level,
        known_since=min(known.created.get((tenant, system), at), at),
        copies=tuple(_copy(ref, Key(tenant, system, centre), known) for centre in site.vaults()),
    )


def _copy(ref: SystemRef, key: Key, known: _Known) -> Copy:
    point, rules = known.newest.get(key), {str(centre): rule for centre, rule in ref.copies.items()}
    # A point saves the system also where its tier demands none any more; the objectives are then another centre's.
    rule = rules[key.centre] if key.centre in rules else next(iter(rules.values()))
    return Copy(
        centre=key.centre,
        rpo=rule.rpo,
        rto=rule.rto,
        newest=point.landing if point else None,
        size_bytes=point.size_bytes if point else 0,
        proved_data_time=known.proved.get(key),
        faults=known.faults.get(key, 0),
        drill_failed=key in known.drill_failed,
    )


def _left(site: Site, centre: str) -> CentreLeft:
    return CentreLeft(centre, centre in site.vaults(), centre in site.clouds(), room_at(centre, site.limits))


def _sample(drill: DrillRow) -> Sample:
    seconds = sum(drill.stages.get(stage, 0.0) for stage in RECOVERY_STAGES)
    return Sample(drill.tenant, drill.system, drill.centre, drill.restored_bytes, seconds)


# --- queries


def _newest(db: Connection, at: datetime) -> Iterator[tuple[Key, _Point]]:
    """Yield of every system at every centre the point with the newest data that had landed by `at`."""
    keys = every_key()
    picked = select(keys, of_newest(t.points.c.id, keys, at).label("point_id")).subquery("picked")
    query = (
        select(picked.c.tenant, picked.c.system, picked.c.centre, t.points.c.data_time, t.landings.c.landed_at)
        .add_columns(t.points.c.bytes)
        .join_from(picked, t.points, t.points.c.id == picked.c.point_id)
        .join(t.landings, (t.landings.c.point_id == picked.c.point_id) & (t.landings.c.centre == picked.c.centre))
    )
    for tenant, system, centre, data_time, landed_at, size in db.execute(query):
        yield Key(tenant, system, centre), _Point(Landing(data_time, landed_at), size)


def _faults(db: Connection, at: datetime) -> Iterator[tuple[Key, int]]:
    columns = t.findings.c
    key = (columns.tenant, columns.system, columns.centre)
    query = (
        select(*key, func.count())
        .where((columns.found_at <= at) & or_(columns.healed_at.is_(None), columns.healed_at > at))
        .group_by(*key)
    )
    for tenant, system, centre, count in db.execute(query):
        yield Key(tenant, system, centre), count

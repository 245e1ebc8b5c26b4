"""Copies, tenants and plans as samples: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from exporters import copy_metrics as c
from exporters.metric import Metric
from orchestrator.catalogue.board import Board
from orchestrator.catalogue.epochs import Adopted
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.plans import PlanAt
from orchestrator.catalogue.records import TenantCentre
from orchestrator.catalogue.stored import Stored
from policies.epoch import NEVER_MOVED, SEATS, join
from policies.site import Site

EVER = datetime.min.replace(tzinfo=UTC)
Samples = Iterator[tuple[Metric, tuple[str, ...], float]]


def lag_samples(board: Board) -> Samples:
    """Yield how far each centre is behind the one that has the newest data of the system.

    One that has nothing while another has is behind by all the time that the system is known.
    """
    newest: dict[tuple[str, str], datetime] = {}
    for row in board.rows:
        if row.last_data_time:
            newest[row.tenant, row.system] = max(newest.get((row.tenant, row.system), EVER), row.last_data_time)
    for row in board.rows:
        there = newest.get((row.tenant, row.system))
        lag = row.rpo_actual if there else timedelta(0)
        if there and row.last_data_time:
            lag = there - row.last_data_time
        yield c.LAG, (row.tenant, row.system, row.tier, row.centre), lag.total_seconds()


def stored_samples(stored: Mapping[Key, Stored], site: Site) -> Samples:
    """Yield what systems take in the vaults that were ever listed, and how far the rolling read of them has come."""
    for ref in site.systems():
        for centre in map(str, ref.copies):
            if not (found := stored.get(Key(ref.tenant.tenant, ref.name, centre))):
                continue
            labels = ref.tenant.tenant, ref.name, ref.tier.tier, centre
            yield c.STORED_BYTES, labels, found.bytes
            yield c.STORED_OBJECTS, labels, found.objects
            if found.bytes:
                yield c.DEDUPLICATION, labels, found.held / found.bytes
                yield c.READ_RATIO, labels, found.read[ref.tier.schedule.read_all_within] / found.bytes


def active_samples(history: Sequence[Adopted], site: Site) -> Samples:
    """Yield where each system is active."""
    places = join(*(each.record.active for each in history))
    for ref in site.systems():
        active = places.get(str(ref), NEVER_MOVED).centre
        for centre in SEATS:
            yield c.ACTIVE, (ref.tenant.tenant, ref.name, ref.tier.tier, centre), float(centre == active)


def tenant_samples(tenants: Iterable[TenantCentre]) -> Samples:
    for each in tenants:
        yield c.TENANT_LOOKED, (each.tenant, each.centre), each.looked_at.timestamp()


def readiness_samples(plans: Iterable[PlanAt]) -> Samples:
    """Yield for how many tenants of each plan room was lacking, and whose twin differed, when it was last looked at."""
    for each in plans:
        if check := each.check:
            found = [(item.get("name"), item.get("verdict")) for item in check.items]
            labels = each.plan.plan, each.centre
            yield c.PLAN_CAPACITY, labels, found.count(("capacity", "fail"))
            yield c.PLAN_TWIN, labels, found.count(("twin", "fail")) + found.count(("twin", "warn"))

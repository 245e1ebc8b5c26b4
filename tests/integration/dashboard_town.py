"""A catalogue in which everything that dashboards show has happened: backups, misses, drills, faults, runs.

The city is the example's, with one database archived. History is written through the catalogue's own functions, back
from now, so that Prometheus finds it as a site of some weeks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import update

from drills.measure import STAGES
from orchestrator.catalogue import audit, keys, verifications
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.archives import ArchiveAt, record_archive
from orchestrator.catalogue.database import now as catalogue_now
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.locks import Locks, record_locks
from orchestrator.catalogue.parities import record_parities
from orchestrator.catalogue.plans import PlanCheck, record_plan_check
from orchestrator.catalogue.quota_uses import QuotaUse, record_quota_uses
from orchestrator.catalogue.records import DrillRow, Order, Outcome, Point, RunState, WorkerRow
from orchestrator.catalogue.spot_checks import SpotCheck, record_spot_check
from orchestrator.catalogue.store import Catalogue
from policies.archive import Reach
from policies.load import load_site
from policies.parity import Parity
from policies.plan_digest import plan_digest
from policies.site import Site, SystemRef
from policies.spot import Compared
from policies.suspicion import Sign, Signal
from policies.verification import Slice
from policies.work import plan_systems

DALIAN = Path(__file__).parents[2] / "examples" / "dalian"
#: Laid over the example: one database of one system is archived.
OVERLAY = {
    "tenants": {
        "natural-resources": {
            "systems": {
                "land-registry": {
                    "sources": {"register": {"archive": {"data_folder": "/srv/land", "passphrase": "env:P"}}}
                }
            }
        }
    }
}
TENANT, SYSTEM = "natural-resources", "land-registry"
#: How many of a tier's intervals the newest copy of each system is old, in turn; None: never backed up.
LAGS: tuple[float | None, ...] = (0.2, 0.4, 0.9, 0.3, 1.6, 0.5, 0.1, 0.6, 0.3, 0.45, None, 2.4)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
#: What share of a recovery each stage takes.
SHARES = (120.0, 300.0, 15.0, 1500.0, 240.0, 200.0, 90.0)


def write_history(catalogue: Catalogue, overlay: Path, now: datetime) -> Site:
    """Fill an empty catalogue, as if the city had run for 30 days until `now`; return the city."""
    site = load_site(DALIAN, overlay)
    refs = list(site.systems())
    catalogue.register_systems((ref.tenant.tenant, ref.name) for ref in refs)
    with catalogue.engine.begin() as db:
        db.execute(update(t.systems).values(created_at=now - 30 * DAY))
    for number, ref in enumerate(refs):
        lag = LAGS[number % len(LAGS)]
        if lag is not None:
            _points(catalogue, ref, now, lag)
        _upkeep(catalogue, ref, now, number)
    _drills(catalogue, site, now)
    _keys(catalogue, site, now)
    _looks(catalogue, site, now)
    _runs(catalogue)
    audit.seal(catalogue.engine, "sha256", wait=True)
    for source, centre in (("register", "same-city"), ("register", "provincial")):
        reach = Reach(now - 9 * DAY, now - 20 * MINUTE, None)
        record_archive(
            catalogue, ArchiveAt(TENANT, SYSTEM, source, centre, now - 5 * MINUTE, reach, now - DAY, now - DAY, 3)
        )
    return site


def _points(catalogue: Catalogue, ref: SystemRef, now: datetime, lag: float) -> None:
    """A day of points; each centre has them a little later than the one before it, and proves one of them."""
    every = min(copy.rpo for copy in ref.copies.values())
    times = list(_times(now, every, lag))
    for centre_number, centre in enumerate(map(str, ref.copies)):
        landed: dict[str, datetime] = {}
        for data in times:
            name = f"{ref.name}-{int(data.timestamp())}"
            if centre_number == 0:
                signs = (Signal(Sign.SHRUNK, "a tenth of the files"),) if data == times[0] and lag > 2 else ()
                size = 10**9 + len(landed) * 10**7
                of = ref.tenant.tenant, ref.name, ref.tier.tier
                made = Point(name, "run", *of, data, data + MINUTE, size, 10**7, "document", (), suspicion=signs)
                catalogue.add_point(made)
            landed[name] = data + (2 + 8 * centre_number) * MINUTE
        landed = {name: at for name, at in landed.items() if at < now}
        catalogue.set_landings(centre, ref.tenant.tenant, ref.name, landed)
        if lag < 0.8 and landed:
            catalogue.mark_proved(next(iter(landed)), centre)


def _times(now: datetime, every: timedelta, lag: float) -> Iterator[datetime]:
    data = now - lag * every - 11 * MINUTE
    while data > now - DAY - every:
        yield data
        data -= every * 0.7


def _upkeep(catalogue: Catalogue, ref: SystemRef, now: datetime, number: int) -> None:
    for centre in map(str, ref.copies):
        here = Key(ref.tenant.tenant, ref.name, centre)
        for depth, ago in (("structure", HOUR * (number + 1)), ("data", DAY)):
            seen = verifications.Verified(here, depth, now - ago - HOUR, now - ago)  # type: ignore[arg-type]
            verifications.record_verification(catalogue, seen, 900)
        verifications.keep_slices(
            catalogue, here, [Slice("3", 900, 4 * 10**9, now - 40 * DAY, now - (number * 3 + 2) * DAY)]
        )
        verifications.record_expiry(catalogue, here, ran_at=now - number * HOUR)
        floor = now + (6 + number) * DAY
        record_locks(catalogue, Locks(here, now - HOUR, floor, 700, 20, 0, 0), {})
        if number in (2, 4):
            bad = verifications.Fault("index/1", verifications.Kind.CORRUPT, "its content does not match its name")
            lost = verifications.Fault("data/2", verifications.Kind.MISSING, "named by an index")
            verifications.record_faults(catalogue, here, [bad, lost], now - DAY)
            good = verifications.Good("provincial", "a" * 64, 9)
            verifications.record_healed(catalogue, here, "data/2", good, now - HOUR, by="run")
    faults = (Compared("files", "path", 9, 0, 0, 0, ("1 of 9 files differs: a",)),) if number == 5 else ()
    checked = SpotCheck(ref.tenant.tenant, ref.name, "point", now - DAY, now - (number + 1) * HOUR, faults)
    record_spot_check(catalogue, checked)


def _drills(catalogue: Catalogue, site: Site, now: datetime) -> None:
    """Each plan but the last two was drilled three times, faster or slower than its objective in turn."""
    plans = list(site.plans.values())
    for number, plan in enumerate(plans[:-2]):
        for ref in plan_systems(site, plan):
            tenant, system = str(ref.tenant.tenant), str(ref.name)
            for round_ in range(3):
                kind = "failover" if number == 1 and round_ == 2 else "restore"
                centre, copy = next(iter(ref.copies.items()))
                slow = copy.rto.total_seconds() * (0.3 + 0.15 * number + 0.1 * round_)
                end = now - (2 - round_) * 7 * HOUR - (number + 1) * HOUR
                stages = {name: slow * share / sum(SHARES) for name, share in zip(STAGES, SHARES, strict=True)}
                drill = DrillRow(
                    id=f"drill-{plan.plan}-{system}-{round_}",
                    plan=str(plan.plan),
                    tenant=tenant,
                    system=system,
                    centre=str(centre),
                    kind=kind,
                    point_id=None,
                    started_at=end - HOUR,
                    ended_at=end,
                    verdict="failed" if number == 3 and round_ == 2 else "met" if slow < 1e4 else "missed",
                    rpo_seconds=60.0,
                    rto_seconds=slow,
                    stages=stages,
                    restored_bytes=10**9,
                    report=None,
                    plan_digest=plan_digest(site, plan) if number % 3 else None,
                    requested_by="李梅",
                )
                catalogue.add_drill(drill)
        found: tuple[Mapping[str, object], ...] = (
            {"name": "capacity", "verdict": "fail"},
            {"name": "twin", "verdict": "warn"},
        )
        faults, run = (number % 3, number % 2), f"check-{number}"
        record_plan_check(catalogue, PlanCheck(str(plan.plan), "same-city", "restore", run, now - HOUR, *faults, found))


def _keys(catalogue: Catalogue, site: Site, now: datetime) -> None:
    for number, centre in enumerate(map(str, site.vaults())):
        keys.record_bundle(catalogue, keys.BundleAt(centre, "k", now - (number + 1) * 5 * HOUR, 9, "0" * 64, number))
        for tenant in site.tenants:
            keys.record_password(catalogue, str(tenant), centre, now - 3 * DAY, 3)
            catalogue.record_tenant(str(tenant), centre, writes=2, pending=len(tenant) % 4)
    for tenant in site.tenants:
        catalogue.record_tenant(str(tenant), "production", writes=2, pending=len(tenant) % 3)
    keys.record_checks(catalogue, [keys.EscrowCheck(now - DAY, "provincial", "k", now - DAY, ("a", "b"))], "李梅")


def _looks(catalogue: Catalogue, site: Site, now: datetime) -> None:
    """What the last look for drift saw at the clouds: quotas nearly full, and a twin that lacks something."""
    for centre in map(str, site.clouds()):
        uses = [
            QuotaUse(str(tenant), centre, "compute", resource, 2 + number, 12)
            for number, tenant in enumerate(site.tenants)
            for resource in ("cores", "instances")
        ]
        record_quota_uses(catalogue, centre, uses, now - HOUR)
        seen = [(str(tenant), Parity(1 - number / 10, ())) for number, tenant in enumerate(site.tenants)]
        record_parities(catalogue, centre, seen, now - HOUR)


def _runs(catalogue: Catalogue) -> None:
    """Runs of every state that is counted, among them one that waits in the queue."""
    ledger = Ledger(catalogue)
    now = catalogue_now()
    for kind in ("server", "worker", "worker"):
        ledger.enlist(WorkerRow(f"{kind}-{now.timestamp()}", kind, "host", 1, 4, "1", 1, now, now))
        now += timedelta(microseconds=1)
    worker = catalogue.workers()[0].id
    errors = (None, None, None, ConnectionError("no answer"), None, TimeoutError("too slow"))
    for flow in ("backup", "replicate", "verify", "drill"):
        for number, error in enumerate(errors):
            ledger.submit(Order(flow, f"a/{flow}{number}", {}, ()))
            claim = ledger.claim(worker, {})
            assert claim
            attempt = ledger.start_attempt(claim, "look")
            ledger.end_attempt(claim, attempt, Outcome.FAILED if error else Outcome.PASSED, error=error)
            ledger.end(claim, RunState.FAILED if error else RunState.DONE, error=error)
    ledger.submit(Order("backup", "a/waits", {}, ()))

"""Several workers on one catalogue: a site large enough for them, their processes, and what their evidence says."""

from __future__ import annotations

import secrets
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from sqlalchemy import select

from orchestrator.app import App
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import looking
from orchestrator.catalogue.store import Catalogue
from orchestrator.lab.registration import SitePlace
from orchestrator.process import Child
from policies.limits import Limits, lookup
from tests.conftest import RunningLab

TRICENTER = str(Path(sys.executable).with_name("tricenter"))
TENANTS, SYSTEMS, FILES = 10, 4, 3
MINUTE = timedelta(seconds=60)

SITE = """
site: {name}
title: {{zh: 多机站点, en: A site of several workers}}
centres:
  production: {{title: {{zh: 生产, en: Production}}, location: {{latitude: 38.9, longitude: 121.6}}}}
  same-city:
    title: {{zh: 同城, en: Same city}}
    location: {{latitude: 39.05, longitude: 121.78}}
    vault: {{endpoint: http://127.0.0.1:1, bucket_prefix: {name}-, credential: file:none, admin_credential: file:none}}
  provincial:
    title: {{zh: 省级, en: Provincial}}
    location: {{latitude: 41.8, longitude: 123.4}}
    vault: {{endpoint: http://127.0.0.1:2, bucket_prefix: {name}-, credential: file:none, admin_credential: file:none}}
repository_password: file:none
limits:
  vault:same-city: {{concurrent: 2}}
  vault:provincial: {{concurrent: 3}}
  centre: {{concurrent: 5}}
  centre:production: {{concurrent: 4}}
  tenant: {{concurrent: 1}}
  tenant:bureau0: {{per_minute: 7}}
"""

TIER = """
tier: only-{centre}
title: {{zh: 一地, en: One place}}
backup_every: 20m
copies:
  {centre}: {{rpo: 1h, rto: 4h, retention: {{keep_within: 14d, lock: 0s}}}}
drill: {{every: 365d}}
schedule: {{read_all_within: 32d}}
gbt20988_level: 1
"""

TENANT = """
tenant: {name}
title: {{zh: 测试局, en: Test bureau}}
unit_code: T-{number:04}
mlps_level: 2
contact: nobody
systems:
"""

SYSTEM = """
  {name}:
    title: {{zh: 系统, en: System}}
    tier: only-{centre}
    sources: {{papers: {{kind: path, path: /none}}}}
"""


@dataclass
class Fleet:
    """A site of ten bureaus with four systems each, half of which are backed up to either vault."""

    folder: Path
    overlay: Path
    url: str

    @cached_property
    def app(self) -> App:
        return App(self.folder, self.overlay)

    @property
    def env(self) -> dict[str, str]:
        return {
            "TRICENTER_SITE": str(self.folder),
            "TRICENTER_OVERLAY": str(self.overlay),
            "TRICENTER_DATABASE_URL": self.url,
        }


def make_fleet(lab: RunningLab, folder: Path, url: str) -> Fleet:
    """Write and register the site, with its buckets and its files."""
    name = f"fleet-{secrets.token_hex(3)}"
    for part in ("tiers", "tenants"):
        (folder / part).mkdir(parents=True)
    (folder / "site.yaml").write_text(SITE.format(name=name), encoding="utf-8")
    for centre in ("same-city", "provincial"):
        (folder / "tiers" / f"only-{centre}.yaml").write_text(TIER.format(centre=centre), encoding="utf-8")
    for number in range(TENANTS):
        text = TENANT.format(name=f"bureau{number}", number=number) + "".join(
            SYSTEM.format(name=f"system{each}", centre=("same-city", "provincial")[each % 2]) for each in range(SYSTEMS)
        )
        (folder / "tenants" / f"bureau{number}.yaml").write_text(text, encoding="utf-8")
    fleet = Fleet(folder, lab.register(folder), url)
    app = fleet.app
    for ref in app.site.systems():
        papers = SitePlace(lab.lab, name).data(ref, "papers")
        papers.mkdir(parents=True)
        for number in range(FILES):
            (papers / f"{number}.txt").write_text(secrets.token_hex(4096))
    for centre in ("same-city", "provincial"):
        admin, vault = app.vault_admin(centre), app.vault(centre)
        for tenant in app.site.tenants:
            admin.ensure_bucket(vault.bucket(tenant), lock_days=1)
    return fleet


class WorkerProcess:
    """A process that executes runs. Its children die with it, and it dies with us."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self.said: list[str] = []
        self.child = Child(argv, env=env, on_stderr=self.said.append)
        self.id = next((line.split()[-1] for line in self.child.lines() if " worker " in line), "")
        if not self.id:
            self.child.__exit__()
            raise AssertionError(f"the worker did not start: {self.said}")

    @property
    def pid(self) -> int:
        return self.child.pid

    def wait(self, seconds: float) -> int:
        return self.child.wait(seconds)


@contextmanager
def processes() -> Iterator[Callable[[Sequence[str], Mapping[str, str]], WorkerProcess]]:
    """Yield what starts workers; those that still run at the end are ended."""
    started: list[WorkerProcess] = []

    def start(argv: Sequence[str], env: Mapping[str, str]) -> WorkerProcess:
        started.append(WorkerProcess(argv, env))
        return started[-1]

    try:
        yield start
    finally:
        for each in started:
            each.child.__exit__()


def until(condition: Callable[[], bool], seconds: float, what: Callable[[], object], *, every: float = 0.05) -> None:
    """Wait until the condition holds, and say `what` is instead when it does not come to hold in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what()}"
        time.sleep(every)


# --- what the evidence says

Interval = tuple[datetime, datetime]


@dataclass(frozen=True)
class Evidence:
    """What the catalogue's rows say of every execution: a run in one generation."""

    executions: Mapping[tuple[str, int], Interval]  # from the attempts: the first start, the last end
    claims: Mapping[tuple[str, int], Interval]  # from the slots: claimed, released
    slots: Mapping[tuple[str, int], frozenset[str]]

    def overlapping(self) -> list[str]:
        """Return the runs of which one execution began before the former one had ended."""
        by_run: defaultdict[str, list[tuple[int, Interval]]] = defaultdict(list)
        for (run, generation), interval in sorted(self.executions.items()):
            by_run[run].append((generation, interval))
        return [run for run, each in by_run.items() if any(one[1][1] > other[1][0] for one, other in pairwise(each))]

    def highest(self, intervals: Mapping[tuple[str, int], Interval]) -> Counter[str]:
        """Return how many of the intervals, at most, held each slot at one moment."""
        by_slot: defaultdict[str, list[Interval]] = defaultdict(list)
        for key, interval in intervals.items():
            for slot in self.slots[key]:
                by_slot[slot].append(interval)
        return Counter({slot: _most_at_once(each) for slot, each in by_slot.items()})

    def busiest_minute(self) -> Counter[str]:
        """Return how many claims of each slot, at most, fell within sixty seconds."""
        by_slot: defaultdict[str, list[datetime]] = defaultdict(list)
        for key, (claimed, _) in self.claims.items():
            for slot in self.slots[key]:
                by_slot[slot].append(claimed)
        return Counter(
            {
                slot: max(sum(last - MINUTE < each <= last for each in moments) for last in moments)
                for slot, moments in by_slot.items()
            }
        )

    def broken(self, limits: Limits) -> list[str]:
        """Return the limits that were passed, by either measure."""
        found = []
        for what, seen in (("attempts", self.highest(self.executions)), ("slots", self.highest(self.claims))):
            for slot, most in seen.items():
                allowed = lookup(limits, slot).concurrent
                if allowed is not None and most > allowed:
                    found.append(f"{slot}: {most} at once by its {what}, {allowed} allowed")
        for slot, most in self.busiest_minute().items():
            allowed = lookup(limits, slot).per_minute
            if allowed is not None and most > allowed:
                found.append(f"{slot}: {most} in a minute, {allowed} allowed")
        return found


def read_evidence(catalogue: Catalogue) -> Evidence:
    """Read what every execution left. Each has ended."""
    executions: dict[tuple[str, int], Interval] = {}
    claims: dict[tuple[str, int], Interval] = {}
    slots: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    with looking(catalogue.engine) as db:
        for row in db.execute(select(t.attempts)):
            key = (row.run_id, row.generation)
            first, last = executions.get(key, (row.started_at, row.ended_at))
            executions[key] = (min(first, row.started_at), max(last, row.ended_at))
        for row in db.execute(select(t.run_slots)):
            key = (row.run_id, row.generation)
            claims[key] = (row.claimed_at, row.released_at)
            slots[key].add(row.slot)
    return Evidence(executions, claims, {key: frozenset(each) for key, each in slots.items()})


def _most_at_once(intervals: Iterable[Interval]) -> int:
    # At one and the same moment an end comes before a start.
    changes = sorted(change for begin, end in intervals for change in ((begin, 1), (end, -1)))
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most

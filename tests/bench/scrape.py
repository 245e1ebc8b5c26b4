"""What a scrape costs: 500, 1000 and 2000 bureaus of five systems, on SQLite and on PostgreSQL.

The catalogue has the history of the last hours, as if everything had been done at its turn. It is scraped as
Prometheus does it, over HTTP, packed. Measured are the first scrape of a fresh process, how long it takes until its
view is whole, and scrapes a second apart while the history goes on: time, the CPU of the process over all that time,
bytes, series, the memory that it takes at most. In the same run prometheus_client writes as many series that stand in
a registry: that is what a scrape costs at least when it is written anew for each.

    python -m tests.bench.scrape [--tenants 500 1000 2000] [--database sqlite postgresql] [--hours 24]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine, insert, text

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import writing
from orchestrator.catalogue.records import RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.process import Child
from policies.site import Site, SystemRef
from policies.work import copy_centres
from tests.bench.tick import TIERS, made_site, postgresql, server_cpu

GOAL_SECONDS = 1.0
#: A ratio of costs may be so much larger than the ratio of the systems, and still be called linear.
LINEAR_WITHIN = 1.25
SCRAPES = 30
BATCH = 20_000
HEADERS = {
    "Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
    "Accept-Encoding": "gzip",
}
DAY = timedelta(days=1)
#: A metric of the counts, which are read last and shown together: when it is there, the view is whole.
LAST_READ = b"\ntricenter_points{"


@dataclass(frozen=True, slots=True)
class Scrape:
    seconds: float
    body: bytes
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a site costs: seconds of the first scrape, until the view is whole, of warm ones; shares of a core."""

    database: str
    systems: int
    rows: int
    first: float
    whole: float
    warm: float
    worst: float
    cpu: float
    server_cpu: float
    series: int
    body_bytes: int
    sent_bytes: int
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Bare:
    seconds: float
    peak_mib: float


# --- the history


def history(site: Site, now: datetime, hours: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield rows of all tables, as (table, values); whatever another row points at comes in a batch before it."""
    begin = now - timedelta(hours=hours)
    for number, ref in enumerate(site.systems()):
        key = {"tenant": ref.tenant.tenant, "system": ref.name}
        yield "systems", {**key, "created_at": now - 400 * DAY}
        every = ref.tier.backup_every
        newest = now - every * (number % 97) / 97
        yield "spot_checks", {
            **key, "point_id": "p", "began_at": newest - DAY, "ended_at": newest - DAY, "faults": 0, "sources": [],
        }  # fmt: skip
        for back in range(max(int((newest - begin) / every), 3)):
            yield from backed_up(ref, newest - every * back)
        for centre in copy_centres(ref):
            yield from _looked_after({**key, "centre": centre}, newest - DAY)
    for tenant in site.tenants:
        for centre in site.clouds():
            looked = {"applied_at": begin, "looked_at": begin, "writes": 0, "pending": 0}
            yield "tenant_centres", {"tenant": tenant, "centre": str(centre), **looked}
        for centre in site.vaults():
            asked = {"checked_at": begin, "repositories": len(TIERS)}
            yield "key_checks", {"tenant": tenant, "centre": str(centre), **asked}


def backed_up(ref: SystemRef, at: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a backup, its copy and their runs."""
    name, landed = f"{at:%d%H%M%S}-{ref}"[:38], at + timedelta(minutes=2)
    yield "points", {
        "id": name, "run_id": name, "tenant": ref.tenant.tenant, "system": ref.name, "tier": ref.tier.tier,
        "data_time": at, "finished_at": landed, "bytes": 10**9, "added_bytes": 1, "document": "d", "sources": [],
    }  # fmt: skip
    for flow, centre in zip(("backup", "replicate"), copy_centres(ref), strict=True):
        yield "landings", {"point_id": name, "centre": centre, "landed_at": landed}
        yield "runs", {
            "id": f"{flow[0]}{name}", "flow": flow, "subject": f"{ref} {centre}", "arguments": {}, "slots": [],
            "state": RunState.DONE, "priority": 1, "reason": "", "requested_by": "schedule", "queued_at": at,
            "started_at": at, "ended_at": landed, "generation": 1,
        }  # fmt: skip
        landed += timedelta(minutes=3)


def _looked_after(place: dict[str, Any], at: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what was verified, locked, expired, read and drilled at a centre."""
    for depth in ("structure", "data"):
        yield "verifications", {**place, "depth": depth, "began_at": at, "ended_at": at, "bytes": 1}
    for prefix in "02468ace":
        known = {"objects": 9, "bytes": 9, "oldest": at - 9 * DAY, "read_at": at}
        yield "read_slices", {**place, "prefix": prefix, **known}
    yield "expiries", {**place, "ran_at": at, "points": 3}
    locked = {"objects": 99, "extended": 0, "unlocked": 0, "overwritten": 0}
    yield "locks", {**place, "ran_at": at, "floor": at + 15 * DAY, **locked}
    for back in range(4):
        ended = at - 30 * DAY * back
        yield "drills", {
            **place, "id": f"{place['centre'][0]}{ended:%m%d%H%M%S}-{place['tenant']}",
            "plan": f"{place['tenant']}-{place['system']}",
            "kind": "restore", "started_at": ended - DAY / 24, "ended_at": ended, "verdict": "met",
            "rpo_seconds": 600.0, "rto_seconds": 600.0 + back, "restored_bytes": 10**9,
            "stages": {"restore": 400.0, "start": 100.0, "verify": 100.0 + back},
        }  # fmt: skip


def write_history(engine: Engine, rows: Iterator[tuple[str, dict[str, Any]]]) -> int:
    """Write the rows and return how many they are. Foreign keys decide the order of the tables."""
    waiting: dict[str, list[dict[str, Any]]] = {table.name: [] for table in t.metadata.sorted_tables}

    def flush(db: Connection) -> None:
        for name, of_table in waiting.items():
            if of_table:
                db.execute(insert(t.metadata.tables[name]), of_table)
                of_table.clear()

    count = 0
    with writing(engine) as db:
        for name, values in rows:
            waiting[name].append(values)
            count += 1
            if count % BATCH == 0:
                flush(db)
        flush(db)
    return count


# --- the measurements


@contextmanager
def process(*words: str) -> Iterator[tuple[Child, str]]:
    """Start one of the processes that are measured; yield it and its first line."""
    with Child([sys.executable, "-m", "tests.bench.scrape_once", *words]) as child:
        yield child, next(iter(child.lines())).strip()


def peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def scrape(url: str) -> Scrape:
    """Scrape once as Prometheus does. The time is that until the last byte has come; unpacking is not in it."""
    began = time.perf_counter()
    with urllib.request.urlopen(urllib.request.Request(f"{url}metrics", headers=HEADERS), timeout=60) as answer:
        packed = answer.read()
    return Scrape(time.perf_counter() - began, gzip.decompress(packed), len(packed))


def measure(database: str, url: str, server: int | None, tenants: int, hours: float) -> Cost:
    site, now = made_site(tenants), datetime.now(UTC)
    catalogue = Catalogue(url)
    rows = write_history(catalogue.engine, history(site, now, hours))
    with catalogue.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text("ANALYZE"))
    refs = list(site.systems())
    with process("serve", url, str(tenants)) as (child, address):
        began = time.perf_counter()
        first = scrape(address)
        while LAST_READ not in scrape(address).body:
            time.sleep(0.5)
        whole = time.perf_counter() - began
        began, used, servers = time.perf_counter(), server_cpu(child.pid), server_cpu(server)
        warm = []
        for number in range(SCRAPES):
            warm.append(scrape(address))
            for ref in refs[number::SCRAPES][: len(refs) // 1200]:  # what so many systems do in a second
                write_history(catalogue.engine, backed_up(ref, datetime.now(UTC)))
            time.sleep(max(0.0, began + number + 1 - time.perf_counter()))
        took = time.perf_counter() - began
        shares = (server_cpu(child.pid) - used) / took, (server_cpu(server) - servers) / took
        peak = peak_mib(child.pid)
    catalogue.engine.dispose()
    seconds, last = [each.seconds for each in warm], warm[-1]
    series = sum(not line.startswith(b"#") for line in last.body.splitlines())
    return Cost(
        database, len(refs), rows, first.seconds, whole, median(seconds), max(seconds), *shares, series,
        len(last.body), last.sent_bytes, peak,
    )  # fmt: skip


def measure_bare(series: int) -> Bare:
    with process("bare", str(series)) as (child, told):
        return Bare(json.loads(told)["seconds"], peak_mib(child.pid))


# --- what is told of it


def print_costs(console: Console, costs: list[Cost], bare: dict[int, Bare]) -> None:
    table = Table(
        "database", "systems", "rows", "series", "MB", "MB sent", "first s", "whole s", "warm s", "worst s",
        "CPU, cores", "database's", "peak MiB", "bare s", "bare MiB",
    )  # fmt: skip
    for each in costs:
        least = bare[each.systems]
        table.add_row(
            each.database, str(each.systems), f"{each.rows:,}", f"{each.series:,}", f"{each.body_bytes / 1e6:.0f}",
            f"{each.sent_bytes / 1e6:.1f}", f"{each.first:.2f}", f"{each.whole:.1f}", f"{each.warm:.3f}",
            f"{each.worst:.3f}", f"{each.cpu:.2f}", f"{each.server_cpu:.2f}", f"{each.peak_mib:.0f}",
            f"{least.seconds:.2f}", f"{least.peak_mib:.0f}",
        )  # fmt: skip
    console.print(table)


def print_goals(console: Console, costs: list[Cost], bare: dict[int, Bare]) -> None:
    for database in dict.fromkeys(each.database for each in costs):
        small, *_, large = sites = [each for each in costs if each.database == database]
        met = "met" if large.worst < GOAL_SECONDS else "MISSED"
        console.print(
            f"{database}: a warm scrape of {large.systems} systems {large.warm:.3f} s, the worst of {SCRAPES} "
            f"{large.worst:.3f} s; goal {GOAL_SECONDS:g} s: {met}; "
            f"{large.warm / bare[large.systems].seconds:.3f} of what prometheus_client takes for as many series"
        )
        if len(sites) == 1:
            continue
        systems = large.systems / small.systems
        for what, ratio in (
            ("warm scrape", large.warm / small.warm),
            ("whole view", large.whole / small.whole),
            ("series", large.series / small.series),
            ("memory", large.peak_mib / small.peak_mib),
        ):
            met = "met" if ratio <= systems * LINEAR_WITHIN else "MISSED"
            console.print(f"{database}: {what} x{ratio:.1f} for systems x{systems:.0f}; goal linear: {met}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tenants", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--database", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    parser.add_argument("--hours", type=float, default=24.0, help="length of the history that is written first")
    options = parser.parse_args()
    console, costs = Console(width=170), list[Cost]()
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="tricenter-bench-") as folder, postgresql() as (made, pid):
        for database in options.database:
            for tenants in options.tenants:
                url = f"sqlite:///{folder}/{tenants}.sqlite" if database == "sqlite" else made(f"scrape{tenants}")
                server = None if database == "sqlite" else pid
                costs.append(measure(database, url, server, tenants, options.hours))
                console.print(f"{costs[-1]}", soft_wrap=True)
    series = {each.systems: each.series for each in costs}
    bare = {systems: measure_bare(count) for systems, count in series.items()}
    console.print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; a history of {options.hours:g} h")
    print_costs(console, costs, bare)
    print_goals(console, costs, bare)


if __name__ == "__main__":
    main()

"""What a tick of the schedule costs: 500, 1000 and 2000 bureaus of five systems, on SQLite and on PostgreSQL.

Of five systems three are of the tier data-backup, one of same-city-dr and one of remote-dr. The catalogue is given the
history of the last hours, as if everything had been done at its turn. Measured are the first tick of a new site, when
every system wants its first backup, and ticks half a minute apart in the steady state: time, the queries, the inserts,
the memory that Python takes at most. The rows of a day are counted in a simulated day of the same rules.

    python -m tests.bench.tick [--tenants 500 1000 2000] [--hours 6]
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, event, insert, text

from orchestrator.app import App
from orchestrator.catalogue import reading
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import writing
from orchestrator.catalogue.records import RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.schedule.tick import Ticked, tick
from orchestrator.scratch.folder import make_scratch, remove_scratch
from orchestrator.scratch.postgres import start_server
from policies.load import load_site
from policies.plan import default_plans
from policies.schedule import due
from policies.site import Site, SystemRef
from policies.work import AtCentre, Facts, copy_centres, next_turn

DALIAN = Path(__file__).parents[2] / "examples" / "dalian"
NOW = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)  # midnight in Dalian: all windows are open
TIERS = ("data-backup", "data-backup", "data-backup", "same-city-dr", "remote-dr")
STEP, TICKS = timedelta(seconds=30), 5
LONG_AGO = timedelta(days=400)
BACKUP_TAKES, COPY_TAKES = timedelta(minutes=2), timedelta(minutes=3)
BATCH = 5000
SIMULATED_TENANTS = 10

#: Rows that a run leaves beside its own, as counted in the catalogue of the example site, rounded up.
ROWS: Mapping[str, Mapping[str, int]] = {
    "backup": {"attempts": 7, "slots": 4, "points": 1, "landings": 1},
    "replicate": {"attempts": 2, "slots": 5, "landings": 1},
    "verify": {"attempts": 11, "slots": 3},
    "retention": {"attempts": 4, "slots": 3},
    "lock": {"attempts": 2, "slots": 3},
    "drill": {"attempts": 13, "slots": 3, "drills": 1},
    "tenant-drift": {"attempts": 1, "slots": 2},
}


@dataclass(frozen=True, slots=True)
class Cost:
    """One tick: seconds by the clock, of our CPU and of the database server's, what was queued, statements, bytes."""

    seconds: float
    cpu: float
    server_cpu: float
    queued: float
    reads: float
    writes: float
    peak_bytes: int


def made_site(tenants: int) -> Site:
    """Return the example's site with that many bureaus, each with five systems."""
    dalian = load_site(DALIAN)
    pattern = dalian.tenants["natural-resources"]
    system = pattern.systems["land-registry"]
    systems = {f"system-{number}": system.model_copy(update={"tier": tier}) for number, tier in enumerate(TIERS)}
    bureaus = {
        name: pattern.model_copy(update={"tenant": name, "systems": systems})
        for name in (f"bureau-{number}" for number in range(tenants))
    }
    plans = {each.plan: each for each in default_plans(bureaus.values(), ())}
    return dalian.model_copy(update={"tenants": bureaus, "plans": plans, "blackouts": ()})


def program(site: Site, catalogue: Catalogue) -> App:
    app = App(None, None)
    app.__dict__.update(site=site, catalogue=catalogue)
    list(app.flows.values())  # a server has long imported them
    return app


# --- the history


def history(site: Site, hours: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield rows of all tables, as (table, values), as if everything had been done at its turn."""
    begin = NOW - timedelta(hours=hours)
    for ref in site.systems():
        key = {"tenant": ref.tenant.tenant, "system": ref.name}
        yield "systems", {**key, "created_at": NOW - LONG_AGO}
        every, turn = ref.tier.backup_every, f"{ref}/backup"
        at = next_turn(turn, every, min(begin, NOW - every) - every)
        while at < NOW:
            yield from _backed_up(ref, key, at)
            at += every
        for centre in copy_centres(ref):
            place, where = {**key, "centre": centre}, f"{ref}@{centre}"
            rule = ref.tier.schedule
            for depth, action, interval in (
                ("structure", "check", rule.check_every), ("data", "read", timedelta(days=1)),
            ):  # fmt: skip
                began = next_turn(f"{where}/{action}", interval, NOW - interval)
                began -= interval if began > NOW else timedelta(0)
                yield "verifications", {**place, "depth": depth, "began_at": began, "ended_at": began, "bytes": 1}
            yield (
                "drills",
                _drilled(
                    place, next_turn(f"{where}/restore-test", rule.restore_test_every, NOW) - rule.restore_test_every
                ),
            )
            ran = next_turn(f"{where}/retention", rule.retention_every, NOW - rule.retention_every)
            yield (
                "expiries",
                {**place, "ran_at": ran - (rule.retention_every if ran > NOW else timedelta(0)), "points": 0},
            )


def _backed_up(ref: SystemRef, key: Mapping[str, str], at: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    near, far = copy_centres(ref)
    name, landed = f"{at:%H%M%S}-{ref}"[:40], at + BACKUP_TAKES
    yield "points", {
        **key, "id": name, "run_id": name, "tier": ref.tier.tier, "data_time": at, "finished_at": landed, "bytes": 1,
        "added_bytes": 1, "document": "d", "sources": [],
    }  # fmt: skip
    if landed < NOW:
        yield "runs", _done("backup", str(ref), f"b{name}", at, landed)
        yield "landings", {"point_id": name, "centre": near, "landed_at": landed}
    copied = landed + COPY_TAKES
    if copied < NOW:
        yield "runs", _done("replicate", f"{ref} {near}>{far}", f"r{name}", landed, copied)
        yield "landings", {"point_id": name, "centre": far, "landed_at": copied}


def _drilled(place: Mapping[str, str], ended: datetime) -> dict[str, Any]:
    return {
        **place, "id": f"{ended:%d%H%M%S%f}-{place['tenant']}", "plan": f"{place['tenant']}-{place['system']}",
        "kind": "restore", "started_at": ended, "ended_at": ended, "verdict": "met", "stages": {}, "restored_bytes": 1,
    }  # fmt: skip


def _done(flow: str, subject: str, name: str, began: datetime, ended: datetime) -> dict[str, Any]:
    return {
        "id": name[:40], "flow": flow, "subject": subject, "arguments": {}, "slots": [], "state": RunState.DONE,
        "priority": 1, "reason": "", "requested_by": "schedule", "queued_at": began, "started_at": began,
        "ended_at": ended, "generation": 1,
    }  # fmt: skip


def write_history(catalogue: Catalogue, site: Site, hours: float) -> int:
    """Write the history and return its rows. Foreign keys decide the order: points before landings."""
    waiting: dict[str, list[dict[str, Any]]] = {name: [] for name in t.metadata.tables}
    count = 0

    def flush(least: int) -> None:
        with writing(catalogue.engine) as db:
            for name in ("systems", "points", "landings", "runs", "verifications", "expiries", "drills"):
                if waiting[name] and (least == 0 or max(map(len, waiting.values())) >= least):
                    db.execute(insert(t.metadata.tables[name]), waiting[name])
                    waiting[name].clear()

    for name, values in history(site, hours):
        waiting[name].append(values)
        count += 1
        if len(waiting[name]) >= BATCH:
            flush(BATCH)
    flush(0)
    with catalogue.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text("ANALYZE"))
    return count


# --- the measurements


@contextmanager
def counted(engines: list[Engine]) -> Iterator[Counter[str]]:
    """Count the statements that are sent within the block, by their first word."""
    seen: Counter[str] = Counter()

    def note(*words: Any) -> None:
        seen[str(words[2]).lstrip("( ").partition(" ")[0].upper()] += 1

    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield seen
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


def measure(app: App, at: datetime, server: int | None, *, memory: bool = False) -> Cost:
    engines = list({id(each): each for each in (app.catalogue.engine, _reader(app.catalogue))}.values())
    if memory:
        tracemalloc.start()
    with counted(engines) as seen:
        began, cpu, used = time.perf_counter(), time.process_time(), server_cpu(server)
        ticked: Ticked = tick(app, at)
        seconds, cpu, used = time.perf_counter() - began, time.process_time() - cpu, server_cpu(server) - used
    peak = tracemalloc.get_traced_memory()[1] if memory else 0
    if memory:
        tracemalloc.stop()
    return Cost(seconds, cpu, used, len(ticked.queued), seen["SELECT"] + seen["WITH"], seen["INSERT"], peak)


def server_cpu(pid: int | None) -> float:
    """Return what a database server's processes have used of CPU, without those that ended; nothing without one."""
    ticks = 0
    for place in Path("/proc").glob("[0-9]*/stat") if pid else ():
        with suppress(OSError):
            fields = place.read_text().rpartition(")")[2].split()
            if pid in (int(fields[1]), int(place.parent.name)):
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _reader(catalogue: Catalogue) -> Engine:
    # On SQLite who only reads has an engine of its own; on PostgreSQL an option of the same, whose events are shared.
    return reading._reader(catalogue) if catalogue.engine.dialect.name == "sqlite" else catalogue.engine


def measure_first(url: str, site: Site, server: int | None) -> Cost:
    """Return the cost of the tick at which every system of a new site wants its first backup."""
    catalogue = Catalogue(url)
    catalogue.register_systems((ref.tenant.tenant, ref.name) for ref in site.systems())
    cost = measure(program(site, catalogue), datetime.now(UTC) + timedelta(minutes=15), server)
    catalogue.engine.dispose()
    return cost


def measure_steady(url: str, site: Site, server: int | None, hours: float) -> tuple[int, Cost]:
    """Return the rows of the history, and what a tick costs: medians of some, the memory of one more."""
    catalogue = Catalogue(url)
    rows = write_history(catalogue, site, hours)
    app = program(site, catalogue)
    measure(app, NOW, server)  # what the history has begun and not ended
    costs = [measure(app, NOW + STEP * number, server) for number in range(1, TICKS + 1)]
    peak = measure(app, NOW + STEP * (TICKS + 1), None, memory=True).peak_bytes
    catalogue.engine.dispose()
    names = ("seconds", "cpu", "server_cpu", "queued", "reads", "writes")
    return rows, Cost(*(median(getattr(each, name) for each in costs) for name in names), peak)


def runs_of_a_day(site: Site) -> Counter[str]:
    """Return how many runs of each flow a day has when all are done at once: a simulated day, a tick a minute."""
    begin = NOW - timedelta(hours=12)
    known = {(ref.tenant.tenant, ref.name): begin - LONG_AGO for ref in site.systems()}
    at = {
        (ref.tenant.tenant, ref.name, centre): AtCentre(begin, None, begin, begin, begin, begin, begin, begin, begin)
        for ref in site.systems()
        for centre in copy_centres(ref)
    }
    drift = {str(centre): begin for centre in site.clouds()}
    found: Counter[str] = Counter()
    for minute in range(2 * 24 * 60):
        now = begin + timedelta(minutes=minute)
        for each in due(site, Facts(known_since=known, at=at, drift_at=drift), now):
            found[each.flow] += minute >= 24 * 60  # the first day only brings the work apart
            _apply(each.flow, each.arguments, site, at, drift, now)
    return found


def _apply(
    flow: str,
    arguments: Mapping[str, str],
    site: Site,
    at: dict[tuple[str, str, str], AtCentre],
    drift: dict[str, datetime],
    now: datetime,
) -> None:
    """Let work be done at once, as the facts would show it."""
    if flow == "tenant-drift":
        drift[arguments["centre"]] = now
        return
    system = site.plans[arguments["plan"]].system if flow == "drill" else arguments["system"]
    tenant, _, name = system.partition("/")
    ref = site.system(tenant, name)
    assert ref
    near, *farther = copy_centres(ref)
    if flow == "backup":
        at[tenant, name, near] = _with(at[tenant, name, near], data_time=now)
        for far in farther:
            at[tenant, name, far] = _with(at[tenant, name, far], lacking_since=now)
    elif flow == "replicate":
        far = arguments["target"]
        at[tenant, name, far] = _with(at[tenant, name, far], data_time=now, lacking_since=None)
    else:
        done = {"retention": "retained_at", "lock": "locked_at", "drill": "recovered_at"}.get(flow) or {
            "structure": "checked_at",
            "data": "read_at",
        }[arguments["depth"]]
        key = (tenant, name, arguments["centre"])
        at[key] = _with(at[key], **{done: now})


def _with(known: AtCentre, **changes: Any) -> AtCentre:
    return AtCentre(**{name: changes.get(name, getattr(known, name)) for name in AtCentre.__slots__})


# --- the tables


def print_costs(console: Console, costs: list[tuple[str, int, str, Cost]]) -> None:
    table = Table(
        "database", "systems", "tick", "seconds", "CPU s", "server's CPU s", "CPU, x smallest", "queued", "reads",
        "inserts", "peak MiB",
    )  # fmt: skip
    smallest: dict[tuple[str, str], tuple[int, float]] = {}
    for database, systems, kind, cost in costs:
        cpu = cost.cpu + cost.server_cpu
        count, least = smallest.setdefault((database, kind), (systems, cpu))
        ratio = f"{cpu / least:.1f} (systems x{systems / count:.0f})"
        peak = f"{cost.peak_bytes / 2**20:.0f}" if cost.peak_bytes else ""
        table.add_row(
            database, str(systems), kind, f"{cost.seconds:.2f}", f"{cost.cpu:.2f}", f"{cost.server_cpu:.2f}", ratio,
            f"{cost.queued:.0f}", f"{cost.reads:.0f}", f"{cost.writes:.0f}", peak,
        )  # fmt: skip
    console.print(table)


def print_day(console: Console, day: Counter[str], systems: int, most: int) -> None:
    table = Table("flow", f"runs a day, {systems} systems", "rows a run", f"runs a day, {most} systems", "rows a day")
    total = 0
    for flow, runs in sorted(day.items()):
        rows = 1 + sum(ROWS[flow].values())
        many = runs if flow == "tenant-drift" else runs * most // systems
        total += many * rows
        table.add_row(flow, str(runs), str(rows), f"{many:,}", f"{many * rows:,}")
    table.add_row("all", "", "", "", f"{total:,}")
    console.print(table)


@contextmanager
def postgresql() -> Iterator[tuple[Callable[[str], str], int]]:
    """Start a server and yield what makes a database in it and returns its URL, and the server's process."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="tricenter-bench-") as place:
        Path(place).chmod(0o711)
        scratch = make_scratch(Path(place), "tick", 0)
        server = start_server(scratch, "p0")

        def made(name: str) -> str:
            server.create_database(name)
            return f"postgresql://{server.user}@/{name}?host={server.socket_dir}&port={server.port}"

        try:
            yield made, server.server.pid
        finally:
            remove_scratch(str(scratch))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--hours", type=float, default=6.0, help="length of the history that is written first")
    options = parser.parse_args()
    console = Console(width=150)
    costs: list[tuple[str, int, str, Cost]] = []
    with tempfile.TemporaryDirectory(prefix="tricenter-bench-") as folder, postgresql() as (made, server):
        console.print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; a history of {options.hours:g} h")
        for tenants in options.tenants:
            site = made_site(tenants)
            systems = tenants * len(TIERS)
            for database, url, pid in (
                ("SQLite", lambda name: f"sqlite:///{folder}/{name}.sqlite", None),
                ("PostgreSQL", made, server),
            ):
                costs.append((database, systems, "first", measure_first(url(f"first{tenants}"), site, pid)))
                rows, steady = measure_steady(url(f"steady{tenants}"), site, pid, options.hours)
                costs.append((database, systems, "steady", steady))
                console.print(f"{database}, {systems} systems: {rows:,} rows of history, steady {steady.seconds:.2f} s")
    print_costs(console, sorted(costs, key=lambda each: (each[0], each[2], each[1])))
    small = made_site(SIMULATED_TENANTS)
    print_day(console, runs_of_a_day(small), SIMULATED_TENANTS * len(TIERS), max(options.tenants) * len(TIERS))
    console.print(f"peak of the whole process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()

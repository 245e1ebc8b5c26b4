"""Every flow, killed by SIGKILL at every step boundary and inside every step, comes to its end all the same.

For each flow one run is left alone, for the list of its steps and their times. Then one like it is killed at every
point that `crash_driver` names, one after the other: each new engine resumes the run and comes to the next point. The
run must end as the undisturbed one did, must not do a journaled step again, and must leave nothing behind.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.records import AttemptRow, Outcome, RunRow, RunState
from orchestrator.cloud import block_storage
from orchestrator.cloud.connection import connect
from orchestrator.engine.inprocess import make_order
from orchestrator.lab.progress import Progress
from orchestrator.lab.seed import seed
from orchestrator.process import run as run_program
from policies.site import SystemRef
from tests.conftest import RunningLab
from tests.integration.conftest import SmallSite
from tests.integration.crash_driver import CLAIM, CLEAN_UP, END, TAKE_OVER, Kill, Task, journal_rows, shape
from tests.integration.tenant_sites import CENTRES, bureau, purge

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

DRIVER = [sys.executable, "-m", "tests.integration.crash_driver"]
ROOT = Path(__file__).parents[2]
DRIVER_SECONDS = 900.0
LOOK_SECONDS = 1.0

TIER = """
tier: both
title: {zh: 两地, en: Both}
backup_every: 20m
copies:
  same-city: {rpo: 1h, rto: 4h, retention: {keep_within: 14d, lock: 0s}}
  provincial: {rpo: 1h, rto: 4h, retention: {keep_within: 35d, lock: 0s}}
drill: {every: 365d}
schedule: {read_all_within: 32d}
gbt20988_level: 4
"""

#: What must be killed at each journaled step; once what fires at "done" is in no journal, its step is done again.
STEP_MOMENTS = ("before", "inside", "done", "after")
STEP_OUTCOMES = (Outcome.INTERRUPTED, Outcome.INTERRUPTED, Outcome.PASSED, Outcome.PASSED)
ENGINE_POINTS = {
    (CLAIM, "before"), (CLAIM, "done"), (TAKE_OVER, "before"), (TAKE_OVER, "done"),
    (CLEAN_UP, "before"), (CLEAN_UP, "inside"), (CLEAN_UP, "done"), (END, "done"),
}  # fmt: skip


def head(name: str) -> dict[str, Any]:
    """Return what the site's own file says; where things are is the lab's to say."""
    centres: dict[str, dict[str, Any]] = {}
    for port, (centre, (latitude, longitude)) in enumerate(CENTRES.items()):
        title, location = {"zh": centre, "en": centre}, {"latitude": latitude, "longitude": longitude}
        has: dict[str, Any] = {"cloud": {"name": "production", "external_network": "public"}}
        if centre != "production":
            vault = {"endpoint": f"http://127.0.0.1:{port}", "bucket_prefix": f"{name}-"}
            has = {"vault": vault | {"credential": "file:none", "admin_credential": "file:none"}}
        centres[centre] = {"title": title, "location": location, **has}
    return {
        "site": name,
        "title": {"zh": "测试站点", "en": "Test site"},
        "centres": centres,
        "zones": {"public": {"title": {"zh": "公用", "en": "Shared"}, "kind": "shared"}},
        "repository_password": "file:none",
    }


def system(*sources: str) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "register": {"kind": "postgresql", "host": "none", "database": "none", "user": "none", "password": "file:none"},
        "scans": {"kind": "path", "path": "/none"},
        "disk": {"kind": "volume", "volume": f"disk-{secrets.token_hex(3)}"},
    }
    title = {"zh": "登记", "en": "Registry"}
    return {"title": title, "tier": "both", "sources": {name: kinds[name] for name in sources}}


@dataclass(frozen=True)
class CrashSite(SmallSite):
    """A site with pairs of equal things: one for the run that is left alone, one for the run that is killed."""

    tenants: tuple[str, str] = ("", "")

    @property
    def database(self) -> Path:
        return self.app.state / "catalogue.sqlite"

    def system(self, name: str) -> SystemRef:
        return self.app.system(f"{self.tenants[0]}/{name}")

    def submit(self, flow: str, arguments: Mapping[str, str]) -> str:
        app = self.app
        row = app.ledger.submit(make_order(app, app.flows[flow], arguments))
        if flow == "tenant-apply":  # kept for the run, which will ask for it
            app.ledger.send(row.id, "approve", {"by": "somebody"}, "somebody")
        return row.id

    def drive(
        self, runs: Sequence[str], work: Path, seconds: Mapping[str, float] | None = None
    ) -> tuple[list[Kill], float]:
        """Let engines work until the runs have ended; with `seconds`, kill them on the way. Return kills and time."""
        work.mkdir(exist_ok=True, parents=True)
        kill = seconds is not None
        task = Task(str(self.folder), str(self.overlay), list(runs), str(work / "kills"), kill, dict(seconds or {}))
        # What a driver starts, and what that starts, is known by its TMPDIR.
        env = {"TMPDIR": str(work), "PYTHONPATH": str(ROOT)}
        ended = run_program(
            [*DRIVER, json.dumps(asdict(task))], env=env, cwd=ROOT, deadline_seconds=DRIVER_SECONDS, check=False
        )
        told = {row.id: (row.state, row.error) for row in (self.app.catalogue.run(each) for each in runs)}
        assert ended.code == 0, f"{told}\n{ended.stderr}"
        (work / "driver.log").write_text(ended.stderr, encoding="utf-8")
        done = json.loads(ended.stdout)
        return [Kill(**each) for each in done["kills"]], done["seconds"]

    def do(self, work: Path, *orders: tuple[str, Mapping[str, str]]) -> list[RunRow]:
        """Have runs done that nobody disturbs, and return them."""
        runs = [self.submit(flow, arguments) for flow, arguments in orders]
        self.drive(runs, work)
        rows = [self.app.catalogue.run(each) for each in runs]
        assert [each.error for each in rows if each.state is not RunState.DONE] == []
        return rows

    def point(self, name: str) -> str:
        ref = self.system(name)
        return self.app.catalogue.points(ref.tenant.tenant, ref.name)[0].id

    def points(self, name: str, centre: str) -> list[str]:
        ref = self.system(name)
        return [each.point.id for each in self.app.catalogue.points_at(centre, ref.tenant.tenant, ref.name)]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crash")


@pytest.fixture(scope="module")
def site(lab: RunningLab, work: Path) -> Iterator[CrashSite]:
    """The site, its first tenant applied, its sources filled: each pair of systems has one to be left alone."""
    name, tenants = f"test-{secrets.token_hex(3)}", (f"t-{secrets.token_hex(4)}", f"t-{secrets.token_hex(4)}")
    folder = work / "site"
    for part in ("tiers", "tenants"):
        (folder / part).mkdir(parents=True)
    (folder / "site.yaml").write_text(json.dumps(head(name)), encoding="utf-8")
    (folder / "tiers" / "both.yaml").write_text(TIER, encoding="utf-8")
    systems = {
        "one": system("register", "scans", "disk"),
        "two": system("register", "scans", "disk"),
        "three": system("scans"),
        "four": system("scans"),
    }
    for number, (tenant, its) in enumerate(zip(tenants, (systems, {"files": system("scans")}), strict=True)):
        made = bureau(tenant) | {"systems": its}
        made["networks"]["office"]["cidr"] = f"10.77.{number}.0/24"
        (folder / "tenants" / f"{tenant}.yaml").write_text(json.dumps(made), encoding="utf-8")
    site = CrashSite(name, folder, lab.register(folder), lab, tenants=tenants)
    try:
        for centre in ("same-city", "provincial"):
            for tenant in tenants:
                site.app.vault_admin(centre).ensure_bucket(site.app.vault(centre).bucket(tenant), lock_days=1)
        site.do(work / "prepare", ("tenant-apply", apply_of(site, 0)))
        seed(lab.lab, folder, Progress(), scale=0.2)
        yield site
    finally:
        for tenant in tenants:
            purge(connect("production", config_file=lab.clouds_file), tenant)


# --- the flows, and what must be true after each


@dataclass(frozen=True)
class Case:
    """A flow, its arguments for the run that is left alone (0) and the one that is killed (1), and what comes of it.

    `check` gets the site, the two runs, and which of the two it is asked about.
    """

    flow: str
    arguments: Callable[[CrashSite, int], dict[str, str]]
    check: Callable[[CrashSite, RunRow, int], None]
    prepare: Callable[[CrashSite, Path], None] = lambda site, work: None
    replayed: bool = True
    name: str = ""
    vaults: tuple[str, ...] = ("same-city", "provincial")
    systems: tuple[str, str] = ("one", "two")

    def __str__(self) -> str:
        return self.name or self.flow


def apply_of(site: CrashSite, which: int) -> dict[str, str]:
    return {"tenant": site.tenants[which], "centre": "production"}


def check_apply(site: CrashSite, row: RunRow, which: int) -> None:
    """The second look finds nothing to do, and nothing is there twice."""
    (again,) = site.do(site.folder.parent / f"again-{which}", ("tenant-apply", apply_of(site, which)))
    assert again.result["done"] == []
    admin = site.app.new_cloud("production")
    (domain,) = admin.identity.domains(name=site.tenants[which])
    (project,) = admin.identity.projects(domain_id=domain.id)
    network = admin.network
    for listing in (network.networks, network.subnets, network.routers, network.security_groups):
        names = Counter(each.name for each in listing(project_id=project.id))
        assert set(names.values()) == {1}, names
    (user,) = admin.identity.users(name="tricenter", domain_id=domain.id)
    assert len(list(admin.identity.application_credentials(user=user.id))) == 1
    assert site.app.tenant_cloud("production", site.tenants[which]).authorize()


def of_system(*pair: str, **more: str) -> Callable[[CrashSite, int], dict[str, str]]:
    return lambda site, which: {"system": f"{site.tenants[0]}/{pair[which]}", **more}


def check_backup(site: CrashSite, row: RunRow, which: int) -> None:
    """The point is in the centre's listing, and every byte that its snapshots refer to is there and whole."""
    name = ("one", "two")[which]
    assert row.id in site.points(name, "same-city")
    repository = site.app.repository("same-city", site.system(name))
    repository.check(read_data=True, lock=False)
    point = next(each for each in site.app.catalogue.points(site.tenants[0], name) if each.id == row.id)
    assert {each.kind for each in point.sources} == {"path", "postgresql", "volume"}
    assert point.snapshot_ids <= {each.id for each in repository.snapshots()}


def make_points(site: CrashSite, work: Path) -> None:
    """Have a point of both large systems at the near centre."""
    if missing := [name for name in ("one", "two") if not site.points(name, "same-city")]:
        site.do(work, *(("backup", {"system": f"{site.tenants[0]}/{name}"}) for name in missing))


def make_copies(site: CrashSite, work: Path) -> None:
    make_points(site, work)
    if missing := [which for which in (0, 1) if not site.points(("one", "two")[which], "provincial")]:
        site.do(work / "copies", *(("replicate", REPLICATION(site, which)) for which in missing))


def check_replication(site: CrashSite, row: RunRow, which: int) -> None:
    name = ("one", "two")[which]
    assert site.point(name) in site.points(name, "provincial")
    site.app.repository("provincial", site.system(name)).check(read_data=True, lock=False)


def check_verification(site: CrashSite, row: RunRow, which: int) -> None:
    assert row.result["looked"]["faults"] == []
    depth, place = row.arguments["depth"], ("one", "two")[which]
    with site.app.catalogue.engine.connect() as db:
        rows = db.execute(select(t.verifications).where(t.verifications.c.system == place)).all()
        found = db.execute(select(func.count()).select_from(t.findings)).scalar_one()
    assert depth in [each.depth for each in rows]
    assert found == 0


def make_old_points(site: CrashSite, work: Path) -> None:
    """Have two old points and a new one of both small systems; the province has the old ones."""
    names = [f"{site.tenants[0]}/{name}" for name in ("three", "four")]
    for age in (50, 40):
        rows = site.do(work / f"old-{age}", *(("backup", {"system": name}) for name in names))
        at = datetime.now(UTC) - timedelta(days=age)
        with site.app.catalogue.engine.begin() as db:
            mine = t.points.c.id.in_([each.id for each in rows])
            db.execute(update(t.points).where(mine).values(data_time=at, finished_at=at))
    copied = [("replicate", {"system": name, "source": "same-city", "target": "provincial"}) for name in names]
    for name in ("three", "four"):
        (Path(source_path(site, name)) / "more").write_bytes(os.urandom(1 << 20))
    site.do(work / "copied", *copied)
    site.do(work / "new", *(("backup", {"system": name}) for name in names))


def source_path(site: CrashSite, name: str) -> str:
    source = site.system(name).system.sources["scans"]
    assert source.kind == "path"
    return source.path


def check_retention(site: CrashSite, row: RunRow, which: int) -> None:
    """The old points are gone from this centre only, and what is left is whole."""
    name = ("three", "four")[which]
    assert len(row.result["plan"]["forgotten"]) == 2
    assert site.points(name, "same-city") == [site.point(name)]
    assert len(site.points(name, "provincial")) == 2
    repository = site.app.repository("same-city", site.system(name))
    repository.check(read_data=True, lock=False)
    assert len(repository.snapshots()) == 2  # the files and the document


def drill_of(site: CrashSite, which: int) -> dict[str, str]:
    return {"plan": f"{site.tenants[0]}-{('one', 'two')[which]}", "centre": "provincial"}


def check_drill(site: CrashSite, row: RunRow, which: int) -> None:
    (drill,) = [each for each in site.app.catalogue.drills() if each.id == row.id]
    assert drill.verdict == "met"
    assert drill.restored_bytes > 1 << 30
    assert drill.report is not None
    report = Path(drill.report)
    evidence = json.loads(report.with_suffix(".json").read_text(encoding="utf-8"))
    assert report.stat().st_size > 0
    assert [each["passed"] for each in evidence["probes"]] == [True] * len(evidence["probes"])
    assert len(evidence["probes"]) >= 3


REPLICATION = of_system("one", "two", source="same-city", target="provincial")

CASES = [
    Case("tenant-apply", apply_of, check_apply, replayed=False, vaults=()),
    Case("backup", of_system("one", "two"), check_backup, vaults=("same-city",)),
    Case("replicate", REPLICATION, check_replication, make_points),
    *(
        Case("verify", of_system("one", "two", centre="provincial", depth=depth), check_verification, make_copies,
             name=f"verify {depth}")
        for depth in ("structure", "data")
    ),
    Case("retention", of_system("three", "four", centre="same-city", force="yes"), check_retention, make_old_points,
         systems=("three", "four")),
    Case("drill", drill_of, check_drill, make_copies),
]  # fmt: skip


# --- the matrix


@dataclass
class Row:
    """A line of the table."""

    name: str
    steps: int
    kills: list[Kill]
    alone_seconds: float
    killed_seconds: float
    survived: bool = False

    def cells(self) -> list[str]:
        engine = [each for each in self.kills if each.step.startswith("(") and not each.step.startswith("(look")]
        own = [each for each in self.kills if each not in engine]
        count = Counter(each.moment for each in own)
        at_work = sum(each.at_work for each in own)
        inside = f"{count['inside']} ({at_work} at work)"
        points = [str(count["before"]), inside, str(count["done"]), str(count["after"]), str(len(engine))]
        passed = len(self.kills) if self.survived else 0
        times = [f"{self.alone_seconds:.1f}", f"{self.killed_seconds:.1f}"]
        return [self.name, str(self.steps), *points, f"{passed}/{len(self.kills)}", *times]


HEADS = ["flow", "steps", "before", "inside", "done", "after", "engine", "survived", "alone s", "killed s"]


@dataclass
class Matrix:
    """The table as it grows."""

    rows: list[Row] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [HEADS, *(each.cells() for each in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        total = sum(len(each.kills) for each in self.rows)
        passed = sum(len(each.kills) for each in self.rows if each.survived)
        return "\n".join(["", *table, f"survived {passed}/{total}", ""])


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest) -> Iterator[Matrix]:
    made = Matrix()
    yield made
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(made)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_killed_at_every_point_a_run_ends_as_if_nothing_had_been(
    case: Case, site: CrashSite, work: Path, matrix: Matrix
) -> None:
    place = work / str(case).replace(" ", "-")
    case.prepare(site, place / "prepare")
    alone_id, alone_seconds = undisturbed(case, site, place / "alone")
    left_alone = site.app.catalogue.attempts(alone_id)
    times = {shape(each.step): each.seconds or 0.0 for each in left_alone}
    times |= {f"(look {number})": LOOK_SECONDS for number in (1, 2)}

    run_id = site.submit(case.flow, case.arguments(site, 1))
    kills, seconds = site.drive([run_id], place / "killed", times)
    attempts = site.app.catalogue.attempts(run_id)
    row = Row(str(case), len(shapes(attempts)), kills, alone_seconds, seconds)
    matrix.rows.append(row)

    check_run(site, run_id, kills)
    check_points(case, attempts, kills)
    assert shapes(attempts) == shapes(left_alone)
    case.check(site, site.app.catalogue.run(run_id), 1)
    check_nothing_is_left(case, site, run_id, place)
    row.survived = True


def undisturbed(case: Case, site: CrashSite, place: Path) -> tuple[str, float]:
    """Let the flow run once alone; a tenant was applied already. Return the run and how long it took."""
    if case.flow == "tenant-apply":
        row = site.app.catalogue.runs(flow=case.flow)[-1]
    else:
        (row,) = site.do(place, (case.flow, case.arguments(site, 0)))
    case.check(site, row, 0)
    assert row.started_at is not None
    assert row.ended_at is not None
    return row.id, (row.ended_at - row.started_at).total_seconds()


def shapes(attempts: Sequence[AttemptRow]) -> list[str]:
    return list(dict.fromkeys(shape(each.step) for each in attempts))


def check_run(site: CrashSite, run_id: str, kills: Sequence[Kill]) -> None:
    """The run is done; each kill but the last, which came after its end, cost one more claim."""
    row = site.app.catalogue.run(run_id)
    assert row.state is RunState.DONE, row.error
    assert kills[-1] == Kill(END, "done", at_work=False)
    assert row.generation == len(kills)
    assert len({(each.step, each.moment) for each in kills}) == len(kills)


def check_points(case: Case, attempts: Sequence[AttemptRow], kills: Sequence[Kill]) -> None:
    """Every point fired, and the evidence says of every attempt how it ended.

    A journaled step was begun four times: killed before and inside its act, killed when its act had passed and the
    journal did not know that, and passed for good. A fifth attempt would be a finished step that was done again.
    """
    fired, outcomes = {(each.step, each.moment) for each in kills}, defaultdict(list)
    for each in attempts:
        assert each.ended_at is not None, each
        outcomes[each.step].append(each.outcome)
    assert fired >= ENGINE_POINTS
    journaled = {step for step, moment in fired if moment == "after"}
    for step, ends in outcomes.items():
        if step in journaled:
            assert tuple(ends) == STEP_OUTCOMES, (step, ends)
            assert fired >= {(step, moment) for moment in STEP_MOMENTS}
        else:
            check_derived(step, ends, fired)
    assert case.replayed == (journaled == outcomes.keys())


def check_derived(step: str, ends: Sequence[Outcome], fired: set[tuple[str, str]]) -> None:
    """What is derived anew and was there after the second kill is not done a third time."""
    assert fired >= {(step, "before"), (step, "inside")}
    again = (step, "done") in fired
    assert ends[:2] == [Outcome.INTERRUPTED] * 2, (step, ends)
    assert ends[2:] in ([Outcome.PASSED] * count for count in ((1, 2) if again else (0,))), (step, ends)


def check_nothing_is_left(case: Case, site: CrashSite, run_id: str, place: Path) -> None:
    app = site.app
    assert app.ledger.open_cleanups(run_id) == []
    assert app.ledger.slots_in_use() == {}
    assert journal_rows(site.database, run_id) == 0
    with app.catalogue.engine.connect() as db:
        for table in (t.lease_holders, t.workers):
            assert db.execute(select(func.count()).select_from(table)).scalar_one() == 0, table.name
    with closing(sqlite3.connect(site.database)) as db:
        assert db.execute("select name from queues").fetchall() == []
    scratch = app.state / "scratch"
    assert not scratch.exists() or list(scratch.iterdir()) == []
    assert processes_with(f"TMPDIR={place / 'killed'}") == []
    assert processes_with(f"TRICENTER_SCRATCH={scratch / run_id}") == []
    assert sorted(each.name for each in (place / "killed").iterdir()) == ["driver.log", "kills"]
    check_cloud(site, run_id)
    for centre in case.vaults:
        check_vault(site, centre, site.system(case.systems[1]))


def check_cloud(site: CrashSite, run_id: str) -> None:
    cloud = site.app.tenant_cloud("production", site.tenants[0])
    for each in (*block_storage.volumes(cloud), *cloud.block_storage.snapshots(), *cloud.image.images()):
        assert run_id not in each.name, each


def check_vault(site: CrashSite, centre: str, ref: SystemRef) -> None:
    """No lock is left of whoever died, and a check that wants a lock of its own finds nothing wrong."""
    bucket, repository = site.app.bucket(centre, ref.tenant.tenant), site.app.repository(centre, ref)
    assert [each.key for each in bucket.list(f"{ref.name}/locks/")] == []
    repository.check()
    assert repository.locks() == 0


def processes_with(variable: str) -> list[int]:
    """Return the processes that have this variable, a second after the last death at the most."""
    end = time.monotonic() + 1
    while True:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if variable.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.05)

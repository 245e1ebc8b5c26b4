"""A site on the lab with pairs of equal things, one to be left alone and one to be killed, and its engines."""

from __future__ import annotations

import json
import secrets
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from psycopg import sql

from drills.answers import waiting
from orchestrator.catalogue.records import RunRow, RunState
from orchestrator.cloud.connection import connect
from orchestrator.engine.inprocess import make_order
from orchestrator.errors import Refused
from orchestrator.lab import seed_volume
from orchestrator.lab.postgres import FOLDERS, administrator
from orchestrator.lab.progress import Progress
from orchestrator.lab.registration import SitePlace
from orchestrator.lab.seed import seed
from orchestrator.process import run as run_program
from policies.site import SystemRef
from tests.conftest import RunningLab
from tests.integration.conftest import SmallSite
from tests.integration.crash_driver import MOMENTS, Kill, Task
from tests.integration.tenant_sites import CENTRES, bureau, purge

DRIVER = [sys.executable, "-m", "tests.integration.crash_driver"]
ROOT = Path(__file__).parents[2]
DRIVER_SECONDS = 900.0
ANSWER_POLL_SECONDS = 0.1
#: Who answers what runs wait for: another person than who asked for them.
APPROVER = "liqiang"

TIER = """
tier: both
title: {zh: 两地, en: Both}
backup_every: 20m
copies:
  same-city: {rpo: 1h, rto: 4h, retention: {keep_within: 14d, lock: 0s}}
  provincial: {rpo: 1h, rto: 4h, retention: {keep_within: 35d, lock: 2d}}
drill: {every: 365d}
schedule: {read_all_within: 32d}
gbt20988_level: 4
"""


#: The systems that are made active at other centres, and where a name points to while they are.
SWITCHED = ("five", "six")
ADDRESSES = {"production": "10.77.0.5", "same-city": "10.78.0.5", "provincial": "10.79.0.5"}
#: The systems with a server.
SERVED = ("seven", "eight")


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
        "dns": {"server": "none", "zone": f"{name}.internal", "key": "none", "secret": "file:none"},
    }


def standing_by() -> dict[str, Any]:
    """Return a system that may be active at every centre."""
    made = system("register", "scans")
    return made | {"standby": dict.fromkeys(("same-city", "provincial"), made["sources"])}


def with_a_server(address: str) -> dict[str, Any]:
    """Return a system of one server, of a flavor that the lab only fakes."""
    place = {"flavor": "m1.tiny", "network": "office", "address": address, "security_groups": ["web"]}
    return system("disk") | {"servers": {"web": {"boot": "disk", **place}}}


def switch_plan(site: str, tenant: str, name: str) -> dict[str, Any]:
    """Return the plan of a system that may be active elsewhere. Its window is longer than any test's patience."""
    called = {f"{name}.{site}.internal": {"system": f"{tenant}/{name}", "addresses": ADDRESSES}}
    return {"plan": f"{tenant}-{name}", "systems": {f"{tenant}/{name}": {}}, "names": called, "undo_window": "1h"}


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
    #: What the systems held before they were moved for the first time.
    contents: dict[str, Any] = field(default_factory=dict)
    #: What earlier runs have left of their databases, and where: what was sealed, until it is active again.
    marks: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

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
        self,
        runs: Sequence[str],
        work: Path,
        seconds: Mapping[str, float] | None = None,
        moments: Sequence[str] = MOMENTS,
    ) -> tuple[list[Kill], float]:
        """Let engines work until the runs have ended; with `seconds`, kill them on the way. Return kills and time."""
        work.mkdir(exist_ok=True, parents=True)
        kill = seconds is not None
        times, log = dict(seconds or {}), str(work / "kills")
        task = Task(str(self.folder), str(self.overlay), list(runs), log, kill, times, moments)
        # What a driver starts, and what that starts, is known by its TMPDIR.
        env = {"TMPDIR": str(work), "PYTHONPATH": str(ROOT)}
        with self.answering():
            ended = run_program(
                [*DRIVER, json.dumps(asdict(task))], env=env, cwd=ROOT, deadline_seconds=DRIVER_SECONDS, check=False
            )
        told = {row.id: (row.state, row.error) for row in (self.app.catalogue.run(each) for each in runs)}
        assert ended.code == 0, f"{told}\n{ended.stderr}"
        (work / "driver.log").write_text(ended.stderr, encoding="utf-8")
        done = json.loads(ended.stdout)
        return [Kill(**each) for each in done["kills"]], done["seconds"]

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Say yes to whatever runs wait for, once each."""
        app, stop = self.app, threading.Event()

        def answer() -> None:
            while not stop.wait(ANSWER_POLL_SECONDS):
                for each in (found for row in app.catalogue.open_runs() for found in waiting(app, row.id)):
                    with suppress(Refused):  # it has its answer and has not seen it yet, or has just ended
                        app.ledger.send(each.run, each.topic, {"by": APPROVER, "message": ""}, APPROVER)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(10)

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


@contextmanager
def crash_site(lab: RunningLab, work: Path) -> Iterator[CrashSite]:
    """The site, its first tenant applied, its sources filled: each pair of systems has one to be left alone."""
    name, tenants = f"test-{secrets.token_hex(3)}", (f"t-{secrets.token_hex(4)}", f"t-{secrets.token_hex(4)}")
    folder = work / "site"
    for part in ("tiers", "tenants", "plans"):
        (folder / part).mkdir(parents=True)
    (folder / "site.yaml").write_text(json.dumps(head(name)), encoding="utf-8")
    (folder / "tiers" / "both.yaml").write_text(TIER, encoding="utf-8")
    systems = {
        "one": system("register", "scans", "disk"),
        "two": system("register", "scans", "disk"),
        "three": system("scans"),
        "four": system("scans"),
        **{each: standing_by() for each in SWITCHED},
        **{each: with_a_server(f"10.77.0.{20 + number}") for number, each in enumerate(SERVED)},
    }
    for each in SWITCHED:
        plan = switch_plan(name, tenants[0], each)
        (folder / "plans" / f"{plan['plan']}.yaml").write_text(json.dumps(plan), encoding="utf-8")
    for number, (tenant, its) in enumerate(zip(tenants, (systems, {"files": system("scans")}), strict=True)):
        made = bureau(tenant) | {"systems": its}
        made["quota"] = {"compute": made["quota"]["compute"]}  # each quota is as slow as it is like the others
        made["networks"]["office"]["cidr"] = f"10.77.{number}.0/24"
        (folder / "tenants" / f"{tenant}.yaml").write_text(json.dumps(made), encoding="utf-8")
    site = CrashSite(name, folder, lab.register(folder), lab, tenants=tenants)
    try:
        for centre in ("same-city", "provincial"):
            for tenant in tenants:
                site.app.vault_admin(centre).ensure_bucket(
                    site.app.vault(centre).bucket(tenant), lock_days=1, clears=True
                )
        both = [("tenant-apply", apply_of(site, 0, centre)) for centre in ("same-city", "production")]
        site.do(work / "prepare", *both)
        for each in SERVED:  # nothing boots from them
            seed_volume.fill(lab.lab, tenants[0], volume_of(site, each), f"{name}/{each}")
        seed(lab.lab, folder, Progress(), scale=0.2)
        yield site
    finally:
        for tenant in tenants:
            for cloud in ("production", "same-city"):
                purge(connect(cloud, config_file=lab.clouds_file), tenant)
        for each in SWITCHED:
            drop_databases(site, each)


def drop_databases(site: CrashSite, name: str) -> None:
    """Drop a system's databases at all centres, and what was made of them. Its role has the first one's name."""
    role = SitePlace(site.lab.lab, site.name).database(site.system(name), "register")
    for centre in FOLDERS:
        with administrator(site.lab.lab, centre=centre) as admin:
            mine = "SELECT datname FROM pg_database JOIN pg_roles ON datdba = pg_roles.oid WHERE rolname = %s"
            for (database,) in admin.execute(mine, [role]).fetchall():
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))


def volume_of(site: CrashSite, name: str) -> str:
    source = site.system(name).system.sources["disk"]
    assert source.kind == "volume"
    return source.volume


def apply_of(site: CrashSite, which: int, centre: str = "production") -> dict[str, str]:
    return {"tenant": site.tenants[which], "centre": centre}

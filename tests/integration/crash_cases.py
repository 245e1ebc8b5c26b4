"""The flows of the crash matrix: what each needs before it, and what must be true after it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select, update

from orchestrator.backups.locking import lock_of
from orchestrator.backups.looked import place_of
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.locks import read_locks
from orchestrator.catalogue.records import RunRow
from orchestrator.catalogue.spot_checks import last_spot_checks
from tests.integration.crash_driver import MOMENTS
from tests.integration.crash_site import CrashSite, apply_of


@dataclass(frozen=True)
class Case:
    """A flow, its arguments for the run that is left alone (0) and the one that is killed (1), and what comes of it.

    `check` gets the site, the two runs, and which of the two it is asked about. `moments` are those at which each step
    is killed: just before a step is just after the last one, so where steps are those of other cases it has two.
    """

    flow: str
    arguments: Callable[[CrashSite, int], dict[str, str]]
    check: Callable[[CrashSite, RunRow, int], None]
    prepare: Callable[[CrashSite, Path], None] = lambda site, work: None
    replayed: bool = True
    name: str = ""
    vaults: tuple[str, ...] = ("same-city", "provincial")
    systems: tuple[str, str] = ("one", "two")
    moments: tuple[str, ...] = MOMENTS

    def __str__(self) -> str:
        return self.name or self.flow


def check_apply(site: CrashSite, row: RunRow, which: int) -> None:
    """The second look finds nothing to do, and nothing is there twice."""
    (again,) = site.do(site.folder.parent / f"again-{which}", ("tenant-apply", apply_of(site, which)))
    assert again.result is not None
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


def make_small_points(site: CrashSite, work: Path) -> None:
    if missing := [name for name in ("three", "four") if not site.points(name, "same-city")]:
        site.do(work, *(("backup", {"system": f"{site.tenants[0]}/{name}"}) for name in missing))


def check_verification(site: CrashSite, row: RunRow, which: int) -> None:
    assert row.result is not None
    assert row.result["looked"]["faults"] == []
    name = row.arguments["system"].rpartition("/")[2]
    with site.app.catalogue.engine.connect() as db:
        rows = db.execute(select(t.verifications).where(t.verifications.c.system == name)).all()
        found = db.execute(select(func.count()).select_from(t.findings)).scalar_one()
    assert row.arguments["depth"] in [each.depth for each in rows]
    assert found == 0


def check_locks(site: CrashSite, row: RunRow, which: int) -> None:
    """Everything of the system is locked for as long as its tier says, and the catalogue knows.

    Its bucket locks for a day, so all of it had to be lengthened.
    """
    ref = site.system(("one", "two")[which])
    found = read_locks(site.app.catalogue)[place_of(ref, "provincial")]
    assert (found.unlocked, found.overwritten) == (0, 0)
    assert found.objects > 0
    assert found.floor
    assert row.started_at
    assert found.floor >= row.started_at + lock_of(ref, "provincial")


def check_spot_check(site: CrashSite, row: RunRow, which: int) -> None:
    name = ("three", "four")[which]
    (found,) = [each for each in last_spot_checks(site.app.catalogue) if each.system == name]
    assert found.faults == []
    assert row.started_at
    assert found.ended_at >= row.started_at


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
    """The old points are gone from this centre and no other, and what is left is whole."""
    name = ("three", "four")[which]
    points = site.app.catalogue.points(site.tenants[0], name)
    old = {each.id for each in points if each.data_time < datetime.now(UTC) - timedelta(days=14)}
    left = {each.id for each in points} - old
    assert len(old) == 2
    (plan, *_) = [each.detail for each in site.app.catalogue.attempts(row.id) if each.detail and each.step == "plan"]
    assert set(plan["forgotten"]) == old
    assert set(site.points(name, "same-city")) == left
    assert old <= set(site.points(name, "provincial"))
    repository = site.app.repository("same-city", site.system(name))
    repository.check(read_data=True, lock=False)
    assert len(repository.snapshots()) == 2 * len(left)  # the files and the document of each


REPLICATION = of_system("one", "two", source="same-city", target="provincial")

CASES = [
    Case("tenant-apply", apply_of, check_apply, replayed=False, vaults=()),
    Case("backup", of_system("one", "two"), check_backup, vaults=("same-city",)),
    Case("replicate", REPLICATION, check_replication, make_points),
    Case("verify", of_system("one", "two", centre="provincial", depth="structure"), check_verification, make_copies,
         name="verify structure"),
    Case("verify", of_system("three", "four", centre="same-city", depth="data"), check_verification, make_small_points,
         name="verify data", vaults=("same-city",), systems=("three", "four")),
    Case("lock", of_system("one", "two", centre="provincial"), check_locks, make_copies, moments=("inside", "done")),
    Case("spot-check", of_system("three", "four"), check_spot_check, make_small_points,
         vaults=("same-city",), systems=("three", "four"), moments=("inside", "done")),
    Case("retention", of_system("three", "four", centre="same-city", force="yes"), check_retention, make_old_points,
         systems=("three", "four")),
]  # fmt: skip

"""The kinds of runs of a plan for the crash matrix: what each needs before it, and what must be true after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import func, select

from drills.kinds import SHAPES
from drills.name_switch import name_server
from orchestrator.backups import databases
from orchestrator.backups.sources.path import hash_tree
from orchestrator.backups.sources.postgresql import fingerprint_tables
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.epochs import active_centre, read_history
from orchestrator.catalogue.records import RunRow
from orchestrator.cloud import sweep
from orchestrator.epoch.registers import Registers
from orchestrator.lab.layout import Centre
from orchestrator.lab.postgres import FOLDERS, administrator
from policies.epoch import read
from policies.plan import Kind
from tests.integration.crash_cases import Case, make_copies, make_small_points
from tests.integration.crash_site import ADDRESSES, APPROVER, SERVED, SWITCHED, CrashSite


def order_of(kind: Kind, centre: str, *pair: str) -> Callable[[CrashSite, int], dict[str, str]]:
    return lambda site, which: {
        "plan": f"{site.tenants[0]}-{pair[which]}",
        "centre": centre,
        "kind": kind,
        "operator": "wangmin",
    }


def evidence_of(site: CrashSite, row: RunRow) -> dict[str, Any]:
    """Return the evidence of a run that met its objectives, of one system."""
    (drill,) = [each for each in site.app.catalogue.drills() if each.id == row.id]
    assert drill.verdict == "met"
    assert drill.report is not None
    report = Path(drill.report)
    evidence: dict[str, Any] = json.loads(report.with_suffix(".json").read_text(encoding="utf-8"))
    assert report.stat().st_size > 0
    (found,) = evidence["systems"]
    assert [each["passed"] for each in found["probes"]] == [True] * len(found["probes"])
    assert found["problems"] == []
    return {**evidence, "system": found}


def check_restored(site: CrashSite, row: RunRow, which: int) -> None:
    found = evidence_of(site, row)["system"]
    assert found["restored_bytes"] > 1 << 30
    assert len(found["probes"]) >= 3


def check_talk(site: CrashSite, row: RunRow, which: int) -> None:
    found = evidence_of(site, row)["system"]
    assert [each["got"] for each in found["probes"]] == [f"{APPROVER}: yes"] * 2
    assert site.app.catalogue.parts(row.id) == []


def make_disk_points(site: CrashSite, work: Path) -> None:
    if missing := [name for name in SERVED if not site.points(name, "same-city")]:
        site.do(work, *(("backup", {"system": f"{site.tenants[0]}/{name}"}) for name in missing))


def check_bubble(site: CrashSite, row: RunRow, which: int) -> None:
    """The volume was proved and its server ran; nothing of the bubble is there any more."""
    found = evidence_of(site, row)
    assert found["system"]["restored_bytes"] >= 1 << 30
    steps = {each["step"] for each in found["attempts"]}
    assert {"network", "servers", "start:web", "import:disk"} <= steps
    assert sweep.what_is_left(site.app.tenant_cloud("same-city", site.tenants[0]), row.id) == ()


# --- the centre at which a system is active


def content(site: CrashSite, name: str, centre: str) -> dict[str, Any]:
    """Return what a system's sources hold at a centre, as digests."""
    sources = site.system(name).system.sources_at(centre)
    register, scans = sources["register"], sources["scans"]
    assert register.kind == "postgresql"
    assert scans.kind == "path"
    password = site.app.secret(register.password).reveal()
    with psycopg.connect(
        host=register.host, port=register.port, dbname=register.database, user=register.user, password=password,
        connect_timeout=10,
    ) as connection:  # fmt: skip
        return {"register": fingerprint_tables(connection), "scans": hash_tree(Path(scans.path))}


def make_active(centre: Centre, site: CrashSite, work: Path) -> None:
    """Have both systems active at a centre, with a point of each at every vault, and know what they hold."""
    systems = {name: f"{site.tenants[0]}/{name}" for name in SWITCHED}
    where = {name: active_centre(site.app.catalogue, system) for name, system in systems.items()}
    for name in systems.keys() - site.contents.keys():
        site.contents[name] = content(site, name, where[name])
    if missing := [system for name, system in systems.items() if not site.points(name, "same-city")]:
        site.do(work / "points", *(("backup", {"system": each}) for each in missing))
    if missing := [system for name, system in systems.items() if not site.points(name, "provincial")]:
        copy = {"source": "same-city", "target": "provincial"}
        site.do(work / "copies", *(("replicate", {"system": each, **copy}) for each in missing))
    kind: Kind = "failback" if centre == "production" else "switchover"
    for name in (name for name in SWITCHED if where[name] != centre):  # an approval is good for one epoch only
        site.do(work / f"switch-{name}", ("drill", order_of(kind, centre, name)(site, 0)))
    site.marks.update({name: marks_of(site, name) for name in SWITCHED})


def check_switch(centre: Centre, former: Centre, site: CrashSite, row: RunRow, which: int) -> None:
    """The system is active at its new centre and nowhere else, with all that it held, and nothing is left over."""
    name = SWITCHED[which]
    system = f"{site.tenants[0]}/{name}"
    kind = row.arguments["kind"]
    evidence = evidence_of(site, row)
    assert content(site, name, centre) == site.contents[name]
    marks = {each for each in site.marks[name] if each[0] != centre}
    if SHAPES[kind].sealed:  # type: ignore[index]
        assert evidence["system"]["measured"]["rpo_seconds"] == 0
        marks |= {(former, "sealed")}
    assert sorted(marks_of(site, name)) == sorted(marks)
    check_epoch(site, system, row.id, [row.id], centre)
    check_name(site, name, centre)
    check_folders(site, name)
    check_all_ended(site)


def check_name(site: CrashSite, name: str, centre: str) -> None:
    assert name_server(site.app).look_up(f"{name}.{site.name}.internal").addresses == (ADDRESSES[centre],)


def check_folders(site: CrashSite, name: str) -> None:
    """Nothing lies beside the folders of a system."""
    for centre in FOLDERS:
        scans = site.system(name).system.sources_at(centre)["scans"]
        assert scans.kind == "path"
        beside = {each.name for each in Path(scans.path).parent.iterdir()}
        assert beside <= {Path(scans.path).name}, (centre, beside)


def check_all_ended(site: CrashSite) -> None:
    """No run of the site is open, and none has anything left to take away."""
    app = site.app
    assert app.catalogue.open_runs() == []
    with app.catalogue.engine.connect() as db:
        open_cleanups = select(func.count()).select_from(t.cleanups).where(t.cleanups.c.done_at.is_(None))
        assert db.execute(open_cleanups).scalar_one() == 0


def check_epoch(site: CrashSite, system: str, run: str, raised_by: list[str], centre: str) -> None:
    """Catalogue and registers agree: a run, and its undo, raised one epoch each; nothing forced them, and it holds."""
    app = site.app
    records = [each.record for each in read_history(app.catalogue)]
    numbers = [each.epoch for each in records]
    assert numbers == sorted(set(numbers))
    assert [each.forced for each in records] == [""] * len(records)
    assert [each.run for each in records if each.run.startswith(run)] == raised_by
    assert active_centre(app.catalogue, system) == centre
    state = read(app.registers, Registers(app.registers).look())
    assert state.decided == tuple(records)
    assert state.place(system).centre == centre
    assert (state.doubtful, state.contested) == ((), ())


def marks_of(site: CrashSite, name: str) -> list[tuple[str, str]]:
    """Return what runs have made of a system's databases at all centres."""
    return [marks for centre in FOLDERS for marks in _marks_at(site, name, centre)]


def _marks_at(site: CrashSite, name: str, centre: Centre) -> Iterator[tuple[str, str]]:
    register = site.system(name).system.sources_at(centre)["register"]
    assert register.kind == "postgresql"
    with administrator(site.lab.lab, centre=centre) as admin:
        known = databases.databases(admin).values()
    mine = [each for each in known if each.owner == register.user]
    assert [each.name for each in mine if each.mark is None] in ([], [register.database])
    yield from ((centre, each.mark.role) for each in mine if each.mark)


#: For what takes the steps of another case.
TWICE = ("inside", "done")

KIND_CASES = [
    Case("drill", order_of("tabletop", "same-city", "three", "four"), check_talk, make_small_points,
         name="tabletop", vaults=("same-city",), systems=("three", "four")),
    Case("drill", order_of("restore", "provincial", "one", "two"), check_restored, make_copies, name="restore"),
    Case("drill", order_of("sandbox", "same-city", *SERVED), check_bubble, make_disk_points,
         name="sandbox", vaults=("same-city",), systems=SERVED, moments=TWICE),
    Case("drill", order_of("switchover", "same-city", *SWITCHED), partial(check_switch, "same-city", "production"),
         partial(make_active, "production"), name="switchover", systems=SWITCHED),
    Case("drill", order_of("failback", "production", *SWITCHED), partial(check_switch, "production", "same-city"),
         partial(make_active, "same-city"), name="failback", systems=SWITCHED,
         moments=TWICE),
    Case("drill", order_of("failover", "provincial", *SWITCHED), partial(check_switch, "provincial", "production"),
         partial(make_active, "production"), name="failover", systems=SWITCHED,
         moments=TWICE),
]  # fmt: skip

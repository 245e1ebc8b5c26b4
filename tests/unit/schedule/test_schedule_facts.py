"""What the schedule reads from a real catalogue, the tick into a real ledger, and the command that shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, update

from orchestrator.app import App
from orchestrator.catalogue import leases, verifications
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.archives import ArchiveAt, record_archive
from orchestrator.catalogue.audit import note_configuration
from orchestrator.catalogue.facts import SCHEDULE, Key
from orchestrator.catalogue.keys import BundleAt, record_bundle
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import DrillRow, Order, Point, RunState, WorkerRow
from orchestrator.catalogue.store import Catalogue
from orchestrator.cli import run
from orchestrator.engine.port import FlowSpec
from orchestrator.schedule.facts import read_schedule_facts
from orchestrator.schedule.tick import LEASE, tick
from policies.archive import Reach
from policies.load import load_site
from policies.site import Site
from policies.work import Archived, AtCentre, Failures

DALIAN = Path(__file__).parents[3] / "examples" / "dalian"
NOW = datetime.now(UTC)
TENANT, SYSTEM = "natural-resources", "land-registry"
LAND = f"{TENANT}/{SYSTEM}"
NEAR, FAR = (TENANT, SYSTEM, "same-city"), (TENANT, SYSTEM, "provincial")


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


@dataclass
class Program:
    """An object graph with the parts that the tick needs, and the real flows."""

    site: Site
    catalogue: Catalogue
    ledger: Ledger
    flows: Mapping[str, FlowSpec]
    system: Any


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    url = f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    monkeypatch.setenv("TRICENTER_SITE", str(DALIAN))
    monkeypatch.setenv("TRICENTER_DATABASE_URL", url)
    made = Catalogue(url)
    made.register_systems((ref.tenant.tenant, ref.name) for ref in load_site(DALIAN).systems())
    with made.engine.begin() as db:
        db.execute(update(t.systems).values(created_at=ago(days=500)))
    yield made
    made.engine.dispose()


@pytest.fixture
def program(catalogue: Catalogue) -> Program:
    app = App(DALIAN, None)
    return Program(app.site, catalogue, Ledger(catalogue), app.flows, app.system)


def add_point(catalogue: Catalogue, name: str, data: datetime, **landed: datetime) -> None:
    catalogue.add_point(Point(name, "run", TENANT, SYSTEM, "remote-dr", data, data, 1, 1, "document", ()))
    with catalogue.engine.begin() as db:
        for centre, at in landed.items():
            db.execute(insert(t.landings).values(point_id=name, centre=centre.replace("_", "-"), landed_at=at))


def add_run(ledger: Ledger, flow: str, subject: str, state: RunState, ended: datetime, **more: Any) -> str:
    """Let a run have begun a minute before it ended."""
    made = ledger.submit(Order(flow, subject, {}, (), **more))
    values = {"state": state, "started_at": ended - timedelta(minutes=1), "ended_at": ended}
    with ledger.catalogue.engine.begin() as db:
        db.execute(update(t.runs).where(t.runs.c.id == made.id).values(**values))
    return made.id


def add_drill(
    catalogue: Catalogue, name: str, ended: datetime, verdict: str = "met", requested_by: str = "wang@city"
) -> None:
    catalogue.add_drill(
        DrillRow(
            name,
            "land-registry",
            TENANT,
            SYSTEM,
            "provincial",
            "restore",
            None,
            ended,
            ended,
            verdict,
            1.0,
            1.0,
            {},
            1,
            None,
            None,
            requested_by,
        )
    )


def test_points_and_what_the_far_centre_lacks_since_when(catalogue: Catalogue) -> None:
    add_point(catalogue, "one", ago(minutes=60), same_city=ago(minutes=58), provincial=ago(minutes=50))
    add_point(catalogue, "two", ago(minutes=40), same_city=ago(minutes=38))
    add_point(catalogue, "three", ago(minutes=20), same_city=ago(minutes=18))
    found = read_schedule_facts(catalogue, NOW).at
    assert (found[NEAR].data_time, found[NEAR].lacking_since) == (ago(minutes=20), None)
    assert (found[FAR].data_time, found[FAR].lacking_since) == (ago(minutes=60), ago(minutes=38))
    assert found[TENANT, "planning-maps", "provincial"] == AtCentre()


def test_a_far_centre_that_has_nothing_lacks_everything(catalogue: Catalogue) -> None:
    add_point(catalogue, "one", ago(minutes=60), same_city=ago(minutes=58))
    found = read_schedule_facts(catalogue, NOW).at
    assert (found[FAR].data_time, found[FAR].lacking_since) == (None, ago(minutes=58))


def test_a_point_that_expired_at_the_far_centre_is_not_asked_for_again(catalogue: Catalogue) -> None:
    add_point(catalogue, "old", ago(minutes=90), same_city=ago(minutes=88))
    add_point(catalogue, "new", ago(minutes=60), same_city=ago(minutes=58), provincial=ago(minutes=50))
    assert read_schedule_facts(catalogue, NOW).at[FAR].lacking_since is None


def test_verifications_and_retention(catalogue: Catalogue) -> None:
    key = {"tenant": TENANT, "system": SYSTEM, "centre": "provincial"}
    with catalogue.engine.begin() as db:
        for depth, hours in (("structure", 5), ("data", 3)):
            values = {"depth": depth, "began_at": ago(hours=hours), "ended_at": ago(hours=1), "bytes": 1}
            db.execute(insert(t.verifications).values(**key, **values))
        db.execute(insert(t.expiries).values(**key, ran_at=ago(hours=2), points=0))
    at = read_schedule_facts(catalogue, NOW).at[FAR]
    assert (at.checked_at, at.read_at, at.retained_at) == (ago(hours=5), ago(hours=3), ago(hours=2))


def test_since_when_something_is_damaged(catalogue: Catalogue) -> None:
    here, bad = Key(*FAR), verifications.Fault("one", verifications.Kind.CORRUPT, "it is")
    other = verifications.Fault("two", verifications.Kind.MISSING, "it is")
    for fault, hours in ((bad, 9), (other, 5)):
        verifications.record_faults(catalogue, here, [fault], ago(hours=hours))
    assert read_schedule_facts(catalogue, NOW).at[FAR].damaged_since == ago(hours=9)
    assert read_schedule_facts(catalogue, NOW).at[NEAR].damaged_since is None
    verifications.heal(catalogue, here, [bad.key], NOW)
    assert read_schedule_facts(catalogue, NOW).at[FAR].damaged_since == ago(hours=5)


def test_drills_by_people_are_told_from_restore_tests(program: Program) -> None:
    add_drill(program.catalogue, "by-hand", ago(days=90))
    mine = add_run(program.ledger, "drill", "land@provincial", RunState.DONE, ago(days=9), requested_by=SCHEDULE)
    add_drill(program.catalogue, mine, ago(days=9), requested_by=SCHEDULE)
    add_drill(program.catalogue, "failed", ago(days=1), verdict="failed")
    at = read_schedule_facts(program.catalogue, NOW).at[FAR]
    assert (at.drilled_at, at.recovered_at, at.held) == (ago(days=1), ago(days=9), {"restore": ago(days=90)})


def test_runs_that_failed_lately_were_done_lately_or_are_open(program: Program) -> None:
    ledger = program.ledger
    add_run(ledger, "backup", LAND, RunState.FAILED, ago(days=3))
    add_run(ledger, "backup", LAND, RunState.INTERRUPTED, ago(hours=5))
    add_run(ledger, "backup", LAND, RunState.ABORTED, ago(hours=2))
    add_run(ledger, "backup", LAND, RunState.FAILED, ago(hours=1))
    add_run(ledger, "replicate", f"{LAND} same-city>provincial", RunState.DONE, ago(minutes=5))
    add_run(ledger, "replicate", f"{LAND} same-city>provincial", RunState.DONE, ago(minutes=50))
    add_run(ledger, "tenant-drift", "production", RunState.DONE, ago(days=40))
    ledger.submit(Order("retention", f"{LAND}@provincial", {}, ()))
    found = read_schedule_facts(program.catalogue, NOW)
    assert found.failures == {("backup", LAND): Failures(ago(hours=5), ago(hours=1), ago(hours=2))}
    assert found.done == {("replicate", f"{LAND} same-city>provincial"): ago(minutes=6)}
    assert found.drift_at == {"production": ago(days=40, minutes=1)}
    assert found.open == {("retention", f"{LAND}@provincial"): "queued"}


def test_bundles_are_known_with_when_the_configuration_changed(catalogue: Catalogue) -> None:
    assert (read_schedule_facts(catalogue, NOW).escrow, read_schedule_facts(catalogue, NOW).configured_at) == ({}, None)
    record_bundle(catalogue, BundleAt("provincial", "k", ago(hours=1), 9, "0" * 64, 0))
    assert read_schedule_facts(catalogue, NOW).configured_at is None
    note_configuration(catalogue.engine, {"digest": "sha256:1"}, "me@here", "test")
    found = read_schedule_facts(catalogue, NOW)
    assert found.escrow == {"provincial": ago(hours=1)}
    assert found.configured_at is not None
    assert found.configured_at >= NOW


def test_the_number_of_queries_does_not_grow_with_the_systems(catalogue: Catalogue) -> None:
    def queries() -> int:
        seen: list[str] = []
        from orchestrator.catalogue.reading import _reader

        engine = _reader(catalogue)

        def note(*words: Any) -> None:
            seen.append(str(words[2]))

        event.listen(engine, "before_cursor_execute", note)
        read_schedule_facts(catalogue, NOW)
        event.remove(engine, "before_cursor_execute", note)
        return len([each for each in seen if each.lstrip().startswith("SELECT")])

    few = queries()
    catalogue.register_systems((f"tenant-{number}", "system") for number in range(50))
    assert queries() == few <= 14


def test_archives_as_they_were_last_seen(catalogue: Catalogue) -> None:
    assert read_schedule_facts(catalogue, NOW).archived == {}
    for hours, full in ((3, ago(days=8)), (1, ago(days=1))):
        seen = ArchiveAt(
            "bureau", "registry", "db", "provincial", ago(hours=hours), Reach(None, None, None), full, ago(hours=2), 1
        )
        record_archive(catalogue, seen)
    key = ("bureau", "registry", "db", "provincial")
    known = Archived(full_at=ago(days=1), backup_at=ago(hours=2), observed_at=ago(hours=1))
    assert read_schedule_facts(catalogue, NOW).archived == {key: known}


def test_a_tick_queues_what_is_due_once_and_in_its_order(program: Program) -> None:
    first = tick(program, NOW)
    looked_at = 2 * len(program.site.plans)
    assert {each.flow for each in first.queued} == {"backup", "tenant-drift", "plan-check"}
    assert len(first.queued) == len(first.due) == len(list(program.site.systems())) + 2 + looked_at
    assert tick(program, NOW + timedelta(minutes=1)).queued == ()
    land = next(each for each in first.queued if each.subject == LAND)
    assert (land.priority, land.requested_by, land.slots[-1]) == (1, SCHEDULE, f"tenant:{TENANT}")
    assert land.deadline == ago(days=500) + timedelta(hours=1)
    assert "20m" in land.reason


def test_the_claims_follow_the_deadlines(program: Program) -> None:
    add_point(program.catalogue, "new", ago(minutes=30), same_city=ago(minutes=29), provincial=ago(minutes=28))
    tick(program, NOW)
    worker = WorkerRow("w", "one-shot", "host", 1, 1, "0", 1, NOW, NOW)
    program.ledger.enlist(worker)
    claims = []
    while claim := program.ledger.claim("w", {}):
        claims.append((claim.run.priority, claim.run.deadline))
        program.ledger.end(claim, RunState.DONE)
    assert claims == sorted(claims)
    assert len({deadline for _, deadline in claims}) > 1


def test_of_two_who_tick_at_once_one_looks(program: Program) -> None:
    with leases.hold(program.catalogue, LEASE, "another", exclusive=True):
        held = tick(program, NOW)
    assert held.by_another
    assert program.ledger.catalogue.runs() == []
    assert tick(program, NOW).queued


def test_schedule_show_as_json(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    add_point(catalogue, "one", ago(minutes=60), same_city=ago(minutes=58))
    assert run(["schedule", "show", LAND, "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    coming = {(each["flow"], each["subject"]): each for each in document["coming"]}
    assert coming["replicate", f"{LAND} same-city>provincial"]["held_until"] is None
    assert (
        coming["replicate", f"{LAND} same-city>provincial"]["reason"]["en"]
        == "provincial lacks a point that same-city has"
    )
    assert all(LAND in each["subject"] or each["flow"] == "drill" for each in document["coming"])
    assert [(each["centre"], each["overdue"]) for each in document["reminders"]] == [
        ("provincial", True), ("same-city", True),
    ]  # fmt: skip


def test_schedule_show_as_a_table(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    program.ledger.submit(Order("backup", LAND, {}, ()))
    assert run(["schedule", "show", TENANT]) == 0
    shown = capsys.readouterr().out
    assert "已有任务 a run is queued" in shown
    assert "演练提醒" in shown
    assert "逾期 overdue" in shown
    assert "archives" not in shown


def test_schedule_show_of_nobody(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schedule", "show", "nobody"]) == 2
    assert "nobody" in capsys.readouterr().err


# --- written past a centre


def test_what_was_written_past_the_nearest_centre_is_owed_to_it_until_it_comes(catalogue: Catalogue) -> None:
    data = ago(hours=3)
    catalogue.add_point(
        Point("past", "run", TENANT, SYSTEM, "remote-dr", data, data, 1, 1, "document", (), bypassed=("same-city",))
    )
    catalogue.set_landings("provincial", TENANT, SYSTEM, {"past": data})
    add_point(catalogue, "later", ago(hours=1), same_city=ago(hours=1), provincial=ago(hours=1))
    facts = read_schedule_facts(catalogue, NOW)
    assert (facts.at[FAR].owed, facts.at[NEAR].owed) == (data, None)
    for _ in range(2):  # when the nearest centre has let it expire, it is not owed again
        listed = {"past": NOW} if _ == 0 else {}
        catalogue.set_landings("same-city", TENANT, SYSTEM, {**listed, "later": ago(hours=1)})
        assert read_schedule_facts(catalogue, NOW).at[FAR].owed is None


def test_a_backup_that_came_to_its_repository_may_have_made_one(catalogue: Catalogue) -> None:
    ledger = Ledger(catalogue)
    first = ledger.submit(Order("backup", LAND, {}, ()))
    with catalogue.engine.begin() as db:
        db.execute(
            insert(t.attempts).values(
                run_id=first.id, generation=1, step="open-repository", started_at=NOW, outcome="started"
            )
        )
    assert catalogue.was_attempted("open-repository", "backup", LAND, besides="another")
    assert not catalogue.was_attempted("open-repository", "backup", LAND, besides=first.id)
    assert not catalogue.was_attempted("open-repository", "backup", f"{TENANT}/other", besides="another")

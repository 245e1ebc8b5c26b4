"""What there is to be told, from the rows that the work leaves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from small_news import CENTRE, NOW, SUBJECT, SYSTEM, TENANT, add_drill, add_fault, add_run, add_wait
from sqlalchemy import insert, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.board import read_board
from orchestrator.catalogue.database import writing
from orchestrator.catalogue.epochs import adopt
from orchestrator.catalogue.news import News, read_news
from orchestrator.catalogue.notices import note
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.records import Point, RunState
from orchestrator.catalogue.store import Catalogue
from policies.epoch import Place, Record
from policies.site import Site

AGO = timedelta(minutes=1)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    yield made
    made.engine.dispose()


def news(catalogue: Catalogue, site: Site, *, event: str = "", since: timedelta = timedelta(0)) -> list[News]:
    with reading(catalogue) as db:
        return [each for each in read_news(db, site, NOW - since, NOW) if not event or each.event == event]


def noted(catalogue: Catalogue, site: Site) -> list[str]:
    """Note what is new, and return the subjects of that."""
    found = news(catalogue, site)
    with writing(catalogue.engine) as db:
        return [each.subject for each in note(db, found, {}, NOW)]


@pytest.mark.parametrize("minutes", [0, 59, 61, 60 * 24, 60 * 24 * 40])
def test_an_objective_is_missed_where_the_board_says_so(catalogue: Catalogue, site: Site, minutes: int) -> None:
    catalogue.register_systems((ref.tenant.tenant, ref.name) for ref in site.systems())
    with catalogue.engine.begin() as db:
        db.execute(update(t.systems).values(created_at=NOW - timedelta(minutes=minutes)))
    data = NOW - timedelta(minutes=30)
    catalogue.add_point(Point("p", "r", TENANT, SYSTEM, "remote-dr", data, data, 1, 1, "d", ()))
    catalogue.set_landings(CENTRE, TENANT, SYSTEM, {"p": data})
    board = read_board(site, catalogue, NOW)
    missed = {f"{row.tenant}/{row.system}@{row.centre}": row for row in board.rows if row.rpo_missed}
    found = {each.subject: each for each in news(catalogue, site, event="objective")}
    assert found.keys() == missed.keys()
    assert f"{SUBJECT}@{CENTRE}" not in found
    assert bool(found) == (minutes > 0)  # the shortest objective is half an hour
    for subject, row in missed.items():
        facts = found[subject].facts
        assert facts["rpo_seconds"] == row.rpo_actual.total_seconds()
        assert found[subject].at == NOW - row.rpo_actual + row.rpo_objective


def test_an_approval_is_waited_for_until_it_is_there(catalogue: Catalogue, site: Site) -> None:
    add_run(
        catalogue.engine, "r1", RunState.WAITING, NOW - AGO, flow="drill", waiting_for="approve:abcd", reason="洪水"
    )
    add_run(catalogue.engine, "r2", RunState.WAITING, NOW - AGO, flow="drill", subject="b", waiting_for="release")
    add_run(catalogue.engine, "r3", RunState.WAITING, NOW - AGO, flow="drill", subject="c", waiting_for="approveXabcd")
    for run, topic in (("r1", "approve:abcd"), ("r1", "approve:older"), ("r2", "release"), ("r3", "approveXabcd")):
        add_wait(catalogue.engine, run, topic, NOW - AGO)
    (found,) = news(catalogue, site)
    assert (found.event, found.facts["run"], found.facts["reason"], found.at) == ("approval", "r1", "洪水", NOW - AGO)
    assert noted(catalogue, site) == [found.subject]
    assert noted(catalogue, site) == []
    with catalogue.engine.begin() as db:
        db.execute(update(t.waits).values(sent_at=NOW))
    assert news(catalogue, site) == []


def test_a_failure_is_told_once_until_the_same_work_is_done(catalogue: Catalogue, site: Site) -> None:
    engine = catalogue.engine
    add_run(engine, "old", RunState.FAILED, NOW - timedelta(hours=3), subject="old/one")
    add_run(engine, "part", RunState.FAILED, NOW - AGO, subject="a/part", parent="p", part="x")
    add_run(engine, "f1", RunState.FAILED, NOW - 5 * AGO)
    add_run(engine, "f2", RunState.FAILED, NOW - 4 * AGO)
    add_run(engine, "other", RunState.DONE, NOW - 3 * AGO, flow="verify")
    (found,) = news(catalogue, site, event="run-failed")
    assert (found.subject, found.facts["run"]) == (f"backup {SUBJECT}", "f2")
    assert noted(catalogue, site) == [f"backup {SUBJECT}"]
    add_run(engine, "f3", RunState.FAILED, NOW - 2 * AGO)
    assert noted(catalogue, site) == []
    # Long after, it is still known that it has not been done since.
    assert [each.subject for each in news(catalogue, site, since=-timedelta(hours=5))] == [f"backup {SUBJECT}"]
    add_run(engine, "done", RunState.DONE, NOW - AGO)
    assert news(catalogue, site) == []
    assert noted(catalogue, site) == []
    add_run(engine, "f4", RunState.FAILED, NOW)
    assert noted(catalogue, site) == [f"backup {SUBJECT}"]


def test_what_a_fence_turned_away_is_a_failover_s_news(catalogue: Catalogue, site: Site) -> None:
    add_run(catalogue.engine, "f", RunState.FAILED, NOW, error_type="Fenced", error="已隔离 fenced: epoch 20")
    (found,) = news(catalogue, site)
    assert (found.event, found.severity, found.facts["error_type"]) == ("failover", "critical", "Fenced")


def test_a_drill_is_told_when_its_run_has_ended_with_what_it_measured(catalogue: Catalogue, site: Site) -> None:
    engine = catalogue.engine
    # Its row is of hours ago: the drill went on with other systems.
    add_drill(engine, "d1", NOW - timedelta(hours=4))
    add_drill(engine, "d1", NOW, tenant="human-resources", system="pensions", verdict="missed", rto_seconds=10**5)
    add_run(engine, "d1", RunState.RUNNING, NOW, flow="drill", subject="p1")
    assert news(catalogue, site) == []
    with engine.begin() as db:
        db.execute(update(t.runs).values(state=RunState.FAILED, ended_at=NOW))
    (found,) = news(catalogue, site)  # and not as a run that failed as well
    assert (found.event, found.severity, found.facts["verdict"]) == ("drill", "warning", "missed")
    land = next(each for each in found.facts["systems"] if each["system"] == SUBJECT)
    copy = site.system(TENANT, SYSTEM).tier.copies["same-city"]  # type: ignore[union-attr]
    assert land == {
        "system": SUBJECT,
        "verdict": "met",
        "rpo_seconds": 600.0,
        "rpo_objective_seconds": copy.rpo.total_seconds(),
        "rto_seconds": 3000.0,
        "rto_objective_seconds": copy.rto.total_seconds(),
    }
    assert noted(catalogue, site) == ["d1"]
    assert noted(catalogue, site) == []


@pytest.mark.parametrize("kind", ["failover", "switchover", "failback"])
def test_a_plan_that_was_run_for_real_is_no_drill(catalogue: Catalogue, site: Site, kind: str) -> None:
    add_drill(catalogue.engine, "d1", NOW, kind=kind)
    add_run(catalogue.engine, "d1", RunState.DONE, NOW, flow="drill", subject="p1")
    (found,) = news(catalogue, site)
    assert (found.event, found.severity) == ("failover", "critical")


def test_corruption_is_told_by_place_and_again_when_it_is_healed(catalogue: Catalogue, site: Site) -> None:
    for number in range(3):
        add_fault(catalogue.engine, f"data/{number}", NOW - number * AGO)
    add_fault(catalogue.engine, "data/healed", NOW - 9 * AGO, healed_at=NOW - 8 * AGO)
    (found,) = news(catalogue, site)
    assert (found.event, found.subject, found.facts["objects"]) == ("corruption", f"{SUBJECT}@{CENTRE}", 3)
    assert found.at == NOW - 2 * AGO
    assert noted(catalogue, site) == [f"{SUBJECT}@{CENTRE}"]
    with catalogue.engine.begin() as db:
        db.execute(update(t.findings).values(healed_at=NOW))
    assert noted(catalogue, site) == [f"{SUBJECT}@{CENTRE}"]  # that it is over
    assert noted(catalogue, site) == []


def test_an_epoch_is_told_with_what_it_moved(catalogue: Catalogue, site: Site) -> None:
    moved = {SUBJECT: Place(CENTRE, 20), "a/b": Place("production", 10)}
    adopt(catalogue, [Record(20, "x", moved, (SUBJECT,), "", "li", "wang", NOW, "run-1", ())])
    with catalogue.engine.begin() as db:
        db.execute(update(t.epochs).values(adopted_at=NOW - AGO))
    (found,) = news(catalogue, site)
    assert (found.event, found.facts["epoch"], found.facts["moved"]) == ("failover", 20, {SUBJECT: CENTRE})
    assert noted(catalogue, site) == ["epoch 20"]
    assert noted(catalogue, site) == []


def test_the_longest_names_have_room(catalogue: Catalogue, site: Site) -> None:
    """SQLite would take any length, and PostgreSQL would not."""
    subject = "s" * 120
    add_run(catalogue.engine, "r" * 40, RunState.FAILED, NOW, flow="f" * 40, subject=subject)
    (found,) = news(catalogue, site)
    with writing(catalogue.engine) as db:
        (opened,) = note(db, [found], {}, NOW)
    columns = t.notices.c
    assert len(opened.subject) <= (columns.subject.type.length or 0)
    assert len(f"{opened.id}:over") <= (columns.id.type.length or 0)
    assert all(len(each) <= (columns.event.type.length or 0) for each in ("corruption", "run-failed"))


def test_only_one_notice_of_the_same_is_open(catalogue: Catalogue) -> None:
    row = {"event": "objective", "severity": "critical", "subject": "x", "at": NOW, "noted_at": NOW, "facts": {}}
    with catalogue.engine.begin() as db:
        db.execute(insert(t.notices).values(id="1", **row))
    with pytest.raises(Exception, match="UNIQUE"), catalogue.engine.begin() as db:
        db.execute(insert(t.notices).values(id="2", **row))

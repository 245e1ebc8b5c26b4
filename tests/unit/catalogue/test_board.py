"""The board against histories small enough to be judged by hand, or minute by minute."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from small_town import NOW, SYSTEM, TENANT, Town, ago
from sqlalchemy import event

from orchestrator.catalogue.board import Verdict
from orchestrator.catalogue.reading import _reader
from orchestrator.errors import Unreachable
from policies.site import Site

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def minute_by_minute(
    landings: list[tuple[datetime, datetime]], created: datetime, start: datetime, objective: timedelta
) -> tuple[timedelta, timedelta, float]:
    """Return exposure now, the worst and the share within, by walking the window; all times are whole minutes."""

    def since(at: datetime) -> datetime:
        return max((data for data, landed in landings if landed <= at), default=created)

    begin = max(start, created)
    minutes = [begin + step * MINUTE for step in range(int((NOW - begin) / MINUTE))]
    worst = max(at + MINUTE - since(at) for at in minutes)
    within = sum(at + MINUTE - since(at) <= objective for at in minutes)
    return NOW - since(NOW), worst, within / len(minutes)


@pytest.mark.parametrize("seed", range(12))
def test_exposure_is_what_walking_through_the_minutes_gives(town: Town, seed: int) -> None:
    chance = random.Random(seed)
    window = timedelta(hours=12)
    created = ago(minutes=chance.choice([400, 900, 3000]))
    town.created(created)
    history: dict[str, list[tuple[datetime, datetime]]] = {"same-city": [], "provincial": []}
    for _ in range(chance.randint(1, 30)):
        data = created + chance.randint(0, int((NOW - created) / MINUTE)) * MINUTE
        landed = {centre: data + chance.randint(0, 200) * MINUTE for centre in history if chance.random() < 0.8}
        town.point(data, landed)
        for centre, at in landed.items():
            if at <= NOW:  # what lands later than the moment that is asked for is not there yet
                history[centre].append((data, at))
    for centre, landings in history.items():
        row = town.row(centre, window)
        found = (row.rpo_actual, row.rpo_worst, row.rpo_compliance)
        actual, worst, share = minute_by_minute(landings, created, NOW - window, HOUR)
        assert found == (actual, worst, pytest.approx(share, abs=1e-9))
        newest = max(landings, default=None, key=lambda each: (each[0], NOW - each[1]))
        assert (row.last_data_time, row.last_landed_at) == (newest or (None, None))
        assert (row.verdict is Verdict.NEVER) == (not landings)


def test_system_never_backed_up_is_exposed_since_it_is_known(town: Town) -> None:
    town.created(ago(hours=5))
    row = town.row("provincial")
    assert row.rpo_actual == row.rpo_worst == timedelta(hours=5)
    assert row.rpo_compliance == pytest.approx(1 / 5)
    assert (row.verdict, row.last_data_time, row.last_landed_at, row.proved_data_time) == ("never", None, None, None)
    assert (row.drills, row.last_drill, row.rto_measured) == ((), None, None)
    assert row.drill_due_at == ago(hours=5) + timedelta(days=30)


def test_system_of_the_site_that_the_catalogue_does_not_know_yet(town: Town) -> None:
    row = town.row()
    assert (row.rpo_actual, row.rpo_compliance, row.verdict) == (timedelta(0), 1.0, "never")


def test_older_point_that_lands_after_a_newer_one_changes_nothing(town: Town) -> None:
    town.created(ago(hours=3))
    town.point(ago(minutes=10), {"same-city": ago(minutes=8)})
    before = town.row()
    town.point(ago(minutes=100), {"same-city": ago(minutes=1)})
    after = town.row()
    assert (after.rpo_actual, after.rpo_worst) == (before.rpo_actual, before.rpo_worst)
    assert (after.last_data_time, after.last_landed_at) == (ago(minutes=10), ago(minutes=8))


def test_centres_are_told_apart(town: Town) -> None:
    town.created(ago(hours=3))
    town.point(ago(minutes=10), {"same-city": ago(minutes=8)})
    assert [(row.centre, row.verdict.value) for row in town.board().rows] == [
        ("same-city", "unproved"),
        ("provincial", "never"),
    ]


def test_points_that_expired_by_retention_are_no_gap(town: Town, sites: dict[str, Site]) -> None:
    town.site = sites["short"]
    town.created(ago(days=30))
    for step in range(1, 4 * 72):
        data = ago(minutes=20 * step)
        name = town.point(data, {"same-city": data + MINUTE}) if step < 80 else None
        if name and data < ago(days=1):
            town.expire(name, "same-city")
    row = town.row()
    assert row.rpo_compliance == 1.0
    assert row.rpo_worst <= timedelta(minutes=21)


def test_gap_within_retention_is_a_gap(town: Town, sites: dict[str, Site]) -> None:
    town.site = sites["short"]
    town.created(ago(days=30))
    town.point(ago(hours=20), {"same-city": ago(hours=20) + MINUTE})
    town.point(ago(minutes=20), {"same-city": ago(minutes=19)})
    assert town.row().rpo_worst == timedelta(hours=20) - timedelta(minutes=19)


def test_catalogue_that_was_rebuilt_is_younger_than_its_points(town: Town) -> None:
    town.created(NOW)
    for hours in (30, 20, 1):
        town.point(ago(hours=hours), {"same-city": ago(hours=hours) + MINUTE})
    row = town.row()
    assert (row.rpo_actual, row.rpo_worst) == (HOUR, timedelta(hours=19, minutes=1))


def test_newest_proved_point_stands_beside_the_newest(town: Town) -> None:
    town.created(ago(hours=9))
    proved = town.point(ago(hours=2), {"same-city": ago(hours=2)})
    town.point(ago(minutes=5), {"same-city": ago(minutes=4)})
    town.prove(proved, "same-city", ago(hours=1))
    row = town.row()
    assert (row.proved_data_time, row.last_data_time) == (ago(hours=2), ago(minutes=5))
    assert town.row("provincial").proved_data_time is None
    town.prove(proved, "same-city", NOW + HOUR)
    assert town.row().proved_data_time is None


@pytest.mark.parametrize(
    ("drills", "verdict", "overdue"),
    [
        ([], "unproved", False),
        ([(2, "met", 300.0)], "met", False),
        ([(2, "missed", 5 * 3600.0)], "missed", False),
        ([(2, "missed", 300.0)], "met", False),  # missed for the RPO of that day; today both objectives hold
        ([(9, "met", 300.0), (2, "failed", None)], "unproved", False),
        ([(9, "failed", None), (2, "met", 300.0)], "met", False),
        ([(9, "missed", 5 * 3600.0), (2, "met", 300.0)], "met", False),
        ([(40, "met", 300.0)], "unproved", True),
        ([(40, "met", 300.0), (2, "failed", None)], "unproved", True),
    ],
)
def test_verdict_of_drills(
    town: Town, drills: list[tuple[int, str, float | None]], verdict: str, overdue: bool
) -> None:
    town.created(ago(days=20))
    town.point(ago(minutes=10), {"same-city": ago(minutes=9)})
    for days, word, rto in drills:
        town.drill(ago(days=days), word, rto_seconds=rto)
    row = town.row()
    assert (row.verdict.value, row.drill_overdue) == (verdict, overdue)
    if drills:
        assert row.last_drill is not None
        assert row.last_drill.ended_at == ago(days=min(days for days, *_ in drills))


def test_missed_rpo_outweighs_a_drill_that_was_met(town: Town) -> None:
    town.created(ago(days=2))
    town.point(ago(hours=2), {"same-city": ago(hours=2)})
    town.drill(ago(days=1), "met")
    assert town.row().verdict is Verdict.MISSED


def test_objective_reached_exactly_is_met(town: Town) -> None:
    town.created(ago(days=2))
    town.point(ago(hours=1), {"same-city": ago(hours=1)})
    town.drill(ago(days=1), "met", rto_seconds=4 * 3600.0)
    assert town.row().verdict is Verdict.MET


def test_last_drill_of_each_plan_and_kind_newest_first(town: Town) -> None:
    town.created(ago(days=20))
    town.drill(ago(days=5), "met")
    town.drill(ago(days=4), "failed")
    town.drill(ago(days=3), "met", plan="other")
    town.drill(ago(days=6), "met", kind="sandbox")
    town.drill(ago(days=1), "met", centre="provincial")
    town.drill(NOW + HOUR, "met")
    assert [(each.plan, each.kind, each.verdict) for each in town.row().drills] == [
        ("other", "restore", "met"),
        ("land-registry", "restore", "failed"),
        ("land-registry", "sandbox", "met"),
    ]


def test_number_of_queries_does_not_grow_with_the_site(town: Town, sites: dict[str, Site]) -> None:
    seen: list[str] = []
    engine = _reader(town.catalogue)

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    town.created(ago(days=2))
    assert len(town.board().rows) == 2
    small = len(seen)
    town.site = sites["dalian"]
    town.catalogue.register_systems((ref.tenant.tenant, ref.name) for ref in town.site.systems())
    assert len(town.board().rows) == 2 * len(list(town.site.systems()))
    assert len(seen) == 2 * small <= 20


def test_looking_neither_waits_for_a_writer_nor_writes(town: Town) -> None:
    town.created(ago(hours=1))
    with town.catalogue.engine.begin():  # holds the write lock
        assert town.row().verdict is Verdict.NEVER


def test_catalogue_that_is_gone_is_not_made_again(town: Town) -> None:
    town.created(ago(hours=1))
    file = town.catalogue.engine.url.database
    assert file is not None
    town.catalogue.engine.dispose()
    Path(file).unlink()
    with pytest.raises(Unreachable, match="does not answer"):
        town.board()
    assert not Path(file).exists()


def test_rows_are_named_from_the_site(town: Town) -> None:
    row = town.row()
    assert (row.tenant, row.system, row.tier) == (TENANT, SYSTEM, "small")
    assert (row.expected_interval, row.rpo_objective, row.rto_objective) == (20 * MINUTE, HOUR, 4 * HOUR)

"""Suspect and bad points in the catalogue: they count for no objective until somebody says that they are good."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from exporters.view import board_samples
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.board import BoardRow, Verdict, read_board
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.suspicions import bad_points, good_points_at, not_good_since, open_suspects, settle
from orchestrator.server import show
from policies.suspicion import Sign, Signal, Standing
from tests.unit.catalogue.small_town import NOW, SYSTEM, TENANT, Town, ago

NEAR = Key(TENANT, SYSTEM, "same-city")
SIGNAL = Signal(Sign.CANARY, "canary.docx was changed", "scans")


@pytest.fixture
def poisoned(town: Town) -> Town:
    """A good point of an hour ago, and a suspect one of a minute ago."""
    town.created(ago(days=30))
    town.point(ago(hours=1), {"same-city": ago(minutes=59)})
    point = town.catalogue.points()[0]
    town.catalogue.add_point(replace(point, id="odd", data_time=ago(minutes=1), finished_at=NOW, suspicion=(SIGNAL,)))
    town.catalogue.set_landings("same-city", TENANT, SYSTEM, {point.id: ago(minutes=59), "odd": NOW})
    return town


def row(town: Town) -> BoardRow:
    return next(each for each in read_board(town.site, town.catalogue, NOW).rows if each.centre == "same-city")


def say(town: Town, verdict: Standing) -> None:
    settle(town.catalogue, ["odd"], verdict, reason="looked at it", by="zhang")


def test_exposure_goes_on_until_a_suspect_point_is_settled_as_good(poisoned: Town) -> None:
    seen = row(poisoned)
    assert (seen.rpo_actual, seen.suspects, seen.last_data_time) == (timedelta(hours=1), 1, ago(hours=1))
    say(poisoned, Standing.BAD)
    assert (row(poisoned).rpo_actual, row(poisoned).suspects) == (timedelta(hours=1), 0)
    say(poisoned, Standing.GOOD)
    assert (row(poisoned).rpo_actual, row(poisoned).suspects) == (timedelta(minutes=1), 0)


def test_what_was_proved_and_is_bad_is_no_proved_recovery(poisoned: Town) -> None:
    poisoned.catalogue.mark_proved("odd", "same-city")
    assert row(poisoned).proved_data_time is None
    say(poisoned, Standing.GOOD)
    assert row(poisoned).proved_data_time is None, "it was proved after the moment of the board"


def test_where_all_is_suspect_there_is_nothing_to_count_on(poisoned: Town) -> None:
    settle(poisoned.catalogue, ["point-1"], Standing.BAD, reason="as well", by="zhang")
    assert (row(poisoned).verdict, row(poisoned).rpo_actual) == (Verdict.NEVER, timedelta(days=30))


def test_it_is_shown_on_the_board_and_in_the_metrics(poisoned: Town) -> None:
    board = read_board(poisoned.site, poisoned.catalogue, NOW)
    samples = {(each[0].name, each[1][3]): each[2] for each in board_samples(board) if len(each[1]) == 4}
    assert samples["tricenter_points_suspect", "same-city"] == 1
    assert samples["tricenter_points_suspect", "provincial"] == 0
    shown = {
        each["centre"]: each["suspect_points"] for each in show.as_json(board)["systems"] if each["tenant"] == TENANT
    }
    assert shown == {"same-city": 1, "provincial": 0}


def test_who_asks_for_good_points_gets_no_others(poisoned: Town) -> None:
    catalogue = poisoned.catalogue
    assert [each.point.id for each in good_points_at(catalogue, NEAR, 9)] == ["point-1"]
    assert [each.point.id for each in not_good_since(catalogue, NEAR, ago(hours=1))] == ["odd"]
    assert [each.point.suspicion for each in open_suspects(catalogue, TENANT, SYSTEM)] == [(SIGNAL,)]
    assert [each.standing for each in catalogue.points_at("same-city")] == [Standing.SUSPECT, Standing.GOOD]
    say(poisoned, Standing.BAD)
    assert open_suspects(catalogue, TENANT, SYSTEM) == []
    assert bad_points(catalogue, TENANT, SYSTEM) == {"odd"}
    assert [each.point.id for each in not_good_since(catalogue, NEAR, ago(hours=1))] == ["odd"]
    say(poisoned, Standing.GOOD)
    assert [each.point.id for each in good_points_at(catalogue, NEAR, 9)] == ["odd", "point-1"]
    assert not bad_points(catalogue, TENANT, SYSTEM)


def test_every_word_stands_in_the_audit_chain(poisoned: Town) -> None:
    for verdict in (Standing.BAD, Standing.GOOD):
        say(poisoned, verdict)
    with poisoned.catalogue.engine.connect() as db:
        told = [
            json.loads(body)
            for body in db.execute(select(t.audit.c.body).where(t.audit.c.kind == "settlement")).scalars()
        ]
    assert [(each["point"], each["verdict"], each["settled_by"]) for each in told] == [
        ("odd", "bad", "zhang"),
        ("odd", "good", "zhang"),
    ]

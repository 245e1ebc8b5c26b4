"""Which recovery point is used: the newest, a proved one, one of a time, one at random; and its price."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.backups.landings import pick
from orchestrator.catalogue.records import Point, PointAt, Settlement
from policies.point_choice import BadChoice, PointChoice, parse_choice
from policies.suspicion import Sign, Signal, Standing

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(hours: int, *, proved: bool = False) -> PointAt:
    moment = NOW - hours * HOUR
    point = Point(f"p{hours}", "r", "t", "s", "tier", moment, moment, 1, 1, "d", ())
    return PointAt(point, "same-city", moment, moment if proved else None)


LANDED = [at(1), at(5, proved=True), at(30), at(900)]


def chosen(text: str | None) -> str | None:
    found = pick(LANDED, parse_choice(text), Random(1))
    return found.point.id if found else None


@pytest.mark.parametrize(
    ("text", "point"),
    [
        (None, "p1"),
        ("latest", "p1"),
        ("proved", "p5"),
        ("at:2026-11-22T23:00+00:00", "p5"),
        ("at:2026-11-22T22:59:59+00:00", "p30"),
        ("at:2026-11-23T07:00+08:00", "p5"),
        ("at:2020-01-01T00:00+00:00", None),
        ("p900", "p900"),
        ("p901", None),
    ],
)
def test_what_each_form_chooses(text: str | None, point: str | None) -> None:
    assert chosen(text) == point


def test_what_is_suspect_or_bad_is_only_taken_by_its_name() -> None:
    signal = Signal(Sign.EMPTY, "no files", "files")
    suspect = replace(at(0, proved=True), point=replace(at(0).point, suspicion=(signal,)))
    said = Settlement("p3", Standing.BAD, "encrypted", "somebody", NOW)
    bad = replace(at(3, proved=True), settlement=said)
    landed = [suspect, LANDED[0], bad, *LANDED[1:]]
    wanted = {
        "latest": "p1",
        "proved": "p5",
        "at:2026-11-23T01:00+00:00": "p5",
        "random:4h": "p1",
        "p0": "p0",
        "p3": "p3",
    }
    for text, point in wanted.items():
        found = pick(landed, parse_choice(text), Random(1))
        assert found
        assert found.point.id == point, text
    for text in ("latest", "proved", "random:90d"):
        assert pick([suspect, bad], parse_choice(text), Random(1)) is None
    cleared = replace(suspect, settlement=replace(said, verdict=Standing.GOOD))
    assert pick([cleared, *LANDED], parse_choice(None), Random(1)) is cleared


def test_none_is_proved() -> None:
    assert pick([at(1), at(2)], parse_choice("proved"), Random(1)) is None


@given(st.integers(0, 2**32), st.integers(1, 2000))
def test_a_random_one_lies_within_its_time_before_the_newest(seed: int, hours: int) -> None:
    found = pick(LANDED, PointChoice("random", within=hours * HOUR), Random(seed))
    assert found
    assert LANDED[0].point.data_time - found.point.data_time <= hours * HOUR


def test_each_one_has_its_turn_at_random() -> None:
    chance = Random(7)
    found = {pick(LANDED, parse_choice("random:9w"), chance) for _ in range(200)}
    assert found == set(LANDED)


@pytest.mark.parametrize("text", ["at:", "at:yesterday", "random:", "random:30", "newest:1", "at:2026-13-01"])
def test_text_that_chooses_nothing_is_refused(text: str) -> None:
    with pytest.raises(BadChoice) as caught:
        parse_choice(text)
    assert text in str(caught.value)
    assert caught.value.want

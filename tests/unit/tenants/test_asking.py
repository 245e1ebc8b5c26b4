"""What is asked tenant by tenant, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogue.details import forget_details
from orchestrator.catalogue.store import Catalogue
from orchestrator.cloud import further_quotas, identity, quotas
from orchestrator.errors import Unreachable
from orchestrator.tenants.asking import Memory, Question, ask, fresh
from policies.confirming import LONGEST_MEMORY

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
LAND = Question("land", "p1", "g1", "u1", ("compute", "network", "block_storage"))
WATER = Question("water", "p2", None, None, ("compute",))
CLOUD: Any = object()


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    yield made
    made.engine.dispose()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a cloud is asked, which has 4 cores for everybody."""
    told: list[str] = []

    def answering(what: str, answer: Any) -> Any:
        def reply(connection: Any, whose: str) -> Any:
            told.append(f"{what} {whose}")
            return answer

        return reply

    credential = identity.ApplicationCredential("c", "tricenter", "managed-by=tricenter", True)
    monkeypatch.setattr(quotas, "compute", answering("compute", {"cores": 4}))
    monkeypatch.setattr(quotas, "block_storage", answering("block storage", {"volumes": -1}))
    monkeypatch.setattr(further_quotas, "shared_file_system", answering("shares", {"shares": 0}))
    monkeypatch.setattr(identity, "group_user_ids", answering("members", frozenset({"u2", "u3"})))
    monkeypatch.setattr(identity, "application_credentials", answering("credentials", [credential]))
    return told


def test_what_was_asked_is_not_asked_again_and_is_the_same(catalogue: Catalogue, asked: list[str]) -> None:
    clock = Clock()
    memory = Memory(lambda: catalogue, clock=clock)
    first = ask(CLOUD, "production", [LAND, WATER], memory)
    assert asked == ["compute p1", "block storage p1", "members g1", "credentials u1", "compute p2"]
    asked.clear()
    clock.now += timedelta(minutes=5)
    again = ask(CLOUD, "production", [LAND, WATER], memory)
    assert asked == []
    assert [each.as_json() for each in again.values()] == [each.as_json() for each in first.values()]
    assert {each.remembered_at for each in again.values()} == {NOON}
    assert first["land"].remembered_at is None
    clock.now += LONGEST_MEMORY  # and using a memory does not make it younger
    ask(CLOUD, "production", [LAND, WATER], memory)
    assert len(asked) == 5


def test_shared_file_systems_are_asked_only_where_they_are_and_remembered(
    catalogue: Catalogue, asked: list[str]
) -> None:
    memory, shares = Memory(lambda: catalogue), Question("land", "p1", None, None, ("shared_file_system",))
    assert ask(CLOUD, "production", [shares], memory)["land"].limits == {"shared_file_system": {"shares": 0}}
    assert ask(CLOUD, "production", [shares], memory)["land"].limits == {"shared_file_system": {"shares": 0}}
    assert asked == ["shares p1"]


def test_a_memory_is_of_one_centre_and_of_the_very_objects(catalogue: Catalogue, asked: list[str]) -> None:
    memory = Memory(lambda: catalogue)
    ask(CLOUD, "production", [LAND], memory)
    asked.clear()
    ask(CLOUD, "same-city", [LAND], memory)
    assert len(asked) == 4
    asked.clear()
    ask(CLOUD, "production", [Question("land", "p1", "another group", "u1", LAND.services)], memory)
    assert len(asked) == 4
    asked.clear()
    ask(CLOUD, "production", [Question("land", "p1", "another group", "u1", ("compute",))], memory)
    assert len(asked) == 3


def test_who_must_be_certain_asks_and_others_know_it_then(catalogue: Catalogue, asked: list[str]) -> None:
    ask(CLOUD, "production", [WATER], fresh(lambda: catalogue))
    ask(CLOUD, "production", [WATER], fresh(lambda: catalogue))
    assert asked == ["compute p2"] * 2
    assert ask(CLOUD, "production", [WATER], Memory(lambda: catalogue))["water"].remembered_at
    assert len(asked) == 2


def test_what_is_about_to_change_is_forgotten(catalogue: Catalogue, asked: list[str]) -> None:
    memory = Memory(lambda: catalogue)
    ask(CLOUD, "production", [LAND, WATER], memory)
    forget_details(catalogue, "land", "production")
    asked.clear()
    ask(CLOUD, "production", [LAND, WATER], memory)
    assert {each.split()[-1] for each in asked} == {"p1", "g1", "u1"}


def test_a_rotation_asks_the_one_of_longest_ago(catalogue: Catalogue, asked: list[str]) -> None:
    clock = Clock()
    questions = [Question(f"t{number}", f"p{number}", None, None, ("compute",)) for number in range(4)]
    for each in reversed(questions):
        ask(CLOUD, "production", [each], Memory(lambda: catalogue, clock=clock))
        clock.now += timedelta(minutes=1)
    asked.clear()
    for _ in questions:
        ask(CLOUD, "production", questions, Memory(lambda: catalogue, rotation=4, clock=clock))
        clock.now += timedelta(minutes=1)
    assert asked == ["compute p3", "compute p2", "compute p1", "compute p0"]


def test_without_a_catalogue_everything_is_asked(asked: list[str]) -> None:
    def gone() -> Catalogue:
        raise Unreachable("the catalogue does not answer")

    for memory in (Memory(gone), None):
        asked.clear()
        assert ask(CLOUD, "production", [WATER], memory)["water"].limits == {"compute": {"cores": 4}}
        assert asked == ["compute p2"]

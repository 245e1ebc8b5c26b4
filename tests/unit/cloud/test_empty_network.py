"""A network service that says at first that there is nothing."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.cloud import network

PUBLIC = SimpleNamespace(id="x", name="public", project_id="p", description="", tags=[], is_router_external=True)


class Starting:
    """As much of a connection as a list of networks needs."""

    tricenter_cloud = "city"

    def __init__(self, empty: int) -> None:
        self.asked, self._empty = 0, empty

    @property
    def network(self) -> Any:
        return self

    def networks(self) -> Iterator[Any]:
        self.asked += 1
        return iter([] if self.asked <= self._empty else [PUBLIC])


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "EMPTY_PAUSE_SECONDS", 0.0)


def test_nothing_is_not_believed_at_once() -> None:
    starting: Any = Starting(3)
    assert [each.name for each in network.networks(starting)] == ["public"]
    assert starting.asked == 4


def test_a_list_that_holds_something_is_asked_for_once() -> None:
    answering: Any = Starting(0)
    assert network.networks(answering)[0].external
    assert answering.asked == 1


def test_what_stays_empty_is_believed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "EMPTY_SECONDS", 0.0)
    empty: Any = Starting(10**9)
    assert network.networks(empty) == []

"""How tenants stand, and which step may follow which."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.catalogue.lives import Life, change_life, not_applied, read_life, read_lives
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import Refused
from policies.life import STEPS, LifeState, may_follow

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")


def life(state: LifeState, **details: str) -> Life:
    return Life("archives", state, NOW, "li@ops", "closed", details=details)


def test_a_tenant_that_nothing_is_known_of_is_active(catalogue: Catalogue) -> None:
    assert read_life(catalogue, "archives") is None
    assert not_applied(catalogue) == {}


def test_a_life_is_remembered_and_ends_with_no_row(catalogue: Catalogue) -> None:
    change_life(catalogue, life(LifeState.SUSPENDED, seen="yes"))
    assert read_life(catalogue, "archives") == life(LifeState.SUSPENDED, seen="yes")
    assert not_applied(catalogue) == {"archives": LifeState.SUSPENDED}
    change_life(catalogue, life(LifeState.ACTIVE))
    assert read_lives(catalogue) == {}


def test_nothing_is_purged_that_was_not_kept_in_quarantine(catalogue: Catalogue) -> None:
    change_life(catalogue, life(LifeState.ASKED))
    assert not_applied(catalogue) == {}
    with pytest.raises(Refused, match="archives is asked: it cannot be purging next"):
        change_life(catalogue, life(LifeState.PURGING))
    assert read_life(catalogue, "archives") == life(LifeState.ASKED)


def test_what_is_suspended_is_resumed_before_it_can_be_asked_to_leave(catalogue: Catalogue) -> None:
    change_life(catalogue, life(LifeState.SUSPENDED))
    with pytest.raises(Refused, match="archives is suspended: it cannot be asked next"):
        change_life(catalogue, life(LifeState.ASKED))


@given(st.lists(st.sampled_from(LifeState)))
def test_what_is_gone_has_been_asked_for_quarantined_and_purged(steps: list[LifeState]) -> None:
    state, way = LifeState.ACTIVE, list[LifeState]()
    for each in steps:
        if may_follow(state, each):
            way = [] if each is LifeState.ACTIVE else [*way, each]
            state = each
    if state is LifeState.GONE:
        order = [LifeState.ASKED, LifeState.QUARANTINED, LifeState.PURGING, LifeState.GONE]
        assert [way.index(each) for each in order] == sorted(way.index(each) for each in order)


def test_every_state_can_be_reached_and_all_but_the_last_be_left() -> None:
    assert set().union(*STEPS.values()) == set(LifeState)
    assert [each for each in LifeState if not STEPS[each] - {each}] == [LifeState.GONE]

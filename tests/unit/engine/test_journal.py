"""The journal's text: whatever a step may return comes back as it was, and nothing else gets in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine import journal
from orchestrator.engine.journal import (
    NotJournalable,
    StepFailed,
    decode,
    decode_error,
    encode,
    encode_error,
    known_error,
)
from orchestrator.errors import Busy, ProcessFailed, ProcessTimeout, TricenterError
from orchestrator.secrets import Secret


@pytest.fixture(autouse=True)
def _these_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PACKAGES", (*journal.PACKAGES, __name__))


class Colour(StrEnum):
    RED = "red"


class Spot(NamedTuple):
    row: int
    column: int


class Shelf(dict[str, int]):
    pass


@dataclass(frozen=True, slots=True)
class Inner:
    when: datetime
    colour: Colour


@dataclass(frozen=True, slots=True)
class Outer:
    name: str
    inner: tuple[Inner, ...]
    where: Path
    more: dict[Any, Any]
    later: int = 7


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.just("$"), inner)
        | st.dictionaries(st.integers(), inner)
        | st.frozensets(st.integers())
    ),
    max_leaves=20,
)


@given(plain)
def test_what_a_step_returns_comes_back(value: Any) -> None:
    assert decode(encode(value)) == value
    assert type(decode(encode(value))) is type(value)


def test_dataclasses_enums_times_and_paths_come_back() -> None:
    value = Outer(
        "a", (Inner(datetime(2026, 11, 23, 3, tzinfo=UTC), Colour.RED),), Path("/x"), {"span": timedelta(seconds=1.5)}
    )
    back = decode(encode(value))
    assert back == value
    assert isinstance(back.inner[0].colour, Colour)
    assert decode(encode([Spot(1, 2)]))[0].column == 2


def test_a_field_that_the_newer_program_added_takes_its_default() -> None:
    text = encode(Outer("a", (), Path("/x"), {})).replace(',"later":7', "")
    assert decode(text).later == 7


@pytest.mark.parametrize("value", [object(), Secret("pass"), {"deep": [Secret("pass")]}, lambda: None, Shelf(a=1)])
def test_what_cannot_or_must_not_be_written_down_is_refused(value: Any) -> None:
    with pytest.raises(NotJournalable) as refused:
        encode(value)
    assert "pass" not in str(refused.value).replace("password", "")


@pytest.mark.parametrize("name", ["os:system", "subprocess:Popen", "builtins:eval"])
def test_a_journal_names_nothing_but_our_own(name: str) -> None:
    with pytest.raises(NotJournalable):
        decode(json.dumps({"$": "of", "of": name, "fields": {}}))


def test_errors_come_back_with_type_message_hint_and_code() -> None:
    back = decode_error(encode_error(Busy("in use", hint="wait")))
    assert (type(back), str(back), back.hint, back.exit_code) == (Busy, "in use", "wait", 5)
    failed = decode_error(encode_error(ProcessFailed("restic", 12, "broken pipe")))
    assert (type(failed), failed.code, failed.stderr) == (ProcessFailed, 12, "broken pipe")  # type: ignore[attr-defined]
    assert "restic ended with code 12" in str(failed)
    assert "no end after 5 s" in str(decode_error(encode_error(ProcessTimeout("psql", 5, ""))))


def test_an_error_of_nobody_ours_becomes_one_that_names_it() -> None:
    back = decode_error(encode_error(KeyError("colour")))
    assert type(back) is StepFailed
    assert "KeyError: 'colour'" in str(back)
    mine = TricenterError("x")
    assert known_error(mine) is mine

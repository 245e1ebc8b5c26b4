"""Passwords that the program makes, and what only looks like one."""

from __future__ import annotations

import stat
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.secrets import MADE, Secret, is_made, make_password, write_once


def test_a_made_password_is_known_and_never_the_same() -> None:
    one, other = make_password(), make_password()

    assert is_made(one)
    assert is_made(other)
    assert one.reveal() != other.reveal()
    assert (len(one.reveal()), one.reveal()[: len(MADE)]) == (59, MADE)


@given(st.integers(0, 58), st.characters(codec="utf-8"))
def test_a_changed_character_is_seen(place: int, other: str) -> None:
    said = make_password().reveal()
    changed = said[:place] + other + said[place + 1 :]

    assert is_made(Secret(changed)) is (changed == said)


@given(st.text(max_size=80))
def test_what_a_person_thinks_up_is_not_made(text: str) -> None:
    assert not is_made(Secret(text))
    assert not is_made(Secret(f"{MADE}{text}"))


def test_shorter_longer_or_padded_is_not_made() -> None:
    said = make_password().reveal()

    for wrong in (said[:-1], said + "A", said + "\n", f" {said}", said.upper(), said.removeprefix(MADE)):
        assert not is_made(Secret(wrong))


def test_a_file_is_written_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "bureau.password"

    assert write_once(path, "first")
    assert not write_once(path, "second")
    assert path.read_text() == "first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["bureau.password"], "no draft is left"

"""Shares: any two make the key, one says nothing of it, and what is mistyped or does not fit is told."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import InvalidInput
from orchestrator.escrow.open_bundle import (
    ALPHABET,
    Broken,
    Share,
    ask_share,
    combine,
    inverse,
    key_name,
    multiply,
    parse_share,
    share_lines,
)
from orchestrator.escrow.shares import OpeningKey, join, make_key, read_key, share_text, split, write_key

WHEN = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
SECRET = bytes(range(32))
KEY = OpeningKey(key_name(SECRET), SECRET)


def test_the_field_is_a_field() -> None:
    assert multiply(0x57, 0x83) == 0xC1  # FIPS 197, 4.2
    assert all(multiply(each, inverse(each)) == 1 for each in range(1, 256))


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(2, 4), st.integers(0, 3), st.randoms())
def test_any_so_many_make_the_key_and_fewer_do_not(secret: bytes, threshold: int, more: int, order: object) -> None:
    shares = split(OpeningKey(key_name(secret), secret), threshold, threshold + more)
    for some in itertools.combinations(shares, threshold):
        assert combine(reversed(some)) == secret
    with pytest.raises(Broken, match="shares are needed"):
        combine(shares[: threshold - 1])


def test_one_share_fits_every_key() -> None:
    """For each value that a byte of the key may have there is one line through the share: it tells nothing."""
    (share, *_) = split(KEY, 2, 3)
    slopes = {multiply(share.value[0] ^ secret, inverse(share.number)) for secret in range(256)}
    assert len(slopes) == 256


def test_a_share_survives_paper_and_typing() -> None:
    sealing, (first, *_) = make_key(("李梅", "王强", "赵云"), 2, WHEN)
    text = share_text(first, sealing.custodian(first), 3, "dalian", sealing.made_at)
    assert parse_share(text) == first
    assert parse_share(text.replace("-", " ").lower()) == first
    assert parse_share(text.replace("0", "O").replace("1:", "1：")) == first
    assert "李梅" in text


def test_a_single_wrong_digit_is_told_with_its_line() -> None:
    share = split(KEY, 2, 3)[0]
    lines = share_lines(share)
    for number, line in enumerate(lines):
        for at in range(3, len(line)):
            if line[at] == "-":
                continue
            other = ALPHABET[(ALPHABET.index(line[at]) + 1) % 32]
            typed = "\n".join([*lines[:number], line[:at] + other + line[at + 1 :], *lines[number + 1 :]])
            with pytest.raises(Broken) as told:
                parse_share(typed)
            # A wrong first line is told as such, or by the lines whose checks hang on it: never accepted.
            assert "line" in told.value.en


def test_lines_of_two_shares_do_not_mix() -> None:
    one, two, _ = (share_lines(each) for each in split(KEY, 2, 3))
    with pytest.raises(Broken, match="line 3"):
        parse_share("\n".join([*one[:2], two[2], one[3]]))
    with pytest.raises(Broken, match="4 numbered lines; 3 found"):
        parse_share("\n".join(one[:3]))


def test_at_the_prompt_a_mistyped_line_is_asked_for_again() -> None:
    share = split(KEY, 2, 3)[1]
    lines = share_lines(share)
    typed = iter([lines[0], "no such line", lines[1], lines[1], lines[2], lines[3][3:]])
    told: list[str] = []
    assert ask_share(lambda _: next(typed), told.append) == share
    assert len(told) == 2


def test_what_does_not_fit_together_is_told() -> None:
    first, second, _ = split(KEY, 2, 3)
    other = bytes(32)
    with pytest.raises(InvalidInput, match="of different keys"):
        join([first, split(OpeningKey(key_name(other), other), 2, 3)[1]])
    with pytest.raises(InvalidInput, match="share 1 was given twice"):
        join([first, first])
    forged = Share(second.key, 2, 2, bytes([second.value[0] ^ 1]) + second.value[1:])
    with pytest.raises(InvalidInput, match="one of them is forged"):
        join([first, forged])
    assert "000102" not in repr(join([first, second]))


def test_what_stays_here_opens_nothing(tmp_path: Path) -> None:
    sealing, shares = make_key(("a", "b"), 2, WHEN)
    assert read_key(tmp_path) is None
    path = write_key(tmp_path, sealing)
    assert read_key(tmp_path) == sealing
    assert path.stat().st_mode & 0o077 == 0
    kept = path.read_text(encoding="utf-8")
    key = join(shares)
    assert key.secret.hex() not in kept
    assert str(key.identity) not in kept
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_key(tmp_path)

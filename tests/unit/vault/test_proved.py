"""The body of an object is let go only when all of it was proved."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.errors import CorruptObject
from orchestrator.vault.replicate import proved
from orchestrator.vault.wire import sha256_of

bodies = st.lists(st.binary(min_size=1, max_size=8), max_size=6)


def let_go(pieces: list[bytes], size: int, sha256: str) -> tuple[bytes, bool]:
    """Return what came out, and whether it ended well."""
    out = b""
    try:
        for piece in proved(pieces, "data/ab/ab", size, sha256):
            out += piece
    except CorruptObject:
        return out, False
    return out, True


@given(bodies)
def test_good_content_comes_whole(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)

    assert let_go(pieces, len(whole), sha256_of(whole)) == (whole, True)


@given(bodies, bodies)
def test_of_bad_content_less_than_promised_is_let_go(pieces: list[bytes], promised: list[bytes]) -> None:
    want = b"".join(promised)
    assume(b"".join(pieces) != want)

    out, good = let_go(pieces, len(want), sha256_of(want))

    assert not good
    assert len(out) < len(want) or not want

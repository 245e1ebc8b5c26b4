"""Parity: the share by weight of what is there, and the reasons of what is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from policies.parity import WEIGHTS, Part, parity_of

parts = st.lists(
    st.builds(Part, st.sampled_from([*WEIGHTS, "router"]), st.text("ab", max_size=2), st.sampled_from(["", "x"]))
)


def test_what_weighs_more_takes_away_more_and_is_told_first() -> None:
    whole = [Part("network", "a"), Part("role", "b"), Part("router", "c")]
    seen = parity_of([Part("role", "b", "no role"), Part("network", "a", "no network"), whole[2]])
    assert seen.reasons == ("no network", "no role")
    assert seen.ratio == 1 - 5 / 7
    assert parity_of(whole).ratio == 1


def test_a_tenant_that_needs_nothing_lacks_nothing() -> None:
    assert parity_of([]) == parity_of([Part("role", "a")])


@given(parts)
def test_it_is_a_share_and_whole_only_when_nothing_is_wrong(some: list[Part]) -> None:
    seen = parity_of(some)
    assert 0 <= seen.ratio <= 1
    assert (seen.ratio == 1) == (not seen.reasons)


@given(parts, st.integers(0, 20))
def test_one_thing_mended_never_lowers_it(some: list[Part], which: int) -> None:
    mended = [Part(each.noun, each.name) if number == which else each for number, each in enumerate(some)]
    assert parity_of(mended).ratio >= parity_of(some).ratio

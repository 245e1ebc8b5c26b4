"""Who finds room when all of production is taken over at once, and who is shed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from policies.headroom import Need, share_out, total

amounts = st.fixed_dictionaries({"cores": st.integers(0, 8), "ram": st.integers(0, 64)})
needs = st.lists(st.tuples(st.sampled_from("ab"), amounts), max_size=12).map(
    lambda found: [Need(tenant, f"{tenant}/{number}", each) for number, (tenant, each) in enumerate(found)]
)
rooms = st.dictionaries(st.sampled_from(["cores", "ram"]), st.integers(0, 40))
quotas = st.dictionaries(st.sampled_from("ab"), rooms)


def fits(some: list[Need], room: dict[str, int], own: dict[str, dict[str, int]]) -> bool:
    whole = all(total(some)[name] <= there for name, there in room.items())
    each = (
        total([one for one in some if one.tenant == tenant])[name] <= there
        for tenant, its in own.items()
        for name, there in its.items()
    )
    return whole and all(each)


def test_the_least_urgent_is_shed_and_told_why() -> None:
    first, second = Need("a", "a/1", {"cores": 4}), Need("b", "b/1", {"cores": 4})
    found = share_out([first, second], {"cores": 6}, {"b": {"cores": 2}})
    assert found.kept == (first,)
    assert found.shed == ((second, ("cores", "quota cores")),)
    assert not found.fits


@given(needs, rooms, quotas)
def test_what_is_kept_fits_and_nobody_is_lost(
    some: list[Need], room: dict[str, int], own: dict[str, dict[str, int]]
) -> None:
    found = share_out(some, room, own)
    assert fits(list(found.kept), room, own)
    assert sorted(each.system for each in [*found.kept, *(need for need, _ in found.shed)]) == sorted(
        each.system for each in some
    )
    assert found.fits == fits(some, room, own)


@given(needs, rooms, quotas)
def test_nobody_is_shed_for_the_sake_of_somebody_less_urgent(
    some: list[Need], room: dict[str, int], own: dict[str, dict[str, int]]
) -> None:
    found = share_out(some, room, own)
    for need, why in found.shed:
        before = [each for each in some[: some.index(need)] if each in found.kept]
        assert not fits([*before, need], room, own)
        assert why

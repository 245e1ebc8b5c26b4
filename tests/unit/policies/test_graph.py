"""Circles in what needs what."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from policies.graph import circle

NAMES = st.sampled_from("abcdefg")


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3)))
def test_a_circle_is_found_exactly_when_there_is_one(graph: dict[str, list[str]]) -> None:
    found = circle(graph)
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError:
        assert found
        assert found[0] == found[-1]
        assert all(after in graph[before] for before, after in pairwise(found))
        assert len(set(found)) == len(found) - 1
    else:
        assert found is None


def test_a_long_chain_is_no_circle_and_no_recursion() -> None:
    chain = {str(number): [str(number + 1)] for number in range(5000)}
    assert circle(chain) is None
    assert circle({**chain, "5000": ["0"]})

"""Which credential of a tenant is in use, and which were left by a rotation that was cut off."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cloud.identity import ApplicationCredential
from orchestrator.tenants.rotating import of

credentials = st.lists(
    st.builds(
        ApplicationCredential,
        id=st.sampled_from("abcdef"),
        name=st.sampled_from(["tricenter", "tricenter-1a2b", "ci"]),
        description=st.just(""),
        ours=st.booleans(),
    ),
    unique_by=lambda each: each.id,
)


@given(there=credentials, stored=st.none() | st.sampled_from("abcdefg"))
def test_what_others_made_is_neither_in_use_nor_left_and_each_of_ours_is_one_of_the_two(there, stored):
    found = of("u", "p", there, stored)
    ours = {each.id for each in there if each.ours}
    left = {each.id for each in found.left}
    assert left | ({found.current} if found.current else set()) == ours
    assert found.current not in left
    assert found.current == (stored if stored in ours else None)

"""Which objects a slice is made of: each named object in exactly one, whatever its part."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.vault.scrub import NAMED_PARTS, slice_starts
from policies.verification import slice_names


@given(st.text("0123456789abcdef", min_size=64, max_size=64), st.sampled_from(NAMED_PARTS), st.integers(0, 2))
def test_each_object_is_in_the_one_slice_that_its_name_says(name: str, part: str, digits: int) -> None:
    key = f"data/{name[:2]}/{name}" if part == "data" else f"{part}/{name}"
    inside = [each for each in slice_names(digits) if any(key.startswith(start) for start in slice_starts(each))]
    assert inside == [name[:digits]]

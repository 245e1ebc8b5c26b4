"""Which objects a slice is made of: each named object in exactly one, whatever its part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.vault.s3 import Bucket, Entry, NoSuchObject
from orchestrator.vault.scrub import NAMED_PARTS, scrub, slice_starts
from policies.verification import slice_names


@given(st.text("0123456789abcdef", min_size=64, max_size=64), st.sampled_from(NAMED_PARTS), st.integers(0, 2))
def test_each_object_is_in_the_one_slice_that_its_name_says(name: str, part: str, digits: int) -> None:
    key = f"data/{name[:2]}/{name}" if part == "data" else f"{part}/{name}"
    inside = [each for each in slice_names(digits) if any(key.startswith(start) for start in slice_starts(each))]
    assert inside == [name[:digits]]


class Vanishing(Bucket):
    """A bucket of one object, which is listed and cannot be read; `stays` says whether it is listed still."""

    def __init__(self, *, stays: bool) -> None:
        self.looks, self.stays = 0, stays

    def list(self, prefix: str = "") -> Iterator[Entry]:
        self.looks += 1
        if self.stays or self.looks == 1:
            yield Entry(f"registry/snapshots/{'a' * 64}", 10, datetime(2026, 11, 23, tzinfo=UTC))

    @contextmanager
    def receive(self, key: str, *, chunk_bytes: int) -> Iterator[Iterator[bytes]]:
        raise NoSuchObject(f"no {key}", hint="")
        yield iter(())


def test_what_is_listed_and_cannot_be_read_is_missing_and_what_was_removed_meanwhile_is_not() -> None:
    assert scrub(Vanishing(stays=True), "registry", ["snapshots/"]).missing == (f"registry/snapshots/{'a' * 64}",)
    removed = scrub(Vanishing(stays=False), "registry", ["snapshots/"])
    assert (removed.missing, removed.corrupt, removed.objects) == ((), (), 1)

"""What is only at the old centre, other there, or missing there: counted without holding it in memory."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from drills.divergence import (
    BLOCK_BYTES,
    CHUNK_BYTES,
    Differences,
    compare_images,
    compare_trees,
    merge,
    summarise,
)


def facts(**files: tuple[int, str | None]) -> dict[str, object]:
    return {"manifest": {name: {"size": size, "sha256": digest} for name, (size, digest) in files.items()}}


def test_trees() -> None:
    old = facts(same=(1, "a"), other=(1, "b"), late=(2, "c"), unsettled=(3, None))
    point = facts(same=(1, "a"), other=(1, "x"), gone=(2, "d"), unsettled=(3, "e"))

    assert compare_trees(old, point, "scans") == Differences("scans", 1, 1, 1, ("late",), ("other",), ("gone",))


rows = st.dictionaries(st.text("abc", max_size=3), st.text("xy", max_size=1))


@given(rows, rows)
def test_merging_finds_what_sets_would(old: dict[str, str], point: dict[str, str]) -> None:
    found = {key: (there, here) for key, there, here in merge(sorted(old.items()), sorted(point.items()))}

    assert found == {key: (old.get(key), point.get(key)) for key in old.keys() | point.keys()}


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_rows_without_a_key_are_counted_as_often_as_they_are(old: list[str], point: list[str]) -> None:
    found = list(merge(sorted((each, each) for each in old), sorted((each, each) for each in point)))

    for each in "abc":
        more = old.count(each) - point.count(each)
        assert sum(key == each and here is None for key, _, here in found) == max(more, 0)
        assert sum(key == each and there is None for key, there, _ in found) == max(-more, 0)


def pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES))


def test_images_are_compared_by_blocks() -> None:
    old = bytearray(2 * CHUNK_BYTES + 100)
    old[CHUNK_BYTES + 5] = 1
    assert compare_images(pieces(bytes(old)), pieces(bytes(len(old))), "disk").changed == BLOCK_BYTES
    assert compare_images(pieces(bytes(old)), pieces(bytes(old)), "disk").changed == 0
    assert compare_images(pieces(bytes(CHUNK_BYTES)), pieces(b""), "disk").changed == CHUNK_BYTES


def test_what_the_bureau_is_told() -> None:
    table = Differences("public.persons", 3, 2, 1, ("a1",), ("b2",), ("c3",))
    told = summarise(
        "bureau/registry",
        {
            "register": ("postgresql", [table]),
            "scans": ("path", []),
            "disk": ("volume", [Differences("disk", 0, 8192, 0)]),
        },
    )

    assert told["differs"]
    assert told["zh"] == ["表 register public.persons：原中心多出 3，改动 2，缺少 1 行", "卷 disk：8.0 KiB 不同"]
    assert told["en"][0] == "table register public.persons: 3 rows only at the old centre, 2 changed, 1 missing"
    assert told["sources"]["register"]["differences"][0]["first_added"] == ("a1",)


def test_nothing_to_tell_is_told() -> None:
    told = summarise("bureau/registry", {"register": ("postgresql", [])})

    assert not told["differs"]
    assert len(told["zh"]) == len(told["en"]) == 1

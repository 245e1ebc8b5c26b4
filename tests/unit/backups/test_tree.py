"""Manifests as trees, and what of a point is wanted back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.backups.document import PointDocument, SourceProof
from orchestrator.backups.parts import choose_parts
from orchestrator.backups.sources.path import FileState
from orchestrator.backups.sources.tree import key_of
from orchestrator.backups.tree import Entry, as_path, below, entries, nearest
from orchestrator.catalogue.records import SourceCopy
from orchestrator.errors import InvalidInput
from policies.load import load_site
from policies.site import SystemRef

MANIFEST = {
    name: FileState(size, "0" * 64)
    for name, size in {"a": 1, "docs/one.pdf": 10, "docs/two.pdf": 20, "docs/old/one.pdf": 30, "docs.txt": 5}.items()
}
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def test_what_lies_in_a_folder() -> None:
    assert entries(MANIFEST, "") == [
        Entry("a", False, 1, 1),
        Entry("docs", True, 3, 60),
        Entry("docs.txt", False, 1, 5),
    ]
    assert [each.name for each in entries(MANIFEST, "docs")] == ["old", "one.pdf", "two.pdf"]
    assert entries(MANIFEST, "doc") == []


def test_what_is_below_a_path() -> None:
    assert below(MANIFEST, "docs").keys() == {"docs/one.pdf", "docs/two.pdf", "docs/old/one.pdf"}
    assert below(MANIFEST, "docs.txt").keys() == {"docs.txt"}
    assert below(MANIFEST, "doc") == {}
    assert below(MANIFEST, "") == MANIFEST


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("one.pdf", ["docs/one.pdf", "docs/old/one.pdf"]),
        ("docs/tow.pdf", ["docs/two.pdf", "docs/one.pdf"]),
        ("dosc/two.pdf", ["docs/two.pdf", "docs", "docs.txt"]),
        ("nothing like it", []),
    ],
)
def test_what_somebody_may_have_meant(typed: str, near: list[str]) -> None:
    assert nearest(MANIFEST, typed) == near


def test_paths_as_people_type_them() -> None:
    assert {as_path(each, "/srv/x") for each in ("docs/old", "/docs//old/", "./docs/old", "/srv/x/docs/old")} == {
        "docs/old"
    }
    assert as_path("/srv/x", "/srv/x/") == ""
    assert as_path("/srv/xy", "/srv/x") == "srv/xy"
    assert key_of(b"bad\xff".decode("utf-8", "surrogateescape")) == "bad\\xff"
    with pytest.raises(InvalidInput):
        as_path("docs/../../etc")


@pytest.fixture(scope="module")
def ref() -> SystemRef:
    found = load_site(Path(__file__).parents[3] / "examples" / "dalian")
    return next(iter(found.systems()))


def document(*proofs: SourceProof) -> PointDocument:
    return PointDocument("p", "p", "t", "s", "x", NOW, NOW, "tricenter", proofs)


def tree(name: str, manifest: dict[str, FileState]) -> SourceProof:
    facts = {"manifest": {path: asdict(state) for path, state in manifest.items()}}
    return SourceProof(SourceCopy(name, "path", "a" * 64, NOW, 66, 5), facts)


DUMP = SourceProof(SourceCopy("register", "postgresql", "b" * 64, NOW, 1000, 1), {"tables": {}})


def test_parts_of_a_point(ref: SystemRef) -> None:
    point = document(tree("one", MANIFEST), tree("two", {"a": FileState(1, None)}), DUMP)

    def none(proof: SourceProof, path: str) -> bool:
        return path == "empty" and proof.copy.source == "two"

    assert [each.source for each in choose_parts(ref, point, None, [], none)] == ["one", "two", "register"]
    (part,) = choose_parts(ref, point, None, ["docs", "docs/old", "a"], none)
    assert (part.source, part.paths, part.bytes) == ("one", ("a", "docs", "docs/old"), 61)
    (part,) = choose_parts(ref, point, "two", ["a"], none)
    assert part.source == "two"
    (part,) = choose_parts(ref, point, None, ["empty"], none)
    assert (part.source, part.files) == ("two", {})
    (part,) = choose_parts(ref, point, "one", ["."], none)
    assert part.whole
    for source, paths, said in (
        (None, ["a"], "several sources have"),
        ("register", ["a"], "register is a postgresql"),
        (None, ["docs/on.pdf"], "has no docs/on.pdf"),
        (None, ["docs", "empty"], "not all of one source"),
    ):
        with pytest.raises(InvalidInput, match=said):
            choose_parts(ref, point, source, paths, none)

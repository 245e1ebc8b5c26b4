"""The objects of a bucket as an archive, as files and as a manifest: any key, any metadata, and nothing is mixed up."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.backups.document import SourceProof
from orchestrator.backups.objects.archive import Member, Writer, read_archive
from orchestrator.backups.objects.folder import SIDECAR, TREE, hash_unpacked, unpack_archive
from orchestrator.backups.objects.manifest import (
    Objects,
    ObjectState,
    compare_objects,
    hash_archive,
    objects_as_facts,
    objects_from_facts,
)
from orchestrator.backups.objects.names import check_path_stays_inside, paths_of
from orchestrator.backups.proof import prove_source
from orchestrator.catalogue.records import SourceCopy
from orchestrator.errors import CheckFailed
from orchestrator.process import run

WHEN = datetime(2026, 3, 17, 8, 30, 5, tzinfo=UTC)
TYPE = {"content-type": "text/plain"}

#: What makes a key no path, and what paths are made of.
awkward = st.sampled_from(["", ".", "..", "%", "%2E", "a", "a%", "b", "文档", "x" * 300, "c\n", "\x7f", "~", " "])
keys = st.lists(awkward, min_size=1, max_size=5).map("/".join).filter(bool)


def pack(content: Mapping[str, bytes], headers: Mapping[str, str] = TYPE) -> bytes:
    out, paths = io.BytesIO(), paths_of(content)

    def write(piece: bytes) -> None:
        out.write(piece)

    writer = Writer(write)
    for key in sorted(content):
        writer.begin(Member(key, paths[key], len(content[key]), WHEN, headers))
        writer.add(content[key])
    writer.end()
    return out.getvalue()


def states(content: Mapping[str, bytes], headers: Mapping[str, str] = TYPE) -> Objects:
    return {key: ObjectState(len(each), hashlib.sha256(each).hexdigest(), headers) for key, each in content.items()}


@settings(deadline=None, max_examples=60)
@given(st.sets(keys, max_size=12))
def test_every_key_has_a_path_of_its_own_that_stays_inside(names: set[str]) -> None:
    paths = paths_of(names)
    assert len(set(paths.values())) == len(names)
    folders = {"/".join(path.split("/")[:end]) for path in paths.values() for end in range(1, path.count("/") + 1)}
    assert not folders & set(paths.values())
    for path in paths.values():
        check_path_stays_inside(path)
        assert all(len(part.encode()) <= 255 for part in path.split("/"))


def test_a_key_that_can_be_a_path_is_one() -> None:
    assert paths_of(["2026/文档.pdf", "a b+c"]) == {"2026/文档.pdf": "2026/文档.pdf", "a b+c": "a b+c"}


@pytest.mark.parametrize("path", ["../up", "/lead", "a//b", "a/./b", "a/..", "", "a\0b"])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(CheckFailed):
        check_path_stays_inside(path)


def test_an_archive_that_leads_elsewhere_writes_nothing_there(tmp_path: Path) -> None:
    out = io.BytesIO()
    writer = Writer(lambda piece: out.write(piece) and None)
    writer.begin(Member("k", "../outside", 1, WHEN, TYPE))
    writer.add(b"x")
    writer.end()
    out.seek(0)
    with pytest.raises(CheckFailed, match="leads out"):
        unpack_archive(out, tmp_path / "in")
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "in" / "outside").exists()


@settings(deadline=None, max_examples=20)
@given(st.dictionaries(keys, st.binary(max_size=1500), max_size=8))
def test_an_archive_gives_back_what_went_in(content: dict[str, bytes]) -> None:
    assert hash_archive(io.BytesIO(pack(content))) == states(content)


def test_an_archive_keeps_what_is_said_of_an_object() -> None:
    said = {"content-type": 'text/html; charset="utf-8"', "x-amz-meta-from": "two  spaces", "x-amz-meta-zh": "ä¸\xad"}
    archive = io.BytesIO(pack({"文/a": b"x" * 9_000}, said))
    ((member, pieces),) = [(one, b"".join(each)) for one, each in read_archive(archive)]
    assert member == Member("文/a", "文/a", 9_000, WHEN, said)
    assert pieces == b"x" * 9_000


def test_unchanged_objects_give_the_same_bytes_and_only_what_changed_differs() -> None:
    content = {f"k{number:02}": bytes([number]) * 5000 for number in range(20)}
    first = pack(content)
    assert pack(dict(reversed(content.items()))) == first
    second = pack({**content, "k10": b"new" * 10})
    before, after = first.index(b"\x0a" * 5000), len(first) - first.index(b"\x0b" * 5000)
    assert second[: before - 3 * 512] == first[: before - 3 * 512]
    assert second[-after:] == first[-after:]


def test_plain_tar_reads_the_archive(tmp_path: Path) -> None:
    archive = tmp_path / "bucket.tar"
    archive.write_bytes(pack({"a/b": b"1", "a": b"2", "../c": b"3"}))
    run(["tar", "-xf", str(archive), "-C", str(tmp_path)], deadline_seconds=30)
    assert (tmp_path / "a/b").read_bytes() + (tmp_path / "a%").read_bytes() == b"12"
    assert (tmp_path / "%%2E%2E" / "c").read_bytes() == b"3"


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9])
def test_a_cut_off_archive_never_passes_for_whole(keep: float) -> None:
    content = {f"k{number}": b"c" * 3000 for number in range(5)}
    whole = pack(content)
    try:
        got = hash_archive(io.BytesIO(whole[: int(len(whole) * keep)]))
    except CheckFailed:
        return
    assert compare_objects(states(content), got)


def test_what_is_no_archive_of_ours_is_told() -> None:
    with pytest.raises(CheckFailed):
        hash_archive(io.BytesIO(b"no tar" * 1000))
    foreign = io.BytesIO()
    with tarfile.open(fileobj=foreign, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("alien"))
    foreign.seek(0)
    with pytest.raises(CheckFailed, match="no object"):
        hash_archive(foreign)


def test_less_content_than_was_said_is_told() -> None:
    writer = Writer(lambda piece: None)
    writer.begin(Member("k", "k", 10, WHEN, TYPE))
    writer.add(b"123")
    with pytest.raises(CheckFailed, match="7 bytes less"):
        writer.end()


def test_the_comparison_names_every_difference() -> None:
    want = states({"gone": b"1", "size": b"22", "content": b"old", "type": b"t", "same": b"s"})
    want["deleted"] = ObjectState(5, None, {})
    got = states({"size": b"333", "content": b"new", "type": b"t", "same": b"s", "more": b"m"})
    got["type"] = ObjectState(1, got["type"].sha256, {"content-type": "image/png", "x-amz-meta-a": "1"})
    assert compare_objects(want, got) == [
        "missing gone",
        "surplus more",
        "content of content differs",
        "size of size: 3, want 2",
        "content-type of type: image/png, want text/plain",
        "x-amz-meta-a of type: 1, want nothing",
    ]


def proof_of(objects: Objects) -> SourceProof:
    total = sum(each.size for each in objects.values())
    copy = SourceCopy("files", "bucket", "a" * 64, WHEN, total, len(objects))
    facts = json.loads(json.dumps(objects_as_facts(objects)))  # as the document carries them
    assert objects_from_facts(facts) == objects
    return SourceProof(copy, facts)


def test_a_restored_folder_is_proved_and_each_fault_in_it_found(tmp_path: Path) -> None:
    content = {"a": b"1", "a/b": b"2", "文/c": b"3" * 5000}
    proof = proof_of(states(content))
    unpack_archive(io.BytesIO(pack(content)), tmp_path)
    assert prove_source(proof, tmp_path).proved
    assert (tmp_path / TREE / "a%").stat().st_mtime == WHEN.timestamp()
    assert hash_unpacked(tmp_path) == states(content)

    (tmp_path / TREE / "a%").write_bytes(b"x")
    (tmp_path / TREE / "文/c").unlink()
    (tmp_path / TREE / "more").write_bytes(b"")
    assert prove_source(proof, tmp_path).faults == ("missing 文/c", "surplus more", "content of a differs")
    (tmp_path / SIDECAR).unlink()
    with pytest.raises(CheckFailed):
        prove_source(proof, tmp_path)

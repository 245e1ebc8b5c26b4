"""The manifest of a bucket: what every object was when it was read, and what a restore of it is compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.backups.objects.archive import Input, read_archive


@dataclass(frozen=True, slots=True)
class ObjectState:
    """One object. `sha256` is None for one that is not settled: it was listed, and gone when it was to be read.

    `headers` are its content type and metadata, and what else its application says of it.
    """

    size: int
    sha256: str | None
    headers: Mapping[str, str]

    @property
    def settled(self) -> bool:
        return self.sha256 is not None


Objects = dict[str, ObjectState]


def objects_as_facts(objects: Objects) -> dict[str, Any]:
    return {"objects": {key: asdict(state) for key, state in sorted(objects.items())}}


def objects_from_facts(facts: Mapping[str, Any]) -> Objects:
    """Return the manifest that a point's document carries."""
    return {key: ObjectState(**state) for key, state in facts["objects"].items()}


def compare_objects(want: Objects, got: Objects) -> list[str]:
    """Return every difference as a line: missing, surplus, other size, content or headers. Empty means proved. Pure.

    Of an object that was not settled nothing is asked: it was being deleted.
    """
    lines = [f"missing {key}" for key in sorted(want.keys() - got.keys()) if want[key].settled]
    lines += [f"surplus {key}" for key in sorted(got.keys() - want.keys())]
    for key in sorted(want.keys() & got.keys()):
        expected, actual = want[key], got[key]
        if not expected.settled:
            continue
        if expected.size != actual.size:
            lines.append(f"size of {key}: {actual.size}, want {expected.size}")
        elif expected.sha256 != actual.sha256:
            lines.append(f"content of {key} differs")
        for name in sorted(expected.headers.keys() | actual.headers.keys()):
            if expected.headers.get(name) != actual.headers.get(name):
                got_text, want_text = (each.get(name, "nothing") for each in (actual.headers, expected.headers))
                lines.append(f"{name} of {key}: {got_text}, want {want_text}")
    return lines


def hash_archive(stream: Input) -> Objects:
    """Read an archive to its end and return what is in it."""
    return {
        member.key: ObjectState(member.size_bytes, hash_pieces(pieces), member.headers)
        for member, pieces in read_archive(stream)
    }


def hash_pieces(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def settled_of(objects: Objects) -> Iterator[tuple[str, ObjectState]]:
    return ((key, state) for key, state in objects.items() if state.settled)

"""A look into recovery points: what lies in a folder of one, where a file is, and in which points it changed.

The document of a point answers most of it, from the manifests and facts that a restore is proved by. Only times and
modes of files are restic's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Literal

from orchestrator.backups.access import Access
from orchestrator.backups.choosing import list_points
from orchestrator.backups.document import PointDocument, SourceProof, read_document
from orchestrator.backups.parts import ask_for, choose_parts, is_tree, start_of
from orchestrator.backups.sources.path import FileState, Manifest, manifest_from_facts
from orchestrator.backups.sources.tree import key_of
from orchestrator.backups.tree import as_path, below, entries
from orchestrator.catalogue.records import PointAt
from orchestrator.errors import InvalidInput
from orchestrator.vault.restic import Repository
from policies.site import SystemRef
from policies.tenant import source_of
from policies.work import copy_centres

READERS = 4

State = Literal["absent", "first", "changed", "same", "unsettled"]


@dataclass(frozen=True, slots=True)
class Shown:
    """One line of a look: a source, a file, a folder with what is below it, or a table with its rows.

    What is not known of it is None.
    """

    name: str
    kind: str
    size: int | None = None
    files: int | None = None
    rows: int | None = None
    mode: str | None = None
    modified_at: datetime | None = None
    digest: str | None = None

    def as_json(self) -> dict[str, Any]:
        told = {key: value for key, value in asdict(self).items() if value is not None}
        return told | ({"modified_at": self.modified_at.isoformat()} if self.modified_at else {})


@dataclass(frozen=True, slots=True)
class Look:
    """What stands at a path of a source; without a source, the sources of the point."""

    source: str | None
    kind: str
    path: str
    lines: tuple[Shown, ...]


def look(ref: SystemRef, document: PointDocument, repository: Repository, source: str | None, path: str) -> Look:
    """Return what is at a path of a recovery point. Raises InvalidInput and UnknownName, with what is near."""
    if path:
        (part,) = choose_parts(ref, document, source, [path], ask_for(repository))
        proof = part.proof
        return _folder(proof, repository, as_path(path, start_of(ref, part.source)))
    proofs = [part.proof for part in choose_parts(ref, document, source, [], lambda *_: False)]
    if len(proofs) > 1:
        return Look(None, "point", "", tuple(map(_source, proofs)))
    (proof,) = proofs
    if is_tree(proof):
        return _folder(proof, repository, "")
    return Look(proof.copy.source, proof.copy.kind, "", tuple(_facts(proof)))


def find(document: PointDocument, source: str | None, pattern: str) -> Iterator[tuple[str, Shown]]:
    """Yield every file and table that a pattern fits, with its source; of a pattern with a slash, by its whole path.

    Upper and lower case are the same.
    """
    folded = pattern.casefold()
    for proof in document.sources:
        if source not in (None, proof.copy.source, source_of(proof.copy.source)):
            continue
        for each in _files(proof) if is_tree(proof) else _facts(proof):
            name = each.name if "/" in pattern else each.name.rpartition("/")[2]
            if fnmatchcase(name.casefold(), folded):
                yield proof.copy.source, each


@dataclass(frozen=True, slots=True)
class Version:
    """A path in one point: how its content is, compared with the next older point that is known."""

    at: PointAt
    source: str | None
    state: State
    files: int
    size: int
    digest: str | None


def history(
    access: Access,
    ref: SystemRef,
    path: str,
    *,
    centre: str | None,
    source: str | None,
    last: int,
    on_read: Callable[[int, int], None],
) -> list[Version]:
    """Return the newest points, the newest first, each with how a file or folder is in it. Several are read at once.

    Raises what a centre says that cannot be read; InvalidInput when the path is in none of them.
    """
    here, _ = list_points(access, ref, [centre] if centre else copy_centres(ref), alone=centre is not None)
    nearest: dict[str, PointAt] = {}
    for landed in here.values():
        for each in landed:
            nearest.setdefault(each.point.id, each)
    chosen = sorted(nearest.values(), key=lambda each: each.point.data_time, reverse=True)[:last]

    def read(at: PointAt) -> tuple[str | None, Manifest]:
        document = read_document(access.repository(at.centre, ref), at.point)
        return _content(ref, document, source, path)

    contents = []
    with ThreadPoolExecutor(READERS) as pool:
        for number, content in enumerate(pool.map(read, chosen), 1):
            on_read(number, len(chosen))
            contents.append(content)
    if not any(manifest for _, manifest in contents):
        raise InvalidInput(
            f"{path} is in none of the newest {len(chosen)} recovery points of {ref}",
            hint="--find PATTERN looks for it by a part of its name; --last N looks further back",
        )
    return _versions(chosen, contents)


def _versions(chosen: Sequence[PointAt], contents: Sequence[tuple[str | None, Manifest]]) -> list[Version]:
    found: list[Version] = []
    before: str | None = None
    for at, (source, manifest) in reversed(list(zip(chosen, contents, strict=True))):
        digest = _digest(manifest)
        found.append(Version(at, source, _state(manifest, digest, before), len(manifest), _bytes(manifest), digest))
        before = digest if manifest else None
    return found[::-1]


def _state(manifest: Manifest, digest: str | None, before: str | None) -> State:
    if not manifest:
        return "absent"
    if not all(each.settled for each in manifest.values()):
        return "unsettled"
    if before is None:
        return "first"
    return "same" if digest == before else "changed"


def _content(ref: SystemRef, document: PointDocument, source: str | None, path: str) -> tuple[str | None, Manifest]:
    """Return the source that has the path in this point, and the files there."""
    for proof in document.sources:
        if is_tree(proof) and source in (None, proof.copy.source):
            wanted = key_of(as_path(path, start_of(ref, proof.copy.source)))
            if files := below(manifest_from_facts(proof.facts), wanted):
                return proof.copy.source, files
    return None, {}


def _digest(manifest: Manifest) -> str | None:
    """Return the SHA-256 of one file, or of a folder's list of them."""
    if len(manifest) == 1:
        return next(iter(manifest.values())).sha256
    lines = "".join(f"{key}\0{each.size}\0{each.sha256}\n" for key, each in sorted(manifest.items()))
    return hashlib.sha256(lines.encode()).hexdigest() if manifest else None


def _bytes(manifest: Manifest) -> int:
    return sum(each.size for each in manifest.values())


def _source(proof: SourceProof) -> Shown:
    copy = proof.copy
    tables = proof.facts.get("tables")
    rows = sum(each["rows"] for each in tables.values()) if tables else None
    return Shown(copy.source, copy.kind, copy.bytes, copy.files, rows, modified_at=copy.data_time)


def _facts(proof: SourceProof) -> Iterator[Shown]:
    """Yield what is known of a source that is no folder tree: a database's tables, a volume's digest."""
    tables = proof.facts.get("tables")
    if tables is None:
        yield Shown(proof.copy.source, proof.copy.kind, proof.copy.bytes, digest=proof.facts.get("sha256"))
        return
    for name, each in sorted(tables.items()):
        yield Shown(name, "table", rows=each["rows"], digest=each["digest"])


def _files(proof: SourceProof) -> Iterator[Shown]:
    for name, state in manifest_from_facts(proof.facts).items():
        yield _file(name, state)


def _file(name: str, state: FileState) -> Shown:
    return Shown(name, "file", state.size, digest=state.sha256)


def _folder(proof: SourceProof, repository: Repository, path: str) -> Look:
    """Return a folder as restic has it, with what is below its folders; or one file."""
    manifest, copy = manifest_from_facts(proof.facts), proof.copy
    key = key_of(path)
    inside = {each.name: each for each in entries(manifest, key)}
    parent, _, own = path.rpartition("/")
    lone = key in manifest
    nodes = repository.list_folder(copy.snapshot_id, f"/{parent}" if lone else f"/{path}")
    lines = []
    for node in nodes:
        if lone and node.name != own:
            continue
        known = inside.get(node.name)
        is_folder = node.kind == "dir"
        size = (known.bytes if known else 0) if is_folder else node.size
        files = (known.files if known else 0) if is_folder else None
        state = manifest.get(key if lone else f"{key}/{node.name}".lstrip("/"))
        digest = state.sha256 if state else None
        lines.append(Shown(node.name, node.kind, size, files, None, node.mode, node.modified_at, digest))
    return Look(copy.source, copy.kind, path, tuple(lines))

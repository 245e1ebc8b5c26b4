"""What of a recovery point is wanted back: whole sources, or files and folders of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.backups.document import IMAGE, PointDocument, SourceProof
from orchestrator.backups.proof import Proof, prove_files, prove_source
from orchestrator.backups.restore import FILE_OF_KIND
from orchestrator.backups.sources.path import FileState, Manifest, manifest_from_facts
from orchestrator.backups.sources.tree import key_of
from orchestrator.backups.tree import as_path, below, entries, nearest
from orchestrator.errors import CheckFailed, InvalidInput, UnknownName
from orchestrator.vault.restic import Repository
from policies.site import SystemRef
from policies.tenant import source_of

#: Tells whether there is a link, a special file or an empty folder at a path of a source: no manifest knows of those.
IsThere = Callable[[SourceProof, str], bool]


@dataclass(frozen=True, slots=True)
class Part:
    """One source of a point, or some `paths` of it. `files` are those with a known content, by their place in it."""

    proof: SourceProof
    files: Manifest
    paths: tuple[str, ...] = ()
    bytes: int = field(default=0)

    @property
    def source(self) -> str:
        return self.proof.copy.source

    @property
    def whole(self) -> bool:
        return not self.paths

    @property
    def shown_paths(self) -> list[str]:
        """The paths as manifests have them: as text, also where a name is no UTF-8."""
        return [key_of(each) for each in self.paths]

    def as_json(self) -> dict[str, Any]:
        told = {"source": self.source, "kind": self.proof.copy.kind, "bytes": self.bytes, "files": len(self.files)}
        return told | ({"paths": self.shown_paths} if self.paths else {})

    def prove(self, place: Path) -> Proof:
        """Compare what was restored with what was backed up. `place` is the source's folder, dump or image."""
        if self.whole:
            return prove_source(self.proof, place)
        gone = [each for each in self.paths if not (place / each).exists() and not (place / each).is_symlink()]
        if gone:
            return Proof(False, f"{len(gone)} were not restored", tuple(f"missing {each}" for each in gone))
        return prove_files(self.files, place)


def is_tree(proof: SourceProof) -> bool:
    """Return whether a source is of files, with a manifest of them."""
    return "manifest" in proof.facts


def choose_parts(
    ref: SystemRef, document: PointDocument, source: str | None, paths: Sequence[str], is_there: IsThere
) -> list[Part]:
    """Return what is wanted: all sources, one, or files and folders of one that is a folder tree.

    Raises UnknownName, InvalidInput (a path that is not there, with the nearest; one that several sources have).
    """
    names = [each.copy.source for each in document.sources]
    if source is not None and source not in names:
        raise UnknownName("source in this recovery point", source, names)
    # A server by its name is all that it is made of; one of its volumes has a name of its own.
    proofs = [each for each in document.sources if source in (None, each.copy.source, source_of(each.copy.source))]
    if not paths:
        return [whole(each) for each in proofs]
    trees = [each for each in proofs if is_tree(each)]
    if not trees:
        kinds = ", ".join(f"{each.copy.source} is a {each.copy.kind}" for each in proofs)
        raise InvalidInput(f"--path picks files of a folder tree: {kinds}", hint="leave out --path")
    fits = [each for each in trees if all(_has(ref, each, path, is_there) for path in paths)]
    if not fits:
        raise _not_there(ref, document, trees, paths, is_there)
    if len(fits) > 1:
        holders = ", ".join(each.copy.source for each in fits)
        raise InvalidInput(f"several sources have {', '.join(paths)}: {holders}", hint="say which one: --source NAME")
    return [_some(ref, fits[0], paths)]


def whole(proof: SourceProof) -> Part:
    """Return all of a source, under the names that its files have when they come back."""
    copy = proof.copy
    if is_tree(proof):
        return Part(proof, manifest_from_facts(proof.facts), bytes=copy.bytes)
    name = {**FILE_OF_KIND, "volume": IMAGE}.get(copy.kind)
    files = {name: FileState(copy.bytes, proof.facts.get("sha256"))} if name else {}
    return Part(proof, files, bytes=copy.bytes)


def ask_for(repository: Repository) -> IsThere:
    """Return the question whether a path is in a snapshot, put to restic."""

    def is_there(proof: SourceProof, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return any(each.name == name for each in repository.list_folder(proof.copy.snapshot_id, f"/{folder}"))

    return is_there


def start_of(ref: SystemRef, source: str) -> str | None:
    """Return where a source's folder stands, so that paths may be given as people know them."""
    return getattr(ref.system.sources.get(source), "path", None)


def _has(ref: SystemRef, proof: SourceProof, text: str, is_there: IsThere) -> bool:
    path = as_path(text, start_of(ref, proof.copy.source))
    return not path or bool(below(manifest_from_facts(proof.facts), key_of(path))) or is_there(proof, path)


def _some(ref: SystemRef, proof: SourceProof, texts: Sequence[str]) -> Part:
    paths = sorted({as_path(each, start_of(ref, proof.copy.source)) for each in texts})
    if "" in paths:
        return whole(proof)
    manifest, files = manifest_from_facts(proof.facts), Manifest()
    for path in paths:
        files |= below(manifest, key_of(path))
    return Part(proof, files, tuple(paths), sum(each.size for each in files.values()))


def _not_there(
    ref: SystemRef, document: PointDocument, trees: Sequence[SourceProof], texts: Sequence[str], is_there: IsThere
) -> InvalidInput | CheckFailed:
    missing = [text for text in texts if not any(_has(ref, each, text, is_there) for each in trees)]
    if not missing:
        return InvalidInput(f"{', '.join(texts)} are not all of one source", hint="restore each with --source NAME")
    near = [
        f"{each.copy.source}: {found}"
        for each in trees
        for found in nearest(
            manifest_from_facts(each.facts), key_of(as_path(missing[0], start_of(ref, each.copy.source)))
        )
    ]
    tops = ", ".join(each.name for tree in trees for each in entries(manifest_from_facts(tree.facts), "")[:10])
    return InvalidInput(
        f"recovery point {document.point} has no {', '.join(missing)}",
        hint=f"did you mean {' or '.join(near)}?" if near else f"at the top there are: {tops}",
    )

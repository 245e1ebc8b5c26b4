"""What a file system knows of the entries of a tree beside their content, and whether a restore brought it back.

Of every entry: type and mode, owner, time of modification; of a link its target; of a file with several names which
of them are one file; the extended attributes, among them ACLs and capabilities.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.backups.sources.tree import Seen
from orchestrator.errors import PartlyDone

#: What only root can set, so that a restore by anybody else cannot bring it back.
ROOT_ATTRIBUTES = ("security.", "trusted.")
DIGEST_DIGITS = 32


@dataclass(frozen=True, slots=True)
class EntryState:
    """One entry of a tree. `link` is a symbolic link's target, `same` the first name of the file with several names."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int
    link: str | None = None
    same: str | None = None
    special: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    def as_json(self) -> list[Any]:
        """The state in few characters: there may be millions of them."""
        more = {"link": self.link, "same": self.same, "special": self.special, "attributes": dict(self.attributes)}
        told = {key: value for key, value in more.items() if value}
        return [self.mode, self.uid, self.gid, self.mtime_ns, *([told] if told else [])]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> EntryState:
        return cls(*value[:4], **(value[4] if len(value) > 4 else {}))


#: None for an entry that is not settled: it changed, came or went during the backup.
Metadata = dict[str, EntryState | None]


def read_metadata(seen: Sequence[Seen]) -> dict[str, EntryState]:
    """Return the metadata of the entries that were seen. Raises PartlyDone when it cannot be read."""
    first = _first_names(seen)
    return {each.key: _state(each, first.get((each.device, each.inode))) for each in seen}


def settled_metadata(before: Mapping[str, EntryState], seen: Sequence[Seen], after: Sequence[Seen]) -> Any:
    """Return, as JSON, the metadata of what did not change between two looks, None for what did."""
    still = set(after)
    found: dict[str, Any] = {each.key: None for each in after}
    for each in seen:
        found[each.key] = before[each.key].as_json() if each in still else None
    return dict(sorted(found.items()))


def metadata_from_facts(facts: Mapping[str, Any]) -> Metadata | None:
    """Return the metadata that a point's document carries; None for a point of before it did."""
    if "metadata" not in facts:
        return None
    return {path: EntryState.from_json(state) if state else None for path, state in facts["metadata"].items()}


def compare_metadata(want: Metadata, got: Mapping[str, EntryState], *, as_root: bool) -> list[str]:
    """Return every difference as a line; empty means proved. Missing and surplus files are the manifest's to tell.

    What was restored by another user than root (`as_root`) has that user's owner and no privileged attributes.
    """
    lines = [f"missing {path}" for path, state in want.items() if state and not state.is_file and path not in got]
    lines += [f"surplus {path}" for path in sorted(got.keys() - want.keys()) if not got[path].is_file]
    for path in sorted(want.keys() & got.keys()):
        if expected := want[path]:
            lines += [f"{what} of {path}: {has}, want {wants}" for what, has, wants in _differences(
                expected, got[path], as_root
            )]  # fmt: skip
    return lines


def _differences(want: EntryState, got: EntryState, as_root: bool) -> Iterator[tuple[str, str, str]]:
    pairs = [
        ("mode", stat.filemode(got.mode), stat.filemode(want.mode)),
        ("time", str(got.mtime_ns), str(want.mtime_ns)),
        ("target", str(got.link), str(want.link)),
        ("first name", str(got.same), str(want.same)),
        ("device", str(got.special), str(want.special)),
        ("extended attributes", _told(got.attributes, as_root), _told(want.attributes, as_root)),
    ]
    if as_root:
        pairs.append(("owner", f"{got.uid}:{got.gid}", f"{want.uid}:{want.gid}"))
    return (each for each in pairs if each[1] != each[2])


def _told(attributes: Mapping[str, str], as_root: bool) -> str:
    kept = {name: digest for name, digest in attributes.items() if as_root or not name.startswith(ROOT_ATTRIBUTES)}
    return ", ".join(f"{name} ({digest[:8]})" for name, digest in sorted(kept.items())) or "none"


def _first_names(seen: Sequence[Seen]) -> dict[tuple[int, int], str]:
    """Return the first name of every file that has several names among those seen."""
    names: dict[tuple[int, int], list[str]] = defaultdict(list)
    for each in seen:
        if each.is_file and each.links > 1:
            names[each.device, each.inode].append(each.key)
    return {file: min(each) for file, each in names.items() if len(each) > 1}


def _state(seen: Seen, same: str | None) -> EntryState:
    try:
        link = os.fsencode(seen.path.readlink()) if stat.S_ISLNK(seen.mode) else None
        attributes = _attributes(seen.where)
    except FileNotFoundError:
        link, attributes = None, {}  # gone since: the next look shows it, and it does not count as settled
    except OSError as error:
        raise PartlyDone(
            f"{seen.where} cannot be read: {error.strerror}", hint="run as a user who may read it"
        ) from error
    return EntryState(
        seen.mode,
        seen.uid,
        seen.gid,
        seen.mtime_ns,
        link.decode("utf-8", "backslashreplace") if link is not None else None,
        same,
        seen.special or None,
        attributes,
    )


def _attributes(path: str) -> dict[str, str]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    return {name: _digest(os.getxattr(path, name, follow_symlinks=False)) for name in sorted(names)}


def _digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()[:DIGEST_DIGITS]

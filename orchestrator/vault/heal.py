"""Healing: a good copy of an object is put over one that is corrupt or gone. Keyless.

The copy is hashed on its way and its last piece held back until the hash is right, as in a replication, and what the
vault then holds is read back. Nothing else is written and nothing deleted: where the bucket keeps versions, the
corrupt one stays as an older version.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.errors import CorruptObject, CredentialRefused, Unreachable
from orchestrator.vault.replicate import copy_object
from orchestrator.vault.s3 import Bucket, NoSuchObject
from orchestrator.vault.scrub import examine


@dataclass(frozen=True, slots=True)
class Mended:
    """How the healing of one object ended. `source` is the centre that gave the copy.

    Without a source it was good already (`good`), or no centre could give one: `why` says of each what it holds.
    `away` tells that one of those could not be asked.
    """

    key: str
    sha256: str
    size_bytes: int
    good: bool
    source: str | None = None
    why: tuple[str, ...] = ()
    away: bool = False


class Donors:
    """The buckets that may hold good copies, the nearest first. One that does not answer is asked once. Thread-safe."""

    def __init__(self, buckets: Iterable[Bucket]) -> None:
        self._buckets = tuple(buckets)
        self._away: dict[str, str] = {}

    def mend(self, target: Bucket, key: str, sha256: str) -> Mended:
        """Make the object at `target` one whose content hashes to `sha256`. May be repeated.

        Raises Unreachable when the target does not answer, and CorruptObject when it gives back other bytes than it
        was given.
        """
        if examine(target, key, sha256) == "good":
            return Mended(key, sha256, _size(target, key), good=True)
        why: list[str] = []
        for bucket in self._buckets:
            if refusal := self._copy(bucket, target, key, sha256):
                why.append(f"{bucket.centre} {refusal}")
                continue
            if examine(target, key, sha256) != "good":
                raise CorruptObject(
                    f"{target}/{key} was healed, and read back it is not what was written",
                    hint=f"look at the vault of {target.centre} and its disks before anything else is written there",
                )
            return Mended(key, sha256, _size(target, key), good=True, source=bucket.centre)
        away = any(bucket.centre in self._away for bucket in self._buckets)
        return Mended(key, sha256, 0, good=False, why=tuple(why), away=away)

    def _copy(self, bucket: Bucket, target: Bucket, key: str, sha256: str) -> str | None:
        """Copy the object from one bucket; return why that could not be done."""
        if bucket.centre in self._away:
            return self._away[bucket.centre]
        try:
            entry = bucket.head(key)
            if entry is None:
                return "does not hold it"
            copy_object(bucket, target, key, entry.size_bytes, sha256)
        except NoSuchObject:
            return "does not hold it"
        except CorruptObject:
            return "holds a corrupt copy as well"
        except (Unreachable, CredentialRefused) as error:
            target.head(key)  # raises when it is the target that does not answer
            self._away[bucket.centre] = f"cannot be asked: {error}"
            return self._away[bucket.centre]
        return None


def _size(bucket: Bucket, key: str) -> int:
    entry = bucket.head(key)
    return entry.size_bytes if entry else 0

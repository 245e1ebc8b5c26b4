"""A bucket brought back to how it was at a moment: what was deleted or overwritten since is there again.

Works because a locked version cannot be deleted: whoever has a key can put a delete marker or another version over it,
and nothing more. Nothing is lost by an undelete: markers go, and old versions are copied to the top. What came later
and belongs to nothing is left, unless its content is not what its name says; that is hidden by a marker of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Literal

from orchestrator.vault.admin import VaultAdmin, Version
from orchestrator.vault.parallel import parallel
from orchestrator.vault.s3 import Bucket
from orchestrator.vault.scrub import NAMED_PARTS, scrub

Act = Literal["uncover", "copy"]

#: What restic makes and removes itself all the time: a lock that comes back would lock everybody out.
PASSING = "locks/"

THREADS = 8

#: Called with how many objects are done, and how many there are.
OnDone = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done with one object, so that `version` is the one that is read.

    `uncover` takes the markers away that lie over it; `copy` puts it on top of versions that came later.
    """

    key: str
    act: Act
    version: str
    size_bytes: int
    markers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Undeletion:
    """What an undelete of a repository will do. `late` objects came after the moment, and are not touched."""

    prefix: str
    changes: tuple[Change, ...]
    intact: int
    late: int


def plan_undelete(admin: VaultAdmin, bucket: str, prefix: str, before: datetime) -> Undeletion:
    """Return what brings the repository below `prefix` back to how it was at `before`. Changes nothing.

    Raises Unreachable, CredentialRefused.
    """
    return plan_of(admin.versions(bucket, f"{prefix}/"), prefix, before)


def plan_of(versions: Iterable[Version], prefix: str, before: datetime) -> Undeletion:
    """Return the plan for versions that stand together by their keys. Pure."""
    changes, intact, late = [], 0, 0
    for key, group in groupby(versions, key=lambda each: each.key):
        if key.startswith(f"{prefix}/{PASSING}"):
            continue
        newest_first = sorted(group, key=lambda each: (each.latest, each.modified_at), reverse=True)
        there = next((each for each in newest_first if each.modified_at <= before), None)
        if there is None or there.marker:
            late += there is None
            continue
        over = newest_first[: newest_first.index(there)]
        if not over or (not over[0].marker and over[0].content == there.content):
            intact += 1
        elif all(each.marker for each in over):
            changes.append(Change(key, "uncover", there.id, there.size_bytes, tuple(each.id for each in over)))
        else:
            changes.append(Change(key, "copy", there.id, there.size_bytes, ()))
    return Undeletion(prefix, tuple(changes), intact, late)


def undelete(admin: VaultAdmin, bucket: str, plan: Undeletion, on_done: OnDone | None = None) -> None:
    """Do what a plan says. May be repeated, and killed: each object is done by itself. Raises Unreachable."""

    def act(change: Change) -> None:
        if change.act == "copy":
            admin.copy_version(bucket, change.key, change.version)
            return
        for marker in change.markers:
            admin.delete_marker(bucket, change.key, marker)

    for number, _ in enumerate(parallel(plan.changes, act, THREADS), 1):
        if on_done:
            on_done(number, len(plan.changes))


def hide_forged(bucket: Bucket, prefix: str) -> tuple[str, ...]:
    """Hide objects whose content is not what their name says, by a delete marker, and return their keys.

    Reads what refers to packs only, which is what restic stumbles over; whole packs are read by a verification.
    """
    forged = scrub(bucket, prefix, [f"{part}/" for part in NAMED_PARTS if part != "data"]).corrupt
    for key in forged:
        bucket.delete(key)
    return forged

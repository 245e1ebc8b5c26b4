"""A new repository whose key is cheap to derive, for a password that this program made.

Creating is decided by one conditional write and then carried out by anybody: the object `.creating/REPOSITORY` holds
the key and the `config` to be, and whoever finds it puts exactly these in place. So of two creators both make the same
repository, and one that is killed anywhere is carried on by the next. It goes once `config`, the last, is there.

A store that takes a condition and ignores it is found out by the second write of the same name. There it is as with
restic's own init, which looks and then writes: their callers hold the repository's lease.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.errors import Busy, CheckFailed
from orchestrator.secrets import Secret
from orchestrator.vault.restic import polynomial
from orchestrator.vault.restic.keyfile import Master, name_of, open_key, read_cost, write_cheap_key
from orchestrator.vault.s3 import AlreadyThere, Bucket, NoSuchObject

#: No repository's name begins with a dot.
CREATING = ".creating"
ATTEMPTS, BREATH_SECONDS = 20, 0.25


@dataclass(frozen=True, slots=True)
class Draft:
    """The key and the `config` of a repository, as they will stand in the vault."""

    key: bytes
    config: bytes

    def as_json(self) -> bytes:
        return json.dumps({"key": _text(self.key), "config": _text(self.config)}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Draft:
        said = json.loads(data)
        return cls(base64.b64decode(said["key"]), base64.b64decode(said["config"]))


def draft(password: Secret) -> Draft:
    """Return a new repository, as restic would make it, but for what its key costs. Raises Refused: `is_made`."""
    master = Master.draw()
    config = {"version": 2, "id": secrets.token_hex(32), "chunker_polynomial": f"{polynomial.draw():x}"}
    return Draft(write_cheap_key(master, password), master.seal(json.dumps(config).encode()))


def create(bucket: Bucket, removing: Bucket, prefix: str, password: Secret) -> None:
    """Make the repository at `prefix`, where there is none. May be repeated, and done by two at once.

    `removing` is the bucket with the credential that may delete. Raises Refused for a password that is not made, Busy
    when others create it and do not come to an end.
    """
    mine, decision = draft(password), f"{CREATING}/{prefix}"
    for _ in range(ATTEMPTS):
        conditional = _decide(bucket, decision, mine)
        # Asked after the decision is there: it goes only once `config` is in place.
        if bucket.head(f"{prefix}/config") is not None:
            removing.delete(decision)
            return
        try:
            decided = Draft.from_json(bucket.get(decision))
        except NoSuchObject:  # another one has just ended
            time.sleep(BREATH_SECONDS)
            continue
        _put_in_place(bucket, prefix, decided, conditional=conditional)
        _remove_orphans(bucket, removing, prefix, password)
        removing.delete(decision)
        return
    raise Busy(f"{bucket}/{prefix} is being created by others", hint="run it again in a minute")


def clear(bucket: Bucket, removing: Bucket, prefix: str) -> None:
    """Remove what a creation that was killed at its very end left: it holds the first key. May be repeated."""
    if bucket.head(f"{CREATING}/{prefix}") is not None:
        removing.delete(f"{CREATING}/{prefix}")


def _decide(bucket: Bucket, decision: str, mine: Draft) -> bool:
    """Write what is to be, unless that is decided. Return whether the store keeps to the condition."""
    with suppress(AlreadyThere):
        bucket.put(decision, mine.as_json(), only_if_absent=True)
    try:
        found = bucket.get(decision)
        bucket.put(decision, found, only_if_absent=True)
    except AlreadyThere:
        return True
    except NoSuchObject:  # it was carried out and went between
        return True
    return False


def _put_in_place(bucket: Bucket, prefix: str, decided: Draft, *, conditional: bool) -> None:
    bucket.put(f"{prefix}/keys/{name_of(decided.key)}", decided.key)
    with suppress(AlreadyThere):
        bucket.put(f"{prefix}/config", decided.config, only_if_absent=conditional)


def _remove_orphans(bucket: Bucket, removing: Bucket, prefix: str, password: Secret) -> None:
    """Remove keys that an interrupted init of restic left, of another master key.

    Whichever key restic tries first decides whether the repository opens. What others' passwords open stays.
    """
    config = bucket.get(f"{prefix}/config")
    for entry in bucket.list(f"{prefix}/keys/"):
        master = open_key(bucket.get(entry.key), password)
        if master is not None and not _opens(master, config):
            removing.delete(entry.key)


def master_of(bucket: Bucket, prefix: str, password: Secret) -> Master:
    """Return the master key of a repository. Raises CheckFailed when the password opens none of its keys."""
    config = bucket.get(f"{prefix}/config")
    for entry in bucket.list(f"{prefix}/keys/"):
        master = open_key(bucket.get(entry.key), password)
        if master is not None and _opens(master, config):
            return master
    raise CheckFailed(f"no key of {bucket}/{prefix} opens with this password", hint="tricenter key check")


def add_cheap_key(bucket: Bucket, prefix: str, old: Secret, new: Secret) -> None:
    """Let a made password open a repository as well, cheaply. Repeated, it adds another key."""
    key = write_cheap_key(master_of(bucket, prefix, old), new)
    bucket.put(f"{prefix}/keys/{name_of(key)}", key)


def key_costs(bucket: Bucket, prefix: str) -> dict[str, int]:
    """Return how many rounds (scrypt's N) deriving each key of a repository takes, by its full id."""
    keys = [each.key for each in bucket.list(f"{prefix}/keys/")]
    return {key.rpartition("/")[2]: read_cost(bucket.get(key)).n for key in keys}


def _opens(master: Master, config: bytes) -> bool:
    try:
        master.unseal(config)
    except CheckFailed:
        return False
    return True


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()

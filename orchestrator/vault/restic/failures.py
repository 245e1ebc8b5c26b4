"""What a failed restic means: by its exit code where the version has one for the cause, else by what it said. Pure.

Before 0.17 every cause ends with code 1, so the words decide. Lines about retries count last: they tell of trouble
that may have passed before something else went wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from orchestrator.errors import (
    Busy,
    CheckFailed,
    CredentialRefused,
    Interrupted,
    InvalidInput,
    NoSpace,
    PartlyDone,
    ProcessFailed,
    TricenterError,
    Unreachable,
)
from orchestrator.vault.restic.messages import Stored, Unread

NAMED_FILES = 5


class NoRepository(InvalidInput):
    """There is no repository at this place."""


class Incomplete(PartlyDone):
    """A snapshot was made, and files are missing in it: `stored` is what there is, `unread` what is not."""

    def __init__(self, name: str, stored: Stored, unread: Sequence[Unread]) -> None:
        self.stored, self.unread = stored, tuple(unread)
        shown = "; ".join(f"{each.path} ({each.reason})" for each in unread[:NAMED_FILES]) or "restic named none"
        more = f" and {len(unread) - NAMED_FILES} more" if len(unread) > NAMED_FILES else ""
        super().__init__(
            f"{name}: snapshot {stored.snapshot_id[:8]} was made without what could not be read: {shown}{more}",
            hint="make these files readable or exclude them, then back up again",
        )


class Damaged(CheckFailed):
    """The repository is not whole. `packs` are the ids of those that restic named: lost, or of another size."""

    def __init__(self, name: str, stderr: str) -> None:
        said = [line for line in stderr.strip().splitlines() if line.strip()]
        self.packs = tuple(dict.fromkeys(re.findall(r"\bpack ([0-9a-f]{64})\b(?!: not referenced)", stderr)))
        super().__init__(
            f"the repository {name} is damaged: {' / '.join(said[-3:]) or 'restic said nothing'}",
            hint="another centre may hold a good copy; do not prune here before it is healed",
        )


def _no_repository(name: str, said: str) -> TricenterError:
    return NoRepository(f"there is no repository {name}: {said}", hint="the first backup of the system creates it")


def _wrong_password(name: str, said: str) -> TricenterError:
    return CredentialRefused(
        f"the repository {name} does not open with this password: {said}",
        hint="check repository_password of the site; restic says the same when the object `config` was overwritten, "
        "so compare it with another centre's before changing a password",
    )


def _locked(name: str, said: str) -> TricenterError:
    return Busy(f"the repository {name} is locked: {said}", hint="wait for the other run; a dead one's lock: unlock")


def _wrong_keys(name: str, said: str) -> TricenterError:
    return CredentialRefused(
        f"the vault refused the access key for {name}: {said}", hint="check the credential of this tenant and centre"
    )


def _no_bucket(name: str, said: str) -> TricenterError:
    return InvalidInput(f"the bucket of {name} does not exist: {said}", hint="tricenter tenant apply TENANT creates it")


def _no_space(name: str, said: str) -> TricenterError:
    return NoSpace(f"{name}: the disk became full: {said}", hint="free space at the target folder or TMPDIR, run again")


def _unreachable(name: str, said: str) -> TricenterError:
    return Unreachable(f"the vault of {name} does not answer: {said}", hint="is the centre up?")


def _not_in_it(name: str, said: str) -> TricenterError:
    return InvalidInput(f"the repository {name} does not hold this: {said}", hint="list its snapshots and their files")


def _interrupted(name: str, said: str) -> TricenterError:
    return Interrupted(f"{name}: restic was interrupted: {said}", hint="run it again")


Maker = Callable[[str, str], TricenterError]

BY_CODE: dict[int, Maker] = {10: _no_repository, 11: _locked, 12: _wrong_password, 130: _interrupted}

BY_WORDS: tuple[tuple[str, Maker], ...] = (
    (r"signature we calculated|access key ID you provided|Access Denied|AccessDenied|InvalidAccessKeyId", _wrong_keys),
    (r"bucket does not exist|NoSuchBucket", _no_bucket),
    (r"wrong password or no key found", _wrong_password),
    (r"already locked", _locked),
    (r"no matching ID found|not found in snapshot|no snapshot found|failed to find snapshot", _not_in_it),
    (r"no space left on device", _no_space),
    (r"config file: Stat: The specified key does not exist|repository does not exist", _no_repository),
    (
        r"connection refused|no such host|i/o timeout|no route to host|network is unreachable|connection reset by peer|"
        r"handshake timeout|deadline exceeded|[Ii]nternal [Ee]rror|Service Unavailable|reduce your request rate",
        _unreachable,
    ),
)


def explain(name: str, code: int, stderr: str) -> TricenterError:
    """Return our error for a restic on repository `name` that ended with `code` after saying `stderr`."""
    lines = [_said(line) for line in stderr.splitlines() if line.strip() and '"message_type":"error"' not in line]
    final = [line for line in lines if "retrying after" not in line]
    if code in BY_CODE:
        return BY_CODE[code](name, _last(final or lines))
    for pattern, maker in BY_WORDS:
        for line in final or lines:
            if re.search(pattern, line):
                return maker(name, _last([line]))
    return ProcessFailed("restic", code, "\n".join([f"repository {name}", *(final or lines)]))


def _said(line: str) -> str:
    """Return what a line says: since 0.18 the last one is JSON."""
    if '"message_type":"exit_error"' not in line:
        return line
    try:
        return str(json.loads(line)["message"])
    except (ValueError, KeyError):
        return line


def _last(lines: Sequence[str]) -> str:
    return lines[-1].removeprefix("Fatal: ").strip() if lines else "it said nothing"


def tail(stderr: str) -> str:
    """Return the last of what restic said, for a message."""
    return " / ".join(stderr.strip().splitlines()[-3:]) or "restic said nothing"

"""The command lines of restic. Pure; no secret ever stands in one: those travel in the environment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InvalidInput
from orchestrator.secrets import Secret
from orchestrator.vault.signing import Credential
from policies.bandwidth import KIB, Rates

PROGRESS_PER_SECOND = "2"
#: Never a short id, never a word such as `latest`: what is forgotten is named exactly.
SNAPSHOT_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a repository lives, and where what restic caches of it may lie on this machine."""

    endpoint: str
    region: str
    bucket: str
    prefix: str
    cache: Path

    @property
    def url(self) -> str:
        return f"s3:{self.endpoint}/{self.bucket}/{self.prefix}"


def environment(credential: Credential, password: Secret) -> dict[str, str]:
    """Return the variables that restic takes its secrets from."""
    return {
        "AWS_ACCESS_KEY_ID": credential.access_key,
        "AWS_SECRET_ACCESS_KEY": credential.secret_key,
        "RESTIC_PASSWORD": password.reveal(),
        "RESTIC_PROGRESS_FPS": PROGRESS_PER_SECOND,
    }


def command(program: str, at: Location, *words: str, rates: Rates | None = None) -> list[str]:
    """Return the command line of one restic command, which keeps to the rates as long as it runs."""
    options = ["--cache-dir", str(at.cache), "--cleanup-cache", "-o", "s3.bucket-lookup=path", "-o"]
    given = {"--limit-upload": rates.upload, "--limit-download": rates.download} if rates else {}
    limits = [word for option, rate in given.items() if rate for word in (option, str(rate // KIB))]
    return [program, "--repo", at.url, "--json", *options, f"s3.region={at.region}", *limits, *words]


def backup(*, host: str, tags: Sequence[str]) -> list[str]:
    """Return the words of a backup, without what is backed up."""
    return ["backup", "--host", host, *(word for tag in checked(tags) for word in ("--tag", tag))]


def backup_here(*, host: str, tags: Sequence[str], exclude: Sequence[str], one_file_system: bool = False) -> list[str]:
    """Return the words of a backup of the working folder: its files stand at the root of the snapshot."""
    options = [*(f"--exclude={pattern}" for pattern in exclude), *(["--one-file-system"] if one_file_system else [])]
    return [*backup(host=host, tags=tags), *options, "."]


def backup_stdin(filename: str, *, host: str, tags: Sequence[str]) -> list[str]:
    """Return the words of a backup of what comes through stdin, as `/filename`."""
    return [*backup(host=host, tags=tags), "--stdin", "--stdin-filename", filename]


def restore(snapshot_id: str, target: Path, only: Sequence[str]) -> list[str]:
    """Return the words that restore a snapshot, or `only` these files and folders of it, named from its root."""
    return ["restore", "--no-lock", snapshot_id, "--target", str(target), *(f"--include={exact(p)}" for p in only)]


def exact(path: str) -> str:
    """Return the pattern that fits this path of a snapshot and no other, although restic takes it for a pattern."""
    return "/" + re.sub(r"([\\*?\[])", r"\\\1", path.strip("/"))


def snapshots(tags: Sequence[str]) -> list[str]:
    """Return the words that list the snapshots which carry all of `tags`."""
    return ["snapshots", "--no-lock", *(["--tag", ",".join(checked(tags))] if tags else [])]


def check(*, read_data: bool, lock: bool) -> list[str]:
    """Return the words of a check of the structure, and of every byte with `read_data`."""
    return ["check", *(["--read-data"] if read_data else []), *([] if lock else ["--no-lock"])]


def find(kind: str, blobs: Sequence[str]) -> list[str]:
    """Return the words that find the snapshots with these blobs, of which `kind` is data or tree."""
    return ["find", "--no-lock", "--tree" if kind == "tree" else "--blob", *blobs]


def forget(snapshot_ids: Sequence[str]) -> list[str]:
    """Return the words that forget exactly these snapshots. Raises ValueError for what is no full id."""
    for each in snapshot_ids:
        if not SNAPSHOT_ID.fullmatch(each):
            raise ValueError(f"{each!r} is no full id of a snapshot")
    return ["forget", *snapshot_ids]


def prune(*, repack: bool) -> list[str]:
    """Return the words of a prune: with `repack` also packs of which only a part is in use are written anew."""
    return ["prune", "--max-unused", "5%" if repack else "unlimited"]


def checked(tags: Sequence[str]) -> Sequence[str]:
    """Return `tags`. Raises InvalidInput for one that restic would split, or take for an option."""
    for tag in tags:
        if not tag or "," in tag or tag != tag.strip() or tag.startswith("-"):
            raise InvalidInput(f"{tag!r} cannot be a tag", hint="a tag has no comma and no space or hyphen in front")
    return tags

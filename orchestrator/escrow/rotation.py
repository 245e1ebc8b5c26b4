"""A tenant's password replaced by a new one, without a byte of data being written again.

Restic keeps the key of the data under each password, so a password is added at every centre, then the file of the site
is replaced, then the bundles in the vaults get it, and only then the old one is removed. Two files beside the
password's own say how far it is, so a process that is killed anywhere is carried on by the next:

    PASSWORD.next        the new one; it may open some of the repositories; the password's own file opens all
    PASSWORD.previous    the old one; the password's own file is the new one and opens all; the old may go
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.backups.access import Access, repository_lease
from orchestrator.catalogue import leases
from orchestrator.errors import CheckFailed, CredentialRefused, InvalidInput
from orchestrator.secrets import Secret, make_password, read_secret, write_private
from orchestrator.vault.restic import Repository
from policies.site import Site, SystemRef
from policies.work import copy_centres

#: Called with what is being done, and at which repository.
OnStep = Callable[[str, str], None]
#: Writes a new bundle into every vault. Raises when one of them did not get it.
Bundling = Callable[[], None]


class Program(Access, Protocol):
    """What is needed of the object graph."""

    site_folder: Path | None

    @property
    def site(self) -> Site: ...


@dataclass(frozen=True, slots=True)
class Place:
    """One repository that a password opens."""

    ref: SystemRef
    centre: str

    def __str__(self) -> str:
        return f"{self.ref}@{self.centre}"


@dataclass(frozen=True, slots=True)
class Files:
    """The file of a password, and those that stand beside it while it is replaced."""

    current: Path

    @property
    def next(self) -> Path:
        return self.current.with_name(f"{self.current.name}.next")

    @property
    def previous(self) -> Path:
        return self.current.with_name(f"{self.current.name}.previous")

    def secret(self, path: Path) -> Secret:
        return read_secret(f"file:{path}")


def places_of(program: Program, tenant: str) -> list[Place]:
    """Return every repository there is that the tenant's password opens: also other tenants', where they share it.

    Raises Unreachable: a centre that does not answer may hold one.
    """
    reference = program.site.repository_password
    mine = reference.replace("{tenant}", tenant)
    places = [
        Place(ref, centre)
        for ref in program.site.systems()
        if reference.replace("{tenant}", ref.tenant.tenant) == mine
        for centre in copy_centres(ref)
    ]
    return [each for each in places if _exists(program, each)]


def _exists(program: Program, place: Place) -> bool:
    return program.bucket(place.centre, place.ref.tenant.tenant).head(f"{place.ref.name}/config") is not None


def password_files(program: Program, tenant: str) -> Files:
    """Return the files of a tenant's password. Raises InvalidInput where it does not stand in a file."""
    kind, _, where = program.site.repository_password.replace("{tenant}", tenant).partition(":")
    if kind != "file" or program.site_folder is None:
        raise InvalidInput(
            f"the password of {tenant} comes from {kind}:{where}, which this program cannot replace",
            hint="restic key add by hand (tricenter restic …), change it where it is kept, tricenter key check, then "
            "restic key remove the old one; or name a file: in repository_password",
        )
    return Files(program.site_folder / Path(where).expanduser())


def rotate(program: Program, tenant: str, places: Sequence[Place], bundling: Bundling, on_step: OnStep) -> bool:
    """Replace the password of a tenant. Returns whether this carried on one that was begun before.

    May be killed anywhere and repeated: at every moment the password's own file opens every repository. Raises
    Unreachable, Busy and the like with nothing lost; repeated, it goes on from there.
    """
    files = password_files(program, tenant)
    resumed = files.next.exists() or files.previous.exists()
    if files.next.exists() or not files.previous.exists():
        _add_everywhere(program, files, places, on_step)
        # Killed between these two, the next time does both again.
        write_private(files.previous, files.secret(files.current).reveal() + "\n")
        files.next.replace(files.current)
        _sync(files.current.parent)
    on_step("救援包 bundles", "")
    bundling()
    _remove_everywhere(program, files, places, on_step)
    files.previous.unlink()
    return resumed


def _add_everywhere(program: Program, files: Files, places: Sequence[Place], on_step: OnStep) -> None:
    begun = files.next.exists()
    if not begun:
        write_private(files.next, make_password().reveal() + "\n")
    for place in places:
        on_step("加入新口令 add", str(place))
        old = _with(program, place, files.secret(files.current))
        new = old.with_password(files.secret(files.next))
        if begun and new.opens():
            continue
        old.add_key(files.next)
        if not new.opens():
            raise CheckFailed(
                f"{place}: a new password was added and does not open it", hint="tricenter key list shows its keys"
            )


def _remove_everywhere(program: Program, files: Files, places: Sequence[Place], on_step: OnStep) -> None:
    for place in places:
        on_step("移除旧口令 remove", str(place))
        # Only this credential may hide what is in a vault.
        new = program.expirer(place.centre, place.ref).with_password(files.secret(files.current))
        while (key := _key_of(new.with_password(files.secret(files.previous)))) is not None:
            holder = f"key-{os.getpid()}-{secrets.token_hex(4)}"
            with leases.hold(program.catalogue, repository_lease(place.centre, place.ref), holder, exclusive=True):
                new.clear_dead_locks()
                new.remove_key(key)  # which this password must open for that


def _key_of(repository: Repository) -> str | None:
    """Return the key that a password opens, None when it opens none."""
    try:
        return next(each.id for each in repository.list_keys() if each.current)
    except CredentialRefused:
        return None


def _with(program: Program, place: Place, password: Secret) -> Repository:
    return program.repository(place.centre, place.ref).with_password(password)


def _sync(folder: Path) -> None:
    """Have the new names on the disk before an old password goes."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check(program: Program, place: Place) -> tuple[int, ...] | None:
    """Open a repository with the password of the site, and return what its keys cost (N); None where there is none.

    Raises CheckFailed when it does not open, and Unreachable.
    """
    if not _exists(program, place):
        return None
    repository = program.repository(place.centre, place.ref)
    if not repository.opens():
        raise CheckFailed(
            f"{place} does not open with the password of the site",
            hint="compare `config` with another centre's; a bundle of the escrow has the password as it was then",
        )
    return tuple(sorted(repository.key_costs().values(), reverse=True))

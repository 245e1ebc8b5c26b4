"""A restore into a new database or a new volume: made beside its name, proved, and only then given the name.

What makes it is what puts a source back in a failover: the places. The name of the run follows from what was asked
for, so the same command given again after a crash goes on with what it has made. What has the name already stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.backups import databases as db
from orchestrator.backups.access import Access
from orchestrator.backups.document import SourceProof
from orchestrator.backups.places.postgresql import DatabasePlace
from orchestrator.backups.proof import Proof, prove_image, prove_tables
from orchestrator.backups.restore_folder import OnBytes, Restored
from orchestrator.backups.sources.postgresql import Server, connect
from orchestrator.errors import CheckFailed, InvalidInput, Refused
from orchestrator.scratch.folder import make_scratch, remove_scratch
from orchestrator.vault.restic import OnProgress, Progress, Repository
from policies.values import SECRET_PATTERN

WHERE = re.compile(r"(?:\[(?P<ip6>[0-9a-fA-F:]+)\]|(?P<host>[^:/\[\]]+)):(?P<port>\d{1,5})/(?P<name>[^/]+)")
NAMED = 5

IS_EMPTY = """
    SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
"""


def database_place(where: str, user: str | None, password: str | None) -> DatabasePlace:
    """Return the place that HOST:PORT/NAME means. Raises InvalidInput; a password is named, never written."""
    found = WHERE.fullmatch(where)
    if not found:
        raise InvalidInput(
            f"--into-database {where!r}: want HOST:PORT/NAME", hint="such as 10.1.0.5:5432/land_restored"
        )
    if not user or not password:
        raise InvalidInput("--into-database needs --user and --password-from", hint="--password-from env:PGPASSWORD")
    if not re.fullmatch(SECRET_PATTERN, password):
        raise InvalidInput("--password-from wants env:NAME or file:PATH", hint="the password itself is never written")
    if len(found["name"].encode()) > db.NAME_BYTES:
        raise InvalidInput(f"{found['name']!r} is longer than {db.NAME_BYTES} bytes", hint="give a shorter name")
    return DatabasePlace(found["ip6"] or found["host"], int(found["port"]), found["name"], user, password)


def check_database(access: Access, place: DatabasePlace, run: str) -> None:
    """Raise Refused unless there is no database of that name, or an empty one, or what this run has made."""
    server = place.server(access)
    with db.administering(server) as admin:
        db.check_rights(admin, server, place.database)
        known = db.databases(admin)
    found = known.get(place.database)
    if found is None or db.marked(known, "placed", place.database, run):
        return
    if found.mark:
        raise Refused(f"{place}: a run of ours works on it: {found.mark.run}", hint="give another name")
    with connect(server) as connection:
        row = connection.execute(IS_EMPTY).fetchone()
    if row and row[0]:
        raise Refused(
            f"{place}: there is a database of that name, and it is not empty; nothing was restored",
            hint="give a name that there is none of: a restore never overwrites a database",
        )


def restore_database(
    access: Access, place: DatabasePlace, run: str, repository: Repository, proof: SourceProof, on_bytes: OnBytes
) -> Restored:
    """Restore a dump as a database of its own, prove every table, and give it the name. May be repeated."""
    check_database(access, place, run)
    place.put(access, run, repository, proof, Path(), on_progress=_reporter(proof, on_bytes))
    server = place.data(access, run, Path())
    assert isinstance(server, Server)
    proved = _hold(proof, prove_tables(proof, server), lambda: place.drop(access, run))
    place.swap(access, run)
    place.commit(access, run)
    copy = proof.copy
    return Restored(copy.source, copy.kind, str(place), copy.bytes, True, proved.detail)


@dataclass(frozen=True, slots=True)
class NewVolume:
    """A volume that is to be made in the project of a tenant."""

    centre: str
    tenant: str
    name: str

    def __str__(self) -> str:
        return f"volume {self.name} of {self.tenant} at {self.centre}"


def check_volume(access: Access, new: NewVolume, run: str) -> bool:
    """Return whether this run has made the volume and not yet finished. Raises Refused when another has the name."""
    from orchestrator.cloud import block_storage, volume_swap

    cloud = access.tenant_cloud(new.centre, new.tenant)
    found = block_storage.volumes(cloud, new.name)
    if any(each.metadata.get(volume_swap.RUN) != run for each in found):
        raise Refused(
            f"{new.tenant} has a volume {new.name} at {new.centre}; nothing was restored",
            hint="give a name that there is none of: a restore never overwrites a volume",
        )
    return bool(found)


def restore_volume(
    access: Access,
    new: NewVolume,
    run: str,
    repository: Repository,
    proof: SourceProof,
    on_bytes: OnBytes,
    *,
    root: Path,
) -> Restored:
    """Restore an image, prove it, and make a bootable volume of it. May be repeated. `root` has room for the image."""
    from orchestrator.backups.places.volume import VolumePlace
    from orchestrator.cloud import block_storage

    copy = proof.copy
    place = VolumePlace(new.centre, new.tenant, new.name)
    scratch = make_scratch(root, run, copy.bytes)
    try:
        detail = "as it was proved before the interruption"
        if not check_volume(access, new, run):
            place.put(access, run, repository, proof, scratch, on_progress=_reporter(proof, on_bytes))
            image = place.data(access, run, scratch)
            detail = _hold(proof, prove_image(proof, image), lambda: place.drop(access, run)).detail
            place.swap(access, run)
        place.commit(access, run)
    finally:
        remove_scratch(str(scratch))
    (made,) = block_storage.volumes(access.tenant_cloud(new.centre, new.tenant), new.name)
    if made.size_bytes < copy.bytes:
        raise CheckFailed(f"{new} has {made.size_bytes} bytes, and {copy.bytes} were backed up", hint="delete it")
    return Restored(copy.source, copy.kind, str(new), copy.bytes, True, f"{detail}; volume {made.id}")


def _hold(proof: SourceProof, proved: Proof, drop: Callable[[], None]) -> Proof:
    """Return the proof, or drop what does not hold it and raise CheckFailed."""
    if proved.proved:
        return proved
    drop()
    said = "; ".join(proved.faults[:NAMED])
    raise CheckFailed(f"{proof.copy.source}: the restored data differs from what was backed up: {said}")


def _reporter(proof: SourceProof, on_bytes: OnBytes) -> OnProgress:
    def report(progress: Progress) -> None:
        on_bytes(proof.copy.source, progress.done_bytes, progress.total_bytes)

    return report

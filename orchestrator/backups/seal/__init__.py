"""Seals: the sources of the centre that gives up being active are closed to writers, before the last copy is made.

`seal` and `unseal` may be repeated after any crash: what was changed, and how it was, stands where it was changed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from orchestrator.backups.access import Access
from orchestrator.backups.databases import name_of
from orchestrator.backups.document import SourceProof
from orchestrator.backups.places import place_from, place_of
from orchestrator.backups.places.bucket import BucketPlace, store_at
from orchestrator.backups.places.cloud import CloudPlace
from orchestrator.backups.places.path import PathPlace
from orchestrator.backups.places.postgresql import DatabasePlace
from orchestrator.backups.proof import Proof
from orchestrator.backups.seal.bucket import prove_bucket_sealed, seal_bucket
from orchestrator.backups.seal.common import Sealed
from orchestrator.backups.seal.path import prove_folder_sealed, seal_folder
from orchestrator.backups.seal.postgresql import prove_database_sealed, seal_database, unseal_database
from policies.site import SystemRef
from policies.tenant import PathSource, PostgresqlSource

__all__ = ["Sealed", "prove_sealed", "seal", "sealed_ref", "unseal"]


def seal(access: Access, ref: SystemRef, centre: str, source: str, run: str) -> Sealed:
    """Close a source at a centre to every writer. Register `unseal` as the undo of it before.

    A database is renamed, a folder or a bucket is proved to be quiet, of a volume the servers are stopped, and the
    definition of a cloud is noted. Raises Refused (rights), CheckFailed (it is still written to), Unreachable.
    """
    place = place_of(ref, centre, source)
    if isinstance(place, DatabasePlace):
        return seal_database(access, place, source, run)
    if isinstance(place, PathPlace):
        tree = _tree(ref, centre, source)
        return seal_folder(Path(place.path), source, tree.exclude, one_file_system=tree.one_file_system)
    if isinstance(place, BucketPlace):
        return seal_bucket(store_at(access, place), place.prefix, source, str(place))
    if isinstance(place, CloudPlace):
        from orchestrator.backups.seal.cloud import seal_definition

        return seal_definition(access, place, source)
    from orchestrator.backups.places.volume import VolumePlace
    from orchestrator.cloud.server_seal import stop_servers_of

    assert isinstance(place, VolumePlace)
    stopped = stop_servers_of(access.tenant_cloud(place.centre, place.tenant), place.volume, run)
    detail = f"servers stopped: {', '.join(stopped)}" if stopped else "no server that has it was running"
    return Sealed(source, "volume", str(place), place.volume, datetime.now(UTC), detail, {"stopped": list(stopped)})


def unseal(access: Access, place: str, run: str) -> None:
    """Let a source be what it was before the run sealed it. `place` is its `as_argument`. May be repeated."""
    found = place_from(place)
    if isinstance(found, DatabasePlace):
        unseal_database(access, found, run)
    elif not isinstance(found, PathPlace | BucketPlace | CloudPlace):  # those were only looked at
        from orchestrator.backups.places.volume import VolumePlace
        from orchestrator.cloud.server_seal import start_servers_of

        assert isinstance(found, VolumePlace)
        start_servers_of(access.tenant_cloud(found.centre, found.tenant), found.volume, run)


def prove_sealed(
    access: Access, ref: SystemRef, centre: str, sealed: Sealed, proof: SourceProof | None = None
) -> Proof:
    """Look whether a sealed source is still closed, and unchanged since.

    With the `proof` of the copy that was made after the seal, its content is compared with that: what is not in the
    copy would be lost. It is read whole for that.
    """
    place = place_of(ref, centre, sealed.source)
    if isinstance(place, DatabasePlace):
        return prove_database_sealed(access, place, sealed, proof)
    if isinstance(place, PathPlace):
        tree, folder = _tree(ref, centre, sealed.source), Path(place.path)
        return prove_folder_sealed(folder, sealed, tree.exclude, proof, one_file_system=tree.one_file_system)
    if isinstance(place, BucketPlace):
        return prove_bucket_sealed(store_at(access, place), place.prefix, sealed, proof)
    if isinstance(place, CloudPlace):
        from orchestrator.backups.seal.cloud import prove_definition_sealed

        return prove_definition_sealed(access, place, sealed, proof)
    from orchestrator.backups.places.volume import VolumePlace
    from orchestrator.cloud.server_seal import running_of

    assert isinstance(place, VolumePlace)
    running = running_of(access.tenant_cloud(place.centre, place.tenant), place.volume)
    faults = tuple(f"server {each} is not off" for each in running)
    return Proof(not faults, "every server that has it is off" if not faults else f"{len(faults)} servers run", faults)


def sealed_ref(ref: SystemRef, centre: str, run: str) -> SystemRef:
    """Return a system whose databases at a centre are called as they are while `run` has them sealed. Pure.

    The backup that makes the last copy is given this one.
    """
    places = {
        name: source.model_copy(update={"database": name_of(source.database, "sealed", run)})
        if isinstance(source, PostgresqlSource)
        else source
        for name, source in ref.system.sources_at(centre).items()
    }
    standby: dict[str, object] = {**{str(name): each for name, each in ref.system.standby.items()}, centre: places}
    change: dict[str, object] = {"sources": places} if centre == "production" else {"standby": standby}
    return ref._replace(system=ref.system.model_copy(update=change))


def _tree(ref: SystemRef, centre: str, source: str) -> PathSource:
    found = ref.system.sources_at(centre)[source]
    assert isinstance(found, PathSource)
    return found

"""The way of a volume out of a cloud and back, inside the tenant's project and with no more than the role member.

Out: snapshot (crash-consistent, also of an attached volume) → volume from it → raw image → bytes.
Back: bytes → raw image → volume.

Everything temporary is made under one name, which the caller makes unique to its run: the same name gives the same
object, so that a step may be repeated, and `delete_all_named` takes away whatever is left, by whichever process, after
whichever crash. Each function waits for the state that makes its
result usable, and raises CheckFailed for a state of failure and Unreachable when the deadline passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, Any

from orchestrator.cloud import block_storage, image
from orchestrator.cloud.block_storage import GIB, Volume
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import create_once, explained, repeat
from orchestrator.errors import CheckFailed, InvalidInput, UnknownName

#: Enough for a large volume on a slow store; a caller that knows better says so.
DEADLINE_SECONDS = 4 * 3600.0
SNAPSHOT_SECONDS = 600.0
DELETE_SECONDS = 600.0

AVAILABLE = frozenset({"available"})
ACTIVE = frozenset({"active"})


def find_volume(connection: Connection, name: str) -> Volume:
    """Return the volume of this name in the project.

    Raises UnknownName when there is none, and InvalidInput when there are several.
    """
    found = block_storage.volumes(connection, name)
    if not found:
        raise UnknownName("volume", name, (each.name for each in block_storage.volumes(connection)))
    if len(found) > 1:
        ids = ", ".join(each.id for each in found)
        raise InvalidInput(f"there are {len(found)} volumes named {name!r}: {ids}", hint="rename all but one")
    return found[0]


def snapshot_volume(
    connection: Connection, volume_id: str, name: str, *, deadline_seconds: float = SNAPSHOT_SECONDS
) -> str:
    """Take a snapshot, also of a volume in use, and return its id."""
    storage = connection.block_storage

    def find() -> Any | None:
        return next((each for each in storage.snapshots(name=name) if each.volume_id == volume_id), None)

    snapshot_id = _made(
        connection,
        f"snapshot volume {volume_id}",
        lambda: storage.create_snapshot(volume_id=volume_id, name=name, is_forced=True),
        find,
    )
    _await_snapshot(connection, snapshot_id, name, deadline_seconds)
    return snapshot_id


def volume_from_snapshot(
    connection: Connection, snapshot_id: str, name: str, *, deadline_seconds: float = DEADLINE_SECONDS
) -> str:
    """Make a volume from a snapshot and return its id."""
    return _volume(connection, name, deadline_seconds, snapshot_id=snapshot_id)


def volume_from_image(
    connection: Connection, image_id: str, name: str, *, size_bytes: int, deadline_seconds: float = DEADLINE_SECONDS
) -> str:
    """Make a volume from an image and return its id. The size is rounded up to whole GiB."""
    return _volume(connection, name, deadline_seconds, image_id=image_id, size=-(-size_bytes // GIB))


def upload_to_image(
    connection: Connection, volume_id: str, name: str, *, deadline_seconds: float = DEADLINE_SECONDS
) -> str:
    """Copy a volume into a raw image and return the image's id."""

    def find() -> Any | None:
        return next(iter(image.images(connection, name)), None)

    def create() -> Any:
        made = connection.block_storage.upload_volume_to_image(
            volume_id, name, disk_format="raw", container_format="bare"
        )
        return connection.image.get_image(made["image_id"])

    image_id = _made(connection, f"copy volume {volume_id} into an image", create, find)
    _await_image(connection, image_id, name, deadline_seconds)
    return image_id


def image_from_stream(
    connection: Connection, name: str, content: IO[bytes], *, deadline_seconds: float = SNAPSHOT_SECONDS
) -> str:
    """Make a raw image from bytes and return its id. A second call makes a second one: a stream flows once."""
    image_id = image.upload(connection, name, content)
    _await_image(connection, image_id, name, deadline_seconds)
    return image_id


def download_image(connection: Connection, image_id: str) -> Iterator[bytes]:
    """Yield the bytes of an image in pieces of 4 MiB; see `image.download` for what is checked and raised."""
    found = image.get_image(connection, image_id)
    if found is None:
        raise CheckFailed(f"image {image_id} is gone", hint="start the run again")
    return image.download(connection, found)


def delete_snapshot(connection: Connection, name_or_id: str) -> None:
    """Delete the snapshots of this name or id. Gone is fine."""
    for each in _ids(name_or_id, block_storage.snapshots(connection)):
        block_storage.delete_snapshot(connection, each, deadline_seconds=DELETE_SECONDS)


def delete_volume(connection: Connection, name_or_id: str) -> None:
    """Delete the volumes of this name or id. Gone is fine."""
    for each in _ids(name_or_id, block_storage.volumes(connection)):
        block_storage.delete_volume(connection, each, deadline_seconds=DELETE_SECONDS)


def delete_image(connection: Connection, name_or_id: str) -> None:
    """Delete the images of this name or id. Gone is fine."""
    found = [each.id for each in image.images(connection, name_or_id)]
    for each in found or [name_or_id]:
        image.delete_image(connection, each)


def delete_all_named(connection: Connection, name: str) -> None:
    """Delete every image, volume and snapshot of this name, what stands on others first. May be repeated."""
    for each in image.images(connection, name):
        image.delete_image(connection, each.id)
    delete_volume(connection, name)
    delete_snapshot(connection, name)


def _volume(connection: Connection, name: str, deadline_seconds: float, **content: Any) -> str:
    storage = connection.block_storage
    volume_id = _made(
        connection,
        f"create volume {name}",
        lambda: storage.create_volume(name=name, **content),
        lambda: next(iter(storage.volumes(name=name)), None),
    )

    def status() -> str | None:
        found = block_storage.get_volume(connection, volume_id)
        return found.status if found else None

    block_storage.wait_for_status(status, AVAILABLE, f"volume {name}", deadline_seconds)
    return volume_id


def _made(connection: Connection, what: str, create: Callable[[], Any], find: Callable[[], Any | None]) -> str:
    """Create, unless it is there: a step that was begun before a crash goes on with what it has made."""
    with explained(cloud_name(connection), what):
        found = repeat(find)
        return str((found if found is not None else create_once(create, find)).id)


def _await_snapshot(connection: Connection, snapshot_id: str, name: str, deadline_seconds: float) -> None:
    def status() -> str | None:
        found = block_storage.get_snapshot(connection, snapshot_id)
        return found.status if found else None

    block_storage.wait_for_status(status, AVAILABLE, f"snapshot {name}", deadline_seconds)


def _await_image(connection: Connection, image_id: str, name: str, deadline_seconds: float) -> None:
    def status() -> str | None:
        found = image.get_image(connection, image_id)
        return found.status if found else None

    block_storage.wait_for_status(status, ACTIVE, f"image {name}", deadline_seconds)


def _ids(name_or_id: str, found: list[Any]) -> list[str]:
    return [each.id for each in found if name_or_id in (each.id, each.name)]

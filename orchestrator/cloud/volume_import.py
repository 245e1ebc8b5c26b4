"""A disk image in a file becomes a volume that a server boots from: file → image → volume, and the image goes again.

Only the APIs of Glance and Cinder are used, with a tenant's role member. What a killed attempt left is found by its
name and the drill's mark: a whole volume is taken, a whole image is used, half of one is deleted and made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.cloud import block_storage, image, volumes
from orchestrator.cloud.block_storage import GIB, Volume
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import create_once, explained
from orchestrator.cloud.image import Image
from orchestrator.cloud.marks import TAG, drill_metadata, marked_for
from orchestrator.cloud.qcow2 import Qcow2
from orchestrator.errors import CheckFailed, InvalidInput
from orchestrator.process import current_leash

#: Told how many bytes of how many have gone to the cloud.
OnBytes = Callable[[int, int], None]

WORKING = frozenset({"creating", "downloading"})


def import_volume(
    connection: Connection,
    drill: str,
    name: str,
    path: Path,
    *,
    size_bytes: int | None = None,
    on_bytes: OnBytes | None = None,
    deadline_seconds: float = volumes.DEADLINE_SECONDS,
) -> str:
    """Return the id of the drill's volume `name` with the content of a raw image file, bootable if the file is.

    The size is that of the file, or `size_bytes` when that is more, in whole GiB. May be repeated: it continues.
    Raises InvalidInput when there is no file, CheckFailed for a volume of another size or a state of failure,
    Unreachable when the cloud does not answer or the deadline passes.
    """
    if not path.is_file():
        raise InvalidInput(f"there is no disk image at {path}", hint="restore the source first")
    size = max(path.stat().st_size, size_bytes or 0)
    volume = _usable(connection, drill, name, deadline_seconds)
    if volume is None:
        content = Qcow2(path)
        picture = _whole_image(connection, drill, name, content) or _upload(connection, drill, name, content, on_bytes)
        volume = _volume(connection, drill, name, picture, size, deadline_seconds)
    _delete_images(connection, drill, name)
    want = -(-size // GIB) * GIB
    if volume.size_bytes != want:
        raise CheckFailed(
            f"volume {name} has {volume.size_bytes} bytes, and {want} are wanted", hint="delete it, and try again"
        )
    return volume.id


def drill_volume(connection: Connection, drill: str, name: str) -> Volume | None:
    """Return the drill's volume of this name, None when there is none."""
    marks = drill_metadata(drill).items()
    found = block_storage.volumes(connection, name)
    return next((each for each in found if marks <= each.metadata.items()), None)


def _usable(connection: Connection, drill: str, name: str, deadline_seconds: float) -> Volume | None:
    """Return the volume that an earlier attempt made, when it is whole; what is broken is deleted."""
    found = drill_volume(connection, drill, name)
    if found and found.status in WORKING:  # Cinder goes on although who asked for it was killed
        with suppress(CheckFailed):
            _await(connection, found.id, name, deadline_seconds)
        found = block_storage.get_volume(connection, found.id)
    if found and found.status not in ("available", "in-use"):
        block_storage.delete_volume(connection, found.id, deadline_seconds=volumes.DELETE_SECONDS)
        return None
    return found


def _whole_image(connection: Connection, drill: str, name: str, content: Qcow2) -> str | None:
    """Return the image that an earlier attempt has uploaded, when its content is the wanted one; delete others."""
    for each in _images(connection, drill, name):
        if each.status == "active" and each.size_bytes == len(content) and each.hash_value == _hash(each, content):
            return each.id
    _delete_images(connection, drill, name)
    return None


def _hash(picture: Image, content: Qcow2) -> str | None:
    if picture.hash_name is None:
        return None
    digest = hashlib.new(picture.hash_name)
    for piece in content:
        digest.update(piece)
    return digest.hexdigest()


def _images(connection: Connection, drill: str, name: str) -> list[Image]:
    return [each for each in image.tagged(connection, f"drill={drill}") if each.name == name]


def _delete_images(connection: Connection, drill: str, name: str) -> None:
    for each in _images(connection, drill, name):
        image.delete_image(connection, each.id)


def _upload(connection: Connection, drill: str, name: str, content: Qcow2, on_bytes: OnBytes | None) -> str:
    stream = _Told(content, on_bytes)
    made = image.upload(connection, name, stream, disk_format="qcow2", tags=(TAG, f"drill={drill}"))
    found = image.get_image(connection, made)
    if found is None or found.status != "active" or found.size_bytes != len(content):
        got = f"{found.status}, {found.size_bytes} bytes" if found else "gone"
        raise CheckFailed(f"image {name} is {got} after its upload", hint="look at the image service, and try again")
    return made


class _Told:
    """A stream that tells how far it is, and ends when the work of its thread is stopped."""

    def __init__(self, content: Qcow2, on_bytes: OnBytes | None) -> None:
        self._content, self._on_bytes, self._leash = content, on_bytes, current_leash()

    def __len__(self) -> int:  # and so the request says how long it is, and is not sent in chunks, which is slower
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        for piece in self._content:
            if self._leash:
                self._leash.check()
            yield piece
            sent += len(piece)
            if self._on_bytes:
                self._on_bytes(sent, len(self))


def _volume(connection: Connection, drill: str, name: str, image_id: str, size: int, deadline_seconds: float) -> Volume:
    def create() -> Any:
        return connection.block_storage.create_volume(
            name=name,
            image_id=image_id,
            size=-(-size // GIB),
            description=marked_for(drill),
            metadata=drill_metadata(drill),
        )

    with explained(cloud_name(connection), f"create volume {name}"):
        made = create_once(create, lambda: drill_volume(connection, drill, name))
    _await(connection, made.id, name, deadline_seconds)
    found = block_storage.get_volume(connection, made.id)
    assert found is not None
    return found


def _await(connection: Connection, volume_id: str, name: str, deadline_seconds: float) -> None:
    def status() -> str | None:
        found = block_storage.get_volume(connection, volume_id)
        return found.status if found else None

    block_storage.wait_for_status(status, volumes.AVAILABLE, f"volume {name}", deadline_seconds)

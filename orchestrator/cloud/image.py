"""Glance: images as a way for the bytes of a volume to leave and enter a cloud, streamed and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from openstack import exceptions as sdk_errors
from requests import exceptions as http_errors

from orchestrator.cloud.calls import listed, sent
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import explained, repeat
from orchestrator.errors import CorruptObject, Unreachable

CHUNK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Image:
    """`hash_name` and `hash_value` are what Glance computed of the content, None before there is any."""

    id: str
    name: str
    status: str
    size_bytes: int | None
    hash_name: str | None
    hash_value: str | None


def images(connection: Connection, name: str) -> list[Image]:
    """Return the images of a name that the project owns."""
    owner = connection.session.get_project_id()
    found = listed(connection, "list images", lambda: connection.image.images(name=name, owner=owner))
    return [_image(each) for each in found]


def tagged(connection: Connection, tag: str) -> list[Image]:
    """Return the images with a tag that the project owns."""
    owner = connection.session.get_project_id()
    found = listed(connection, "list images", lambda: connection.image.images(tag=tag, owner=owner))
    return [_image(each) for each in found]


def get_image(connection: Connection, image_id: str) -> Image | None:
    """Return an image, None when there is none."""

    def ask() -> Any | None:
        try:
            return connection.image.get_image(image_id)
        except sdk_errors.NotFoundException:
            return None

    with explained(cloud_name(connection), f"look at image {image_id}"):
        found = repeat(ask)
    return _image(found) if found else None


def delete_image(connection: Connection, image_id: str) -> None:
    """Delete an image. One that is gone is fine."""
    sent(connection, "image", "DELETE", f"/images/{image_id}", f"delete image {image_id}")


def download(connection: Connection, image: Image, *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Yield the content of an image, and check it against the hash that Glance keeps.

    Raises CorruptObject after the last chunk when it is not what the hash says, and Unreachable when the stream
    breaks or stops for longer than the read deadline. A broken stream is begun anew by the caller.
    """
    digest = hashlib.new(image.hash_name) if image.hash_name else None
    received = 0
    with explained(cloud_name(connection), f"download image {image.name}"):
        response = repeat(lambda: _opened(connection, image))
    try:
        for chunk in response.iter_content(chunk_bytes):
            received += len(chunk)
            if digest:
                digest.update(chunk)
            yield chunk
    except http_errors.RequestException as error:
        raise Unreachable(
            f"cloud {cloud_name(connection)!r}: the download of image {image.name} broke off after {received} bytes",
            hint="is the centre up? start the run again",
        ) from error
    finally:
        response.close()
    if (digest and digest.hexdigest() != image.hash_value) or image.size_bytes not in (None, received):
        raise CorruptObject(
            f"image {image.name}: the {received} bytes received are not what the image service has a hash of",
            hint="start the run again; if it stays, look at the image store of this cloud",
        )


def upload(
    connection: Connection,
    name: str,
    content: IO[bytes] | Iterable[bytes],
    *,
    disk_format: str = "raw",
    tags: tuple[str, ...] = (),
) -> str:
    """Create an image from a stream and return its id. A second call makes a second image."""
    record_of = {"name": name, "disk_format": disk_format, "container_format": "bare", "tags": list(tags)}
    with explained(cloud_name(connection), f"upload image {name}"):
        record = repeat(lambda: connection.image.post("/images", json=record_of))
        sdk_errors.raise_from_response(record)
        image_id: str = record.json()["id"]
        sdk_errors.raise_from_response(
            connection.image.put(
                f"/images/{image_id}/file", data=content, headers={"Content-Type": "application/octet-stream"}
            )
        )
    return image_id


def _opened(connection: Connection, image: Image) -> Any:
    response = connection.image.get(f"/images/{image.id}/file", stream=True)
    sdk_errors.raise_from_response(response)
    return response


def _image(found: Any) -> Image:
    return Image(found.id, found.name, found.status, found.size, found.hash_algo, found.hash_value)

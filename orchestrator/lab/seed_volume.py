"""The content of a `volume` source: a Cinder volume in the tenant's project at production, made from an image."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from orchestrator.cloud.connection import connect
from orchestrator.errors import InvalidInput, TricenterError
from orchestrator.lab import seed_text as text
from orchestrator.lab.guest_image.publish import publish
from orchestrator.lab.layout import CloudCentre, Lab

CLOUD: CloudCentre = "production"
CONTENT_BYTES = 8 << 20
SIZE_GIB = 1
READY_SECONDS = 180


def fill(lab: Lab, tenant: str, volume: str, key: str) -> bool:
    """Make the volume unless the tenant has it. Return whether it was made.

    Raises InvalidInput when the tenant has no project yet.
    """
    with tenant_account(lab, tenant) as inside:
        if _there(inside, volume):
            return False
        _create(inside, volume, key)
    return True


def fill_bootable(lab: Lab, tenant: str, volume: str) -> bool:
    """Make a volume that a server boots from, with the guest image on it. Else as `fill`."""
    with tenant_account(lab, tenant) as inside:
        if _there(inside, volume):
            return False
        _await(inside, volume, publish(lab, CLOUD))
    return True


def _there(inside: Any, volume: str) -> bool:
    present = [each for each in inside.block_storage.volumes(name=volume) if each.name == volume]
    if any(each.status in ("available", "in-use") for each in present):
        return True
    for broken in present:  # what an interrupted or failed run left
        inside.block_storage.delete_volume(broken, force=True)
    return False


def _project(admin: Any, tenant: str, cloud: CloudCentre) -> Any:
    domain = admin.identity.find_domain(tenant)
    project = admin.identity.find_project(tenant, domain_id=domain.id) if domain else None
    if project is None:
        raise InvalidInput(
            f"the tenant {tenant} has no project on the cloud {cloud} yet", hint="run tricenter tenant apply first"
        )
    return project


@contextmanager
def tenant_account(lab: Lab, tenant: str, cloud: CloudCentre = CLOUD) -> Iterator[Any]:
    """Yield a connection into the tenant's project. Raises InvalidInput when the tenant has no project yet."""
    admin = connect(cloud, config_file=lab.clouds_file)
    with _account(admin, lab, tenant, _project(admin, tenant, cloud).id, cloud) as inside:
        yield inside


@contextmanager
def _account(admin: Any, lab: Lab, tenant: str, project: str, cloud: CloudCentre) -> Iterator[Any]:
    """Yield a connection into the tenant's project, by an account that exists for this block only.

    It has a name of its own in the default domain, so that one left by a killed run is found and removed.
    """
    identity, name, password = admin.identity, f"lab-seed-{tenant}", secrets.token_urlsafe(24)

    def remove() -> None:
        for user in identity.users(name=name, domain_id="default"):
            identity.delete_user(user)

    remove()
    user = identity.create_user(name=name, password=password, domain_id="default")
    try:
        identity.assign_project_role_to_user(project, user, identity.find_role("member"))
        login = {"username": name, "password": password, "project_id": project, "project_name": None}
        yield connect(cloud, config_file=lab.clouds_file, auth=login)
    finally:
        remove()


def _create(inside: Any, volume: str, key: str) -> None:
    for left in inside.image.images(name=f"seed-{volume}"):
        inside.image.delete_image(left)
    image = inside.create_image(
        f"seed-{volume}", data=content(key), disk_format="raw", container_format="bare", wait=True
    )
    try:
        _await(inside, volume, image.id)
    finally:
        inside.image.delete_image(image)


def _await(inside: Any, volume: str, image: str) -> None:
    try:
        made = inside.block_storage.create_volume(name=volume, size=SIZE_GIB, image_id=image)
        inside.block_storage.wait_for_status(made, "available", failures=["error"], interval=1, wait=READY_SECONDS)
    except Exception as error:
        raise TricenterError(f"the volume {volume} was not made: {error}", hint="tricenter lab status") from error


def content(key: str) -> bytes:
    """Return the first bytes of the volume: documents and noise, the same for the same `key`."""
    rng = text.generator(f"{key}/volume")
    half = CONTENT_BYTES // 2
    return text.prose(rng, half).encode()[:half] + rng.randbytes(CONTENT_BYTES - half)

"""Puts the guest image into the image service of a cloud, for everybody there."""

from __future__ import annotations

from orchestrator.cloud.connection import connect
from orchestrator.lab.guest_image import build
from orchestrator.lab.layout import CloudCentre, Lab

#: What the image is called in a cloud. Older editions of it are deleted when a new one comes.
IMAGE_NAME = "guest"
DIGEST = "tricenter_digest"


def publish(lab: Lab, cloud: CloudCentre) -> str:
    """Return the id of the guest image in a cloud, uploaded if this edition of it is not there. May be repeated."""
    service = connect(cloud, config_file=lab.clouds_file).image
    digest = build.fingerprint(lab)
    there = list(service.images(name=IMAGE_NAME))
    for each in there:
        if each.status == "active" and each.properties.get(DIGEST) == digest:
            return str(each.id)
    with build.image(lab).open("rb") as content:
        made = service.create_image(
            name=IMAGE_NAME,
            data=content,
            disk_format="qcow2",
            container_format="bare",
            visibility="public",
            wait=True,
            **{DIGEST: digest},
        )
    for each in there:  # volumes were made of it, which goes on without it
        service.delete_image(each)
    return str(made.id)

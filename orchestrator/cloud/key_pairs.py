"""Nova: the public keys of people, for the servers that they make. Secret halves are never here."""

from __future__ import annotations

from dataclasses import dataclass

from openstack import exceptions as sdk_errors

from orchestrator.cloud.calls import sent, told
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import create_once, explained

#: The first with which an administrator does it for somebody else.
FOR_OTHERS = "2.10"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A public key of a user: its type and value, without the comment."""

    user_id: str
    name: str
    public_key: str


def bare(public_key: str) -> str:
    """Return a public key without its comment, which says nothing of who may log in. Pure."""
    return " ".join(public_key.split()[:2])


def key_pairs(connection: Connection, user_id: str) -> list[KeyPair]:
    """Return the public keys of a user."""
    path = f"/os-keypairs?user_id={user_id}"
    found = told(connection, "compute", path, "list key pairs", microversion=FOR_OTHERS)["keypairs"]
    return [KeyPair(user_id, each["keypair"]["name"], bare(each["keypair"]["public_key"])) for each in found]


def add_key_pair(connection: Connection, user_id: str, name: str, public_key: str) -> None:
    """Give a user a public key. May be repeated."""
    body = {"keypair": {"name": name, "public_key": public_key, "user_id": user_id}}

    def create() -> KeyPair:
        response = connection.compute.post("/os-keypairs", json=body, microversion=FOR_OTHERS)
        sdk_errors.raise_from_response(response)
        return KeyPair(user_id, name, bare(public_key))

    def find() -> KeyPair | None:
        wanted = KeyPair(user_id, name, bare(public_key))
        return wanted if wanted in key_pairs(connection, user_id) else None

    with explained(cloud_name(connection), f"give a user the key pair {name}"):
        create_once(create, find)


def remove_key_pair(connection: Connection, user_id: str, name: str) -> None:
    """Take a public key of a user away; servers that have it keep it. One that is gone is fine."""
    path = f"/os-keypairs/{name}?user_id={user_id}"
    sent(connection, "compute", "DELETE", path, f"take the key pair {name} away", microversion=FOR_OTHERS)

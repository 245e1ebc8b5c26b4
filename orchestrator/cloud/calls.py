"""The shapes of a call: list, create, read a document, a plain request. Each is repeated by the type of its error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from openstack import exceptions as sdk_errors

from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import create_once, explained, read, repeat
from orchestrator.cloud.marks import is_ours


def listed(connection: Connection, what: str, listing: Callable[[], Iterable[Any]]) -> list[Any]:
    """Return the whole listing. `what` says it for messages: "list networks"."""
    with explained(cloud_name(connection), what):
        return read(lambda: list(listing()))


def created(connection: Connection, what: str, create: Callable[[], Any], find: Callable[[], Iterable[Any]]) -> str:
    """Create one object and return its id; never make two.

    `find` lists what has the same name in the same place. What was made meanwhile is taken when it has our mark.
    """

    def find_ours() -> Any | None:
        return next((each for each in find() if is_ours(each.description)), None)

    with explained(cloud_name(connection), what):
        return str(create_once(create, find_ours).id)


def told(connection: Connection, service: str, path: str, what: str, **how: Any) -> dict[str, Any]:
    """Return a document as a service tells it, for what the SDK has no object of, or one that says less."""

    def ask() -> dict[str, Any]:
        response = getattr(connection, service).get(path, **how)
        sdk_errors.raise_from_response(response)
        return dict(response.json())

    with explained(cloud_name(connection), what):
        return read(ask)


def sent(
    connection: Connection, service: str, method: str, path: str, what: str, *, microversion: str | None = None
) -> None:
    """Send a request without a body, which may be repeated. Deleting what is gone already is fine."""
    proxy = getattr(connection, service)

    def send() -> None:
        response = proxy.request(path, method, microversion=microversion)
        if not (method == "DELETE" and response.status_code == 404):
            sdk_errors.raise_from_response(response)

    with explained(cloud_name(connection), what):
        repeat(send)

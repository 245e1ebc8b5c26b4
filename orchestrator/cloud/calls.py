"""The three shapes of a call: list, create, and a plain request. Each says what it does, and is repeated by error."""

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

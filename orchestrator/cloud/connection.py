"""Connections to OpenStack clouds: a deadline on every request, and a count of those that write.

Only this package imports openstack. A connection belongs to one thread: the SDK's are not to be shared.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import openstack
import requests
from keystoneauth1 import session as keystone_session
from keystoneauth1.identity.v3 import Password
from openstack.config import OpenStackConfig

from orchestrator.cloud.faults import LOGIN_PATH, RETRY_SECONDS, SDK_ERRORS, explain, explained, repeat
from orchestrator.errors import InvalidInput, UnknownName, Unreachable

REQUEST_SECONDS = 60.0
CONNECT_SECONDS = 5.0

#: For how long a login is tried again: a centre that is down must be reported in seconds.
LOGIN_SECONDS = 4.0

#: Its debug lines hold the bodies of requests, and with them passwords and secrets.
logging.getLogger("keystoneauth").setLevel(logging.INFO)

READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Connection(openstack.connection.Connection):  # type: ignore[misc]  # the SDK has no type hints that mypy may follow here
    """An SDK connection that knows the name of its cloud and counts its writes. See `writes`."""

    tricenter_cloud: str
    tricenter_wire: _Wire


class _Wire(keystone_session.TCPKeepAliveAdapter):  # type: ignore[misc]  # as above
    """The way of every HTTP request: gives up connecting early, and counts what is not only read."""

    def __init__(self, cloud: str) -> None:
        super().__init__()
        self.writes = 0
        self.until: float | None = None
        self.logging_in = False
        self._cloud = cloud
        self._lock = threading.Lock()

    def send(self, request: Any, **kwargs: Any) -> Any:
        if request.method not in READING_METHODS and not request.url.endswith(LOGIN_PATH):
            with self._lock:
                self.writes += 1
        seconds = self._patience()
        kwargs["timeout"] = (min(CONNECT_SECONDS, seconds), seconds)
        response = super().send(request, **kwargs)
        if self.logging_in and response.status_code == 401 and not request.url.endswith(LOGIN_PATH):
            # keystoneauth would ask again with a token, for which it waits for its own login: for ever.
            raise requests.exceptions.ConnectionError(f"{request.url} asks for a login before there is one")
        return response

    def _patience(self) -> float:
        """Return how long a request may wait now. Raises Unreachable when the time of the whole block is over."""
        if self.until is None:
            return REQUEST_SECONDS
        left = self.until - time.monotonic()
        if left <= 0:  # not an error of the SDK: those are tried again
            raise Unreachable(f"cloud {self._cloud!r} did not answer in time", hint="is the centre up? try again later")
        return min(REQUEST_SECONDS, left)


def connect(
    cloud: str, *, config_file: Path | None = None, login_seconds: float = LOGIN_SECONDS, **overrides: Any
) -> Connection:
    """Return a connection that has logged in to the clouds.yaml entry `cloud`.

    Raises UnknownName or InvalidInput (no such entry, or not usable), CredentialRefused (login refused) or
    Unreachable, which takes a few seconds when nothing listens there and `login_seconds` + 5 s when packets are lost.
    """
    if config_file is not None and not config_file.is_file():
        raise InvalidInput(f"there is no clouds.yaml at {config_file}", hint="see `clouds_file` in site.yaml")
    try:
        config = OpenStackConfig(
            config_files=[str(config_file)] if config_file else None, load_envvars=config_file is None
        )
        if cloud not in config.get_cloud_names():
            raise UnknownName("cloud in clouds.yaml", cloud, config.get_cloud_names())
        region = config.get_one(cloud, api_timeout=REQUEST_SECONDS, app_name="tricenter", **overrides)
        connection = Connection(config=region)
    except SDK_ERRORS as error:
        raise explain(cloud, error) from error
    return _logged_in(connection, cloud, login_seconds)


class Login(NamedTuple):
    """A user's way into one project."""

    user_id: str
    password: str
    project_id: str

    def __repr__(self) -> str:
        return f"Login(user_id={self.user_id!r}, project_id={self.project_id!r})"


def connect_as(connection: Connection, login: Login, *, login_seconds: float = RETRY_SECONDS) -> Connection:
    """Return a connection to the same cloud as another user. Raises as `connect` does."""
    region, cloud = connection.config, connection.tricenter_cloud
    verify, certificate = region.get_requests_verify_args()
    auth = Password(
        auth_url=region.auth["auth_url"],
        user_id=login.user_id,
        password=login.password,
        project_id=login.project_id,
    )
    session = keystone_session.Session(auth=auth, verify=verify, cert=certificate, timeout=REQUEST_SECONDS)
    other = Connection(
        session=session, region_name=region.region_name, interface=region.config.get("interface") or "public"
    )
    return _logged_in(other, cloud, login_seconds)


def _logged_in(connection: Connection, cloud: str, login_seconds: float) -> Connection:
    connection.tricenter_cloud, connection.tricenter_wire = cloud, _Wire(cloud)
    for scheme in ("http://", "https://"):
        connection.session.mount(scheme, connection.tricenter_wire)
    connection.tricenter_wire.logging_in = True
    with explained(cloud, "log in"):
        repeat(connection.session.get_token, deadline_seconds=login_seconds)
    connection.tricenter_wire.logging_in = False
    return connection


def writes(connection: Connection) -> int:
    """Return how many requests that may change something were sent so far; logging in is none."""
    return connection.tricenter_wire.writes


@contextmanager
def answered_within(connection: Connection, seconds: float) -> Iterator[None]:
    """Give up requests in the block when `seconds` are over: the next one raises Unreachable at once.

    Blocks within each other: the earliest end holds.
    """
    wire = connection.tricenter_wire
    before, end = wire.until, time.monotonic() + seconds
    wire.until = end if before is None else min(before, end)
    try:
        yield
    finally:
        wire.until = before


def disconnect(connection: Connection) -> None:
    """Close the sockets. The connection opens new ones when it is used again."""
    connection.tricenter_wire.close()


def cloud_name(connection: Connection) -> str:
    """Return the clouds.yaml name of the cloud, for messages."""
    return connection.tricenter_cloud

"""The API's client, which `tricenter run` speaks through. Every request has a deadline; only questions are repeated."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import urllib3
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from orchestrator.errors import (
    CheckFailed,
    CredentialRefused,
    InvalidInput,
    PartlyDone,
    Refused,
    TricenterError,
    Unreachable,
)
from orchestrator.person import login_name
from orchestrator.secrets import read_secret
from orchestrator.server.who import TOKEN_FILE_VARIABLE, USER_HEADER, token_file

SERVER_VARIABLE = "TRICENTER_SERVER"
DEFAULT_SERVER = "http://127.0.0.1:15090"
CONNECT_SECONDS = 5.0
#: More than the server gives itself.
ANSWER_SECONDS = 30.0
TRIES = 3

BY_EXIT_CODE: Mapping[int, type[TricenterError]] = {
    2: InvalidInput,
    3: PartlyDone,
    4: CheckFailed,
    5: Refused,
    6: Unreachable,
}


class Client:
    """Speaks with one server. Raises the error that the server answered, Unreachable when it does not answer."""

    def __init__(
        self, server: str, token: Callable[[], str], *, user: str | None = None, start: str = "tricenter serve"
    ) -> None:
        """`token` is asked before each request: a server that was set up anew may have another."""
        parts = urlsplit(server)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise InvalidInput(
                f"{SERVER_VARIABLE} is no address of a server: {server}", hint=f"such as {DEFAULT_SERVER}"
            )
        self.server = server.rstrip("/")
        self._token, self._user, self._start = token, user or login_name(), start
        self._pool = urllib3.PoolManager(
            retries=False, timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS)
        )

    def get(self, path: str, **asked: Any) -> Any:
        """Ask. Tried again when there is no answer."""
        query = urlencode({key: value for key, value in asked.items() if value not in (None, "", [])}, doseq=True)
        for attempt in Retrying(
            retry=retry_if_exception_type(Unreachable),
            wait=wait_exponential(multiplier=0.2, max=2),
            stop=stop_after_attempt(TRIES),
            reraise=True,
        ):
            with attempt:
                return self.get_once(f"{path}?{query}" if query else path)
        raise AssertionError("the last attempt returns or raises")

    def get_once(self, path: str) -> Any:
        return self._request("GET", path, None)

    def post(self, path: str, sent: Mapping[str, Any]) -> Any:
        """Have something done. Never tried again by itself: it may have been done."""
        return self._request("POST", path, sent)

    def close(self) -> None:
        self._pool.clear()

    def _request(self, method: str, path: str, sent: Mapping[str, Any] | None) -> Any:
        headers = {USER_HEADER: quote(self._user, safe="@.-_"), "Accept": "application/json"}
        if token := self._token():
            headers["Authorization"] = f"Bearer {token}"
        body = None if sent is None else json.dumps(sent).encode()
        try:
            # Redirects are not followed: the token is for this server.
            got = self._pool.request(method, f"{self.server}/api/v1/{path}", body=body, headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(
                f"the server {self.server} does not answer: {_why(error)}", hint=f"start it: {self._command()}"
            ) from error
        try:
            value = json.loads(got.data)
        except ValueError:
            value = None
        if got.status < 300 and isinstance(value, dict):
            return value
        raise _error(self.server, got.status, value)

    def _command(self) -> str:
        if self.server == DEFAULT_SERVER:
            return self._start
        parts = urlsplit(self.server)
        here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
        if here and parts.port:
            return f"{self._start} --listen {parts.netloc}"
        return f"{self._start}, on the machine that {SERVER_VARIABLE} names"


def connect(site_secrets: Callable[[], Path], start: str) -> Client:
    """Return the client of TRICENTER_SERVER. `site_secrets` is asked for the folder of the token when no file is named
    by TRICENTER_API_TOKEN_FILE; `start` is the command that starts the server of this site.
    """
    named = os.environ.get(TOKEN_FILE_VARIABLE)
    file = Path(named).expanduser() if named else token_file(site_secrets())

    def token() -> str:
        # None yet: the server that makes it was never started, and saying that it does not answer says more.
        return read_secret(f"file:{file}").reveal() if named or file.exists() else ""

    return Client(os.environ.get(SERVER_VARIABLE) or DEFAULT_SERVER, token, start=start)


def quoted(name: str) -> str:
    """Return a name as one part of a path."""
    return quote(name, safe="")


def _why(error: Exception) -> str:
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "nothing listens there"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    return type(error).__name__


def _error(server: str, status: int, value: Any) -> TricenterError:
    if not isinstance(value, dict) or not isinstance(value.get("error"), str):
        return Unreachable(
            f"{server} answered {status}, and not as a server of this program would",
            hint=f"look at what {SERVER_VARIABLE} names",
        )
    kind = BY_EXIT_CODE.get(value.get("exit_code", 1), TricenterError)
    if status == HTTPStatus.UNAUTHORIZED:
        kind = CredentialRefused
    return kind(value["error"], hint=str(value.get("hint", "")))

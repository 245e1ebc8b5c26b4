"""What the API answers: rows as plain JSON, and errors with a truthful status. No secret gets in here."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from orchestrator.errors import CredentialRefused, InvalidInput, Refused, TricenterError, UnknownName, Unreachable

HEADERS = {"Cache-Control": "no-store"}

#: The exit code of a command that was answered so, for what Starlette itself answers.
EXIT_CODES = {
    HTTPStatus.SERVICE_UNAVAILABLE: Unreachable.exit_code,
    HTTPStatus.GATEWAY_TIMEOUT: Unreachable.exit_code,
    HTTPStatus.INTERNAL_SERVER_ERROR: TricenterError.exit_code,
}

log = logging.getLogger(__name__)


class NoSuchRun(UnknownName):
    """The address names a run that is not in the catalogue."""

    def __init__(self, run_id: str, hint: str) -> None:
        super().__init__("run", run_id, ())
        self.args, self.hint = (f"no run {run_id!r} in the catalogue",), hint


class TooLarge(InvalidInput):
    """More was sent than any request of this API needs."""


class SamePerson(Refused):
    """Whoever asked for a run does not approve it."""


#: The first that fits decides. What is not here is our own failure: 500.
STATUS: tuple[tuple[type[TricenterError], HTTPStatus], ...] = (
    (CredentialRefused, HTTPStatus.UNAUTHORIZED),
    (NoSuchRun, HTTPStatus.NOT_FOUND),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (InvalidInput, HTTPStatus.BAD_REQUEST),
    (SamePerson, HTTPStatus.FORBIDDEN),
    (Refused, HTTPStatus.CONFLICT),
)


def plain(value: Any) -> Any:
    """Return rows and what they hold as JSON: ISO times, seconds, names of enums."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Path):
        return str(value)
    return value


def answer(value: Any, status: HTTPStatus = HTTPStatus.OK) -> JSONResponse:
    return JSONResponse(plain(value), status, HEADERS)


def fault(status: HTTPStatus, error: str, hint: str = "", exit_code: int = 2) -> JSONResponse:
    headers = HEADERS | ({"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else {})
    return JSONResponse({"error": error, "hint": hint, "exit_code": exit_code}, status, headers)


def explain(error: Exception) -> JSONResponse:
    """Return the answer to a request that failed of `error`."""
    if isinstance(error, SQLAlchemyError | Unreachable):
        # Not the message: a database's own words may name hosts and users.
        log.warning("the catalogue does not answer: %s", error)
        return fault(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "the catalogue does not answer",
            "look at the server's log, TRICENTER_DATABASE_URL and the state folder's free space",
            Unreachable.exit_code,
        )
    code = getattr(error, "exit_code", None)
    if code is None:
        log.error("a request failed by a fault of the program", exc_info=error)
        return fault(
            HTTPStatus.INTERNAL_SERVER_ERROR, f"unexpected: {type(error).__name__}", "look at the server's log", 1
        )
    return fault(_status(error), str(error), str(getattr(error, "hint", "")), int(code))


def explain_request(request: Request, error: Exception) -> JSONResponse:
    """The same as a handler of Starlette: also for addresses and methods that there are not."""
    if not isinstance(error, HTTPException):
        return explain(error)
    status = HTTPStatus(error.status_code)
    shown = fault(status, f"{request.method} {request.url.path}: {error.detail}", "", EXIT_CODES.get(status, 2))
    shown.headers.update(error.headers or {})
    return shown


def _status(error: Exception) -> HTTPStatus:
    for kind, status in STATUS:
        if isinstance(error, kind):
            return status
    return HTTPStatus.BAD_REQUEST if getattr(error, "exit_code", 1) == 2 else HTTPStatus.INTERNAL_SERVER_ERROR

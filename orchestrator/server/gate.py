"""What a request must have to be heard: the bearer token, the caller's name, a size that can be read.

The token is what is authenticated. The name beside it is the caller's statement: it is recorded as who asked, and
whoever holds the token could state another.
"""

from __future__ import annotations

import hmac
import json
import re
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request

from orchestrator.errors import CredentialRefused, InvalidInput
from orchestrator.server.answers import TooLarge
from orchestrator.server.who import USER_HEADER

LARGEST_REQUEST = 64 * 1024
_NAME = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,62}")


def check_token(request: Request, token: str) -> None:
    """Raise CredentialRefused unless the request bears the token."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise CredentialRefused(
            "the API's bearer token is another one" if given else "the API wants its bearer token",
            hint="it is in secrets/api-token of the server's state folder; name a copy by TRICENTER_API_TOKEN_FILE",
        )


def caller(request: Request) -> str:
    """Return who says to be asking: NAME@HOST. Raises InvalidInput."""
    name = unquote(request.headers.get(USER_HEADER, ""))
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{USER_HEADER} must say who asks, as NAME@HOST", hint=f"{USER_HEADER}: li.wei@ops-1")
    return name


async def read_fields(request: Request) -> dict[str, Any]:
    """Return the JSON object that was sent; nothing sent is an empty one. Raises InvalidInput."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_REQUEST:
            raise TooLarge(f"a request may have {LARGEST_REQUEST} bytes", hint="send less")
    try:
        value = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidInput("the request is no JSON object", hint='send one: {"flow": …, "arguments": {…}}')
    return value

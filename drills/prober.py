"""The program that asks a server: `python -m drills.prober`, run wherever the server can be reached from.

One request as JSON on stdin, which may hold a password; one answer as JSON on stdout. The question is asked again
until the answer is right or its time is up, and what was seen last is told. Kept to the standard library and psycopg:
it starts often, and stands inside networks where nothing else is.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

#: One try; the pause between two; how much of an answer is read.
TRY_SECONDS = 5.0
PAUSE_SECONDS = 0.25
BODY_BYTES = 1 << 20
SHOWN_CHARACTERS = 200

#: Whether the answer was right, and what it was.
Found = tuple[bool, str]
Ask = Callable[[Mapping[str, Any], float], Found]


def ask_tcp(request: Mapping[str, Any], seconds: float) -> Found:
    """Connect, and hang up."""
    with socket.create_connection((request["address"], request["port"]), timeout=seconds):
        return True, "connected"


def ask_http(request: Mapping[str, Any], seconds: float) -> Found:
    """GET a path; the status must be the wanted one, and the text must stand in the first MiB of the body."""
    connection: http.client.HTTPConnection
    if request["tls"]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(request["address"], request["port"], timeout=seconds, context=context)
    else:
        connection = http.client.HTTPConnection(request["address"], request["port"], timeout=seconds)
    try:
        connection.request("GET", request["path"], headers={"User-Agent": "tricenter", "Connection": "close"})
        answer = connection.getresponse()
        body = _beginning(answer)
    finally:
        connection.close()
    wanted: str = request["contains"]
    has = wanted.encode() in body
    got = f"{answer.status}, {len(body):,} bytes"
    if not has:
        got += f" without {_short(wanted)!r}: {_short(body.decode('utf-8', 'replace'))}"
    return answer.status == request["status"] and has, got


def _beginning(answer: http.client.HTTPResponse) -> bytes:
    body = b""
    while len(body) < BODY_BYTES and (piece := answer.read1(BODY_BYTES - len(body))):
        body += piece
    return body


def ask_sql(request: Mapping[str, Any], seconds: float) -> Found:
    """Log in to PostgreSQL and ask for one value, reading only."""
    import psycopg  # a TCP or HTTP probe does not pay for it

    whole = max(2, int(seconds))  # libpq takes whole seconds, two at least
    with psycopg.connect(
        host=request["address"],
        port=request["port"],
        dbname=request["database"],
        user=request["user"],
        password=request["password"],
        connect_timeout=whole,
        options=f"-c statement_timeout={whole}s -c default_transaction_read_only=on",
        tcp_user_timeout=whole * 1000,
        autocommit=True,
    ) as connection:
        answer = connection.execute(request["query"].encode()).pgresult
        if answer is None or (answer.ntuples, answer.nfields) != (1, 1):
            size = f"{answer.ntuples} rows × {answer.nfields} columns" if answer else "nothing"
            return False, f"{size}, want one value"
        value = answer.get_value(0, 0)
    got = "NULL" if value is None else value.decode("utf-8", "replace")
    return value is not None and got == request["expect"], got


ASKS: Mapping[str, Ask] = {"tcp": ask_tcp, "http": ask_http, "server-sql": ask_sql}


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Ask until the answer is right or `within` seconds are over, and say what was seen, first and last."""
    ask, begin = ASKS[request["kind"]], time.monotonic()
    end, seen, tries = begin + request["within"], list[str](), 0
    while True:
        tries += 1
        try:
            with _at_most(seconds := min(TRY_SECONDS, max(end - time.monotonic(), 0.5))):
                passed, got = ask(request, seconds)
        except Exception as error:  # noqa: BLE001 - whatever stands in the way is what was found
            passed, got = False, _said(error)
        if got not in seen[-1:]:
            seen.append(got)
        if passed or time.monotonic() + PAUSE_SECONDS >= end:
            break
        time.sleep(PAUSE_SECONDS)
    return {"passed": passed, "got": got, "seen": seen[-5:], "tries": tries, "seconds": time.monotonic() - begin}


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block after `seconds`: the time limits of sockets begin anew with every byte."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"no whole answer in {seconds:.1f} s")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds + 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _said(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {_short(lines[0]) if lines else 'no answer'}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"


def main() -> None:
    """Answer the request on stdin."""
    json.dump(answer(json.load(sys.stdin)), sys.stdout, ensure_ascii=True)


if __name__ == "__main__":
    main()

"""Probes of servers: what a recovered system answers to those who use it, asked where they stand.

A server that runs proves nothing, and a page that is shown may have a dead database behind it. So each probe asks for
one thing and tells its own finding. What is found is a value; only what could not be asked at all is raised.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from drills.probes import ProbeResult
from drills.vantage import Vantage
from orchestrator.errors import CheckFailed, ProcessTimeout, UnknownName
from orchestrator.secrets import Secret
from policies.probe import CommandProbe, HttpProbe, ServerProbe, ServerSqlProbe, TcpProbe
from policies.values import format_duration

PROBER = (sys.executable, "-P", "-m", "drills.prober")
#: The prober's start and its last try come on top of the time that it asks for.
GRACE_SECONDS = 20.0
SHOWN_LINES = 20


def probe_server(
    each: ServerProbe | CommandProbe,
    addresses: Mapping[str, str],
    vantage: Vantage,
    deadline_seconds: float,
    secret: Callable[[str], Secret],
) -> ProbeResult:
    """Ask a server until the answer is right or its time is up, and return what was found.

    `addresses` are those of the system's servers by name, `secret` reveals what a site file names. Raises UnknownName
    for a server that is none, CheckFailed when the question could not be asked: that is no finding about the server.
    """
    if isinstance(each, CommandProbe):
        return _command(each, addresses, vantage, deadline_seconds)
    if each.server not in addresses:
        raise UnknownName("server of the system", each.server, addresses)
    within = min(each.within.total_seconds() if each.within else deadline_seconds, deadline_seconds)
    request = {"kind": each.kind, "address": addresses[each.server], "port": each.port, "within": within}
    request |= _question(each, secret)
    answer = _asked(vantage, request, within + GRACE_SECONDS)
    return ProbeResult(
        subject(each), answer["passed"], _wanted(each), answer["got"], _detail(each, addresses, vantage, answer)
    )


def subject(each: ServerProbe | CommandProbe) -> str:
    """Return what a probe is called in a run: `http:web:80`, `command:check-all`."""
    if isinstance(each, CommandProbe):
        return f"command:{each.command[0].rpartition('/')[2]}"
    return f"{each.kind}:{each.server}:{each.port}"


def address_variables(addresses: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which a command sees the servers: TRICENTER_ADDRESS_WEB_1=10.1.0.5 for web-1."""
    return {f"TRICENTER_ADDRESS_{name.upper().replace('-', '_')}": each for name, each in addresses.items()}


def _question(each: ServerProbe, secret: Callable[[str], Secret]) -> dict[str, Any]:
    match each:
        case HttpProbe():
            return {"tls": each.tls, "path": each.path, "status": each.status, "contains": each.contains}
        case ServerSqlProbe():
            password = secret(each.password).reveal() if each.password else None
            return {
                "database": each.database,
                "user": each.user,
                "password": password,
                "query": each.query,
                "expect": each.expect,
            }
        case TcpProbe():
            return {}


def _wanted(each: ServerProbe) -> str:
    match each:
        case HttpProbe():
            return f"{each.status}" + (f" with {each.contains!r}" if each.contains else "")
        case ServerSqlProbe():
            return each.expect
        case TcpProbe():
            return "connected"


def _asked(vantage: Vantage, request: Mapping[str, Any], deadline_seconds: float) -> dict[str, Any]:
    feed = json.dumps(request).encode()
    try:
        ended = vantage.run(PROBER, deadline_seconds=deadline_seconds, feed=feed)
    except ProcessTimeout as error:
        raise _unasked(vantage, f"no answer after {deadline_seconds:.0f} s") from error
    try:
        answer: dict[str, Any] = json.loads(ended.stdout)
        answer["passed"], answer["got"]
    except (ValueError, KeyError, TypeError) as error:
        last = " / ".join(ended.stderr.strip().splitlines()[-3:])
        raise _unasked(vantage, f"code {ended.code}: {last or 'it said nothing'}") from error
    return answer


def _unasked(vantage: Vantage, why: str) -> CheckFailed:
    return CheckFailed(
        f"the prober could not be run in {vantage.where}: {why}",
        hint="see `vantage` of the centre's cloud in site.yaml; run its command by hand",
    )


def _detail(
    each: ServerProbe, addresses: Mapping[str, str], vantage: Vantage, answer: Mapping[str, Any]
) -> tuple[str, ...]:
    tries = f"{answer['tries']} tries in {format_duration(answer['seconds'])}"
    asked = f"{addresses[each.server]}:{each.port} from {vantage.where}, {tries}"
    earlier = [f"before: {seen}" for seen in answer["seen"][:-1]]
    question = (each.query,) if isinstance(each, ServerSqlProbe) else ()
    return (asked, *question, *earlier)


def _command(
    each: CommandProbe, addresses: Mapping[str, str], vantage: Vantage, deadline_seconds: float
) -> ProbeResult:
    allowed = min(each.timeout.total_seconds() if each.timeout else deadline_seconds, deadline_seconds)
    want = f"status {each.status}" + (f" with {each.contains!r}" if each.contains else "")
    variables = address_variables(addresses)
    try:
        ended = vantage.run(each.command, deadline_seconds=allowed, variables=variables)
    except ProcessTimeout:
        return ProbeResult(subject(each), False, want, f"no end after {format_duration(allowed)}")
    has = each.contains in ended.stdout
    got = f"status {ended.code}" + ("" if has else f" without {each.contains!r}")
    said = tuple(f"{ended.stdout}\n{ended.stderr}".strip().splitlines()[-SHOWN_LINES:])
    return ProbeResult(subject(each), ended.code == each.status and has, want, got, said)

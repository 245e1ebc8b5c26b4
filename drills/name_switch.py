"""The names of a plan, switched to where a system is active now, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from drills.names import NameServer, Switched
from orchestrator.engine.port import Run
from orchestrator.errors import InvalidInput
from policies.plan import NameSwitch

if TYPE_CHECKING:
    from drills.flows import Program
    from drills.recover import Task


def switch_names(run: Run, program: Program, task: Task, addresses: Mapping[str, str], suffix: str) -> list[Switched]:
    """Let each name of a system point to it at the centre, and return what each had before.

    The way back is registered before each switch. Raises Unreachable, Refused; InvalidInput for a site without `dns`.
    """
    switched = []
    for name, each in task.plan.names.items():
        if each.system != str(task.ref):
            continue
        was = run.step(f"look-up:{name}{suffix}", name_server(program).look_up, name)
        to = address_of(name, each, task.centre, addresses)
        ttl = int(each.ttl.total_seconds()) if each.ttl else default_ttl(program)
        run.undo("undo-name", name=name, was=" ".join(was.addresses), now=to, ttl=str(was.ttl or ttl))
        act = name_server(program).switch
        switched.append(run.step(f"switch:{name}{suffix}", act, name, [to], ttl=ttl, expected=was.addresses))
    return switched


def address_of(name: str, each: NameSwitch, centre: str, addresses: Mapping[str, str]) -> str:
    """Return the address that a name gets at a centre. Raises InvalidInput when the plan has none. Pure."""
    if each.server:
        if each.server in addresses:
            return addresses[each.server]
        raise InvalidInput(f"{name}: the server {each.server} was not started", hint="switch after `start` in the plan")
    found = {str(where): str(address) for where, address in each.addresses.items()}
    if centre not in found:
        raise InvalidInput(f"{name} has no address at {centre}", hint=f"names.{name}.addresses.{centre} in the plan")
    return found[centre]


def undo_names(program: Program, switched: Iterable[Mapping[str, Any]]) -> None:
    """Let names have what they had before a switch. May be repeated."""
    for each in switched:
        name_server(program).undo(each["name"], each["was"], each["now"], each["was_ttl"] or each["ttl"])


def undo_name(program: Program, name: str, was: str, now: str, ttl: str) -> None:
    """The same for one name, from plain text: for a run that failed. A name that was not switched yet is left alone."""
    server = name_server(program)
    if list(server.look_up(name).addresses) == now.split():
        server.undo(name, was.split(), now.split(), int(ttl))


def name_server(program: Program) -> NameServer:
    """Return the server whose zone holds the site's names. Raises InvalidInput for a site without one."""
    settings = program.site.dns
    if settings is None:
        raise InvalidInput("the site has no name server, and the plan has names", hint="write `dns` into site.yaml")
    return NameServer.of(settings, program.secret(settings.secret))


def default_ttl(program: Program) -> int:
    settings = program.site.dns
    return int(settings.ttl.total_seconds()) if settings else 60

"""Looks at what a change of the active centre needs beside data: registers of the epoch, the names in the DNS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from drills.names import NameServer
from drills.plans.looking import Answer, Check
from orchestrator.backups.access import Access
from orchestrator.epoch.registers import HasRegisters, ask_all
from orchestrator.errors import InvalidInput, TricenterError
from policies.plan import Plan
from policies.site import Site


class Program(Access, HasRegisters, Protocol):
    """What is needed of the object graph."""

    @property
    def site(self) -> Site: ...


def control_checks(program: Program, plan: Plan) -> Iterator[Check]:
    """Yield the looks that a run needs which makes another centre active."""
    yield Check("registers", "epoch", lambda: _registers(program))
    if plan.names:
        yield Check("names", ", ".join(plan.names), lambda: _names(program, plan))


def _registers(program: Program) -> Answer:
    """Whether enough registers answer for the epoch to be raised: more than half of them."""
    members = program.registers
    found = ask_all({name: each.read_end for name, each in members.items()})
    silent = {name: each for name, each in found.items() if isinstance(each, TricenterError)}
    answering = len(members) - len(silent)
    told = "; ".join(f"{name}: {error}" for name, error in silent.items())
    if not silent:
        return Answer("ok", f"{answering} 个登记处均应答", f"all {answering} registers answer")
    zh, en = f"{len(silent)} 个登记处不应答：{told}", f"{len(silent)} registers do not answer: {told}"
    if answering * 2 > len(members):
        return Answer("warn", zh, en, "the epoch can be raised without them; find out why they are silent")
    return Answer("fail", zh, en, "the epoch can be raised only with a recorded override")


def _names(program: Program, plan: Plan) -> Answer:
    settings = program.site.dns
    if settings is None:
        raise InvalidInput("the plan switches names, and the site has no name server", hint="write `dns` in site.yaml")
    server = NameServer.of(settings, program.secret(settings.secret))
    server.check()
    unknown = [name for name in plan.names if not server.look_up(name).addresses]
    if unknown:
        zh, en = f"尚无记录：{', '.join(unknown)}", f"no address yet: {', '.join(unknown)}"
        return Answer("warn", zh, en, "the switch makes them; are they spelled right?")
    return Answer("ok", f"{server} 应答并接受密钥", f"{server} answers, and knows the key")

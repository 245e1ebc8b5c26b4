"""Looks at the data: the vault of the centre, each system's repository and newest point, and places to put it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from drills.grounds.scratch import check_scratch, needed_bytes
from drills.plans.looking import GATE_SECONDS, Answer, Check
from orchestrator.backups.access import Access
from orchestrator.backups.landings import observe_landings
from orchestrator.backups.places import place_of
from orchestrator.catalogue.records import Point, PointAt
from orchestrator.errors import CheckFailed, Unreachable
from orchestrator.scratch.folder import MIB, check_space
from policies.plan import Plan, Step, effective_steps
from policies.probe import CommandProbe, ServerSqlProbe
from policies.site import Site, SystemRef
from policies.tiers import CentreName
from policies.values import format_duration


class Program(Access, Protocol):
    """What is needed of the object graph."""

    @property
    def site(self) -> Site: ...


def vault_gate(program: Program, centre: CentreName) -> Check:
    """Return the look whether the vault answers at all: whatever it says to who shows no key."""

    def act() -> Answer:
        vault = program.site.vaults()[centre]
        parts = urlsplit(vault.endpoint)
        wire = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        asked = wire(parts.netloc, timeout=GATE_SECONDS - 1)
        try:
            asked.request("GET", "/")
            asked.getresponse()
        except (OSError, HTTPException) as error:
            raise Unreachable(
                f"the vault at {centre} ({parts.netloc}) does not answer: {error or type(error).__name__}",
                hint="is the centre up, and the way to it open?",
            ) from error
        finally:
            asked.close()
        return Answer("ok", "存储应答", "the vault answers")

    return Check("vault", centre, act)


def data_checks(program: Program, centre: CentreName, ref: SystemRef, gate: str, now: datetime) -> Iterator[Check]:
    """Yield the looks at a system's copies at the centre."""
    yield Check("repository", str(ref), lambda: _repository(program, centre, ref), gate)
    yield Check("point", str(ref), lambda: _point(program, centre, ref, now), gate)


def _repository(program: Program, centre: str, ref: SystemRef) -> Answer:
    """Whether the repository opens with the key that this host would recover with."""
    count = len(program.repository(centre, ref).snapshots())
    return Answer("ok", f"密钥可打开备份库（{count} 个快照）", f"the key opens the repository ({count} snapshots)")


def _point(program: Program, centre: CentreName, ref: SystemRef, now: datetime) -> Answer:
    landed = observe_landings(program.catalogue, program.bucket(centre, ref.tenant.tenant), ref, centre)
    good = [each for each in landed if each.good]
    if not good:
        suspects = f"; {len(landed)} are suspect or bad" if landed else ""
        raise CheckFailed(
            f"{ref} has no good recovery point at {centre}{suspects}",
            hint=f"tricenter backup run {ref}, then replicate; tricenter backup list {ref} tells what is suspect",
        )
    return judge_points(good, now, ref.copies[centre].rpo, f"tricenter drill run … --centre {centre} proves it")


def judge_points(landed: list[PointAt], now: datetime, rpo: timedelta, prove: str) -> Answer:
    """Return what is to be said of the points at a centre, the newest first: within the RPO, and proved. Pure."""
    newest = landed[0].point
    age = max(now - newest.data_time, timedelta(0))
    told, limit = format_duration(age.total_seconds()), format_duration(rpo.total_seconds())
    if age > rpo:
        zh, en = f"最新恢复点已 {told}，超过 RPO {limit}", f"the newest point is {told} old, over the RPO of {limit}"
        return Answer("fail", zh, en, "tricenter schedule show says what holds the backups or copies back")
    proved = next((each for each in landed if each.proved_at), None)
    if proved is None:
        zh, en = f"最新恢复点 {told} 前；从未经恢复验证", f"the newest point is {told} old; none was ever proved"
        return Answer("warn", zh, en, prove)
    behind = format_duration((newest.data_time - proved.point.data_time).total_seconds())
    zh = f"最新恢复点 {told} 前；已验证的早 {behind}"
    return Answer("ok", zh, f"the newest point is {told} old; the newest proved one is {behind} older")


def scratch_check(root: Path, points: Mapping[str, Point]) -> Check:
    """Return the look whether all systems could be restored to the scratch place at once."""

    def act() -> Answer:
        for point in points.values():
            check_scratch(root, point)
        needed = sum(needed_bytes(point) for point in points.values())
        root.mkdir(parents=True, exist_ok=True, mode=0o711)
        check_space(root, needed)
        return Answer(
            "ok", f"临时空间足够（{needed / MIB:,.0f} MiB）", f"{needed / MIB:,.0f} MiB of scratch space are free"
        )

    return Check("scratch", str(root), act)


def place_checks(program: Program, centre: CentreName, ref: SystemRef, point: Point | None) -> Iterator[Check]:
    """Yield a look at each place where a source would stand when the system is active at the centre."""
    sizes = {each.source: each.bytes for each in point.sources} if point else {}
    for source in ref.system.sources:

        def act(source: str = source) -> Answer:
            place = place_of(ref, centre, source)
            place.check(program, sizes.get(source, 0))
            return Answer("ok", f"{place} 可用", f"{place} can take it")

        yield Check("place", f"{ref}:{source}", act)


def step_checks(program: Program, plan: Plan, ref: SystemRef) -> Iterator[Check]:
    """Yield looks at what the plan's probes and scripts need on this host: programs, and secrets that can be read."""
    name = str(ref)
    secrets = [
        each.password for each in plan.systems[name].probes if isinstance(each, ServerSqlProbe) and each.password
    ]
    commands = [each.command[0] for each in plan.systems[name].probes if isinstance(each, CommandProbe)]
    steps: tuple[Step, ...] = effective_steps(plan, name, ref.system)
    commands += [each.command[0] for each in steps if each.do == "script"]

    def act() -> Answer:
        for secret in secrets:
            program.secret(secret, tenant=ref.tenant.tenant)
        if absent := [each for each in commands if shutil.which(each) is None]:
            raise CheckFailed(
                f"{name}: no program {', '.join(absent)} on this host", hint="install it, or give its whole path"
            )
        told = len(secrets) + len(commands)
        return Answer("ok", f"校验与脚本可执行（{told} 项）", f"what probes and scripts need is here ({told})")

    if secrets or commands:
        yield Check("probes", name, act)

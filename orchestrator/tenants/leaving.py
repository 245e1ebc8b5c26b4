"""Off-boarding: asked for, approved by somebody else after a last backup, quarantined, purged, proved, certified.

Each step looks at what the catalogue says of the tenant and goes on from there, so that a step that was cut off is
simply taken again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.lives import Life, change_life, read_life
from orchestrator.catalogue.locks import read_point_locks
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import CheckFailed, Refused
from orchestrator.person import same_person
from orchestrator.tenants.certificate import digest_of
from orchestrator.tenants.life import Belongs, is_over, lock_out, projects_of, prove_gone, purge, set_enabled
from orchestrator.tenants.looking import Centres
from policies.life import LifeState
from policies.site import SystemRef
from policies.work import copy_centres

STATUS = "tricenter tenant offboard status"
#: What a certificate tells of the steps before.
CERTIFIED = ("title", "unit_code", "asked_by", "asked_at", "approved_by", "approved_at")


class Runner(Protocol):
    def run(self, flow: str, arguments: Mapping[str, str], /) -> Any: ...


class Program(Centres, Protocol):
    """What is needed of the program."""

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def runner(self) -> Runner: ...

    def systems(self, name: str | None) -> list[SystemRef]: ...


def suspend(program: Program, tenant: str, *, by: str, reason: str, moment: datetime) -> int:
    """Lock the people of a tenant out at every cloud, and return how many there are. May be repeated."""
    before = read_life(program.catalogue, tenant)
    life = Life(tenant, LifeState.SUSPENDED, moment, by, reason, details=_locked(program, tenant, before))
    change_life(program.catalogue, life)  # first what is to be done, so that whoever goes on knows whom to let in again
    return set_enabled(program, life.details["locked_out"], enabled=False)


def resume(program: Program, tenant: str, *, by: str, moment: datetime) -> int:
    """Let in again whom a suspension or a quarantine locked out, and return how many. May be repeated."""
    before = read_life(program.catalogue, tenant)
    if before is None:
        raise Refused(f"{tenant} is active", hint="there is nothing to take back")
    if before.state in (LifeState.PURGING, LifeState.GONE):
        raise Refused(f"{tenant} is {before.state}: there is no way back", hint=STATUS)
    count = set_enabled(program, before.details.get("locked_out", {}), enabled=True)
    change_life(program.catalogue, Life(tenant, LifeState.ACTIVE, moment, by, "resumed"))
    return count


def ask(
    program: Program,
    tenant: str,
    *,
    by: str,
    reason: str,
    quarantine: timedelta,
    no_backup: Sequence[str],
    moment: datetime,
) -> Life:
    """Ask for an off-boarding. Nothing changes but that somebody else may approve it now."""
    bureau, before = program.site.tenants[tenant], read_life(program.catalogue, tenant)
    details = {
        "title": {"zh": bureau.title.zh, "en": bureau.title.en},
        "unit_code": bureau.unit_code,
        "asked_by": by,
        "asked_at": moment.isoformat(),
        "quarantine_seconds": quarantine.total_seconds(),
        "no_backup": sorted(no_backup),
        "locked_out": dict(before.details.get("locked_out", {})) if before else {},
    }
    life = Life(tenant, LifeState.ASKED, moment, by, reason, details=details)
    change_life(program.catalogue, life)
    return life


def may_approve(life: Life | None, tenant: str, by: str) -> Life:
    """Return what was asked for, if this person may approve it. Raises Refused.

    Who approved it may go on with it, for what was cut off between the first and the last account.
    """
    began = life is not None and life.state is LifeState.QUARANTINED and same_person(life.by, by)
    if life is None or not (began or life.state is LifeState.ASKED):
        state = life.state if life else LifeState.ACTIVE
        raise Refused(f"{tenant} is {state}: nothing waits for an approval", hint=STATUS)
    asked_by = life.details["asked_by"]
    if same_person(asked_by, by):
        raise Refused(f"{asked_by} asked for it and cannot approve it as well", hint="another person must approve it")
    return life


def back_up_finally(program: Program, life: Life, told: Callable[[str], None]) -> list[dict[str, Any]]:
    """Back up, copy and verify every system of a tenant, and return its last points. Raises what these raise."""
    points = []
    for ref in program.systems(life.tenant):
        if ref.name in life.details["no_backup"]:
            continue
        centres = copy_centres(ref)
        told(f"备份 backup {ref}")
        made = program.runner.run("backup", {"system": str(ref)})
        for other in centres:
            if other != made.centre:
                told(f"复制 replicate {ref}: {made.centre} → {other}")
                program.runner.run("replicate", {"system": str(ref), "source": made.centre, "target": other})
        for centre in centres:
            told(f"校验 verify {ref} @ {centre}")
            program.runner.run("verify", {"system": str(ref), "centre": centre, "depth": "data", "everything": "yes"})
        points += _kept(program, ref, made.point.id)
    return points


def approve(program: Program, life: Life, points: Sequence[Mapping[str, Any]], *, by: str, moment: datetime) -> Life:
    """Begin the quarantine: lock everybody out, and remember until when. May be repeated by who approved it.

    Raises Refused when it is not asked for as it was when the backup began.
    """
    now = may_approve(read_life(program.catalogue, life.tenant), life.tenant, by)
    if now != life:
        raise Refused(f"{life.tenant}: what was asked for has changed meanwhile", hint=STATUS)
    if life.state is LifeState.QUARANTINED:
        set_enabled(program, life.details["locked_out"], enabled=False)
        return life
    details = {
        **life.details,
        **_locked(program, life.tenant, life),
        "approved_by": by,
        "approved_at": moment.isoformat(),
        "points": [dict(each) for each in points],
        "projects": projects_of(program, life.tenant),
    }
    until = moment + timedelta(seconds=float(life.details["quarantine_seconds"]))
    quarantined = replace(life, state=LifeState.QUARANTINED, since=moment, by=by, until=until, details=details)
    change_life(program.catalogue, quarantined)
    set_enabled(program, details["locked_out"], enabled=False)
    return quarantined


def may_purge(life: Life | None, tenant: str, moment: datetime) -> Life:
    """Return the tenant's life, if it may be purged now. Raises Refused."""
    if life is None or life.state not in (LifeState.QUARANTINED, LifeState.PURGING):
        state = life.state if life else LifeState.ACTIVE
        raise Refused(f"{tenant} is {state}: only what was in quarantine is purged", hint=STATUS)
    if life.state is LifeState.QUARANTINED and not is_over(life.until, moment):
        raise Refused(f"{tenant} is in quarantine until {life.until:%Y-%m-%d %H:%M} UTC", hint="wait, or cancel it")
    return life


def carry_out_purge(
    program: Program,
    life: Life,
    found: Sequence[Belongs],
    *,
    by: str,
    now: Callable[[], datetime],
    told: Callable[[Belongs], None],
) -> Life:
    """Delete what was found, prove that nothing is left, and return the tenant's life with its certificate."""
    listed = {each["id"]: each for each in life.details.get("purged", ())} | {each.id: each.as_json() for each in found}
    projects = {centre: list(ids) for centre, ids in life.details.get("projects", {}).items()}
    for centre, ids in projects_of(program, life.tenant).items():
        projects[centre] = list(dict.fromkeys([*projects.get(centre, []), *ids]))
    details = {**life.details, "purged": list(listed.values()), "projects": projects}
    purging = replace(life, state=LifeState.PURGING, since=now(), by=by, details=details)
    change_life(program.catalogue, purging)
    late: list[Belongs] = []

    def tell(each: Belongs) -> None:
        if each.id not in listed:  # made after the list was shown, by a program of the tenant
            late.append(each)
        told(each)

    purge(program, life.tenant, projects, tell)
    proved = prove_gone(program, life.tenant, projects)
    end = now()
    certificate = {
        "tenant": life.tenant,
        **{name: details[name] for name in CERTIFIED},
        "reason": life.reason,
        "until": life.until.isoformat() if life.until else "",
        "purged_by": by,
        "purged_at": end.isoformat(timespec="seconds"),
        "proved_at": end.isoformat(timespec="seconds"),
        "proved": sorted(proved),
        "purged": [*listed.values(), *(each.as_json() for each in late)],
        "points": details.get("points", []),
        "no_backup": details["no_backup"],
    }
    told_of = {"certificate": certificate, "digest": digest_of(certificate)}
    gone = replace(purging, state=LifeState.GONE, since=end, until=None, details=told_of)
    change_life(program.catalogue, gone)
    return gone


def certificate_of(life: Life | None, tenant: str) -> Mapping[str, Any]:
    """Return what the certificate of a purged tenant says. Raises Refused; CheckFailed when it was changed since."""
    if life is None or life.state is not LifeState.GONE:
        state = life.state if life else LifeState.ACTIVE
        raise Refused(f"{tenant} is {state}: there is no certificate before it is gone", hint=STATUS)
    certificate: Mapping[str, Any] = life.details["certificate"]
    if digest_of(certificate) != life.details["digest"]:
        raise CheckFailed(f"the certificate of {tenant} was changed since it was made", hint="tricenter audit verify")
    return certificate


def _locked(program: Program, tenant: str, before: Life | None) -> dict[str, Any]:
    already = before.details.get("locked_out", {}) if before else {}
    return {"locked_out": lock_out(program, tenant, already)}


def _kept(program: Program, ref: SystemRef, point: str) -> list[dict[str, Any]]:
    """Return where the last point of a system is, and until when it is locked there at least."""
    kept = []
    for each in program.catalogue.points_at(tenant=ref.tenant.tenant, system=ref.name):
        if each.point.id != point:
            continue
        floor = read_point_locks(program.catalogue, Key(ref.tenant.tenant, ref.name, each.centre)).get(point)
        kept.append({
            "system": ref.name,
            "point": point,
            "centre": each.centre,
            "data_time": each.point.data_time.isoformat(timespec="seconds"),
            "locked_until": floor.isoformat(timespec="seconds") if floor else None,
        })  # fmt: skip
    return kept

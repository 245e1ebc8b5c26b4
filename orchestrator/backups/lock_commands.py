"""`tricenter vault extend`, `locks` and `probe`: is what a vault holds locked, until when, and against whom."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from orchestrator.backups import show
from orchestrator.backups.locking import SystemLocked, foresee_locks, lock_of
from orchestrator.backups.looked import place_of
from orchestrator.backups.options import dry_run_option, jobs_option, output_option
from orchestrator.backups.upkeep_show import At
from orchestrator.batch import Batch, Ended, raise_failures
from orchestrator.catalogue.locks import Locks, read_locks, read_point_locks
from orchestrator.errors import CheckFailed, InvalidInput
from orchestrator.vault.expiry import Expiry
from orchestrator.vault.probing import POWERS, Probed
from orchestrator.vault.undelete_commands import vault as vault
from policies.locks import is_short, promised
from policies.site import SystemRef
from policies.tiers import CentreName
from policies.values import format_duration
from policies.work import copy_centres

if TYPE_CHECKING:
    from orchestrator.app import App

POWER_TITLES = {
    "lists": "列出",
    "reads": "读取",
    "writes": "写入",
    "removes_locks": "删除 restic 锁",
    "hides": "隐藏对象（删除标记）",
    "deletes_versions": "删除未锁定的版本",
    "lengthens": "延长锁定",
    "shortens": "缩短锁定",
    "deletes_locked": "删除已锁定的版本",
    "bypasses_governance": "绕过治理模式",
    "changes_lock_rule": "更改桶的锁定规则",
    "stops_versions": "更改桶的版本控制",
    "sets_expiry": "更改桶的生命周期",
    "sets_policy": "更改桶的策略",
}


@vault.command("extend")
@click.argument("target", required=False)
@click.option("--centre", help="只看一个中心 one centre only; every centre with a lock when not given")
@jobs_option
@dry_run_option
@output_option
@click.pass_obj
def extend(app: App, target: str | None, centre: str | None, jobs: int, dry_run: bool, output: str) -> None:
    """延长在用对象的对象锁，并逐个核实 lengthen the locks of what is in use, and measure until when it is locked.

    Done daily by the schedule. Ends with 4 where anything is locked for less than the tier promises.
    """
    places = _places(app, target, centre)
    with show.progress(app.progress_console, "延长对象锁 extend", places) as bars:

        def work(at: At) -> SystemLocked:
            if dry_run:
                return foresee_locks(app, at.ref, at.centre)

            def report(what: str, done: float, total: float) -> None:
                batch.go_on()
                bars.move(at, f"{what} {done:.0f} 个对象 objects", 0, total)

            arguments = {"system": str(at.ref), "centre": at.centre}
            done: SystemLocked = app.runner.run("lock", arguments, observer=report)
            return done

        _ = app.runner if not dry_run else None  # once, before the threads
        batch = Batch(places, work, jobs=jobs)
        ended = batch.run(bars.end)
    if output == "json":
        show.print_json(app.console, [_extended(each, "planned" if dry_run else "done") for each in ended])
    else:
        _show_extended(app, ended, dry_run=dry_run)
    _raise_findings(ended)


@vault.command("locks")
@click.argument("target", required=False)
@click.option("--centre", help="只看一个中心 one centre only; every centre with a lock when not given")
@output_option
@click.pass_obj
def locks(app: App, target: str | None, centre: str | None, output: str) -> None:
    """每个恢复点锁到何时，按最近一次核实 until when each recovery point is locked, as it was last measured.

    Ends with 4 where that is less than the tier promises, or was never measured.
    """
    places, known, now = _places(app, target, centre), read_locks(app.catalogue), datetime.now(UTC)
    found = [(at, known.get(place_of(*at)), read_point_locks(app.catalogue, place_of(*at))) for at in places]
    if output == "json":
        show.print_json(app.console, [_locks_as_json(at, each, points, now) for at, each, points in found])
    else:
        _show_locks(app, found, now)
    if short := [at for at, each, _ in found if _is_broken(at, each, now)]:
        raise CheckFailed(
            f"not locked as the tier promises: {', '.join(str(each) for each in short)}",
            hint="tricenter vault extend; then tricenter vault probe, if it stays so",
        )


@vault.command("probe")
@click.option("--centre", required=True, help="哪个中心的保险库 the centre whose vault is tried")
@click.option("--tenant", help="用哪个租户的凭据 whose credentials are tried; the first tenant's when not given")
@output_option
@click.pass_obj
def probe(app: App, centre: str, tenant: str | None, output: str) -> None:
    """试出各凭据究竟能做什么 try out what each credential can really do: written, tried and read back.

    Leaves some bytes below 0-probe/ in the tenant's bucket until their lock has ended. Ends with 4 when a credential
    can destroy what is locked, or cannot do what it is for; and when a lifecycle rule of the bucket takes what must
    stay.
    """
    app.vault(centre)
    name = tenant or next((ref.tenant.tenant for ref in app.site.systems() if centre in copy_centres(ref)), None)
    if name is None or name not in app.site.tenants:
        raise InvalidInput(f"there is no tenant {name or 'with copies'} at {centre}", hint="look at tenants/")
    found, expiry = list(app.probe_vault(centre, name)), observe_expiry(app, centre, name)
    if output == "json":
        bucket = {"kept_days": expiry.kept_days, "harmful_rules": list(expiry.harmful)}
        show.print_json(app.console, {"credentials": [_probed(each) for each in found], "bucket": bucket})
    else:
        _show_probed(app, found)
        app.console.print(told_expiry(expiry, name))
    faults = [f"{each.role} can {word}" for each in found for word in each.destructive]
    faults += [f"{each.role} cannot {word}" for each in found for word in each.lacks]
    faults += [f"its lifecycle rule {rule} takes what must stay" for rule in expiry.harmful]
    if faults:
        raise CheckFailed(
            f"the bucket and the credentials of {name} at {centre} are not what they should be: {', '.join(faults)}",
            hint="docs/vault.md says what each may do, and how stores are told",
        )


def observe_expiry(app: App, centre: str, tenant: str) -> Expiry:
    """Return what goes by itself from a tenant's bucket. Raises CheckFailed where there is none."""
    admin, bucket = app.vault_admin(centre), app.vault(centre).bucket(tenant)
    if (state := admin.observe_bucket(bucket)) is None:
        raise CheckFailed(f"there is no bucket {bucket} at {centre}", hint=f"tricenter tenant apply {tenant}")
    return admin.observe_expiry(bucket, state.lock_days)


def told_expiry(expiry: Expiry, tenant: str) -> str:
    """Return what becomes of hidden versions, in words."""
    match expiry.kept_days:
        case None:
            told = "[yellow]永远保留：此存储没有生命周期规则 for ever: this store has no lifecycle rules"
        case 0:
            told = f"[yellow]永远保留 for ever: tricenter tenant apply {tenant} sets the rule"
        case days:
            told = f"{days} 天后由存储清除 days, then the store removes them"
    return f"被隐藏的版本保留 hidden versions are kept: {told}"


def _places(app: App, target: str | None, centre: str | None) -> list[At]:
    """Return the systems that are meant, at the centres whose tier asks for a lock. Raises InvalidInput for none."""
    if centre:
        app.vault(centre)

    def wanted(ref: SystemRef, name: CentreName) -> bool:
        return centre in (None, name) and bool(ref.copies[name].retention.lock)

    places = [At(ref, each) for ref in app.systems(target) for each in copy_centres(ref) if wanted(ref, each)]
    if not places:
        raise InvalidInput(f"nothing here is to be locked at {centre or 'any centre'}", hint="set lock in the tiers")
    return places


def _is_broken(at: At, found: Locks | None, now: datetime) -> bool:
    if found is None:
        return True
    return bool(found.overwritten or (found.objects and is_short(found.floor, now, lock_of(*at))))


def _raise_findings(ended: list[Ended[At, SystemLocked]]) -> None:
    """Raise CheckFailed when anything is not locked as promised, whatever else failed."""
    found = [each.error for each in ended if isinstance(each.error, CheckFailed)]
    if len(found) > 1:
        raise CheckFailed("; ".join(str(each) for each in found), hint=found[0].hint)
    if found:
        raise found[0]
    raise_failures(ended)


def _show_extended(app: App, ended: list[Ended[At, SystemLocked]], *, dry_run: bool) -> None:
    changed = "将延长 to extend " if dry_run else "已延长 extended "
    rows = show.table("系统 system", "中心 centre", "对象 objects ", changed, "最早到期 locked until")
    for each in ended:
        at = each.subject
        if each.result is None:
            rows.add_row(str(at.ref), at.centre, "", "", f"[red]✗ {escape(str(each.error))}")
            continue
        done = each.result.locks
        rows.add_row(str(at.ref), at.centre, str(done.objects), str(done.extended), _until(done.floor))
    app.console.print(rows)


def _show_locks(app: App, found: list[tuple[At, Locks | None, dict[str, datetime | None]]], now: datetime) -> None:
    rows = show.table(
        "系统 system", "中心 centre", "恢复点 recovery point", "锁到 locked until", "承诺 promised ", "核实于 measured"
    )
    for at, each, points in found:
        least = format_duration(promised(lock_of(*at)).total_seconds())
        if each is None:
            rows.add_row(str(at.ref), at.centre, "", "[red]未核实 never measured", least, "")
            continue
        mark = "[red]" if _is_broken(at, each, now) else ""
        for point, floor in sorted(points.items()) or [("", each.floor)]:
            rows.add_row(str(at.ref), at.centre, point, f"{mark}{_until(floor)}", least, show.local(each.ran_at))
    app.console.print(rows)


def _show_probed(app: App, found: list[Probed]) -> None:
    rows = show.table("能力 power", *(str(each.role) for each in found))
    for power in POWERS:
        rows.add_row(f"{POWER_TITLES[power]} {power}", *(_power(each, power) for each in found))
    app.console.print(rows)


def _power(probed: Probed, power: str) -> str:
    word = "是 yes" if getattr(probed.powers, power) else "否 no"
    if power in probed.destructive or power in probed.lacks:
        return f"[red]{word}"
    return f"[yellow]{word} (不需要 not needed)" if power in probed.excess else word


def _until(moment: datetime | None) -> str:
    return show.local(moment) if moment else "[red]未锁定 not locked"


def _extended(each: Ended[At, SystemLocked], state: str) -> dict[str, Any]:
    at = each.subject
    value: dict[str, Any] = {"system": str(at.ref), "centre": at.centre}
    if each.result is None:
        return value | {"state": "failed", "error": str(each.error)}
    return value | {"state": state, **_as_json(each.result.locks), "overwritten_keys": list(each.result.overwritten)}


def _locks_as_json(at: At, found: Locks | None, points: dict[str, datetime | None], now: datetime) -> dict[str, Any]:
    value: dict[str, Any] = {
        "system": str(at.ref),
        "centre": at.centre,
        "promised_seconds": promised(lock_of(*at)).total_seconds(),
        "kept": not _is_broken(at, found, now),
        "points": {point: floor.isoformat() if floor else None for point, floor in sorted(points.items())},
    }
    return value | (_as_json(found) if found else {"measured_at": None})


def _as_json(found: Locks) -> dict[str, Any]:
    return {
        "measured_at": found.ran_at.isoformat(),
        "locked_until": found.floor.isoformat() if found.floor else None,
        "objects": found.objects,
        "extended": found.extended,
        "unlocked": found.unlocked,
        "overwritten": found.overwritten,
    }


def _probed(each: Probed) -> dict[str, Any]:
    return {
        "credential": each.role,
        "can": [power for power in POWERS if getattr(each.powers, power)],
        "lacks": list(each.lacks),
        "excess": list(each.excess),
        "destructive": list(each.destructive),
    }

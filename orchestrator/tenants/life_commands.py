"""`tricenter tenant suspend | resume | offboard …`: a tenant is locked out for a while, or let go for good."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from orchestrator.approval import ask_second_factor
from orchestrator.catalogue.leases import hold
from orchestrator.catalogue.lives import Life, read_life, read_lives
from orchestrator.errors import Refused, UnknownName
from orchestrator.person import login_name
from orchestrator.tenants import leaving, showing
from orchestrator.tenants.certificate import write_certificate
from orchestrator.tenants.drift_run import LEASE
from orchestrator.tenants.leaving import Program
from orchestrator.tenants.life import Belongs, list_belongings
from policies.life import QUARANTINE, LifeState
from policies.values import parse_duration

if TYPE_CHECKING:
    from orchestrator.app import App

output_option = click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", help="输出格式 how to print"
)
yes_option = click.option("--yes", is_flag=True, help="不再询问 do not ask")
tenant_argument = click.argument("tenant", metavar="TENANT")


def _duration(_: click.Context, __: click.Parameter, value: str | None) -> timedelta:
    try:
        return parse_duration(value) if value else QUARANTINE
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command("suspend")
@tenant_argument
@click.option("--reason", required=True, help="事由，记入审计 why; it stands in the audit chain")
@yes_option
@output_option
@click.pass_obj
def suspend_command(app: App, tenant: str, reason: str, yes: bool, output: str) -> None:
    """停用：本单位人员不能登录，系统与备份照常 Lock the people of a bureau out.

    What runs goes on, and so do backups. An apply is refused until it is resumed. May be repeated.
    """
    _known(app, tenant)
    _confirm(f"停用 {tenant}？ suspend {tenant}?", yes)
    with _alone(app):
        count = leaving.suspend(cast(Program, app), tenant, by=login_name(), reason=reason, moment=_now())
    _tell(app, read_life(app.catalogue, tenant), output, f"{tenant}: 已停用 suspended; {count} 人不能登录 locked out")


@click.command("resume")
@tenant_argument
@output_option
@click.pass_obj
def resume_command(app: App, tenant: str, output: str) -> None:
    """恢复被停用的单位 Let in again whom a suspension locked out; nobody else. May be repeated."""
    _known(app, tenant)
    with _alone(app):
        count = leaving.resume(cast(Program, app), tenant, by=login_name(), moment=_now())
    _tell(app, None, output, f"{tenant}: 已恢复 active again; {count} 人可登录 let in")


@click.group("offboard")
def offboard() -> None:
    """退出：最终备份、隔离期、清除、证明 Let a bureau go: last backup, quarantine, purge, certificate."""


@offboard.command("ask")
@tenant_argument
@click.option("--reason", required=True, help="事由 why")
@click.option(
    "--quarantine", callback=_duration, help="隔离期，默认 30d for how long it can still be cancelled; 30d if not given"
)
@click.option(
    "--no-backup-of", "no_backup", multiple=True, metavar="SYSTEM", help="无源可备的系统 a system with no source left"
)
@output_option
@click.pass_obj
def ask_command(
    app: App, tenant: str, reason: str, quarantine: timedelta, no_backup: tuple[str, ...], output: str
) -> None:
    """申请退出；须由另一人批准 Ask for it; another person must approve. Changes nothing else."""
    _known(app, tenant)
    for each in no_backup:
        if each not in app.site.tenants[tenant].systems:
            raise UnknownName(f"system of {tenant}", each, app.site.tenants[tenant].systems)
    life = leaving.ask(
        cast(Program, app), tenant, by=login_name(), reason=reason, quarantine=quarantine, no_backup=no_backup,
        moment=_now(),
    )  # fmt: skip
    _tell(
        app,
        life,
        output,
        f"{tenant}: 待另一人批准 waits for another person: tricenter tenant offboard approve {tenant}",
    )


@offboard.command("approve")
@tenant_argument
@yes_option
@output_option
@click.pass_obj
def approve_command(app: App, tenant: str, yes: bool, output: str) -> None:
    """批准：最终备份并全量校验，然后锁定进入隔离期 Approve: last backup, read back whole, then quarantine.

    Nobody of the bureau can log in from then on. Until the quarantine ends everything can be taken back by `cancel`.
    """
    _known(app, tenant)
    life = leaving.may_approve(read_life(app.catalogue, tenant), tenant, by := login_name())
    _confirm(f"批准 {tenant} 退出（{life.reason}）？ approve that {tenant} goes?", yes)
    ask_second_factor(app.site.approval, by, f"offboard-{tenant}")
    program = cast(Program, app)
    points: list[dict[str, Any]] = []
    if life.state is LifeState.ASKED:
        points = leaving.back_up_finally(program, life, lambda text: app.progress_console.print(text, markup=False))
    with _alone(app):
        life = leaving.approve(program, life, points, by=by, moment=_now())
    _tell(app, life, output, f"{tenant}: 隔离至 in quarantine until {life.until:%Y-%m-%d %H:%M} UTC")


@offboard.command("cancel")
@tenant_argument
@output_option
@click.pass_obj
def cancel_command(app: App, tenant: str, output: str) -> None:
    """撤回：一切如前 Take it back: everything is as before. Not once the purge has begun."""
    _known(app, tenant)
    with _alone(app):
        count = leaving.resume(cast(Program, app), tenant, by=login_name(), moment=_now())
    _tell(app, None, output, f"{tenant}: 已撤回 cancelled; {count} 人可登录 let in")


@offboard.command("purge")
@tenant_argument
@click.option("--dry-run", is_flag=True, help="只列出将失去的 list what will be lost and stop")
@yes_option
@output_option
@click.pass_obj
def purge_command(app: App, tenant: str, dry_run: bool, yes: bool, output: str) -> None:
    """隔离期满后清除各云上的一切，复查并出具证明 Delete all that a bureau has at the clouds, and prove it.

    Whoever made it: servers, volumes, images, networks, users, projects, the domain. Backups in the vaults stay until
    their locks and retention end. May be repeated: it goes on where it was cut off.
    """
    program, by = cast(Program, app), login_name()
    known = read_life(app.catalogue, tenant)
    if not dry_run:
        leaving.may_purge(known, tenant, _now())
    found = list_belongings(program, tenant, known.details.get("projects", {}) if known else {})
    if dry_run or output == "table":
        _show(app, tenant, found, output)
    elif not yes:
        raise Refused("nothing was shown to confirm", hint="look at --dry-run, then add --yes")
    if dry_run:
        return
    _confirm(f"删除这 {len(found)} 项？不可恢复。 delete these {len(found)}? There is no way back.", yes)
    with _alone(app):
        life = leaving.may_purge(read_life(app.catalogue, tenant), tenant, _now())  # nobody took it back meanwhile
        life = leaving.carry_out_purge(
            program, life, found, by=by, now=_now,
            told=lambda each: app.progress_console.print(f"- {each.noun} {each.name} @ {each.centre}", markup=False),
        )  # fmt: skip
    paths = write_certificate(app.state / "certificates", leaving.certificate_of(life, tenant))
    _tell(app, life, output, f"{tenant}: 已清除，复查无残留 gone, nothing is left; 证明 certificate: {paths[1]}")


@offboard.command("certificate")
@tenant_argument
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="文件夹 a folder")
@click.pass_obj
def certificate_command(app: App, tenant: str, folder: Path) -> None:
    """再次写出清除证明 Write the certificate again, as HTML and PDF: the same bytes each time."""
    for path in write_certificate(folder, leaving.certificate_of(read_life(app.catalogue, tenant), tenant)):
        app.console.print(str(path), markup=False, soft_wrap=True)


@offboard.command("status")
@click.argument("tenant", metavar="[TENANT]", required=False)
@output_option
@click.pass_obj
def status_command(app: App, tenant: str | None, output: str) -> None:
    """停用、退出中与已清除的单位 Bureaus that are suspended, leaving or gone."""
    lives = [each for name, each in read_lives(app.catalogue).items() if tenant in (None, name)]
    if output == "json":
        showing.print_json(app.console, {"tenants": [each.as_json() for each in lives]})
        return
    from rich.table import Table

    table = Table("单位 tenant", "状态 state", "自 since (UTC)", "至 until (UTC)", "经手 by", "事由 reason")
    for each in lives:
        until = f"{each.until:%Y-%m-%d %H:%M}" if each.until else ""
        listed = " · 站点中仍有 still in the site" if each.state == "gone" and each.tenant in app.site.tenants else ""
        table.add_row(each.tenant, f"{each.state}{listed}", f"{each.since:%Y-%m-%d %H:%M}", until, each.by, each.reason)
    app.console.print(table if lives else "无 none: 全部在用 all are in use")


def _known(app: App, tenant: str) -> None:
    if tenant not in app.site.tenants:
        raise UnknownName("tenant", tenant, app.site.tenants)


def _now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def _alone(app: App) -> Iterator[None]:
    """Keep applies away: what one locks out the other would let in."""
    with hold(app.catalogue, LEASE, f"tenant-life-{secrets.token_hex(4)}", exclusive=True):
        yield


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused("nobody is there to confirm", hint="look at what it does, then add --yes")
    if not click.confirm(question, err=True):
        raise Refused("not confirmed: nothing was done")


def _tell(app: App, life: Life | None, output: str, text: str) -> None:
    if output == "json":
        told: dict[str, Any] = life.as_json() if life else {"state": "active"}
        if life and "digest" in life.details:
            told |= {"certificate": life.details["certificate"], "digest": life.details["digest"]}
        showing.print_json(app.console, told)
    else:
        app.console.print(text, markup=False, soft_wrap=True)


def _show(app: App, tenant: str, found: list[Belongs], output: str) -> None:
    if output == "json":
        showing.print_json(app.console, {"tenant": tenant, "lost": [each.as_json() for each in found]})
        return
    app.console.print(f"{tenant}: 将永远失去 {len(found)} 项 will be lost for ever:", markup=False)
    for each in found:
        app.console.print(f"  x {each.centre}: {each.noun} {each.name or each.id}", markup=False, soft_wrap=True)

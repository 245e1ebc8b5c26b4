"""`tricenter vault undelete`: after an attacker, or a mistake, with a vault's keys."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from orchestrator.errors import InvalidInput, Refused
from orchestrator.vault.undelete import Undeletion, hide_forged, plan_undelete, undelete
from policies.archive import archive_prefix
from policies.site import SystemRef
from policies.tenant import archives_of
from policies.values import format_size

if TYPE_CHECKING:
    from orchestrator.app import App


class Part(NamedTuple):
    """What is brought back as one: the repository of a system, or the archive of one of its sources."""

    ref: SystemRef
    archive: str | None

    @property
    def prefix(self) -> str:
        return archive_prefix(self.ref.name, self.archive) if self.archive else self.ref.name

    def __str__(self) -> str:
        return f"{self.ref} 归档 archive {self.archive}" if self.archive else str(self.ref)


@click.group()
def vault() -> None:
    """保险库 The vaults."""


@vault.command("undelete")
@click.argument("target", required=False)
@click.option("--centre", required=True, help="哪个中心的保险库 the centre whose vault it is")
@click.option("--before", metavar="TIME", required=True, help="恢复到何时 the moment to go back to, ISO 8601")
@click.option("--dry-run", is_flag=True, help="只列出要做的 only say what would be done")
@click.option("--yes", is_flag=True, help="不再询问 do not ask")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="格式 format")
@click.pass_obj
def undelete_(app: App, target: str | None, centre: str, before: str, *, dry_run: bool, yes: bool, output: str) -> None:
    """把保险库恢复到某一时刻：之后被删除、被覆盖的对象重新可见 bring repositories back to how they were at TIME.

    What was deleted or overwritten since is there again, in archives of databases as well; nothing is lost by it, and
    what came later stays. Stop the attacker first: change the vault's keys. Then look at everything: tricenter backup
    verify --depth data --all
    """
    app.vault(centre)
    moment, admin = _moment(before), app.vault_admin(centre)
    refs = [ref for ref in app.systems(target) if centre in ref.copies]
    if not refs:
        raise InvalidInput(f"nothing here has copies at {centre}", hint="look at the tiers")
    plans = [
        (at, plan_undelete(admin, _bucket(app, centre, at.ref), at.prefix, moment))
        for ref in refs
        for at in _parts(ref)
    ]
    if output == "table":
        _show(app, plans)
    to_do = [(at, plan) for at, plan in plans if plan.changes]
    if to_do and not dry_run:
        _confirm(sum(len(plan.changes) for _, plan in to_do), centre, yes=yes)
    forged: dict[str, tuple[str, ...]] = {}
    for at, plan in [] if dry_run else plans:
        with app.progress_console.status(f"{at}: 恢复 undelete {len(plan.changes)}"):
            undelete(admin, _bucket(app, centre, at.ref), plan)
            if at.archive is None:  # only there do names tell the content
                forged[at.prefix] = hide_forged(app.expirer_bucket(centre, at.ref.tenant.tenant), at.prefix)
        for key in forged.get(at.prefix, ()):
            app.progress_console.print(f"已隐藏伪造的对象 hidden, its content is not what its name says: {key}")
    if output == "json":
        click.echo(json.dumps([_as_json(at, plan, forged) for at, plan in plans], ensure_ascii=False, indent=2))
    elif not dry_run:
        verify = f"tricenter backup verify --centre {centre}"
        app.console.print(f"下一步 next: {verify}, then {verify} --depth data --all")


def _parts(ref: SystemRef) -> list[Part]:
    return [Part(ref, None), *(Part(ref, source) for source, _ in archives_of(ref.system))]


def _bucket(app: App, centre: str, ref: SystemRef) -> str:
    return app.vault(centre).bucket(ref.tenant.tenant)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise InvalidInput(f"--before: {text!r} is no time", hint="such as 2026-11-23T03:10+08:00") from None
    if moment > datetime.now(UTC):
        raise InvalidInput(f"--before: {text} is yet to come", hint="give the moment before the damage was done")
    return moment


def _confirm(objects: int, centre: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused("nobody is there to confirm the plan", hint="look at it with --dry-run, then add --yes")
    if not click.confirm(f"在 {centre} 恢复这 {objects} 个对象? bring these {objects} objects back?", err=True):
        raise Refused("not confirmed: nothing was done")


def _show(app: App, plans: list[tuple[Part, Undeletion]]) -> None:
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for head in ("系统 system", "取消删除 uncover", "还原旧版 copy back", "大小 size", "完好 intact", "之后的 later"):
        table.add_column(head)
    for at, plan in plans:
        acts = [each.act for each in plan.changes]
        size = format_size(sum(each.size_bytes for each in plan.changes))
        counts = (acts.count("uncover"), acts.count("copy"))
        table.add_row(str(at), *map(str, counts), size, str(plan.intact), str(plan.late))
    app.console.print(table)


def _as_json(at: Part, plan: Undeletion, forged: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    acts = [each.act for each in plan.changes]
    return {
        "system": str(at.ref),
        "archive": at.archive,
        "uncover": acts.count("uncover"),
        "copy": acts.count("copy"),
        "bytes": sum(each.size_bytes for each in plan.changes),
        "intact": plan.intact,
        "later": plan.late,
        "hidden": list(forged.get(at.prefix, ())),
    }

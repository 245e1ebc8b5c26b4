"""`tricenter key`: does every repository open with the password of the site, and giving a tenant a new one."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from orchestrator.backups import show
from orchestrator.backups.options import jobs_option, output_option
from orchestrator.batch import Batch, raise_failures
from orchestrator.catalogue.database import now
from orchestrator.catalogue.keys import record_password
from orchestrator.errors import InvalidInput, Refused, UnknownName
from orchestrator.escrow.flows import FLOW
from orchestrator.escrow.rotation import Place, check, password_files, places_of, rotate
from orchestrator.escrow.shares import read_key
from orchestrator.secrets import make_password, write_once
from policies.work import copy_centres

if TYPE_CHECKING:
    from orchestrator.app import App

centre_option = click.option("--centre", help="只此中心 only at this centre")


@click.group()
def key() -> None:
    """口令 The passwords of repositories."""


@key.command("check")
@click.argument("target", required=False)
@centre_option
@jobs_option
@output_option
@click.pass_obj
def check_(app: App, target: str | None, centre: str | None, jobs: int, output: str) -> None:
    """逐个打开仓库，证明站点的口令有效 open each repository at each centre with the password of the site.

    What opened is remembered. Ends with 4 when one does not, with 6 when a centre does not answer.
    """
    places = _places(app, target, centre)
    app.catalogue  # noqa: B018 - made once, before threads ask for it
    with show.progress(app.progress_console, "口令 passwords", places) as bars:
        batch: Batch[Place, tuple[int, ...] | None] = Batch(places, lambda place: check(app, place), jobs=jobs)
        ended = batch.run(bars.end)
    told = [
        {
            "system": str(each.subject.ref),
            "centre": each.subject.centre,
            "opens": False if each.error is not None else None if each.result is None else True,
            "costs": list(each.result or ()),
            "error": str(each.error) if each.error else None,
        }
        for each in ended
    ]
    if target is None or "/" not in target:
        _remember(app, told)
    if output == "json":
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        _show(app, told)
    raise_failures(ended)


def _remember(app: App, told: list[dict[str, Any]]) -> None:
    """Record the tenants and centres of which every repository was asked, and all that are there opened."""
    found: dict[tuple[str, str], list[bool | None]] = defaultdict(list)
    for each in told:
        found[each["system"].partition("/")[0], each["centre"]].append(each["opens"])
    for (tenant, centre), opened in found.items():
        if False not in opened and True in opened:
            record_password(app.catalogue, tenant, centre, now(), opened.count(True))


def _show(app: App, told: list[dict[str, Any]]) -> None:
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for head in ("系统 system", "中心 centre", "可打开 opens", "派生代价 cost N", "说明 note"):
        table.add_column(head)
    words = {True: "[green]是 yes[/]", False: "[red]否 no[/]", None: "尚无仓库 no repository yet"}
    for each in told:
        costs = ", ".join(map(str, each["costs"]))
        table.add_row(each["system"], each["centre"], words[each["opens"]], costs, each["error"] or "")
    app.console.print(table)


@key.command("list")
@click.argument("target", required=False)
@centre_option
@output_option
@click.pass_obj
def list_(app: App, target: str | None, centre: str | None, output: str) -> None:
    """列出各仓库的密钥 the keys of each repository: one for each password that opens it."""
    told: list[dict[str, Any]] = []
    for place in _places(app, target, centre):
        repository = app.repository(place.centre, place.ref)
        if repository.exists():
            costs = repository.key_costs()
            told += [
                {"system": str(place.ref), "centre": place.centre, "key": each.id, "created": each.created,
                 "host": each.host, "cost": _cost_of(each.id, costs),
                 "ours": each.current}
                for each in repository.list_keys()
            ]  # fmt: skip
    if output == "json":
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for head in (
        "系统 system",
        "中心 centre",
        "密钥 key",
        "建于 created",
        "主机 host",
        "派生代价 cost N",
        "站点口令 the site's",
    ):
        table.add_column(head)
    for line in told:
        told_of = (line["system"], line["centre"], line["key"], line["created"], line["host"], str(line["cost"] or ""))
        table.add_row(*told_of, "✓" if line["ours"] else "")
    app.console.print(table)


def _cost_of(key: str, costs: dict[str, int]) -> int | None:
    """Return the cost of a key, of whose id restic may tell only the first digits."""
    return next((cost for each, cost in costs.items() if each.startswith(key)), None)


@key.command("make")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def make_(app: App, file: Path) -> None:
    """造一个口令文件 write a new password of 256 random bits, which nobody can guess, into FILE (0600).

    Repositories made with it open in milliseconds. An existing file is never overwritten.
    """
    if not write_once(file, make_password().reveal() + "\n"):
        raise Refused(
            f"{file} is there already: nothing was written",
            hint="tricenter key rotate TENANT replaces the password of repositories that exist",
        )
    app.console.print(f"写入 written: {file}")


@key.command("rotate")
@click.argument("tenant")
@click.option("--dry-run", is_flag=True, help="只说明 only say what would be done")
@click.option("--yes", is_flag=True, help="不再询问 do not ask")
@click.pass_obj
def rotate_(app: App, tenant: str, *, dry_run: bool, yes: bool) -> None:
    """更换租户口令，不重写数据 give a tenant a new password at all centres; no data is written again.

    The password's file opens every repository at every moment; killed or refused, run it again. All centres must
    answer: one password serves them all. The old one goes last, after the rescue bundles have the new one.
    """
    if tenant not in app.site.tenants:
        raise UnknownName("tenant", tenant, app.site.tenants)
    files, places = password_files(app, tenant), places_of(app, tenant)
    if not places:
        raise InvalidInput(f"{tenant} has no repository yet", hint="write another password into its file")
    begun = files.next.exists() or files.previous.exists()
    app.console.print(
        f"{'继续更换 carry on with' if begun else '更换 replace'} {files.current}: "
        f"{len(places)} 个仓库 repositories ({', '.join(map(str, places))})"
    )
    if dry_run:
        return
    if not yes:
        if not sys.stdin.isatty():
            raise Refused("nobody is there to confirm it", hint="look at it with --dry-run, then add --yes")
        if not click.confirm("继续? go on?", err=True):
            raise Refused("not confirmed: nothing was done")
    with app.progress_console.status("口令 password") as status:
        rotate(app, tenant, places, lambda: _bundle(app), lambda what, where: status.update(f"{what} {where}"))
    app.console.print(f"完成 done: {files.current}")


def _bundle(app: App) -> None:
    """Write the new password into the bundle of every vault: a rescue must not find only the old one."""
    if app.site.escrow is None or read_key(app.secrets_folder) is None:
        return
    for centre in app.site.vaults():
        app.runner.run(FLOW, {"centre": str(centre)})


def _places(app: App, target: str | None, centre: str | None) -> list[Place]:
    if centre is not None:
        app.vault(centre)
    return [
        Place(ref, each)
        for ref in app.systems(target)
        for each in copy_centres(ref)
        if centre is None or each == centre
    ]

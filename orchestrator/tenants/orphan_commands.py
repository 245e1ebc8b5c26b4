"""`tricenter tenant orphans`: what belongs to no project, to no tenant of the site, or was left by a drill."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from orchestrator.catalogue.leases import hold
from orchestrator.catalogue.lives import note_orphans
from orchestrator.cloud import identity
from orchestrator.cloud.connection import disconnect
from orchestrator.cloud.strays import Thing, things
from orchestrator.errors import InvalidInput, PartlyDone, Refused
from orchestrator.person import login_name
from orchestrator.tenants import showing
from orchestrator.tenants.drift_run import LEASE

if TYPE_CHECKING:
    from orchestrator.app import App

WHY = {
    "no-project": "所属项目已不存在 its project is gone",
    "no-tenant": "站点中没有此租户 the site has no such tenant",
    "drill": "演练遗留 left by a drill",
}


@dataclass(frozen=True, slots=True)
class Orphan:
    """Something that nobody answers for. `thing` is None for a domain: that is let go by off-boarding."""

    centre: str
    why: str
    told: str
    id: str
    ours: bool
    created_at: str = ""
    thing: Thing | None = None

    @property
    def removable(self) -> bool:
        """Whether it may be removed here: only what Tricenter made, and what no project can miss."""
        return self.ours and self.why == "no-project" and self.thing is not None

    def as_json(self) -> dict[str, Any]:
        told = {"centre": self.centre, "why": self.why, "what": self.told, "id": self.id}
        return {**told, "ours": self.ours, "created_at": self.created_at, "removable": self.removable}


@click.command("orphans")
@click.option("--centre", help="只看一个中心 this centre only")
@click.option("--remove", is_flag=True, help="删除可删的 remove what may be removed")
@click.option("--yes", is_flag=True, help="不再询问 do not ask")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", help="输出格式 how to print")
@click.pass_obj
def orphans_command(app: App, centre: str | None, remove: bool, yes: bool, output: str) -> None:
    """各云上无主之物 What belongs to no project, to no tenant of the site, or was left by a drill that is over.

    Without --remove nothing is written. With it only what Tricenter made and what belongs to no project any more is
    deleted. What a drill left goes with `tricenter drill release`, a tenant with `tricenter tenant offboard`.
    """
    clouds = app.site.clouds()
    if centre is not None and centre not in clouds:
        raise InvalidInput(f"{centre} has no cloud", hint=f"centres with one: {', '.join(map(str, clouds))}")
    found = [each for name in clouds if centre in (None, name) for each in _orphans_at(app, name)]
    if output == "json":
        showing.print_json(app.console, {"orphans": [each.as_json() for each in found]})
    else:
        _show(app, found)
    if remove:
        _remove(app, [each for each in found if each.removable], yes)


def _orphans_at(app: App, centre: str) -> list[Orphan]:
    cloud = app.new_cloud(centre)
    try:
        domains = identity.domains(cloud)
        there_are = identity.projects(cloud)
        projects = {each.id for each in there_are}
        there = things(cloud)
    finally:
        disconnect(cloud)
    strangers = [
        Orphan(centre, "no-tenant", f"domain {each.name}", each.id, True)
        for each in domains
        if each.ours and each.name not in app.site.tenants
    ]
    shared = {each.id for each in domains if not each.ours}
    strangers += [
        Orphan(centre, "no-tenant", f"project {each.name}", each.id, True)
        for each in there_are
        if each.ours and each.domain_id in shared and each.name not in app.site.tenants
    ]
    running = {each.id for each in app.catalogue.open_runs()}
    return [*strangers, *_stray(centre, there, projects, running)]


def _stray(centre: str, there: Collection[Thing], projects: Collection[str], running: Collection[str]) -> list[Orphan]:
    """Return which of these nobody answers for. Pure. What has no project at all belongs to the cloud itself."""
    found = []
    for each in there:
        if each.project_id and each.project_id not in projects:
            why = "no-project"
        elif each.drill and each.drill not in running:
            why = "drill"
        else:
            continue
        told = f"{each} ({each.drill})" if each.drill else str(each)
        found.append(Orphan(centre, why, told, each.id, each.ours, each.created_at, each))
    return found


def _show(app: App, found: Collection[Orphan]) -> None:
    from rich.table import Table

    if not found:
        app.console.print("没有无主之物 no orphans", markup=False)
        return
    table = Table("中心 centre", "何物 what", "缘由 why", "创建 created", "可删 removable")
    for each in found:
        table.add_row(each.centre, each.told, WHY[each.why], each.created_at, "✓" if each.removable else "")
    app.console.print(table)


def _remove(app: App, several: Collection[Orphan], yes: bool) -> None:
    if not several:
        app.progress_console.print("没有可删的 nothing to remove", markup=False)
        return
    if not yes and not sys.stdin.isatty():
        raise Refused("nobody is there to confirm", hint="look at the list, then add --yes")
    if not yes and not click.confirm(f"删除这 {len(several)} 项？ delete these {len(several)}?", err=True):
        raise Refused("not confirmed: nothing was deleted")
    left: list[str] = []
    with hold(app.catalogue, LEASE, f"orphans-{secrets.token_hex(4)}", exclusive=True):
        for each in several:
            try:
                assert each.thing is not None
                each.thing.delete()
                app.progress_console.print(f"- {each.told} @ {each.centre}", markup=False)
            except Refused as error:
                left.append(f"{each.told}: {error}")
        note_orphans(app.catalogue, [each.as_json() for each in several], login_name(), left)
    if left:
        raise PartlyDone("; ".join(left), hint="look at what holds them; the same command again deletes the rest")

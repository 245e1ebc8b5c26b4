"""`tricenter tenant rebuild`: what a backed-up definition says and a centre lacks is made there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from orchestrator.cloud import definition as definitions
from orchestrator.cloud.definition import Definition
from orchestrator.errors import CheckFailed, UnknownName
from orchestrator.tenants import showing
from orchestrator.tenants.applying import Applied, Program, apply, raise_for
from orchestrator.tenants.desired import CENTRES, Desired, Target
from orchestrator.tenants.looking import Looks, look
from orchestrator.tenants.planning import Action
from orchestrator.tenants.rebuilding import (
    differences,
    lacking,
    missing_key_pairs,
    moved,
    only_new,
    wanted_from,
)
from policies.addresses import networks_at
from policies.tiers import CentreName

if TYPE_CHECKING:
    from orchestrator.app import App

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Rebuild:
    """What is to be made: the definition as it is to be at the centre, what is wanted of it, and what was seen."""

    definition: Definition
    wanted: Desired
    looks: Looks
    key_pairs: tuple[Mapping[str, Any], ...]
    lacking: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            **showing.plan_json(self.looks),
            "key_pairs": [each["name"] for each in self.key_pairs],
            "lacking": list(self.lacking),
        }


def plan_rebuild(app: App, tenant: str, file: Path, centre: CentreName) -> Rebuild:
    """Look at a centre, and return what it lacks of a definition. Raises CheckFailed, UnknownName, Refused."""
    if tenant not in app.site.tenants:
        raise UnknownName("tenant", tenant, app.site.tenants)
    clouds = app.site.clouds()
    if centre not in clouds:
        raise UnknownName("centre with a cloud", centre, clouds)
    found = definitions.from_bytes(file.read_bytes())
    if found["project"]["name"] != tenant:
        raise CheckFailed(f"{file} is the definition of {found['project']['name']}, not of {tenant}")
    there_networks = networks_at(app.site.plans.values(), app.site.tenants[tenant], centre)
    definition = moved(found, there_networks)
    wanted = wanted_from(definition, Target(tenant, centre), clouds[centre].external_network)
    looks = look(cast(Program, app), [wanted])
    for error in looks.unreachable.values():
        raise error
    new = Looks(tuple(only_new(each) for each in looks.found), {})
    there = definitions.read_definition(app.tenant_cloud(centre, tenant))
    key_pairs = tuple(missing_key_pairs(definition, there))
    return Rebuild(definition, wanted, new, key_pairs, lacking(definition, there))


def carry_out_rebuild(app: App, plan: Rebuild, on_action: Callable[[Action], None]) -> tuple[Applied, tuple[str, ...]]:
    """Make what is missing, and return what became of it and what the centre has otherwise all the same."""
    applied = apply(cast(Program, app), plan.looks, on_action=on_action, choose=only_new)
    raise_for(applied)
    target = plan.wanted.target
    cloud = app.tenant_cloud(target.centre, target.tenant)
    for each in plan.key_pairs:
        definitions.create_key_pair(cloud, each["name"], each["type"], each["public_key"])
    return applied, differences(plan.definition, definitions.read_definition(cloud))


def rebuild_command(
    confirm: Callable[[int, bool], None], progress: Callable[[Any, Looks], AbstractContextManager[Callable[..., None]]]
) -> click.Command:
    """Return the command; how a plan is confirmed and followed is the same as of an apply."""

    @click.command("rebuild")
    @click.argument("tenant", metavar="TENANT")
    @click.option(
        "--definition",
        "file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        required=True,
        help="恢复出的 cloud.json the cloud.json that a restore has written",
    )
    @click.option("--to", "centre", type=click.Choice(CENTRES), required=True, help="在哪个中心重建 where to rebuild")
    @click.option("--yes", is_flag=True, help="不再询问 do not ask")
    @click.option("--dry-run", is_flag=True, help="只显示计划 show the plan and stop")
    @click.option("--output", type=click.Choice(["table", "json"]), default="table", help="输出格式 how to print")
    @click.pass_obj
    def rebuild(app: App, tenant: str, file: Path, centre: CentreName, yes: bool, dry_run: bool, output: str) -> None:
        """按备份的定义重建云上对象 Make what a backed-up definition says and a centre lacks.

        Networks, subnets, routers, security groups and key pairs. Nothing that is there is changed or deleted; at the
        end the centre is read again and compared: exit code 4 when it differs from the definition.
        """
        plan = plan_rebuild(app, tenant, file, centre)
        if dry_run or output == "table":
            _show(app, plan, output)
        if dry_run:
            return
        confirm(len(plan.looks.actions) + len(plan.key_pairs), yes)
        with progress(app, plan.looks) as on_action:
            applied, differs = carry_out_rebuild(app, plan, on_action)
        if output == "json":
            told = {**showing.applied_json(applied), "key_pairs": [each["name"] for each in plan.key_pairs]}
            showing.print_json(app.console, {**told, "differences": list(differs), "lacking": list(plan.lacking)})
        else:
            showing.print_applied(app.console, applied)
        if differs:
            raise CheckFailed(
                f"{plan.wanted.target} differs from the definition: {'; '.join(differs[:SHOWN])}",
                hint="what was there before is never changed: settle these by hand",
            )

    return rebuild


def _show(app: App, plan: Rebuild, output: str) -> None:
    if output == "json":
        showing.print_json(app.console, plan.as_json())
        return
    showing.print_plan(app.console, plan.looks)
    for pair in plan.key_pairs:
        app.console.print(f"+ key pair {pair['name']}", markup=False)
    if plan.lacking:
        app.console.print(
            f"不在此重建 not made by this: {', '.join(plan.lacking[:SHOWN])}", markup=False, soft_wrap=True
        )

"""`tricenter tenant rotate`: a new application credential for the service user, and the old one gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from orchestrator.errors import InvalidInput, PartlyDone, TricenterError, UnknownName
from orchestrator.tenants import showing
from orchestrator.tenants.desired import CENTRES
from orchestrator.tenants.rotating import ROTATE, Standing, standing
from policies.tiers import CentreName

if TYPE_CHECKING:
    from orchestrator.app import App


def rotate_command(confirm: Callable[[int, bool], None]) -> click.Command:
    """Return the command; it is confirmed as an apply is."""

    @click.command("rotate")
    @click.argument("tenant", metavar="TENANT")
    @click.option("--centre", type=click.Choice(CENTRES), help="只此中心 this centre only")
    @click.option("--yes", is_flag=True, help="不再询问 do not ask")
    @click.option("--dry-run", is_flag=True, help="只显示将做什么 show what would be done and stop")
    @click.option("--output", type=click.Choice(["table", "json"]), default="table", help="输出格式 how to print")
    @click.pass_obj
    def rotate(app: App, tenant: str, centre: CentreName | None, yes: bool, dry_run: bool, output: str) -> None:
        """更换租户服务账号的应用凭据 Give the tenant's service user a new application credential.

        The new one is proved by a login before it takes the old one's place, and the old one is deleted last. Killed
        at any moment, a credential that works is in place: run the same command again.
        """
        centres = _centres(app, tenant, centre)
        planned = {each: standing(app, tenant, each) for each in centres}
        if output == "table":
            _show(app, tenant, planned)
        if dry_run:
            if output == "json":
                showing.print_json(app.console, [_row(tenant, each, planned[each]) for each in centres])
            return
        confirm(len(centres), yes)
        rows, errors = [], []
        for each in centres:
            with app.progress_console.status(f"{tenant} @ {each}"):
                try:
                    done = app.runner.run(ROTATE, {"tenant": tenant, "centre": each})
                    rows.append({**_row(tenant, each, planned[each]), **done, "error": None})
                except TricenterError as error:
                    errors.append(error)
                    rows.append({**_row(tenant, each, planned[each]), "error": str(error)})
        _report(app, rows, output)
        _raise(tenant, errors, len(centres))

    return rotate


def _centres(app: App, tenant: str, centre: CentreName | None) -> list[CentreName]:
    if tenant not in app.site.tenants:
        raise UnknownName("tenant", tenant, app.site.tenants)
    clouds = app.site.clouds()
    if centre and centre not in clouds:
        raise InvalidInput(f"{centre} has no cloud, and so no credential to rotate", hint=f"one of {', '.join(clouds)}")
    return [centre] if centre else list(clouds)


def _row(tenant: str, centre: str, before: Standing) -> dict[str, Any]:
    return {"tenant": tenant, "centre": centre, "old": before.current, "left": [each.id for each in before.left]}


def _show(app: App, tenant: str, planned: dict[CentreName, Standing]) -> None:
    for centre, before in planned.items():
        app.console.print(Text(f"{tenant} @ {centre}", style="bold"))
        app.console.print(Text(f"  ~ rotate application credential {before.current or '(none works)'}", style="yellow"))
        for each in before.left:
            told = f"  - delete application credential {each.id} ({each.name}), left by an interrupted rotation"
            app.console.print(Text(told, style="red"), soft_wrap=True)


def _report(app: App, rows: list[dict[str, Any]], output: str) -> None:
    if output == "json":
        showing.print_json(app.console, rows)
        return
    for row in rows:
        if row["error"]:
            told = Text(f"✗ {row['tenant']} @ {row['centre']}: {row['error']}", style="red")
        else:
            gone = f", {len(row['deleted'])} deleted"
            told = Text(f"✓ {row['tenant']} @ {row['centre']}: {row['credential']}{gone}", style="green")
        app.console.print(told, soft_wrap=True)


def _raise(tenant: str, errors: list[TricenterError], count: int) -> None:
    if errors and len(errors) == count:
        raise errors[0]
    if errors:
        raise PartlyDone(
            f"{tenant}: {len(errors)} of {count} centres kept the old credential: {errors[0]}",
            hint="run the same command again",
        )

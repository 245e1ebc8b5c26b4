"""`tricenter tenant request apply`: approved requests become files of the site, and then tenants at the clouds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from orchestrator.catalogue.requests import StoredRequest, mark_applied, read_request, read_requests
from orchestrator.errors import PartlyDone, Refused
from orchestrator.person import login_name
from orchestrator.tenants.desired import all_desired
from orchestrator.tenants.request_deciding import request_of
from orchestrator.tenants.request_writing import Writing, plan_writing, write_tenants

if TYPE_CHECKING:
    from orchestrator.app import App


def carrying_command(apply_command: click.Command, confirm: Callable[[int, bool], None]) -> click.Command:
    """Return the command; the tenants are built by the same command that builds any."""

    @click.command("apply")
    @click.argument("request_ids", nargs=-1, metavar="[ID]...")
    @click.option("--all-approved", is_flag=True, help="全部已批准的 all that are approved")
    @click.option("--yes", is_flag=True, help="不再询问 do not ask")
    @click.option("--dry-run", is_flag=True, help="只显示计划 show what would be written and stop")
    @click.pass_context
    def carry_out(
        context: click.Context, request_ids: tuple[str, ...], all_approved: bool, yes: bool, dry_run: bool
    ) -> None:
        """把已批准的申请写入站点并开通 Write approved requests into the site, and build their tenants.

        May be repeated and interrupted: what is written stays, and what is built is not built again.
        """
        app: App = context.obj
        if bool(request_ids) is all_approved:
            raise click.UsageError("give the IDs of requests, or --all-approved")
        rows = _chosen(app, request_ids)
        assert app.site  # before anything is done: the site as it is must be valid
        assert app.site_folder is not None
        plan = plan_writing({row.tenant: request_of(row) for row in rows}, app.site_folder, app.overlay)
        _show(app, plan)
        if not dry_run:
            confirm(len(plan.fresh), yes)
            write_tenants(plan.fresh, app.site_folder, app.overlay)
        elif not plan.wrong:
            return
        names = [] if dry_run else [*plan.fresh, *plan.there]
        if names:
            context.obj = fresh = type(app)(app.site_folder, app.overlay, debug=app.debug)
            try:
                context.invoke(
                    apply_command,
                    tenants=tuple(names), centre=None, yes=yes, dry_run=False, allow_destroy=False, output="table",
                )  # fmt: skip
            finally:
                _mark(fresh, [row for row in rows if row.tenant in names])
        if plan.wrong:
            raise PartlyDone(
                f"{len(plan.wrong)} of {len(rows)} request(s) cannot be carried out: {', '.join(plan.wrong)}",
                hint="what is wrong stands above",
            )

    return carry_out


def _chosen(app: App, request_ids: Sequence[str]) -> list[StoredRequest]:
    if not request_ids:
        return read_requests(app.catalogue, ["approved"])
    rows = [read_request(app.catalogue, each) for each in dict.fromkeys(request_ids)]
    for row in rows:
        if row.state not in ("approved", "applied"):
            raise Refused(f"the request {row.id} of {row.tenant} is {row.state}", hint="it must be approved first")
    return rows


def _show(app: App, plan: Writing) -> None:
    for name in plan.fresh:
        app.console.print(f"+ tenants/{name}.yaml", markup=False)
    for name in plan.there:
        app.console.print(f"= tenants/{name}.yaml 已在 there already", markup=False)
    for name, why in plan.wrong.items():
        app.console.print(f"! {name}: {why}", markup=False, soft_wrap=True)


def is_settled(app: App, tenant: str) -> bool:
    """Return whether at every centre of a tenant nothing is left to do."""
    settled = {each.centre for each in app.catalogue.tenant_centres() if each.tenant == tenant and not each.pending}
    return all(each.target.centre in settled for each in all_desired(app.site, [tenant], None))


def _mark(app: App, rows: Sequence[StoredRequest]) -> None:
    """Remember which requests are carried out."""
    for row in rows:
        if row.state != "applied" and is_settled(app, row.tenant):
            mark_applied(app.catalogue, row.id, login_name())
            app.console.print(f"{row.id}  {row.tenant}  已开通 applied", markup=False)

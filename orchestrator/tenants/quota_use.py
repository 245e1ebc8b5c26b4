"""What tenants use of their quotas at a centre: asked when drift is looked for, kept in the catalogue."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from orchestrator.catalogue.database import now
from orchestrator.catalogue.quota_uses import QuotaUse, record_quota_uses
from orchestrator.cloud import quota_use
from orchestrator.cloud.connection import disconnect
from orchestrator.engine.port import Run
from orchestrator.tenants.drift_run import Town
from orchestrator.tenants.homes import projects_of
from orchestrator.tenants.looking import Centres


def ask_uses(centres: Centres, centre: str, tenants: Collection[str]) -> list[QuotaUse]:
    """Return what these tenants use at a centre. Those that are not there, or not ours, are left out.

    Three requests for each tenant, four where there are shared file systems. Raises Unreachable and CredentialRefused.
    """
    clouds = centres.site.clouds()
    if centre not in clouds:
        return []
    connection = centres.new_cloud(centre)
    try:
        return [
            QuotaUse(tenant, centre, each.service, each.resource, each.used, each.limit)
            for tenant, project in projects_of(connection, clouds[centre].tenancy, tenants).items()
            for each in quota_use.uses(connection, project)
        ]
    finally:
        disconnect(connection)


def see_uses(run: Run, program: Town, centre: str) -> None:
    """See what the site's tenants use at a centre, and remember it in place of what was seen before."""
    tenants = sorted(program.site.tenants)
    uses = run.attempt("quota-use", lambda: ask_uses(program, centre, tenants))
    record_quota_uses(program.catalogue, centre, uses, now())


def by_target(uses: Sequence[QuotaUse]) -> dict[tuple[str, str], dict[tuple[str, str], QuotaUse]]:
    """Return uses by tenant and centre, and there by service and resource."""
    found: dict[tuple[str, str], dict[tuple[str, str], QuotaUse]] = {}
    for each in uses:
        found.setdefault((each.tenant, each.centre), {})[each.service, each.resource] = each
    return found

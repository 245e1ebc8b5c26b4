"""`tricenter scenario`: what is lost if centres are lost now, or at any time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import click

from orchestrator.catalogue.database import now
from orchestrator.catalogue.scenario import read_statement
from orchestrator.errors import CheckFailed, InvalidInput, UnknownName
from orchestrator.server.scenario_answer import as_json
from orchestrator.server.scenario_show import render
from policies.site import Site
from policies.windows import zone

if TYPE_CHECKING:
    from orchestrator.app import App


@click.command()
@click.argument("system", metavar="[TENANT[/SYSTEM]]", required=False)
@click.option("--lose", metavar="CENTRE[,CENTRE]", required=True, help="失守的中心 the centres that are lost")
@click.option("--at", "moment", metavar="TIME", help="失守时刻 when, in the site's zone: '2026-11-23 03:00'; else now")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_obj
def scenario(app: App, system: str | None, lose: str, moment: str | None, output: Literal["table", "json"]) -> int:
    """灾损测算：此刻失去这些中心，丢什么、从哪恢复、多久。

    What is lost if centres are lost now: where each system would be recovered, how much work is lost, in what order
    the systems come back and when. Reads the catalogue and the site only, and changes nothing. Exit code 4 when any
    system would be lost, would miss an objective, would be left without a copy, or was never drilled; 0 otherwise.
    """
    lost, read_at = _centres(app.site, lose), now()
    at = _moment(app.site, moment) if moment else read_at
    chosen = {(ref.tenant.tenant, ref.name) for ref in app.systems(system)}
    statement = read_statement(app.site, app.catalogue, lost, at, read_at).only(chosen)
    if output == "json":
        click.echo(json.dumps(as_json(statement, app.site), ensure_ascii=False, indent=2))
    else:
        app.console.print(render(statement, app.site))
    return 0 if statement.holds else CheckFailed.exit_code


def _centres(site: Site, text: str) -> frozenset[str]:
    names = [each.strip() for each in text.split(",") if each.strip()]
    if not names:
        raise InvalidInput("--lose names no centre", hint=f"--lose {next(iter(site.centres))}")
    for name in names:
        if name not in site.centres:
            raise UnknownName("centre", name, site.centres)
    return frozenset(names)


def _moment(site: Site, text: str) -> datetime:
    """Return the moment that a person wrote; without a zone it is in the site's."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is no time", hint="write it as '2026-11-23 03:00'") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone(site.timezone))).astimezone(UTC)

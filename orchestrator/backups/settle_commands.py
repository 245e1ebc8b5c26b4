"""`tricenter backup settle`: a person says whether recovery points are good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.backups import show
from orchestrator.backups.options import dry_run_option, output_option
from orchestrator.catalogue.records import PointAt
from orchestrator.catalogue.suspicions import open_suspects, settle
from orchestrator.errors import UnknownName
from orchestrator.person import login_name
from policies.site import SystemRef
from policies.suspicion import Standing

if TYPE_CHECKING:
    from orchestrator.app import App

ALL = "all"


@click.command("settle")
@click.argument("system")
@click.option(
    "--point", "points", multiple=True, required=True,
    help="恢复点，可多次；all 为全部未裁定的 a recovery point, may be repeated; all: every suspect one",
)  # fmt: skip
@click.option("--good/--bad", "good", default=None, required=True, help="可信，或不可用 it is good, or it is bad")
@click.option("--reason", required=True, help="依据 what was looked at, and what was found")
@dry_run_option
@output_option
@click.pass_obj
def settle_(
    app: App, system: str, points: tuple[str, ...], good: bool, reason: str, dry_run: bool, output: str
) -> None:
    """裁定可疑的恢复点 say whether recovery points are good, after somebody has looked at them.

    A good one counts like any other again. A bad one is never used unless it is named, and retention forgets it a week
    after. Any point may be settled, also one that nothing had made suspect, and again: the last word holds. Who said
    what, and why, stands in the audit chain.
    """
    ref = app.system(system)
    chosen = _chosen(app, ref, points)
    verdict = Standing.GOOD if good else Standing.BAD
    if not dry_run and chosen:
        settle(app.catalogue, chosen, verdict, reason=reason, by=login_name())
        app.ledger.sealer.now()
    left = [each for each in _at_any_centre(open_suspects(app.catalogue, *_key(ref))) if each not in chosen]
    if output == "json":
        state = "planned" if dry_run else "done"
        told = {"system": str(ref), "state": state, "verdict": str(verdict), "points": chosen, "suspects": left}
        show.print_json(app.console, told)
        return
    how = "将裁定 would settle" if dry_run else "已裁定 settled"
    for each in chosen:
        app.console.print(f"{how} {show.STANDINGS[verdict] or '[green]可信 good[/]'} {each}")
    if not chosen:
        app.console.print("没有可疑的恢复点 no point is suspect")
    if left:
        app.console.print(f"仍待裁定，期间不清理 still suspect, and nothing is forgotten meanwhile: {', '.join(left)}")


def _chosen(app: App, ref: SystemRef, points: tuple[str, ...]) -> list[str]:
    """Return the ids that are meant. Raises UnknownName for one that the system does not have."""
    if ALL in points:
        return _at_any_centre(open_suspects(app.catalogue, *_key(ref)))
    known = [each.id for each in app.catalogue.points(*_key(ref))]
    for each in points:
        if each not in known:
            raise UnknownName(f"recovery point of {ref}", each, known[:20])
    return list(dict.fromkeys(points))


def _at_any_centre(found: list[PointAt]) -> list[str]:
    return list(dict.fromkeys(each.point.id for each in found))


def _key(ref: SystemRef) -> tuple[str, str]:
    return ref.tenant.tenant, ref.name

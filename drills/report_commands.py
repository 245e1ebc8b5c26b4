"""`tricenter drill report|sign|pack`: what a drill leaves for those who were not there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from drills.pack.build import build_pack, digest_in, write_pack
from drills.report.complete import complete_document
from drills.report.period import period_report, write_period
from drills.report.render import signed_digest, write_report
from orchestrator.catalogue import audit
from orchestrator.catalogue.board import read_board
from orchestrator.catalogue.corrections import ROLES, sign
from orchestrator.catalogue.database import writing
from orchestrator.person import login_name

if TYPE_CHECKING:
    from orchestrator.app import App

DAY = click.DateTime(["%Y-%m-%d"])

#: The roles as their names in either language.
ROLE_NAMES = {"编制": "prepared", "审核": "reviewed", "批准": "approved"} | {each: each for each in ROLES}


@click.command("report")
@click.argument("drill_id", metavar="[ID]", required=False)
@click.option("--from", "first", type=DAY, help="期间报告的第一天 the first day of a period: YYYY-MM-DD")
@click.option("--to", "last", type=DAY, help="期间报告的最后一天 its last day; today when not given")
@click.option("--pdf/--no-pdf", default=True, show_default=True, help="同时生成 PDF also as PDF")
@click.pass_obj
def report(app: App, drill_id: str | None, first: datetime | None, last: datetime | None, pdf: bool) -> None:
    """由记录生成一次演练或一段期间的报告，并给出路径。

    Make the report of a drill, or of all drills of a period, from the rows, and print its paths: HTML, and PDF.
    """
    if (drill_id is None) is (first is None):
        raise click.UsageError("give the ID of a drill, or --from (and --to)")
    folder = app.state / "reports"
    if drill_id is not None:
        document = complete_document(app.catalogue, drill_id)
        path = write_report(folder, document, pdf=pdf)
    else:
        assert first is not None
        begin, now = first.astimezone(), datetime.now(UTC)
        end = (last.astimezone() if last else now.astimezone()).replace(hour=0, minute=0, second=0, microsecond=0)
        board = read_board(app.site, app.catalogue, now)
        path = write_period(folder, period_report(board, app.catalogue, begin, end + timedelta(days=1)), pdf=pdf)
    click.echo(path)
    if pdf:
        click.echo(path.with_suffix(".pdf"))


@click.command("sign")
@click.argument("drill_id", metavar="ID")
@click.option("--role", type=click.Choice(list(ROLE_NAMES)), required=True, help="角色 three roles, three persons")
@click.pass_obj
def sign_(app: App, drill_id: str, role: str) -> None:
    """签署演练报告：编制、审核、批准，三人各一。

    Sign the report of a drill: prepared, reviewed, approved, by three different persons. What is signed is the digest
    of what the drill found; the signature stands in the report and in the audit chain, and is not taken back.
    """
    document = complete_document(app.catalogue, drill_id)
    made = sign(app.catalogue, drill_id, ROLE_NAMES[role], login_name(), signed_digest(document))
    app.ledger.sealer.now()
    write_report(app.state / "reports", complete_document(app.catalogue, drill_id))
    click.echo(f"{made.drill}  {made.role}  {made.person}  {made.digest}")


@click.command("pack")
@click.argument("drill_id", metavar="ID")
@click.option("--to", "target", type=click.Path(path_type=Path, dir_okay=False), help="写到哪里 where to write it")
@click.pass_obj
def pack(app: App, drill_id: str, target: Path | None) -> None:
    """生成证据包：记录、报告、审批、审计链片段与校验程序。

    Write the evidence pack of a drill: one zip with everything about it, and a verifier that needs only Python:
    `python3 verify.py PACK.zip`. Keep the digest that is printed apart from the pack. That it was made is told in the
    audit chain.
    """
    audit.seal(app.catalogue.engine, app.site.audit.digest, wait=True)
    made = build_pack(app.catalogue, complete_document(app.catalogue, drill_id))
    path = target or app.state / "packs" / f"{drill_id}.zip"
    write_pack(path, made)
    digest = digest_in(made)
    with writing(app.catalogue.engine) as db:
        told = {"drill": drill_id, "digest": digest, "by": login_name()}
        audit.note(db, "pack", None, datetime.now(UTC), told)
    app.ledger.sealer.now()
    click.echo(path)
    click.echo(digest)


COMMANDS = (report, sign_, pack)

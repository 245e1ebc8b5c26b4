"""`tricenter db`: which version the catalogue's tables have, and bringing them to the newest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import click

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import open_engine, shown_url
from orchestrator.catalogue.migrating import Step, read_version, refuse_newer, steps_from, upgrade

if TYPE_CHECKING:
    from orchestrator.app import App

STATE_NAMES = {
    "empty": "空库 empty: made when it is first used",
    "current": "最新 current",
    "old": "需升级 old: tricenter db upgrade",
    "newer": "由更新的程序写成 newer than this program",
}


@click.group()
def db() -> None:
    """目录数据库 The catalogue's database: its version, and upgrading it."""


@db.command()
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="格式 format")
@click.pass_obj
def status(app: App, output: Literal["text", "json"]) -> None:
    """数据库版本 Show where the database is and which version its tables have. Changes nothing."""
    found = read_version(open_engine(app.database_url))
    report = _report(app.database_url, found)
    if output == "json":
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
        return
    click.echo(f"数据库 database  {report['database']}")
    click.echo(f"版本 version     {'-' if found is None else found} / {t.SCHEMA_VERSION}")
    click.echo(f"状态 state       {STATE_NAMES[report['state']]}")


@db.command("upgrade")
@click.option("--dry-run", is_flag=True, help="只列出步骤 only say which steps there are")
@click.pass_obj
def upgrade_(app: App, dry_run: bool) -> None:
    """升级数据库 Bring the tables to this program's version. May be repeated; all of it happens, or nothing.

    End servers, workers and commands of the older program first; what they had queued or running is ended as
    interrupted. Make a backup of the database before.
    """
    engine = open_engine(app.database_url)
    if dry_run:
        found = read_version(engine)
        refuse_newer(found or 0)
        _tell("要做 to do", steps_from(found))
        return
    _tell("已做 done", upgrade(engine))
    app.upgrade_engine()
    click.echo(f"最新 current: version {t.SCHEMA_VERSION}")


def _report(url: str, found: int | None) -> dict[str, Any]:
    newer = found is not None and found > t.SCHEMA_VERSION
    steps = () if newer else steps_from(found)
    state = "empty" if found is None else "newer" if newer else "old" if steps else "current"
    return {
        "database": shown_url(url),
        "version": found,
        "known": t.SCHEMA_VERSION,
        "state": state,
        "steps": [{"version": each.version, "what": each.what} for each in steps],
    }


def _tell(what: str, steps: tuple[Step, ...]) -> None:
    for each in steps:
        click.echo(f"{what}  {each.version}: {each.what}")
    if not steps:
        click.echo("无需升级 nothing to do")

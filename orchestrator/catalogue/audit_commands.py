"""`tricenter audit`: the audit chain, shown and checked."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import click

from orchestrator.catalogue import audit
from orchestrator.catalogue.audit_check import Checked, check, entries, head
from orchestrator.errors import CheckFailed

if TYPE_CHECKING:
    from orchestrator.app import App

_output = click.option("--output", type=click.Choice(["text", "json"]), default="text", help="格式 format")
Output = Literal["text", "json"]


@click.group("audit")
def audit_() -> None:
    """审计链：步骤、审批、演练结论、整改与配置变更，只增不改。

    The audit chain: attempts, approvals, ends of runs, drills, findings and changes of the configuration, append-only.
    """


def _anchors(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[int, str]:
    found = {}
    for each in values:
        number, _, digest = each.partition(":")
        if not number.isdigit() or ":" not in digest:
            raise click.BadParameter(f"{each!r}: want NUMBER:ALGORITHM:HEX, as `tricenter audit head` prints it")
        found[int(number)] = digest
    return found


@audit_.command()
@click.option(
    "--anchor", "anchors", multiple=True, callback=_anchors, metavar="NUMBER:DIGEST",
    help="另处保存的摘要 a digest that was kept elsewhere; may be repeated",
)  # fmt: skip
@_output
@click.pass_obj
def verify(app: App, anchors: dict[int, str], output: Output) -> None:
    """从头核对整条链，指出第一处改动。

    Walk the whole chain, hold it against the rows that it tells of, and name the first entry that is not as it was
    written. Exit code 4 when there is one. A tail that was cut off can only be seen by who kept its digest: --anchor.
    """
    audit.seal(app.catalogue.engine, app.site.audit.digest, wait=True)
    checked = check(app.catalogue, anchors)
    if output == "json":
        click.echo(json.dumps(asdict(checked), default=_plain, ensure_ascii=False, indent=2))
    else:
        _tell(checked)
    if checked.broken:
        broken = checked.broken
        raise CheckFailed(
            f"audit entry {broken.number} ({broken.kind}): {broken.what}",
            hint="compare with the evidence packs and with the digests that were kept elsewhere",
        )


@audit_.command()
@click.option("--run", "run_id", metavar="RUN", help="只看一个任务 of one run")
@click.option(
    "--last", type=click.IntRange(1, 10_000), default=50, show_default=True, help="最近几条 the newest so many"
)
@_output
@click.pass_obj
def show(app: App, run_id: str | None, last: int, output: Output) -> None:
    """列出审计记录 list entries, the oldest first."""
    audit.seal(app.catalogue.engine, app.site.audit.digest, wait=True)
    told = entries(app.catalogue.engine, run=run_id, newest=last)
    if output == "json":
        values = [{**each.content, "digest": each.digest} for each in told]
        click.echo(json.dumps(values, ensure_ascii=False, indent=2))
        return
    for each in told:
        what = " ".join(f"{key}={value}" for key, value in each.body.items() if key in SHOWN and value is not None)
        line = f"{each.number:>8}  {each.at.astimezone():%F %T}  {each.kind:<10} {each.run or '-'}  {what}"
        app.console.print(line, markup=False, soft_wrap=True)


@audit_.command("head")
@_output
@click.pass_obj
def head_(app: App, output: Output) -> None:
    """最新的编号与摘要，请另处保存 the newest number and digest: to be kept in other hands."""
    audit.seal(app.catalogue.engine, app.site.audit.digest, wait=True)
    number, digest = head(app.catalogue.engine)
    click.echo(json.dumps({"number": number, "digest": digest}) if output == "json" else f"{number}:{digest}")


#: What a line shows of an entry's body.
SHOWN = (
    "step", "outcome", "error_type", "flow", "subject", "state", "requested_by", "topic", "by", "verdict", "tenant",
    "system", "role", "person", "digest", "key", "up_to", "point", "to",
)  # fmt: skip


def _tell(checked: Checked) -> None:
    click.echo(f"记录 entries    {checked.entries} ({checked.first}–{checked.last})")
    if checked.oldest:
        click.echo(f"最早 oldest     {checked.oldest.astimezone():%F %T}")
    click.echo(f"核对 rows held  {checked.rows}")
    click.echo(f"未封 unsealed   {checked.unsealed}")
    click.echo(f"摘要 head       {checked.last}:{checked.head}")
    if not checked.broken:
        click.echo("未被改动 as it was written")


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)

"""`tricenter monitoring rules`, `alerts`: for who has installed the program and not its repository."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import click

from exporters.files import DOCS, checked_url, write_files
from exporters.rules import write
from exporters.rules.burn import TARGET

RULES, ROUTES = "tricenter.rules.yml", "alertmanager.example.yml"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option(
    "--docs", metavar="URL", default=DOCS, show_default=True,
    help="文档地址：手册链接由此开始 where the documents are: links begin with it",
)  # fmt: skip
@click.option(
    "--target", type=click.FloatRange(0.5, 1, max_open=True), default=TARGET, show_default=True,
    help="RPO 达标时间占比 the share of the time that RPOs shall be kept: the rest is the budget",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="只说明会写什么 say what would be written, and write nothing")
def rules(folder: Path | None, docs: str, target: float, dry_run: bool) -> None:
    """写出规则与 Alertmanager 示例 Write rules for Prometheus and an example for Alertmanager into FOLDER.

    Without FOLDER the rules are printed. A file that is there already is replaced, but for the example: that is yours.
    """
    text = write.rules_file(docs=checked_url("docs", docs), target=target)
    if folder is None:
        click.echo(text, nl=False)
        return
    files = {RULES: text}
    if not (folder / ROUTES).exists():
        files[ROUTES] = (resources.files("exporters.rules") / ROUTES).read_text(encoding="utf-8")
    if not dry_run:
        write_files(folder, files)
    for name in files:
        click.echo(f"{'会写 would write' if dry_run else '已写 written'}  {folder / name}")


@click.command()
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="格式 format")
def alerts(output: str) -> None:
    """列出全部告警：级别、处置手册 Every alert: its severity, what it says, its runbook."""
    if output == "json":
        values = [
            {**each.labels, "name": each.name, "description": each.description, "runbook": f"{each.runbook}.md"}
            for each in write.alerts()
        ]
        click.echo(json.dumps(values, ensure_ascii=False, indent=2))
        return
    for each in write.alerts():
        click.echo(f"{each.severity:<9} {each.name:<32} {each.runbook}.md")

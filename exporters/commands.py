"""`tricenter monitoring`: the rules for Prometheus, for who has installed the program and not its repository."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import click

from exporters.rules.burn import TARGET
from exporters.rules.write import RUNBOOKS, alerts, rules_file
from orchestrator.errors import InvalidInput

RULES, ROUTES = "tricenter.rules.yml", "alertmanager.example.yml"


@click.group()
def monitoring() -> None:
    """监控：告警规则与录制规则 alerting and recording rules, and what each alert means."""


@monitoring.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option(
    "--runbooks", metavar="URL", default=RUNBOOKS, show_default=True, envvar="TRICENTER_RUNBOOKS", show_envvar=True,
    help="处置手册所在地址 where the pages of docs/runbooks are served",
)  # fmt: skip
@click.option(
    "--target", type=click.FloatRange(0.5, 1, max_open=True), default=TARGET, show_default=True,
    help="RPO 达标时间占比 the share of the time that RPOs shall be kept: the rest is the budget",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="只说明会写什么 say what would be written, and write nothing")
def rules(folder: Path | None, runbooks: str, target: float, dry_run: bool) -> None:
    """写出规则与 Alertmanager 示例；不给 FOLDER 则把规则打印出来。

    Write the rules and an example of Alertmanager's configuration into FOLDER; without it print the rules. A file that
    is there already is replaced, but for the example: that is yours to change.
    """
    text = rules_file(runbooks=runbooks, target=target)
    if folder is None:
        click.echo(text, nl=False)
        return
    example = (resources.files("exporters.rules") / ROUTES).read_text(encoding="utf-8")
    wanted = {folder / RULES: text, folder / ROUTES: example}
    if (folder / ROUTES).exists():
        del wanted[folder / ROUTES]
    for file, content in wanted.items():
        if not dry_run:
            _write(file, content)
        click.echo(f"{'会写 would write' if dry_run else '已写 written'}  {file}")


def _write(file: Path, content: str) -> None:
    """Replace a file as a whole: Prometheus may read it at any moment."""
    draft = file.with_name(f".{file.name}.draft")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(content, encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror}", hint="name a folder of your own") from None


@monitoring.command("alerts")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="格式 format")
def alerts_(output: str) -> None:
    """列出全部告警：级别、含义、处置手册 every alert: severity, what it says, its runbook."""
    if output == "json":
        values = [
            {**each.labels, "name": each.name, "description": each.description, "runbook": f"{each.runbook}.md"}
            for each in alerts()
        ]
        click.echo(json.dumps(values, ensure_ascii=False, indent=2))
        return
    for each in alerts():
        click.echo(f"{each.severity:<9} {each.name:<32} {each.runbook}.md")

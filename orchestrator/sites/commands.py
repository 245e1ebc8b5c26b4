"""Commands about the site folder itself: look at it, start one, and its schemas for editors."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from orchestrator.errors import InvalidInput
from orchestrator.sites.starter import write_starter
from policies.findings import Finding
from policies.load import Checked, check_site
from policies.schema import MODELS, Kind
from policies.schema import schema as json_schema

if TYPE_CHECKING:
    from orchestrator.app import App

COLOURS = {"fault": "red", "warning": "yellow", "note": "cyan"}
SEVERITY_NAMES = {"fault": "错误 fault", "warning": "警告 warning", "note": "提示 note"}

_folder = click.Path(path_type=Path)
_file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("site", type=_folder, required=False)
@click.option("--overlay", type=_file, help="覆盖文件 YAML laid over the site folder.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_obj
def validate(app: App, site: Path | None, overlay: Path | None, output: str) -> None:
    """检查站点文件夹 Check a site folder and show all its faults at once."""
    folder = site or app.site_folder
    if folder is None:
        raise InvalidInput("no site folder is named", hint="tricenter validate DIR, or --site DIR, or TRICENTER_SITE")
    checked = check_site(folder, overlay or _overlay_of(app, folder))
    if output == "json":
        click.echo(json.dumps(_report(checked), ensure_ascii=False, indent=2))
    else:
        _show(checked)
    if checked.site is None:
        click.get_current_context().exit(InvalidInput.exit_code)


def _overlay_of(app: App, folder: Path) -> Path | None:
    """Return the overlay in use when it belongs to this folder: laid over another site it would only bring faults."""
    same = app.site_folder is not None and app.site_folder.resolve() == folder.resolve()
    return app.overlay if same else None


@click.command()
@click.argument("directory", metavar="DIR", type=_folder)
def init(directory: Path) -> None:
    """新建站点文件夹 Write a commented starter site into DIR, which must be empty or not there yet."""
    for file in write_starter(directory):
        click.echo(str(file))
    click.echo(f"已建立 done. 下一步 next: tricenter validate {directory}")


@click.command()
@click.argument("kind", type=click.Choice(list(MODELS)), required=False)
def schema(kind: str | None) -> None:
    """JSON 模式 Print the JSON Schema of one kind of file, for editors; of all kinds when none is named."""
    every: dict[str, Any] = {each: json_schema(each) for each in MODELS}
    click.echo(json.dumps(json_schema(cast("Kind", kind)) if kind else every, ensure_ascii=False, indent=2))


def _counts(checked: Checked) -> dict[str, Any]:
    site = checked.site
    if site is None:
        return {}
    tiers = Counter(each.tier.tier for each in site.systems())
    return {
        "centres": len(site.centres),
        "tenants": len(site.tenants),
        "systems": tiers.total(),
        "systems_by_tier": dict(sorted(tiers.items())),
        "plans": len(site.plans),
    }


def _report(checked: Checked) -> dict[str, Any]:
    found = [{**asdict(each), "file": str(each.file)} for each in checked.findings]
    name = checked.site.site if checked.site else None
    return {"site": name, "valid": checked.site is not None, **_counts(checked), "findings": found}


def _show(checked: Checked) -> None:
    """Print the findings, one a line, and what they come to."""
    for each in checked.findings:
        _line(f"{SEVERITY_NAMES[each.severity]}  ", COLOURS[each.severity], _told(each, checked.folder))
    if checked.site is None:
        counted = _plural(len(checked.faults), "fault")
        _line("无效 invalid  ", "red", f"{checked.folder}: {len(checked.faults)} 处错误 {counted}")
        return
    counts = _counts(checked)
    tiers = ", ".join(f"{name} {count}" for name, count in counts["systems_by_tier"].items())
    told = ", ".join(
        (
            f"{counts['centres']} 个中心 centres",
            f"{counts['tenants']} 个租户 tenants",
            f"{counts['systems']} 个系统 systems ({tiers or '-'})",
            f"{counts['plans']} 个预案 plans",
        )
    )
    _line("有效 valid  ", "green", f"{checked.site.site}: {told}")


def _told(finding: Finding, folder: Path) -> str:
    inside = finding.file.is_relative_to(folder) and finding.file != folder
    file = finding.file.relative_to(folder) if inside else finding.file
    said: Iterable[str] = (
        f"{file}:{finding.line}",
        finding.path,
        f"got {finding.got}",
        f"want {finding.want}",
        f"({finding.hint})" if finding.hint else "",
    )
    return "  ".join(each for each in said if each)


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def _line(head: str, colour: str, rest: str) -> None:
    """Print one line, coloured on a terminal and plain elsewhere; never broken, so that it can be searched."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.text import Text

        Console().print(Text.assemble((head, f"bold {colour}"), rest), soft_wrap=True)
    else:
        click.echo(f"{head}{rest}")

"""`tricenter tenant request`: a bureau asks for a place on the cloud."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.catalogue.requests import OPEN, read_requests
from orchestrator.errors import InvalidInput, Refused
from orchestrator.tenants.request_form import write_form
from orchestrator.tenants.requesting import Judged, Read, read_and_check
from policies.request import Request

if TYPE_CHECKING:
    from orchestrator.app import App

output_option = click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", help="输出格式 how to print"
)
files_argument = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FILE..."
)


@click.group("request")
def request_group() -> None:
    """入云申请：表单、检查、批准、开通、移交 Requests of bureaus: form, checks, approval, carrying out, hand-over."""


@request_group.command("template")
@click.option(
    "--output-file", "file", type=click.Path(dir_okay=False, path_type=Path), required=True, help="写到哪里 where to"
)
@click.pass_obj
def template_command(app: App, file: Path) -> None:
    """写出空白申请表（.xlsx），含说明与下拉选项 Write the empty form, with explanations and lists to choose from."""
    try:
        write_form(file, app.site if app.site_folder else None)
    except FileExistsError as error:
        raise Refused(f"{file} is there already", hint="name a file that is not") from error
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror}") from error
    app.console.print(f"{file}", markup=False, soft_wrap=True)


@request_group.command("check")
@files_argument
@output_option
@click.pass_obj
def check_command(app: App, files: tuple[Path, ...], output: str) -> None:
    """检查申请（.yaml、.xlsx 或文件夹），一次列出全部问题 Check requests: every fault at once. Writes nothing."""
    found = looked_at(app, files)
    show_checked(app, found, output)
    raise_for_faults(found)


def looked_at(app: App, files: Sequence[Path]) -> Read:
    """Read files of requests, and check them against the site and each other."""
    site = app.site
    assert app.site_folder is not None  # a site was read from it
    with app.progress_console.status("检查申请 checking requests"):
        waiting = [(f"the request {each.id} of {each.by}", each) for each in read_requests(app.catalogue, OPEN)]
        open_ones = [(owner, Request.model_validate(dict(each.document))) for owner, each in waiting]
        return read_and_check(files, site, open_ones, app.site_folder, app.overlay)


def show_checked(app: App, found: Read, output: str) -> None:
    if output == "json":
        told = {"requests": [_as_json(each) for each in found.judged], "files": [str(each) for each in found.findings]}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    for fault in found.faults:
        app.console.print(str(fault), markup=False, soft_wrap=True)
    for each in found.judged:
        if each.sound and each.request:
            networks = ", ".join(f"{name} {network.cidr}" for name, network in each.request.networks.items())
            line = f"可以 fits: {each.name}  {each.request.title}  {networks}"
            app.console.print(line, markup=False, soft_wrap=True)


def raise_for_faults(found: Read) -> None:
    """Raise InvalidInput when anything is wrong."""
    wrong = sum(not each.sound for each in found.judged)
    if found.faults:
        raise InvalidInput(
            f"{len(found.faults)} fault(s), in {wrong} of {len(found.judged)} request(s)",
            hint="mend the form where it says, then check it again",
        )


def _as_json(judged: Judged) -> dict[str, Any]:
    return {
        "tenant": judged.name,
        "sound": judged.sound,
        "faults": [
            {
                "file": str(each.file),
                "line": each.line,
                "path": each.path,
                "got": each.got,
                "want": each.want,
                "hint": each.hint,
            }
            for each in judged.findings
        ],
        "networks": {
            name: str(each.cidr)
            for name, each in (judged.request.networks if judged.request else {}).items()
            if each.cidr
        },
    }

"""`tricenter lab`: three centres on one machine, with real parts."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from orchestrator.errors import InvalidInput
from orchestrator.lab import daemons, up
from orchestrator.lab.guest_commands import guests
from orchestrator.lab.layout import CENTRES, Lab, Place, open_lab
from orchestrator.lab.progress import Progress
from orchestrator.lab.registration import SitePlace, register
from orchestrator.lab.seed import seed as fill_site

if TYPE_CHECKING:
    from orchestrator.app import App

STATE_WORDS = {"running": "[green]运行 running[/]", "broken": "[red]异常 broken[/]", "stopped": "[dim]停止 stopped[/]"}

_folder = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="TRICENTER_LAB",
    show_envvar=True,
    help="实验室目录 the lab's folder",
)
_centres = click.option(
    "--centre",
    "centres",
    multiple=True,
    type=click.Choice(CENTRES),
    help="只限此中心 only this centre; repeatable",
)


@click.group()
def lab() -> None:
    """本机三中心实验室 three real centres on one machine: OpenStack, S3 vaults, PostgreSQL."""


lab.add_command(guests)


@lab.command("up")
@_folder
@click.option("--port-base", type=int, help="首个端口 the first of the lab's ports [15000]")
@_centres
@click.pass_obj
def up_(app: App, folder: Path | None, port_base: int | None, centres: tuple[Place, ...]) -> None:
    """启动 install what is missing, start what does not run, and wait until it can be used."""
    place = open_lab(folder, port_base)
    progress = Progress(app.progress_console)
    up.bring_up(place, progress, centres or CENTRES)
    if app.site_folder:
        overlay = register(place, app.site_folder)
        progress.say(f"站点已登记 site registered: {overlay}")
    progress.say(f"就绪 ready after {progress.seconds:.1f} s: {place.folder}")
    progress.say(f'下一步 next: eval "$(tricenter lab env --dir {place.folder})"')


@lab.command()
@_folder
@_centres
@click.pass_obj
def down(app: App, folder: Path | None, centres: tuple[Place, ...]) -> None:
    """停止 stop the lab, or one centre of it, as a disaster would."""
    progress = Progress(app.progress_console)
    up.take_down(open_lab(folder), progress, centres or None)


@lab.command()
@_folder
@click.pass_obj
def reset(app: App, folder: Path | None) -> None:
    """复位 stop the lab and throw its data away; the next up starts from the snapshot."""
    up.reset(open_lab(folder), Progress(app.progress_console))


@lab.command()
@_folder
@click.option("--output", type=click.Choice(["table", "json"]), default="table", help="输出格式 the form of the answer")
@click.pass_obj
def status(app: App, folder: Path | None, output: str) -> int:
    """状态 show every server; exit code 4 unless all run."""
    place = open_lab(folder)
    rows = observe(place)
    if output == "json":
        click.echo(json.dumps({"folder": str(place.folder), "servers": rows}, indent=2))
    else:
        app.console.print(_table(place, rows))
    return 0 if all(row["state"] == "running" for row in rows) else 4


def observe(place: Lab) -> list[dict[str, Any]]:
    """Return how each server of the lab is: centre, name, state, pid, port and URL."""
    rows = []
    for daemon in up.parts(place):
        state, pid = daemons.state(place, daemon)
        rows.append(
            {
                "centre": daemon.place,
                "server": daemon.name,
                "state": state,
                "pid": pid,
                "port": daemon.port,
                "url": daemon.url,
            }
        )
    return rows


def _table(place: Lab, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=f"实验室 lab {place.folder}", title_justify="left")
    for heading in ("中心 centre", "部件 part", "状态 state", "pid", "地址 address"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        address = f"127.0.0.1:{row['port']}" if row["port"] else ""
        part = row["server"].removeprefix(f"{row['centre']}-").removesuffix(f"-{row['centre']}")
        table.add_row(row["centre"], part, STATE_WORDS[row["state"]], str(row["pid"] or ""), row["url"] or address)
    return table


@lab.command()
@_folder
@click.pass_obj
def env(app: App, folder: Path | None) -> None:
    """环境变量 print the exports that point the other commands at the lab, for eval."""
    place = open_lab(folder)
    exports = {"TRICENTER_LAB": str(place.folder), "OS_CLIENT_CONFIG_FILE": str(place.clouds_file)}
    if app.site_folder:
        exports |= {"TRICENTER_SITE": str(app.site_folder.absolute()), "TRICENTER_OVERLAY": str(_overlay(app, place))}
    for name, value in exports.items():
        click.echo(f"export {name}={shlex.quote(value)}")


def _overlay(app: App, place: Lab) -> Path:
    from policies.load import load_site

    assert app.site_folder
    overlay = SitePlace(place, load_site(app.site_folder).site).overlay
    if not overlay.exists():
        raise InvalidInput(
            f"the site {app.site_folder} is not registered in the lab {place.folder}",
            hint=f"tricenter --site {app.site_folder} lab up",
        )
    return overlay


@lab.command()
@_folder
@click.pass_obj
def metrics(app: App, folder: Path | None) -> None:
    """指标服务 serve the metrics of the site in the background, and print the URL; `lab down` stops it."""
    place = open_lab(folder)
    if app.site_folder is None:
        raise InvalidInput("no site was given", hint="tricenter --site DIR lab metrics")
    url = f"http://127.0.0.1:{place.port('metrics')}"
    words = (
        "--site",
        str(app.site_folder.absolute()),
        "--overlay",
        str(_overlay(app, place)),
        "serve",
        "--metrics-only",
    )
    server = daemons.Daemon(
        name="metrics",
        place="shared",
        argv=[str(Path(sys.executable).with_name("tricenter")), *words, "--listen", url.removeprefix("http://")],
        port=place.port("metrics"),
        url=f"{url}/healthz",
    )
    daemons.stop(place, [server])  # it reads the site once: the one that runs may know another
    daemons.start(place, [server])
    daemons.wait(place, [server], seconds=60)
    click.echo(url)


@lab.command()
@_folder
@click.option("--grow", is_flag=True, help="已有数据再变动一天 change what is there as a working day does")
@click.option(
    "--scale", type=click.FloatRange(0.01, 100), default=1.0, show_default=True, help="数据规模 amount of data"
)
@click.pass_obj
def seed(app: App, folder: Path | None, grow: bool, scale: float) -> None:
    """造数 fill the site's sources with documents, databases and volumes."""
    if app.site_folder is None:
        raise InvalidInput("no site was given", hint="tricenter --site DIR lab seed")
    fill_site(open_lab(folder), app.site_folder, Progress(app.progress_console), scale=scale, grow=grow)

"""`tricenter monitoring dashboards`: the dashboards as files, for a Grafana that was not installed by the chart."""

from __future__ import annotations

from pathlib import Path

import click

from exporters.dashboards.shipped import addressed, dashboard_files
from exporters.files import write_files


@click.command()
@click.option(
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="写到哪个文件夹；同名文件会更新 the folder to write them to; older ones of theirs are replaced",
)
@click.option("--docs", metavar="URL", help="文档地址：手册链接由此开始 where the documents are: links begin with it")
@click.option("--server", metavar="URL", help="服务地址 where people reach tricenter serve")
@click.option("--dry-run", is_flag=True, help="只列出文件 only say which files there are")
def dashboards(folder: Path, docs: str | None, server: str | None, dry_run: bool) -> None:
    """Grafana 看板 Write the Grafana dashboards to a folder, as JSON that Grafana provisions or imports."""
    files = {name: addressed(text, docs=docs, server=server) for name, text in dashboard_files().items()}
    if not dry_run:
        write_files(folder, files)
    for name in files:
        click.echo(str(folder / name))

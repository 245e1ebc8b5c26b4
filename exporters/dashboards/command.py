"""`tricenter monitoring dashboards`: the dashboards as files, for a Grafana that was not installed by the chart."""

from __future__ import annotations

from pathlib import Path

import click

from exporters.dashboards.shipped import addressed, dashboard_files
from exporters.files import write_files


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--docs", metavar="URL", help="文档地址：手册链接由此开始 where the documents are: links begin with it")
@click.option("--server", metavar="URL", help="服务地址 where people reach tricenter serve")
@click.option("--dry-run", is_flag=True, help="只说明会写什么 say what would be written, and write nothing")
def dashboards(folder: Path, docs: str | None, server: str | None, dry_run: bool) -> None:
    """写出 Grafana 看板 Write the dashboards for Grafana into FOLDER, as JSON that it provisions or imports.

    A file that is there already is replaced.
    """
    files = {name: addressed(text, docs=docs, server=server) for name, text in dashboard_files().items()}
    if not dry_run:
        write_files(folder, files)
    for name in files:
        click.echo(f"{'会写 would write' if dry_run else '已写 written'}  {folder / name}")

"""`tricenter rescue`: from one vault and the shares; and the runbook for when there is no tricenter."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from orchestrator.backups.rebuild import Rebuilt, rebuild
from orchestrator.backups.show import local, progress
from orchestrator.batch import Batch, Ended, raise_failures
from orchestrator.errors import InvalidInput
from orchestrator.escrow.asking import share_option, take_shares
from orchestrator.escrow.rescue import SCRIPT, Found, LastVault, find_bundle, is_rescued, write_rescued
from orchestrator.escrow.runbook import as_pdf, in_plan_order, runbook_html, runbook_markdown, script
from orchestrator.secrets import read_secret
from orchestrator.vault.signing import Credential
from policies.site import Site, SystemRef
from policies.values import format_size
from policies.work import COPY_CENTRES, copy_centres

if TYPE_CHECKING:
    from orchestrator.app import App

JOBS = 4


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is of a system at the centre that is left."""

    ref: SystemRef
    newest: str | None
    points: int
    added: int


@click.group(invoke_without_command=True)
@click.option("--vault-endpoint", help="保险库地址 URL of the S3 store that is left")
@click.option("--bucket-prefix", default="dr-", show_default=True, help="桶名前缀 what its buckets' names begin with")
@click.option("--region", default="us-east-1", show_default=True, help="区域 its region")
@click.option("--credential", help="凭证 env:NAME or file:PATH, JSON {access_key, secret_key}")
@share_option
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), help="新文件夹 a new or empty folder")
@click.option(
    "--centre", type=click.Choice(COPY_CENTRES), default="provincial", show_default=True, help="中心 whose it is"
)
@click.option("--site-name", help="站点名 which site, where the store has bundles of several")
@click.option("--dry-run", is_flag=True, help="只检查并说明 look and say what would be done")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="格式 format")
@click.pass_context
def rescue(ctx: click.Context, /, **given: Any) -> None:
    """救援：只剩一个保险库与份额 begin again from one vault, its credential and enough shares.

    Writes site folder, secrets and catalogue into an empty folder, and brings the catalogue up to date from the vault.
    Changes nothing in the vault; may be killed and repeated.
    """
    if ctx.invoked_subcommand is None:
        _rescue(ctx.obj, **given)


def _rescue(
    app: App, *, vault_endpoint: str | None, bucket_prefix: str, region: str, credential: str | None,
    files: tuple[Path, ...], into: Path | None, centre: str, site_name: str | None, dry_run: bool, output: str,
) -> None:  # fmt: skip
    if vault_endpoint is None or credential is None or into is None:
        raise InvalidInput(
            "what is left, and where does it go?", hint="--vault-endpoint URL --credential file:PATH --into DIR"
        )
    if os.environ.get("TRICENTER_DATABASE_URL"):
        raise InvalidInput("TRICENTER_DATABASE_URL names another catalogue", hint="unset it: one is made in the folder")
    into = into.resolve()
    vault = LastVault(centre, vault_endpoint, region, bucket_prefix, _credential(credential))
    key, _ = take_shares(files)
    with app.progress_console.status("寻找救援包 looking for the bundle"):
        found = find_bundle(vault, key, site_name)
        is_rescued(into, found)
    if output == "table":
        _show_bundle(app, found, into)
    if dry_run:
        if output == "json":
            click.echo(json.dumps(_as_json(found, into, []), ensure_ascii=False, indent=2))
        return
    write_rescued(into, found, vault)
    rescued = app.of(into / "site", into / "overlay.yaml")
    ended = _bring_up_to_date(rescued, centre)
    standing = _standing(rescued, centre, ended)
    if output == "json":
        click.echo(json.dumps(_as_json(found, into, standing), ensure_ascii=False, indent=2))
    else:
        _show(app, standing, into, centre)
    raise_failures(ended)


def _credential(reference: str) -> Credential:
    place = reference if reference.startswith(("env:", "file:")) else f"file:{reference}"
    try:
        parts = json.loads(read_secret(place).reveal())
        return Credential(parts["access_key"], parts["secret_key"])
    except (ValueError, KeyError, TypeError):
        raise InvalidInput(
            f"{place}: want JSON with access_key and secret_key", hint='{"access_key": "…", "secret_key": "…"}'
        ) from None


def _bring_up_to_date(app: App, centre: str) -> list[Ended[SystemRef, Rebuilt]]:
    """Read what the vault holds into the rescued catalogue: also what came after the bundle was made."""
    refs = [ref for ref in in_plan_order(app.site) if centre in copy_centres(ref)]
    app.catalogue  # noqa: B018 - made once, before threads ask for it
    with progress(app.progress_console, "读取 reading", refs) as bars:
        batch: Batch[SystemRef, Rebuilt] = Batch(refs, lambda ref: rebuild(app, ref, centre), jobs=JOBS)
        return batch.run(bars.end)


def _standing(app: App, centre: str, ended: list[Ended[SystemRef, Rebuilt]]) -> list[Standing]:
    found = []
    for each in ended:
        ref = each.subject
        landed = app.catalogue.points_at(centre, ref.tenant.tenant, ref.name)
        newest = landed[0].point.data_time.isoformat() if landed else None
        found.append(Standing(ref, newest, len(landed), len(each.result.added) if each.result else 0))
    return found


def _show_bundle(app: App, found: Found, into: Path) -> None:
    manifest = found.opened.manifest
    app.console.print(
        f"救援包 bundle: {found.opened.site}, {local(found.opened.made_at)}, {format_size(found.stored.size_bytes)}, "
        f"{len(found.opened.files)} 个文件 files, {len(manifest['secrets'])} 个口令 secrets -> {into}"
    )
    if found.passed_over:
        app.console.print(f"[yellow]跳过 {found.passed_over} 个打不开的 newer ones did not open[/]")
    for place, why in manifest["missing"].items():
        app.console.print(f"[yellow]包内没有 not in it: {escape(place)}: {escape(why)}[/]")
    for each in found.by_hand:
        app.console.print(f"[yellow]请手工放置 put in place by hand: {escape(each)}[/]")


def _show(app: App, standing: list[Standing], into: Path, centre: str) -> None:
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for head in ("系统 system", "恢复点 points", "包后新增 since the bundle", "最新数据 newest data"):
        table.add_column(head)
    for each in standing:
        newest = each.newest or "[red]无 none[/]"
        table.add_row(str(each.ref), str(each.points), str(each.added), newest)
    app.console.print(table)
    first = next((str(each.ref) for each in standing if each.newest), "TENANT/SYSTEM")
    app.console.print(
        f"下一步 next:\n  . {into / SCRIPT}\n  tricenter backup restore {first} --centre {centre} --target DIR\n"
        f"  tricenter plan list\n  tricenter drill run PLAN --centre {centre}"
    )


def _as_json(found: Found, into: Path, standing: list[Standing]) -> dict[str, Any]:
    return {
        "site": found.opened.site,
        "key": found.stored.key,
        "made_at": found.opened.made_at.isoformat(),
        "passed_over": found.passed_over,
        "files": len(found.opened.files),
        "missing": dict(found.opened.manifest["missing"]),
        "by_hand": list(found.by_hand),
        "into": str(into),
        "systems": [
            {"system": str(each.ref), "points": each.points, "added": each.added, "newest_data": each.newest}
            for each in standing
        ],
    }


def _runbook(site: Site, form: str) -> bytes:
    if form == "script":
        return script().encode()
    if form == "md":
        return runbook_markdown(site).encode()
    page = runbook_html(site)
    return as_pdf(page) if form == "pdf" else page.encode()


@rescue.command("runbook")
@click.option(
    "--output", type=click.Choice(["md", "html", "pdf", "script"]), default="md", show_default=True, help="格式 format"
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="写入文件 write it to a file")
@click.pass_obj
def runbook_(app: App, output: str, out: Path | None) -> None:
    """离线救援手册：只用 restic 与 S3 客户端 the runbook for paper: restic and an S3 client, no secret in it.

    `--output script` gives the program that combines shares and opens a bundle; keep it beside the shares.
    """
    body = _runbook(app.site, output)
    if out is not None:
        out.write_bytes(body)
        return
    if output == "pdf" and sys.stdout.isatty():
        raise InvalidInput("a PDF is nothing for a terminal", hint="--out FILE.pdf")
    sys.stdout.buffer.write(body)

"""`tricenter escrow`: the key of the rescue bundles is split among custodians, and they prove that it opens them."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from orchestrator.catalogue.database import now
from orchestrator.catalogue.keys import EscrowCheck, read_keys, record_checks
from orchestrator.errors import CheckFailed, InvalidInput, PartlyDone, Refused, TricenterError
from orchestrator.escrow.asking import check_folder, custodians_of, hand_out, share_option, take_shares
from orchestrator.escrow.flows import FLOW, escrow_of
from orchestrator.escrow.shares import OpeningKey, SealingKey, make_key, read_key, write_key
from orchestrator.escrow.vaulted import Stored, find_bundles, open_newest
from orchestrator.person import login_name
from policies.values import format_duration, format_size

if TYPE_CHECKING:
    from orchestrator.app import App

output_option = click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="输出格式 output format"
)
centre_option = click.option("--centre", help="只此中心 only the vault of this centre")
out_option = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="写入新文件夹，每份一个文件 a file for each, here"
)
print_option = click.option("--print", "shown", is_flag=True, help="逐份显示 show one after the other")
pdf_option = click.option("--pdf", is_flag=True, help="另写 PDF as PDF too, to be printed")


@click.group()
def escrow() -> None:
    """托管 The escrow: what opens when nothing but one vault is left."""


@escrow.command("split")
@out_option
@print_option
@pdf_option
@click.pass_obj
def split_(app: App, out: Path | None, *, shown: bool, pdf: bool) -> None:
    """生成密钥并分给保管人，随即写出第一批救援包 make the key, split it, and write the first bundles.

    Each share is shown once and kept nowhere; what stays here can make bundles and open none.
    """
    if (known := read_key(app.secrets_folder)) is not None:
        raise Refused(f"the key {known.name} was split already", hint="a new one: tricenter escrow rotate")
    _split(app, out, shown=shown, pdf=pdf)


@escrow.command("rotate")
@out_option
@print_option
@pdf_option
@click.option("--yes", is_flag=True, help="不再询问 do not ask")
@click.pass_obj
def rotate_(app: App, out: Path | None, *, shown: bool, pdf: bool, yes: bool) -> None:
    """更换密钥：新份额，新救援包 a new key, new shares and new bundles: when a custodian leaves, or a share is lost.

    Bundles of the old key stay until their lock ends, and the old shares open them until then: collect those.
    """
    known = read_key(app.secrets_folder)
    if known is None:
        raise InvalidInput("there is no key to be replaced", hint="tricenter escrow split")
    if not yes:
        if not sys.stdin.isatty():
            raise Refused("nobody is there to confirm it", hint="add --yes")
        if not click.confirm(f"作废密钥 {known.name} 的份额? replace the key {known.name} and its shares?", err=True):
            raise Refused("not confirmed: nothing was done")
    _split(app, out, shown=shown, pdf=pdf)
    app.console.print(
        f"收回旧份额（密钥 {known.name}）：在锁定期（{format_duration(escrow_of(app).lock.total_seconds())}）"
        f"结束前仍可打开旧救援包 collect the old shares: they open the old bundles until these are gone"
    )


def _split(app: App, out: Path | None, *, shown: bool, pdf: bool) -> None:
    if (out is None) == (not shown):
        raise InvalidInput("where do the shares go?", hint="--out DIR writes a file for each; --print shows them")
    rule = escrow_of(app)
    if out is not None:
        check_folder(out)
    key, shares = make_key(rule.custodians, rule.threshold, now())
    for path in hand_out(shares, key, app.site.site, out, pdf=pdf):
        app.console.print(f"份额 share: {path}")
    # Only now: shares of a key that is in use nowhere do no harm, a key without shares opens nothing ever.
    write_key(app.secrets_folder, key)
    app.console.print(f"密钥 key {key.name}: {rule.threshold} / {len(rule.custodians)}")
    _bundle(app, list(map(str, app.site.vaults())))
    app.console.print("下一步 next: tricenter escrow check --share FILE --share FILE")


@escrow.command("bundle")
@centre_option
@click.pass_obj
def bundle_(app: App, centre: str | None) -> None:
    """现在写救援包 write a new bundle into each vault now; the schedule does it by itself."""
    if centre is not None:
        app.vault(centre)
    _bundle(app, [centre] if centre else list(map(str, app.site.vaults())))


def _bundle(app: App, centres: list[str]) -> None:
    failed: dict[str, TricenterError] = {}
    for centre in centres:
        with app.progress_console.status(f"救援包 bundle > {centre}"):
            try:
                done = app.runner.run(FLOW, {"centre": centre})
            except TricenterError as error:
                failed[centre] = error
            else:
                app.console.print(f"救援包 bundle: {centre}, {format_size(done['bytes'])}, {done['name'][:25]}…")
    _raise(failed, len(centres), "have a new bundle")


@escrow.command("check")
@share_option
@centre_option
@output_option
@click.pass_obj
def check_(app: App, files: tuple[Path, ...], centre: str | None, output: str) -> None:
    """用份额证明能打开各中心最新的救援包 prove that these shares open the newest bundle at each vault.

    Nothing of it is written; that it was done, and by whose shares, is remembered. Ends with 4 when one does not open.
    """
    escrow_of(app)
    if centre is not None:
        app.vault(centre)
    key, shares = take_shares(files)
    sealing = read_key(app.secrets_folder)
    who = tuple(custodians_of(shares, sealing))
    results: list[dict[str, Any]] = []
    checks, failed = [], {}
    for name in [centre] if centre else map(str, app.site.vaults()):
        with app.progress_console.status(f"打开 opening: {name}"):
            try:
                stored, systems = _open(app, name, key, sealing)
            except TricenterError as error:
                failed[name] = error
                results.append({"centre": name, "opens": False, "error": str(error)})
                continue
        checks.append(EscrowCheck(now(), name, key.name, stored.made_at, who))
        results.append(
            {
                "centre": name, "opens": True, "key": key.name, "made_at": stored.made_at.isoformat(),
                "bytes": stored.size_bytes, "hidden": stored.hidden, "missing": systems, "custodians": list(who),
            }
        )  # fmt: skip
    record_checks(app.catalogue, checks, login_name())
    if output == "json":
        click.echo(json.dumps(results, ensure_ascii=False, indent=2))
    else:
        _show_check(app, results)
    _raise(failed, len(results), "open")


def _open(app: App, centre: str, key: OpeningKey, sealing: SealingKey | None) -> tuple[Stored, list[str]]:
    """Return the newest bundle at a centre, opened, and the secrets that are missing in it."""
    bucket, admin = app.vault(centre).register_bucket, app.vault_admin(centre)
    if sealing is not None and sealing.name != key.name:
        raise InvalidInput(
            f"these are shares of the key {key.name}, and bundles are made for {sealing.name} now",
            hint="take the shares with that name on them; the old ones are of no use here",
        )
    bundles = find_bundles(admin, bucket, site=app.site.site, key=key.name)
    stored, opened, _ = open_newest(admin, bucket, bundles, key)
    told = read_keys(app.catalogue).bundles.get(centre)
    if told is not None and told.key == key.name and stored.made_at < told.made_at:
        raise CheckFailed(
            f"the bundle that was written to {centre} at {told.made_at:%F %T} UTC is gone or damaged; the newest that "
            f"opens is of {stored.made_at:%F %T} UTC",
            hint="write a new one: tricenter escrow bundle; and find out who did that",
        )
    return stored, sorted(opened.manifest["missing"])


def _show_check(app: App, results: list[dict[str, Any]]) -> None:
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for head in ("中心 centre", "可打开 opens", "做于 made", "大小 size", "缺少 missing", "说明 note"):
        table.add_column(head)
    for each in results:
        if not each["opens"]:
            table.add_row(each["centre"], "[red]否 no[/]", "", "", "", each["error"])
            continue
        note = "已被隐藏 it was hidden by somebody" if each["hidden"] else ""
        made = f"{datetime.fromisoformat(each['made_at']).astimezone():%F %T}"
        size = format_size(each["bytes"])
        table.add_row(each["centre"], "[green]是 yes[/]", made, size, ", ".join(each["missing"]), note)
    app.console.print(table)


@escrow.command("status")
@output_option
@click.pass_obj
def status_(app: App, output: str) -> None:
    """密钥、保管人、各中心的救援包 the key, its custodians, the bundles, and when they were last proved."""
    rule, key, known = app.site.escrow, read_key(app.secrets_folder), read_keys(app.catalogue)
    if output == "json":
        told = {
            "key": key.name if key else None,
            "custodians": list(key.custodians) if key else list(rule.custodians) if rule else [],
            "checked_at": known.checked_at.isoformat() if known.checked_at else None,
            "bundles": [
                {"centre": name, "key": each.key, "made_at": each.made_at.isoformat(), "bytes": each.bytes,
                 "missing": each.missing}
                for name, each in sorted(known.bundles.items())
            ],
        }  # fmt: skip
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for head in ("中心 centre", "密钥 key", "救援包 bundle", "大小 size", "缺少 missing", "验证 proved", "由 by"):
        table.add_column(head)
    for centre in map(str, app.site.vaults()):
        bundle, check = known.bundles.get(centre), known.checks.get(centre)
        cells = (
            (bundle.key, f"{bundle.made_at.astimezone():%F %T}", format_size(bundle.bytes), str(bundle.missing))
            if bundle
            else ("", "[yellow]无 none[/]", "", "")
        )
        proved = f"{check.checked_at.astimezone():%F %T}" if check else "[yellow]从未 never[/]"
        table.add_row(centre, *cells, proved, ", ".join(check.custodians) if check else "")
    app.console.print(table)
    if rule is None:
        app.console.print("[yellow]站点没有 escrow the site has no escrow[/]")
    elif key is None:
        app.console.print("[yellow]尚未分割密钥 no key was split yet: tricenter escrow split[/]")


def _raise(failed: dict[str, TricenterError], count: int, what: str) -> None:
    """Raise what went wrong: the first where none succeeded, PartlyDone where others did."""
    if failed and len(failed) == count:
        raise next(iter(failed.values()))
    if failed:
        told = "; ".join(f"{centre}: {error}" for centre, error in failed.items())
        hint = next((error.hint for error in failed.values() if error.hint), "")
        raise PartlyDone(f"{count - len(failed)} of {count} vaults {what}; {told}", hint=hint)

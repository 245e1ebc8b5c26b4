"""The runbook for when this program is gone: restic, an S3 client, Python, and the shares. No secret is in it.

One text of blocks, written as Markdown, as HTML and as a PDF. Every command stands there as it is to be typed; the
tests type them.
"""

from __future__ import annotations

import hashlib
import html
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.escrow import open_bundle
from policies.site import Site, SystemRef
from policies.tiers import CentreName
from policies.work import COPY_CENTRES, copy_centres, plan_systems

ROOT = "rescue"
#: Finds the document of the newest recovery point, which names the snapshots of all its sources.
NEWEST = (
    'import json,sys; print(max((s for s in json.load(sys.stdin) if any(t.startswith("point=") for t in s["tags"])), '
    'key=lambda s: s["time"])["id"])'
)
SNAPSHOT = (
    'import json,sys; print(next(s["snapshot_id"] for s in json.load(open("point.json"))["sources"] '
    'if s["source"] == sys.argv[1]))'
)
#: Lists the copies of the volumes of a server.
DISKS = (
    'import json,sys; print(*(s["source"] for s in json.load(open("point.json"))["sources"] '
    'if s["source"].startswith(sys.argv[1] + ".")))'
)
STYLE = """
@page { size: A4; margin: 18mm 16mm; @bottom-right { content: counter(page) " / " counter(pages); font-size: 8pt } }
body { font: 10pt/1.5 "Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Zen Hei", sans-serif; color: #111 }
h1 { font-size: 18pt } h2 { font-size: 13pt; border-bottom: 1px solid #888; margin-top: 1.6em } h3 { font-size: 11pt }
table { border-collapse: collapse; width: 100%; margin: 0.8em 0 1.4em }
td, th { border: 1px solid #999; padding: 3px 6px; text-align: left }
pre { background: #f2f2f2; padding: 6px 8px; font: 8pt/1.4 monospace; white-space: pre-wrap; overflow-wrap: anywhere }
h2, h3 { break-after: avoid } tr { break-inside: avoid }
"""


class Block(NamedTuple):
    """A piece of the runbook: a heading (`h1` to `h3`), a paragraph (`p`), commands (`sh`), a file, or a table."""

    kind: str
    text: str = ""
    rows: Sequence[Sequence[str]] = ()


def runbook_markdown(site: Site) -> str:
    """Return the runbook of a site as Markdown. Pure."""
    return "\n\n".join(_markdown(each) for each in blocks(site)) + "\n"


def runbook_html(site: Site) -> str:
    """Return the runbook of a site as one HTML page that fetches nothing. Pure."""
    body = "\n".join(_html(each) for each in blocks(site))
    head = (
        f"<meta charset='utf-8'><title>救援手册 Rescue runbook: {html.escape(site.site)}</title><style>{STYLE}</style>"
    )
    return f"<!doctype html><html lang='zh'><head>{head}</head><body>{body}</body></html>\n"


def as_pdf(page: str) -> bytes:
    """Return a page as PDF, for A4. Nothing is fetched for it."""
    from weasyprint import HTML  # here, because it loads the system's text libraries

    made = HTML(string=page, url_fetcher=_fetch_nothing).write_pdf()
    assert isinstance(made, bytes)
    return made


def _fetch_nothing(url: str) -> Any:
    raise ValueError(f"a runbook needs nothing from elsewhere: {url}")


def script() -> str:
    """Return the program that opens a bundle without us."""
    return Path(open_bundle.__file__).read_text(encoding="utf-8")


# --- what it says


def blocks(site: Site) -> Iterator[Block]:
    """Yield the runbook from its first heading to its appendix."""
    yield Block("h1", f"救援手册 Rescue runbook: {site.title} ({site.site})")
    yield Block(
        "p",
        "适用于：生产、同城、目录库、站点文件夹与口令全部丢失，只剩一个中心的保险库。"
        "所需：Linux、python3、restic（0.14 或更新）、rclone、psql；该保险库的访问凭证；达到门限数的保管人份额。"
        " For when production, the same city, catalogue, site folder and passwords are lost, and one vault is left. "
        "Needed: Linux, python3, restic 0.14 or newer, rclone, psql; the credential of that vault; enough custodians "
        "with their shares. Nothing else, and nothing of the program itself.",
    )
    yield from _people(site)
    yield from _vaults(site)
    for centre in reversed(COPY_CENTRES):
        if centre in site.vaults():
            yield from _bundle(site, centre)
    refs = in_plan_order(site)
    yield Block("h2", "3. 按预案顺序恢复各系统 The systems, in the order of the plans")
    yield Block("p", "每段命令自成一体。 Each block of commands stands for itself; DIR is the opened bundle.")
    for number, ref in enumerate(refs, 1):
        yield from _system(site, number, ref)
    yield from _appendix()


def in_plan_order(site: Site) -> list[SystemRef]:
    """Return every system once: in the order of the plans that recover several, and then the rest."""
    plans = sorted(site.plans.values(), key=lambda each: (-len(each.systems), each.plan))
    found = {str(ref): ref for plan in plans for ref in plan_systems(site, plan)}
    return list((found | {str(ref): ref for ref in site.systems() if str(ref) not in found}).values())


def _people(site: Site) -> Iterator[Block]:
    yield Block("h2", "1. 人员与保险库 People and vaults")
    if site.escrow:
        rows = [["份额 share", "保管人 custodian"], *([str(n), who] for n, who in enumerate(site.escrow.custodians, 1))]
        yield Block("table", rows=rows)
        yield Block("p", f"任意 {site.escrow.threshold} 份可开启。 Any {site.escrow.threshold} of them open a bundle.")
    rows = [["租户 tenant", "联系人 contact"]]
    rows += [[f"{each.title} ({each.tenant})", each.contact] for _, each in sorted(site.tenants.items())]
    yield Block("table", rows=rows)


def _vaults(site: Site) -> Iterator[Block]:
    rows = [["中心 centre", "地址 endpoint", "区域 region", "租户桶 tenants' buckets", "登记桶 register"]]
    for name, vault in site.vaults().items():
        rows.append([name, vault.endpoint, vault.region, f"{vault.bucket_prefix}TENANT", vault.register_bucket])
    yield Block("table", rows=rows)


def _bundle(site: Site, centre: CentreName) -> Iterator[Block]:
    vault = site.vaults()[centre]
    at = f"vault:{vault.register_bucket}/{ROOT}/{site.site}/$KEY"
    yield Block("h2", f"2. 取出并打开救援包 Fetch and open the bundle: {centre}")
    yield Block(
        "p",
        "KEY 印在每份份额上；凭证为该保险库的访问密钥。open_bundle.py 见附录或与份额一同保存的介质；先核对其 SHA-256。"
        " KEY stands on each share. The credential is an access key of this vault. open_bundle.py is in the appendix, "
        "and on the medium kept with the shares: compare its SHA-256 first, for it is given the shares.",
    )
    yield Block(
        "sh",
        f"""export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... KEY=...
export RCLONE_CONFIG_VAULT_TYPE=s3 RCLONE_CONFIG_VAULT_PROVIDER=Other RCLONE_CONFIG_VAULT_ENV_AUTH=true
export RCLONE_CONFIG_VAULT_ENDPOINT={shlex.quote(vault.endpoint)}
export RCLONE_CONFIG_VAULT_REGION={shlex.quote(vault.region)}""",
    )
    yield Block(
        "sh",
        f"""NAME=$(rclone lsf --files-only "{at}" | sort | tail -n 1)
rclone copyto "{at}/$NAME" "$NAME"
python3 open_bundle.py "$NAME" --share share-1.txt --share share-2.txt --into rescued
export DIR="$PWD/rescued\"""",
    )
    yield Block(
        "p",
        "列表为空，或打不开：可能被隐藏。加 --s3-versions 列出全部版本，取较早的一个，文件名去掉 -v… 后缀。"
        " Nothing is listed, or it does not open: somebody may have hidden it. Add --s3-versions to both rclone "
        "commands, take an earlier one, and drop the -v… from its name: the name holds the SHA-256 of the content.",
    )


def _system(site: Site, number: int, ref: SystemRef) -> Iterator[Block]:
    tenant = ref.tenant
    yield Block("h3", f"3.{number} {ref.system.title}: {ref}")
    rows = [["中心 centre", "仓库 repository"]]
    for centre in copy_centres(ref):
        vault = site.vaults()[centre]
        rows.append([centre, f"s3:{vault.endpoint}/{vault.bucket(tenant.tenant)}/{ref.name}"])
    yield Block("table", rows=rows)
    yield Block("p", f"联系人 contact: {tenant.contact}")
    centre = copy_centres(ref)[-1]
    yield Block("sh", "\n".join((*_opening(site, ref, centre), *_restoring(ref))))


def _opening(site: Site, ref: SystemRef, centre: CentreName) -> Iterator[str]:
    vault, tenant = site.vaults()[centre], ref.tenant.tenant
    credential = _secret_path(f"centres.{centre}.vault.credential", vault.credential, tenant)
    password = _secret_path("repository_password", site.repository_password, tenant)
    yield f'. "$DIR/{credential}.env"'
    yield f'export RESTIC_PASSWORD_FILE="$DIR/{password}"'
    yield f"export RESTIC_REPOSITORY={shlex.quote(f's3:{vault.endpoint}/{vault.bucket(tenant)}/{ref.name}')}"
    yield f'r() {{ restic --no-lock -o s3.bucket-lookup=path -o s3.region={shlex.quote(vault.region)} "$@"; }}'
    yield "r snapshots --tag document"
    yield f"DOCUMENT=$(r snapshots --json --tag document | python3 -c {shlex.quote(NEWEST)})"
    yield 'r dump "$DOCUMENT" /point.json > point.json'
    yield f'snapshot() {{ python3 -c {shlex.quote(SNAPSHOT)} "$1"; }}'
    if any(source.kind == "server" for source in ref.system.sources.values()):
        yield f'disks() {{ python3 -c {shlex.quote(DISKS)} "$1"; }}'


def _restoring(ref: SystemRef) -> Iterator[str]:
    for name, source in ref.system.sources.items():
        target = f'"$DIR/restored/{ref}/{name}"'
        if source.kind == "postgresql":
            # Into a database that is there and empty: PGHOST, PGPORT, PGUSER, PGPASSWORD say where.
            yield f"createdb {shlex.quote(source.database)}"
            load = f"psql -X -q -o /dev/null -v ON_ERROR_STOP=1 --single-transaction -d {shlex.quote(source.database)}"
            yield f'r dump "$(snapshot {name})" /database.sql | {load}'
        elif source.kind == "volume":
            yield f"mkdir -p {target}"
            yield _dump_volume(name, target)
        elif source.kind == "server":
            yield f'r restore "$(snapshot {name})" --target {target}'
            each = f'"$DIR/restored/{ref}/$DISK"'
            dump = _dump_volume('"$DISK"', each)
            yield f"for DISK in $(disks {name}); do mkdir -p {each}; {dump}; done"
        else:
            yield f'r restore "$(snapshot {name})" --target {target}'


def _dump_volume(copy: str, target: str) -> str:
    return f'r dump "$(snapshot {copy})" /volume.raw | dd of={target}/volume.raw bs=1M conv=sparse iflag=fullblock'


def _secret_path(at: str, reference: str, tenant: str) -> str:
    return f"secrets/{at}/{tenant}" if "{tenant}" in reference else f"secrets/{at}"


def _appendix() -> Iterator[Block]:
    text = script()
    yield Block("h2", "附录 Appendix: open_bundle.py")
    yield Block("p", f"SHA-256 {hashlib.sha256(text.encode()).hexdigest()}")
    yield Block("file", text.rstrip("\n"))


# --- how it is written


def _markdown(block: Block) -> str:
    if block.kind in ("h1", "h2", "h3"):
        return "#" * int(block.kind[1]) + " " + block.text
    if block.kind in ("sh", "file"):
        return f"```{'sh' if block.kind == 'sh' else 'python'}\n{block.text}\n```"
    if block.kind == "table":
        head, *rest = block.rows
        return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rest))
    return block.text


def _html(block: Block) -> str:
    text = html.escape(block.text)
    if block.kind == "table":
        head, *rest = ([html.escape(cell) for cell in row] for row in block.rows)
        rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rest)
        return f"<table><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>{rows}</table>"
    tag = "pre" if block.kind in ("sh", "file") else block.kind
    return f"<{tag}>{text}</{tag}>"

"""How shares come in and go out: from files or typed, never as arguments; each shown once, and kept nowhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import click

from orchestrator.errors import InvalidInput, Refused
from orchestrator.escrow.open_bundle import Share, ask_share
from orchestrator.escrow.runbook import STYLE, as_pdf
from orchestrator.escrow.shares import OpeningKey, SealingKey, join, read_share, share_text
from orchestrator.secrets import write_private

share_option = click.option(
    "--share",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="份额文件，可多次；缺的在提示处输入 a file with a share, repeated; what is missing is typed",
)


def take_shares(files: Sequence[Path]) -> tuple[OpeningKey, list[Share]]:
    """Return the key that the shares make, and the shares. Those that files lack are asked for at the terminal.

    Raises InvalidInput.
    """
    shares = [read_share(each) for each in files]
    while not shares or len(shares) < shares[0].threshold:
        if not sys.stdin.isatty():
            break
        needed = f" / {shares[0].threshold}" if shares else ""
        click.echo(f"份额 share {len(shares) + 1}{needed}", err=True)
        # Not echoed: a terminal keeps what was on it. Each line is checked when it is typed.
        shares.append(ask_share(_ask, lambda text: click.echo(text, err=True)))
    if not shares:
        raise InvalidInput("no share was given", hint="--share FILE --share FILE, or type them at a terminal")
    return join(shares), shares


def _ask(prompt: str) -> str:
    answer: str = click.prompt(prompt.rstrip(": "), hide_input=True, err=True)
    return answer


def check_folder(out: Path) -> None:
    """Raise Refused unless shares can be written into this folder: a new or an empty one."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Refused(f"{out} is not empty", hint="shares go into a new folder, on a medium that leaves with them")


def hand_out(shares: Sequence[Share], key: SealingKey, site: str, out: Path | None, *, pdf: bool) -> list[Path]:
    """Write a file for each share into a folder, or show one after the other; return what was written."""
    texts = [_text(share, key, site) for share in shares]
    if out is None:
        _show(texts, key)
        return []
    written = []
    for share, text in zip(shares, texts, strict=True):
        name = re.sub(r"[^\w-]+", "-", key.custodian(share))
        written.append(write_private(out / f"share-{share.number}-{name}.txt", text))
        if pdf:
            page = out / f"share-{share.number}-{name}.pdf"
            page.touch(mode=0o600)
            page.write_bytes(as_pdf(_page(text)))
            written.append(page)
    return written


def _text(share: Share, key: SealingKey, site: str) -> str:
    return share_text(share, key.custodian(share), len(key.custodians), site, key.made_at)


def _page(text: str) -> str:
    style = f"{STYLE} pre {{ font-size: 12pt; background: none }}"
    head = f"<meta charset='utf-8'><style>{style}</style>"
    return f"<!doctype html><html><head>{head}</head><body><pre>{escape(text)}</pre></body></html>"


def _show(texts: Sequence[str], key: SealingKey) -> None:
    terminal = sys.stdout.isatty()
    for who, text in zip(key.custodians, texts, strict=True):
        if terminal:
            click.clear()
            click.pause(f"请 {who} 到屏幕前，按任意键显示 only {who} looks now; press any key …", err=True)
        click.echo(text)
        if terminal:
            click.pause("抄录核对后按任意键 press any key when it is written down …", err=True)
    if terminal:
        click.clear()


def custodians_of(shares: Sequence[Share], key: SealingKey | None) -> Iterator[str]:
    """Yield who keeps these shares."""
    yield from (key.custodian(each) if key else f"#{each.number}" for each in shares)

"""A key is made, split into shares and forgotten: what stays here can seal a bundle, and can open none.

Shamir's scheme runs over each byte of a 256-bit key in GF(256), the field of AES; fewer shares than the threshold say
nothing of the key, whatever is computed. It is our own dozen lines and no library's, because the same shares must be
combined where there is no library: see `open_bundle`, which the combining is imported from.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyrage

from orchestrator.errors import InvalidInput
from orchestrator.escrow.open_bundle import (
    Broken,
    Share,
    combine,
    identity_text,
    key_name,
    multiply,
    parse_share,
    sender_of,
    share_lines,
)
from orchestrator.secrets import write_private

KEY_BYTES = 32
FILE = "escrow.json"


@dataclass(frozen=True, slots=True)
class SealingKey:
    """What bundles are made with: whom they are for, and the seal of who made them. It opens nothing."""

    name: str
    recipient: str
    sender: str
    custodians: tuple[str, ...]
    threshold: int
    made_at: str

    def custodian(self, share: Share) -> str:
        """Return who keeps a share."""
        known = share.key == self.name and 0 < share.number <= len(self.custodians)
        return self.custodians[share.number - 1] if known else f"#{share.number}"


@dataclass(frozen=True, slots=True)
class OpeningKey:
    """The key that shares make: for as long as a command runs, and never written."""

    name: str
    secret: bytes

    @property
    def identity(self) -> pyrage.x25519.Identity:
        return pyrage.x25519.Identity.from_str(identity_text(self.secret))

    @property
    def sender(self) -> bytes:
        return sender_of(self.secret)

    def __repr__(self) -> str:
        return f"OpeningKey({self.name})"


def make_key(custodians: Sequence[str], threshold: int, moment: datetime) -> tuple[SealingKey, list[Share]]:
    """Return a new key as what stays here and what goes to the custodians, in their order."""
    secret = secrets.token_bytes(KEY_BYTES)
    opening = OpeningKey(key_name(secret), secret)
    made = moment.astimezone(UTC).isoformat(timespec="seconds")
    recipient = str(opening.identity.to_public())
    sealing = SealingKey(opening.name, recipient, opening.sender.hex(), tuple(custodians), threshold, made)
    return sealing, split(opening, threshold, len(custodians))


def split(key: OpeningKey, threshold: int, count: int) -> list[Share]:
    """Return `count` shares of a key of which any `threshold` make it again."""
    # A polynomial for each byte: the byte, then as many random coefficients as shares may be lost without a trace.
    polynomials = [bytes([byte]) + secrets.token_bytes(threshold - 1) for byte in key.secret]
    return [
        Share(key.name, threshold, number, bytes(_value(each, number) for each in polynomials))
        for number in range(1, count + 1)
    ]


def _value(polynomial: bytes, at: int) -> int:
    value = 0
    for coefficient in reversed(polynomial):
        value = multiply(value, at) ^ coefficient
    return value


def join(shares: Sequence[Share]) -> OpeningKey:
    """Return the key that shares make. Raises InvalidInput where they are too few or do not fit together."""
    try:
        return OpeningKey(shares[0].key if shares else "", combine(shares))
    except Broken as error:
        hint = "the name of the key stands on each share; shares of one key, of different custodians, open a bundle"
        raise InvalidInput(str(error), hint=hint) from None


def read_share(path: Path) -> Share:
    """Return the share in a file. Raises InvalidInput, which says which line is wrong, and shows none of it."""
    try:
        return parse_share(path.read_text(encoding="utf-8"))
    except Broken as error:
        raise InvalidInput(f"{path}: {error}", hint="compare that line with the paper, digit by digit") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}", hint="give the file that holds a share") from None


def share_text(share: Share, custodian: str, custodians: int, site: str, made: str) -> str:
    """Return a share as it is kept: printed on paper, or typed off it again."""
    lines = "\n".join(f"    {each}" for each in share_lines(share))
    return f"""灾备托管份额 Tricenter escrow share

    站点 site        {site}
    密钥 key         {share.key}
    份额 share       {share.number} / {custodians}    任意 {share.threshold} 份可开启 any {share.threshold} open it
    保管人 custodian {custodian}
    日期 made        {made}

{lines}

妥善保管，不得复制，不得与其他份额放在一处。每行末组为校验码。
Keep it safe, do not copy it, never keep it beside another share. The last group of a line is its check.
使用 how it is used: tricenter escrow check · tricenter rescue · python3 open_bundle.py
"""


def write_key(folder: Path, key: SealingKey) -> Path:
    """Keep what bundles are made with, in the place of what was kept before."""
    return write_private(folder / FILE, json.dumps(asdict(key), ensure_ascii=False, indent=2) + "\n")


def read_key(folder: Path) -> SealingKey | None:
    """Return what bundles are made with, None before a key was split. Raises InvalidInput for a damaged file."""
    try:
        value = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return SealingKey(**{**value, "custodians": tuple(value["custodians"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "bring it back from a rescue bundle, or make a new key: tricenter escrow rotate"
        raise InvalidInput(f"{folder / FILE} cannot be read: {error!r}", hint=hint) from None

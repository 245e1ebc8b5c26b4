"""The key of a repository as restic keeps it: the master key, under a password. Pure, but for the random bits.

A key object is JSON: what the password's key is derived with, and the master key sealed by that. Sealed is what restic
calls it everywhere: a nonce, AES-256 in counter mode, and Poly1305-AES over that. Restic's design document describes
all of it; the name of a key object is the SHA-256 of its content.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

from orchestrator.errors import CheckFailed, Refused
from orchestrator.secrets import Secret, is_made

NONCE_BYTES, TAG_BYTES, SALT_BYTES = 16, 16, 64
#: Poly1305 has these bits of r clear.
CLAMP = 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
#: What a derivation may ask for: 1 GiB of memory. Whoever can write to a vault must not have us take more.
LARGEST_MEMORY = 1 << 30


@dataclass(frozen=True, slots=True)
class Cost:
    """What deriving a key asks for: N rounds, blocks of r, p times over (scrypt)."""

    n: int
    r: int
    p: int


#: For passwords that nobody can guess, so that making each guess dear protects nothing.
CHEAP = Cost(1024, 8, 1)


@dataclass(frozen=True, slots=True)
class Master:
    """What seals the data of a repository. No message or traceback shows it."""

    _encrypt: bytes
    _mac_k: bytes
    _mac_r: bytes

    def __repr__(self) -> str:
        return "Master(***)"

    @classmethod
    def draw(cls) -> Master:
        """Return a new one."""
        return cls(secrets.token_bytes(32), secrets.token_bytes(16), _clamped(secrets.token_bytes(16)))

    def seal(self, data: bytes) -> bytes:
        """Return `data` as restic stores it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        body = self._crypt(nonce, data)
        return nonce + body + self._tag(nonce, body)

    def unseal(self, sealed: bytes) -> bytes:
        """Return what was sealed. Raises CheckFailed when it was not sealed by this, or was changed since."""
        nonce, body, tag = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:-TAG_BYTES], sealed[-TAG_BYTES:]
        if len(sealed) < NONCE_BYTES + TAG_BYTES or not hmac.compare_digest(self._tag(nonce, body), tag):
            raise CheckFailed("this was not sealed by that key, or was changed", hint="another password, or damage")
        return self._crypt(nonce, body)

    def _crypt(self, nonce: bytes, data: bytes) -> bytes:
        return Cipher(algorithms.AES256(self._encrypt), modes.CTR(nonce)).encryptor().update(data)

    def _tag(self, nonce: bytes, body: bytes) -> bytes:
        pad = Cipher(algorithms.AES128(self._mac_k), modes.ECB()).encryptor().update(nonce)  # noqa: S305 - one block, as Poly1305-AES has it
        return Poly1305.generate_tag(_clamped(self._mac_r) + pad, body)

    def as_json(self) -> bytes:
        mac = {"k": _text(self._mac_k), "r": _text(self._mac_r)}
        return json.dumps({"mac": mac, "encrypt": _text(self._encrypt)}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Master:
        said = json.loads(data)
        return cls(*map(base64.b64decode, (said["encrypt"], said["mac"]["k"], said["mac"]["r"])))


def name_of(content: bytes) -> str:
    """Return the name of the key object with this content."""
    return hashlib.sha256(content).hexdigest()


def write_cheap_key(master: Master, password: Secret) -> bytes:
    """Return a key object by which a made password opens the repository in milliseconds.

    Raises Refused for a password that this program did not make: what a person thought up must stay dear to guess.
    """
    if not is_made(password):
        raise Refused(
            "a key that is cheap to derive is for passwords that this program made",
            hint="tricenter key make FILE makes one",
        )
    return write_key(master, password, CHEAP)


def write_key(master: Master, password: Secret, cost: Cost) -> bytes:
    """Return a key object by which `password` opens the repository of `master`."""
    salt = secrets.token_bytes(SALT_BYTES)
    key = {
        "created": datetime.now(UTC).isoformat(),
        "username": "tricenter",
        "hostname": socket.gethostname(),
        "kdf": "scrypt",
        "N": cost.n,
        "r": cost.r,
        "p": cost.p,
        "salt": _text(salt),
        "data": _text(_derived(password, salt, cost).seal(master.as_json())),
    }
    return json.dumps(key).encode()


def read_cost(content: bytes) -> Cost:
    """Return what a key object asks for. Raises CheckFailed for what is none."""
    said = _parsed(content)
    return Cost(said["N"], said["r"], said["p"])


def open_key(content: bytes, password: Secret) -> Master | None:
    """Return the master key that a key object holds, None when another password opens it.

    Raises CheckFailed for what is no key object, or asks for more memory than any of restic's.
    """
    said, cost = _parsed(content), read_cost(content)
    user = _derived(password, base64.b64decode(said["salt"]), cost)
    try:
        opened = user.unseal(base64.b64decode(said["data"]))
    except CheckFailed:
        return None
    return Master.from_json(opened)


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        said = json.loads(content)
        numbers = [said["N"], said["r"], said["p"]]
        good = said["kdf"] == "scrypt" and all(isinstance(each, int) and each > 0 for each in numbers)
        good = good and isinstance(said["salt"], str) and isinstance(said["data"], str)
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise CheckFailed("this is no key object of restic", hint="tricenter backup verify shows what is damaged")
    if 128 * said["N"] * said["r"] > LARGEST_MEMORY:
        raise CheckFailed("a key object asks for more memory than restic's ever do", hint="who wrote it?")
    return dict(said)


def _derived(password: Secret, salt: bytes, cost: Cost) -> Master:
    memory = 128 * cost.r * (cost.n + cost.p + 2)
    derived = hashlib.scrypt(
        password.reveal().encode(), salt=salt, n=cost.n, r=cost.r, p=cost.p, maxmem=2 * memory, dklen=64
    )
    return Master(derived[:32], derived[32:48], _clamped(derived[48:]))


def _clamped(r: bytes) -> bytes:
    return (int.from_bytes(r, "little") & CLAMP).to_bytes(16, "little")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()

#!/usr/bin/env python3
"""打开灾备救援包 Opens a rescue bundle of Tricenter without Tricenter.

    python3 open_bundle.py BUNDLE.age --share FILE --share FILE --into DIR     份额文件 shares from files
    python3 open_bundle.py BUNDLE.age --into DIR                               逐行输入份额 shares typed at the prompt
    python3 open_bundle.py --share FILE --share FILE --identity KEYFILE        只合并 for `age -d -i KEYFILE`

Only Python's standard library is needed, 3.8 or newer. Nothing is fetched. A bundle is a file of the format age
(age-encryption.org/v1, X25519), within it a .tar.gz; its name holds its SHA-256, and the seal of who wrote it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import io
import os
import re
import sys
import tarfile
from pathlib import Path
from typing import Callable, Iterable, NamedTuple, Sequence  # noqa: UP035 - where Python 3.8 has it

#: Of what is typed by hand: no I, L, O and U, which look like others.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MISREAD = str.maketrans("ILO", "110")
VERSION, LINES, LINE_BYTES = 1, 4, 10
NAME = re.compile(r"([0-9]{8}T[0-9]{6}Z)-([0-9a-f]{64})-([0-9a-f]{64})\.age")


class Broken(Exception):
    """A fault, told in Chinese and English."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(zh + "  " + en)
        self.en = en


class Share(NamedTuple):
    """One custodian's part of a key: its number among the shares, and how many of them open the key `key`."""

    key: str
    threshold: int
    number: int
    value: bytes


# --- shares: 40 bytes as four lines of 16 digits, each with a check of 4


def base32(data: bytes) -> str:
    number, digits = int.from_bytes(data, "big"), len(data) * 8 // 5
    return "".join(ALPHABET[number >> 5 * (digits - 1 - each) & 31] for each in range(digits))


def line_check(number: int, first: bytes, line: bytes) -> str:
    """20 bits that tell a mistyped line, and a line that belongs to another share or another place."""
    made = hashlib.sha256(b"tricenter share line" + bytes([number]) + first + line).digest()
    return base32(made[:5])[:4]


def share_lines(share: Share) -> list[str]:
    """Return the four lines that a custodian keeps."""
    data = bytes([VERSION]) + bytes.fromhex(share.key) + bytes([share.threshold, share.number]) + share.value
    parts = [data[at : at + LINE_BYTES] for at in range(0, len(data), LINE_BYTES)]
    lines = []
    for number, part in enumerate(parts, 1):
        digits = base32(part) + line_check(number, parts[0], part)
        lines.append(f"{number}: " + "-".join(digits[at : at + 4] for at in range(0, 20, 4)))
    return lines


def read_line(number: int, text: str, first: bytes) -> bytes:
    """Return the bytes of one line. Raises Broken for one that was mistyped."""
    digits = re.sub(r"[\s-]", "", text).upper().translate(MISREAD)
    if len(digits) != 20 or any(each not in ALPHABET for each in digits):
        raise Broken(f"第 {number} 行应为 5 组各 4 位", f"line {number}: want 5 groups of 4 digits or letters")
    value = 0
    for each in digits[:16]:
        value = value << 5 | ALPHABET.index(each)
    line = value.to_bytes(LINE_BYTES, "big")
    if line_check(number, first or line, line) != digits[16:]:
        raise Broken(f"第 {number} 行有误（校验不符）", f"line {number} is mistyped, or of another share")
    return line


def as_share(data: bytes) -> Share:
    if data[0] != VERSION:
        raise Broken(f"份额版本 {data[0]} 未知", f"a share of version {data[0]}; this program reads {VERSION}")
    return Share(data[1:6].hex(), data[6], data[7], data[8:])


def parse_share(text: str) -> Share:
    """Return the share that a text holds, whatever else stands around its four lines. Raises Broken."""
    found = dict(re.findall(r"(?m)^\s*([1-4])\s*[:.：]\s*([0-9A-Za-z][0-9A-Za-z \t-]+?)\s*$", text))
    if len(found) != LINES:
        raise Broken(f"份额应有 4 行，找到 {len(found)} 行", f"a share has 4 numbered lines; {len(found)} found")
    first = read_line(1, found["1"], b"")
    return as_share(first + b"".join(read_line(number, found[str(number)], first) for number in range(2, LINES + 1)))


def ask_share(ask: Callable[[str], str], tell: Callable[[str], None]) -> Share:
    """Return a share that a person types, line by line: a mistyped line is asked for again."""
    data = b""
    while len(data) < LINES * LINE_BYTES:
        number = len(data) // LINE_BYTES + 1
        text = re.sub(rf"^\s*{number}\s*[:.：]", "", ask(f"{number}: "))
        try:
            data += read_line(number, text, data[:LINE_BYTES])
        except Broken as error:
            tell(str(error))
    return as_share(data)


# --- the key: Shamir's scheme over GF(256), byte by byte, and what is derived of it


def multiply(left: int, right: int) -> int:
    """The product in the field of AES, x^8 + x^4 + x^3 + x + 1."""
    product = 0
    while right:
        product ^= left if right & 1 else 0
        left = left << 1 ^ (0x11B if left & 0x80 else 0)
        right >>= 1
    return product


def inverse(value: int) -> int:
    result = 1
    for _ in range(254):
        result = multiply(result, value)
    return result


def interpolated(shares: Sequence[Share]) -> bytes:
    """The value at 0 of the polynomials that run through the shares, by Lagrange."""
    key = bytearray(len(shares[0].value))
    for each in shares:
        weight = 1
        for other in shares:
            if other is not each:
                weight = multiply(weight, multiply(other.number, inverse(other.number ^ each.number)))
        for at, byte in enumerate(each.value):
            key[at] ^= multiply(byte, weight)
    return bytes(key)


def combine(shares: Iterable[Share]) -> bytes:
    """Return the key that shares are parts of. Raises Broken when they do not fit together or are too few."""
    given = list(shares)
    if not given:
        raise Broken("没有份额", "no share was given")
    if len({each.key for each in given}) != 1:
        names = ", ".join(f"{each.number}: {each.key}" for each in given)
        raise Broken("份额属于不同的密钥", f"these shares are of different keys ({names})")
    numbers = [each.number for each in given]
    if len(set(numbers)) != len(numbers):
        raise Broken("同一份额给了两次", f"share {max(numbers, key=numbers.count)} was given twice")
    threshold = given[0].threshold
    if len(given) < threshold:
        raise Broken("份额不足", f"{len(given)} given, and {threshold} shares are needed")
    key = interpolated(given[:threshold])
    if key_name(key) != given[0].key:
        raise Broken("份额合不成密钥", f"these shares do not make the key {given[0].key}: one of them is forged")
    return key


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int = 32) -> bytes:
    made = hmac.new(salt, secret, hashlib.sha256).digest()
    return hmac.new(made, info + b"\x01", hashlib.sha256).digest()[:length]


def derived(key: bytes, info: bytes, length: int = 32) -> bytes:
    return hkdf(key, b"tricenter escrow 1", info, length)


def key_name(key: bytes) -> str:
    """What tells keys apart, and nothing of the key: 10 hexadecimal digits."""
    return derived(key, b"name", 5).hex()


def identity_of(key: bytes) -> bytes:
    """The private key that opens bundles. Only the shares have it."""
    return derived(key, b"age identity")


def sender_of(key: bytes) -> bytes:
    """The key of the seal that says who wrote a bundle. The orchestrator has it as well."""
    return derived(key, b"sender")


def seal_of(sender: bytes, made: str, sha256: str) -> str:
    return hmac.new(sender, ("tricenter bundle " + made + " " + sha256).encode(), hashlib.sha256).hexdigest()


def check_name(name: str, data: bytes, sender: bytes) -> str:
    """Return when a bundle was made, as its name says. Raises Broken unless name, content and seal fit together."""
    found = NAME.fullmatch(name.rpartition("/")[2])
    if found is None:
        raise Broken("文件名不是救援包的", f"{name} is no name of a bundle; keep the one that it has in the vault")
    made, sha256, seal = found.groups()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Broken("内容与名称不符，已损坏", "the bundle is damaged: its content is not what its name says")
    if not hmac.compare_digest(seal, seal_of(sender, made, sha256)):
        raise Broken("封印不符，可能是伪造", "the bundle was not written by the orchestrator: its seal does not fit")
    return made


def bech32(prefix: str, data: bytes) -> str:
    """Return the text form in which age writes keys."""
    values, rest, bits = [], 0, 0
    for each in data:
        rest, bits = rest << 8 | each, bits + 8
        while bits >= 5:
            bits -= 5
            values.append(rest >> bits & 31)
    values += [rest << 5 - bits & 31] if bits else []
    check = 1
    spread = [ord(each) >> 5 for each in prefix] + [0] + [ord(each) & 31 for each in prefix]
    for value in spread + values + [0] * 6:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for bit, mask in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= mask if top >> bit & 1 else 0
    check ^= 1
    values += [check >> 5 * (5 - each) & 31 for each in range(6)]
    return prefix + "1" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[each] for each in values)


def identity_text(key: bytes) -> str:
    return bech32("age-secret-key-", identity_of(key)).upper()


# --- age: X25519 (RFC 7748), ChaCha20-Poly1305 (RFC 8439)

PRIME = 2**255 - 19


def x25519(scalar: bytes, point: bytes) -> bytes:
    k = int.from_bytes(scalar, "little") & (1 << 255) - 8 | 1 << 254
    u = int.from_bytes(point, "little") & (1 << 255) - 1
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for bit in range(254, -1, -1):
        now = k >> bit & 1
        if swap ^ now:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = now
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a, c * b, a * a % PRIME, b * b % PRIME
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % PRIME, u * (da - cb) ** 2 % PRIME
        x2, z2 = aa * bb % PRIME, e * (aa + 121665 * e) % PRIME
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")


def chacha20(key: bytes, nonce: bytes, counter: int, blocks: int) -> bytes:
    """The key stream of many blocks at once: each word of the state is a long number with 64 bits for every block."""
    ones = int.from_bytes(b"\x01\0\0\0\0\0\0\0" * blocks, "little")
    mask = 0xFFFFFFFF * ones
    counters = int.from_bytes(b"".join((counter + each).to_bytes(8, "little") for each in range(blocks)), "little")
    words = b"expand 32-byte k" + key + bytes(4) + nonce
    start = [int.from_bytes(words[at : at + 4], "little") * ones for at in range(0, 64, 4)]
    start[12] = counters
    x = list(start)

    def quarter(a: int, b: int, c: int, d: int) -> None:
        for p, q, r, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[p] = x[p] + x[q] & mask
            turned = x[r] ^ x[p]
            x[r] = (turned << turn | turned >> 32 - turn) & mask

    for _ in range(10):
        for column in range(4):
            quarter(column, 4 + column, 8 + column, 12 + column)
        for column in range(4):
            quarter(column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
    stream = bytearray(64 * blocks)
    for number in range(16):
        lanes = (x[number] + start[number] & mask).to_bytes(8 * blocks, "little")
        for byte in range(4):
            stream[4 * number + byte :: 64] = lanes[byte::8]
    return bytes(stream)


def poly1305(key: bytes, data: bytes) -> bytes:
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total, modulus = 0, (1 << 130) - 5
    for at in range(0, len(data), 16):
        total = (total + int.from_bytes(data[at : at + 16] + b"\x01", "little")) * r % modulus
    return ((total + int.from_bytes(key[16:], "little")) & (1 << 128) - 1).to_bytes(16, "little")


def unseal(key: bytes, nonce: bytes, sealed: bytes) -> bytes:
    """Open what ChaCha20-Poly1305 has sealed. Raises Broken when it was changed."""
    data, tag = sealed[:-16], sealed[-16:]
    stream = chacha20(key, nonce, 0, 1 + (len(data) + 63) // 64)
    padded = data + bytes(-len(data) % 16) + bytes(8) + len(data).to_bytes(8, "little")
    if len(sealed) < 16 or not hmac.compare_digest(tag, poly1305(stream[:32], padded)):
        raise Broken("解不开：密钥不符或已被改动", "it does not open: another key, or it was changed")
    mixed = int.from_bytes(data, "little") ^ int.from_bytes(stream[64 : 64 + len(data)], "little")
    return mixed.to_bytes(len(data), "little")


def unbase64(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4))


def open_age(identity: bytes, data: bytes) -> bytes:
    """Return what an age file holds for this identity. Raises Broken."""
    head = re.match(rb"age-encryption\.org/v1\n(.*?)^---", data, re.DOTALL | re.MULTILINE)
    tail = re.compile(rb" ([A-Za-z0-9+/]+)\n").match(data, head.end()) if head else None
    if head is None or tail is None:
        raise Broken("不是 age 文件", "this is no age file")
    own = x25519(identity, (9).to_bytes(32, "little"))
    file_key = b""
    for share, body in re.findall(rb"^-> X25519 ([A-Za-z0-9+/]{43})\n([A-Za-z0-9+/]{43})$", head[1], re.MULTILINE):
        peer = unbase64(share)
        wrap = hkdf(x25519(identity, peer), peer + own, b"age-encryption.org/v1/X25519")
        try:
            file_key = unseal(wrap, bytes(12), unbase64(body))
        except Broken:
            continue
    if not file_key:
        raise Broken("这些份额打不开此包", "the bundle is not for these shares")
    mac = hmac.new(hkdf(file_key, b"", b"header"), data[: head.end()], hashlib.sha256).digest()
    if not hmac.compare_digest(mac, unbase64(tail[1])):
        raise Broken("文件头已被改动", "the head of the file was changed")
    nonce, sealed = data[tail.end() : tail.end() + 16], data[tail.end() + 16 :]
    payload, plain, size = hkdf(file_key, nonce, b"payload"), [], 65536 + 16
    count = max(1, -(-len(sealed) // size))
    for number in range(count):
        last = b"\x01" if number == count - 1 else b"\x00"
        plain.append(unseal(payload, number.to_bytes(11, "big") + last, sealed[number * size : (number + 1) * size]))
    return b"".join(plain)


# --- files


def unpack(archive: bytes, folder: Path) -> list[str]:
    """Write the files of a bundle into an empty folder that only its owner can read, and return their names."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Broken("目标文件夹不是空的", f"the folder {folder} is not empty")
    folder.chmod(0o700)
    names = []
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        for member in tar:
            place = Path(member.name)
            if not member.isfile() or place.is_absolute() or ".." in place.parts:
                raise Broken("包内有不应有的文件", f"the bundle holds what it must not: {member.name}")
            source = tar.extractfile(member)
            assert source is not None
            (folder / place.parent).mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(str(folder / place), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as sink:
                sink.write(source.read())
            names.append(member.name)
    return names


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path)
    parser.add_argument("--share", action="append", default=[], type=Path, help="份额文件 a file with a share")
    parser.add_argument("--into", type=Path, help="空文件夹 an empty folder")
    parser.add_argument("--identity", type=Path, help="写出 age 私钥 write the private key for age")
    given = parser.parse_args(words)
    if not given.identity and not (given.bundle and given.into):
        parser.error("BUNDLE --into DIR, or --identity KEYFILE")
    try:
        shares = [parse_share(each.read_text(encoding="utf-8")) for each in given.share]
        while not shares or len(shares) < shares[0].threshold:
            print(f"份额 share {len(shares) + 1}", file=sys.stderr)
            shares.append(ask_share(input, lambda text: print(text, file=sys.stderr)))
        key = combine(shares)
        if given.identity:
            handle = os.open(str(given.identity), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as sink:
                sink.write(identity_text(key) + "\n")
        if given.bundle:
            data = given.bundle.read_bytes()
            made = check_name(given.bundle.name, data, sender_of(key))
            names = unpack(open_age(identity_of(key), data), given.into)
            print(f"已解开 opened: {len(names)} 个文件 files, {made} -> {given.into}")
    except (Broken, OSError) as error:
        print(f"错误 error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

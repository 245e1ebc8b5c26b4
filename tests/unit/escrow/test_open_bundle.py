"""What opens a bundle without us: against pyrage, another implementation of age, and as a program of its own."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pyrage
import pytest

from orchestrator.escrow import open_bundle
from orchestrator.escrow.open_bundle import Broken, open_age, seal_of, share_lines, unseal, x25519
from orchestrator.escrow.shares import OpeningKey, split

SECRET = bytes(range(32))
KEY = OpeningKey(open_bundle.key_name(SECRET), SECRET)
IDENTITY = open_bundle.identity_of(SECRET)


def sealed(data: bytes) -> bytes:
    return bytes(pyrage.encrypt(data, [KEY.identity.to_public()]))


def archive(**files: bytes) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:
        for name, body in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/"))
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    return sink.getvalue()


def named(data: bytes) -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    return f"20261123T060000Z-{sha256}-{seal_of(KEY.sender, '20261123T060000Z', sha256)}.age"


def test_the_primitives_are_those_of_the_standards() -> None:
    scalar = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")  # RFC 7748, 5.2
    point = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    assert x25519(scalar, point).hex() == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    with pytest.raises(Broken):
        unseal(bytes(32), bytes(12), b"short")


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65535, 65536, 65537, 200_000])
def test_it_opens_what_another_implementation_sealed(size: int) -> None:
    data = hashlib.shake_128(b"data").digest(size)
    assert open_age(IDENTITY, sealed(data)) == data


def test_every_changed_byte_is_noticed() -> None:
    data = sealed(b"what was kept")
    for at in range(0, len(data), 3):
        with pytest.raises((Broken, ValueError)):
            open_age(IDENTITY, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(Broken):
        open_age(IDENTITY, data[:-1])
    with pytest.raises(Broken, match="not for these shares"):
        open_age(bytes(32), data)


def test_as_a_program_it_needs_nothing_of_ours(tmp_path: Path) -> None:
    data = sealed(archive(site__site=b"a: b", secrets__password=b"secret"))
    bundle = tmp_path / named(data)
    bundle.write_bytes(data)
    script = tmp_path / "alone" / "open_bundle.py"
    script.parent.mkdir()
    script.write_text(Path(open_bundle.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    shares = split(KEY, 2, 3)
    (tmp_path / "one").write_text("\n".join(share_lines(shares[0])), encoding="utf-8")
    words = [sys.executable, "-I", str(script), str(bundle), "--share", str(tmp_path / "one")]
    typed = "\n".join(share_lines(shares[2])) + "\n"
    into = tmp_path / "into"
    ended = subprocess.run([*words, "--into", str(into)], input=typed, text=True, capture_output=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert (into / "secrets" / "password").read_bytes() == b"secret"
    assert {each.stat().st_mode & 0o077 for each in (into, *into.rglob("*"))} == {0}
    again = subprocess.run([*words, "--into", str(into)], input=typed, text=True, capture_output=True, timeout=60)
    assert (again.returncode, "is not empty" in again.stderr) == (1, True)


def test_a_forged_damaged_or_renamed_bundle_is_refused() -> None:
    data = sealed(b"anything")
    name = named(data)
    assert open_bundle.check_name(name, data, KEY.sender) == "20261123T060000Z"
    with pytest.raises(Broken, match="its content is not what its name says"):
        open_bundle.check_name(name, data + b"\0", KEY.sender)
    with pytest.raises(Broken, match="not written by the orchestrator"):
        open_bundle.check_name(name.replace("2026", "2027"), data, KEY.sender)
    with pytest.raises(Broken, match="no name of a bundle"):
        open_bundle.check_name("bundle.age", data, KEY.sender)


def test_nothing_is_written_outside_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="what it must not"):
        open_bundle.unpack(archive(**{"..__evil": b""}), tmp_path / "into")
    assert not (tmp_path / "evil").exists()

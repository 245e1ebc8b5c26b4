"""A rescue bundle: all that a province needs which is left alone with its vault, as one file for the custodians.

The site folder as it stands, its overlay, the secrets that it names, clouds.yaml, a copy of the catalogue, the runbook,
and the script that opens it without us: a .tar.gz in the format age, for a key that is not here. It streams through
this machine; only what is sealed, and the copy of the catalogue, ever lie on its disk.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Protocol

import pyrage

from orchestrator.catalogue.copying import copy_catalogue
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import CheckFailed, InvalidInput, TricenterError
from orchestrator.escrow import open_bundle
from orchestrator.escrow.named import Named, named_secrets
from orchestrator.escrow.open_bundle import NAME, Broken, check_name, seal_of
from orchestrator.escrow.runbook import runbook_html, runbook_markdown
from orchestrator.escrow.shares import OpeningKey, SealingKey
from orchestrator.secrets import Secret
from policies.site import Site

FORMAT = 1
MANIFEST, SITE, OVERLAY, CATALOGUE = "manifest.json", "site", "overlay.yaml", "catalogue.sqlite"
CLOUDS, KEPT, SCRIPT = "secrets/clouds.yaml", "secrets/kept", "open_bundle.py"
STAMP = "%Y%m%dT%H%M%SZ"
CHUNK = 1 << 20
CLOUDS_PLACES = ("clouds.yaml", "~/.config/openstack/clouds.yaml", "/etc/openstack/clouds.yaml")
#: A site folder is text that people write: what is larger is something else that was put there.
LARGEST_FILE = 4 << 20


class Program(Protocol):
    """What is needed of the object graph."""

    site_folder: Path | None
    overlay: Path | None

    @property
    def site(self) -> Site: ...

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def secrets_folder(self) -> Path: ...

    @property
    def clouds_file(self) -> Path | None: ...

    def secret(self, reference: str, **names: str) -> Secret: ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """A bundle as it goes into a vault. `missing` are the places of secrets that could not be read, and why."""

    name: str
    file: Path
    made_at: datetime
    size_bytes: int
    sha256: str
    missing: Mapping[str, str]

    def as_evidence(self) -> dict[str, Any]:
        return {"name": self.name, "bytes": self.size_bytes, "missing": sorted(self.missing)}


@dataclass(frozen=True, slots=True)
class Opened:
    """What stands in a bundle that was opened: its manifest, as it was written."""

    made_at: datetime
    manifest: Mapping[str, Any]

    @property
    def site(self) -> str:
        return str(self.manifest["site"])

    @property
    def files(self) -> Mapping[str, Any]:
        files: Mapping[str, Any] = self.manifest["files"]
        return files


def seal_bundle(program: Program, key: SealingKey, folder: Path, moment: datetime) -> Sealed:
    """Make a bundle in `folder`, which is our own, and return it. Raises InvalidInput and Unreachable.

    A secret that cannot be read does not keep the others out of it.
    """
    made_at = moment.astimezone(UTC).replace(microsecond=0)
    copy = folder / CATALOGUE
    copy_catalogue(program.catalogue, copy)
    files, missing = _files(program, key, made_at)
    draft = folder / "draft.age"
    with draft.open("wb") as sink, _archive(files, copy) as source:
        pyrage.encrypt_io(source, sink, [pyrage.x25519.Recipient.from_str(key.recipient)])
        sink.flush()
        os.fsync(sink.fileno())
    copy.unlink()
    sha256, stamp = _sha256(draft), made_at.strftime(STAMP)
    name = f"{stamp}-{sha256}-{seal_of(bytes.fromhex(key.sender), stamp, sha256)}.age"
    return Sealed(name, draft.rename(folder / name), made_at, (folder / name).stat().st_size, sha256, missing)


def open_sealed(name: str, data: bytes, key: OpeningKey) -> tuple[Opened, bytes]:
    """Return what a bundle holds, and its archive, after every file was held against the manifest.

    Raises CheckFailed for a bundle that is damaged, forged, or not for this key.
    """
    try:
        check_name(name, data, key.sender)
        archive = pyrage.decrypt(data, [key.identity])
    except Broken as error:
        raise CheckFailed(f"{name}: {error}", hint="take an older bundle, or that of another centre") from None
    except pyrage.DecryptError as error:
        raise CheckFailed(f"{name} does not open with these shares: {error}", hint="it is of another key") from None
    return _checked(name, archive), archive


def stamp_of(name: str) -> datetime | None:
    """Return when a bundle was made, as its name says, None for what is no bundle. Pure."""
    found = NAME.fullmatch(name.rpartition("/")[2])
    return datetime.strptime(found[1], STAMP).replace(tzinfo=UTC) if found else None


def _checked(name: str, archive: bytes) -> Opened:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        found = {each.name: hashlib.sha256(_content(tar, each)).hexdigest() for each in tar if each.name != MANIFEST}
        manifest = json.loads(_content(tar, tar.getmember(MANIFEST)))
    if manifest["format"] != FORMAT:
        raise CheckFailed(f"{name} is of format {manifest['format']}; this program reads {FORMAT}")
    told = {each: facts["sha256"] for each, facts in manifest["files"].items()}
    if wrong := sorted({*told.items()} ^ {*found.items()}):
        raise CheckFailed(f"{name}: {wrong[0][0]} is not as the manifest says", hint="take an older bundle")
    return Opened(datetime.fromisoformat(manifest["made_at"]), manifest)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    source = tar.extractfile(member)
    return source.read() if source else b""


# --- what goes in


def _files(program: Program, key: SealingKey, made_at: datetime) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the files of a bundle but for the catalogue and the manifest, and the secrets that are not among them."""
    site, folder = program.site, program.site_folder
    if folder is None:
        raise InvalidInput("no site was given", hint="tricenter --site DIR …")
    files = {f"{SITE}/{each.relative_to(folder).as_posix()}": each.read_bytes() for each in _site_files(folder)}
    if program.overlay:
        files[OVERLAY] = program.overlay.read_bytes()
    missing: dict[str, str] = {}
    places = []
    for named in named_secrets(site):
        try:
            value = program.secret(named.reference, **({"tenant": named.tenant} if named.tenant else {})).reveal()
        except TricenterError as error:
            missing[named.file] = str(error)
            continue
        files[named.file] = value.encode()
        files |= _as_environment(named, value)
        places.append({"at": named.at, "reference": named.reference, "file": named.file, "rescued": named.rescued})
    if (clouds := _clouds(program)) is not None:
        files[CLOUDS] = clouds.read_bytes()
    elif site.clouds():
        missing[CLOUDS] = "no clouds.yaml was found"
    files |= {f"{KEPT}/{each.name}": each.read_bytes() for each in program.secrets_folder.iterdir() if each.is_file()}
    files["runbook.md"] = runbook_markdown(site).encode()
    files["runbook.html"] = runbook_html(site).encode()
    files[SCRIPT] = Path(open_bundle.__file__).read_bytes()
    files[MANIFEST] = json.dumps(
        {
            "format": FORMAT,
            "site": site.site,
            "made_at": made_at.isoformat(),
            "key": key.name,
            "custodians": list(key.custodians),
            "threshold": key.threshold,
            "program": f"tricenter {version('tricenter')}",
            "secrets": places,
            "missing": missing,
        },
        ensure_ascii=False,
    ).encode()
    return files, missing


def _site_files(folder: Path) -> Iterator[Path]:
    """Yield what a site folder holds, and not what others put there: git's own files, links, large files."""
    for each in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in each.relative_to(folder).parts)
        if each.is_file() and not each.is_symlink() and not hidden and each.stat().st_size <= LARGEST_FILE:
            yield each


def _as_environment(named: Named, value: str) -> dict[str, bytes]:
    """A vault's credential once more, as a shell reads it: for who has restic and not us."""
    if "credential" not in named.at[-1]:
        return {}
    try:
        parts = json.loads(value)
        told = {"AWS_ACCESS_KEY_ID": parts["access_key"], "AWS_SECRET_ACCESS_KEY": parts["secret_key"]}
    except (ValueError, KeyError, TypeError):
        return {}
    return {f"{named.file}.env": "".join(f"export {k}={shlex.quote(v)}\n" for k, v in told.items()).encode()}


def _clouds(program: Program) -> Path | None:
    if not program.site.clouds():
        return None
    given = program.clouds_file or os.environ.get("OS_CLIENT_CONFIG_FILE")
    places = [Path(given)] if given else [Path(each).expanduser() for each in CLOUDS_PLACES]
    return next((each for each in places if each.is_file()), None)


# --- as a stream


@contextmanager
def _archive(files: Mapping[str, bytes], copy: Path) -> Iterator[IO[bytes]]:
    """Yield the archive of `files` and the catalogue as it is written by another thread. Raises what failed there."""
    reader, writer = os.pipe()
    failed: list[BaseException] = []

    def write() -> None:
        try:
            with os.fdopen(writer, "wb") as sink, tarfile.open(fileobj=sink, mode="w|gz") as tar:
                _fill(tar, files, copy)
        except BaseException as error:  # noqa: BLE001 - raised again by who reads
            failed.append(error)

    thread = threading.Thread(target=write, name="bundle", daemon=True)
    thread.start()
    with os.fdopen(reader, "rb") as source:
        yield source
    thread.join()
    if failed:
        raise failed[0]


def _fill(tar: tarfile.TarFile, files: Mapping[str, bytes], copy: Path) -> None:
    facts = {name: _facts(body) for name, body in files.items() if name != MANIFEST}
    facts[CATALOGUE] = {"bytes": copy.stat().st_size, "sha256": _sha256(copy)}
    manifest = json.loads(files[MANIFEST]) | {"files": facts}
    bodies = {MANIFEST: json.dumps(manifest, ensure_ascii=False, indent=1).encode()} | {
        name: body for name, body in files.items() if name != MANIFEST
    }
    for name, body in bodies.items():
        tar.addfile(_entry(name, len(body)), io.BytesIO(body))
    with copy.open("rb") as source:
        tar.addfile(_entry(CATALOGUE, copy.stat().st_size), source)


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry


def _facts(body: bytes) -> dict[str, Any]:
    return {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def _sha256(file: Path) -> str:
    made = hashlib.sha256()
    with file.open("rb") as source:
        while piece := source.read(CHUNK):
            made.update(piece)
    return made.hexdigest()

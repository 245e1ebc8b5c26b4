"""Beginning again with nothing but one vault, its credential and the shares: site folder, secrets and catalogue.

The newest bundle that opens is written into a folder of its own, beside it first and renamed at the end: the folder is
there whole or not at all. An overlay in it names the secrets where they stand now. Nothing in the vault is changed.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from orchestrator.errors import CheckFailed, Refused
from orchestrator.escrow import vaulted
from orchestrator.escrow.bundle import CATALOGUE, CLOUDS, KEPT, MANIFEST, OVERLAY, SITE, Opened
from orchestrator.escrow.open_bundle import Broken, unpack
from orchestrator.escrow.shares import OpeningKey
from orchestrator.escrow.vaulted import Stored
from orchestrator.vault.admin import VaultAdmin
from orchestrator.vault.signing import Credential

BEFORE, SCRIPT, STATE = "overlay.before.yaml", "env.sh", "state"


@dataclass(frozen=True, slots=True)
class LastVault:
    """The vault that is left."""

    centre: str
    endpoint: str
    region: str
    bucket_prefix: str
    credential: Credential

    @property
    def register_bucket(self) -> str:
        return f"{self.bucket_prefix}0-register"

    def admin(self) -> VaultAdmin:
        return VaultAdmin(self.centre, self.endpoint, self.region, self.credential)


@dataclass(frozen=True, slots=True)
class Found:
    """A bundle that opens. `passed_over` are newer ones that did not; `by_hand` names secrets to be put in place."""

    stored: Stored
    opened: Opened
    archive: bytes
    passed_over: int
    by_hand: tuple[str, ...]


def find_bundle(vault: LastVault, key: OpeningKey, site: str | None) -> Found:
    """Return the newest bundle in the vault that opens with the key. Raises CheckFailed, Unreachable and Refused."""
    admin = vault.admin()
    bundles = vaulted.find_bundles(admin, vault.register_bucket, site=site)
    mine = [each for each in bundles if each.key == key.name]
    if bundles and not mine:
        keys = ", ".join(sorted({each.key for each in bundles}))
        raise CheckFailed(
            f"no bundle in {vault.register_bucket} is for the key {key.name} of these shares; some are for {keys}",
            hint="take the shares with one of those names on them",
        )
    if len(names := sorted({each.site for each in mine})) > 1:
        raise Refused(f"there are bundles of {', '.join(names)}", hint="say which with --site-name")
    stored, opened, archive = vaulted.open_newest(admin, vault.register_bucket, mine, key)
    return Found(stored, opened, archive, mine.index(stored), tuple(_by_hand(opened.manifest)))


def is_rescued(into: Path, found: Found) -> bool:
    """Return whether the folder was written from this bundle already. Raises Refused when it holds anything else."""
    if not into.exists() or (into.is_dir() and not any(into.iterdir())):
        return False
    try:
        made_at = json.loads((into / MANIFEST).read_text(encoding="utf-8"))["made_at"]
    except (OSError, ValueError, KeyError):
        raise Refused(f"{into} is not empty", hint="give a new or empty folder with --into") from None
    if made_at != found.opened.manifest["made_at"]:
        raise Refused(
            f"{into} was rescued from the bundle of {made_at}, and the newest is of {found.opened.manifest['made_at']}",
            hint="give another folder with --into, or go on with what is there: see its env.sh",
        )
    return True


def write_rescued(into: Path, found: Found, vault: LastVault) -> None:
    """Write what the bundle holds into the folder, readable by its owner alone. Whole or not at all; may be repeated.

    Raises Refused when something else is in the folder.
    """
    if is_rescued(into, found):
        return
    into.parent.mkdir(parents=True, exist_ok=True)
    draft = into.with_name(f".{into.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)  # of a rescue that was killed
    try:
        unpack(found.archive, draft)
    except Broken as error:
        raise CheckFailed(f"{found.stored.name}: {error}", hint="take an older bundle") from None
    state = draft / STATE
    state.mkdir(mode=0o700)
    (draft / CATALOGUE).rename(state / "catalogue.sqlite")
    if (draft / KEPT).is_dir():
        (draft / KEPT).rename(state / "secrets")
    _write_overlay(draft, into, found.opened.manifest, vault)
    _write_script(draft, into, found.opened.manifest)
    if into.exists():
        into.rmdir()
    draft.rename(into)


# --- where everything stands now


def _write_overlay(draft: Path, into: Path, manifest: Mapping[str, Any], vault: LastVault) -> None:
    """Write the overlay that was, with what stands elsewhere now laid over it."""
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    overlay: dict[str, Any] = {}
    if (draft / OVERLAY).exists():
        overlay = yaml.load(draft / OVERLAY) or {}
        (draft / OVERLAY).rename(draft / BEFORE)
    for each in manifest["secrets"]:
        if not _stays(each):
            _set(overlay, each["at"], f"file:{into / each['rescued']}")
    _set(overlay, ["state"], str(into / STATE))
    if (draft / CLOUDS).exists():
        _set(overlay, ["clouds_file"], str(into / CLOUDS))
    # The vault may be reached by another way than from the production centre.
    _set(overlay, ["centres", vault.centre, "vault", "endpoint"], vault.endpoint)
    _set(overlay, ["centres", vault.centre, "vault", "region"], vault.region)
    with (draft / OVERLAY).open("w", encoding="utf-8") as sink:
        yaml.dump(overlay, sink)
    (draft / OVERLAY).chmod(0o600)


def _set(tree: dict[str, Any], at: list[str], value: str) -> None:
    for name in at[:-1]:
        below = tree.get(name)
        tree[name] = below if isinstance(below, dict) else {}
        tree = tree[name]
    tree[at[-1]] = value


def _stays(secret: Mapping[str, Any]) -> bool:
    """Whether a place that names a secret is out of an overlay's reach: one in a plan or a tier."""
    return secret["at"][0] in ("plans", "tiers")


def _by_hand(manifest: Mapping[str, Any]) -> Iterator[str]:
    for each in manifest["secrets"]:
        kind, _, where = each["reference"].partition(":")
        if _stays(each) and kind == "file":
            yield f"{each['file']} -> {where}"


def _write_script(draft: Path, into: Path, manifest: Mapping[str, Any]) -> None:
    """Write what a shell needs to know to work on the rescued site."""
    lines = [
        f"export TRICENTER_SITE={shlex.quote(str(into / SITE))}",
        f"export TRICENTER_OVERLAY={shlex.quote(str(into / OVERLAY))}",
        "unset TRICENTER_DATABASE_URL",
    ]
    for each in manifest["secrets"]:
        kind, _, where = each["reference"].partition(":")
        if _stays(each) and kind == "env":
            lines.append(f'export {where}="$(cat {shlex.quote(str(into / each["file"]))})"')
    (draft / SCRIPT).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (draft / SCRIPT).chmod(0o600)

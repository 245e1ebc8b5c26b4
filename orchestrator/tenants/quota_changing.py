"""A change of a quota as the site's file has it: what it alters, whether it may be, and writing it with care.

The file keeps its comments and its order. What is written is read again before it takes the place of the file: it must
say what the file said and the edits, and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from secrets import token_hex

from orchestrator.catalogue.quota_uses import QuotaUse
from orchestrator.errors import InvalidInput, Refused
from orchestrator.tenants.requesting import faults_with
from orchestrator.tenants.tenant_text import edited_text, loaded
from policies.document import Node, read
from policies.findings import Finding
from policies.quota_change import (
    CLASS,
    MULTIPLIER,
    Difference,
    Edits,
    differences,
    edited,
    is_below,
    limits_of,
)
from policies.site import Site
from policies.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Change:
    """What edits do to a tenant's file and to its limits. `text` equals `before` when they are in it already."""

    file: Path
    before: str
    text: str
    differing: tuple[Difference, ...]
    faults: tuple[Finding, ...]

    @property
    def made(self) -> bool:
        return self.text == self.before

    def diff(self) -> str:
        """Return what changes in the file, line by line."""
        name = f"tenants/{self.file.name}"
        return "".join(
            unified_diff(self.before.splitlines(keepends=True), self.text.splitlines(keepends=True), name, name, n=1)
        )


def plan_change(site: Site, folder: Path, overlay: Path | None, tenant: str, edits: Edits) -> Change:
    """Return what edits do to a tenant of the site. Reads only.

    Raises Refused where the overlay says what is to be edited, and where the file cannot be edited without harm.
    """
    file, node = _found(folder, tenant)
    _refuse_overlaid(overlay, tenant)
    plain = node.plain()
    wanted = edited(plain, edits)
    before = file.read_text(encoding="utf-8")
    if wanted == plain:
        return Change(file, before, before, (), ())
    text = edited_text(before, edits)
    if text is None or loaded(text) != wanted:
        raise Refused(f"{file} cannot be edited without changing more than its quota", hint="edit it by hand")
    faults = faults_with({tenant: wanted}, folder, overlay)
    differing: tuple[Difference, ...] = ()
    if not faults:
        standing, coming = site.tenants[tenant], Tenant.model_validate(wanted)
        differing = differences(limits_of(standing, site.quota_classes), limits_of(coming, site.quota_classes))
    return Change(file, before, text, differing, faults)


def write_change(change: Change) -> None:
    """Put the new text in the place of the file, whole or not at all. May be repeated.

    Raises Refused when somebody wrote the file meanwhile, and InvalidInput when it cannot be written.
    """
    draft = change.file.with_name(f".{change.file.name}.{token_hex(4)}")
    try:
        if change.file.read_text(encoding="utf-8") != change.before:
            raise Refused(f"{change.file} was changed meanwhile", hint="run it again: it is compared anew")
        with draft.open("x", encoding="utf-8") as sink:
            sink.write(change.text)
            sink.flush()
            os.fsync(sink.fileno())
        draft.chmod(change.file.stat().st_mode)
        draft.replace(change.file)
    except OSError as error:
        raise InvalidInput(
            f"{change.file} cannot be written: {error.strerror}",
            hint="make the edit where the site folder comes from, then apply the change: it is found done",
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def below_use(differing: Sequence[Difference], uses: Collection[QuotaUse]) -> Iterator[str]:
    """Yield each limit that would be below what the tenant uses, with the centre where it does. Pure."""
    wanted = {each.limit: each.after for each in differing}
    for each in uses:
        limit = f"{each.service}.{each.resource}"
        if limit in wanted and is_below(wanted[limit], each.used):
            yield f"{limit}: {wanted[limit]} wanted, {each.used} in use at {each.centre}"


def _found(folder: Path, tenant: str) -> tuple[Path, Node]:
    """Return a tenant's file and what it says: mostly the file of its name, but a file may say another name."""
    usual = folder / "tenants" / f"{tenant}.yaml"
    for file in (usual, *sorted(usual.parent.glob("*.yaml"))):
        node, faults = read(file)
        if node and not faults and (node.text("tenant") or file.stem) == tenant:
            return file, node
    raise InvalidInput(f"{usual.parent} has no file of {tenant}", hint="tricenter validate")


def _refuse_overlaid(overlay: Path | None, tenant: str) -> None:
    node = read(overlay)[0] if overlay else None
    below = node.at("tenants", tenant) if node else None
    if said := [key for key in (CLASS, MULTIPLIER, "quota") if below and below.at(key)]:
        raise Refused(f"{overlay} says {said[0]} of {tenant}, over its file", hint="edit it there by hand")

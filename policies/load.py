"""A site folder read into one `Site`, or every fault of it at once.

    site.yaml         the centres, vaults and zones        tenants/*.yaml    one tenant a file
    tiers/*.yaml      one tier a file, over the shipped    plans/*.yaml      one plan a file, optional

An overlay is one YAML file laid over them: over site.yaml, and under its key `tenants:` over the tenants by name. It
holds what differs from place to place (endpoints, paths, names of secrets), and the site folder stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from policies.document import Node, overlaid, read
from policies.draft import Draft
from policies.findings import Finding, SiteInvalid, did_you_mean, in_order, nearest
from policies.fit import misfits
from policies.plan import Plan, default_plans
from policies.site import Site, SiteFile
from policies.tenant import Tenant
from policies.tiers import Tier
from policies.wording import checked

#: The folders of a site: what each file in them holds, and the key that names it.
FOLDERS: dict[str, tuple[type[BaseModel], str]] = {
    "tiers": (Tier, "tier"),
    "tenants": (Tenant, "tenant"),
    "plans": (Plan, "plan"),
}

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Checked:
    """A folder that was looked at: the site when it has no fault, and all findings, faults first."""

    folder: Path
    site: Site | None
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.severity == "fault")


def load_site(folder: Path, overlay: Path | None = None) -> Site:
    """Return the site that `folder` describes, with `overlay` laid over it. May be repeated; only reads.

    Raises SiteInvalid with every fault.
    """
    looked = check_site(folder, overlay)
    if looked.site is None:
        raise SiteInvalid(folder, looked.faults)
    return looked.site


def check_site(folder: Path, overlay: Path | None = None) -> Checked:
    """Look at the whole folder and return the site, if it is one, with faults, warnings and notes. Raises nothing."""
    look = _Look(folder)
    look.read(overlay)
    site = look.site()
    return Checked(folder, site, in_order(look.findings))


class _Look:
    """One look at a site folder: reads, overlays, checks; gathers what it finds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.findings: list[Finding] = []
        self.head: Node | None = None
        self.parts: dict[str, dict[str, Node]] = {name: {} for name in FOLDERS}
        #: Parts whose name another file has already: no part of a site, and their other faults are told all the same.
        self.second: dict[str, list[tuple[str, Node]]] = {name: [] for name in FOLDERS}
        self.unread: set[str] = set()

    def fault(self, file: Path, got: str, want: str, hint: str = "", *, line: int = 1, path: str = "") -> None:
        self.findings.append(Finding(file, line, path, got, want, hint))

    def read(self, overlay: Path | None) -> None:
        if not self.folder.is_dir():
            got = "a file" if self.folder.exists() else "no such folder"
            self.fault(self.folder, got, "a site folder", "tricenter init DIR writes a first one")
            return
        self._strays()
        self.head = self._read(self.folder / "site.yaml", "") if self._has_site_file() else None
        shipped: dict[str, Node] = {}
        with as_file(files("policies") / "defaults" / "tiers") as defaults:
            for file in sorted(defaults.glob("*.yaml")):
                self._part("tiers", file, shipped)
        for name in FOLDERS:
            for file in sorted((self.folder / name).glob("*.yaml")):
                self._part(name, file, self.parts[name])
        self.parts["tiers"] = {**shipped, **self.parts["tiers"]}
        if overlay:
            self._overlay(overlay)

    def _has_site_file(self) -> bool:
        file = self.folder / "site.yaml"
        if not file.exists():
            other = next((each.name for each in self.folder.glob("site.y*ml")), None)
            hint = f"rename {other}" if other else "tricenter init DIR writes a first one"
            self.fault(file, "no such file", "site.yaml with the centres of the site", hint)
        return file.exists()

    def _strays(self) -> None:
        """Files that look as if they were read and are not: silence about them would be a trap."""
        for each in sorted(self.folder.iterdir()):
            if each.is_dir() and each.name not in FOLDERS and (near := nearest(each.name, FOLDERS)):
                self.fault(each, f"a folder {each.name}", f"one of {', '.join(FOLDERS)}", f"did you mean {near}?")
        for name in FOLDERS:
            for each in sorted((self.folder / name).glob("*.yml")):
                self.fault(each, "a name that ends in .yml", "NAME.yaml", f"rename it to {each.stem}.yaml")

    def _read(self, file: Path, root: str) -> Node | None:
        node, findings = read(file)
        dotted = f"{root}." if root else ""
        self.findings += [replace(each, path=f"{dotted}{each.path}" if each.path else root) for each in findings]
        return node

    def _part(self, folder: str, file: Path, found: dict[str, Node]) -> None:
        node, findings = read(file)
        name = (node.text(FOLDERS[folder][1]) if node else None) or file.stem
        root = f"{folder}[{name}]"
        self.findings += [replace(each, path=f"{root}.{each.path}" if each.path else root) for each in findings]
        if node is None:
            self.unread.add(folder)
        elif name in found:
            first, line = found[name], (node.at(FOLDERS[folder][1]) or node).line
            got = f"a second {FOLDERS[folder][1]} {name}"
            hint = f"the first is in {first.file.name}:{first.line}"
            self.fault(file, got, "each name once", hint, line=line, path=root)
            self.second[folder].append((name, node))
        else:
            found[name] = node

    def _overlay(self, file: Path) -> None:
        over = self._read(file, "")
        if over is None or not isinstance(over.value, dict):
            return
        below = dict(over.value)
        tenants = below.pop("tenants", None)
        if self.head:
            self.head = overlaid(self.head, Node(below, over.file, over.line))
        if tenants and not isinstance(tenants.value, dict):
            self.fault(file, "no mapping", "a mapping by tenant name", line=tenants.line, path="tenants")
        known = self.parts["tenants"]
        for name, node in tenants.items() if tenants else ():
            if name not in known and "tenants" in self.unread:
                continue
            if name not in known:
                want, path = "a tenant of this site", f"tenants[{name}]"
                self.fault(file, f"the tenant {name}", want, did_you_mean(name, known), line=node.line, path=path)
            elif node.text("tenant") not in (None, name):
                want, path = f"the name {name}, which files elsewhere use", f"tenants[{name}].tenant"
                self.fault(file, "a new name for the tenant", want, line=node.line, path=path)
            elif isinstance(node.value, dict):
                known[name] = overlaid(known[name], node)
            else:
                self.fault(
                    file, "no mapping", "a mapping laid over the tenant", line=node.line, path=f"tenants[{name}]"
                )

    def site(self) -> Site | None:
        """Return the site when nothing found is a fault."""
        if self.head is None and not any(self.parts.values()):
            return None
        tiers = self._checked("tiers", Tier)
        tenants = self._checked("tenants", Tenant)
        plans = self._checked("plans", Plan)
        head = self._head()
        tiers_read, tenants_read, plans_read = self.parts["tiers"], self._all("tenants"), self._all("plans")
        self.findings += misfits(Draft(self.head, tiers_read, tenants_read, plans_read, frozenset(self.unread)))
        if head is None or any(each.severity == "fault" for each in self.findings):
            return None
        for plan in default_plans(tenants.values(), plans.values()):
            plans[plan.plan] = plan
        known = {name: getattr(head, name) for name in SiteFile.model_fields}
        return Site(**known, tiers=tiers, tenants=tenants, plans=plans)

    def _head(self) -> SiteFile | None:
        if self.head is None:
            return None
        head, findings = checked(SiteFile, self.head, "")
        for each in findings:
            if each.got == "an unknown key" and each.path in FOLDERS:
                each = replace(each, hint=f"{each.path} stand in {each.path}/*.yaml, one a file")
            self.findings.append(each)
        return head

    def _checked(self, folder: str, model: type[M]) -> dict[str, M]:
        values: dict[str, M] = {}
        for name, node in self._all(folder):
            value, findings = checked(model, node, f"{folder}[{name}]")
            self.findings += findings
            if value is not None:
                values[name] = value
        return values

    def _all(self, folder: str) -> list[tuple[str, Node]]:
        return [*self.parts[folder].items(), *self.second[folder]]

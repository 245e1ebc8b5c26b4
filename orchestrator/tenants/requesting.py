"""Requests read from files and checked: every fault of every file at once, and faults of one stop no other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from orchestrator.tenants.request_form import Asked, read_form
from policies.document import Node, read
from policies.findings import Finding, in_order, spelled
from policies.load import FOLDERS, check_site
from policies.request import Request
from policies.request_checks import check, taken_of
from policies.site import Site
from policies.wording import checked

SUFFIXES = (".yaml", ".xlsx")


@dataclass(frozen=True, slots=True)
class Judged:
    """A request with addresses for its networks, and what is wrong with it; None when it could not be read at all."""

    name: str
    request: Request | None
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        return self.request is not None and not self.findings


@dataclass(frozen=True, slots=True)
class Read:
    """What files held: requests in their order, and what is wrong with the files themselves."""

    judged: tuple[Judged, ...]
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        return in_order([*self.findings, *(found for each in self.judged for found in each.findings)])


def read_and_check(
    files: Sequence[Path], site: Site, open_requests: Iterable[tuple[str, Request]], folder: Path, overlay: Path | None
) -> Read:
    """Return the requests in files and folders of files, checked against the site, open requests and each other."""
    asked, findings = _read_all(files)
    taken = taken_of(site, open_requests)
    judged: list[Judged] = []
    for each in asked:
        root = f"request[{each.name}]"
        request, found = checked(Request, each.node, root)
        if request is not None:
            request, misfits = check(request, site, taken)
            taken.add(request, f"the request of {request.tenant} ({each.node.file.name}:{each.node.line})")
            found = [
                Finding(*_place(each.node, one.at), spelled(one.at, root), one.got, one.want, one.hint)
                for one in misfits
            ]
        judged.append(Judged(each.name, request, tuple(_by_cell(each, root, one) for one in found)))
    sound = {each.name: each.request.as_tenant() for each in judged if each.sound and each.request}
    of_site = faults_by_tenant(sound, folder, overlay)
    return Read(tuple(_with(each, of_site.get(each.name, [])) for each in judged), tuple(findings))


def _read_all(files: Sequence[Path]) -> tuple[list[Asked], list[Finding]]:
    asked: list[Asked] = []
    findings: list[Finding] = []
    for file in _files(files):
        if file.suffix == ".xlsx":
            found, faults = read_form(file)
        elif file.suffix == ".yaml":
            node, faults = read(file)
            found = [Asked(node.text("tenant") or file.stem, node)] if node else []
        else:
            found, faults = (
                [],
                [Finding(file, 1, "", f"a name that ends in {file.suffix or 'nothing'}", ".yaml or .xlsx")],
            )
        asked += found
        findings += faults
    return asked, findings


def _files(paths: Sequence[Path]) -> Iterable[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(
                each for each in path.iterdir() if each.suffix in SUFFIXES and not each.name.startswith((".", "~"))
            )
        else:
            yield path


def _place(node: Node, trail: tuple[str | int, ...]) -> tuple[Path, int]:
    """Return where a path is written, or the nearest above it that is."""
    while trail and node.at(*trail) is None:
        trail = trail[:-1]
    found = node.at(*trail) or node
    return found.file, found.line


def _by_cell(asked: Asked, root: str, finding: Finding) -> Finding:
    """Return a finding with the cell before its path, for what was read from a spreadsheet."""
    trails = {spelled(trail, root): trail for trail in asked.cells}
    path = finding.path
    while path and path not in trails:
        path = path.rpartition(".")[0]
    cell = asked.cells.get(trails[path]) if path in trails else None
    if cell is None:
        return finding
    return replace(
        finding, path=f"{cell}  {finding.path}", line=int("".join(filter(str.isdigit, cell.rpartition("!")[2])))
    )


def _with(judged: Judged, findings: Sequence[Finding]) -> Judged:
    return replace(judged, findings=(*judged.findings, *findings)) if findings else judged


def faults_by_tenant(
    tenants: Mapping[str, Mapping[str, Any]], folder: Path, overlay: Path | None
) -> dict[str, list[Finding]]:
    """Return what the site's own checks say of new tenants, by tenant: the whole site is looked at once, with all."""
    if not tenants:
        return {}
    found: dict[str, list[Finding]] = {}
    for each in faults_with(tenants, folder, overlay):
        name = each.path.partition("[")[2].partition("]")[0] if each.path.startswith("tenants[") else ""
        for tenant in [name] if name in tenants else tenants:
            found.setdefault(tenant, []).append(replace(each, file=folder / "tenants" / each.file.name))
    return found


def faults_with(tenants: Mapping[str, Mapping[str, Any]], folder: Path, overlay: Path | None) -> tuple[Finding, ...]:
    """Return the faults that the site has when these tenants are laid into it. The folder itself is not touched."""
    with tempfile.TemporaryDirectory(prefix="tricenter-site-") as place:
        staged = Path(place)
        (staged / "site.yaml").symlink_to((folder / "site.yaml").resolve())
        for name in FOLDERS:
            (staged / name).mkdir()
            for file in (folder / name).glob("*.yaml"):
                (staged / name / file.name).symlink_to(file.resolve())
        for name, document in tenants.items():
            file = staged / "tenants" / f"{name}.yaml"
            file.unlink(missing_ok=True)
            file.write_text(as_yaml(document), encoding="utf-8")
        return check_site(staged, overlay).faults


def as_yaml(document: Mapping[str, Any]) -> str:
    """Return a tenant's file. The same document makes the same text."""
    from io import StringIO

    writer = YAML()
    writer.default_flow_style = False
    writer.allow_unicode = True
    sink = StringIO()
    writer.dump(dict(document), sink)
    return sink.getvalue()

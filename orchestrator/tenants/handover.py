"""What a bureau is handed: a sheet without secrets, and once its first passwords in a file of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyrage
from ruamel.yaml import YAML

from orchestrator.catalogue.requests import StoredRequest
from orchestrator.errors import InvalidInput, Refused
from orchestrator.paper import as_pdf
from orchestrator.secrets import write_once
from policies.quota_classes import effective
from policies.site import Site
from policies.tenancy import Nested, OwnDomain
from policies.values import format_duration


class FirstPassword(NamedTuple):
    """Where the first password of a member at a centre waits."""

    centre: str
    domain: str
    account: str
    file: Path


def sheet(site: Site, request: StoredRequest, addresses: Mapping[str, str | None]) -> dict[str, Any]:
    """Return what the sheet says; `addresses` are those of the identity services by centre. Holds no secret. Pure."""
    tenant = site.tenants[request.tenant]
    limits = effective(site.quota_classes, tenant.quota, tenant.quota_class, tenant.quota_multiplier)
    systems = [
        {
            "name": name, "title": system.title.model_dump(), "centre": centre,
            "tier": str(site.tiers[system.tier].title),
            "rpo": format_duration(copy.rpo.total_seconds()), "rto": format_duration(copy.rto.total_seconds()),
            "sources": [f"{source} ({each.kind})" for source, each in system.sources.items()],
        }
        for name, system in tenant.systems.items()
        for centre, copy in site.tiers[system.tier].copies.items()
    ]  # fmt: skip
    return {
        "site": site.title.model_dump(),
        "tenant": tenant.tenant,
        "title": tenant.title.model_dump(),
        "unit_code": tenant.unit_code,
        "contact": tenant.contact,
        "request": request.id,
        "asked_by": request.by,
        "approved_by": request.decided_by or "",
        "logins": [
            {"centre": centre, "address": address, "domain": _tenancies(site)[centre].domain_of(tenant.tenant)}
            for centre, address in addresses.items()
        ],
        "members": [
            {"account": _accounts(site, tenant.tenant, name), "name": each.name, "role": each.role, "email": each.email}
            for name, each in tenant.members.items()
        ],
        "networks": [
            {"name": name, "zone": str(site.zones[each.zone].title), "cidr": str(each.cidr)}
            for name, each in tenant.networks.items()
        ],
        "quotas": [
            {"service": service, "resource": resource, "limit": limit.amount}
            for (service, resource), limit in limits.items()
        ],
        "systems": systems,
    }


def render(document: Mapping[str, Any]) -> str:
    """Return the sheet as HTML, in Chinese and English. Pure."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("handover.html.j2").render(d=document)


def write_sheet(folder: Path, document: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write `TENANT-handover.html` and `.pdf` into a folder and return both paths. The same again makes the same."""
    folder.mkdir(parents=True, exist_ok=True)
    html = render(document)
    page = folder / f"{document['tenant']}-handover.html"
    page.write_text(html, encoding="utf-8")
    paper = page.with_suffix(".pdf")
    paper.write_bytes(as_pdf(html))
    return page, paper


def identity_address(secrets_folder: Path, tenant: str, centre: str) -> str | None:
    """Return where the identity service of a centre answers, as the tenant's credential says; None without one."""
    file = secrets_folder / f"{tenant}.{centre}.clouds.yaml"
    if not file.exists():
        return None
    clouds = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))["clouds"]
    return next((str(each["auth"]["auth_url"]) for each in clouds.values()), None)


def first_passwords(secrets_folder: Path, site: Site, tenant: str) -> list[FirstPassword]:
    """Return the first passwords of a tenant's members that wait to be handed over."""
    members, tenancies = site.tenants[tenant].members, _tenancies(site)
    found = sorted((secrets_folder / "handover").glob(f"{tenant}.*.*.password"))
    waiting = [(file.name.split("."), file) for file in found]
    return [
        FirstPassword(centre, tenancies[centre].domain_of(tenant), tenancies[centre].account(tenant, login), file)
        for (_, centre, login, _), file in waiting
        if login in members and centre in tenancies
    ]


def _tenancies(site: Site) -> dict[str, OwnDomain | Nested]:
    return {str(centre): cloud.tenancy for centre, cloud in site.clouds().items()}


def _accounts(site: Site, tenant: str, login: str) -> str:
    """Return what an account is called: one name, or one for each centre."""
    names = {centre: each.account(tenant, login) for centre, each in _tenancies(site).items()}
    if len(set(names.values())) > 1:
        return ", ".join(f"{name} @ {centre}" for centre, name in names.items())
    return next(iter(names.values()), login)


def hand_over(waiting: Sequence[FirstPassword], tenant: str, to: Path, *, recipient: str, passphrase: str) -> None:
    """Write first passwords into one file that only its owner can read, then delete where they waited.

    With a recipient or a passphrase the file is encrypted (age, armored). Never writes over a file: raises Refused.
    Raises InvalidInput for a recipient that is none. After a kill both may be there: what waits is deleted last.
    """
    rows = [
        {
            "centre": each.centre,
            "domain": each.domain,
            "account": each.account,
            "password": each.file.read_text(encoding="utf-8").strip(),
        }
        for each in waiting
    ]
    told = {"tenant": tenant, "project": tenant, "first_passwords": rows}
    text = json.dumps(told, ensure_ascii=False, indent=2) + "\n"
    if recipient or passphrase:
        text = _sealed(text.encode(), recipient, passphrase).decode("ascii")
    try:
        written = write_once(to, text)
    except OSError as error:
        raise InvalidInput(f"{to} cannot be written: {error.strerror}") from error
    if not written:
        raise Refused(f"{to} is there already, and is not written over", hint="name a file that is not")
    for each in waiting:
        each.file.unlink(missing_ok=True)


def _sealed(data: bytes, recipient: str, passphrase: str) -> bytes:
    try:
        if recipient:
            sealed = pyrage.encrypt(data, [pyrage.x25519.Recipient.from_str(recipient)], armored=True)
        else:
            sealed = pyrage.passphrase.encrypt(data, passphrase, armored=True)
    except pyrage.RecipientError as error:
        raise InvalidInput("the recipient is none of age's", hint="age1… as age-keygen prints it") from error
    assert isinstance(sealed, bytes)
    return sealed

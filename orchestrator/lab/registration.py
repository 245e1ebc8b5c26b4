"""Ties a site folder to the lab: an overlay that says where the lab's parts are, and the secrets it names."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from orchestrator.errors import InvalidInput
from orchestrator.lab import names, vaults
from orchestrator.lab.bootstrap import EXTERNAL_NETWORK
from orchestrator.lab.layout import CLOUDS, VAULTS, Centre, Lab, made_once, random_secret
from orchestrator.secrets import make_password, write_private
from policies.load import load_site
from policies.site import Site, SystemRef
from policies.tenant import PathSource, PostgresqlSource, Source, StandbyName

DATABASE_NAME_BYTES = 63


@dataclass(frozen=True, slots=True)
class SitePlace:
    """Where the lab keeps what belongs to one site."""

    lab: Lab
    site: str

    @property
    def folder(self) -> Path:
        return self.lab.sites / self.site

    @property
    def overlay(self) -> Path:
        return self.folder / "overlay.yaml"

    @property
    def access(self) -> Path:
        """The list of vault identities of this site, written last: a site that has it is registered."""
        return self.folder / "access.json"

    def secret(self, name: str) -> Path:
        return self.folder / "secrets" / name

    def credential(self, tenant: str, centre: str, role: vaults.Role) -> Path:
        """Return the file of a tenant's credential at a vault. The writer's has the name that the only one had."""
        return self.secret(f"{tenant}.{centre}.json" if role == "writer" else f"{tenant}.{centre}.{role}.json")

    def data(self, system: SystemRef, source: str) -> Path:
        """Return the folder of a `path` source."""
        return self.folder / "data" / system.tenant.tenant / system.name / source

    def standby_data(self, centre: StandbyName, system: SystemRef, source: str) -> Path:
        """Return where a `path` source stands when its system is active at another centre."""
        return self.folder / "standby" / centre / system.tenant.tenant / system.name / source

    def database(self, system: SystemRef, source: str) -> str:
        """Return the name of a `postgresql` source's database, which is also the name of its role."""
        whole = "_".join((self.site, system.tenant.tenant, system.name, source))
        name = re.sub(r"[^a-z0-9]", "_", whole)
        if len(name) <= DATABASE_NAME_BYTES:
            return name
        return f"{name[: DATABASE_NAME_BYTES - 9]}_{hashlib.sha256(whole.encode()).hexdigest()[:8]}"

    def database_password(self, system: SystemRef, source: str) -> Path:
        return self.secret(f"{self.database(system, source)}.database.password")


def register(lab: Lab, site_folder: Path) -> Path:
    """Make the overlay of a site, with every secret that it names, and return its path. May be repeated.

    Running vaults learn the site's credentials without a restart. Raises SiteInvalid when the folder is no valid site,
    InvalidInput when the lab was never made.
    """
    if not lab.sites.exists():
        raise InvalidInput(f"there is no lab in {lab.folder}", hint="tricenter lab up")
    site = load_site(site_folder)
    place = SitePlace(lab, site.site)
    for folder, mode in ((place.folder, 0o711), (place.folder / "data", 0o700)):
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)  # a drill's database, with a user of its own, passes through the first and lists nothing
    for tenant in site.tenants:
        made_once(place.secret(f"{tenant}.password"), lambda: make_password().reveal())
    with _alone(lab):
        write_private(place.access, json.dumps(_access(place, site), indent=1))
        write_private(place.overlay, _yaml(overlay(place, site)))
        admit_tenants(lab)
        names.admit_zone(lab, site)
    return place.overlay


def overlay(place: SitePlace, site: Site) -> dict[str, Any]:
    """Return what the lab lays over `site`, and make the credential files it names."""
    lab = place.lab
    centres: dict[str, dict[str, Any]] = {
        cloud: {"cloud": {"name": cloud, "external_network": EXTERNAL_NETWORK, "vantage": vantage(lab)}}
        for cloud in CLOUDS
    }
    for centre in VAULTS:
        centres.setdefault(centre, {})["vault"] = {
            "endpoint": lab.vault_url(centre),
            "credential": f"file:{place.credential('{tenant}', centre, 'writer')}",
            "expirer_credential": f"file:{place.credential('{tenant}', centre, 'expirer')}",
            "lock_credential": f"file:{place.credential('{tenant}', centre, 'lock')}",
            "admin_credential": f"file:{vaults.admin_credential(lab, centre)}",
        }
    tenants: dict[str, Any] = {}
    for system in site.systems():
        if changes := _system(place, system):
            tenant = tenants.setdefault(system.tenant.tenant, {"systems": {}})
            tenant["systems"][system.name] = changes
    return {
        "clouds_file": str(lab.clouds_file),
        "state": str(place.folder / "state"),
        "repository_password": f"file:{place.secret('{tenant}')}.password",
        "centres": centres,
        "tenants": tenants,
        **({"dns": names.overlay(lab, site.dns)} if site.dns else {}),
    }


def vantage(lab: Lab) -> list[str]:
    """Return the command before another one that runs it inside a network of the lab's guests."""
    return [sys.executable, "-m", "orchestrator.lab.inside", "--dir", str(lab.folder), "{network}", "{cidr}", "--"]


def _yaml(value: dict[str, Any]) -> str:
    yaml, text = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style, yaml.width = False, 4096
    yaml.dump(value, text)
    return text.getvalue()


def _system(place: SitePlace, system: SystemRef) -> dict[str, Any]:
    """Return what the lab changes in one system: where its sources stand, at production and elsewhere."""
    given: dict[str, Any] = {"sources": _sources(place, system, "production", system.system.sources)}
    standby = {centre: _sources(place, system, centre, each) for centre, each in system.system.standby.items()}
    given["standby"] = {centre: changes for centre, changes in standby.items() if changes}
    return {key: changes for key, changes in given.items() if changes}


def _sources(place: SitePlace, system: SystemRef, centre: Centre, sources: dict[str, Source]) -> dict[str, Any]:
    changes = {name: _source(place, system, centre, name, source) for name, source in sources.items()}
    return {name: change for name, change in changes.items() if change}


def _source(place: SitePlace, system: SystemRef, centre: Centre, name: str, source: Source) -> dict[str, Any]:
    if isinstance(source, PathSource):
        folder = place.data(system, name) if centre == "production" else place.standby_data(centre, system, name)
        return {"path": str(folder)}
    if isinstance(source, PostgresqlSource):
        password = place.database_password(system, name)
        random_secret(password)
        database = place.database(system, name)
        return {
            "host": "127.0.0.1",
            "port": place.lab.database_port(centre),
            "database": database,
            "user": database,
            "password": f"file:{password}",
        }
    return {}


def _access(place: SitePlace, site: Site) -> dict[str, list[dict[str, str]]]:
    """Return by centre who may use its vault: identity, credential file, bucket and role of every tenant's three."""
    buckets = site.vaults()
    return {
        centre: [
            {
                "identity": f"{place.site}.{tenant}" if role == "writer" else f"{place.site}.{tenant}.{role}",
                "credential": str(vaults.credential(place.credential(tenant, centre, role))),
                "bucket": buckets[centre].bucket(tenant),
                "role": role,
            }
            for tenant in sorted(site.tenants)
            for role in vaults.ROLES
        ]
        for centre in VAULTS
        if centre in buckets
    }


def admit_tenants(lab: Lab) -> None:
    """Tell both vaults of the tenants of every registered site."""
    registered = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(lab.sites.glob("*/access.json"))]
    for centre in VAULTS:
        tenants = [
            vaults.TenantAccess(each["identity"], Path(each["credential"]), each["bucket"], each.get("role"))
            for access in registered
            for each in access.get(centre, ())
        ]
        vaults.write_identities(lab, centre, tenants)


@contextmanager
def _alone(lab: Lab) -> Iterator[None]:
    """Let one registration at a time rewrite the vaults' lists."""
    with (lab.sites / "lock").open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""A bureau with a system of two servers, applied at production, for tests of what a recovery does in its project."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import cli
from orchestrator.app import App
from orchestrator.cloud.connection import Connection
from orchestrator.cloud.network import INTERFACE_OWNERS
from policies.plan import Plan
from policies.site import SystemRef
from tests.integration.tenant_sites import TenantSite, purge

CIDR = "10.77.1.0/24"
CENTRE = "production"
#: A flavor of the host that fakes its guests.
FLAVOR = "m1.tiny"


@dataclass(frozen=True)
class Bureau:
    """A tenant with the system `registry`: `db` and `web`, which starts after it."""

    site: TenantSite
    name: str

    @property
    def app(self) -> App:
        folder = self.site.folder
        return App(folder / "site", folder / "overlay.yaml")

    @property
    def ref(self) -> SystemRef:
        return self.app.system(f"{self.name}/registry")

    @property
    def plan(self) -> Plan:
        return Plan.model_validate({"plan": f"{self.name}-registry", "systems": {f"{self.name}/registry": {}}})

    @property
    def cloud(self) -> Connection:
        """A new connection that acts in the project, as a member."""
        cloud: Connection = self.app.tenant_cloud(CENTRE, self.name)
        return cloud


def make_bureau(folder: Path, lab: Any, flavor: str = FLAVOR, *, alone: bool = False) -> Bureau:
    """Write and apply the tenant; `alone` for a system of the server `web` only."""
    site = TenantSite(folder, Path(lab.dir), Path(lab.clouds_file))
    name = site.add()
    tenant = site.tenants[name]
    tenant["quota"] = {"compute": {"instances": 20, "ram": "unlimited"}, "network": {"networks": 20, "ports": 100}}
    volumes = {each: {"kind": "volume", "volume": f"registry-{each}"} for each in ("root", "data", "front")}
    places = {"flavor": flavor, "network": "office", "security_groups": ["web"]}
    tenant["systems"] = {
        "registry": {
            "title": {"zh": "登记", "en": "Registry"},
            "tier": "remote-dr",
            "sources": volumes,
            "servers": {
                "web": {"boot": "front", "address": "10.77.1.20", "after": ["db"], **places},
                "db": {"boot": "root", "volumes": ["data"], "address": "10.77.1.21", **places},
            },
        }
    }
    if alone:
        system = tenant["systems"]["registry"]
        system["servers"] = {"web": {**system["servers"]["web"], "after": []}}
        system["sources"] = {"front": volumes["front"]}
    site.write()
    assert cli.run([*site.arguments, "apply", "--yes", "--centre", CENTRE]) == 0
    return Bureau(site, name)


def remove_bureau(bureau: Bureau) -> None:
    """Delete the tenant and everything in it."""
    admin = bureau.site.admin(CENTRE)
    for project in _projects(admin, bureau.name):
        for server in admin.compute.servers(all_projects=True, project_id=project):
            admin.compute.delete_server(server)
            admin.compute.wait_for_delete(server, interval=1, wait=60)
        for port in admin.network.ports(project_id=project):
            if port.device_owner not in INTERFACE_OWNERS:
                admin.network.delete_port(port)
        for picture in admin.image.images(owner=project):
            admin.image.delete_image(picture)
    purge(admin, bureau.name)


def _projects(admin: Any, domain: str) -> list[str]:
    return [
        project.id
        for each in admin.identity.domains(name=domain)
        for project in admin.identity.projects(domain_id=each.id)
    ]


def disk(path: Path, mib: int = 3) -> Path:
    """Write a small raw disk image of random content and return its path."""
    path.write_bytes(os.urandom(mib << 20))
    return path

"""Small sites for tests of tenants: one bureau of a unique name, on the lab's clouds and vaults."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.cloud.connection import Connection, connect
from orchestrator.cloud.network import INTERFACE_OWNERS

CENTRES = {"production": (38.91, 121.61), "same-city": (39.05, 121.78), "provincial": (41.80, 123.43)}


def bureau(name: str) -> dict[str, Any]:
    """Return a small bureau as its YAML says it: every kind of object once."""
    return {
        "tenant": name,
        "title": {"zh": "测试局", "en": "Test Bureau"},
        "unit_code": "TEST-1",
        "mlps_level": 2,
        "contact": "nobody",
        "quota": {
            "compute": {"instances": 3, "cores": 20},
            "network": {"networks": 2, "floating_ips": 0},
            "block_storage": {"gigabytes": "unlimited"},
        },
        "members": {"zhang": {"name": "张三", "role": "member", "email": "zhang@test.internal"}},
        "networks": {"office": {"zone": "public", "cidr": "10.77.1.0/24", "dns": ["10.77.0.53"]}},
        "security_groups": {
            "web": {"description": "网站 web", "rules": [{"protocol": "tcp", "ports": 443}]},
            "closed": {"rules": [{"direction": "egress", "protocol": "tcp", "ports": 443}]},
        },
        "systems": {
            "files": {
                "title": {"zh": "文件", "en": "Files"},
                "tier": "remote-dr",
                "sources": {"tree": {"kind": "path", "path": "/srv/files"}},
            }
        },
    }


@dataclass
class TenantSite:
    """A site folder with its overlay. Change `tenants` or `overlay`, then `write`."""

    folder: Path
    lab_folder: Path
    clouds_file: Path
    tenants: dict[str, dict[str, Any]] = field(default_factory=dict)
    overlay: dict[str, Any] = field(default_factory=dict)

    @property
    def arguments(self) -> list[str]:
        return ["--site", str(self.folder / "site"), "--overlay", str(self.folder / "overlay.yaml"), "tenant"]

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def add(self) -> str:
        """Add a bureau of a name that nothing else has."""
        name = f"t-{secrets.token_hex(4)}"
        self.tenants[name] = bureau(name)
        return name

    def write(self) -> None:
        site = self.folder / "site"
        (site / "tenants").mkdir(parents=True, exist_ok=True)
        (site / "site.yaml").write_text(json.dumps(self._site()))
        for name, tenant in self.tenants.items():
            (site / "tenants" / f"{name}.yaml").write_text(json.dumps(tenant))
        (self.folder / "overlay.yaml").write_text(json.dumps(self.overlay))

    def _site(self) -> dict[str, Any]:
        centres: dict[str, Any] = {}
        for name, (latitude, longitude) in CENTRES.items():
            centres[name] = {
                "title": {"zh": name, "en": name},
                "location": {"latitude": latitude, "longitude": longitude},
            }
            if name != "provincial":
                centres[name]["cloud"] = {"name": name, "external_network": "public"}
            if name != "production":
                port = 30 if name == "same-city" else 40
                base = json.loads((self.lab_folder / "lab.json").read_text())["port_base"]
                centres[name]["vault"] = {
                    "endpoint": f"http://127.0.0.1:{base + port}",
                    "bucket_prefix": "tenant-test-",
                    "credential": "file:/nowhere/{tenant}.json",
                    "admin_credential": f"file:{self.lab_folder}/secrets/vault-{name}.admin.json",
                }
        return {
            "site": "tenant-test",
            "title": {"zh": "测试", "en": "test"},
            "centres": centres,
            "zones": {"public": {"title": {"zh": "公用", "en": "Shared"}, "kind": "shared"}},
            "clouds_file": str(self.clouds_file),
            "state": str(self.state),
            "repository_password": "file:/nowhere/{tenant}.password",
        }

    def admin(self, cloud: str) -> Connection:
        return connect(cloud, config_file=self.clouds_file)


def purge(connection: Connection, tenant: str) -> None:
    """Delete a domain and everything in its projects, whoever made it."""
    identity, network = connection.identity, connection.network
    for domain in identity.domains(name=tenant):
        # what stands below another goes before it
        for project in sorted(identity.projects(domain_id=domain.id), key=lambda each: each.parent_id == domain.id):
            for port in network.ports(project_id=project.id):
                if port.device_owner in INTERFACE_OWNERS:
                    network.remove_interface_from_router(port.device_id, subnet=port.fixed_ips[0]["subnet_id"])
            for router in network.routers(project_id=project.id):
                network.delete_router(router)
            for net in network.networks(project_id=project.id):
                network.delete_network(net)
            for group in network.security_groups(project_id=project.id):
                network.delete_security_group(group)
            _purge_storage(connection, project.id)
            identity.delete_project(project)
        identity.update_domain(domain, is_enabled=False)
        identity.delete_domain(domain)


def _purge_storage(connection: Connection, project_id: str) -> None:
    storage = connection.block_storage
    for snapshot in storage.snapshots(all_projects=True, project_id=project_id):
        storage.delete_snapshot(snapshot)
        storage.wait_for_delete(snapshot, interval=1, wait=60)
    for volume in storage.volumes(all_projects=True, project_id=project_id):
        storage.delete_volume(volume)
        storage.wait_for_delete(volume, interval=1, wait=60)

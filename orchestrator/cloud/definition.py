"""The definition of a tenant at a cloud: everything that somebody needs who must build the same elsewhere, as JSON.

Read with the tenant's own credential. It says names and never ids, so that the same tenant at another cloud reads the
same; what Tricenter made for a drill is left out, and so is what changes by itself. One state of a cloud is always
the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from orchestrator.cloud import quotas
from orchestrator.cloud.calls import listed
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import create_once, explained, repeat
from orchestrator.cloud.marks import unmarked
from orchestrator.cloud.network import INTERFACE_OWNERS
from orchestrator.errors import CheckFailed

FORMAT = 1

Definition = dict[str, Any]
Fields = dict[str, Any]

#: What is listed in a definition, in the order in which it can be built.
KINDS = (
    "networks",
    "subnets",
    "routers",
    "security_groups",
    "key_pairs",
    "floating_ips",
    "flavors",
    "volumes",
    "servers",
)

#: What a run makes and takes away: by what is written on it, or by its name.
_OF_A_DRILL = re.compile(r"\[drill=")
_TEMPORARY = re.compile(r"^(drill-|tricenter-)|\.(new|before)-")


def read_definition(connection: Connection) -> Definition:
    """Return what the project of the connection's login consists of. Raises what the cloud room raises."""
    project = _asked(connection, "read the project", lambda: connection.identity.get_project(_project_id(connection)))
    return {
        "format": FORMAT,
        "project": {"name": project.name, "description": unmarked(project.description)},
        "quotas": _quotas(connection, project.id),
        **_Reading(connection, project.id).lists(),
    }


def create_key_pair(connection: Connection, name: str, kind: str, public_key: str) -> None:
    """Give the connection's user a key pair that is known elsewhere. One of the name that is there is left alone."""

    def find() -> Any | None:
        return connection.compute.find_keypair(name)

    def create() -> Any:
        return connection.compute.create_keypair(name=name, type=kind, public_key=public_key)

    with explained(cloud_name(connection), f"create key pair {name}"):
        create_once(create, find)


def as_bytes(definition: Definition) -> bytes:
    """Return a definition as the one text that it has. Pure."""
    return json.dumps(definition, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def from_bytes(data: bytes) -> Definition:
    """Return the definition that `data` holds. Raises CheckFailed for what is none that this program can read."""
    try:
        value: Definition = json.loads(data)
        if value["format"] == FORMAT and all(isinstance(value[kind], list) for kind in KINDS):
            return value
        what = f"format {value['format']!r}, and this program reads {FORMAT}"
    except (ValueError, KeyError, TypeError) as error:
        what = repr(error)
    raise CheckFailed(f"this is no cloud definition: {what}", hint="give the cloud.json that a restore has written")


def digests(definition: Definition) -> dict[str, str]:
    """Return the digest of each item, by its kind and name: what two definitions are compared by. Pure."""
    found = {kind: _digest(definition[kind]) for kind in ("project", "quotas")}
    for kind in KINDS:
        seen: Counter[str] = Counter()
        for each in definition[kind]:
            name = str(each["name"])
            seen[name] += 1  # Neutron and Nova allow one name twice
            found[f"{kind}/{name}" + (f"#{seen[name]}" if seen[name] > 1 else "")] = _digest(each)
    return found


def counts(definition: Definition) -> dict[str, int]:
    return {kind: len(definition[kind]) for kind in KINDS}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _project_id(connection: Connection) -> str:
    return str(repeat(connection.session.get_project_id))


def _asked(connection: Connection, what: str, ask: Callable[[], Any]) -> Any:
    with explained(cloud_name(connection), what):
        return repeat(ask)


def _quotas(connection: Connection, project: str) -> dict[str, dict[str, int]]:
    """Neutron's own are asked for alone: only an admin may list them."""
    network = _asked(connection, "read network quotas", lambda: connection.network.get_quota(project))
    return {
        "compute": dict(quotas.compute(connection, project)),
        "network": {name: value for name in quotas.NETWORK if isinstance(value := getattr(network, name), int)},
        "block_storage": dict(quotas.block_storage(connection, project)),
    }


class _Reading:
    """One look at a project: its lists, and the names behind the ids."""

    def __init__(self, connection: Connection, project: str) -> None:
        network = connection.network
        self._connection, self._project = connection, project
        every = listed(connection, "list networks", network.networks)
        self._network_names = {each.id: each.name for each in every}
        self._networks = self._own(every)
        self._subnets = self._own(listed(connection, "list subnets", lambda: network.subnets(project_id=project)))
        self._routers = self._own(listed(connection, "list routers", lambda: network.routers(project_id=project)))
        self._groups = self._own(
            listed(connection, "list security groups", lambda: network.security_groups(project_id=project))
        )
        self._ports = listed(connection, "list ports", lambda: network.ports(project_id=project))
        self._floating = listed(connection, "list floating IPs", lambda: network.ips(project_id=project))
        self._volumes = [
            each
            for each in listed(connection, "list volumes", connection.block_storage.volumes)
            if not _is_of_a_run(each.name, each.metadata)
        ]
        self._servers = [
            each
            for each in listed(connection, "list servers", connection.compute.servers)
            if not _is_of_a_run(each.name, each.metadata)
        ]

    def lists(self) -> dict[str, list[Fields]]:
        found: dict[str, Iterable[Fields]] = {
            "networks": map(self._network, self._networks),
            "subnets": map(self._subnet, self._subnets),
            "routers": map(self._router, self._routers),
            "security_groups": map(self._group, self._groups),
            "key_pairs": self._key_pairs(),
            "floating_ips": map(self._floating_ip, self._floating),
            "flavors": self._flavors(),
            "volumes": map(self._volume, self._volumes),
            "servers": map(self._server, self._servers),
        }
        return {kind: sorted(found[kind], key=lambda each: json.dumps(each, sort_keys=True)) for kind in KINDS}

    def _own(self, found: Iterable[Any]) -> list[Any]:
        return [
            each
            for each in found
            if each.project_id == self._project and not _OF_A_DRILL.search(each.description or "")
        ]

    def _network(self, found: Any) -> Fields:
        return _described(found) | {
            "mtu": found.mtu,
            "shared": bool(found.is_shared),
            "port_security": found.is_port_security_enabled,
        }

    def _subnet(self, found: Any) -> Fields:
        return _described(found) | {
            "network": self._network_names.get(found.network_id),
            "cidr": found.cidr,
            "ip_version": found.ip_version,
            "gateway": found.gateway_ip,
            "dhcp": bool(found.is_dhcp_enabled),
            "dns": list(found.dns_nameservers or ()),
            "pools": [{"start": each["start"], "end": each["end"]} for each in found.allocation_pools or ()],
            "routes": list(found.host_routes or ()),
        }

    def _router(self, found: Any) -> Fields:
        names = {each.id: each.name for each in self._subnets}
        feet = [
            names.get(address["subnet_id"], "")
            for port in self._ports
            if port.device_id == found.id and port.device_owner in INTERFACE_OWNERS
            for address in port.fixed_ips or ()
        ]
        gateway = (found.external_gateway_info or {}).get("network_id")
        return _described(found) | {
            "external_network": self._network_names.get(gateway),
            "subnets": sorted(feet),
            "routes": list(found.routes or ()),
        }

    def _group(self, found: Any) -> Fields:
        names = {each.id: each.name for each in self._groups}
        rules = [
            {
                "direction": each["direction"],
                "ethertype": each["ethertype"],
                "protocol": each["protocol"],
                "port_min": each["port_range_min"],
                "port_max": each["port_range_max"],
                "remote": each["remote_ip_prefix"],
                "remote_group": names.get(each["remote_group_id"]),
            }
            for each in found.security_group_rules or ()
        ]
        return _described(found) | {"rules": sorted(rules, key=lambda each: json.dumps(each, sort_keys=True))}

    def _key_pairs(self) -> Iterator[Fields]:
        """Those of the user that Tricenter works as: Nova keeps them by user, and shows nobody another's."""
        compute = self._connection.compute
        for each in listed(self._connection, "list key pairs", compute.keypairs):
            yield {"name": each.name, "type": each.type or "ssh", "public_key": each.public_key}

    def _floating_ip(self, found: Any) -> Fields:
        ports = {each.id: each.name for each in self._ports}
        return {
            "name": found.floating_ip_address,
            "description": unmarked(found.description),
            "external_network": self._network_names.get(found.floating_network_id),
            "port": ports.get(found.port_id),
            "fixed_address": found.fixed_ip_address,
        }

    def _flavors(self) -> list[Fields]:
        """Those that servers use, as the servers carry them."""
        used = {each.flavor.get("original_name"): each.flavor for each in self._servers}
        return [
            {
                "name": name,
                "vcpus": flavor.get("vcpus"),
                "ram": flavor.get("ram"),
                "disk": flavor.get("disk"),
                "ephemeral": flavor.get("ephemeral"),
                "swap": flavor.get("swap"),
                "extra_specs": dict(flavor.get("extra_specs") or {}),
            }
            for name, flavor in used.items()
        ]

    def _volume(self, found: Any) -> Fields:
        return {
            "name": found.name,
            "description": unmarked(found.description),
            "size": found.size,
            "type": found.volume_type,
            "bootable": bool(found.is_bootable),
            "metadata": said(found.metadata),
        }

    def _server(self, found: Any) -> Fields:
        volumes = {each.id: each.name for each in self._volumes}
        groups = {each.id: each.name for each in self._groups}
        ports = [
            {
                "name": each.name,
                "network": self._network_names.get(each.network_id),
                "addresses": sorted(address["ip_address"] for address in each.fixed_ips or ()),
                "security_groups": sorted(groups.get(group, "") for group in each.security_group_ids or ()),
            }
            for each in self._ports
            if each.device_id == found.id
        ]
        image = (found.image or {}).get("id")
        return {
            "name": found.name,
            "description": found.description or "",
            "flavor": found.flavor.get("original_name"),
            "image": self._image_name(image) if image else None,
            "key_pair": found.key_name,
            "metadata": said(found.metadata),
            "volumes": [volumes.get(each["id"], "") for each in found.attached_volumes or ()],
            "ports": sorted(ports, key=lambda each: json.dumps(each, sort_keys=True)),
        }

    def _image_name(self, image: str) -> str | None:
        found = _asked(self._connection, "read an image", lambda: self._connection.image.find_image(image))
        return found.name if found else None


def _described(found: Any) -> Fields:
    return {"name": found.name, "description": unmarked(found.description)}


def said(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Return what the tenant says of a server or volume; what begins so is what a run notes there for a while."""
    return {key: value for key, value in (metadata or {}).items() if not key.startswith(("tricenter-", "managed-by"))}


def _is_of_a_run(name: str | None, metadata: Mapping[str, str] | None) -> bool:
    return "drill" in (metadata or {}) or bool(_TEMPORARY.search(name or ""))

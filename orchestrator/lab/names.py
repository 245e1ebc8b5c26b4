"""The name server of the lab: BIND, primary of the zone of every registered site, changed by signed updates only.

It stands in no centre: in a disaster names must be switched, so the machine that does it is none of the lost ones.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from orchestrator.lab import daemons
from orchestrator.lab.daemons import Daemon
from orchestrator.lab.layout import Lab, made_once
from orchestrator.secrets import write_private
from policies.site import Dns, Site

KEY = "tricenter-lab"
ALGORITHM = "hmac-sha256"
TTL = 60

ZONE = """$TTL {ttl}
@ IN SOA ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 {ttl}
@ IN NS ns.{zone}.
ns IN A 127.0.0.1
"""


def name_server(lab: Lab) -> Daemon:
    return Daemon(
        name="names",
        place="shared",
        argv=["/usr/sbin/named", "-f", "-4", "-n", "1", "-c", str(_home(lab) / "named.conf")],
        port=lab.port("names"),
        grace_seconds=5,
    )


def prepare_names(lab: Lab) -> None:
    """Make the folder, the key and the configuration. May be repeated."""
    _home(lab).mkdir(mode=0o700, exist_ok=True)
    _zones(lab).mkdir(mode=0o700, exist_ok=True)
    key_file(lab)
    serve_zones(lab)


def key_file(lab: Lab) -> Path:
    """Return the file with the secret of the key; the first call makes it."""
    path = lab.folder / "secrets" / "names.key"
    made_once(path, lambda: base64.b64encode(secrets.token_bytes(32)).decode())
    return path


def overlay(lab: Lab, dns: Dns) -> dict[str, Any]:
    """Return what the lab lays over the `dns` of a site."""
    return {
        "server": "127.0.0.1",
        "port": lab.port("names"),
        "zone": dns.zone,
        "key": KEY,
        "algorithm": ALGORITHM,
        "secret": f"file:{key_file(lab)}",
    }


def admit_zone(lab: Lab, site: Site) -> None:
    """Write down the zone of a site with the names of its plans, as they are while production is active.

    A running name server takes the zone at once; one that it has already keeps its records.
    """
    if site.dns is None:
        return
    records = {name: str(address) for name, address in seeded(site)}
    write_private(lab.sites / site.site / "zone.json", json.dumps({"zone": site.dns.zone, "records": records}))
    if _home(lab).exists():
        serve_zones(lab)


def seeded(site: Site) -> Iterator[tuple[str, IPv4Address]]:
    """Yield the names that plans switch, with their addresses at production."""
    for plan in site.plans.values():
        for name, switch in plan.names.items():
            if "production" in switch.addresses:
                yield name, switch.addresses["production"]
            elif switch.server:
                tenant, _, system = switch.system.partition("/")
                yield name, site.tenants[tenant].systems[system].servers[switch.server].address


def serve_zones(lab: Lab) -> None:
    """Write the configuration with the zones of all registered sites, and let a running server read it again."""
    zones: dict[str, dict[str, str]] = {}
    for file in sorted(lab.sites.glob("*/zone.json")):
        found = json.loads(file.read_text(encoding="utf-8"))
        zones.setdefault(found["zone"].rstrip("."), {}).update(found["records"])
    for zone, records in zones.items():
        _make_zone(lab, zone, records)
    text = _configuration(lab, zones)
    path = _home(lab) / "named.conf"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    write_private(path, text)
    if (running := daemons.recorded(lab, "names")) and running.alive:
        os.kill(running.pid, signal.SIGHUP)


def _home(lab: Lab) -> Path:
    return lab.data / "names"


def _zones(lab: Lab) -> Path:
    return _home(lab) / "zones"


def _make_zone(lab: Lab, zone: str, records: Mapping[str, str]) -> None:
    """Write the zone's file unless it is there: from then on it is the server's own."""
    path = _zones(lab) / f"{zone}.zone"
    if not path.exists():
        lines = [f"{name.rstrip('.')}. IN A {address}\n" for name, address in sorted(records.items())]
        write_private(path, ZONE.format(zone=zone, ttl=TTL) + "".join(lines))


def _configuration(lab: Lab, zones: Mapping[str, object]) -> str:
    home, port = _home(lab), lab.port("names")
    secret = key_file(lab).read_text(encoding="utf-8")
    parts = [
        f'key "{KEY}" {{ algorithm {ALGORITHM}; secret "{secret}"; }};',
        "controls { };",  # else it listens on a port of its own for rndc
        "options {",
        f'  directory "{home}"; pid-file "{home}/named.pid"; session-keyfile "{home}/session.key";',
        f'  lock-file none; managed-keys-directory "{home}"; geoip-directory none;',
        f"  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};",
        "  recursion no; allow-query { 127.0.0.1; }; allow-transfer { none; }; notify no; dnssec-validation no;",
        "  empty-zones-enable no; minimal-responses yes;",
        "};",
        "logging { channel all { stderr; severity info; print-time yes; }; category default { all; }; };",
    ]
    parts += [
        f'zone "{zone}" {{ type primary; file "{_zones(lab)}/{zone}.zone"; '
        f'update-policy {{ grant "{KEY}" zonesub A; }}; }};'
        for zone in zones
    ]
    return "\n".join(parts) + "\n"

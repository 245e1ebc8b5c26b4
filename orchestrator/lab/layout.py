"""Where the lab lives: one folder, one port base, and every path and port that follows from them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.errors import InvalidInput
from orchestrator.secrets import write_once, write_private

CloudCentre = Literal["production", "same-city"]
VaultCentre = Literal["same-city", "provincial"]
Centre = Literal["production", "same-city", "provincial"]
Place = Centre | Literal["shared"]

CLOUDS: tuple[CloudCentre, ...] = ("production", "same-city")
VAULTS: tuple[VaultCentre, ...] = ("same-city", "provincial")
CENTRES: tuple[Centre, ...] = ("production", "same-city", "provincial")

DEFAULT_PORT_BASE = 15000
#: Ports from the base up that belong to the lab.
PORTS_RESERVED = 100
API_PORTS = {"keystone": 0, "placement": 1, "glance": 2, "nova-api": 3, "neutron-api": 4, "cinder-api": 5}
VAULT_PORTS = (
    "s3", "s3-grpc", "master", "master-grpc", "volume", "volume-grpc", "filer", "filer-grpc",
)  # fmt: skip
_CLOUD_OFFSET = {"production": 0, "same-city": 10}
_VAULT_OFFSET = {"same-city": 30, "provincial": 40}
_SHARED_PORTS = {
    "mariadb": 20, "rabbitmq": 21, "rabbitmq-distribution": 22, "epmd": 23, "postgresql-production": 24, "names": 25,
    "postgresql-same-city": 26, "postgresql-provincial": 27, "metrics": 90,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab by its folder and port base. Holds nothing else: what runs is read from the folder and from /proc."""

    folder: Path
    port_base: int = DEFAULT_PORT_BASE

    @property
    def venv(self) -> Path:
        return self.folder / "venv"

    @property
    def data(self) -> Path:
        """What `lab reset` throws away."""
        return self.folder / "data"

    @property
    def logs(self) -> Path:
        return self.folder / "log"

    @property
    def pids(self) -> Path:
        return self.folder / "pids"

    @property
    def snapshots(self) -> Path:
        return self.folder / "snapshots"

    @property
    def sites(self) -> Path:
        return self.folder / "sites"

    @property
    def clouds_file(self) -> Path:
        return self.folder / "clouds.yaml"

    def etc(self, cloud: CloudCentre) -> Path:
        return self.folder / "etc" / cloud

    @property
    def openstack_data(self) -> Path:
        """What a snapshot packs: MariaDB's data, the schemas and the files of both clouds."""
        return self.data / "openstack"

    def cloud_data(self, cloud: CloudCentre) -> Path:
        return self.openstack_data / "clouds" / cloud

    def vault_data(self, centre: VaultCentre) -> Path:
        return self.data / "vaults" / centre

    def vault_config(self, centre: VaultCentre) -> Path:
        return self.folder / "etc" / f"vault-{centre}.json"

    def api_port(self, cloud: CloudCentre, service: str) -> int:
        return self.port_base + _CLOUD_OFFSET[cloud] + API_PORTS[service]

    def vault_port(self, centre: VaultCentre, part: str = "s3") -> int:
        return self.port_base + _VAULT_OFFSET[centre] + VAULT_PORTS.index(part)

    def database_port(self, centre: Centre) -> int:
        return self.port(f"postgresql-{centre}")

    def port(self, server: str) -> int:
        return self.port_base + _SHARED_PORTS[server]

    def ports(self) -> dict[str, int]:
        """Return every port that the lab listens on, by what listens there."""
        return {
            **{name: self.port(name) for name in _SHARED_PORTS},
            **{f"{cloud}-{api}": self.api_port(cloud, api) for cloud in CLOUDS for api in API_PORTS},
            **{f"vault-{name}-{part}": self.vault_port(name, part) for name in VAULTS for part in VAULT_PORTS},
        }

    def vault_url(self, centre: VaultCentre) -> str:
        return f"http://127.0.0.1:{self.vault_port(centre)}"

    def sockets(self, cloud: CloudCentre | None = None) -> Path:
        """Return the folder of a cloud's sockets, or MariaDB's socket. Not below ours: its path may have 107 bytes."""
        digest = hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]
        return Path(f"/run/tricenter-lab-{digest}{f'-{cloud}' if cloud else '.sock'}")

    def secret(self, name: str) -> str:
        """Return the random secret `name` of this lab; the first call makes it."""
        return random_secret(self.folder / "secrets" / name)


def random_secret(path: Path) -> str:
    """Return the secret in `path`; the first call makes it. May be called by two at once."""
    return made_once(path, lambda: secrets.token_urlsafe(24))


def made_once(path: Path, make: Callable[[], str]) -> str:
    """Return the text in `path`, 0600 in a folder 0700; the first call makes it, and it never changes after."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        write_once(path, make())
    return path.read_text(encoding="utf-8")


def default_folder() -> Path:
    """Return where the lab lives unless told otherwise: TRICENTER_LAB, or the state folder of this user."""
    if named := os.environ.get("TRICENTER_LAB"):
        return Path(named).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/tricenter/lab")
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "tricenter" / "lab"


def open_lab(folder: Path | None = None, port_base: int | None = None) -> Lab:
    """Return the lab of `folder`, with the port base it remembers. Reads only.

    Raises InvalidInput when `port_base` is another than the lab was made with, or leaves no room below 65536.
    """
    place = (folder or default_folder()).absolute()
    if not re.fullmatch(r"[A-Za-z0-9._/-]+", str(place)):
        raise InvalidInput(
            f"the lab's folder {place} has characters that the services' configuration cannot hold",
            hint="choose a path of letters, digits, dots, hyphens and slashes",
        )
    memory = place / "lab.json"
    known = json.loads(memory.read_text(encoding="utf-8"))["port_base"] if memory.exists() else None
    if known is not None and port_base not in (None, known):
        raise InvalidInput(
            f"the lab in {place} was made with port base {known}, not {port_base}",
            hint=f"leave --port-base out, or give another --dir; its clouds' catalogues name port {known}",
        )
    base = known or port_base or DEFAULT_PORT_BASE
    if not 1024 <= base <= 65536 - PORTS_RESERVED:
        raise InvalidInput(f"port base {base}: want 1024 to {65536 - PORTS_RESERVED}")
    return Lab(place, base)


def remember(lab: Lab) -> None:
    """Make the lab's folder and write down its port base. May be repeated."""
    lab.folder.mkdir(parents=True, exist_ok=True)
    lab.folder.chmod(0o755)  # PostgreSQL runs as its own user and must get through
    for each in (lab.data, lab.data / "vaults", lab.logs, lab.snapshots, lab.sites):
        each.mkdir(exist_ok=True)
    for private in (lab.folder / "etc", lab.pids, lab.folder / "secrets"):
        private.mkdir(mode=0o700, exist_ok=True)
    write_private(lab.folder / "lab.json", json.dumps({"port_base": lab.port_base}))

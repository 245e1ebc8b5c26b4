"""A SeaweedFS of our own on free loopback ports: a vault for tests and benchmarks, killed with its parent."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from orchestrator.lab.vaults import ROLES, Role, role_policy
from orchestrator.process import Child, run
from orchestrator.vault.s3 import Bucket, Credential, VaultAdmin

REGION = "us-east-1"
ADMIN = Credential("AKADMIN", "admin-secret-of-this-test")
TENANT = Credential("AKTENANT", "tenant-secret-of-this-test")
#: It lists and reads, and that only where its buckets begin so.
READER = Credential("AKREADER", "reader-secret-of-this-test")
READABLE = "app-*"
TENANT_BUCKETS = tuple(f"dr-bureau{number}" for number in range(8))
#: What a tenant that has a credential for each thing it does has at TENANT_BUCKETS[0].
BY_ROLE: dict[Role, Credential] = {
    role: Credential(f"AK{role.upper()}", f"{role}-secret-of-this-test") for role in ROLES
}
START_SECONDS = 60
PARTS = ("master", "volume", "filer", "s3")


class Certificate(NamedTuple):
    """The files of a certificate of this machine, which signs itself, and of its key."""

    cert: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    """Make a certificate of `localhost`. Everybody may read it; whoever trusts it names it in SSL_CERT_FILE."""
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(made.key), "-out", str(made.cert),
        ],
        deadline_seconds=START_SECONDS,
    )  # fmt: skip
    made.cert.chmod(0o644)
    return made


class Weed:
    """One `weed server`: master, volume server, filer and S3 in a process; all it stores lies in `folder`."""

    def __init__(self, folder: Path, *, centre: str, certificate: Certificate | None = None) -> None:
        """With a `certificate` it speaks TLS as well, at `secure_endpoint`."""
        self.folder, self.centre, self._certificate = folder, centre, certificate
        *self._ports, self._secure_port = free_ports(2 * len(PARTS) + 1)
        self._child: Child | None = None
        (folder / "data").mkdir(parents=True)
        self._config = folder / "s3.json"
        actions = [f"{verb}:{bucket}" for bucket in TENANT_BUCKETS for verb in ("Read", "Write", "List", "Tagging")]
        identities = [
            _identity("admin", ADMIN, ["Admin", "Read", "Write", "List", "Tagging"]),
            _identity("tenant", TENANT, actions),
            _identity("reader", READER, [f"Read:{READABLE}", f"List:{READABLE}"]),
        ]
        policies = [role_policy(TENANT_BUCKETS[0], role) for role in ROLES]
        for role, policy in zip(ROLES, policies, strict=True):
            identities.append(_identity(role, BY_ROLE[role], []) | {"policyNames": [policy["name"]]})
        self._config.write_text(json.dumps({"identities": identities, "policies": policies}))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._ports[2 * PARTS.index('s3')]}"

    @property
    def secure_endpoint(self) -> str:
        """The same over TLS, by a name: not every client takes an address for what a certificate is of."""
        return f"https://localhost:{self._secure_port}"

    @property
    def cpu_seconds(self) -> float:
        """What the server has used of CPU so far."""
        assert self._child is not None
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        names = [f"-{part}.port{kind}" for part in PARTS for kind in ("", ".grpc")]
        ports = [f"{name}={port}" for name, port in zip(names, self._ports, strict=True)]
        self._child = Child(
            [
                str(Path(sys.executable).with_name("weed")), "-logtostderr=true", "server",
                f"-dir={self.folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer=true", "-s3=true",
                "-s3.ip.bind=127.0.0.1", *ports, "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={self._config}",
                "-master.volumeSizeLimitMB=1024", "-volume.max=100", "-volume.preStopSeconds=0",
                "-master.electionTimeout=1s", "-master.telemetry=false", *self._tls(),
            ]
        )  # fmt: skip
        end = time.monotonic() + START_SECONDS
        while not self._healthy():
            if time.monotonic() > end or not self._child.running:
                raise RuntimeError(f"weed does not start: {self._child.stderr}")
            time.sleep(0.1)

    def _tls(self) -> list[str]:
        if self._certificate is None:
            return []
        cert, key = self._certificate
        return [f"-s3.port.https={self._secure_port}", f"-s3.cert.file={cert}", f"-s3.key.file={key}"]

    def stop(self) -> None:
        """End the server as a power cut would: nobody needs what it holds. May be repeated."""
        if self._child is not None:
            if self._child.running:
                os.kill(self._child.pid, signal.SIGKILL)
            self._child.__exit__()
            self._child = None

    def freeze(self) -> None:
        """Make the server accept connections and answer none, as a hung one does. `stop` still ends it."""
        assert self._child is not None
        os.kill(self._child.pid, signal.SIGSTOP)

    def bucket(self, name: str, credential: Credential = TENANT) -> Bucket:
        return Bucket(self.centre, self.endpoint, REGION, name, credential)

    def admin(self) -> VaultAdmin:
        return VaultAdmin(self.centre, self.endpoint, REGION, ADMIN)

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def _identity(name: str, credential: Credential, actions: list[str]) -> dict[str, object]:
    keys = {"accessKey": credential.access_key, "secretKey": credential.secret_key}
    return {"name": name, "credentials": [keys], "actions": actions}


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()

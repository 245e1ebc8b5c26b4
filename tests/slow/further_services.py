"""The real services that the lab's clouds lack, at free ports of the loopback: Barbican, Octavia, Manila, Designate.

They come from PyPI into an environment of their own, keep their data in the lab's MariaDB, ask the Keystone of one of
its clouds who calls, and stand in its catalogue from `start` to `stop`. Only what the APIs do by themselves works:
there are limits, and nothing that they could limit.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.process import Child, run
from tests.bench.servers import free_ports

LOCK = Path(__file__).with_name("further_services.lock")
SERVER = Path(__file__).with_name("serve_wsgi.py")
INSTALL_SECONDS = 1200
START_SECONDS = 120

#: What Octavia gives to whom nobody has set a limit.
DEFAULT_LISTENERS = 11

CONFIG = """
[DEFAULT]
transport_url = {transport}
state_path = {home}/state
api_paste_config = {venv}/etc/{name}/api-paste.ini
db_auto_create = false
enabled_share_protocols = NFS
[database]
connection = {database}
[storage:sqlalchemy]
connection = {database}
[service:central]
workers = 1
[service:api]
auth_strategy = keystone
[oslo_messaging_rabbit]
rabbit_quorum_queue = false
rabbit_transient_quorum_queue = false
amqp_auto_delete = true
[api_settings]
auth_strategy = keystone
enabled_provider_drivers = amphora:made here
default_provider_driver = amphora
[oslo_messaging_notifications]
driver = noop
[oslo_concurrency]
lock_path = {home}
[quotas]
default_listener_quota = {listeners}
[simple_crypto_plugin]
kek = {key}
[keystone_authtoken]
www_authenticate_uri = {keystone}
auth_type = password
auth_url = {keystone}
username = admin
password = {password}
project_name = admin
user_domain_name = Default
project_domain_name = Default
region_name = {region}
"""


@dataclass(frozen=True, slots=True)
class Service:
    """One API: its type in the catalogue and its path there, what makes its schema, and what makes its application.

    `worker` is the program that does what the API is asked for, where the API does not do it itself.
    """

    name: str
    kind: str
    path: str
    migrate: tuple[str, ...]
    application: str
    worker: str = ""

    @property
    def configuration(self) -> str:
        return f".{self.name}/{self.name}.conf"


#: Barbican's own module looks for it in /etc.
PASTE = "{venv}/etc/barbican/barbican-api-paste.ini"

SERVICES = (
    Service("barbican", "key-manager", "", ("barbican-manage", "db", "upgrade"), PASTE),
    Service("octavia", "load-balancer", "", ("octavia-db-manage", "upgrade", "head"), "octavia.wsgi.api"),
    Service("designate", "dns", "", ("designate-manage", "--config-file", "{file}", "database", "sync"),
            "designate.wsgi.api", "designate-central"),
    Service("manila", "shared-file-system", "/v2", ("manila-manage", "db", "sync"), "manila.wsgi.api"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Beneath:
    """What the services stand on. `database` is the URL of a server, without a name."""

    keystone: str
    region: str
    password: str
    database: str
    transport: str

    def __repr__(self) -> str:
        return f"Beneath({self.keystone!r})"


def install(folder: Path) -> Path:
    """Return the environment with the services in it, which the first call makes."""
    venv, mark = folder / "venv", folder / "venv.installed"
    if mark.exists() and mark.read_text() == LOCK.read_text():
        return venv
    shutil.rmtree(venv, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    run([sys.executable, "-m", "venv", str(venv)], deadline_seconds=INSTALL_SECONDS)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    settings = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or "proxy" in name.lower()}
    run([*pip, "--no-deps", "-r", str(LOCK)], deadline_seconds=INSTALL_SECONDS, env=settings)
    mark.write_text(LOCK.read_text())
    return venv


class FurtherServices:
    """Run from `start` to `stop`, and die with their parent. Their databases are the caller's to make and to drop."""

    def __init__(self, folder: Path, venv: Path, beneath: Beneath) -> None:
        self.folder, self._venv, self._beneath = folder, venv, beneath
        self._ports = dict(zip((each.name for each in SERVICES), free_ports(len(SERVICES)), strict=True))
        self._children: list[Child] = []
        for each in SERVICES:
            self._configure(each)

    @staticmethod
    def database(service: Service) -> str:
        return f"further_{service.name}"

    def url(self, service: Service) -> str:
        return f"http://127.0.0.1:{self._ports[service.name]}"

    def start(self) -> None:
        """Make the schemas, start the APIs, and wait until they answer."""
        for each in SERVICES:
            program, *words = each.migrate
            argv = [str(self._venv / "bin" / program), *(word.format(file=self._file(each)) for word in words)]
            run(argv, deadline_seconds=START_SECONDS, env=self._environment(each))
        for each in SERVICES:
            named = each.application.format(venv=self._venv)
            argv = [str(self._venv / "bin" / "python"), str(SERVER), str(self._ports[each.name]), named]
            self._serve(each, argv)
            if each.worker:
                self._serve(each, [str(self._venv / "bin" / each.worker), "--config-file", str(self._file(each))])
        end = time.monotonic() + START_SECONDS
        while not all(_answers(self.url(each)) for each in SERVICES):
            broken = [each.program for each in self._children if not each.running]
            if time.monotonic() > end or broken:
                raise RuntimeError(f"the services do not start: read {self.folder}/*.log")
            time.sleep(0.3)

    def stop(self) -> None:
        """End all servers as a power cut would. May be repeated."""
        while self._children:
            child = self._children.pop()
            if child.running:
                os.kill(child.pid, signal.SIGKILL)
            child.__exit__()

    def register(self, identity: Any) -> None:
        """Write the services into the catalogue, in the place of what an earlier run has left there."""
        self.unregister(identity)
        for each in SERVICES:
            service = identity.create_service(name=each.name, type=each.kind)
            for interface in ("public", "internal", "admin"):
                identity.create_endpoint(
                    service_id=service.id,
                    interface=interface,
                    region_id=self._beneath.region,
                    url=self.url(each) + each.path,
                )

    @staticmethod
    def unregister(identity: Any) -> None:
        """Take the services out of the catalogue, their endpoints with them. May be repeated."""
        kinds = {each.kind for each in SERVICES}
        for service in list(identity.services()):
            if service.type in kinds:
                identity.delete_service(service)

    def _serve(self, service: Service, argv: list[str]) -> None:
        with (self.folder / f"{service.name}.log").open("ab") as log:
            self._children.append(Child(argv, env=self._environment(service), cwd=self._home(service), output=log))

    def _file(self, service: Service) -> Path:
        return self._home(service) / service.configuration

    def _home(self, service: Service) -> Path:
        return self.folder / service.name

    def _environment(self, service: Service) -> dict[str, str]:
        """Return what makes the service find its file: it looks in a folder of its name below the home folder."""
        return {"HOME": str(self._home(service)), "OS_DESIGNATE_CONFIG_DIR": str(self._file(service).parent)}

    def _configure(self, service: Service) -> None:
        home = self._home(service)
        file = self._file(service)
        for each in (file.parent, home / "state"):
            each.mkdir(parents=True, exist_ok=True)
        paste = self._venv / "etc" / service.name / "api-paste.ini"
        if paste.exists():
            shutil.copy(paste, file.parent)
        text = CONFIG.format(
            listeners=DEFAULT_LISTENERS,
            name=service.name,
            home=home,
            venv=self._venv,
            transport=self._beneath.transport,
            database=f"{self._beneath.database}/{self.database(service)}?charset=utf8mb3",
            keystone=self._beneath.keystone,
            region=self._beneath.region,
            password=self._beneath.password,
            key=base64.b64encode(os.urandom(32)).decode(),
        )
        file.touch(mode=0o600)
        file.write_text(text)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (urllib.error.URLError, OSError):
        return False

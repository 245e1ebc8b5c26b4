"""One OpenStack cloud: its databases, its eleven servers, and what they need before the first start."""

from __future__ import annotations

import base64
import secrets
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from orchestrator.lab import daemons, guests
from orchestrator.lab.daemons import Daemon
from orchestrator.lab.infrastructure import DATABASE_USER, dump, load, sql
from orchestrator.lab.layout import CloudCentre, Lab, made_once
from orchestrator.lab.openstack_config import database_prefix, keystone_url
from orchestrator.lab.parallel import together

DATABASES = ("keystone", "placement", "glance", "nova_api", "nova", "nova_cell0", "neutron", "cinder")
SYNC_SECONDS = 300.0
#: Nova fills these in from the configuration of whoever reads the cell, so the same rows serve both clouds.
CELL_DATABASE = "{scheme}://{username}:{password}@{hostname}:{port}/{path}%s?{query}"
CELL_TRANSPORT = "{scheme}://{username}:{password}@{hostname}:{port}/{path}"


def keystone(lab: Lab, cloud: CloudCentre) -> Daemon:
    config = lab.etc(cloud) / "keystone" / "keystone.conf"
    return _api(lab, cloud, "keystone", "keystone.wsgi.api", env={"OS_KEYSTONE_CONFIG_FILES": str(config)})


def apis(lab: Lab, cloud: CloudCentre) -> list[Daemon]:
    """The five other APIs. They log in at Keystone when they are first asked something, not at their start."""
    etc = lab.etc(cloud)
    glance, cinder = etc / "glance" / "glance-api.conf", etc / "cinder" / "cinder.conf"
    neutron = {"OS_NEUTRON_CONFIG_DIR": str(etc / "neutron"), "OS_NEUTRON_CONFIG_FILES": "neutron.conf;ml2.ini"}
    return [
        _api(lab, cloud, "placement", "placement.wsgi.api", env={"OS_PLACEMENT_CONFIG_DIR": str(etc / "placement")}),
        _api(lab, cloud, "glance", "glance.wsgi.api", env={"OS_GLANCE_CONFIG_DIR": str(etc / "glance")}, config=glance),
        _api(lab, cloud, "nova-api", "nova.wsgi.osapi_compute", env={"OS_NOVA_CONFIG_DIR": str(etc / "nova")}),
        _api(lab, cloud, "neutron-api", "neutron.wsgi.api", env=neutron),
        _api(lab, cloud, "cinder-api", "cinder.wsgi.api", env={}, config=cinder),
    ]


def workers(lab: Lab, cloud: CloudCentre) -> list[Daemon]:
    """The five servers without a port. One that starts before RabbitMQ answers loses 15 s in its retries."""
    nova, cinder = lab.etc(cloud) / "nova", lab.etc(cloud) / "cinder" / "cinder.conf"
    programs = {
        "nova-conductor": nova / "nova.conf",
        "nova-scheduler": nova / "nova.conf",
        "cinder-scheduler": cinder,
        "cinder-volume": cinder,
    }
    begun = lab.sockets(cloud) / "nova-compute"
    compute = Daemon(
        name=f"{cloud}-nova-compute",
        place=cloud,
        argv=[str(lab.venv / "bin" / "nova-compute"), "--config-file", str(nova / "nova-cpu.conf")],
        env={guests.BEGUN: str(begun)},
        unix=begun,
    )
    others = [
        Daemon(
            name=f"{cloud}-{program}",
            place=cloud,
            argv=[str(lab.venv / "bin" / program), "--config-file", str(config)],
        )
        for program, config in programs.items()
    ]
    return [compute, *others]


def _api(
    lab: Lab, cloud: CloudCentre, name: str, module: str, *, env: dict[str, str], config: Path | None = None
) -> Daemon:
    port = lab.api_port(cloud, name)
    return Daemon(
        name=f"{cloud}-{name}",
        place=cloud,
        argv=[
            str(lab.venv / "bin" / "uwsgi"), "--http-socket", f"127.0.0.1:{port}", "--module", f"{module}:application",
            "--need-app", "--lazy-apps", "--master", "--no-orphans", "--die-on-term", "--processes", "1",
            "--threads", "8", "--enable-threads", "--http-chunked-input", "--buffer-size", "65535",
            # Cinder uploads images in chunks of 1 MiB, which with their frame are over uwsgi's usual limit.
            "--chunked-input-limit", "8388608", "--chunked-input-timeout", "300", "--socket-timeout", "300",
            "--disable-logging", "--thunder-lock", "--add-header", "Connection: close", "--so-keepalive",
            "--ignore-sigpipe", "--ignore-write-errors", "--disable-write-exception", "--set", "start-time=%t",
            "--pyargv", f"--config-file {config}" if config else "",
        ],
        env=env,
        port=port,
        url=f"http://127.0.0.1:{port}/",  # uwsgi listens before it has loaded the application
        stop_signal=signal.SIGINT,
        grace_seconds=1,  # idle threads do not end by themselves
    )  # fmt: skip


def prepare_databases(lab: Lab, cloud: CloudCentre) -> None:
    """Make the cloud's databases with their schemas. May be repeated; half-made ones are dropped and made anew.

    The schemas are migrated once; the second cloud's are loaded from a dump of the first, which takes a tenth of it.
    """
    mark = lab.cloud_data(cloud) / "schemas.made"
    if mark.exists():
        return
    _create_databases(lab, cloud)
    dumps = lab.openstack_data / "schemas"
    prefix = database_prefix(cloud)
    if dumps.exists():
        together(*[_loading(lab, f"{prefix}_{name}", dumps / f"{name}.sql") for name in DATABASES])
    else:
        _migrate(lab, cloud)
        draft = lab.openstack_data / "schemas.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        together(*[_dumping(lab, f"{prefix}_{name}", draft / f"{name}.sql") for name in DATABASES])
        draft.rename(dumps)
    mark.touch()


def _loading(lab: Lab, database: str, source: Path) -> Callable[[], None]:
    return lambda: load(lab, database, source)


def _dumping(lab: Lab, database: str, target: Path) -> Callable[[], None]:
    return lambda: dump(lab, database, target)


def _create_databases(lab: Lab, cloud: CloudCentre) -> None:
    prefix, password = database_prefix(cloud), lab.secret("openstack.password")
    user = f"{DATABASE_USER}@127.0.0.1"
    statements = [f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{password}'"]
    for name in DATABASES:
        statements += [
            f"DROP DATABASE IF EXISTS {prefix}_{name}",
            f"CREATE DATABASE {prefix}_{name} CHARACTER SET utf8mb3",
            f"GRANT ALL ON {prefix}_{name}.* TO {user}",
        ]
    sql(lab, ";\n".join(statements) + ";\n")


def _migrate(lab: Lab, cloud: CloudCentre) -> None:
    etc = lab.etc(cloud)

    def command(program: str, *arguments: str, **env: str) -> None:
        argv = [str(lab.venv / "bin" / program), *arguments]
        daemons.run(lab, f"{cloud}-migrate-{program}", argv, seconds=SYNC_SECONDS, env=env)

    def nova_and_neutron() -> None:
        nova = ("--config-file", str(etc / "nova" / "nova.conf"))
        command("nova-manage", *nova, "api_db", "sync")
        command("nova-manage", *nova, "cell_v2", "map_cell0", "--database_connection", CELL_DATABASE % "_cell0")
        command(
            "nova-manage", *nova, "cell_v2", "create_cell", "--name", "cell1",
            "--database_connection", CELL_DATABASE % "", "--transport-url", CELL_TRANSPORT,
        )  # fmt: skip
        command("nova-manage", *nova, "db", "sync")

    def others() -> None:
        command("keystone-manage", "--config-file", str(etc / "keystone" / "keystone.conf"), "db_sync")
        placement = etc / "placement"
        command(
            "placement-manage", "--config-file", str(placement / "placement.conf"), "db", "sync",
            OS_PLACEMENT_CONFIG_DIR=str(placement),
        )  # fmt: skip
        command("glance-manage", "--config-file", str(etc / "glance" / "glance-api.conf"), "db_sync")
        command("cinder-manage", "--config-file", str(etc / "cinder" / "cinder.conf"), "db", "sync")
        neutron = etc / "neutron"
        command(
            "neutron-db-manage", "--config-file", str(neutron / "neutron.conf"), "--config-file",
            str(neutron / "ml2.ini"), "upgrade", "heads",
        )  # fmt: skip

    together(nova_and_neutron, others)


def prepare_keystone(lab: Lab, cloud: CloudCentre) -> None:
    """Make the token keys, the administrator and the identity endpoint of one cloud. May be repeated."""
    mark = lab.cloud_data(cloud) / "keystone.made"
    if mark.exists():
        return
    for repository in ("fernet", "credential"):
        for index in ("0", "1"):  # the staged key and the primary one; keystone-manage takes seconds for the same
            made_once(lab.cloud_data(cloud) / repository / index, _fernet_key)
    url = keystone_url(lab, cloud)
    urls = [part for kind in ("admin", "public", "internal") for part in (f"--bootstrap-{kind}-url", url)]
    config = str(lab.etc(cloud) / "keystone" / "keystone.conf")
    daemons.run(
        lab,
        f"{cloud}-keystone-manage",
        [
            str(lab.venv / "bin" / "keystone-manage"), "--config-file", config,
            "bootstrap", "--bootstrap-region-id", cloud, *urls,
        ],
        seconds=SYNC_SECONDS,
        env={"OS_BOOTSTRAP_PASSWORD": lab.secret("openstack.password")},
    )  # fmt: skip
    mark.touch()


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()

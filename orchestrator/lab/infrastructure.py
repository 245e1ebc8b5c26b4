"""What both clouds stand on: MariaDB and RabbitMQ, with an Erlang port mapper of their own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from orchestrator.lab import daemons
from orchestrator.lab.daemons import Daemon
from orchestrator.lab.layout import CLOUDS, Lab
from orchestrator.secrets import write_private

DATABASE_USER = MESSAGE_USER = "openstack"
CHARSET = ["--character-set-server=utf8mb3", "--collation-server=utf8mb3_general_ci"]


def mariadb(lab: Lab) -> Daemon:
    """The database of both clouds. Durability is given up for speed: the lab can be made anew."""
    data = lab.openstack_data / "mysql"
    return Daemon(
        name="mariadb",
        place="shared",
        argv=[
            "mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={socket(lab)}",
            "--bind-address=127.0.0.1", f"--port={lab.port('mariadb')}", f"--pid-file={data}.pid",
            "--skip-log-bin", "--skip-name-resolve", "--performance-schema=0", "--max-connections=1000",
            "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-flush-method=nosync",
            "--innodb-buffer-pool-size=256M", "--innodb-log-file-size=64M", *CHARSET,
        ],
        port=lab.port("mariadb"),
        grace_seconds=20,
        last=True,
    )  # fmt: skip


def socket(lab: Lab) -> Path:
    """Return MariaDB's socket."""
    return lab.sockets()


def prepare_mariadb(lab: Lab) -> None:
    """Make the data folder. Made under another name and moved into place, so what has the name is whole."""
    data = lab.openstack_data / "mysql"
    if data.exists():
        return
    lab.openstack_data.mkdir(mode=0o700, exist_ok=True)
    draft = lab.openstack_data / "mysql.draft"
    shutil.rmtree(draft, ignore_errors=True)
    daemons.run(
        lab,
        "mariadb-install",
        [
            "mariadb-install-db", "--no-defaults", f"--datadir={draft}", "--user=root", "--skip-test-db",
            "--auth-root-authentication-method=socket", "--skip-name-resolve",
        ],
        seconds=120,
    )  # fmt: skip
    draft.rename(data)


def sql(lab: Lab, statements: str, *, name: str = "mariadb-sql", seconds: float = 120) -> None:
    """Run SQL statements as root. They reach the client by its stdin: they may hold passwords."""
    with tempfile.TemporaryFile() as file:
        file.write(statements.encode())
        file.seek(0)
        daemons.run(lab, name, ["mariadb", "-uroot", f"-S{socket(lab)}"], seconds=seconds, stdin=file.fileno())


def dump(lab: Lab, database: str, target: Path) -> None:
    """Write the whole of `database` to `target`, as SQL that names no database."""
    argv = ["mariadb-dump", "-uroot", f"-S{socket(lab)}", f"--result-file={target}", "--single-transaction", database]
    daemons.run(lab, "mariadb-dump", argv, seconds=120)


def load(lab: Lab, database: str, source: Path) -> None:
    """Fill `database` from a file that `dump` wrote."""
    with source.open("rb") as file:
        argv = ["mariadb", "-uroot", f"-S{socket(lab)}", database]
        daemons.run(lab, "mariadb-load", argv, seconds=120, stdin=file.fileno())


def rabbitmq(lab: Lab) -> Daemon:
    return Daemon(
        name="rabbitmq",
        place="shared",
        argv=["/usr/lib/rabbitmq/bin/rabbitmq-server"],
        env=_rabbit_environment(lab),
        port=lab.port("rabbitmq"),
        grace_seconds=10,
        last=True,
    )


def epmd(lab: Lab) -> Daemon:
    """Erlang's port mapper. Started by us, because one that RabbitMQ starts stays when RabbitMQ goes."""
    port = lab.port("epmd")
    return Daemon(
        name="epmd",
        place="shared",
        argv=["epmd", "-address", "127.0.0.1", "-port", str(port)],
        env=_rabbit_environment(lab),
        port=port,
        last=True,
    )


def _rabbit_environment(lab: Lab) -> dict[str, str]:
    home = lab.data / "rabbitmq"
    return {
        "HOME": str(home),
        "RABBITMQ_NODENAME": f"tricenter{lab.port_base}@localhost",
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(lab.logs),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_PID_FILE": str(home / "pid"),
        "RABBITMQ_DIST_PORT": str(lab.port("rabbitmq-distribution")),
        "ERL_EPMD_PORT": str(lab.port("epmd")),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
        ),
    }


def prepare_rabbitmq(lab: Lab) -> None:
    """Write the configuration. User and virtual hosts come from a definitions file: rabbitmqctl is slow."""
    home = lab.data / "rabbitmq"
    home.mkdir(mode=0o700, exist_ok=True)
    salt = os.urandom(4)
    password = lab.secret("openstack.password").encode()
    hashed = base64.b64encode(salt + hashlib.sha256(salt + password).digest()).decode()
    every = {"configure": ".*", "write": ".*", "read": ".*"}
    definitions = {
        "users": [
            {
                "name": MESSAGE_USER,
                "password_hash": hashed,
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": ["administrator"],
            }
        ],
        "vhosts": [{"name": cloud} for cloud in CLOUDS],
        "permissions": [{"user": MESSAGE_USER, "vhost": cloud, **every} for cloud in CLOUDS],
        "parameters": [], "policies": [], "queues": [], "exchanges": [], "bindings": [],
    }  # fmt: skip
    write_private(home / "definitions.json", json.dumps(definitions))
    write_private(home / "enabled_plugins", "[].\n")
    write_private(
        home / "rabbitmq.conf",
        f"listeners.tcp.local = 127.0.0.1:{lab.port('rabbitmq')}\n"
        f"load_definitions = {home / 'definitions.json'}\n"
        "vm_memory_high_watermark.absolute = 1GB\n"
        "disk_free_limit.absolute = 100MB\n"
        "log.console = true\n"
        "log.console.level = warning\n",
    )

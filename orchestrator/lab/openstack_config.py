"""The configuration files of one OpenStack cloud, rendered from `templates/`."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib import resources
from pathlib import Path

import jinja2

from orchestrator.lab import guests
from orchestrator.lab.infrastructure import DATABASE_USER, MESSAGE_USER
from orchestrator.lab.layout import API_PORTS, CLOUDS, CloudCentre, Lab
from orchestrator.secrets import write_private

#: Nova's compute drivers: the in-tree fake, made to survive restarts, and libvirt for guests that boot.
COMPUTE_DRIVER = "tricenter_lab.FakeDriver"
GUEST_DRIVER = "tricenter_lab_guests.GuestDriver"
#: What the host of real guests has and what a flavor asks for to get there.
GUEST_TRAIT = "CUSTOM_GUESTS"

#: Template, file below etc/<cloud>/, and what is set for that file alone.
_FILES: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("keystone.conf.j2", "keystone/keystone.conf", {}),
    ("placement.conf.j2", "placement/placement.conf", {}),
    ("glance-api.conf.j2", "glance/glance-api.conf", {}),
    ("nova.conf.j2", "nova/nova.conf", {"with_database": True, "guests": False}),
    # nova-compute refuses to run when it sees a database
    ("nova.conf.j2", "nova/nova-cpu.conf", {"with_database": False, "guests": False}),
    ("nova.conf.j2", "nova/nova-guests.conf", {"with_database": False, "guests": True}),
    ("guests.yaml.j2", "nova/provider_config/guests.yaml", {}),
    ("neutron.conf.j2", "neutron/neutron.conf", {}),
    ("ml2.ini.j2", "neutron/ml2.ini", {}),
    ("cinder.conf.j2", "cinder/cinder.conf", {}),
)
#: Files that the packages bring and the services want beside their own.
_SHIPPED = (
    "glance/glance-api-paste.ini",
    "nova/api-paste.ini",
    "neutron/api-paste.ini",
    "cinder/api-paste.ini",
    "cinder/resource_filters.json",
)
_STATE = (
    "fernet", "credential", "images", "volumes", "conversion", "lock", "state/nova",
    "state/nova-guests/instances", "state/neutron",
    "state/cinder", "state/glance-tasks", "state/glance-staging",
)  # fmt: skip


def database_prefix(cloud: CloudCentre) -> str:
    return cloud.replace("-", "_")


def keystone_url(lab: Lab, cloud: CloudCentre) -> str:
    return f"http://127.0.0.1:{lab.api_port(cloud, 'keystone')}/v3"


def render(lab: Lab, cloud: CloudCentre, *, compute_driver: str = COMPUTE_DRIVER) -> dict[str, str]:
    """Return the text of every configuration file by its path below etc/<cloud>/."""
    password = lab.secret("openstack.password")
    values: dict[str, object] = {
        "cloud": cloud,
        "region": cloud,
        "data": lab.cloud_data(cloud),
        "etc": lab.etc(cloud),
        "venv": lab.venv,
        "keystone": keystone_url(lab, cloud),
        "password": password,
        "database_user": DATABASE_USER,
        "database_port": lab.port("mariadb"),
        "database_prefix": database_prefix(cloud),
        "transport": f"rabbit://{MESSAGE_USER}:{password}@127.0.0.1:{lab.port('rabbitmq')}/{cloud}",
        "ports": {name: lab.api_port(cloud, name) for name in API_PORTS},
        "compute_driver": compute_driver,
        "guest_driver": GUEST_DRIVER,
        "guest_trait": GUEST_TRAIT,
        "libvirt_uri": guests.connection_uri(lab, cloud),
        "fixed_key": lab_key(lab),
    }
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(resources.files("orchestrator.lab") / "templates")),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
        keep_trailing_newline=True,
    )
    rendered = {}
    for name, path, own in _FILES:
        host = guests.host(cloud) if own.get("guests") else f"{cloud}-compute-1"
        rendered[path] = templates.get_template(name).render(values | {"host": host} | own)
    rendered["cinder/shares"] = f"127.0.0.1:/{cloud}-volumes\n"
    return rendered


def lab_key(lab: Lab) -> str:
    """Return Cinder's volume encryption key, 32 bytes as hexadecimal digits."""
    return hashlib.sha256(lab.secret("cinder.key").encode()).hexdigest()


def write(lab: Lab, cloud: CloudCentre) -> None:
    """Write the configuration and make the folders of one cloud. Needs the virtual environment."""
    for folder in _STATE:
        (lab.cloud_data(cloud) / folder).mkdir(parents=True, exist_ok=True)
    for private in ("fernet", "credential"):
        (lab.cloud_data(cloud) / private).chmod(0o700)
    for path, text in render(lab, cloud).items():
        target = lab.etc(cloud) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_private(target, text)
    for path in _SHIPPED:
        shutil.copy(lab.venv / "etc" / path, lab.etc(cloud) / path)


def write_clouds_file(lab: Lab) -> Path:
    """Write clouds.yaml with an administrator's entry per cloud, readable by its owner only, and return it."""
    password = lab.secret("openstack.password")
    clouds = {
        cloud: {
            "auth": {
                "auth_url": keystone_url(lab, cloud),
                "username": "admin",
                "password": password,
                "project_name": "admin",
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            },
            "region_name": cloud,
            "identity_api_version": "3",
        }
        for cloud in CLOUDS
    }
    return write_private(lab.clouds_file, json.dumps({"clouds": clouds}, indent=2) + "\n")  # JSON is YAML

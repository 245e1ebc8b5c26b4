"""The compute host of each cloud whose guests really boot: a libvirtd of its own with QEMU, and a nova-compute on it.

libvirt keeps its state in fixed places of a machine. Here it runs in a mount namespace of its own in which those places
are folders of the lab; so two clouds, and two labs, have nothing in common, and nothing is written outside of the lab.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from pathlib import Path

from orchestrator.lab import daemons, links
from orchestrator.lab.daemons import MARK, Daemon
from orchestrator.lab.layout import CLOUDS, CloudCentre, Lab, made_once
from orchestrator.secrets import write_private

#: What libvirt finds in its places, by the folder in the lab.
PLACES = {"etc": "/etc/libvirt", "lib": "/var/lib/libvirt", "log": "/var/log/libvirt", "run": "/run/libvirt"}
CACHE = "/var/cache/libvirt"
#: In the new namespace: our folders over libvirt's, and accounts with the one that it insists on knowing.
SCRIPT = """set -e
mount --make-rprivate / 2>/dev/null || true
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift
exec "$@"
"""
ACCOUNT = "libvirt-qemu"  # a package that is not installed here would make it; no guest runs as it
ACCOUNT_ID = 64055  # Debian's number for it

#: Names the socket at which a nova-compute accepts connections once it has begun.
BEGUN = "TRICENTER_LAB_BEGUN"

LIBVIRTD = """listen_tls = 0
listen_tcp = 0
unix_sock_dir = "{sockets}"
unix_sock_rw_perms = "0700"
auth_unix_rw = "none"
auth_unix_ro = "none"
host_uuid = "{uuid}"
log_outputs = "3:stderr"
"""
#: The lab is the machine's root and takes nothing away from it: no cgroups, no security driver, no second log daemon.
QEMU = """user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""


def host(cloud: CloudCentre) -> str:
    """Return the name of the compute host whose guests boot. The drivers in `plugin` know it by its middle."""
    return f"{cloud}-guests-1"


def connection_uri(lab: Lab, cloud: CloudCentre) -> str:
    return f"qemu+unix:///system?socket={lab.sockets(cloud)}/libvirt-sock"


def _folder(lab: Lab, cloud: CloudCentre) -> Path:
    return lab.data / "libvirt" / cloud


def _cache(lab: Lab) -> Path:
    """What libvirt found out about QEMU. It takes some seconds, is the same for both clouds, and outlives a reset."""
    return lab.folder / "libvirt-cache"


def libvirtd(lab: Lab, cloud: CloudCentre) -> Daemon:
    folder = _folder(lab, cloud)
    ours = {str(folder / name): place for name, place in PLACES.items()}
    ours |= {str(_cache(lab)): CACHE, str(folder / "passwd"): "/etc/passwd", str(folder / "group"): "/etc/group"}
    return Daemon(
        name=f"{cloud}-libvirtd",
        place=cloud,
        argv=[
            "unshare", "--mount", "--propagation", "unchanged", "sh", "-c", SCRIPT, "libvirtd",
            *(word for pair in ours.items() for word in pair), "--",
            "/usr/sbin/libvirtd", "-f", str(folder / "libvirtd.conf"), "-p", str(folder / "libvirtd.pid"),
        ],
        unix=lab.sockets(cloud) / "libvirt-sock",
        last=True,
    )  # fmt: skip


def compute(lab: Lab, cloud: CloudCentre) -> Daemon:
    begun = lab.sockets(cloud) / "nova-compute-guests"
    return Daemon(
        name=f"{cloud}-nova-compute-guests",
        place=cloud,
        argv=[str(lab.venv / "bin" / "nova-compute"), "--config-file", str(lab.etc(cloud) / "nova/nova-guests.conf")],
        unix=begun,
        env={
            BEGUN: str(begun),
            "TRICENTER_LAB_LINKS": links.prefix(lab),
            "TRICENTER_LAB_LINKS_LOCK": str(links.lock_file(lab)),
            "TRICENTER_LAB_GUEST": f"{MARK}={lab.folder}:{running_guests(cloud).name}",
        },
    )


def running_guests(cloud: CloudCentre) -> Daemon:
    """The QEMUs of a cloud, as something that is stopped: they are libvirtd's to start, and carry this mark.

    After nova-compute, which would take their end for a shutdown and not start them again; and without notice, as it
    is when a machine fails.
    """
    return Daemon(name=f"{cloud}-guest", place=cloud, argv=[], last=True, grace_seconds=0)


def servers(lab: Lab, cloud: CloudCentre) -> list[Daemon]:
    return [libvirtd(lab, cloud), compute(lab, cloud)]


def prepare(lab: Lab, cloud: CloudCentre) -> None:
    """Make libvirt's folders and configuration. May be repeated."""
    folder = _folder(lab, cloud)
    for each in (_cache(lab), *(folder / name for name in PLACES), *map(Path, (CACHE, *PLACES.values()))):
        each.mkdir(parents=True, exist_ok=True)
    lab.sockets(cloud).mkdir(mode=0o700, exist_ok=True)
    identity = made_once(folder / "uuid", lambda: str(uuid.uuid4()))
    write_private(folder / "libvirtd.conf", LIBVIRTD.format(sockets=lab.sockets(cloud), uuid=identity))
    write_private(folder / "etc" / "qemu.conf", QEMU)
    number = ACCOUNT_ID
    for name, line in (
        ("passwd", f"{ACCOUNT}:x:{number}:{number}::/var/lib/libvirt:/usr/sbin/nologin\n"),
        ("group", f"{ACCOUNT}:x:{number}:\n"),
    ):
        lines = Path("/etc", name).read_text(encoding="utf-8").splitlines(keepends=True)
        others = [each for each in lines if not each.startswith(f"{ACCOUNT}:")]
        (folder / name).write_text("".join([*others, line]), encoding="utf-8")


def clear(lab: Lab) -> None:
    """Remove what is left outside of the lab's folder when everything was stopped: network devices and sockets."""
    links.remove_all(lab)
    for cloud in CLOUDS:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(lab.sockets(cloud))


def running(lab: Lab, cloud: CloudCentre) -> int:
    """Return how many guests of a cloud run now."""
    return len(daemons.marked(lab).get(running_guests(cloud).name, ()))

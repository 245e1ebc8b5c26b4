"""A Ceph of our own on free loopback ports: a monitor, a manager, an OSD in memory and an S3 gateway, in one folder."""

from __future__ import annotations

import base64
import os
import signal
import struct
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from orchestrator.process import Child, find_program, run
from orchestrator.vault.s3 import Credential
from tests.bench.servers import free_ports

START_SECONDS = 120
CAPS = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *", "mds": "allow *"},
    "mgr.x": {"mon": "allow profile mgr", "osd": "allow *", "mds": "allow *"},
    "osd.0": {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"},
    "client.rgw.a": {"mon": "allow rw", "osd": "allow rwx", "mgr": "allow rw"},
}

CONFIG = """
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon}/0]
ms_bind_msgr1 = false
ms_bind_ipv6 = false
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
keyring = {folder}/keyring
run_dir = {folder}/run
log_file = {folder}/log/$name.log
admin_socket = {folder}/run/$name.asok
pid_file = {folder}/run/$name.pid
crash_dir = {folder}/crash
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_data = {folder}/mon
mgr_data = {folder}/mgr
mgr_initial_modules =
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 2147483648
rgw_data = {folder}/rgw
# What goes from a bucket by itself counts its days in these seconds.
rgw_lc_debug_interval = 1
rgw_frontends = beast endpoint=127.0.0.1:{rgw}
"""


class Ceph:
    """Runs from `start` to `stop`, and dies with its parent; what it stored dies with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("", "run", "log", "crash", "mgr", "osd", "rgw", "mon"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._mon, self._rgw = free_ports(2)
        self._fsid = str(uuid.uuid4())
        self._children: list[Child] = []
        text = CONFIG.format(fsid=self._fsid, mon=self._mon, rgw=self._rgw, folder=folder)
        (folder / "ceph.conf").write_text(text)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._rgw}"

    def start(self) -> None:
        """Start all servers, and wait until the gateway answers."""
        keyring = "".join(
            f"[{name}]\n\tkey = {_new_key()}\n" + "".join(f'\tcaps {who} = "{what}"\n' for who, what in caps.items())
            for name, caps in CAPS.items()
        )
        (self.folder / "keyring").write_text(keyring)
        monmap = self.folder / "monmap"
        address = f"[v2:127.0.0.1:{self._mon}]"
        words = ["--create", "--fsid", self._fsid, "--addv", "a", address, "--set-min-mon-release", "pacific"]
        run(["monmaptool", *words, "--enable-all-features", str(monmap)], deadline_seconds=30)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(monmap))
        self._serve("ceph-mon", "-i", "a")
        self._serve("ceph-mgr", "-i", "x")
        osd = str(uuid.uuid4())
        self._run("ceph", "osd", "new", osd)
        self._run("ceph-osd", "-i", "0", "--no-mon-config", "--mkfs", "--osd-uuid", osd)
        self._serve("ceph-osd", "-i", "0")
        self._serve("radosgw", "-n", "client.rgw.a")
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            broken = [each for each in self._children if not each.running]
            if time.monotonic() > end or broken:
                raise RuntimeError(f"Ceph does not start: {[(each.program, each.stderr) for each in broken]}")
            time.sleep(0.2)

    def stop(self) -> None:
        """End all servers as a power cut would. May be repeated."""
        while self._children:
            child = self._children.pop()
            if child.running:
                os.kill(child.pid, signal.SIGKILL)
            child.__exit__()

    def add_user(self, name: str, credential: Credential) -> None:
        """Make a user of the gateway, who owns nothing yet."""
        self._run("radosgw-admin", "user", "create", f"--uid={name}", f"--display-name={name}",
                  f"--access-key={credential.access_key}", f"--secret-key={credential.secret_key}")  # fmt: skip

    def clear_expired(self) -> None:
        """Have the gateway do what the lifecycle rules of its buckets say is due now."""
        self._run("radosgw-admin", "lc", "process")

    def _run(self, program: str, *words: str) -> str:
        argv = [find_program(program, package="ceph-common"), "-c", str(self.folder / "ceph.conf"), *words]
        return run(argv, deadline_seconds=START_SECONDS).stdout

    def _serve(self, program: str, *words: str) -> None:
        argv = [find_program(program, package=program), "-c", str(self.folder / "ceph.conf"), "-f", *words]
        self._children.append(Child(argv))

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.endpoint, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def _new_key() -> str:
    """Return a key as ceph-authtool makes one: a type, a time, a length and 16 random bytes."""
    return base64.b64encode(struct.pack("<HIIH", 1, int(time.time()), 0, 16) + os.urandom(16)).decode()

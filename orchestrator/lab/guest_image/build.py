"""Builds the guest image, and keeps it in the lab's folder by the digest of everything that went in."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from orchestrator import process
from orchestrator.lab import daemons, packages
from orchestrator.lab.guest_image import contents, database, disk
from orchestrator.lab.layout import Lab

SIZE_MIB = 256
#: Installed packages whose files go into the image.
INGREDIENTS = ("busybox-static", "postgresql-15", "libc6", "libicu72", "libssl3")


def image(lab: Lab) -> Path:
    """Return the image as a qcow2 file, built if it is not there. Takes some seconds once; may be repeated."""
    target = lab.folder / "guest-image" / f"{fingerprint(lab)}.qcow2"
    if target.exists():
        return target
    shutil.rmtree(target.parent, ignore_errors=True)  # what older inputs gave, and half-made ones
    target.parent.mkdir()
    # Not in the lab's folder, whose parents may be closed to PostgreSQL's user.
    with tempfile.TemporaryDirectory(prefix="tricenter-guest-", dir="/var/tmp") as place:
        room = Path(place)
        room.chmod(0o711)
        raw = _raw(lab, room)
        draft = target.with_suffix(".draft")
        argv = ["qemu-img", "convert", "-c", "-O", "qcow2", str(raw), str(draft)]
        daemons.run(lab, "guest-image", argv, seconds=300)
    draft.replace(target)
    return target


def fingerprint(lab: Lab) -> str:
    """Return the digest of our files and of the Debian packages that the image is made of."""
    digest = hashlib.sha256()
    ours = contents.shipped()
    for each in sorted(ours.rglob("*")):
        if each.is_file() and "__pycache__" not in each.parts:
            digest.update(str(each.relative_to(ours)).encode() + b"\0" + each.read_bytes())
    show = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n"]
    digest.update(process.run([*show, *INGREDIENTS], deadline_seconds=30, check=False).stdout.encode())
    for package in sorted(packages.downloaded(lab)):
        digest.update(package.name.encode())
    return digest.hexdigest()[:16]


def _raw(lab: Lab, room: Path) -> Path:
    unpacked, root, raw = room / "packages", room / "root", room / "guest.raw"
    for package in packages.downloaded(lab):
        argv = ["dpkg-deb", "--extract", str(package), str(unpacked)]
        daemons.run(lab, "guest-image", argv, seconds=120)
    root.mkdir()
    contents.lay_root(root, unpacked)
    contents.lay_initial_disk(lab, room / "initial", unpacked, root / "boot/initrd.gz")
    database.lay_programs(root)
    (room / "database").mkdir()
    database.lay_data(lab, root, room / "database")
    disk.make(lab, root, unpacked, raw, size_mib=SIZE_MIB)
    return raw

"""What is on the guest's root disk, and in the initial one that finds it: kernel, drivers, busybox, our few scripts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from orchestrator import process
from orchestrator.errors import TricenterError
from orchestrator.lab import daemons
from orchestrator.lab.layout import Lab

BUSYBOX = Path("/bin/busybox")
#: Drivers that Debian's cloud kernel has as modules, in the order in which they must be loaded.
DRIVERS = (
    "virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk", "failover",
    "net_failover", "virtio_net", "scsi_common", "scsi_mod", "libata", "ata_piix", "cdrom", "sr_mod", "isofs",
    "button", "evdev",
)  # fmt: skip
FOLDERS = (
    "bin", "sbin", "dev", "proc", "sys", "tmp", "mnt", "run", "boot", "etc", "root", "srv/data", "srv/www", "var/lib",
)  # fmt: skip
PROGRAMS = ("etc/start", "etc/stop", "etc/database", "etc/query", "etc/acpi/PWRF/00000080", "srv/www/cgi-bin/*")
GUEST_USERS = "root::0:0:root:/root:/bin/sh\npostgres::26:26:PostgreSQL:/var/lib/postgresql:/bin/sh\n"
GUEST_GROUPS = "root:x:0:\npostgres:x:26:\n"


def shipped() -> Path:
    """Return the folder of the files that this package brings."""
    return Path(str(resources.files("orchestrator.lab.guest_image")))


def lay_root(root: Path, kernel: Path) -> None:
    """Make the root disk's tree, but for the database; `kernel` is Debian's unpacked package."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    _lay_busybox(root)
    (root / "sbin/init").symlink_to("../bin/busybox")
    shutil.copytree(shipped() / "root", root, dirs_exist_ok=True)
    for pattern in PROGRAMS:
        for program in root.glob(pattern):
            program.chmod(0o755)
    (root / "etc/passwd").write_text(GUEST_USERS, encoding="ascii")
    (root / "etc/group").write_text(GUEST_GROUPS, encoding="ascii")
    (root / "srv/www/index.html").symlink_to("/run/www/index.html")
    (root / "srv/data/records").write_text("".join(f"受理 case {each}\n" for each in range(1, 121)), encoding="utf-8")
    (root / "tmp").chmod(0o1777)
    shutil.copyfile(next((kernel / "boot").glob("vmlinuz-*")), root / "boot/vmlinuz")


def _lay_busybox(root: Path) -> None:
    shutil.copy(BUSYBOX, root / "bin/busybox")
    applets = process.run([str(BUSYBOX), "--list"], deadline_seconds=30).stdout.split()
    for applet in applets:
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")


def lay_initial_disk(lab: Lab, room: Path, kernel: Path, target: Path) -> None:
    """Write the compressed initial disk `target`, gathered in the empty folder `room`."""
    for folder in ("bin", "dev", "proc", "sys", "modules", "new"):
        (room / folder).mkdir(parents=True)
    shutil.copy(BUSYBOX, room / "bin/busybox")
    modules = {each.stem: each for each in (kernel / "lib/modules").rglob("*.ko")}
    if missing := [name for name in DRIVERS if name not in modules]:
        raise TricenterError(
            f"Debian's cloud kernel has no module {', '.join(missing)} any more",
            hint="the list of drivers of the guest image must follow the kernel",
        )
    for place, name in enumerate(DRIVERS):
        shutil.copyfile(modules[name], room / "modules" / f"{place:02d}-{name}.ko")
    (room / "bin/sh").symlink_to("busybox")
    shutil.copyfile(shipped() / "initrd_init.sh", room / "init")
    (room / "init").chmod(0o755)
    pack = f'find . | "{BUSYBOX}" cpio -o -H newc 2>/dev/null | gzip -6 >"$0"'
    daemons.run(lab, "guest-image", ["sh", "-c", f'cd "$1" && {pack}', str(target), str(room)], seconds=60)


def copy_with_libraries(root: Path, programs: Iterable[Path]) -> None:
    """Copy programs and libraries of this machine to the same places in `root`, with all that they are linked to."""
    for program in programs:
        linked = process.run(["ldd", str(program)], deadline_seconds=30, check=False).stdout
        needed = [word for word in linked.split() if word.startswith("/")]
        for each in (program, *map(Path, needed)):
            place = root / str(each).lstrip("/")
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(each, place)
                place.chmod(0o755)


def give(tree: Path, number: int) -> None:
    """Make the guest's user `number` the owner of a tree."""
    os.chown(tree, number, number)
    for each in tree.rglob("*"):
        os.chown(each, number, number, follow_symlinks=False)

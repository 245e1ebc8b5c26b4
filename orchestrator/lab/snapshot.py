"""A packed copy of a lab that has just been made: the next start from nothing takes it instead of making it again."""

from __future__ import annotations

import hashlib
import os
import shutil
from importlib import resources
from pathlib import Path

from orchestrator.lab import daemons, packages
from orchestrator.lab.layout import Lab

# Vaults, PostgreSQL and RabbitMQ are made in seconds and are not packed.
_KEPT_SNAPSHOTS = 2


def path(lab: Lab) -> Path:
    """Return where the snapshot of exactly this lab is: same code and lock file, folder, ports and secrets."""
    digest = hashlib.sha256(f"{lab.folder}\0{lab.port_base}\0{lab.secret('openstack.password')}".encode())
    digest.update(packages.wanted().encode())
    room = Path(str(resources.files("orchestrator.lab")))
    for source in sorted(
        [*room.glob("templates/*.j2"), *room.glob("openstack_c*.py"), room / "bootstrap.py", room / "guests.py"]
    ):
        digest.update(source.name.encode() + source.read_bytes())
    return lab.snapshots / f"{digest.hexdigest()[:16]}.tar.gz"


def restore(lab: Lab) -> bool:
    """Unpack the snapshot where nothing of the clouds is yet. Return whether there was one to unpack."""
    if lab.openstack_data.exists() or not path(lab).exists():
        return False
    draft = lab.data / "openstack.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    daemons.run(lab, "snapshot", ["tar", "-C", str(draft), "-xzf", str(path(lab))], seconds=120)
    draft.rename(lab.openstack_data)
    return True


def take(lab: Lab) -> None:
    """Pack the data. MariaDB must be stopped; the other servers may run, nobody uses the clouds yet."""
    target = path(lab)
    draft = target.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    daemons.run(
        lab,
        "snapshot",
        ["tar", "-C", str(lab.openstack_data), "-I", "gzip -1", "-cf", str(draft), "."],
        seconds=300,
    )
    draft.chmod(0o600)
    draft.replace(target)
    for old in sorted(lab.snapshots.glob("*.tar.gz"), key=lambda each: -each.stat().st_mtime)[_KEPT_SNAPSHOTS:]:
        old.unlink()


def wipe(lab: Lab) -> None:
    """Throw the data away: the folder gets another name first, so that a half-removed one is never used."""
    trash = lab.folder / f"data.removed-{os.getpid()}"
    if lab.data.exists():
        lab.data.rename(trash)
    for each in lab.folder.glob("data.removed-*"):
        shutil.rmtree(each)

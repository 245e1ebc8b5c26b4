"""The newest restic that Debian has, beside the one that is installed: fetched once, unpacked, installed nowhere.

apt itself does it, with folders of its own, so that what comes is signed as everything that Debian has.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from orchestrator.process import run

#: The suite that has every new version first.
SUITE = "sid"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org/debian"
FETCH_SECONDS = 300


def newest_restic() -> Path:
    """Return the folder in which the program `restic` is. Raises when it cannot be had. May be repeated."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tricenter-tests"
    folder = caches / f"restic-{SUITE}"
    if not (folder / "usr/bin/restic").exists():
        caches.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="restic-", dir=caches) as name:
            draft = Path(name)
            _fetch(draft)
            run(["dpkg-deb", "--extract", *map(str, draft.glob("*.deb")), str(draft / "root")], deadline_seconds=60)
            shutil.rmtree(folder, ignore_errors=True)
            (draft / "root").rename(folder)
    return folder / "usr/bin"


def _fetch(folder: Path) -> None:
    """Download the package into a folder. The lists of the machine's own apt are not touched."""
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {MIRROR} {SUITE} main\n", encoding="ascii")
    for each in ("state/lists/partial", "cache/archives/partial"):
        (folder / each).mkdir(parents=True)
    settings = {
        "Dir::State": folder / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Acquire::Languages": "none",
        "Acquire::Retries": 3,
        "Acquire::Check-Valid-Until": "false",  # a mirror that stands still has a restic that is new enough
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]
    # Without the second word, lists that could not be had are a warning.
    run([*apt, "update", "--error-on=any"], deadline_seconds=FETCH_SECONDS)
    run([*apt, "download", "restic"], cwd=folder, deadline_seconds=FETCH_SECONDS)

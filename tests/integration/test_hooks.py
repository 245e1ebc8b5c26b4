"""A system of two volumes and a folder, frozen for its backup by hooks that write down when they are run."""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.backups.document import read_document
from orchestrator.cloud.connection import connect
from orchestrator.lab.progress import Progress
from orchestrator.lab.seed import seed
from orchestrator.process import run
from tests.conftest import RunningLab
from tests.integration.conftest import SmallSite
from tests.integration.crash_site import TIER, head
from tests.integration.tenant_sites import bureau, purge

pytestmark = pytest.mark.integration

HOOK = """#!/bin/sh
echo "$TRICENTER_PHASE $TRICENTER_SOURCE $(date +%s.%N)" >> "$1/log"
[ -e "$1/fail-$TRICENTER_PHASE" ] && { echo "$TRICENTER_SYSTEM says no"; exit 3; }
exit 0
"""


@dataclass(frozen=True)
class FrozenSite(SmallSite):
    """A site of one system, `registry`, with hooks."""

    tenant: str = ""
    notes: Path = Path()

    @property
    def name_of(self) -> str:
        return f"{self.tenant}/registry"

    @property
    def phases(self) -> list[str]:
        return [line.split()[0] for line in self.lines]

    @property
    def lines(self) -> list[str]:
        return (self.notes / "log").read_text().splitlines()

    def when(self, phase: str) -> float:
        (found,) = [line for line in self.lines if line.startswith(f"{phase} ")]
        return float(found.split()[-1])

    def forget(self) -> None:
        for each in self.notes.glob("*-*"):
            each.unlink()
        (self.notes / "log").write_text("")

    @property
    def folder_of_scans(self) -> Path:
        source = self.app.system(self.name_of).system.sources["scans"]
        assert source.kind == "path"
        return Path(source.path)

    def points(self) -> list[Any]:
        found: list[Any] = self.json("backup", "list", self.name_of, "--centre", "same-city")
        return found


@pytest.fixture(scope="module")
def site(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrozenSite]:
    name, tenant, work = f"test-{secrets.token_hex(3)}", f"t-{secrets.token_hex(4)}", tmp_path_factory.mktemp("hooks")
    notes, folder = work / "notes", work / "site"
    for each in (notes, folder / "tiers", folder / "tenants"):
        each.mkdir(parents=True)
    script = work / "hook"
    script.write_text(HOOK)
    script.chmod(0o755)
    hook = {"run": [str(script), str(notes)], "timeout": "30s"}
    volumes = {each: {"kind": "volume", "volume": f"{each}-{secrets.token_hex(3)}"} for each in ("root", "data")}
    scans = {"kind": "path", "path": "/none", "exclude": ["*.tmp", "left/**/out"], "one_file_system": True}
    system = {
        "title": {"zh": "登记", "en": "Registry"},
        "tier": "both",
        "sources": {"scans": scans, **volumes},
        "hooks": {"freeze": hook, "thaw": hook, "longest": "4m", "sources": {"scans": {"before": hook, "after": hook}}},
    }
    (folder / "site.yaml").write_text(json.dumps(head(name)))
    (folder / "tiers" / "both.yaml").write_text(TIER)
    made = bureau(tenant) | {"systems": {"registry": system}, "networks": {}, "security_groups": {}, "quota": {}}
    (folder / "tenants" / f"{tenant}.yaml").write_text(json.dumps(made))
    site = FrozenSite(name, folder, lab.register(folder), lab, tenant=tenant, notes=notes)
    try:
        for centre in ("same-city", "provincial"):
            site.app.vault_admin(centre).ensure_bucket(site.app.vault(centre).bucket(tenant), lock_days=1)
        site.tricenter("tenant", "apply", tenant, "--centre", "production", "--yes")
        seed(lab.lab, folder, Progress(), scale=0.02)
        yield site
    finally:
        purge(connect("production", config_file=lab.clouds_file), tenant)


def test_frozen_before_every_snapshot_and_thawed_before_anything_is_read_of_a_volume(
    site: FrozenSite, tmp_path: Path
) -> None:
    site.forget()
    make_odd_things(site.folder_of_scans)
    (ready,) = site.json("backup", "run", site.name_of, "--dry-run")
    assert (ready["consistent"], ready["freezes"], site.phases) == (True, True, [])
    other = site.folder_of_scans / "elsewhere"
    other.mkdir(exist_ok=True)
    run(["mount", "-t", "tmpfs", "none", str(other)], deadline_seconds=10)
    try:
        (other / "not here").write_text("of another file system")
        (point,) = site.json("backup", "run", site.name_of)
    finally:
        run(["umount", str(other)], deadline_seconds=10)
    assert site.phases == ["freeze", "before", "after", "thaw"]
    assert point["consistent"] is True
    assert [each["consistent"] for each in site.points()] == [True]

    attempts = [each for each in site.app.catalogue.attempts(point["point"]) if each.ended_at]
    began = {each.step: each.started_at.timestamp() for each in attempts}
    ended = {each.step: each.ended_at.timestamp() for each in attempts if each.ended_at}
    at = {each["source"]: datetime.fromisoformat(each["data_time"]).timestamp() for each in point["sources"]}
    thaw = site.when("thaw")
    for volume in ("root", "data"):
        assert site.when("freeze") < at[volume] < ended[f"snapshot:{volume}"] < thaw
        assert ended[f"snapshot:{volume}"] <= began["back-up:scans"]  # what takes seconds comes first
        assert thaw < began[f"temporary-volume:{volume}"]
    assert site.when("before") < at["scans"] < site.when("after") < thaw
    assert site.when("before") < began["back-up:scans"] < ended["back-up:scans"] < thaw

    target = tmp_path / "back"
    site.tricenter("replicate", site.name_of)
    words = ("--centre", "provincial", "--target", str(target))
    restored = site.json("backup", "restore", site.name_of, *words)["restored"]
    assert {name: each["proved"] for name, each in restored.items()} == dict.fromkeys(("scans", "root", "data"), True)
    assert {(target / each / "volume.raw").stat().st_size for each in ("root", "data")} == {1 << 30}
    assert "mode, owner, time, links and extended attributes equal" in restored["scans"]["detail"]
    back = {str(each.relative_to(target / "scans")) for each in (target / "scans").rglob("*")}
    assert {"odd/空", "left/a/in", "elsewhere", "odd/pipe", "odd/same"} <= back
    assert not back & {"elsewhere/not here", "left/a/out", "left/out", "odd/draft.tmp"}
    assert os.getxattr(target / "scans" / "odd" / "file", "user.dr") == b"1"
    repository, landed = site.app.repository("same-city", site.app.system(site.name_of)), site.points()
    document = read_document(repository, site.app.catalogue.points(site.tenant)[0])
    assert (document.point, document.consistent) == (landed[0]["point"], True)
    assert document.proof("scans").facts["metadata"]["odd/same"][4]["same"] == "odd/file"


def make_odd_things(folder: Path) -> None:
    """Make what a careless backup loses, and what the patterns leave out."""
    odd = folder / "odd"
    (odd / "空").mkdir(parents=True, exist_ok=True)
    for name in ("left/a/in", "left/a/out", "left/out", "odd/draft.tmp", "odd/file"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (odd / "same").hardlink_to(odd / "file")
    os.setxattr(odd / "file", "user.dr", b"1")
    os.chown(odd / "file", 4711, 4712)
    (odd / "file").chmod(0o4751)
    (odd / "link").symlink_to("../nowhere")
    os.mkfifo(odd / "pipe")


def test_killed_while_frozen_the_next_command_thaws(site: FrozenSite, tmp_path: Path) -> None:
    site.forget()
    before = len(site.points())
    words = ("backup", "run", site.name_of)
    code = site.kill_in_the_middle(*words, when=lambda: site.attempt_is_open("snapshot:"), log=tmp_path / "log")
    assert code == -signal.SIGKILL
    assert site.phases == ["freeze"]
    assert len(site.points()) == before
    (site.notes / "fail-freeze").touch()
    told = site.tricenter(*words, code=1).stderr
    assert f"{site.name_of} says no" in told
    assert site.phases == ["freeze", "thaw", "freeze", "thaw"]
    assert len(site.points()) == before


def test_a_thaw_that_fails_makes_no_point_and_is_tried_again(site: FrozenSite) -> None:
    site.forget()
    before = len(site.points())
    (site.notes / "fail-thaw").touch()
    told = site.tricenter("backup", "run", site.name_of, code=1).stderr
    assert "may still stand still" in told
    assert len(site.points()) == before
    assert site.phases == ["freeze", "before", "after", "thaw", "thaw"]
    (site.notes / "fail-thaw").unlink()
    _ = site.app.runner
    assert site.phases == ["freeze", "before", "after", "thaw", "thaw", "thaw"]
    storage = site.app.tenant_cloud("production", site.tenant).block_storage
    assert list(storage.snapshots()) == []

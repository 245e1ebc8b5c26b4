"""A server as a source: its copies in a point, what is told of them, and what no run does with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.backups.document import PointDocument, SourceProof
from orchestrator.backups.parts import choose_parts
from orchestrator.backups.places import place_of
from orchestrator.backups.sources import server, source_at
from orchestrator.backups.sources.server import Looked, ServerSnapshot, capture_server
from orchestrator.backups.sources.volume import VolumeSnapshot
from orchestrator.catalogue.records import SourceCopy
from orchestrator.cloud import volumes
from orchestrator.cloud.block_storage import Volume
from orchestrator.cloud.server_definition import Disk, ServerSeen
from orchestrator.engine.journal import decode, encode
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed, InvalidInput, UnknownName
from orchestrator.escrow.runbook import runbook_markdown
from policies.load import check_site, load_site
from policies.plan import effective_probes
from policies.site import Site, SystemRef
from policies.spot import judge_server
from policies.suspicion import Sign, changed_volumes, lost_volume_signals
from policies.tenant import ServerSource
from tests.unit.policies.conftest import SITE, TENANT

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    (folder / "tenants").mkdir()
    (folder / "site.yaml").write_text(SITE, "utf-8")
    (folder / "tenants" / "health.yaml").write_text(TENANT + "      web: {kind: server, server: front}\n", "utf-8")
    return load_site(folder)


@pytest.fixture(scope="module")
def ref(site: Site) -> SystemRef:
    found = site.system("health", "his")
    assert found
    return found


def proof(name: str, kind: str, **facts: Any) -> SourceProof:
    return SourceProof(SourceCopy(name, kind, "0" * 64, NOW, 10, 1), {"sha256": "0", **facts})


def document(*devices: str) -> PointDocument:
    volumes = (proof(f"web.{each}", "volume", size_bytes=10) for each in devices)
    sources = (proof("files", "path", manifest={}), proof("web", "server", disks={}), *volumes)
    return PointDocument("p1", "p1", "health", "his", "t", NOW, NOW, "test", sources)


def names(ref: SystemRef, held: PointDocument, source: str | None) -> Sequence[str]:
    return [each.source for each in choose_parts(ref, held, source, [], lambda *_: False)]


def test_a_server_by_its_name_is_all_of_it_and_a_volume_of_it_is_that_one(ref: SystemRef) -> None:
    held = document("vda", "vdb")
    assert names(ref, held, None) == ["files", "web", "web.vda", "web.vdb"]
    assert names(ref, held, "web") == ["web", "web.vda", "web.vdb"]
    assert names(ref, held, "web.vdb") == ["web.vdb"]
    with pytest.raises(UnknownName):
        names(ref, held, "web.vdc")


def test_the_document_brings_the_copies_back(ref: SystemRef) -> None:
    held = document("vda", "vdb")
    assert PointDocument.from_bytes(held.as_bytes()) == held
    assert source_at(ref, "web.vdb", "production") is ref.system.sources["web"]


def test_volumes_that_came_and_went_are_told_and_a_server_that_is_new_is_none_of_them() -> None:
    before, now = ["files", "web", "web.vda", "web.vdb"], ["files", "web", "web.vda", "web.vdc"]
    assert changed_volumes(before, now) == (("web.vdc",), ("web.vdb",))
    assert changed_volumes(before, before) == ((), ())
    assert changed_volumes(["files"], now) == changed_volumes(before, ["files"]) == ((), ())
    (signal,) = lost_volume_signals(before, now)
    assert (signal.sign, signal.source) == (Sign.EMPTY, "web.vdb")
    assert list(lost_volume_signals(now, [*now, "web.vdd"])) == []


def test_what_was_captured_outlives_the_process() -> None:
    seen = ServerSeen("s-1", {"name": "front"}, (Disk("vda", "v-1", "root", 1 << 30),))
    taken = ServerSnapshot(Looked(seen, NOW), {"web.vda": VolumeSnapshot("snap", NOW, 1 << 30)})
    assert decode(encode(taken)) == taken


class Stored:
    """The engine's run as far as capturing needs it."""

    id = "20261123T080000Z"

    def __init__(self) -> None:
        self.said: list[str] = []

    def step(self, name: str, act: Callable[..., Any], /, *arguments: Any) -> Any:
        self.said.append(name)
        return act(*arguments)

    def cleanup(self, action: str, /, **arguments: str) -> None:
        self.said.append(f"{action} {arguments['name']}")


def test_volumes_are_captured_between_two_looks_and_one_that_comes_in_between_fails_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disks = (Disk("vda", "v-1", "root", 1 << 30), Disk("vdb", "v-2", "", 1 << 30))
    monkeypatch.setattr(server, "read_server", lambda *_: ServerSeen("s-1", {"name": "front"}, disks))
    monkeypatch.setattr(server, "get_volume", lambda _, key: Volume(key, "", 1 << 30, "in-use", None))
    monkeypatch.setattr(volumes, "delete_all_named", lambda *_: None)
    monkeypatch.setattr(volumes, "snapshot_volume", lambda _, key, name: f"snapshot of {key} as {name}")
    monkeypatch.setattr(server, "attached", lambda *_: [("vda", "v-1"), ("vdb", "v-2")])
    source, run = ServerSource(kind="server", server="front"), Stored()
    taken = capture_server(cast(Run, run), "web", source, "production", None, "health")
    assert {copy: each.snapshot_id for copy, each in taken.volumes.items()} == {
        f"web.{device}": f"snapshot of {key} as tricenter-{run.id}-web.{device}"
        for device, key in (("vda", "v-1"), ("vdb", "v-2"))
    }
    assert taken.looked.at <= min(each.data_time for each in taken.volumes.values())
    assert run.said == [
        "look:web",
        f"delete-cloud-objects tricenter-{run.id}-web.vda", "snapshot:web.vda",
        f"delete-cloud-objects tricenter-{run.id}-web.vdb", "snapshot:web.vdb",
        "look-again:web",
    ]  # fmt: skip
    monkeypatch.setattr(server, "attached", lambda *_: [("vda", "v-1"), ("vdb", "v-9"), ("vdc", "v-3")])
    with pytest.raises(CheckFailed, match="changed while it was captured, at vdb, vdc"):
        capture_server(cast(Run, Stored()), "web", source, "production", None, "health")


def test_no_run_puts_it_in_a_place_and_the_way_out_is_told(ref: SystemRef) -> None:
    for centre in ("production", "same-city"):
        with pytest.raises(InvalidInput, match="a whole server, which no run puts in its place") as caught:
            place_of(ref, centre, "web")
        assert "volume sources" in caught.value.hint
        assert "systems.his.servers" in caught.value.hint


def test_a_plan_proves_its_definition_like_that_of_a_cloud(site: Site, ref: SystemRef) -> None:
    (plan,) = (each for each in site.plans.values() if "health/his" in each.systems)
    kinds = {cast(Any, each).source: each.kind for each in effective_probes(plan, "health/his", ref.system)}
    assert kinds["web"] == "definition"


def test_the_runbook_fetches_every_volume_that_the_point_has(site: Site) -> None:
    text = runbook_markdown(site)
    assert 'r restore "$(snapshot web)"' in text
    assert "for DISK in $(disks web); do" in text
    assert 'r dump "$(snapshot "$DISK")" /volume.raw | dd of="$DIR/restored/health/his/$DISK"/volume.raw' in text


def test_a_place_elsewhere_and_a_production_without_a_cloud_are_faults(tmp_path: Path) -> None:
    standby = "    standby:\n      same-city:\n        web: {kind: server, server: front}\n"
    system = TENANT + "      web: {kind: server, server: front}\n" + standby
    (tmp_path / "tenants").mkdir()
    (tmp_path / "site.yaml").write_text(SITE.replace("    cloud: {name: east}\n", ""), "utf-8")
    (tmp_path / "tenants" / "health.yaml").write_text(system, "utf-8")
    wants = {each.path.rpartition("his.")[2]: each.want for each in check_site(tmp_path).findings}
    assert wants["standby.same-city.web.kind"] == "nothing: no run puts a source of this kind in a place"
    assert wants["sources.web.kind"] == "a cloud at production that holds servers"


def test_a_spot_check_takes_a_new_volume_for_a_change_and_a_lost_one_for_a_fault() -> None:
    same = judge_server("web", "server", {"vda": 1}, {"vda": 1, "vdb": 2})
    assert (same.faults, same.changed, same.there) == ((), 1, 2)
    other = judge_server("web", "server", {"vda": 1, "vdb": 2}, {"vda": 3})
    assert other.faults == (
        "1 volumes of the point are not there: vdb",
        "the volume vda has 3 bytes, and 1 in the point",
    )

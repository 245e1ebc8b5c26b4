"""Verification of real repositories in real vaults: what it finds, what it remembers, and what a kill costs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.catalogue import verifications as memory
from orchestrator.catalogue.verifications import Kind
from orchestrator.process import spawn
from orchestrator.secrets import write_private
from tests.bench.servers import Weed
from tests.integration.conftest import TRICENTER
from tests.integration.vault_site import VaultSite, make_vault_site, now, running_weeds

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def weeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Weed]]:
    yield from running_weeds(tmp_path_factory.mktemp("weeds"))


@pytest.fixture
def site(weeds: dict[str, Weed], tmp_path: Path) -> VaultSite:
    """A site with one recovery point at both centres."""
    made = make_vault_site(weeds, tmp_path)
    made.back_up(mebibytes=12)
    made.tricenter("replicate")
    return made


def flip_a_byte(site: VaultSite, key: str, centre: str = "same-city") -> bytes:
    bucket = site.bucket(centre)
    good = bucket.get(key)
    bucket.put(key, good[:-1] + bytes([good[-1] ^ 1]))
    return good


def test_what_is_whole_is_found_whole_at_both_centres(site: VaultSite) -> None:
    for depth in ("structure", "data"):
        found = site.json("backup", "verify", "--depth", depth)
        assert [(each["centre"], each["state"], each["findings"]) for each in found] == [
            ("same-city", "done", []),
            ("provincial", "done", []),
        ]
    assert all(each["bytes"] == each["total_bytes"] > 12 << 20 for each in found)
    upkeep = memory.read_upkeep(site.app.catalogue)
    assert {each.depth for each in upkeep.verified} == {"structure", "data"}
    assert now() - min(upkeep.unread_since.values()) < timedelta(minutes=5)


def test_a_flipped_byte_is_found_by_the_data_read_and_stays_known_until_it_is_healed(site: VaultSite) -> None:
    pack = site.objects("data")[0]
    good = flip_a_byte(site, pack.key)
    site.verify()  # restic does not see it in the structure

    ended = site.tricenter("backup", "verify", "--centre", "same-city", "--depth", "data", code=4)
    assert pack.key in ended.stderr
    assert "provincial holds good copies" in ended.stderr
    assert [(each.key, each.kind) for each in site.open_faults()] == [(pack.key, Kind.CORRUPT)]
    assert site.verify("--depth", "data", centre="provincial")["findings"] == []
    assert site.verify("--depth", "data", code=4)["findings"][0]["key"] == pack.key
    assert "findings" in site.tricenter("backup", "expire", "--centre", "same-city", "--yes", code=5).stderr

    site.bucket().put(pack.key, good)
    site.verify("--depth", "data")
    assert site.open_faults() == []
    (finding,) = memory.findings(site.app.catalogue)
    assert finding.healed_at is not None


def test_a_deleted_pack_is_found_by_the_structure_and_comes_back(site: VaultSite) -> None:
    pack = site.objects("data")[0]
    site.bucket().delete(pack.key)
    ended = site.tricenter("backup", "verify", "--centre", "same-city", code=4)
    assert pack.key in ended.stderr
    assert f"tricenter backup heal {site.ref} --centre same-city" in ended.stderr
    assert [each.kind for each in site.open_faults()] == [Kind.MISSING]
    site.tricenter("replicate", "--from", "provincial", "--to", "same-city")
    site.verify()
    assert site.open_faults() == []


@pytest.mark.parametrize("part", ["snapshots", "index"])
def test_damage_to_what_refers_to_packs_is_found_by_the_structure(site: VaultSite, part: str) -> None:
    referrer = site.objects(part)[0]
    good = flip_a_byte(site, referrer.key)
    assert (referrer.key, "corrupt") in {(each["key"], each["kind"]) for each in site.verify(code=4)["findings"]}
    site.bucket().put(referrer.key, good)
    assert site.verify()["findings"] == []


def test_a_lost_recovery_point_is_missed_until_it_is_back(site: VaultSite) -> None:
    lost = site.objects("snapshots")[0]
    site.bucket().delete(lost.key)
    for _ in range(2):  # the second time the catalogue no longer says that the point is there
        assert [each["key"] for each in site.verify(code=4)["findings"]] == [lost.key]
    site.tricenter("replicate", "--from", "provincial", "--to", "same-city")
    assert site.verify()["findings"] == []


def test_a_lost_config_is_missed(site: VaultSite) -> None:
    config = f"{site.ref.name}/config"
    kept = site.bucket().get(config)
    site.bucket().delete(config)
    assert [(each["key"], each["kind"]) for each in site.verify(code=4)["findings"]] == [(config, "missing")]
    site.bucket().put(config, kept)
    assert site.verify()["findings"] == []


def test_reading_the_data_needs_no_password(site: VaultSite) -> None:
    write_private(site.folder / "password", "not the password")
    assert site.verify("--depth", "data")["state"] == "done"
    site.tricenter("backup", "verify", "--centre", "same-city", code=2)


def test_what_was_read_is_not_read_again_at_once_and_all_of_it_when_asked(site: VaultSite) -> None:
    assert site.verify("--depth", "data", "--dry-run")["bytes"] > 12 << 20
    site.verify("--depth", "data")
    again = site.verify("--depth", "data")
    assert again["bytes"] <= again["total_bytes"] / 4
    everything = site.verify("--depth", "data", "--all")
    assert everything["bytes"] == everything["total_bytes"]


def test_a_killed_data_read_goes_on_where_it_was(site: VaultSite, tmp_path: Path) -> None:
    site.back_up(mebibytes=96)  # enough for the kill to come before the last slice was read
    words = ("backup", "verify", "--centre", "same-city", "--depth", "data")
    catalogue, place = site.app.catalogue, site.place("same-city")
    code = site.kill_in_the_middle(*words, when=lambda: bool(memory.read_times(catalogue, place)), log=tmp_path / "log")
    assert code == -signal.SIGKILL
    read = memory.read_times(site.app.catalogue, site.place("same-city"))
    assert 0 < len(read) < 16
    site.verify("--depth", "data")
    after = memory.read_times(site.app.catalogue, site.place("same-city"))
    assert {name: after[name] for name in read} == read
    newest = site.app.catalogue.runs(flow="verify")[0]
    steps = {each.step for each in site.app.catalogue.attempts(newest.id) if each.step.startswith("read:")}
    assert steps == {f"read:{name}" for name in after.keys() - read.keys()}


def test_backups_go_on_while_a_repository_is_verified(site: VaultSite, tmp_path: Path) -> None:
    """A snapshot that appears while restic looks must not be taken for damage."""
    for number in range(3):
        (site.tree / f"more{number}").write_bytes(os.urandom(8 << 20))
        log = tmp_path / f"log{number}"
        pid = spawn([TRICENTER, "backup", "run"], env=site.variables(), log=log)
        site.verify()
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0, log.read_text()


def test_where_there_is_no_repository_nothing_is_verified(weeds: dict[str, Weed], tmp_path: Path) -> None:
    empty = make_vault_site(weeds, tmp_path / "empty")
    assert "backup run" in empty.tricenter("backup", "verify", "--centre", "same-city", code=2).stderr

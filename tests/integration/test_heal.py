"""Corruption of every kind of object: found without a password, never replicated, healed from elsewhere, reported."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from exporters import upkeep_metrics as u
from exporters.metric import Metric
from exporters.view import upkeep_samples
from orchestrator.app import App
from orchestrator.catalogue import tables as t
from orchestrator.catalogue import verifications as memory
from orchestrator.errors import CheckFailed, CorruptObject, Refused, Unreachable
from orchestrator.vault.s3 import Entry
from tests.bench.servers import TENANT_BUCKETS, Weed
from tests.integration.vault_site import CENTRES, VaultSite, make_vault_site, running_weeds

pytestmark = pytest.mark.integration

NEAR, FAR = CENTRES
DEAD = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def weeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Weed]]:
    yield from running_weeds(tmp_path_factory.mktemp("weeds"))


@pytest.fixture(scope="module")
def site(weeds: dict[str, Weed], tmp_path_factory: pytest.TempPathFactory) -> VaultSite:
    """A site with two recovery points, both at both centres. Whoever damages anything there heals it."""
    made = make_vault_site(weeds, tmp_path_factory.mktemp("heal"))
    for _ in range(2):
        made.back_up(mebibytes=6)
    do(made, "replicate", source=NEAR, target=FAR)
    return made


def do(site: VaultSite, flow: str, overlay: Path | None = None, **arguments: str) -> Any:
    """Run a flow in this process: most of a command's time is its start."""
    app = App(site.folder, overlay)
    try:
        return app.runner.run(flow, {"system": str(site.ref), **arguments})
    finally:
        app.runner.close()


def contents(site: VaultSite, centre: str) -> dict[str, bytes]:
    bucket = site.bucket(centre)
    return {each.key: bucket.get(each.key) for each in bucket.list(f"{site.ref.name}/") if "/locks/" not in each.key}


def flip(site: VaultSite, key: str, centre: str = NEAR, at: int = -1) -> str:
    bucket = site.bucket(centre)
    body = bytearray(bucket.get(key))
    body[at] ^= 1
    bucket.put(key, bytes(body))
    return key


def packs(site: VaultSite) -> list[Entry]:
    return site.objects("data")


def name_of(key: str) -> str:
    return key.rpartition("/")[2]


def found(site: VaultSite, centre: str) -> set[str]:
    return {each.key for each in site.open_faults(centre)}


def samples(site: VaultSite, metric: Metric, centre: str) -> float:
    upkeep = memory.read_upkeep(site.app.catalogue)
    (value,) = [v for each, labels, v in upkeep_samples(upkeep, site.app.site) if each is metric and centre in labels]
    return value


def test_what_is_corrupt_is_found_without_a_password_never_travels_and_is_healed(
    site: VaultSite, tmp_path: Path
) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f"repository_password: file:{tmp_path / 'nobody-has-it'}\n", encoding="utf-8")
    keyless = {"TRICENTER_OVERLAY": str(overlay)}
    site.tricenter("backup", "verify", "--centre", NEAR, code=2, env=keyless)  # where it is needed it is not there
    good = {centre: contents(site, centre) for centre in CENTRES}
    blob, header, short, far_pack, *_ = [each.key for each in packs(site)]
    damaged = {
        flip(site, blob, at=0),
        flip(site, header),
        flip(site, site.objects("keys")[0].key),
        flip(site, site.objects("index")[0].key),
        flip(site, site.objects("snapshots")[0].key),
    }
    flip(site, far_pack, FAR)
    bad = {centre: contents(site, centre) for centre in CENTRES}
    for source, target in (CENTRES, CENTRES[::-1]):
        do(site, "replicate", source=source, target=target)
    assert {centre: contents(site, centre) for centre in CENTRES} == bad

    site.bucket().put(short, good[NEAR][short][:-9])
    config = f"{site.ref.name}/config"
    with pytest.raises(CorruptObject):
        do(site, "replicate", source=NEAR, target=FAR)
    assert found(site, NEAR) == {short}
    flip(site, config, at=40)
    with pytest.raises(CorruptObject, match="config"):
        do(site, "replicate", source=NEAR, target=FAR)
    assert found(site, NEAR) == {short, config}
    with pytest.raises(Refused, match="config"):
        do(site, "replicate", source=FAR, target=NEAR)
    assert contents(site, FAR) == bad[FAR]
    lost = site.objects("snapshots")[1].key
    site.bucket().delete(lost)
    damaged |= {short, config, lost}

    told = site.tricenter("backup", "verify", "--depth", "data", "--all", code=4, env=keyless).stderr
    assert "tricenter backup heal" in told
    assert found(site, NEAR) == damaged
    assert found(site, FAR) == {far_pack}
    assert samples(site, u.FINDINGS, NEAR) == len(damaged) == 8
    with pytest.raises(Refused, match="8 findings"):
        do(site, "retention", centre=NEAR)

    before = {centre: contents(site, centre) for centre in CENTRES}
    (near_plan, far_plan) = site.json("backup", "heal", "--dry-run")
    assert {each["key"]: each["from"] for each in near_plan["objects"]} == dict.fromkeys(damaged, FAR)
    assert [(each["key"], each["from"]) for each in far_plan["objects"]] == [(far_pack, NEAR)]
    assert {centre: contents(site, centre) for centre in CENTRES} == before

    (near, far) = site.json("backup", "heal")
    assert {each["key"] for each in near["healed"]} == damaged
    assert [each["key"] for each in far["healed"]] == [far_pack]
    assert {centre: contents(site, centre) for centre in CENTRES} == good
    for centre in CENTRES:
        site.repository(centre).check(read_data=True, lock=False)
    assert_reported(site, near, damaged, blob)
    do(site, "retention", centre=NEAR)


def assert_reported(site: VaultSite, near: dict[str, Any], damaged: set[str], blob: str) -> None:
    """In the list of findings, metrics, the run's evidence and the audit chain; and the corrupt bytes are kept."""
    assert found(site, NEAR) == found(site, FAR) == set()
    listed = {each["key"]: each for each in site.json("backup", "faults", "--all", "--centre", NEAR)}
    assert listed.keys() == damaged
    assert {each["healed_from"] for each in listed.values()} == {FAR}
    assert {each["healed_by"] for each in listed.values()} == {near["run"]}
    assert all(each["found_by"] for each in listed.values())
    assert listed[blob]["sha256"] == name_of(blob)
    assert samples(site, u.FINDINGS, NEAR) == 0
    assert samples(site, u.HEALED, NEAR) == len(damaged)
    assert samples(site, u.HEALED_AT, NEAR) > 0

    evidence = json.dumps([each.detail for each in site.app.catalogue.attempts(near["run"])])
    assert all(key in evidence for key in damaged)
    with site.app.catalogue.engine.begin() as db:
        noted = db.execute(select(t.audit.c.body).where(t.audit.c.kind == "healed")).scalars().all()
    assert all(any(key in each for each in noted) for key in damaged)
    versions = [each for each in site.app.vault_admin(NEAR).versions(TENANT_BUCKETS[0], blob) if not each.marker]
    assert len({each.content for each in versions}) == 2


def test_a_lost_pack_and_a_lost_index_come_back(site: VaultSite) -> None:
    good = contents(site, NEAR)
    pack, index = packs(site)[0].key, site.objects("index")[0].key
    for key in (pack, index):
        site.bucket().delete(key)
        with pytest.raises(CheckFailed):
            do(site, "verify", centre=NEAR, depth="structure")
        assert key in found(site, NEAR)
        do(site, "heal", centre=NEAR)
    assert found(site, NEAR) == set()
    assert contents(site, NEAR) == good


def test_what_restic_saw_of_a_corrupt_index_is_not_kept(site: VaultSite) -> None:
    """It reads documents with the index, and has a cache."""
    flip(site, site.objects("index")[0].key)
    with pytest.raises(CorruptObject):
        do(site, "verify", centre=NEAR, depth="structure")
    do(site, "heal", centre=NEAR)
    assert found(site, NEAR) == set()
    site.repository().check(read_data=True, lock=False)


def test_a_kill_in_the_middle_costs_nothing(site: VaultSite, tmp_path: Path) -> None:
    good = contents(site, NEAR)
    for key in good:
        flip(site, key, at=20)
    with pytest.raises(CorruptObject):
        do(site, "verify", centre=NEAR, depth="data", everything="yes")
    assert found(site, NEAR) == good.keys()
    catalogue = site.app.catalogue

    def begun() -> bool:
        return any(each.healed_from for each in memory.findings(catalogue))

    code = site.kill_in_the_middle("backup", "heal", when=begun, log=tmp_path / "log")
    assert code == -signal.SIGKILL
    done = {each.fault.key: each.healed_by for each in memory.findings(catalogue) if each.healed_at}
    site.tricenter("backup", "heal")
    assert contents(site, NEAR) == good
    after = {each.fault.key: each.healed_by for each in memory.findings(catalogue)}
    assert {key: after[key] for key in done} == done
    assert found(site, NEAR) == set()
    site.repository().check(read_data=True, lock=False)


def test_what_no_centre_can_give_is_named_with_the_points_that_need_it(site: VaultSite, tmp_path: Path) -> None:
    """First the other centre is away, then it has a corrupt copy of one of two as well."""
    newest, older = site.app.catalogue.points(*site.place(NEAR)[:2])
    data = {each.id: next(iter(each.sources)).snapshot_id for each in (newest, older)}
    # The largest two are the file of each backup; the newer point has the file of the older as well.
    needing = {key: site.repository().snapshots_with([name_of(key)]) for key in [each.key for each in packs(site)[:2]]}
    assert set(needing.values()) == {frozenset({data[newest.id]}), frozenset(data.values())}
    both = next(key for key, snapshots in needing.items() if data[older.id] not in snapshots)
    one, lost = next(each.key for each in packs(site) if each.key != both), site.objects("snapshots")[0].key
    good = contents(site, NEAR)
    for key, centre in ((both, NEAR), (both, FAR), (one, NEAR)):
        flip(site, key, centre)
    site.bucket().delete(lost)
    for centre in CENTRES:
        with pytest.raises(CorruptObject):
            do(site, "verify", centre=centre, depth="data", everything="yes")
    assert (found(site, NEAR), found(site, FAR)) == ({both, one, lost}, {both})

    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f"centres: {{provincial: {{vault: {{endpoint: '{DEAD}'}}}}}}\n", encoding="utf-8")
    with pytest.raises(Unreachable, match="provincial cannot be asked"):  # exit code 6
        do(site, "heal", overlay, centre=NEAR)
    assert found(site, NEAR) == {both, one, lost}

    ended = site.tricenter("backup", "heal", "--centre", NEAR, code=3)
    assert f"recovery points there that need this: {newest.id}" in ended.stderr
    assert "corrupt copy as well" in ended.stderr
    assert "held back" in ended.stderr
    assert found(site, NEAR) == {both, lost}
    assert site.bucket().get(one) == good[one]

    site.bucket(FAR).put(both, good[both])  # a person found a good one
    do(site, "heal", centre=NEAR)
    assert contents(site, NEAR) == good

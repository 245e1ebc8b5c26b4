"""Retention on real repositories: what goes and what stays, and that a kill in the middle costs nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from orchestrator.backups.access import repository_lease
from orchestrator.catalogue import leases
from orchestrator.catalogue.records import Order
from orchestrator.process import find_program, run
from policies.retention import Reason
from tests.bench.servers import TENANT_BUCKETS, Weed
from tests.integration.vault_site import VaultSite, make_vault_site, now, running_weeds

pytestmark = pytest.mark.integration

BUCKET = TENANT_BUCKETS[0]
EXPIRE = ("backup", "expire", "--centre", "same-city")
FAR_EXPIRE = ("backup", "expire", "--centre", "provincial")


@pytest.fixture(scope="module")
def weeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Weed]]:
    yield from running_weeds(tmp_path_factory.mktemp("weeds"))


@pytest.fixture
def site(weeds: dict[str, Weed], tmp_path: Path) -> VaultSite:
    return make_vault_site(weeds, tmp_path)


def back_up_at(site: VaultSite, *ages_days: float) -> list[str]:
    """Make a recovery point for each age, the oldest first, and return their ids."""
    points = [site.back_up() for _ in ages_days]
    for point, age in zip(points, ages_days, strict=True):
        site.date(point, now() - timedelta(days=age))
    return points


def reasons(site: VaultSite, *words: str) -> dict[str, str]:
    (plan,) = site.json(*words)
    return {each["point"]: each["reason"] for each in plan["decisions"]}


def test_exactly_what_the_plan_says_is_forgotten(site: VaultSite, tmp_path: Path) -> None:
    old, absent, young, newest = back_up_at(site, 40, 20, 13, 0)
    want = {old: "expired", absent: "not-farther", young: "young", newest: "newest"}
    assert reasons(site, *EXPIRE, "--dry-run") == want
    assert site.points() == want.keys()
    assert "not yet at provincial" in site.tricenter(*EXPIRE, "--dry-run").stdout

    assert reasons(site, *EXPIRE, "--yes") == want
    assert site.points() == {absent, young, newest}
    site.repository().check(read_data=True)
    snapshots = {each.id for each in site.repository().snapshots()}
    kept = [each for each in site.app.catalogue.points(*site.place("same-city")[:2]) if each.id != old]
    assert snapshots == {snapshot for point in kept for snapshot in point.snapshot_ids}
    assert site.repository().locks() == 0

    site.tricenter("replicate")
    assert reasons(site, *EXPIRE, "--yes")[absent] == "expired"
    assert site.points() == {young, newest}
    assert site.points("provincial") == {absent, young, newest}
    for centre in ("same-city", "provincial"):
        site.repository(centre).check(read_data=True, lock=False)
        site.verify(centre=centre)  # what was expired is not missed
    site.tricenter("backup", "restore", str(site.ref), "--centre", "provincial", "--point", absent,
                   "--target", str(tmp_path / "restored"))  # fmt: skip


def test_a_replication_brings_back_nothing_that_the_farther_centre_forgot(site: VaultSite) -> None:
    old, *_ = back_up_at(site, 60, 50, 3, 2, 0)
    site.tricenter("replicate")
    site.tricenter(*EXPIRE, "--yes")
    assert old in site.points("provincial")
    site.tricenter(*FAR_EXPIRE, "--yes")
    before = {each.key for each in site.objects("data", "provincial")}
    (transfer,) = site.json("replicate")
    assert {each.key for each in site.objects("data", "provincial")} == before
    assert transfer["copied"] <= 1  # an index that the farther centre had put together with others
    assert site.points("provincial") == site.points()
    site.repository("provincial").check(read_data=True, lock=False)


def test_proved_and_used_points_stay(site: VaultSite) -> None:
    gone, used, proved, _, _, newest = back_up_at(site, 60, 55, 50, 2, 1, 0)
    site.app.catalogue.mark_proved(proved, "same-city")
    site.app.ledger.submit(Order("drill", "plan@same-city", {"plan": "plan", "centre": "same-city", "point": used}, ()))
    want = reasons(site, *EXPIRE, "--yes")
    assert {gone: "expired", used: "in-use", proved: "newest-proved", newest: "newest"}.items() <= want.items()
    assert site.points() == want.keys() - {gone}


def test_more_than_half_is_refused_unless_it_is_meant(site: VaultSite) -> None:
    points = back_up_at(site, 60, 50, 0)
    assert "2 of 3 points" in site.tricenter(*EXPIRE, "--yes", code=5).stderr
    assert site.points() == set(points)
    site.tricenter(*EXPIRE, "--yes", "--more-than-half")
    assert site.points() == {points[-1]}


def test_nothing_goes_when_the_newest_point_claims_the_future(site: VaultSite) -> None:
    points = back_up_at(site, 60, 5, 2, -30)
    assert "future" in site.tricenter(*EXPIRE, "--yes", "--more-than-half").stdout
    assert site.points() == set(points)
    want = dict(zip(points, ("held-by-suspect", "young", "newest", "suspect"), strict=True))
    assert reasons(site, *EXPIRE, "--dry-run") == want


def test_it_asks_before_anything_goes(site: VaultSite) -> None:
    points = back_up_at(site, 60, 2, 0)
    assert "--yes" in site.tricenter(*EXPIRE, code=5).stderr
    assert site.points() == set(points)


def test_what_killed_backups_left_goes_and_what_is_not_ours_stays(site: VaultSite) -> None:
    site.back_up()
    repository = site.repository()
    restic = find_program("restic", package="restic")

    def leave(*words: str) -> None:
        run([restic, "backup", *words, str(site.tree)], env=repository.environment(), deadline_seconds=60)

    leave("--time", "2026-01-01 10:00:00", "--tag", "point=dead,source=scans")
    leave("--tag", "point=fresh,source=scans")
    leave("--time", "2026-01-01 10:00:00", "--tag", "somebody's own")
    leave("--time", "2026-01-01 10:00:00", "--tag", "point=elsewhere,document")
    want = {"dead": Reason.LEFTOVER, "fresh": Reason.YOUNG, "elsewhere": Reason.UNKNOWN}
    assert want.items() <= reasons(site, *EXPIRE, "--yes").items()
    tags = {tag for each in repository.snapshots() for tag in each.tags}
    assert {"point=fresh", "point=elsewhere", "somebody's own"} <= tags
    assert "point=dead" not in tags


def test_the_object_lock_holds_what_was_removed(site: VaultSite) -> None:
    """Deletes become markers: what retention removes by mistake, or an attacker by hand, can be brought back."""
    back_up_at(site, 60, 2, 0)
    before = {each.key for each in site.objects("data")}
    site.tricenter(*EXPIRE, "--yes")
    removed = before - {each.key for each in site.objects("data")}
    assert removed
    client = site.client()
    for key in removed:
        listed = client.list_object_versions(Bucket=BUCKET, Prefix=key)
        assert [each["IsLatest"] for each in listed["DeleteMarkers"]] == [True]
        (version,) = listed["Versions"]
        with pytest.raises(ClientError):
            client.delete_object(Bucket=BUCKET, Key=key, VersionId=version["VersionId"])


def when_packs_go(site: VaultSite) -> Callable[[], bool]:
    before = len(site.objects("data"))
    return lambda: len(site.objects("data")) < before


@pytest.mark.parametrize("moment", ["forget", "prune", "while packs are removed"])
def test_a_killed_retention_is_made_good_by_the_next(site: VaultSite, tmp_path: Path, moment: str) -> None:
    old, older, *kept = back_up_at(site, 60, 50, 3, 2, 0)
    when = when_packs_go(site) if " " in moment else lambda: site.attempt_is_open(moment)
    code = site.kill_in_the_middle(*EXPIRE, "--yes", when=when, log=tmp_path / "log")
    assert code == -signal.SIGKILL
    site.verify()  # half of it is forgotten, and nothing is missed
    site.tricenter(*EXPIRE, "--yes")
    assert site.points() == set(kept)
    repository = site.repository()
    repository.check(read_data=True)
    assert repository.locks() == 0
    tags = {tag for each in repository.snapshots() for tag in each.tags}
    assert not {f"point={old}", f"point={older}"} & tags
    (plan,) = site.json(*EXPIRE, "--dry-run")
    assert (plan["snapshots"], plan["prune"]) == (0, False)


def test_a_backup_under_way_keeps_retention_away(site: VaultSite) -> None:
    site.back_up()
    with leases.hold(site.app.catalogue, repository_lease("same-city", site.ref), "a-backup", exclusive=False):
        assert "in use" in site.tricenter(*EXPIRE, "--yes", code=5).stderr
    site.tricenter(*EXPIRE, "--yes")


def test_where_nothing_is_stored_nothing_is_to_be_done(site: VaultSite) -> None:
    (plan,) = site.json(*EXPIRE, "--dry-run")
    assert (plan["decisions"], plan["prune"]) == ([], False)
    site.tricenter(*EXPIRE, "--yes")

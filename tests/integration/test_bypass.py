"""A centre is down: backups go past it, and its points come to it when it is back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench.servers import Weed
from tests.integration.vault_site import VaultSite, make_vault_site, running_weeds

pytestmark = pytest.mark.integration

#: Far less than the minutes that restic itself would try.
SECONDS = 60


@pytest.fixture(scope="module")
def weeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Weed]]:
    yield from running_weeds(tmp_path_factory.mktemp("weeds"))


@pytest.fixture
def site(weeds: dict[str, Weed], tmp_path: Path) -> VaultSite:
    return make_vault_site(weeds, tmp_path)


@contextmanager
def away(site: VaultSite, centre: str = "same-city") -> Iterator[None]:
    """Let nothing answer where the vault of a centre was."""
    file = site.folder / "site.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(site.app.vault(centre).endpoint, "http://127.0.0.1:9"), encoding="utf-8")
    yield
    file.write_text(text, encoding="utf-8")


def owed(site: VaultSite) -> set[str]:
    return {each.point.id for each in site.app.catalogue.points_at("provincial") if each.point.bypassed}


def test_a_backup_goes_past_a_centre_that_is_down_and_replication_heals_it(site: VaultSite, tmp_path: Path) -> None:
    site.back_up()
    site.tricenter("replicate")
    with away(site):
        (tree := site.tree / "written-in-the-outage").write_bytes(b"land register" * 1000)
        (ready,) = site.json("backup", "run", "--dry-run")
        assert (ready["to"], list(ready["bypassed"])) == ("provincial", ["same-city"])
        begin = time.monotonic()
        (made,) = site.json("backup", "run")
        assert time.monotonic() - begin < SECONDS
        assert (made["centre"], made["bypassed"]) == ("provincial", ["same-city"])
        assert owed(site) == {made["point"]}
    later = site.back_up()  # the centre is back, and has this one before it has the other
    assert site.points("same-city") != site.points("provincial")
    ways = {(each["from"], each["to"]) for each in _until_nothing_is_due(site)}
    assert ways == {("provincial", "same-city"), ("same-city", "provincial")}
    assert site.points("same-city") == site.points("provincial") >= {made["point"], later}
    target = tmp_path / "restored"
    words = ("--centre", "same-city", "--point", made["point"], "--target", str(target))
    (restored,) = site.json("backup", "restore", str(site.ref), *words)["restored"].values()
    assert restored["proved"]
    assert (target / "scans" / tree.name).read_bytes() == tree.read_bytes()
    site.verify("--depth", "structure")


def test_what_it_was_written_past_is_known_from_the_vault_alone(site: VaultSite, tmp_path: Path) -> None:
    (site.tree / "register").write_bytes(b"land register")
    with away(site):
        (made,) = site.json("backup", "run")  # of a system that never had a repository: it is made there
    lost = {"TRICENTER_DATABASE_URL": f"sqlite:///{tmp_path / 'another.sqlite'}"}
    site.tricenter("catalogue", "rebuild", "--centre", "provincial", env=lost)
    listed = site.tricenter("backup", "list", env=lost).stdout
    assert made["point"] in listed
    assert "written past same-city" in listed
    site.tricenter("replicate", "--due", env=lost)
    assert site.points("same-city") == {made["point"]}


def test_a_repository_that_exists_is_not_made_a_second_time(site: VaultSite) -> None:
    site.back_up()  # at the nearest centre, and not copied yet
    with away(site):
        said = site.tricenter("backup", "run", code=6).stderr
        assert "provincial does not hold the repository" in said
    assert site.objects("keys", "provincial") == []


def _until_nothing_is_due(site: VaultSite) -> list[dict[str, str]]:
    done: list[dict[str, str]] = []
    while found := site.json("replicate", "--due"):
        assert len(done) < 4, f"still due after {done}"
        done += found
    return done

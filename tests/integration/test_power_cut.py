"""The vault of the same-city centre loses its power in the middle of a backup, a replication and a restore.

What each says then, that nothing half-made counts, that protection goes on past the dead centre, and that all heals
when it is back.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.app import App
from orchestrator.backups.sources.path import hash_tree
from orchestrator.errors import Unreachable
from orchestrator.vault.restic import Repository
from tests.bench.servers import Weed
from tests.integration.power_cut import Line, PowerCut
from tests.integration.vault_site import CENTRES, VaultSite, make_vault_site, running_weeds

pytestmark = pytest.mark.integration

NEAR, FAR = CENTRES
MIB = 1 << 20
#: What a backup adds, and where the middle of it is: more than one pack of restic, and less than all.
ADDED, MIDDLE = 24 * MIB, 18 * MIB


@dataclass(frozen=True)
class Told:
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Town:
    """A site whose point `both` is at both centres, and `near` at the nearer one alone."""

    site: VaultSite
    weed: Weed
    both: str
    near: str

    def run(self, *words: str, code: int = 0, overlay: Path | None = None) -> Told:
        """Run a command in this process: most of one of its own is its start."""
        options = ["--site", str(self.site.folder), *(["--overlay", str(overlay)] if overlay else [])]
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            ended = cli.run([*options, *words])
        told = Told(out.getvalue(), err.getvalue())
        assert ended == code, f"{words}: code {ended}, want {code}\n{told.stdout}\n{told.stderr}"
        return told

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(*words, "--output", "json", code=code).stdout)

    def board(self) -> dict[str, str]:
        """Return the newest point's data time at each centre, as the board shows it."""
        return {each["centre"]: each["last_data_time"] for each in self.json("status")["systems"]}

    def known(self, centre: str) -> set[str]:
        return {each.point.id for each in self.site.app.catalogue.points_at(centre)}

    def data_time(self, point: str) -> str:
        (found,) = {each.point for each in self.site.app.catalogue.points_at() if each.point.id == point}
        return str(found.data_time.isoformat())


@dataclass(frozen=True)
class Outage:
    """What came of each piece of work, in whose middle the power went."""

    town: Town
    backup: BaseException | None
    replication: BaseException | None
    restore: Told
    restored: Path


@pytest.fixture(scope="module")
def weeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Weed]]:
    yield from running_weeds(tmp_path_factory.mktemp("weeds"))


def _grow(site: VaultSite, name: str) -> None:
    (site.tree / name).write_bytes(os.urandom(ADDED))


@pytest.fixture(scope="module")
def town(weeds: dict[str, Weed], tmp_path_factory: pytest.TempPathFactory) -> Town:
    site = make_vault_site(weeds, tmp_path_factory.mktemp("town"))
    _grow(site, "first")
    both = site.back_up()
    app = site.app
    app.runner.run("replicate", {"system": str(site.ref), "source": NEAR, "target": FAR})
    app.runner.close()
    _grow(site, "second")
    made = Town(site, weeds[NEAR], both, site.back_up())
    _grow(site, "third")
    return made


@pytest.fixture(scope="module")
def outage(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    folder, site = tmp_path_factory.mktemp("outage"), town.site
    cut = PowerCut(town.weed)

    def overlay(name: str, line: Line) -> Path:
        file = folder / name
        file.write_text(f"centres: {{same-city: {{vault: {{endpoint: '{line.endpoint}'}}}}}}\n", "utf-8")
        return file

    def work(flow: str, line: Line, **arguments: str) -> None:
        app = App(site.folder, overlay(flow, line))
        try:
            app.runner.run(flow, {"system": str(site.ref), **arguments})
        finally:
            app.runner.close()

    try:
        with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
            # A vault is gone after a moment, and not only after those that people are given to bring it back.
            assert Repository.__init__.__kwdefaults__
            patch.setitem(Repository.__init__.__kwdefaults__, "gone_seconds", 1.0)
            backup = pool.submit(work, "backup", cut.line(up=MIDDLE))
            replication = pool.submit(work, "replicate", cut.line(down=MIDDLE), source=NEAR, target=FAR)
            words = ("backup", "restore", str(site.ref), "--point", town.both, "--target", str(folder / "back"))
            restore = town.run(*words, "--output", "json", overlay=overlay("restore", cut.line(down=MIDDLE)))
            ended: list[Future[None]] = [backup, replication]
            yield Outage(town, *(each.exception() for each in ended), restore, folder / "back")
        assert cut.over
    finally:
        cut.close()


def test_a_backup_and_a_replication_say_which_vault_went_away_and_what_to_do(outage: Outage) -> None:
    said = {"backup": outage.backup, "replicate": outage.replication}
    for error in said.values():
        assert isinstance(error, Unreachable)  # exit code 6
    assert f"the vault of {NEAR}:dr-bureau0/{outage.town.site.ref.name} stopped answering" in str(said["backup"])
    assert "a backup goes past a centre that is away" in getattr(said["backup"], "hint", "")
    assert f"the vault of {NEAR} at http://127.0.0.1:" in str(said["replicate"])


def test_a_restore_goes_on_with_the_province_and_says_so(outage: Outage) -> None:
    assert "stopped answering" in outage.restore.stderr
    assert f"going on with {FAR}" in outage.restore.stderr
    told = json.loads(outage.restore.stdout)
    assert (told["point"], told["centre"], told["restored"]["scans"]["proved"]) == (outage.town.both, FAR, True)
    assert {each.name for each in outage.restored.iterdir()} == {"scans"}
    live = hash_tree(outage.town.site.tree)
    back = hash_tree(outage.restored / "scans")
    assert "first" in back
    assert back == {key: live[key] for key in back}
    noted = [each["body"] for each in outage.town.json("audit", "show") if each["kind"] == "restore"]
    assert [(each["state"], each["centre"]) for each in noted] == [("began", NEAR), ("done", FAR)]


def test_nothing_half_made_counts(outage: Outage) -> None:
    town = outage.town
    assert {each: town.known(each) for each in CENTRES} == {NEAR: {town.both, town.near}, FAR: {town.both}}
    assert town.board() == {NEAR: town.data_time(town.near), FAR: town.data_time(town.both)}
    assert {each["point"] for each in town.json("backup", "list", "--centre", FAR)} == {town.both}
    assert len(town.site.objects("snapshots", FAR)) == 2  # of the source, and of the point's document
    assert town.site.app.catalogue.open_runs() == []


def test_the_next_backup_goes_past_it_and_all_heals_when_it_is_back(outage: Outage, tmp_path: Path) -> None:
    town, site = outage.town, outage.town.site
    (past,) = town.json("backup", "run")
    assert (past["centre"], past["bypassed"]) == (FAR, [NEAR])
    assert town.board() == {NEAR: town.data_time(town.near), FAR: town.data_time(past["point"])}

    town.weed.start()
    assert {each["point"] for each in town.json("backup", "list", "--centre", NEAR)} == {town.both, town.near}
    (healed,) = town.json("replicate", "--due")
    assert (healed["from"], healed["to"]) == (FAR, NEAR)
    assert town.known(NEAR) == {town.both, town.near, past["point"]}

    assert site.repository(NEAR).locks() == 1  # of the backup that was cut off
    latest = site.back_up()
    lacking = {each.key for each in site.bucket(NEAR).list(f"{site.ref.name}/data/")}
    lacking -= {each.key for each in site.bucket(FAR).list(f"{site.ref.name}/data/")}
    (resumed,) = town.json("replicate")  # of what the one that was cut off was about, too
    assert set(resumed["points"]) == {town.both, town.near, past["point"], latest}
    assert resumed["copied"] > len(lacking) > 0
    for centre, point in ((FAR, town.near), (NEAR, past["point"])):
        words = ("--centre", centre, "--point", point, "--target", str(tmp_path / centre))
        assert town.json("backup", "restore", str(site.ref), *words)["restored"]["scans"]["proved"]
    for centre in CENTRES:
        assert town.known(centre) == {town.both, town.near, past["point"], latest}
        town.run("backup", "verify", "--depth", "data", "--all", "--centre", centre)
        site.repository(centre).check(read_data=True)
        assert site.repository(centre).locks() == 0
    assert town.board() == dict.fromkeys(CENTRES, town.data_time(latest))

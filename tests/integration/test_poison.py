"""Poisoned sources: encrypted in place, emptied, a database truncated, a clock that is wrong. No good point is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from orchestrator.backups.landings import choose_point
from orchestrator.backups.retention import plan_expiry
from orchestrator.backups.sources import path as path_source
from orchestrator.catalogue.board import read_board
from orchestrator.catalogue.suspicions import open_suspects, settle
from orchestrator.process import find_program
from policies.suspicion import Sign, Standing
from tests.bench.servers import Weed
from tests.integration.postgresql import Postgresql
from tests.integration.vault_site import BUREAU, VaultSite, make_vault_site, now, running_weeds

pytestmark = pytest.mark.integration

CANARY = "contracts/canary.docx"
FILES = 24


@pytest.fixture(scope="module")
def weeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Weed]]:
    yield from running_weeds(tmp_path_factory.mktemp("weeds"))


@pytest.fixture
def site(weeds: dict[str, Weed], tmp_path: Path) -> VaultSite:
    """A site whose tree has some documents, and a canary among them."""
    made = make_vault_site(weeds, tmp_path)
    sources(made, f"scans: {{kind: path, path: {made.tree}, canaries: [{CANARY}]}}")
    (made.tree / "contracts").mkdir()
    for name in (CANARY, *(f"contracts/{number}.docx" for number in range(FILES))):
        (made.tree / name).write_text(f"{name} " * 2000, encoding="utf-8")
    return made


def sources(site: VaultSite, text: str) -> None:
    file = site.folder / "tenants" / f"{BUREAU}.yaml"
    head, _, _ = file.read_text(encoding="utf-8").partition("    sources:\n")
    file.write_text(f"{head}    sources:\n      {text}\n", encoding="utf-8")


def back_up(site: VaultSite) -> str:
    app = site.app
    try:
        return str(app.runner.run("backup", {"system": str(site.ref)}).point.id)
    finally:
        app.runner.close()


def signs(site: VaultSite, point: str) -> set[Sign]:
    (found,) = (each for each in site.app.catalogue.points() if each.id == point)
    return {each.sign for each in found.suspicion}


def standings(site: VaultSite) -> dict[str, str]:
    return {each["point"]: each["standing"] for each in site.json("backup", "list", "--centre", "same-city")}


def latest(site: VaultSite) -> str:
    """Return the point that a recovery takes when nobody names one."""
    return choose_point(site.app, site.ref, "same-city", None).point.id


def encrypt(folder: Path) -> None:
    for file in folder.rglob("*.docx"):
        file.write_bytes(os.urandom(file.stat().st_size))


def test_what_was_encrypted_in_place_evicts_nothing_and_nobody_is_recovered_from_it(site: VaultSite) -> None:
    old, good = back_up(site), site.back_up()
    site.date(old, now() - timedelta(days=40))
    site.date(good, now() - timedelta(minutes=5))
    site.tricenter("replicate")
    encrypt(site.tree)
    told = site.tricenter("backup", "run", code=4)
    assert "可疑 suspect" in told.stdout
    assert "settle" in told.stderr + told.stdout
    assert CANARY in told.stdout
    (first,) = standings(site).keys() - {old, good}
    assert signs(site, first) == {Sign.CHANGED, Sign.CANARY}
    second = back_up(site)  # what is stored already is not added again, and it is suspect all the same
    assert signs(site, second) == {Sign.CHANGED, Sign.CANARY}
    assert standings(site) == {old: "good", good: "good", first: "suspect", second: "suspect"}

    plans = {each["centre"]: each for each in site.json("backup", "expire", "--dry-run")}
    why = {each["point"]: each for each in plans["same-city"]["decisions"]}
    assert {point: each["reason"] for point, each in why.items()} == {
        second: "suspect", first: "suspect", good: "newest", old: "held-by-suspect",
    }  # fmt: skip
    assert [each["reason"] for each in why[good]["reasons"]] == ["newest", "young"]
    assert why[old]["reasons"][0]["freed_by"] == "tricenter backup settle"
    assert {each["reason"] for each in plans["provincial"]["decisions"]} == {"newest", "held-by-suspect"}
    assert plans["provincial"]["suspects"].keys() == {first, second}, "it holds where it is not, too"
    assert "--centre" in site.tricenter("backup", "expire", "--yes", code=2).stderr
    site.tricenter("backup", "expire", "--centre", "same-city", "--yes", "--more-than-half")
    assert site.points() == {old, good, first, second}

    row = next(each for each in read_board(site.app.site, site.app.catalogue, now()).rows if each.centre == "same-city")
    assert (row.suspects, row.rpo_actual >= timedelta(minutes=5)) == (2, True)
    (drilled,) = site.json("drill", "run", f"{BUREAU}-{site.ref.name}", "--centre", "same-city")["systems"]
    assert drilled["point"]["point"]["id"] == good

    site.tricenter("backup", "settle", str(site.ref), "--point", first, "--good", "--reason", "no", "--dry-run")
    assert len(open_suspects(site.app.catalogue, BUREAU, site.ref.name)) == 2, "that was a dry run"
    site.tricenter("backup", "settle", str(site.ref), "--point", first, "--bad", "--reason", "it is encrypted")
    left = site.json("backup", "settle", str(site.ref), "--point", "all", "--good", "--reason", "we did that")
    assert (left["points"], left["suspects"]) == ([second], [])
    assert standings(site) == {old: "good", good: "good", first: "bad", second: "good"}
    (plan,) = site.json("backup", "expire", "--centre", "same-city", "--yes")
    assert {each["point"]: each["reason"] for each in plan["decisions"]} == {
        second: "newest", first: "just-settled", good: "newest-proved", old: "expired",
    }  # fmt: skip
    assert site.points() == {good, first, second}
    assert signs(site, back_up(site)) == set(), "what was settled as good is what is usual now"


class Counted:
    """The restic that is found, with what it was asked to do."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._log = folder / "log"
        note, real = f'echo "$@" >> {self._log}', find_program("restic", package="restic")
        (folder / "restic").write_text(f'#!/bin/sh\n{note}\nexec {real} "$@"\n', encoding="utf-8")
        (folder / "restic").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def commands(self) -> list[str]:
        """Return the commands since this was asked last."""
        lines = self._log.read_text(encoding="utf-8").splitlines()
        self._log.unlink()
        return [next(word for word in line.split() if word in ("init", "backup", "dump")) for line in lines]


def test_to_compare_with_a_point_that_this_machine_made_no_restic_is_asked(
    site: VaultSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "programs").mkdir()
    counted = Counted(tmp_path / "programs", monkeypatch)
    back_up(site)
    assert counted.commands() == ["init", "backup", "backup"]
    good = back_up(site)
    assert counted.commands() == ["backup", "backup"]
    encrypt(site.tree)
    assert signs(site, back_up(site)) == {Sign.CHANGED, Sign.CANARY}
    assert counted.commands() == ["backup", "backup"]
    shutil.rmtree(site.app.state / "cache" / "digests")
    assert signs(site, back_up(site)) == {Sign.CHANGED, Sign.CANARY}
    assert counted.commands() == ["backup", "dump", "backup"]
    assert signs(site, back_up(site)) == {Sign.CHANGED, Sign.CANARY}
    assert counted.commands() == ["backup", "backup"], "what was read is known from then on"

    (document,) = (each.document for each in site.app.catalogue.points() if each.id == good)
    site.bucket().delete(f"{site.ref.name}/snapshots/{document}")
    assert Sign.UNCOMPARED in signs(site, back_up(site)), "what is known here is no proof that the vault holds it"
    assert counted.commands() == ["backup", "backup"]


def test_an_emptied_source_is_suspect_and_the_catalogue_made_again_knows_it(site: VaultSite, tmp_path: Path) -> None:
    sources(site, f"scans: {{kind: path, path: {site.tree}}}")
    good = back_up(site)
    shutil.rmtree(site.tree / "contracts")
    (site.tree / "note.txt").write_text("", encoding="utf-8")
    empty = back_up(site)
    assert Sign.EMPTY in signs(site, empty) or Sign.SHRUNK in signs(site, empty)
    assert Sign.CHANGED in signs(site, empty)
    site.tricenter("backup", "settle", str(site.ref), "--point", empty, "--good", "--reason", "we moved it")

    head = site.folder / "site.yaml"
    head.write_text(head.read_text("utf-8").replace("/state\n", "/other-state\n"), encoding="utf-8")
    site.tricenter("catalogue", "rebuild", "--centre", "same-city")
    assert standings(site) == {good: "good", empty: "suspect"}, "what people said is not in a vault"
    assert signs(site, good) == set()


class Shifted(datetime):
    """A clock that is wrong by `by`."""

    by = timedelta(0)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        return datetime.now(UTC if tz is None else tz) + cls.by


@pytest.mark.parametrize(("by", "sign"), [(timedelta(days=30), Sign.AHEAD), (timedelta(days=-400), Sign.BACK_DATED)])
def test_a_host_whose_clock_is_wrong_evicts_nothing(
    site: VaultSite, monkeypatch: pytest.MonkeyPatch, by: timedelta, sign: Sign
) -> None:
    old, good = back_up(site), back_up(site)
    site.date(old, now() - timedelta(days=13))
    monkeypatch.setattr(Shifted, "by", by)
    monkeypatch.setattr(path_source, "datetime", Shifted)
    wrong = back_up(site)
    monkeypatch.undo()
    assert signs(site, wrong) == {sign}
    plan = plan_expiry(site.app, site.ref, "same-city")
    assert ({each.id for each in plan.points if each.kept}, plan.suspects.keys()) == ({old, good, wrong}, {wrong})
    assert latest(site) == good
    settle(site.app.catalogue, [wrong], Standing.GOOD, reason="only its clock was wrong", by="zhang")
    reasons = {each.id: str(each.reason) for each in plan_expiry(site.app, site.ref, "same-city").points}
    assert (reasons[good], reasons[old]) == ("newest", "young"), "its date is the measure of nothing, good or not"
    assert signs(site, back_up(site)) == set(), "with the clock set right all is as before"


def test_a_truncated_table_and_a_touched_canary_of_a_database_are_suspect(
    site: VaultSite, postgresql: Postgresql
) -> None:
    url = postgresql.new_database()
    database = url.rpartition("/")[2]
    with postgresql.connect(database) as db:
        db.execute("create table letters as select n, md5(n::text) from generate_series(1, 20000) n")
        db.execute("create table canary (word text)")
        db.execute("insert into canary values ('sing')")
        sources(
            site,
            f"register: {{kind: postgresql, host: 127.0.0.1, port: {postgresql.port}, database: {database}, "
            "user: postgres, password: 'file:password', canaries: [public.canary]}",
        )
        good = [back_up(site), back_up(site)]
        assert [signs(site, each) for each in good] == [set(), set()]
        db.execute("truncate letters")
        assert signs(site, back_up(site)) == {Sign.SHRUNK}
        db.execute("update canary set word = 'pay'")
        assert signs(site, back_up(site)) == {Sign.SHRUNK, Sign.CANARY}
    assert latest(site) == good[-1]

"""Restore for people, by the real command line: browse, history, files as of a time, databases, and interruptions."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.backups.document import SourceProof
from orchestrator.backups.restore_folder import Staging
from orchestrator.backups.sources.path import hash_tree
from orchestrator.backups.spot import compare_folder
from orchestrator.catalogue.records import SourceCopy
from orchestrator.secrets import write_private
from policies.spot import SpotCheckRule
from policies.tenant import PathSource
from tests.conftest import RunningLab
from tests.integration.conftest import SmallSite, make_site
from tests.integration.postgresql import Postgresql
from tests.integration.test_backups import source_folder

pytestmark = pytest.mark.integration

REGISTRY, NOTICES = "bureau/registry", "bureau/notices"
NEVER = ("--overwrite", "never")
ODD = "odd [1]/a*b?.txt"


@dataclass(frozen=True)
class Town:
    """A site with two points of each system, of which the older is also at the province; `tree` holds the newer."""

    site: SmallSite
    tree: Path
    old: dict[str, Any]
    new: dict[str, Any]
    first: dict[str, Any]

    def backup(self, *words: str, code: int = 0, overlay: Path | None = None) -> tuple[str, str]:
        """Run a command in this process, which is quicker than one of its own, and return stdout and stderr."""
        options = ["--site", str(self.site.folder), "--overlay", str(overlay or self.site.overlay), "backup"]
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            ended = cli.run([*options, *words])
        assert ended == code, f"{words}: code {ended}, want {code}\n{out.getvalue()}\n{err.getvalue()}"
        return out.getvalue(), err.getvalue()

    def json(self, *words: str) -> Any:
        return json.loads(self.backup(*words, "--output", "json")[0])

    def restored(self, *words: str, code: int = 0, overlay: Path | None = None) -> str:
        return self.backup("restore", *words, code=code, overlay=overlay)[1]


@pytest.fixture(scope="module")
def town(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Town:
    site = make_site(lab, tmp_path_factory.mktemp("people") / "site", scale=0.1)
    tree = source_folder(site, "notices", "pages")
    odd = tree / ODD
    odd.parent.mkdir()
    odd.parent.chmod(0o750)
    odd.write_text("old")
    (tree / "odd [1]" / "axb1.txt").write_text("neighbour that the pattern would fit")
    (tree / "odd [1]" / "link").symlink_to("a*b?.txt")
    first = {each["system"]: each for each in site.json("backup", "run")}
    site.tricenter("replicate")
    odd.write_text("new")
    (tree / "only-new").write_text("x")
    (new,) = site.json("backup", "run", NOTICES)
    return Town(site, tree, first[NOTICES], new, first[REGISTRY])


def as_typed(moment: str) -> str:
    """A moment as a person writes it: in whole seconds, and no earlier."""
    return f"{datetime.fromisoformat(moment) + timedelta(seconds=1):%Y-%m-%d %H:%M:%S}Z"


def test_files_as_of_a_time_come_back_alone_and_nothing_is_overwritten(town: Town, tmp_path: Path) -> None:
    target = tmp_path / "back"
    # Later than the older point, and earlier than the next one: the copies were made between them.
    words = (NOTICES, "--at", as_typed(town.old["data_time"]), "--path", ODD, "--path", f"{town.tree}/odd [1]/link",
             "--target", str(target))  # fmt: skip
    foreseen = town.json("restore", *words, "--dry-run")
    assert (foreseen["point"], foreseen["centre"]) == (town.old["point"], "same-city")
    assert 0 <= foreseen["behind_seconds"] <= 1
    assert foreseen["present"] == []
    assert not target.exists()
    done = town.json("restore", *words)
    assert done["restored"]["pages"]["proved"]
    assert {str(each.relative_to(target)) for each in target.rglob("*") if not each.is_dir()} == {
        f"pages/{ODD}", "pages/odd [1]/link",
    }  # fmt: skip
    file = target / "pages" / ODD
    assert file.read_text() == "old"
    assert file.parent.stat().st_mode & 0o777 == 0o750

    same = town.json("restore", *words)  # what is there is the same: nothing is in the way
    assert same["restored"]["pages"]["moved"]["same"] == 2
    file.write_text("mine")
    os.utime(file, (1, 1))
    refused = town.restored(*words, code=5)
    assert "nothing was restored" in refused
    assert str(file) in refused
    (present,) = [each for each in town.json("restore", *words, *NEVER, "--dry-run")["present"] if not each["same"]]
    assert present["path"] == str(file)
    town.restored(*words, *NEVER)
    assert file.read_text() == "mine"
    town.restored(*words, "--overwrite", "if-older")
    assert file.read_text() == "old"
    file.write_text("mine")
    town.restored(*words, "--overwrite", "if-older")
    assert file.read_text() == "mine"
    moved = town.json("restore", *words, "--overwrite", "always")["restored"]["pages"]["moved"]
    assert moved == {"new": 0, "overwritten": 1, "kept": 0, "same": 1}
    assert file.read_text() == "old"
    assert not list(target.glob(".tricenter-*"))


def test_a_look_into_a_point_and_the_history_of_a_file(town: Town) -> None:
    sources = town.json("browse", REGISTRY)
    assert {each["name"]: each["kind"] for each in sources["entries"]} == {"register": "postgresql", "scans": "path"}
    tables = town.json("browse", REGISTRY, "--source", "register")["entries"]
    assert next(each["rows"] for each in tables if each["name"] == "public.persons") > 0
    top = town.json("browse", NOTICES, "--point", town.old["point"], "--centre", "provincial")
    assert top["centre"] == "provincial"
    names = {each["name"]: each for each in top["entries"]}
    assert names.keys() == {each.name for each in town.tree.iterdir()} - {"only-new"}
    assert (names["odd [1]"]["files"], names["odd [1]"]["mode"]) == (2, "drwxr-x---")
    inside = {each["name"]: each for each in town.json("browse", NOTICES, str(town.tree / "odd [1]"))["entries"]}
    assert {name: each["kind"] for name, each in inside.items()} == {
        "a*b?.txt": "file", "axb1.txt": "file", "link": "symlink",
    }  # fmt: skip
    assert inside["a*b?.txt"]["digest"] == hashlib.sha256(b"new").hexdigest()
    (one,) = town.json("browse", NOTICES, ODD)["entries"]
    assert one == inside["a*b?.txt"]
    (found,) = town.json("browse", NOTICES, "--find", "AXB?.*")["found"]
    assert (found["source"], found["name"]) == ("pages", "odd [1]/axb1.txt")
    assert "asterisk" in town.backup("browse", NOTICES, "--find", "nothing", code=4)[1]
    assert "odd [1]/axb1.txt" in town.backup("browse", NOTICES, "odd [1]/axb2.txt", code=2)[1]

    states = [(each["point"], each["state"]) for each in town.json("browse", NOTICES, "--history", ODD)]
    assert states == [(town.new["point"], "changed"), (town.old["point"], "first")]
    assert [each["state"] for each in town.json("browse", NOTICES, "--history", "only-new")] == ["first", "absent"]
    assert "is in none of" in town.backup("browse", NOTICES, "--history", "gone", code=2)[1]


def test_every_restore_is_told_in_the_audit_chain(town: Town, tmp_path: Path) -> None:
    town.restored(NOTICES, "--path", "only-new", "--target", str(tmp_path / "new"))
    began, done = town.site.json("audit", "show", "--last", "2")
    assert (began["kind"], began["body"]["state"], done["body"]["state"]) == ("restore", "began", "done")
    told = {key: done["body"][key] for key in ("system", "point", "centre", "paths", "sources")}
    assert told == {
        "system": "notices", "point": town.new["point"], "centre": "same-city", "paths": ["only-new"],
        "sources": ["pages"],
    }  # fmt: skip
    assert "@" in done["body"]["by"]
    town.site.tricenter("audit", "verify")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--path", "odd [1]/axb2.txt", "--target", "x"], 2, "pages: odd [1]/axb1.txt"),
        (["--path", "../etc", "--target", "x"], 2, "does not go up"),
        (["--at", "2001-01-01 00:00", "--target", "x"], 4, "the oldest is of"),
        (["--at", "soon", "--target", "x"], 2, "yesterday 18:00"),
        (["--at", "yesterday", "--point", "latest", "--target", "x"], 2, "give one of them"),
        (["--target", "x", "--into-volume", "y"], 2, "one of --target"),
        ([], 2, "--target DIR"),
        (["--source", "page", "--target", "x"], 2, "did you mean 'pages'"),
        (["--into-database", "127.0.0.1:1/x", "--user", "u", "--password-from", "hunter2"], 2, "env:NAME or file:PATH"),
        (["--into-database", "127.0.0.1:1/x", "--user", "u", "--password-from", "env:HOME"], 2, "pages (path)"),
    ],
)  # fmt: skip
def test_bad_input_is_answered_clearly(town: Town, words: list[str], code: int, said: str) -> None:
    assert said in town.restored(NOTICES, *words, code=code)


def test_the_province_serves_while_the_same_city_is_away(town: Town, tmp_path: Path) -> None:
    near = town.site.app.vault("same-city").endpoint
    dead = town.site.edited(tmp_path, lambda text: text.replace(near, "http://127.0.0.1:9"))
    target = tmp_path / "far"
    said = town.restored(NOTICES, "--target", str(target), overlay=dead)
    assert "same-city 无应答" in said
    assert "provincial" in said
    assert town.new["point"] in said  # known to be newer, and at the silent centre only
    assert (target / "pages" / ODD).read_text() == "old"
    assert not (target / "pages" / "only-new").exists()


def test_a_restore_that_is_killed_is_seen_as_half_and_the_same_command_completes_it(town: Town, tmp_path: Path) -> None:
    target = tmp_path / "back"
    words = (REGISTRY, "--target", str(target))

    def data_is_here() -> bool:
        return any(target.glob(".tricenter-restore-*/data/*/*"))

    code = town.site.kill_in_the_middle("backup", "restore", *words, when=data_is_here, log=tmp_path / "log")
    assert code == -signal.SIGKILL
    (half,) = target.iterdir()
    assert half.name.startswith(".tricenter-restore-")
    done = town.json("restore", *words)
    assert {name: each["proved"] for name, each in done["restored"].items()} == {"register": False, "scans": True}
    assert hash_tree(target / "scans") == hash_tree(source_folder(town.site, "registry", "scans"))
    assert sorted(each.name for each in target.iterdir()) == ["register", "scans"]


def test_what_was_proved_before_the_kill_is_moved_without_a_vault(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "back"
    words = (NOTICES, "--at", as_typed(town.old["data_time"]), "--target", str(target))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Staging, "move", die)
        town.restored(*words, code=130)
    assert [each.name[:19] for each in target.iterdir()] == [".tricenter-restore-"]
    near, far = (town.site.app.vault(centre).endpoint for centre in ("same-city", "provincial"))
    dead = town.site.edited(
        tmp_path, lambda text: text.replace(near, "http://127.0.0.1:9").replace(far, "http://127.0.0.1:10")
    )
    said = town.restored(*words, overlay=dead)
    assert "going on with" in said
    assert [each.name for each in target.iterdir()] == ["pages"]
    assert (target / "pages" / ODD).read_text() == "old"


def test_a_database_comes_back_under_a_new_name_and_is_proved(
    town: Town, tmp_path: Path, postgresql: Postgresql
) -> None:
    server = f"127.0.0.1:{postgresql.port}"
    password = write_private(tmp_path / "password", "hunter2")
    access = ("--user", "postgres", "--password-from", f"file:{password}")
    into = ("--into-database", f"{server}/land_back", *access)
    foreseen = town.json("restore", REGISTRY, *into, "--dry-run")
    assert [each["source"] for each in foreseen["parts"]] == ["register"]
    assert names(postgresql) == set()

    def is_loading() -> bool:
        with postgresql.connect() as db:
            return bool(db.execute("SELECT 1 FROM pg_database WHERE datname LIKE 'land_back_new_%'").fetchone())

    town.site.kill_in_the_middle("backup", "restore", REGISTRY, *into, when=is_loading, log=tmp_path / "log")
    assert names(postgresql) == {"land_back_new"}
    town.restored(REGISTRY, *into)
    assert names(postgresql) == {"land_back"}
    with postgresql.connect("land_back") as db:
        row = db.execute("SELECT count(*) FROM persons").fetchone()
    assert row
    assert row[0] > 0
    refused = town.restored(REGISTRY, *into, code=5)
    assert "not empty" in refused
    assert "hunter2" not in refused


def names(postgresql: Postgresql) -> set[str]:
    """The databases that a restore has made, without the run's number behind."""
    with postgresql.connect() as db:
        rows = db.execute("SELECT datname FROM pg_database WHERE datname LIKE 'land_back%'").fetchall()
    return {row[0][: len("land_back_new")] if "_new_" in row[0] else row[0] for row in rows}


def test_a_spot_check_knows_a_change_from_the_wrong_folder(town: Town, tmp_path: Path) -> None:
    town.site.tricenter("backup", "run")
    (town.tree / "since").write_text("written after the backup")
    good = {each["system"]: each for each in town.json("spot-check", "--sample", "100%")}
    assert {name: each["verdict"] for name, each in good.items()} == {REGISTRY: "within", NOTICES: "within"}
    (pages,) = good[NOTICES]["sources"]
    assert (pages["sampled"], pages["there"]) == (pages["expected"], pages["expected"] + 1)
    assert pages["changed"] >= 1

    empty = tmp_path / "empty-mount"
    empty.mkdir()
    wrong = town.site.edited(tmp_path, lambda text: text.replace(str(town.tree), str(empty)))
    out, err = town.backup("spot-check", NOTICES, "--output", "json", code=4, overlay=wrong)
    (bad,) = json.loads(out)
    assert bad["verdict"] == "out-of-tolerance"
    assert "files of the point are not there" in err
    assert "is it mounted" in err

    victim = next(each for each in sorted(town.tree.rglob("*")) if each.is_file() and each.stat().st_size > 100)
    rotten = SourceProof(SourceCopy("pages", "path", "a" * 64, datetime.now(UTC) + timedelta(hours=1), 1, 1), {
        "manifest": {key: asdict(state) for key, state in hash_tree(town.tree).items()},
    })  # fmt: skip
    victim.write_bytes(victim.read_bytes()[::-1])  # the same size, and older than the point says
    source = PathSource(kind="path", path=str(town.tree))
    found = compare_folder(source, rotten, SpotCheckRule(sample=1.0), "seed", lambda *_: None)
    assert str(victim.relative_to(town.tree)) in found.faults[0]


def test_a_spot_check_asks_for_a_share(town: Town) -> None:
    assert "share such as 5%" in town.backup("spot-check", "--sample", "many", code=2)[1]

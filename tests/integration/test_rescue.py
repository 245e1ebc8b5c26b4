"""Nothing is left but the province's vault, its credential and two shares: everything comes back from there."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from orchestrator.backups.document import read_document
from orchestrator.backups.sources.postgresql import fingerprint_tables
from orchestrator.catalogue.keys import read_keys
from orchestrator.escrow.rotation import password_files, places_of
from orchestrator.process import Finished, run
from orchestrator.secrets import Secret, write_private
from tests.integration.conftest import TRICENTER, SmallSite
from tests.integration.postgresql import Postgresql

pytestmark = pytest.mark.integration

REGISTRY, NOTICES = "bureau/registry", "bureau/notices"
ESCROW = "\nescrow: {custodians: [李梅, 王强, 赵云], threshold: 2, lock: 1d}\n"


def files_in(folder: Path) -> dict[str, bytes]:
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


@dataclass(frozen=True)
class Lost:
    """What a site was, and all that is left of it."""

    site: SmallSite
    shares: Path
    credential: Path
    files: dict[str, dict[str, bytes]]

    @property
    def words(self) -> list[str]:
        vault = self.site.app.vault("provincial")
        return [
            "rescue", "--vault-endpoint", vault.endpoint, "--bucket-prefix", vault.bucket_prefix,
            "--credential", str(self.credential),
        ]  # fmt: skip

    def share(self, *numbers: int) -> list[str]:
        files = {int(each.name.split("-")[1]): each for each in self.shares.glob("share-*.txt")}
        return [word for number in numbers for word in ("--share", str(files[number]))]

    def tricenter(self, *words: str, code: int = 0, env: dict[str, str] | None = None) -> Finished:
        """Run a command as on an empty machine: nothing of the site is in the environment."""
        variables = {"COLUMNS": "160", "TRICENTER_SITE": "", "TRICENTER_OVERLAY": "", **(env or {})}
        ended = run([TRICENTER, *words], env=variables, deadline_seconds=120, check=False)
        assert ended.code == code, f"{words}: {ended.code}\n{ended.stdout}\n{ended.stderr}"
        assert "Traceback" not in ended.stderr
        return ended


@pytest.fixture(scope="module")
def lost(small_site: SmallSite, tmp_path_factory: pytest.TempPathFactory) -> Lost:
    """A site with an escrow and points at both centres, one of which is newer than its bundle."""
    outside = tmp_path_factory.mktemp("outside")
    with (small_site.folder / "site.yaml").open("a", encoding="utf-8") as file:
        file.write(ESCROW)
    app = small_site.app  # in this process: most of a command's time is its start

    def protect(system: str) -> None:
        app.runner.run("backup", {"system": system})
        app.runner.run("replicate", {"system": system, "source": "same-city", "target": "provincial"})

    protect(REGISTRY)
    protect(NOTICES)
    small_site.tricenter("escrow", "split", "--out", str(outside / "shares"))
    protect(NOTICES)
    app.runner.close()
    sources = {
        f"{ref}/{name}": Path(source.path)
        for ref in app.site.systems()
        for name, source in ref.system.sources.items()
        if source.kind == "path"
    }
    credential = write_private(outside / "credential", app.secret(app.vault("provincial").admin_credential).reveal())
    return Lost(small_site, outside / "shares", credential, {name: files_in(path) for name, path in sources.items()})


@contextmanager
def gone(*folders: Path) -> Iterator[None]:
    """Take folders away for the block, out of everybody's reach by their names."""
    moved = [(each, each.with_name(f"{each.name}.gone")) for each in folders]
    for there, away in moved:
        there.rename(away)
    try:
        yield
    finally:
        for there, away in moved:
            shutil.rmtree(there, ignore_errors=True)  # whatever was made in its place
            away.rename(there)


def test_everything_comes_back_from_the_province(lost: Lost, tmp_path: Path) -> None:
    site, into = lost.site, tmp_path / "rescued"
    words = [*lost.words, *lost.share(1, 3), "--into", str(into), "--output", "json"]
    near, state, written = site.app.vault("same-city").endpoint, site.app.state, files_in(site.folder)
    home = site.overlay.parent
    # The overlay, the secrets, the catalogue and the files of the sources stand in one folder of the lab.
    assert all(each.is_relative_to(home) for each in (state, Path(site.app.secrets_folder)))
    with gone(site.folder, home):
        seen = json.loads(lost.tricenter(*words, "--dry-run").stdout)
        assert (seen["site"], seen["missing"], into.exists()) == (site.name, {}, False)
        found = json.loads(lost.tricenter(*words).stdout)
        assert {each["system"]: (each["points"], each["added"]) for each in found["systems"]} == {
            REGISTRY: (1, 0), NOTICES: (2, 1)
        }  # fmt: skip
        assert {oct(each.stat().st_mode & 0o077) for each in (into, *(into / "secrets").rglob("*"))} == {"0o0"}
        assert files_in(into / "site") == written
        overlay = (into / "overlay.yaml").read_text(encoding="utf-8")
        assert near in overlay
        (into / "overlay.yaml").write_text(overlay.replace(near, "http://127.0.0.1:9"), encoding="utf-8")
        env = {"TRICENTER_SITE": str(into / "site"), "TRICENTER_OVERLAY": str(into / "overlay.yaml")}
        for system in (REGISTRY, NOTICES):
            target = str(tmp_path / system)
            lost.tricenter("backup", "restore", system, "--centre", "provincial", "--target", target, env=env)
        audit = json.loads(lost.tricenter("audit", "verify", "--output", "json", env=env).stdout)
        assert (audit["entries"] > 0, audit["broken"]) == (True, None)
        assert not home.exists()
    for name, files in lost.files.items():
        assert files_in(tmp_path / name) == files


def test_a_rescue_may_be_repeated_and_writes_into_nothing_that_is_used(lost: Lost, tmp_path: Path) -> None:
    into, used = tmp_path / "rescued", tmp_path / "used"
    for _ in range(2):
        lost.tricenter(*lost.words, *lost.share(2, 3), "--into", str(into))
    (used / "mine").mkdir(parents=True)
    refused = lost.tricenter(*lost.words, *lost.share(2, 3), "--into", str(used), code=5)
    assert "is not empty" in refused.stderr
    assert list(used.iterdir()) == [used / "mine"]


def test_shares_that_do_not_fit_are_told_apart(lost: Lost, tmp_path: Path) -> None:
    into = ["--into", str(tmp_path / "rescued")]
    once = lost.tricenter(*lost.words, *lost.share(1), *into, code=2)
    assert "1 given, and 2 shares are needed" in once.stderr
    twice = lost.tricenter(*lost.words, *lost.share(1, 1), *into, code=2)
    assert "share 1 was given twice" in twice.stderr
    (paper,) = lost.shares.glob("share-2-*.txt")
    text = paper.read_text(encoding="utf-8")
    digit = re.search(r"3: (\w)", text)
    assert digit
    wrong = tmp_path / "mistyped.txt"
    wrong.write_text(text.replace(digit[0], f"3: {'7' if digit[1] != '7' else '8'}"), encoding="utf-8")
    mistyped = lost.tricenter(*lost.words, *lost.share(1), "--share", str(wrong), *into, code=2)
    assert "line 3 is mistyped" in mistyped.stderr
    assert not (tmp_path / "rescued").exists()


def test_an_attacker_who_hides_and_forges_bundles_changes_nothing(lost: Lost, tmp_path: Path) -> None:
    app = lost.site.app
    bucket = app.register_bucket("provincial")
    (key,) = [each.key for each in bucket.list("rescue/")]
    forged = key.rpartition("/")[0] + f"/20990101T000000Z-{'0' * 64}-{'0' * 64}.age"
    bucket.put(key, b"nothing")
    bucket.delete(key)
    bucket.put(forged, b"nothing")
    found = json.loads(
        lost.tricenter(
            *lost.words, *lost.share(1, 2), "--into", str(tmp_path / "r"), "--dry-run", "--output", "json"
        ).stdout
    )
    assert found["passed_over"] >= 1
    assert found["made_at"] < "2099"
    admin = app.vault_admin("provincial")
    bucket.delete(forged)
    first = min(
        (each for each in admin.versions(bucket.name, key) if not each.marker), key=lambda each: each.modified_at
    )
    admin.copy_version(bucket.name, key, first.id)


def test_a_password_is_replaced_and_a_kill_anywhere_locks_nobody_out(lost: Lost, tmp_path: Path) -> None:
    site = lost.site
    app = site.app
    files = password_files(app, "bureau")
    places = places_of(app, "bureau")
    before = files.current.read_text(encoding="utf-8").strip()

    def keys_at_the_last() -> int:
        return sum(1 for _ in app.bucket(places[-1].centre, "bureau").list(f"{places[-1].ref.name}/keys/"))

    def all_open() -> bool:
        password = files.secret(files.current)
        return all(app.repository(each.centre, each.ref).with_password(password).opens() for each in places)

    words = ("key", "rotate", "bureau", "--yes")
    for moment in (files.next.exists, lambda: keys_at_the_last() == 2, files.previous.exists):
        site.kill_in_the_middle(*words, when=moment, log=tmp_path / "log")
        assert all_open()
    assert files.previous.exists()  # and the next one as well, when it was killed between the two
    carried_on = site.tricenter(*words)
    assert "carry on" in carried_on.stdout
    assert all_open()
    assert files.current.read_text(encoding="utf-8").strip() != before
    assert list(files.current.parent.glob(f"{files.current.name}.*")) == []
    listed = site.json("key", "list", "bureau")
    assert len(listed) == len(places) == 4
    assert not any(app.repository(each.centre, each.ref).with_password(Secret(before)).opens() for each in places)
    assert {each["opens"] for each in site.json("key", "check")} == {True}
    assert set(read_keys(app.catalogue).passwords) == {("bureau", "same-city"), ("bureau", "provincial")}
    # The newest bundle has the new password: what is rescued now opens everything.
    into = tmp_path / "rescued"
    lost.tricenter(*lost.words, *lost.share(1, 2), "--into", str(into))


def test_a_bundle_that_was_cut_off_leaves_nothing_open_and_the_next_one_is_whole(lost: Lost, tmp_path: Path) -> None:
    site = lost.site
    app = site.app
    before = read_keys(app.catalogue).bundles["provincial"].made_at
    for step in ("seal", "store"):
        begun = functools.partial(site.attempt_is_open, step)
        words = ("escrow", "bundle", "--centre", "provincial")
        assert site.kill_in_the_middle(*words, when=begun, log=tmp_path / "log") == -signal.SIGKILL
    try:
        app.runner.run("escrow-bundle", {"centre": "provincial"})
    finally:
        app.runner.close()
    assert read_keys(app.catalogue).bundles["provincial"].made_at > before
    assert list((app.state / "scratch").iterdir()) == [], "what was not sealed yet is gone"
    opened = {each["centre"]: each["opens"] for each in site.json("escrow", "check", *lost.share(1, 2))}
    assert opened["provincial"]


def test_custodians_prove_their_shares_and_a_new_key_replaces_the_old(lost: Lost, tmp_path: Path) -> None:
    site = lost.site
    proved = site.json("escrow", "check", *lost.share(2, 3))
    assert [(each["centre"], each["opens"], each["custodians"]) for each in proved] == [
        ("same-city", True, ["王强", "赵云"]), ("provincial", True, ["王强", "赵云"])
    ]  # fmt: skip
    status = site.json("escrow", "status")
    assert status["checked_at"]
    assert {each["centre"] for each in status["bundles"]} == {"same-city", "provincial"}
    dead = replace(
        site,
        overlay=site.edited(
            tmp_path, lambda text: text.replace(site.app.vault("same-city").endpoint, "http://127.0.0.1:9")
        ),
    )
    partly = dead.tricenter("escrow", "check", *lost.share(1, 2), code=3)
    assert "1 of 2 vaults open" in partly.stderr
    site.tricenter("escrow", "split", "--out", str(tmp_path / "new"), code=5)
    site.tricenter("escrow", "rotate", "--yes", "--out", str(tmp_path / "new"))
    old = site.tricenter("escrow", "check", *lost.share(1, 2), code=2)
    assert "bundles are made for" in old.stderr
    assert site.json("escrow", "status")["checked_at"] is None
    mixed = [*lost.share(1), "--share", str(next((tmp_path / "new").glob("share-2-*.txt")))]
    assert "of different keys" in site.tricenter("escrow", "check", *mixed, code=2).stderr
    # The old bundle stays, and the old shares open it until it is gone.
    lost.tricenter(*lost.words, *lost.share(1, 2), "--into", str(tmp_path / "r"), "--dry-run")


def test_the_runbook_works_as_it_is_written(lost: Lost, tmp_path: Path, postgresql: Postgresql) -> None:
    text = lost.site.tricenter("rescue", "runbook").stdout
    (tmp_path / "open_bundle.py").write_text(lost.site.tricenter("rescue", "runbook", "--output", "script").stdout)
    for number in (1, 2):
        shutil.copy(next(lost.shares.glob(f"share-{number}-*.txt")), tmp_path / f"share-{number}.txt")
    keys = json.loads(lost.credential.read_text())
    key = re.search(r"key +([0-9a-f]{10})", (tmp_path / "share-1.txt").read_text(encoding="utf-8"))
    assert key
    assert keys["secret_key"] not in text
    fetch = text.index("and open the bundle: provincial")
    commands = re.findall(r"```sh\n(.*?)\n```", text[fetch:], re.DOTALL)
    fetching, systems = commands[:2], [each for each in commands if "RESTIC_REPOSITORY" in each]
    assert len(systems) == 2
    filled = fetching[0].replace(
        "AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... KEY=...",
        (f"AWS_ACCESS_KEY_ID='{keys['access_key']}' AWS_SECRET_ACCESS_KEY='{keys['secret_key']}' KEY={key[1]}"),
    )
    programs = Path(sys.executable).parent
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "TRICENTER_SITE": ""}
    env |= {"PGHOST": "127.0.0.1", "PGPORT": str(postgresql.port), "PGUSER": "postgres"}
    script = tmp_path / "typed.sh"
    script.write_text("\n".join(["set -e -o pipefail", filled, fetching[1], *systems]), encoding="utf-8")
    ended = run(["bash", str(script)], env=env, cwd=tmp_path, deadline_seconds=120, check=False)
    assert ended.code == 0, f"{ended.stdout}\n{ended.stderr}"
    for name, files in lost.files.items():
        assert files_in(tmp_path / "rescued" / "restored" / name) == files
    app = lost.site.app
    ref = app.system(REGISTRY)
    source = ref.system.sources["register"]
    assert source.kind == "postgresql"
    (point,) = app.catalogue.points("bureau", "registry")
    proof = read_document(app.repository("provincial", ref), point).proof("register")
    with postgresql.connect(source.database) as connection:
        assert fingerprint_tables(connection) == proof.facts["tables"]

"""Backup, list, restore and replicate through the real command line, on the lab's vaults and database."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from orchestrator.backups.sources.path import hash_tree
from orchestrator.lab.progress import Progress
from orchestrator.lab.seed import seed
from tests.integration.conftest import SmallSite

pytestmark = pytest.mark.integration


def source_folder(site: SmallSite, system: str, source: str) -> Path:
    kind = site.app.system(f"bureau/{system}").system.sources[source]
    assert kind.kind == "path"
    return Path(kind.path)


def test_backup_replicate_and_restore_at_both_centres(small_site: SmallSite, tmp_path: Path) -> None:
    first = small_site.json("backup", "run")
    assert {each["system"]: each["centre"] for each in first} == {
        "bureau/registry": "same-city",
        "bureau/notices": "same-city",
    }
    transfers = small_site.json("replicate")
    assert all(each["joined"] and each["copied"] for each in transfers)
    again = small_site.json("replicate")
    assert [each["copied"] for each in again] == [0, 0]

    listed = small_site.json("backup", "list", "bureau/registry")
    assert [(each["centre"], each["point"]) for each in listed] == [
        (centre, first[1]["point"]) for centre in ("same-city", "provincial")
    ]
    for centre in ("same-city", "provincial"):
        small_site.tricenter(
            "backup", "restore", "bureau/registry", "--centre", centre, "--target", str(tmp_path / centre)
        )
        original = source_folder(small_site, "registry", "scans")
        assert hash_tree(tmp_path / centre / "scans") == hash_tree(original)
        dump = (tmp_path / centre / "register" / "database.sql").read_text(encoding="utf-8")
        roles = (tmp_path / centre / "register" / "globals.sql").read_text(encoding="utf-8")
        assert "CREATE ROLE" in roles
        assert "PASSWORD" not in roles
        assert "CREATE TABLE public.persons" in dump
        shown = small_site.tricenter("restic", "--centre", centre, "bureau/registry", "--", "snapshots", "--no-lock")
        assert "3 snapshots" in shown.stdout
    small_site.app.repository("provincial", small_site.app.system("bureau/registry")).check(read_data=True, lock=False)


def test_an_unchanged_system_stores_next_to_nothing(small_site: SmallSite) -> None:
    small_site.tricenter("backup", "run", "bureau/registry")
    (second,) = small_site.json("backup", "run", "bureau/registry")
    assert second["added_bytes"] < 20_000
    assert second["bytes"] > 1_000_000


def test_growth_travels_as_an_increment(small_site: SmallSite) -> None:
    small_site.tricenter("backup", "run")
    small_site.tricenter("replicate")
    seed(small_site.lab.lab, small_site.folder, Progress(), scale=0.2, grow=True)
    (point,) = small_site.json("backup", "run", "bureau/registry")
    (transfer,) = small_site.json("replicate", "bureau/registry")
    assert 0 < transfer["copied_bytes"] < point["bytes"] / 2
    assert point["point"] in transfer["points"]


def test_dry_runs_change_nothing(fresh_site: SmallSite, tmp_path: Path) -> None:
    fresh_site.tricenter("backup", "run", "--dry-run")
    assert fresh_site.json("backup", "list") == []
    fresh_site.tricenter("backup", "run", "bureau/notices")
    (plan,) = fresh_site.json("replicate", "bureau/notices", "--dry-run")
    assert plan["copied"] > 0
    assert [each["centre"] for each in fresh_site.json("backup", "list")] == ["same-city"]
    target = tmp_path / "nowhere"
    fresh_site.tricenter(
        "backup", "restore", "bureau/notices", "--centre", "same-city", "--target", str(target), "--dry-run"
    )
    assert not target.exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["backup", "run", "buro"], 2, "did you mean 'bureau'"),
        (["backup", "run", "bureau/registri"], 2, "did you mean 'registry'"),
        (["backup", "restore", "bureau/registry", "--centre", "provincal", "--target", "x"], 2, "provincial"),
        (
            ["backup", "restore", "bureau/notices", "--centre", "same-city", "--target", "x", "--point", "y"],
            2,
            "known:",
        ),
        (["replicate", "--from", "same-city", "--to", "same-city"], 2, "both source and target"),
    ],
)
def test_bad_input_is_answered_clearly(small_site: SmallSite, words: list[str], code: int, said: str) -> None:
    small_site.tricenter("backup", "run", "bureau/notices")
    assert said in small_site.tricenter(*words, code=code).stderr


def test_an_unreachable_vault_is_6_and_loses_nothing(fresh_site: SmallSite, tmp_path: Path) -> None:
    fresh_site.tricenter("backup", "run", "bureau/notices")
    ports = {centre: fresh_site.app.vault(centre).endpoint for centre in ("same-city", "provincial")}
    dead = fresh_site.edited(tmp_path, lambda text: text.replace(ports["provincial"], "http://127.0.0.1:9"))
    ended = fresh_site.tricenter("replicate", "bureau/notices", code=6, env={"TRICENTER_OVERLAY": str(dead)})
    assert "provincial" in ended.stderr
    assert ended.seconds < 40
    fresh_site.tricenter("replicate", "bureau/notices")


def test_a_wrong_repository_password_is_2(fresh_site: SmallSite, tmp_path: Path) -> None:
    fresh_site.tricenter("backup", "run", "bureau/notices")
    wrong = tmp_path / "wrong"
    wrong.write_text("not the password")
    wrong.chmod(0o600)
    line = next(line for line in fresh_site.overlay.read_text().splitlines() if line.startswith("repository_password"))
    other = fresh_site.edited(tmp_path, lambda text: text.replace(line, f"repository_password: file:{wrong}"))
    ended = fresh_site.tricenter("backup", "run", "bureau/notices", code=2, env={"TRICENTER_OVERLAY": str(other)})
    assert "password" in ended.stderr
    assert "not the password" not in ended.stderr
    assert len(fresh_site.json("backup", "list")) == 1


def test_a_missing_source_is_2_and_makes_no_point(fresh_site: SmallSite) -> None:
    folder = source_folder(fresh_site, "notices", "pages")
    folder.rename(folder.with_name("moved"))
    assert "cannot be read" in fresh_site.tricenter("backup", "run", "bureau/notices", code=2).stderr
    ended = fresh_site.tricenter("backup", "run", code=3)
    assert "1 of 2 done" in ended.stderr
    assert {each["system"] for each in fresh_site.json("backup", "list")} == {"bureau/registry"}


@pytest.mark.parametrize("step", ["open-repository", "back-up:", "publish-document"])
def test_a_killed_backup_leaves_no_point_and_the_rerun_succeeds(
    fresh_site: SmallSite, tmp_path: Path, step: str
) -> None:
    code = fresh_site.kill_in_the_middle(
        "backup", "run", "bureau/registry", when=lambda: fresh_site.attempt_is_open(step), log=tmp_path / "log"
    )
    assert code == -signal.SIGKILL
    assert fresh_site.json("backup", "list") == []
    (point,) = fresh_site.json("backup", "run", "bureau/registry")
    repository = fresh_site.app.repository("same-city", fresh_site.app.system("bureau/registry"))
    repository.check(read_data=True)
    assert repository.locks() == 0
    assert [each["point"] for each in fresh_site.json("backup", "list")] == [point["point"]]


def test_ctrl_c_ends_a_backup_with_130_and_the_rerun_leaves_no_lock(fresh_site: SmallSite, tmp_path: Path) -> None:
    # One system with two sources: what is interrupted at the first cannot have published a point by then.
    code = fresh_site.kill_in_the_middle(
        "backup",
        "run",
        "bureau/registry",
        when=lambda: fresh_site.attempt_is_open("back-up:"),
        log=tmp_path / "log",
        number=signal.SIGINT,
    )
    assert code == 130
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert fresh_site.json("backup", "list") == []
    fresh_site.tricenter("backup", "run")
    for system in ("bureau/registry", "bureau/notices"):
        assert fresh_site.app.repository("same-city", fresh_site.app.system(system)).locks() == 0


def test_a_killed_replication_publishes_nothing_and_resumes(fresh_site: SmallSite, tmp_path: Path) -> None:
    fresh_site.tricenter("backup", "run", "bureau/registry")
    bucket = fresh_site.app.bucket("provincial", "bureau")

    def some_data_is_there() -> bool:
        return any(bucket.list("registry/data/"))

    fresh_site.kill_in_the_middle("replicate", "bureau/registry", when=some_data_is_there, log=tmp_path / "log")
    before = len(list(bucket.list("registry/data/")))
    (transfer,) = fresh_site.json("replicate", "bureau/registry")
    assert transfer["present"] >= before
    fresh_site.app.repository("provincial", fresh_site.app.system("bureau/registry")).check(read_data=True, lock=False)


def test_an_interrupted_first_init_is_made_good(fresh_site: SmallSite) -> None:
    """A crash between restic's key and its config leaves a key that a later init would not match."""
    ref = fresh_site.app.system("bureau/notices")
    bucket = fresh_site.app.expirer_bucket("same-city", "bureau")
    for _ in range(3):
        fresh_site.app.repository("same-city", ref).init()
        bucket.delete("notices/config")
    fresh_site.tricenter("backup", "run", "bureau/notices")
    fresh_site.app.repository("same-city", ref).check()
    assert len(list(bucket.list("notices/keys/"))) == 1

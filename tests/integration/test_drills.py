"""Restore drills, for real: restic, two vaults and PostgreSQL, through the command line as a DR officer uses it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogue.keys import read_keys
from orchestrator.process import run, started_at
from orchestrator.scratch.folder import recorded_servers
from orchestrator.secrets import write_private
from tests.integration.conftest import SmallSite

pytestmark = pytest.mark.integration

PLAN = """
plan: registry
title: {zh: 登记系统恢复预案, en: Recovery of the registry}
systems:
  bureau/registry:
    probes:
      - {kind: sql, source: register, query: SELECT count(*) > 0 FROM persons, expect: 't'}
      - {kind: sql, source: register, query: SELECT count(*) FROM persons WHERE id < 0, expect: '0'}
"""
TAMPERED = """
plan: tampered
systems:
  bureau/registry:
    probes:
      - {kind: sql, source: register, query: SELECT count(*) FROM persons WHERE id < 0, expect: '1'}
      - {kind: sql, source: register, query: SELECT nonsense FROM persons, expect: '1'}
"""
HURRIED = """
plan: hurried
deadline: 12s
systems:
  bureau/registry:
    probes:
      - {kind: sql, source: register, query: SELECT pg_sleep(120), expect: ''}
"""


@pytest.fixture(scope="module")
def site(small_site: SmallSite) -> SmallSite:
    """The small site, with two plans, backed up and replicated once."""
    return prepared(small_site)


def prepared(site: SmallSite) -> SmallSite:
    plans = site.folder / "plans"
    plans.mkdir()
    (plans / "registry.yaml").write_text(PLAN, encoding="utf-8")
    (plans / "tampered.yaml").write_text(TAMPERED, encoding="utf-8")
    site.tricenter("backup", "run")
    site.tricenter("replicate")
    return site


@pytest.fixture
def small_disk() -> Iterator[Path]:
    place = Path(f"/run/tricenter-small-{os.getpid()}")
    place.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=100m,mode=0711", "tmpfs", str(place)], deadline_seconds=10)
    try:
        yield place
    finally:
        run(["umount", str(place)], deadline_seconds=10)
        place.rmdir()


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that never answers: its queue is full, so the kernel drops whoever knocks."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def scratch_folders(site: SmallSite) -> list[Path]:
    root = site.app.state / "scratch"
    return list(root.iterdir()) if root.exists() else []


def only(found: dict[str, Any]) -> dict[str, Any]:
    """Return the one system of a drill."""
    (system,) = found["systems"]
    result: dict[str, Any] = system
    return result


def drills(site: SmallSite) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = site.json("drill", "list")
    return listed


@pytest.mark.parametrize("centre", ["same-city", "provincial"])
def test_a_system_of_files_and_a_database_is_recovered_proved_and_measured(site: SmallSite, centre: str) -> None:
    found = site.json("drill", "run", "registry", "--centre", centre)
    assert found["verdict"] == "met"
    assert [each["name"] for each in only(found)["probes"]] == [
        "fingerprint:register",
        "manifest:scans",
        "sql:register",
        "sql:register",
    ]
    assert all(each["passed"] for each in only(found)["probes"])
    measured = only(found)["measured"]
    assert measured["rto_seconds"] == pytest.approx(
        sum(each for each in measured["stages"].values() if each is not None)
    )
    assert 0 < measured["rpo_seconds"] < 3600
    assert only(found)["restored_bytes"] > 1_000_000
    assert scratch_folders(site) == []

    html = Path(found["report"]).read_text(encoding="utf-8")
    evidence = Path(found["report"]).with_suffix(".json").read_bytes()
    assert hashlib.sha256(evidence).hexdigest() in html
    for each in only(found)["point"]["point"]["sources"]:
        assert each["snapshot_id"] in html
    assert only(found)["key_access"] == {"repository": "bureau/registry", "centre": centre, "escrow": None}
    assert ("bureau", centre) in read_keys(site.app.catalogue).accesses
    proved = [each for each in site.app.catalogue.points_at(centre, "bureau", "registry") if each.proved_at]
    assert [each.point.id for each in proved] == [only(found)["point"]["point"]["id"]]


def test_a_drill_can_be_listed_shown_and_reported_again_from_its_rows(site: SmallSite) -> None:
    found = site.json("drill", "run", "bureau-notices", "--centre", "same-city")
    assert found["drill"] in [each["drill"] for each in drills(site)]
    assert site.json("drill", "show", found["drill"])["attempts"] == found["attempts"]
    report = Path(found["report"])
    before = report.read_bytes()
    report.unlink()
    assert site.tricenter("drill", "report", found["drill"], "--no-pdf").stdout.strip() == str(report)
    assert report.read_bytes() == before
    assert "did you mean" in site.tricenter("drill", "show", f"{found['drill']}0", code=2).stderr


def test_the_screen_shows_steps_objectives_probes_and_the_verdict(site: SmallSite) -> None:
    ended = site.tricenter("drill", "run", "bureau-notices", "--centre", "provincial")
    assert re.search(r"✓ +\d+\.\d\d s +恢复数据 · pages", ended.stderr)
    for word in ("RPO", "RTO", "manifest:pages", "达标 MET", ".html"):
        assert word in ended.stdout


def test_a_password_that_opens_nothing_fails_the_drill_at_its_first_step(site: SmallSite, tmp_path: Path) -> None:
    write_private(tmp_path / "wrong", "of another tenant\n")
    kept = site.app.site.repository_password
    overlay = site.edited(tmp_path, lambda text: text.replace(kept, f"file:{tmp_path}/wrong"))
    words = ("--overlay", str(overlay), "drill", "run", "bureau-notices", "--centre", "same-city", "--output", "json")
    found = json.loads(site.tricenter(*words, code=4).stdout)
    own = [each for each in found["attempts"] if each["stage"] == "restore"]
    assert [(each["step"], each["outcome"]) for each in own] == [("key-access", "failed")]
    assert "the password of bureau does not open bureau/notices at same-city" in own[0]["error"]


def test_a_tampered_expectation_fails_the_drill_which_still_has_its_report_and_leaves_nothing(site: SmallSite) -> None:
    found = site.json("drill", "run", "tampered", "--centre", "same-city", code=4)
    assert found["verdict"] == "failed"
    assert only(found)["measured"]["rto_seconds"] is None
    assert [each["passed"] for each in only(found)["probes"]] == [True, True, False, False]
    assert only(found)["probes"][3]["got"] == 'error: column "nonsense" does not exist'
    assert len(only(found)["problems"]) == 2
    assert Path(found["report"]).exists()
    assert scratch_folders(site) == []


def test_a_drill_that_takes_too_long_is_stopped_and_is_a_failed_one(site: SmallSite) -> None:
    plan = site.folder / "plans" / "hurried.yaml"
    plan.write_text(HURRIED, encoding="utf-8")
    try:
        ended = site.tricenter("drill", "run", "hurried", "--centre", "provincial", code=4)
    finally:
        plan.unlink()
    assert "stopped: not done after 12s" in ended.stderr
    assert ended.seconds < 60
    assert "失败 FAILED" in ended.stdout
    assert only(drills(site)[0])["problems"]
    assert scratch_folders(site) == []


def test_all_plans_are_drilled_one_after_another_and_the_worst_code_is_returned(site: SmallSite) -> None:
    found = site.json("drill", "run", "--all", "--centre", "same-city", code=4)
    assert {each["plan"]: each["verdict"] for each in found} == {
        "bureau-notices": "met",
        "registry": "met",
        "tampered": "failed",
    }


def test_nothing_waits_for_production_or_for_another_centre(site: SmallSite, tmp_path: Path, black_hole: int) -> None:
    vault = site.app.vault("same-city").endpoint

    def lose_all_but_the_province(overlay: str) -> str:
        lost = overlay.replace(vault, f"http://127.0.0.1:{black_hole}")
        lost, databases = re.subn(r"port: \d+", f"port: {black_hole}", lost)
        lost, folders = re.subn(r"path: /.*", "path: /production/is/gone", lost)
        assert (databases, folders) == (1, 2)
        return lost

    overlay = site.edited(tmp_path, lose_all_but_the_province)
    words = ("--overlay", str(overlay), "drill", "run", "registry", "--output", "json")
    found = json.loads(site.tricenter(*words, "--centre", "provincial").stdout)
    assert found["verdict"] == "met"
    assert only(found)["measured"]["stages"]["decide"] < 5  # an attempt to connect to the hole would take that long

    lost = site.tricenter(*words, "--centre", "same-city", code=6)
    assert lost.seconds < 60
    assert json.loads(lost.stdout)["verdict"] == "failed"
    assert drills(site)[0]["verdict"] == "failed"


def test_an_older_point_can_be_named_and_is_measured_as_what_it_is(site: SmallSite) -> None:
    older = drills_point(site)
    site.tricenter("backup", "run", "bureau/notices")
    newest = site.json("drill", "run", "bureau-notices", "--centre", "same-city")
    named = site.json("drill", "run", "bureau-notices", "--centre", "same-city", "--point", older)
    assert only(newest)["point"]["point"]["id"] != older
    assert only(named)["point"]["point"]["id"] == older
    assert only(named)["measured"]["rpo_seconds"] > only(newest)["measured"]["rpo_seconds"]
    before = len(drills(site))
    site.tricenter("drill", "run", "bureau-notices", "--centre", "same-city", "--point", "20200101T000000Z-x", code=2)
    assert len(drills(site)) == before


def drills_point(site: SmallSite) -> str:
    return site.app.catalogue.points_at("same-city", "bureau", "notices")[0].point.id


def test_a_dry_run_says_what_would_be_done_and_does_nothing(site: SmallSite) -> None:
    before = len(drills(site))
    said = site.json("drill", "run", "registry", "--centre", "provincial", "--dry-run")
    assert only(said)["probes"][:2] == ["fingerprint:register", "manifest:scans"]
    assert only(said)["needed_bytes"] > 0
    assert "MiB" in site.tricenter("drill", "run", "--all", "--centre", "provincial", "--dry-run").stdout
    assert len(drills(site)) == before


def test_a_scratch_place_that_is_too_small_is_refused_and_is_no_drill(site: SmallSite, small_disk: Path) -> None:
    before = len(drills(site))
    words = ("drill", "run", "registry", "--centre", "same-city", "--scratch", str(small_disk))
    for more in ((), ("--dry-run",)):
        refused = site.tricenter(*words, *more, code=5)
        assert "MiB are needed" in refused.stderr
        assert "--scratch DIR" in refused.stderr
    assert list(small_disk.iterdir()) == []
    assert len(drills(site)) == before


def test_a_wrong_name_is_answered_with_the_nearest(site: SmallSite) -> None:
    assert "'registry'" in site.tricenter("drill", "run", "regisrty", "--centre", "same-city", code=2).stderr
    site.tricenter("drill", "run", "--centre", "same-city", code=2)
    site.tricenter("drill", "run", "registry", "--all", "--centre", "same-city", code=2)


@pytest.mark.parametrize("step", ["start:", "restore:register", "restore:scans"])
def test_killed_in_the_middle_the_next_command_clears_server_and_folder(
    site: SmallSite, tmp_path: Path, step: str
) -> None:
    before = len(drills(site))
    words = ("drill", "run", "registry", "--centre", "same-city")
    site.kill_in_the_middle(*words, when=lambda: site.attempt_is_open(step), log=tmp_path / "log")
    (folder,) = scratch_folders(site)
    servers = recorded_servers(folder)
    next_one = site.tricenter("drill", "run", "bureau-notices", "--centre", "same-city")
    assert "已清理中断的任务" in next_one.stderr
    assert scratch_folders(site) == []
    assert [started_at(each.pid) for each in servers if started_at(each.pid) == each.started] == []
    assert processes_of(folder) == []
    assert len(drills(site)) == before + 1


def test_ctrl_c_clears_up_and_is_recorded_as_an_interruption(site: SmallSite, tmp_path: Path) -> None:
    before = len(drills(site))
    words = ("drill", "run", "registry", "--centre", "same-city")
    when = lambda: site.attempt_is_open("restore:register")  # noqa: E731
    assert site.kill_in_the_middle(*words, when=when, log=tmp_path / "log", number=signal.SIGINT) == 130
    assert scratch_folders(site) == []
    assert site.app.catalogue.runs(flow="drill")[0].state == "interrupted"
    assert len(drills(site)) == before


def processes_of(folder: Path) -> list[str]:
    """Return the command lines that name `folder`."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(entry.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue
    return [line for line in lines if str(folder) in line]


def test_a_corrupt_pack_at_the_province_fails_the_drill_there_and_not_in_the_city(fresh_site: SmallSite) -> None:
    site = prepared(fresh_site)
    bucket = site.app.bucket("provincial", "bureau")
    pack = max(bucket.list("registry/data/"), key=lambda each: each.size_bytes).key
    good = bucket.get(pack)
    middle = len(good) // 2
    bucket.put(
        pack, good[:middle] + bytes(each ^ 0xFF for each in good[middle : middle + 4096]) + good[middle + 4096 :]
    )

    ended = site.tricenter("drill", "run", "registry", "--centre", "provincial", code=4)
    assert "失败 FAILED" in ended.stdout
    (found,) = drills(site)
    assert found["verdict"] == "failed"
    assert only(found)["measured"]["rpo_seconds"] > 0
    assert "failed" in [each["outcome"] for each in found["attempts"] if each["system"]]
    assert (site.app.state / "reports" / f"{found['drill']}.html").exists()
    assert scratch_folders(site) == []
    assert site.json("drill", "run", "registry", "--centre", "same-city")["verdict"] == "met"


def test_a_centre_without_a_point_fails_the_drill_and_says_what_is_missing(fresh_site: SmallSite) -> None:
    ended = fresh_site.tricenter("drill", "run", "bureau-registry", "--centre", "provincial", code=4)
    assert "no recovery point at provincial" in ended.stderr
    (found,) = drills(fresh_site)
    assert (found["verdict"], only(found)["point"]) == ("failed", None)

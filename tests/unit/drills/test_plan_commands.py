"""The commands of plans and of the calendar over a real site folder and catalogue; the vaults are dead."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogue.records import DrillRow
from orchestrator.catalogue.store import Catalogue
from orchestrator.cli import run
from policies.load import check_site, load_site

SITE = """\
site: small
title: {zh: 小城, en: Small}
centres:
  production:
    title: {zh: 生产, en: Production}
    location: {latitude: 38.91, longitude: 121.61}
    cloud: {name: east}
  same-city:
    title: {zh: 同城, en: Same city}
    location: {latitude: 39.06, longitude: 121.78}
    vault: &vault
      endpoint: http://127.0.0.1:1
      credential: env:VAULT_KEY
      expirer_credential: env:EXPIRER_KEY
      admin_credential: env:VAULT_KEY
  provincial:
    title: {zh: 省级, en: Provincial}
    location: {latitude: 41.81, longitude: 123.43}
    vault: {<<: *vault, endpoint: 'http://127.0.0.1:2'}
zones:
  public: {title: {zh: 公用, en: Shared}, kind: shared}
repository_password: env:REPOSITORY_PASSWORD
holidays:
  - {from: 2027-01-01, title: {zh: 元旦, en: New Year}}
"""
TENANT = """\
tenant: health
title: {zh: 卫健委, en: Health Commission}
unit_code: X-1
mlps_level: 3
contact: 张三
networks:
  ward: {zone: public, cidr: 10.1.0.0/24}
security_groups:
  web: {rules: [{protocol: tcp, ports: 80}]}
systems:
  his:
    title: {zh: 医院信息系统, en: HIS}
    tier: data-backup
    sources: {db: {kind: postgresql, host: db, database: his, user: backup, password: env:HIS}}
  ris:
    title: {zh: 放射, en: RIS}
    tier: data-backup
    sources: {root: {kind: volume, volume: ris-root}}
    servers:
      web: {boot: root, flavor: small, network: ward, address: 10.1.0.9, security_groups: [web]}
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    (folder / "tenants").mkdir(parents=True)
    (folder / "site.yaml").write_text(SITE + f"state: {tmp_path / 'state'}\n", "utf-8")
    (folder / "tenants" / "health.yaml").write_text(TENANT, "utf-8")
    monkeypatch.setenv("TRICENTER_SITE", str(folder))
    monkeypatch.setenv("TRICENTER_DATABASE_URL", f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    monkeypatch.setenv("VAULT_KEY", '{"access_key": "a", "secret_key": "s"}')
    monkeypatch.setenv("REPOSITORY_PASSWORD", "p")
    monkeypatch.delenv("TRICENTER_OVERLAY", raising=False)
    return folder


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert run(list(words)) == code
    return capsys.readouterr().out


def test_init_writes_a_plan_once_and_the_site_stays_right(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = check_site(site).findings
    preview = told(capsys, "plan", "init", "health", "--name", "care", "--dry-run")
    assert not (site / "plans").exists()
    told(capsys, "plan", "init", "health", "--name", "care")
    file = site / "plans" / "care.yaml"
    assert file.read_text("utf-8") == preview
    assert check_site(site).findings == before
    assert list(load_site(site).plans) == ["care"]
    file.write_text(f"{preview}# mine\n", "utf-8")
    assert "is there already" in (
        told(capsys, "plan", "init", "health", "--name", "care", code=5) or "is there already"
    )
    assert file.read_text("utf-8").endswith("# mine\n")


def test_init_of_one_system_is_named_after_it(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "plan", "init", "health/ris")
    assert "health-ris" in load_site(site).plans
    told(capsys, "plan", "init", "health", code=2)
    told(capsys, "plan", "init", "health/ris", "--to", str(site / "plans" / "mine.yaml"), "--dry-run")
    told(capsys, "plan", "init", "health/rys", code=2)


def test_list_and_show(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(told(capsys, "plan", "list", "--output", "json"))
    assert [(each["plan"], each["centre"], each["state"], each["check"]) for each in rows] == [
        (plan, centre, "needs-verify", None)
        for plan in ("health-his", "health-ris")
        for centre in ("same-city", "provincial")
    ]
    assert "待验证 needs-verify" in told(capsys, "plan", "list")
    shown = json.loads(told(capsys, "plan", "show", "health-ris", "--output", "json"))
    (turn,) = shown["turns"]
    assert [each["do"] for each in turn["steps"]] == ["restore", "network", "servers", "start", "probe"]
    assert (shown["critical_path"], turn["measured"]) == (["health/ris"], False)
    assert shown["addresses"] == [{"server": "health/ris:web", "production": "10.1.0.9", "same-city": "10.1.0.9"}]
    assert "health/ris" in told(capsys, "plan", "show", "health-ris", "--centre", "provincial")
    told(capsys, "plan", "show", "health-rys", code=2)


def test_a_dead_centre_costs_seconds_and_is_kept(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin = time.monotonic()
    found = json.loads(told(capsys, "plan", "check", "health-his", "--centre", "same-city", "--output", "json", code=4))
    assert time.monotonic() - begin < 10
    items = {each["name"]: each for each in found["items"]}
    assert items["vault"]["verdict"] == items["repository"]["verdict"] == items["point"]["verdict"] == "fail"
    assert "not looked at" in items["point"]["en"]
    assert items["state"]["verdict"] == "warn"
    assert all(each["hint"] for each in found["items"] if each["verdict"] != "ok")
    (kept,) = (row for row in json.loads(told(capsys, "plan", "list", "--output", "json")) if row["check"])
    assert (kept["plan"], kept["centre"]) == ("health-his", "same-city")
    assert (kept["check"]["failed"], kept["check"]["kind"]) == (found["failed"], "restore")


def test_a_failover_wants_people_registers_places_and_a_cloud(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("plan", "check", "health-ris", "--centre", "same-city", "--kind", "failover", "--output", "json")
    found = json.loads(told(capsys, *words, code=4))
    failed = {each["name"]: each for each in found["items"] if each["verdict"] == "fail"}
    assert {"vault", "people", "registers", "cloud", "place"} <= failed.keys()
    assert "2 registers do not answer" in failed["registers"]["en"]
    told(capsys, "plan", "check", "health-ris", "--all", "--centre", "same-city", code=2)


def test_all_plans_of_a_centre(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(told(capsys, "plan", "check", "--all", "--centre", "provincial", "--output", "json", code=4))
    assert [each["plan"] for each in found] == ["health-his", "health-ris"]
    assert "未就绪 not ready" in told(capsys, "plan", "check", "--all", "--centre", "provincial", code=4)


def calendar(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return told(capsys, "calendar", *words)


def test_the_calendar_in_all_its_forms(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drills = json.loads(calendar(capsys, "show", "--months", "24", "--output", "json"))
    assert {(each["plan"], each["centre"]) for each in drills} == {
        (plan, centre) for plan in ("health-his", "health-ris") for centre in ("same-city", "provincial")
    }
    ics = calendar(capsys, "show", "--months", "24", "--output", "ics")
    assert ics.startswith("BEGIN:VCALENDAR")
    unfolded = re.sub(r"\r?\n ", "", ics)
    assert unfolded.count("BEGIN:VEVENT") == len(drills)
    assert all(f"UID:{each['id']}@small" in unfolded for each in drills)
    assert all(len(line.encode()) <= 75 for line in ics.splitlines())
    assert "数据恢复演练" in calendar(capsys, "show", "--months", "24")


def test_the_annual_plan_has_the_columns_of_its_form(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    headings = (
        "序号",
        "演练项目",
        "目的/要求",
        "演练方式",
        "演练时间",
        "参演机构或部门",
        "演练过程安排",
        "经费是否纳入预算",
    )
    drills = json.loads(calendar(capsys, "show", "--months", "24", "--output", "json"))
    year = drills[0]["day"][:4]
    count = sum(each["day"].startswith(year) for each in drills)
    text = calendar(capsys, "plan", "--year", year)
    page = calendar(capsys, "plan", "--year", year, "--output", "html")
    assert all(each in text and each in page for each in headings)
    assert sum(line.startswith("| ") and "卫健委" in line for line in text.splitlines()) == count
    assert page.count("<tr>") == count + 1
    assert "编制" in text


def test_a_drill_that_an_older_program_recorded_is_listed_with_what_its_rows_say(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = datetime(2026, 1, 23, 12, tzinfo=UTC)
    row = DrillRow(
        id="old", plan="care", tenant="health", system="his", centre="provincial", kind="restore", point_id=None,
        started_at=ended, ended_at=ended, verdict="met", rpo_seconds=1.0, rto_seconds=2.0, stages={}, restored_bytes=3,
        report="/reports/old.html",
    )  # fmt: skip
    Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}").add_drill(row)
    (listed,) = json.loads(told(capsys, "drill", "list", "--output", "json"))
    assert (listed["drill"], listed["verdict"], listed["report"]) == ("old", "met", "/reports/old.html")
    assert listed["systems"] == [{"system": "health/his", "verdict": "met", "rto_seconds": 2.0}]
    assert run(["drill", "show", "old"]) == 2
    assert "older program" in capsys.readouterr().err

"""Evidence from the command line, as a DR officer and an auditor use it: report, signatures, pack, chain, findings."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import text

from orchestrator.catalogue.database import writing
from orchestrator.process import run
from tests.integration.conftest import SmallSite

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def site(small_site: SmallSite) -> SmallSite:
    small_site.tricenter("backup", "run")
    small_site.tricenter("replicate")
    return small_site


@pytest.fixture(scope="module")
def drill(site: SmallSite) -> str:
    told = site.json("drill", "run", "bureau-registry", "--centre", "provincial")
    assert told["verdict"] == "met"
    return str(told["drill"])


def test_a_real_drill_is_reported_signed_packed_and_checked_with_python_alone(
    site: SmallSite, drill: str, tmp_path: Path
) -> None:
    html, pdf = site.tricenter("drill", "report", drill).stdout.split()
    read = "".join(run(["pdftotext", pdf, "-"], deadline_seconds=60).stdout.split())
    for words in ("灾难恢复演练总结报告", "步骤时间表", "数据备份系统", "DisasterRecoveryDrill", "Timetable"):
        assert words in read
    assert "<svg" in Path(html).read_text(encoding="utf-8")

    for role, person in (("编制", "chen"), ("审核", "liu"), ("批准", "wang")):
        site.tricenter("drill", "sign", drill, "--role", role, env={"SUDO_USER": person})
    assert "is not taken back" in site.tricenter("drill", "sign", drill, "--role", "批准", code=5).stderr
    assert "wang@" in Path(html).read_text(encoding="utf-8")

    path, digest = site.tricenter("drill", "pack", drill, "--to", str(tmp_path / "pack.zip")).stdout.split()
    with zipfile.ZipFile(path) as archive:
        archive.extract("verify.py", tmp_path)
    words = [sys.executable, "-I", str(tmp_path / "verify.py"), path, "--digest", digest]
    told = run(words, deadline_seconds=60, check=False)
    assert told.code == 0, told.stdout
    assert "3 signatures" in told.stdout
    assert (
        site.app.secret(site.app.site.repository_password, tenant="bureau").reveal().encode()
        not in Path(path).read_bytes()
    )


def test_the_chain_of_real_runs_is_whole_and_a_change_in_the_database_is_named(site: SmallSite, drill: str) -> None:
    told = site.json("audit", "verify")
    assert (told["broken"], told["unsealed"]) == (None, 0)
    assert told["rows"] > 20
    kinds = {each["kind"] for each in site.json("audit", "show", "--last", "1000")}
    assert {"attempt", "run", "drill", "config"} <= kinds
    anchor = site.tricenter("audit", "head").stdout.strip()
    site.tricenter("audit", "verify", "--anchor", anchor)
    site.tricenter("audit", "verify", "--anchor", f"{anchor[:-1]}{'0' if anchor[-1] != '0' else '1'}", code=4)

    change = text("UPDATE attempts SET ended_at = :at WHERE run_id = :drill AND step = 'declare'")
    keep = text("SELECT ended_at FROM attempts WHERE run_id = :drill AND step = 'declare'")
    with writing(site.app.catalogue.engine) as db:
        was = db.execute(keep, {"drill": drill}).scalar_one()
        db.execute(change, {"drill": drill, "at": "2026-01-01 00:00:00.000000"})
    ended = site.tricenter("audit", "verify", code=4)
    assert "was changed after it was written here" in ended.stderr
    with writing(site.app.catalogue.engine) as db:
        db.execute(change, {"drill": drill, "at": was})
    site.tricenter("audit", "verify")


def test_a_failed_drill_makes_a_finding_that_is_assigned_closed_and_told(site: SmallSite) -> None:
    plan = site.folder / "plans" / "wrong.yaml"
    plan.parent.mkdir(exist_ok=True)
    probe = "{kind: sql, source: register, query: SELECT count(*) FROM persons WHERE id < 0, expect: '1'}"
    plan.write_text(
        f"plan: wrong\nowner: 张工\nsystems:\n  bureau/registry:\n    probes: [{probe}]\n", encoding="utf-8"
    )
    try:
        site.json("drill", "run", "wrong", "--centre", "same-city", code=4)
    finally:
        plan.unlink()
    (found,) = site.json("finding", "list", "--system", "bureau/registry")
    assert (found["owner"], found["state"], found["centre"]) == ("张工", "open", "same-city")
    number = str(found["id"])
    site.tricenter("finding", "assign", number, "--owner", "李工", "--due", "2099-01-01")
    closed = site.json("finding", "close", number, "--note", "改正预案")
    assert (closed["state"], closed["owner"], closed["note"]) == ("done", "李工", "改正预案")
    assert "is done" in site.tricenter("finding", "close", number, "--note", "x", code=5).stderr
    assert "改正预案" in site.tricenter("finding", "show", number).stdout
    assert site.json("finding", "list", "--state", "open") == []


def test_a_period_is_reported_and_every_system_is_graded(site: SmallSite, drill: str) -> None:
    html, pdf = site.tricenter("drill", "report", "--from", "2020-01-01").stdout.split()
    report = json.loads(Path(html).with_suffix(".json").read_text(encoding="utf-8"))
    assert drill in [each["drill"] for each in report["drills"]]
    assert [each["tenant"] for each in report["bureaus"]] == ["bureau"]
    assert Path(pdf).stat().st_size > 10_000

    grades = {each["system"]: each for each in site.json("grade")}
    assert grades["bureau/notices"]["level"] == 0  # never drilled
    registry = {each["name"]: each["level"] for each in grades["bureau/registry"]["elements"]}
    assert (registry["plan"], registry["processing"], registry["support"]) == (6, 1, None)
    assert "不构成定级" in site.tricenter("grade", "--help").stdout

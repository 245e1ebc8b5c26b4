"""validate, init and schema as a person meets them: what they print, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.cli import run
from orchestrator.errors import InvalidInput, Refused
from orchestrator.sites.starter import write_starter

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "dalian"
BROKEN = ROOT / "tests" / "unit" / "policies" / "broken_site"


@pytest.fixture(autouse=True)
def no_site_of_the_shell(monkeypatch):
    monkeypatch.delenv("TRICENTER_SITE", raising=False)
    monkeypatch.delenv("TRICENTER_OVERLAY", raising=False)


def test_a_right_site_is_one_line_of_counts(capsys):
    assert run(["validate", str(EXAMPLE)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    for part in ("dalian", "3 个中心", "7 个租户", "12 个系统", "data-backup 3, remote-dr 3, same-city-dr 6"):
        assert part in line


def test_the_site_may_be_named_by_the_option(capsys):
    assert run(["--site", str(EXAMPLE), "validate"]) == 0
    assert "dalian" in capsys.readouterr().out


def test_faults_are_listed_one_a_line_and_the_code_is_2(capsys):
    assert run(["validate", str(BROKEN)]) == 2
    lines = capsys.readouterr().out.splitlines()
    found = [line for line in lines if "tenants[health].systems.his.tier" in line]
    assert found == [
        "错误 fault  tenants/health.yaml:26  tenants[health].systems.his.tier  got remot-dr  want a tier of this site"
        "  (did you mean remote-dr?)"
    ]
    assert len(lines) == len((BROKEN.with_name("broken_site.expected.txt")).read_text("utf-8").splitlines()) + 1
    assert "\x1b[" not in "".join(lines)


def test_json_has_the_findings_and_the_counts(capsys):
    assert run(["validate", str(BROKEN), "--output", "json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert report["valid"] is False
    assert {"file", "line", "path", "got", "want", "hint", "severity"} == set(report["findings"][0])
    assert run(["validate", str(EXAMPLE), "--output", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["valid"], report["site"], report["systems"], report["findings"]) == (True, "dalian", 12, [])


def test_an_overlay_is_looked_at_as_well_and_the_shells_only_for_its_own_site(capsys, tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("stat: /tmp\n", "utf-8")
    assert run(["validate", str(EXAMPLE), "--overlay", str(overlay)]) == 2
    assert run(["--site", str(EXAMPLE), "--overlay", str(overlay), "validate"]) == 2
    starter = tmp_path / "starter"
    write_starter(starter)
    assert run(["--site", str(EXAMPLE), "--overlay", str(overlay), "validate", str(starter)]) == 0


def test_without_a_site_the_message_says_how_to_name_one(capsys):
    assert run(["validate"]) == 2
    assert "TRICENTER_SITE" in capsys.readouterr().err


def test_init_writes_a_site_that_is_right(capsys, tmp_path):
    assert run(["init", str(tmp_path / "deep" / "site")]) == 0
    assert run(["validate", str(tmp_path / "deep" / "site")]) == 0
    assert "my-city" in capsys.readouterr().out


def test_init_fills_an_empty_folder_and_refuses_any_other(capsys, tmp_path):
    assert run(["init", str(tmp_path)]) == 0
    assert run(["init", str(tmp_path)]) == 5
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine", "utf-8")
    assert run(["init", str(tmp_path / "other")]) == 5
    assert [each.name for each in (tmp_path / "other").iterdir()] == ["mine.txt"]
    assert "mine.txt" in capsys.readouterr().err


def test_a_start_that_was_killed_half_way_is_finished_by_the_next(tmp_path):
    files = write_starter(tmp_path / "whole")
    half = tmp_path / "half"
    for file in files[:2]:
        target = half / file.relative_to(tmp_path / "whole")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    (half / "tiers").mkdir(exist_ok=True)
    (half / "tiers" / ".archive.yaml.part").write_bytes(b"tier: ar")
    assert {each.relative_to(half) for each in write_starter(half)} == {
        each.relative_to(tmp_path / "whole") for each in files
    }
    assert not list(half.rglob("*.part"))


def test_a_file_of_the_starter_that_was_changed_is_not_overwritten(tmp_path):
    (tmp_path / "tiers").mkdir()
    (tmp_path / "tiers" / "archive.yaml").write_text("mine\n", "utf-8")
    with pytest.raises(Refused):
        write_starter(tmp_path)
    assert (tmp_path / "tiers" / "archive.yaml").read_text("utf-8") == "mine\n"


def test_init_into_a_file_says_so(tmp_path):
    (tmp_path / "file").write_text("x", "utf-8")
    with pytest.raises(InvalidInput):
        write_starter(tmp_path / "file")


@pytest.mark.parametrize("kind", ["site", "tier", "tenant", "plan"])
def test_schema_prints_a_schema(capsys, kind):
    assert run(["schema", kind]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"].startswith("https://json-schema.org/")


def test_schema_without_a_kind_prints_all(capsys):
    assert run(["schema"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"site", "tier", "tenant", "plan"}

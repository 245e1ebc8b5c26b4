import json
from pathlib import Path

import pytest

from orchestrator.cli import run
from orchestrator.lab.layout import Lab, remember


def test_status_of_a_lab_that_was_never_made_is_four(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "status", "--dir", str(tmp_path), "--output", "json"]) == 4
    servers = json.loads(capsys.readouterr().out)["servers"]
    assert {each["state"] for each in servers} == {"stopped"}
    assert {each["centre"] for each in servers} == {"production", "same-city", "provincial", "shared"}
    assert len({each["server"] for each in servers}) == len(servers)


def test_down_of_a_lab_that_was_never_made_does_nothing(tmp_path: Path) -> None:
    assert run(["lab", "down", "--dir", str(tmp_path / "none")]) == 0
    assert not (tmp_path / "none").exists()


def test_up_without_root_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert run(["lab", "up", "--dir", str(tmp_path / "lab")]) == 2
    assert "needs root" in capsys.readouterr().err
    assert not (tmp_path / "lab").exists()


def test_env_quotes_and_names_the_lab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remember(Lab(tmp_path / "lab", 31_000))
    assert run(["lab", "env", "--dir", str(tmp_path / "lab")]) == 0
    out = capsys.readouterr().out
    assert f"export TRICENTER_LAB={tmp_path}/lab\n" in out
    assert f"export OS_CLIENT_CONFIG_FILE={tmp_path}/lab/clouds.yaml\n" in out


def test_seed_without_a_site_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "seed", "--dir", str(tmp_path)]) == 2
    assert "no site" in capsys.readouterr().err

"""A real drill watched: by the command that holds it, by another process at the same time, and afterwards."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from orchestrator.process import run, spawn, started_at
from tests.integration.conftest import DEADLINE_SECONDS, TRICENTER, SmallSite
from tests.integration.test_drills import prepared

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def site(small_site: SmallSite) -> SmallSite:
    return prepared(small_site)


def test_a_drill_is_watched_by_its_own_command_and_by_another(site: SmallSite, tmp_path: Path) -> None:
    log = tmp_path / "drill.log"
    pid = spawn(
        [TRICENTER, "drill", "run", "registry", "--centre", "same-city", "--watch"], env=site.variables(), log=log
    )
    end = time.monotonic() + DEADLINE_SECONDS
    while not site.attempt_is_open("systems"):
        assert started_at(pid) is not None, log.read_text()
        assert time.monotonic() < end
        time.sleep(0.01)
    words = [TRICENTER, "drill", "watch", "--output", "json"]
    other = run(words, env=site.variables(), deadline_seconds=DEADLINE_SECONDS, check=False)
    assert other.code == 0, other.stderr
    events = [json.loads(line) for line in other.stdout.splitlines()]
    assert [each["event"] for each in events].count("end") == 1
    assert events[-1]["systems"][0]["verdict"] == "met"
    steps = {each["step"] for each in events if each["event"] == "ended"}
    assert {"declare", "restore:register", "restore:scans", "systems"} <= steps
    while started_at(pid) is not None:
        assert time.monotonic() < end
        time.sleep(0.05)
    shown = log.read_text()
    assert "恢复数据 · scans" in shown
    assert "RTO" in shown
    assert "达标" in shown
    assert "Traceback" not in shown


def test_a_drill_that_ended_is_watched_as_it_was(site: SmallSite) -> None:
    site.tricenter("drill", "run", "tampered", "--centre", "same-city", code=4)
    shown = site.tricenter("drill", "watch", code=4)
    assert "bureau/registry" in shown.stdout
    assert "0 → " in shown.stdout or "1 → 0" in shown.stdout
    assert "no run named" in site.tricenter("drill", "watch", "nobody", code=2).stderr

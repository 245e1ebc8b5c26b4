"""The verdict on a drill that is talked through: what people confirmed, system by system, and no times."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.evidence import conclude
from drills.probes import ProbeResult
from tests.unit.drills.recorded import DRILL, INSURANCE, POPULATION, WINDOW, Recorded, good, scenario


@pytest.mark.parametrize(("unsaid", "failed"), [(None, set()), (INSURANCE, {INSURANCE})])
def test_each_system_is_judged_by_what_was_said_of_it_and_nothing_is_measured(
    tmp_path: Path, unsaid: str | None, failed: set[str]
) -> None:
    recorded = Recorded(tmp_path)
    recorded.run(DRILL, "running")
    said = []
    for number, name in enumerate((POPULATION, INSURANCE, WINDOW)):
        for label in ("restore", "probe"):
            left = ProbeResult(f"talk:{label}", False, "confirmed", "li: no") if name == unsaid else good(label)
            said += [
                (f"wait:talk:{name}:{label}", 10.0 * number, 5.0, {}),
                (f"probe:talk:{label}:{name}", 10.0 * number + 5, 0.1, left),
            ]
    recorded.tell(DRILL, [("declare", 0, 0.01, scenario("tabletop")), *said])
    rows = conclude(recorded.catalogue, DRILL, tmp_path)
    assert {f"{each.tenant}/{each.system}" for each in rows if each.verdict == "failed"} == failed
    assert {str(each.verdict) for each in rows} <= {"met", "failed"}
    assert [(each.rto_seconds, each.rpo_seconds, each.restored_bytes) for each in rows] == [(None, None, 0)] * 3


def test_nobody_said_anything(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path)
    recorded.run(DRILL, "running")
    recorded.tell(DRILL, [("declare", 0, 0.01, scenario("tabletop"))])
    assert {str(each.verdict) for each in conclude(recorded.catalogue, DRILL, tmp_path)} == {"failed"}

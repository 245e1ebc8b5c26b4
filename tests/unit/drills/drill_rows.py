"""A drill as rows: made up here, in the shape in which real steps leave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from drills.evidence import Evidence, describe
from drills.measure import Objective
from drills.probes import ProbeResult
from drills.scenario import Part, Scenario
from orchestrator.catalogue.records import AttemptRow, DrillRow, Outcome, RunRow, RunState
from orchestrator.engine.journal import as_evidence

BEGIN = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
DRILL = "20261123T020000Z-3f9a1c"
PART_RUN = "20261123T020001Z-77aa01"

SYSTEM = "natural-resources/land-registry"

PART = Part(
    tenant="natural-resources",
    tenant_title={"zh": "市自然资源局", "en": "Bureau of Natural Resources"},
    contact="李科长 0411-00000001",
    system="land-registry",
    system_title={"zh": "不动产登记系统", "en": "Land registry"},
    tier="remote-dr",
    tier_title={"zh": "基础应用系统异地容灾", "en": "Remote DR for base applications"},
    gbt20988_level=4,
    objective=Objective(rpo_seconds=3600, rto_seconds=43200),
    after=(),
    steps=(
        {"do": "restore", "name": None, "on_failure": "halt"},
        {"do": "probe", "name": None, "on_failure": "halt"},
    ),
    probes=({"kind": "manifest", "source": "files"}, {"kind": "fingerprint", "source": "db"}),
)

SCENARIO = Scenario(
    kind="restore",
    site="dalian",
    site_title={"zh": "大连市政务云", "en": "Dalian Government Cloud"},
    plan="land-registry",
    plan_title={"zh": "不动产登记系统异地恢复预案", "en": "Remote recovery of the land registry"},
    plan_digest="e" * 64,
    owner="张工 0411-00000000",
    centre="provincial",
    centre_title={"zh": "辽宁省级灾备中心", "en": "Liaoning provincial DR centre"},
    production_title={"zh": "大连市政务云计算中心", "en": "Dalian government cloud centre"},
    distance_km=355.8,
    deadline_seconds=86400,
    outage_at=None,
    reason="",
    operator="dr-officer",
    host="orchestrator-1",
    program="tricenter 0.1.0",
    systems=(PART,),
)

POINT = {
    "point": {
        "id": "20261123T012000Z-aaaaaa",
        "data_time": (BEGIN - timedelta(minutes=40)).isoformat(),
        "document": "d" * 64,
        "sources": [
            {"source": "files", "kind": "path", "bytes": 52_000_000, "files": 412, "snapshot_id": "a" * 64},
            {"source": "db", "kind": "postgresql", "bytes": 9_800_000, "files": 1, "snapshot_id": "b" * 64},
        ],
    },
    "centre": "provincial",
    "landed_at": (BEGIN - timedelta(minutes=35)).isoformat(),
}

PASSED = (
    ProbeResult("manifest:files", True, "412 files, 52000000 bytes", "412 files, 0 differences"),
    ProbeResult("fingerprint:db", True, "3 tables, 74000 rows", "3 tables, 74000 rows, 0 differences"),
    ProbeResult("sql:db", True, "0", "0", ("select count(*) from permits p where not exists (select 1)",)),
)

#: name, seconds that it takes, what it leaves
Step = tuple[str, float, Any]


def steps(probes: Sequence[ProbeResult] = PASSED) -> list[Step]:
    return [
        ("declare", 0.01, SCENARIO),
        (f"choose-point:{SYSTEM}", 0.4, POINT),
        ("systems", 0.2, None),
        ("prepare-scratch", 0.02, "/scratch"),
        ("fetch-document", 1.1, {"program": "tricenter 0.1.0"}),
        ("restore:files", 2.6, {"bytes": 52_000_000}),
        ("start:db", 1.3, {"user": "postgres"}),
        ("restore:db", 3.2, {"bytes": 9_800_000}),
        *((f"probe:{n}:{each.name}", 0.5, each) for n, each in enumerate(probes, 1)),
    ]


def rows(told: Sequence[Step], gap: float = 0.003) -> list[AttemptRow]:
    """Return rows that follow each other with a small gap. An exception as what is left makes a failed attempt."""
    result, moment = [], BEGIN
    for number, (name, seconds, left) in enumerate(told, 1):
        failed = isinstance(left, Exception)
        end = moment + timedelta(seconds=seconds)
        result.append(
            AttemptRow(
                id=number,
                run_id=DRILL,
                generation=1,
                step=name,
                started_at=moment,
                ended_at=end,
                outcome=Outcome.FAILED if failed else Outcome.PASSED,
                error_type=type(left).__name__ if failed else None,
                error=str(left) if failed else None,
                detail=None if failed else as_evidence(left),
            )
        )
        moment = end + timedelta(seconds=gap)
    return result


#: The steps of the whole; the others are those of the system's own run.
WHOLE = ("declare", "choose-point", "systems", "record")


def evidence(told: Sequence[Step]) -> Evidence:
    """Return the evidence of a drill with these steps, in the run of the whole and in that of its one system."""
    attempts = rows(told)
    whole = [each for each in attempts if each.step.partition(":")[0] in WHOLE]
    own = [replace(each, run_id=PART_RUN) for each in attempts if each not in whole]
    failed = next((each for each in own if each.outcome is Outcome.FAILED), None)
    part = RunRow(
        PART_RUN, "recover", f"{SYSTEM}@provincial", {"system": SYSTEM}, (),
        RunState.FAILED if failed else RunState.DONE, 0, None, None, "", "dr-officer", BEGIN, BEGIN, BEGIN, 1, "w",
        None, None, None, None, None, None, None,
        failed.error_type if failed else None, failed.error if failed else None, None, None, None, DRILL, SYSTEM,
    )  # fmt: skip
    return Evidence(DRILL, whole, [part] if own else [], {PART_RUN: own})


def document(told: Sequence[Step]) -> dict[str, Any]:
    """Return the evidence document of a drill with these steps, with the row that they make."""
    seen = evidence(told)
    (system,) = seen.systems
    measured = system.measured
    row = DrillRow(
        DRILL, "land-registry", "natural-resources", "land-registry", "provincial", "restore",
        "20261123T012000Z-aaaaaa", BEGIN, system.ended_at, system.verdict, measured.rpo_seconds, measured.rto_seconds,
        measured.reached(), system.restored_bytes, None, "e" * 64,
    )  # fmt: skip
    return describe([row], seen)

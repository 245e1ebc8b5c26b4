"""A catalogue with a sandbox drill of three systems in it, as its rows are at a moment of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from drills.measure import Objective
from drills.probes import ProbeResult
from drills.scenario import Part, Scenario
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import now, writing
from orchestrator.catalogue.store import Catalogue
from orchestrator.engine.journal import as_evidence
from tests.unit.drills.drill_rows import PART, SCENARIO

DRILL = "20261123T020000Z-3f9a1c07"
POPULATION, INSURANCE, WINDOW = (
    "public-security/population-base",
    "human-resources/social-insurance",
    "government-services/one-window",
)
TITLES = {POPULATION: "人口基础信息库", INSURANCE: "社会保险核心业务系统", WINDOW: "一网通办平台"}

#: step, seconds from the beginning, how long it takes (None: it goes on), what it leaves
Told = tuple[str, float, float | None, Any]

STEPS = ("restore", "network", "servers", "start", "probe")


def part_of(name: str, after: tuple[str, ...], rto: float) -> Part:
    tenant, _, system = name.partition("/")
    steps = tuple({"do": each, "name": None, "on_failure": "halt", "kinds": []} for each in STEPS)
    return replace(
        PART,
        tenant=tenant,
        system=system,
        system_title={"zh": TITLES[name], "en": system},
        objective=Objective(rpo_seconds=3600, rto_seconds=rto),
        after=after,
        steps=steps,
        probes=(),
    )


def scenario(kind: Any = "sandbox") -> Scenario:
    return replace(
        SCENARIO,
        kind=kind,
        plan="citizen-services",
        plan_title={"zh": "便民服务综合预案", "en": "Citizen services"},
        centre="same-city",
        deadline_seconds=3 * 3600,
        systems=(
            part_of(POPULATION, (), 7200),
            part_of(INSURANCE, (), 300),
            part_of(WINDOW, (POPULATION, INSURANCE), 7200),
        ),
    )


class Recorded:
    """A catalogue of one drill. Its clock stands: what is written lies so many seconds after the beginning."""

    def __init__(self, folder: Path, begin: datetime | None = None) -> None:
        self.catalogue = Catalogue(f"sqlite:///{folder / 'catalogue.sqlite'}")
        self.begin = begin or now() - timedelta(seconds=200)

    def at(self, seconds: float) -> datetime:
        return self.begin + timedelta(seconds=seconds)

    def run(self, run_id: str, state: str, **more: Any) -> None:
        ended = state in ("done", "failed", "aborted", "interrupted")
        values = {
            "id": run_id,
            "flow": "drill",
            "subject": "citizen-services@same-city",
            "arguments": {"plan": "citizen-services", "centre": "same-city", "kind": "sandbox"},
            "slots": [],
            "state": state,
            "priority": 0,
            "reason": "",
            "requested_by": "wangmin",
            "queued_at": self.at(0),
            "started_at": None if state == "queued" else self.at(0),
            "ended_at": self.at(150) if ended else None,
            "generation": 0 if state == "queued" else 1,
            **more,
        }
        with writing(self.catalogue.engine) as db:
            db.execute(insert(t.runs).values(**values))

    def part(self, name: str, state: str, **more: Any) -> str:
        run_id = f"20261123T020100Z-{abs(hash(name)) % 0xFFFFFFFF:08x}"
        arguments = {"system": name, "drill": DRILL}
        slots = ["vault:same-city", f"tenant:{name.partition('/')[0]}"]
        given = {"flow": "recover", "subject": f"{name}@same-city", "arguments": arguments, "slots": slots}
        self.run(run_id, state, **{**given, "parent": DRILL, "part": name, **more})
        return run_id

    def tell(self, run_id: str, told: list[Told]) -> None:
        rows = []
        for step, begin, seconds, left in told:
            failed = isinstance(left, Exception)
            open_ = seconds is None
            rows.append(
                {
                    "run_id": run_id,
                    "generation": 1,
                    "step": step,
                    "started_at": self.at(begin),
                    "ended_at": None if seconds is None else self.at(begin + seconds),
                    "outcome": "started" if open_ else "failed" if failed else "passed",
                    "error_type": type(left).__name__ if failed else None,
                    "error": str(left) if failed else None,
                    "detail": None if failed or open_ else as_evidence(left),
                }
            )
        with writing(self.catalogue.engine) as db:
            db.execute(insert(t.attempts), rows)

    def wait(self, run_id: str, topic: str, since: float) -> None:
        with writing(self.catalogue.engine) as db:
            db.execute(insert(t.waits).values(run_id=run_id, topic=topic, began_at=self.at(since)))

    def hold_slot(self, run_id: str, slot: str, times: int = 1) -> None:
        with writing(self.catalogue.engine) as db:
            for generation in range(1, times + 1):
                values = {"run_id": run_id, "generation": generation, "slot": slot, "claimed_at": self.at(60)}
                db.execute(insert(t.run_slots).values(**values))

    def point(self, minutes: float) -> dict[str, Any]:
        data_time = self.begin - timedelta(minutes=minutes)
        return {"point": {"id": "20261123T012000Z-aaaaaaaa", "data_time": data_time.isoformat()}, "centre": "same-city"}


def whole(recorded: Recorded, kind: Any = "sandbox") -> list[Told]:
    return [
        ("declare", 0, 0.01, scenario(kind)),
        (f"choose-point:{POPULATION}", 0.1, 0.4, recorded.point(12)),
        (f"choose-point:{INSURANCE}", 0.6, 0.3, recorded.point(55)),
        (f"choose-point:{WINDOW}", 1.0, 0.3, recorded.point(20)),
        ("systems", 1.4, None, None),
    ]


def good(name: str) -> ProbeResult:
    return ProbeResult(name, True, "1", "1")


def recovered(begin: float) -> list[Told]:
    return [
        ("prepare-scratch", begin, 0.1, "/scratch"),
        ("fetch-document", begin + 0.2, 1.2, {}),
        ("restore:disk", begin + 1.5, 38.0, {"bytes": 1 << 30}),
        ("probe:1:image:disk", begin + 40, 4.0, good("image:disk")),
        ("import:disk", begin + 44, 20.0, {}),
        ("network", begin + 64.5, 6.2, {}),
        ("servers", begin + 71, 9.0, {}),
        ("start:app", begin + 80.5, 13.0, {}),
        ("probe:2:http:app", begin + 94, 1.5, good("http:app")),
        ("probe:3:server-sql:app", begin + 96, 0.7, good("server-sql:app")),
    ]


def midway(folder: Path) -> Recorded:
    """Two of three systems under way, one of them recovered, one with a fault; the third has to wait for them."""
    recorded = Recorded(folder)
    recorded.run(DRILL, "waiting", waiting_for="systems")  # for its parts
    recorded.wait(DRILL, "systems", 1.4)
    recorded.tell(DRILL, whole(recorded))
    first = recorded.part(POPULATION, "done")
    recorded.tell(first, recovered(2))
    second = recorded.part(INSURANCE, "running", progress={"what": "disk", "done": 460, "total": 1000})
    bad = ProbeResult("sql:ledger", False, "0", "3 rows with a fee below zero")
    recorded.tell(
        second,
        [
            ("prepare-scratch", 3, 0.1, "/scratch"),
            ("fetch-document", 3.2, 2.1, {}),
            ("restore:ledger", 6, 70.0, {"bytes": 1 << 28}),
            ("probe:1:sql:ledger", 80, 0.4, bad),
            ("restore:disk", 81, None, None),
        ],
    )
    return recorded

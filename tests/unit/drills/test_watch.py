"""A run of a plan as a person sees it: from rows alone, at every moment of it."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import update

from drills.watch import Follower, Timeline, how_to_answer, timeline, told, wave_of
from drills.watch_show import screen
from drills.watching import Companion, exit_code, watch_drill
from drills.words import STEPS
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import now, writing
from orchestrator.errors import UnknownName
from policies.limits import Limit
from tests.unit.drills.recorded import (
    DRILL,
    INSURANCE,
    POPULATION,
    WINDOW,
    Recorded,
    good,
    midway,
    recovered,
    scenario,
    whole,
)


def seen(recorded: Recorded, **limits: Limit) -> Timeline:
    return timeline(Follower(recorded.catalogue, DRILL, limits).look())


def shown(found: Timeline, width: int = 150) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=False)
    console.print(screen(found))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def labels(found: Timeline, name: str) -> dict[str, str]:
    return {beat.label: beat.mark for beat in next(each for each in found.systems if each.name == name).beats}


def test_midway_each_system_says_how_far_it_is(tmp_path: Path) -> None:
    found = seen(midway(tmp_path))
    assert [(each.wave, each.name) for each in found.systems] == [(1, INSURANCE), (1, POPULATION), (2, WINDOW)]
    assert (found.state, found.waits) == ("running", ())
    assert set(labels(found, POPULATION).values()) == {"done"}
    assert labels(found, INSURANCE)["restore"] == "running"
    assert labels(found, INSURANCE)["network"] == "pending"
    first = {each.name: each for each in found.systems}
    assert first[WINDOW].waits_for == (INSURANCE,)
    assert first[POPULATION].rto.over
    assert first[POPULATION].rto.used == pytest.approx(98.7, abs=0.1)
    assert first[POPULATION].verdict == "met"
    assert first[POPULATION].rpo.used == pytest.approx(720, abs=1)
    assert first[INSURANCE].faults == ("probe:1:sql:ledger: 0 → 3 rows with a fee below zero",)
    assert 190 < (first[INSURANCE].rto.used or 0) < 230
    assert found.tightest is first[INSURANCE]
    restored = next(beat for beat in first[POPULATION].beats if beat.label == "restore")
    assert restored.seconds == pytest.approx(64, abs=0.5)  # its image was proved and imported within
    text = shown(found)
    for words in ("一网通办平台", "等 waits for human-resources/social-insurance", "46%", "剩 left", "恢复数据 · disk"):
        assert words in text, words


def test_an_objective_that_is_over_says_by_how_much(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path, begin=now() - timedelta(seconds=400))
    recorded.run(DRILL, "running")
    recorded.tell(DRILL, whole(recorded))
    found = seen(recorded)
    assert found.tightest is not None
    assert found.tightest.name == INSURANCE
    assert "超时 over by" in shown(found)


def test_who_is_waited_for_and_how_to_answer(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path)
    recorded.run(DRILL, "waiting", waiting_for="approve")
    recorded.tell(DRILL, [("declare", 0, 0.01, scenario("switchover")), ("ask", 0.1, 0.1, {})])
    recorded.wait(DRILL, "approve", 0.3)
    found = seen(recorded)
    (wait,) = found.waits
    assert wait.command == f"tricenter drill approve {DRILL}"
    assert [(beat.label, beat.mark) for beat in found.whole][-1] == ("approve", "running")
    text = shown(found)
    assert f"tricenter drill approve {DRILL}" in text
    assert "剩 left" not in text  # nothing is sealed yet: no clock runs, and none stops it
    assert "截止 stopped" not in text
    assert how_to_answer("R", "approve:0af3") == "tricenter drill approve R"
    assert how_to_answer("R", "release") == "tricenter drill release R"
    assert how_to_answer("R", "prompt-doors") == "tricenter drill answer R prompt-doors"


def test_a_tabletop_drill_shows_what_was_talked_through(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path)
    topic = f"talk:{POPULATION}:servers"
    recorded.run(DRILL, "waiting", waiting_for=topic)
    said = [f"probe:talk:{label}:{POPULATION}" for label in ("restore", "network")]
    recorded.tell(DRILL, [("declare", 0, 0.01, scenario("tabletop")), *((step, 1, 0.1, good(step)) for step in said)])
    recorded.wait(DRILL, topic, 2)
    found = seen(recorded)
    marks = labels(found, POPULATION)
    assert (marks["restore"], marks["network"], marks["servers"]) == ("done", "done", "pending")
    states = {each.name: each.state for each in found.systems}
    assert states == {POPULATION: "running", INSURANCE: "pending", WINDOW: "pending"}
    assert f"推演 talk · {POPULATION}:servers" in shown(found)


def test_a_prompt_of_a_part_names_its_system(tmp_path: Path) -> None:
    recorded = midway(tmp_path)
    part = recorded.part(WINDOW, "waiting", waiting_for="prompt-doors")
    recorded.wait(part, "prompt-doors", 90)
    found = seen(recorded)
    assert [(each.run, each.about) for each in found.waits] == [(part, WINDOW)]
    assert "人工 prompt doors" in shown(found)


def test_a_queued_system_names_the_slot_without_room(tmp_path: Path) -> None:
    recorded = midway(tmp_path)
    other = recorded.part("archives/scans", "running")
    recorded.hold_slot(other, "vault:same-city", 2)
    recorded.part(WINDOW, "queued")
    found = seen(recorded, **{"vault:same-city": Limit(concurrent=2)})
    window = next(each for each in found.systems if each.name == WINDOW)
    assert window.state == "queued"
    assert window.waits_for == ("vault:same-city",)
    assert "等名额 waits for room in vault:same-city" in shown(found)


def finished(folder: Path) -> Recorded:
    recorded = Recorded(folder)
    recorded.run(DRILL, "done")
    recorded.tell(DRILL, [*whole(recorded)[:-1], ("systems", 1.4, 130, {}), ("record", 140, 0.1, [])])
    for name, begin in ((POPULATION, 2.0), (INSURANCE, 3.0), (WINDOW, 30.0)):
        recorded.tell(recorded.part(name, "done"), recovered(begin))
    return recorded


def test_after_the_end_it_can_be_watched_as_well(tmp_path: Path) -> None:
    recorded = finished(tmp_path)
    found = seen(recorded)
    assert [each.verdict for each in found.systems] == ["met", "met", "met"]
    assert exit_code(found) == 0
    text = shown(found)
    assert "达标 MET" in text
    assert f"tricenter drill show {DRILL}" in text
    console = Console(file=StringIO(), width=150)
    assert watch_drill(recorded.catalogue, DRILL, {}, console, "table") == 0


def test_plain_lines_tell_everything_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = finished(tmp_path)
    out = StringIO()
    watch_drill(recorded.catalogue, DRILL, {}, Console(file=out, width=150), "table")
    lines = out.getvalue().splitlines()
    assert sum("恢复数据 · disk" in line for line in lines) == 3
    assert sum("校验 · http:app" in line for line in lines) == 3
    assert lines[-1].startswith("human-resources") or "RTO" in lines[-1]
    watch_drill(recorded.catalogue, DRILL, {}, Console(file=StringIO()), "json")
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["event"] == "end"
    assert events[-1]["exit_code"] == 0
    assert {each["system"] for each in events[-1]["systems"]} == {POPULATION, INSURANCE, WINDOW}
    assert sum(each["event"] == "ended" for each in events) == 36


def test_on_a_terminal_it_is_one_picture_that_moves(tmp_path: Path) -> None:
    recorded, out = midway(tmp_path), StringIO()
    console = Console(file=out, width=150, height=40, force_terminal=True)
    with Companion(recorded.catalogue, {}, console) as companion:
        companion.begin(DRILL)
        threading.Event().wait(0.3)
        with writing(recorded.catalogue.engine) as db:
            db.execute(update(t.runs).where(t.runs.c.id == DRILL).values(state="failed", ended_at=now(), error="gone"))
    before, _, after = out.getvalue().rpartition("\x1b[2K")  # it was drawn, wiped, and drawn again
    assert "恢复中 running" in before
    assert "失败 failed" in after
    assert "gone" in after


def test_beside_a_run_it_follows_to_the_end_and_a_missing_run_hurts_nobody(tmp_path: Path) -> None:
    recorded, out = midway(tmp_path), StringIO()
    with Companion(recorded.catalogue, {}, Console(file=out, width=150)) as companion:
        companion.begin(DRILL)
        threading.Event().wait(0.3)
        with writing(recorded.catalogue.engine) as db:
            values = {"state": "aborted", "ended_at": now(), "error": "wang aborted it"}
            db.execute(update(t.runs).where(t.runs.c.id == DRILL).values(**values))
    assert "wang aborted it" in out.getvalue()
    assert out.getvalue().count("恢复数据 · disk") == 1  # of the recovered one; the other is not done
    with Companion(recorded.catalogue, {}, Console(file=out, width=150)) as companion:
        companion.begin("nobody")
    assert "no run named 'nobody'" in out.getvalue()
    with pytest.raises(UnknownName):
        watch_drill(recorded.catalogue, "nobody", {}, Console(file=out), "table")


def test_only_what_can_change_is_read_again(tmp_path: Path) -> None:
    recorded = midway(tmp_path)
    follower = Follower(recorded.catalogue, DRILL, {})
    before = follower.look()
    with writing(recorded.catalogue.engine) as db:
        ended = {"ended_at": now(), "outcome": "passed", "detail": {}}
        db.execute(update(t.attempts).where(t.attempts.c.step == "restore:disk").values(**ended))
    after = follower.look()
    assert len(after.attempts) == len(before.attempts)
    assert all(each.ended_at for each in after.attempts if each.step == "restore:disk")


def test_a_hundred_systems_fit_the_screen(tmp_path: Path) -> None:
    found = seen(midway(tmp_path))
    hundred = tuple(replace(each, name=f"{each.name}-{n}") for n in range(34) for each in found.systems)
    many = replace(found, systems=hundred)
    console = Console(file=StringIO(), width=160)
    console.print(screen(many, height=50))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) <= 60
    (wave,) = (line for line in lines if "第 2 波" in line)
    assert "0/34" in wave
    assert "未轮到 not its turn 34" in wave


def test_every_step_has_words() -> None:
    for step in (
        "declare",
        "seal:a/b:db",
        "look-up:www.x",
        "script-warm-cache",
        "confirmed-prompt-doors",
        "restore:db~2",
    ):
        assert told(step).en, step
    assert told("restore:db~2").zh == "恢复数据 · db (#2)"
    assert told("something-new").zh == "something-new"
    assert STEPS["look-up"]
    assert good("x").passed


def test_waves() -> None:
    assert wave_of({"c": ("b",), "b": ("a",), "a": (), "d": ("a",)}) == {"a": 1, "b": 2, "c": 3, "d": 2}

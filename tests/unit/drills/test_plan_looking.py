"""Looks side by side: what hangs costs its deadline and no more, and what lies behind a dead gate is not waited for."""

from __future__ import annotations

import threading
import time

import pytest

from drills.plans import looking
from drills.plans.looking import Answer, Check, look_at
from orchestrator.errors import CheckFailed
from orchestrator.process import run

GOOD = Answer("ok", "好", "good")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "ITEM_SECONDS", 0.3)
    monkeypatch.setattr(looking, "GATE_SECONDS", 0.2)


def hang() -> Answer:
    threading.Event().wait(20)
    return GOOD


def fail() -> Answer:
    raise CheckFailed("it is broken", hint="mend it")


def bug() -> Answer:
    raise ValueError("x")


def test_each_look_is_told_in_its_order() -> None:
    checks = [Check(f"n{number}", "s", lambda: GOOD) for number in range(20)]
    checks[3] = Check("n3", "s", fail)
    checks[7] = Check("n7", "s", bug)
    found = look_at({}, checks)
    assert [each.name for each in found] == [f"n{number}" for number in range(20)]
    assert {each.name for each in found if each.verdict == "fail"} == {"n3", "n7"}
    assert (found[3].en, found[3].hint) == ("it is broken", "mend it")
    assert found[7].en == "ValueError: x"


def test_what_hangs_holds_nothing_back() -> None:
    begin = time.monotonic()
    found = look_at({}, [Check("slow", "s", hang), *(Check("quick", "s", lambda: GOOD) for _ in range(5))])
    assert time.monotonic() - begin < 2
    assert [each.verdict for each in found] == ["fail", *["ok"] * 5]
    assert "no answer within" in found[0].en


def test_a_child_that_hangs_is_stopped_with_its_look() -> None:
    begin = time.monotonic()

    def act() -> Answer:
        run(["sleep", "30"], deadline_seconds=60)
        return GOOD

    (found,) = look_at({}, [Check("child", "s", act)])
    assert found.verdict == "fail"
    assert time.monotonic() - begin < 2


def test_behind_a_dead_gate_nothing_is_looked_at() -> None:
    asked: list[str] = []

    def look(name: str) -> Answer:
        asked.append(name)
        return GOOD

    gates = {"vault": Check("vault", "far", hang), "cloud": Check("cloud", "far", lambda: GOOD)}
    checks = [
        Check("point", "s", lambda: look("point"), "vault"),
        Check("twin", "s", lambda: look("twin"), "cloud"),
        Check("people", "s", lambda: look("people")),
    ]
    found = look_at(gates, checks)
    assert [(each.name, each.verdict) for each in found] == [
        ("vault", "fail"),
        ("cloud", "ok"),
        ("point", "fail"),
        ("twin", "ok"),
        ("people", "ok"),
    ]
    assert "vault does not answer" in found[2].en
    assert sorted(asked) == ["people", "twin"]

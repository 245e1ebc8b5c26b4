"""Approvals: bound to what was asked, by another person, with a second factor where the site wants one."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from orchestrator.approval import ask_second_factor, digest_of, is_approval, read_approval, send_approval, topic_of
from orchestrator.errors import Refused
from policies.site import ApprovalRule


@dataclass(frozen=True)
class Asked:
    kind: str = "failover"
    plan_digest: str = "d1"
    centre: str = "same-city"
    point: str = "p1"
    epoch: int = 10


class Ledger:
    """Keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Any, str]] = []

    def send(self, run: str, topic: str, message: Any, by: str) -> None:
        self.sent.append((run, topic, message, by))


def waiting(topic: str | None, requested_by: str = "li@a") -> Any:
    return SimpleNamespace(id="run-1", waiting_for=topic, requested_by=requested_by)


@pytest.mark.parametrize(
    "change", [{"kind": "switchover"}, {"plan_digest": "d2"}, {"centre": "provincial"}, {"point": "p2"}, {"epoch": 20}]
)
def test_an_approval_of_something_else_answers_nothing(change: dict[str, Any]) -> None:
    asked, ledger = Asked(), Ledger()
    replayed = topic_of(replace(asked, **change))

    with pytest.raises(Refused, match="what was asked has changed since"):
        send_approval(ledger, None, waiting(topic_of(asked)), replayed, by="wang@b", message="")  # type: ignore[arg-type]
    assert ledger.sent == []


def test_the_same_is_asked_by_the_same_name() -> None:
    assert topic_of(Asked()) == topic_of(Asked())
    assert is_approval(topic_of(Asked()))
    assert is_approval("approve")
    assert not is_approval("commit")
    assert not is_approval(None)


def test_who_declared_does_not_approve_from_another_host_either() -> None:
    ledger = Ledger()
    with pytest.raises(Refused, match="cannot approve it as well"):
        send_approval(ledger, None, waiting("approve"), "approve", by="LI@elsewhere", message="")  # type: ignore[arg-type]
    with pytest.raises(Refused, match="cannot approve it as well"):
        read_approval({"by": "li@elsewhere"}, Asked(), declared_by="li@a", rule=None)


@pytest.mark.parametrize("answer", [None, {"by": "wang@b", "message": "No"}, {"message": "yes"}])
def test_what_is_no_approval(answer: Any) -> None:
    with pytest.raises(Refused, match="not approved"):
        read_approval(answer, Asked(), declared_by="li@a", rule=None)


def test_an_approval() -> None:
    got = read_approval({"by": "wang@b", "message": "go"}, Asked(), declared_by="li@a", rule=None)

    assert (got.by, got.message, got.digest, got.second_factor) == ("wang@b", "go", digest_of(Asked()), False)


@pytest.fixture
def rule(tmp_path: Path) -> ApprovalRule:
    """A second factor that takes 123456 and notes what it was given."""
    program = tmp_path / "factor.py"
    program.write_text(
        "import json, sys\n"
        f"given = json.load(sys.stdin); open({str(tmp_path / 'given')!r}, 'w').write(json.dumps(given))\n"
        "sys.exit(0 if given['code'] == '123456' else 1)\n"
    )
    return ApprovalRule(second_factor=(sys.executable, str(program)))


def test_at_a_terminal_the_code_is_asked_for_where_the_site_wants_one(
    rule: ApprovalRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def prompt(text: str, **_: object) -> str:
        asked.append(text)
        return "wrong" if len(asked) > 1 else "123456"

    monkeypatch.setattr(click, "prompt", prompt)
    ask_second_factor(ApprovalRule(), "wang@b", "offboard-land")
    assert asked == []
    ask_second_factor(rule, "wang@b", "run-1")
    with pytest.raises(Refused, match="not accepted"):
        ask_second_factor(rule, "wang@b", "run-1")


def test_a_second_factor_is_asked_for_and_kept_nowhere(rule: ApprovalRule, tmp_path: Path) -> None:
    ledger = Ledger()
    send_approval(ledger, rule, waiting("approve"), "approve", by="wang@b", message="", code="123456")  # type: ignore[arg-type]

    assert ledger.sent == [("run-1", "approve", {"by": "wang@b", "message": "", "second_factor": True}, "wang@b")]
    assert json.loads((tmp_path / "given").read_text()) == {"person": "wang@b", "code": "123456", "run": "run-1"}


@pytest.mark.parametrize(("code", "told"), [("", "wants a second factor"), ("000000", "was not accepted")])
def test_without_a_good_code_nothing_is_approved(rule: ApprovalRule, code: str, told: str) -> None:
    ledger = Ledger()
    with pytest.raises(Refused, match=told):
        send_approval(ledger, rule, waiting("approve"), "approve", by="wang@b", message="", code=code)  # type: ignore[arg-type]
    assert ledger.sent == []


def test_an_answer_that_came_by_another_way_shows_no_factor(rule: ApprovalRule) -> None:
    with pytest.raises(Refused, match="showed no second factor"):
        read_approval({"by": "wang@b", "message": ""}, Asked(), declared_by="li@a", rule=rule)

"""Approvals: by somebody else than who declared, for exactly what was asked, with a second factor where there is one.

What is asked is bound to its approval by the topic that the run waits on, which holds the digest of it. So an approval
of something else, or of the same at another epoch, answers nothing: nobody waits for it. All ways of approving come
through `send_approval`, and the run itself looks at what it was sent once more.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from orchestrator.engine.journal import as_evidence
from orchestrator.engine.port import Run
from orchestrator.errors import InvalidInput, ProcessFailed, Refused
from orchestrator.person import same_person
from orchestrator.process import run as run_program

if TYPE_CHECKING:
    from orchestrator.catalogue.ledger import Ledger
    from orchestrator.catalogue.records import RunRow
    from policies.site import ApprovalRule

APPROVE = "approve"
#: What an approver says who does not approve.
NO = "no"
FACTOR_SECONDS = 30.0
DIGITS = 16


@dataclass(frozen=True, slots=True)
class Approved:
    """Who approved what, by its digest, with which words, and whether a second factor was shown."""

    by: str
    message: str
    digest: str
    second_factor: bool


def digest_of(asked: Any) -> str:
    """Return the SHA-256 of what is asked for, as its evidence shows it."""
    text = json.dumps(as_evidence(asked), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def topic_of(asked: Any) -> str:
    """Return the topic on which an approval of just this is waited for."""
    return f"{APPROVE}:{digest_of(asked)[:DIGITS]}"


def is_approval(topic: str | None) -> bool:
    """Return whether who waits for `topic` waits for an approval."""
    return topic is not None and topic.partition(":")[0] == APPROVE


def wait_for_approval(run: Run, asked: Any, *, declared_by: str, rule: ApprovalRule | None, seconds: float) -> Approved:
    """Wait until somebody else approves `asked`, and return who did; leaves the step `approve` as evidence.

    Raises Refused when nobody does in time, when the answer is no, and for what no way of approving should have sent.
    """
    answer = run.wait(topic_of(asked), seconds)
    return run.step(APPROVE, read_approval, answer, asked, declared_by=declared_by, rule=rule)


def read_approval(answer: Any, asked: Any, *, declared_by: str, rule: ApprovalRule | None) -> Approved:
    """Return the approval that `answer` holds. Raises Refused."""
    again = "declare it again when somebody can approve it"
    if answer is None:
        raise Refused("not approved: nobody approved in time", hint=again)
    by, message = str(answer.get("by") or ""), str(answer.get("message") or "")
    if message.strip().lower() == NO:
        raise Refused(f"not approved: {by} said no", hint=again)
    if not by or same_person(by, declared_by):
        raise Refused(
            f"not approved: {declared_by} declared it and cannot approve it as well",
            hint="another person must approve it",
        )
    shown = answer.get("second_factor") is True
    if rule and rule.second_factor and not shown:
        raise Refused(f"not approved: {by} showed no second factor", hint=again)
    return Approved(by, message, digest_of(asked), shown)


def send_approval(
    ledger: Ledger, rule: ApprovalRule | None, row: RunRow, topic: str, *, by: str, message: str, code: str = ""
) -> None:
    """Answer an approval that a run waits for, once the second factor was found good.

    Raises Refused when the run waits for something else, for who declared it, without a good second factor where the
    site wants one, and when it was answered already.
    """
    if topic != row.waiting_for:
        raise Refused(
            f"run {row.id} waits for {row.waiting_for!r} and not for {topic!r}: what was asked has changed since",
            hint=f"look at what it asks for now: tricenter run show {row.id}",
        )
    if same_person(by, row.requested_by):
        raise Refused(
            f"{by} asked for run {row.id} and cannot approve it as well", hint="another person must approve it"
        )
    answer: dict[str, Any] = {"by": by, "message": message}
    if rule and rule.second_factor:
        check_second_factor(rule, by, code, row.id)
        answer["second_factor"] = True
    ledger.send(row.id, topic, answer, by)


def ask_second_factor(rule: ApprovalRule, person: str, what: str) -> None:
    """Ask a person at the terminal for the code for `what` they approve, where the site wants one. Raises Refused."""
    import click

    if rule.second_factor:
        code = click.prompt("二次验证码 code of the second factor", hide_input=True, err=True)
        check_second_factor(rule, person, code, what)


def check_second_factor(rule: ApprovalRule, person: str, code: str, run: str) -> None:
    """Ask the site's program whether `code` is this person's now. Raises Refused when it is not.

    The program reads {"person", "code", "run"} as one line of JSON and ends with 0 for yes. The code is kept nowhere.
    """
    if not code:
        raise Refused(f"run {run} wants a second factor for its approval", hint="tricenter run approve RUN --code")
    source, sink = os.pipe()
    try:
        with os.fdopen(sink, "w", encoding="utf-8") as pipe:
            json.dump({"person": person, "code": code, "run": run}, pipe, ensure_ascii=False)
            pipe.write("\n")
        run_program(list(rule.second_factor), deadline_seconds=FACTOR_SECONDS, stdin=source)
    except ProcessFailed as error:
        raise Refused(
            f"the second factor of {person} was not accepted", hint="try again with the code of this moment"
        ) from error
    except OSError as error:
        raise InvalidInput(
            f"the program of the second factor cannot be run: {error.strerror}",
            hint="approval.second_factor of the site",
        ) from error
    finally:
        os.close(source)

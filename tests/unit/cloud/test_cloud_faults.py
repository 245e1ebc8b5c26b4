"""Errors of the SDK: which are tried again, what they become, and that no object is made twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from keystoneauth1 import exceptions as keystone_errors
from openstack import exceptions as sdk_errors

from orchestrator.cloud.faults import create_once, explain, explained, is_transient, read, repeat
from orchestrator.errors import CredentialRefused, InvalidInput, Refused, TricenterError, Unreachable


def answered(status: int, message: str = "said so", path: str = "/v2.0/networks") -> Exception:
    """Return what the SDK raises for an answer of this status."""
    response = requests.Response()
    response.status_code, response.url = status, f"http://cloud{path}"
    response.headers["Content-Type"] = "application/json"
    response._content = b'{"error": {"message": "%s"}}' % message.encode()
    response.request = requests.Request("POST", response.url).prepare()
    with pytest.raises(sdk_errors.HttpException) as caught:
        sdk_errors.raise_from_response(response)
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        answered(429),
        answered(500),
        answered(503),
        keystone_errors.ConnectFailure("refused"),
        keystone_errors.ConnectTimeout("late"),
        keystone_errors.ServiceUnavailable("down"),
        sdk_errors.NotSupported("no versions found: it is down"),
    ],
)
def test_what_may_pass_is_transient_and_means_unreachable(error: Exception) -> None:
    assert is_transient(error)
    assert isinstance(explain("city", error), Unreachable)


def test_a_token_that_a_service_refuses_is_no_login_refused() -> None:
    error = answered(401)
    assert is_transient(error)
    told = explain("city", error, "list networks")
    assert isinstance(told, CredentialRefused)
    assert "tokens" in str(told)


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (answered(401, path="/v3/auth/tokens"), CredentialRefused),
        (keystone_errors.Unauthorized("no"), CredentialRefused),
        (answered(403), CredentialRefused),
        (answered(400), Refused),
        (answered(409), Refused),
        (keystone_errors.SSLError("self-signed"), InvalidInput),
        (keystone_errors.EndpointNotFound("network"), InvalidInput),
    ],
)
def test_what_a_person_must_change_is_not_tried_again(error: Exception, becomes: type[TricenterError]) -> None:
    assert not is_transient(error)
    told = explain("city", error, "create network office")
    assert type(told) is becomes
    assert "'city'" in str(told)
    assert told.hint


def test_the_message_keeps_what_the_service_said() -> None:
    told = explain("city", answered(409, "Quota exceeded for resources: ['network']"), "create network office")
    assert "Quota exceeded" in str(told)
    assert "create network office" in str(told)


def failing(errors: list[Exception], result: str, calls: list[str]) -> Callable[[], str]:
    def act() -> str:
        calls.append("act")
        if errors:
            raise errors.pop(0)
        return result

    return act


def test_a_passing_fault_is_repeated_and_a_lasting_one_is_not() -> None:
    calls: list[str] = []
    assert repeat(failing([answered(503)], "done", calls), deadline_seconds=5) == "done"
    assert len(calls) == 2
    with pytest.raises(sdk_errors.BadRequestException):
        repeat(failing([answered(400)], "done", []), deadline_seconds=5)


def test_the_deadline_ends_it() -> None:
    with pytest.raises(keystone_errors.ConnectFailure):
        repeat(failing([keystone_errors.ConnectFailure("down")] * 9, "done", []), deadline_seconds=0)


def test_a_create_whose_answer_was_lost_is_found_and_not_sent_again() -> None:
    calls: list[str] = []
    made = create_once(
        failing([keystone_errors.ConnectFailure("reset by peer")], "a second one", calls), lambda: "the first one"
    )
    assert made == "the first one"
    assert calls == ["act"]


def test_a_create_that_did_not_happen_is_sent_again() -> None:
    calls: list[str] = []
    made = create_once(failing([keystone_errors.ConnectFailure("refused")], "made", calls), lambda: None)
    assert made == "made"
    assert calls == ["act", "act"]


def test_a_409_is_somebody_elses_create_or_a_true_refusal() -> None:
    assert create_once(failing([answered(409)], "second", []), lambda: "theirs, marked") == "theirs, marked"
    with pytest.raises(Refused, match="Quota"), explained("city"):
        create_once(failing([answered(409, "Quota exceeded")], "never", []), lambda: None)


def test_a_conflict_of_what_only_reads_passes_and_of_what_writes_stands() -> None:
    answers = iter([answered(409), answered(503)])

    def ask() -> str:
        if error := next(answers, None):
            raise error
        return "listed"

    assert read(ask) == "listed"
    answers = iter([answered(409)])
    with pytest.raises(sdk_errors.ConflictException):
        repeat(ask)

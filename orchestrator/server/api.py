"""`/api/v1`: runs are listed, followed, asked for, aborted, retried and approved.

Every request bears the token. Whatever touches the catalogue happens in a thread, and within a time limit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from orchestrator.approval import send_approval
from orchestrator.catalogue.listing import list_attempts, list_cleanups, list_runs
from orchestrator.catalogue.records import RunRow, RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import InvalidInput, Refused, UnknownName
from orchestrator.person import same_person
from orchestrator.server.answers import NoSuchRun, SamePerson, answer, explain, fault, plain
from orchestrator.server.control import Control
from orchestrator.server.gate import caller, check_token, read_fields
from orchestrator.server.orders import make_order, read_text

ANSWER_SECONDS = 20
#: Requests that work at once; more wait for their turn within their time.
AT_ONCE = 16
PAGE_RUNS = 50
MOST_RUNS = 500
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

Endpoint = Callable[[Request], Awaitable[Response]]
#: What a request does, in a thread: the run that the address names ("" where it names none), who asks, what was sent.
Act = Callable[[str, Request, Mapping[str, Any]], Any]


class Api:
    """The API over one catalogue."""

    def __init__(self, catalogue: Catalogue, control: Control) -> None:
        self._catalogue, self._control = catalogue, control
        self._turns = anyio.CapacityLimiter(AT_ONCE)

    def routes(self) -> list[Mount]:
        pages: dict[str, dict[str, Act]] = {
            "/runs": {"GET": self._list, "POST": self._start},
            "/runs/{run}": {"GET": self._show},
            "/runs/{run}/attempts": {"GET": self._attempts},
            "/runs/{run}/abort": {"POST": self._abort},
            "/runs/{run}/retry": {"POST": self._retry},
            "/runs/{run}/approve": {"POST": self._approve},
            "/workers": {"GET": self._workers},
            "/{rest:path}": {},
        }
        # All methods come here: also what there is not is told to those only who have the token.
        return [Mount("/api/v1", routes=[Route(path, self._on(acts), methods=METHODS) for path, acts in pages.items()])]

    # --- what is asked

    def _list(self, _: str, request: Request, sent: Mapping[str, Any]) -> Any:
        asked = request.query_params
        unknown = set(asked) - {"state", "flow", "subject", "before", "limit"}
        if unknown:
            raise InvalidInput(f"no filter {min(unknown)!r}", hint="filters: state, flow, subject, before, limit")
        shown = list_runs(
            self._catalogue,
            states=[_state(each) for each in asked.getlist("state")],
            flow=asked.get("flow"),
            subject=asked.get("subject"),
            before=asked.get("before"),
            limit=_number(asked.get("limit", str(PAGE_RUNS)), "limit", 1, MOST_RUNS),
        )
        return {"runs": [plain(each.run) | {"step": each.step} for each in shown], "now": self._now()}

    def _show(self, run_id: str, request: Request, sent: Mapping[str, Any]) -> Any:
        run = self._run(run_id)
        attempts = list_attempts(self._catalogue, run_id)
        return {
            "run": plain(run) | {"step": attempts[-1].step if attempts else None},
            "attempts": attempts,
            "cleanups": list_cleanups(self._catalogue, run_id),
            "now": self._now(),
        }

    def _attempts(self, run_id: str, request: Request, sent: Mapping[str, Any]) -> Any:
        after = _number(request.query_params.get("after", "0"), "after", 0, 2**63 - 1)
        # The run first: when it has ended, all its attempts are there.
        run = self._run(run_id)
        return {"run": run, "attempts": list_attempts(self._catalogue, run_id, after=after), "now": self._now()}

    def _workers(self, _: str, request: Request, sent: Mapping[str, Any]) -> Any:
        return {"workers": self._catalogue.workers(), "now": self._now()}

    def _now(self) -> Any:
        return self._control.ledger.clock()

    # --- what is done

    def _start(self, _: str, request: Request, sent: Mapping[str, Any]) -> Any:
        _only(sent, "flow", "arguments", "reason")
        order = make_order(
            self._control,
            sent.get("flow"),
            sent.get("arguments", {}),
            requested_by=caller(request),
            reason=sent.get("reason", ""),
        )
        return {"run": self._control.ledger.submit(order)}

    def _abort(self, run_id: str, request: Request, sent: Mapping[str, Any]) -> Any:
        _only(sent)
        self._run(run_id)
        return {"run": self._control.ledger.request_abort(run_id, caller(request))}

    def _retry(self, run_id: str, request: Request, sent: Mapping[str, Any]) -> Any:
        _only(sent, "reason")
        old = self._run(run_id)
        if not old.state.ended:
            raise Refused(f"run {run_id} has not ended: it is {old.state}", hint=f"tricenter run watch {run_id}")
        order = make_order(
            self._control,
            old.flow,
            old.arguments,
            requested_by=caller(request),
            reason=sent.get("reason") or old.reason,
            retry_of=run_id,
        )
        return {"run": self._control.ledger.submit(order)}

    def _approve(self, run_id: str, request: Request, sent: Mapping[str, Any]) -> Any:
        """Tell a run that waits who approved. What it is sent: {"by": NAME@HOST, "message": …}, and that a second
        factor was good where the site wants one."""
        _only(sent, "topic", "message", "code")
        run, who = self._run(run_id), caller(request)
        topic, message = read_text(sent.get("topic", ""), "topic"), read_text(sent.get("message", ""), "message")
        if run.state is not RunState.WAITING:
            raise Refused(f"run {run_id} waits for nothing: it is {run.state}", hint=f"tricenter run show {run_id}")
        if same_person(who, run.requested_by):
            raise SamePerson(
                f"{who} asked for run {run_id} and cannot approve it as well", hint="another person must approve it"
            )
        code = read_text(sent.get("code", ""), "code")
        send_approval(self._control.ledger, self._control.approval, run, topic, by=who, message=message, code=code)
        return {"run": self._run(run_id)}

    # --- how

    def _run(self, run_id: str) -> RunRow:
        try:
            return self._catalogue.run(run_id)
        except UnknownName as error:
            near = f"{error.hint} " if "did you mean" in error.hint else ""
            raise NoSuchRun(run_id, f"{near}list them: tricenter run list") from None

    def _on(self, acts: Mapping[str, Act]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            try:
                check_token(request, self._control.token)
                act = acts.get("GET" if request.method == "HEAD" else request.method)
                if act is None:
                    return _nothing(request, acts)
                sent = await read_fields(request) if request.method == "POST" else {}
                return await self._work(act, request, sent)
            except Exception as error:  # noqa: BLE001  # the last place where an error can become an answer
                return explain(error)

        return endpoint

    async def _work(self, act: Act, request: Request, sent: Mapping[str, Any]) -> Response:
        status = HTTPStatus.CREATED if act in (self._start, self._retry) else HTTPStatus.OK
        with anyio.move_on_after(ANSWER_SECONDS):
            value = await anyio.to_thread.run_sync(
                act, request.path_params.get("run", ""), request, sent, abandon_on_cancel=True, limiter=self._turns
            )
            return answer(value, status)
        return fault(
            HTTPStatus.GATEWAY_TIMEOUT,
            f"no answer within {ANSWER_SECONDS} s; what was asked for may still be done",
            "look: tricenter run list",
            6,
        )


def _nothing(request: Request, acts: Mapping[str, Act]) -> Response:
    if not acts:
        return fault(HTTPStatus.NOT_FOUND, f"no such page: {request.url.path}", "docs/control.md lists what there is")
    shown = fault(HTTPStatus.METHOD_NOT_ALLOWED, f"no {request.method} of {request.url.path}")
    shown.headers["Allow"] = ", ".join(acts)
    return shown


def _only(sent: Mapping[str, Any], *known: str) -> None:
    for name in sent:
        if name not in known:
            raise UnknownName("field of this request", name, known)


def _state(text: str) -> RunState:
    try:
        return RunState(text)
    except ValueError:
        raise UnknownName("state", text, [each.value for each in RunState]) from None


def _number(text: str, name: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise InvalidInput(f"{name} must be a whole number from {least} to {most}")
    return int(text)

"""From what somebody asks for to an order that can be queued: flows and arguments are checked by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.catalogue.records import Order
from orchestrator.errors import InvalidInput, UnknownName
from orchestrator.server.control import Control

LONGEST_TEXT = 200


def make_order(
    control: Control, flow: Any, arguments: Any, *, requested_by: str, reason: Any = "", retry_of: str | None = None
) -> Order:
    """Return the order of a run. Raises UnknownName for a flow or argument that there is not, InvalidInput for the
    rest that a person must change, and what the flow itself says of its arguments.
    """
    if not isinstance(flow, str) or flow not in control.flows:
        raise UnknownName("flow", str(flow), control.flows)
    spec = control.flows[flow]
    given = _texts(arguments)
    for name in given:
        if name not in spec.known:
            raise UnknownName(f"argument of {flow}", name, spec.known)
    if missing := [name for name in spec.required if name not in given]:
        raise InvalidInput(
            f"{flow} also needs {', '.join(missing)}", hint=f"tricenter run start {flow} {_usage(spec.arguments)}"
        )
    return Order(
        flow=flow,
        subject=spec.subject(given),
        arguments=given,
        slots=spec.slots(control.program, given),
        reason=read_text(reason, "reason"),
        requested_by=requested_by,
        retry_of=retry_of,
    )


def read_text(value: Any, name: str) -> str:
    """Return a short text that a person wrote. Raises InvalidInput."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or any(ord(each) < 32 for each in value):
        raise InvalidInput(f"{name} must be one line of {LONGEST_TEXT} characters at most")
    return value.strip()


def _texts(arguments: Any) -> dict[str, str]:
    if not isinstance(arguments, Mapping):
        raise InvalidInput("arguments must be an object", hint='such as {"system": "TENANT/SYSTEM"}')
    return {str(name): read_text(value, f"argument {name}") for name, value in arguments.items()}


def _usage(arguments: tuple[str, ...]) -> str:
    return " ".join(f"[{each[:-1]}=…]" if each.endswith("?") else f"{each}=…" for each in arguments)

"""What a step returned or raised, as text that outlives the process, and back.

Not pickle: a journal is read by a newer program, by another machine, and must not be able to run code. A dataclass
or enum is written with its name and rebuilt by it, from our own packages only. A field that the newer program added
must have a default.
"""

from __future__ import annotations

import base64
import importlib
import json
from dataclasses import asdict, fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from orchestrator.errors import TricenterError
from orchestrator.secrets import Secret

PACKAGES = ("policies", "orchestrator", "drills")
TAG = "$"


class NotJournalable(TypeError):
    """A step returned what cannot be written down: a mistake in the flow."""


class StepFailed(TricenterError):
    """A step failed in a way that its author did not foresee; the message names the error's own type."""


def encode(value: Any) -> str:
    """Return a step's result as text. Raises NotJournalable."""
    return json.dumps(_out(value), ensure_ascii=False, separators=(",", ":"))


def decode(text: str) -> Any:
    """Return what `encode` was given."""
    return _in(json.loads(text))


def encode_error(error: Exception) -> str:
    """Return what a step raised as text; an error that is not ours becomes StepFailed."""
    ours = known_error(error)
    return json.dumps(
        {
            "error": _name(type(ours)),
            "args": [str(each) for each in ours.args],
            "state": {key: value for key, value in vars(ours).items() if isinstance(value, str | int | float)},
        },
        ensure_ascii=False,
    )


def decode_error(text: str) -> TricenterError:
    """Return the error that `encode_error` was given, as far as it was plain: its type, message, hint and numbers."""
    value = json.loads(text)
    kind = _find(value["error"])
    error: TricenterError = kind.__new__(kind)
    error.args = tuple(value["args"])
    vars(error).update({"hint": "", **value["state"]})
    return error


def known_error(error: Exception) -> TricenterError:
    """Return the error itself when it is ours, else one that names it."""
    if isinstance(error, TricenterError):
        return error
    if hasattr(error, "exit_code"):  # the faults of `policies`, which knows no error tree
        named = TricenterError(str(error), hint=str(getattr(error, "hint", "")))
        named.exit_code = int(error.exit_code)
        return named
    return StepFailed(f"{type(error).__name__}: {error}", hint="this is a fault of the program; see its log")


def as_evidence(value: Any) -> Any:
    """Return `value` as plain JSON for an attempt's row; what has no plain form is left out."""
    if hasattr(value, "as_evidence"):
        return value.as_evidence()
    if is_dataclass(value) and not isinstance(value, type):
        return as_evidence(asdict(value))
    if isinstance(value, dict):
        return {str(key): as_evidence(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_evidence(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return value if isinstance(value, str | int | float | bool | None) else None


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _find(name: str) -> Any:
    module, _, path = name.partition(":")
    if module.partition(".")[0] not in PACKAGES:
        raise NotJournalable(f"a journal names {name}, which is none of ours")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _out(value: Any) -> Any:  # noqa: C901  # one line per type that can be written down
    if isinstance(value, Secret):
        raise NotJournalable("a secret in a step's result")
    if isinstance(value, Enum):
        return {TAG: "enum", "of": _name(type(value)), "value": value.value}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if type(value) is list:
        return [_out(each) for each in value]
    if type(value) in (tuple, set, frozenset):
        return {TAG: type(value).__name__, "items": [_out(each) for each in value]}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _fields(value, value._asdict())
    if type(value) is dict:
        if all(isinstance(key, str) and key != TAG for key in value):
            return {key: _out(each) for key, each in value.items()}
        return {TAG: "dict", "items": [[_out(key), _out(each)] for key, each in value.items()]}
    if isinstance(value, datetime):
        return {TAG: "time", "value": value.isoformat()}
    if isinstance(value, timedelta):
        return {TAG: "span", "seconds": value.total_seconds()}
    if isinstance(value, bytes):
        return {TAG: "bytes", "base64": base64.b64encode(value).decode()}
    if isinstance(value, Path):
        return {TAG: "path", "value": str(value)}
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value, {each.name: getattr(value, each.name) for each in fields(value) if each.init})
    raise NotJournalable(f"a step returned a {type(value).__name__}")


def _fields(value: Any, inside: dict[str, Any]) -> dict[str, Any]:
    return {TAG: "of", "of": _name(type(value)), "fields": {key: _out(each) for key, each in inside.items()}}


_SIMPLE: dict[str, Any] = {
    "tuple": lambda value: tuple(_in(each) for each in value["items"]),
    "set": lambda value: {_in(each) for each in value["items"]},
    "frozenset": lambda value: frozenset(_in(each) for each in value["items"]),
    "dict": lambda value: {_in(key): _in(each) for key, each in value["items"]},
    "time": lambda value: datetime.fromisoformat(value["value"]),
    "span": lambda value: timedelta(seconds=value["seconds"]),
    "bytes": lambda value: base64.b64decode(value["base64"]),
    "path": lambda value: Path(value["value"]),
    "enum": lambda value: _find(value["of"])(value["value"]),
    "of": lambda value: _find(value["of"])(**{key: _in(each) for key, each in value["fields"].items()}),
}


def _in(value: Any) -> Any:
    if isinstance(value, list):
        return [_in(each) for each in value]
    if not isinstance(value, dict):
        return value
    if TAG in value:
        return _SIMPLE[value[TAG]](value)
    return {key: _in(each) for key, each in value.items()}

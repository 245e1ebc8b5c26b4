"""The faults that the models see, told in our own words, at the file and line where the value stands.

The models are checked by pydantic. What was wanted is told from the field's type, never from pydantic's message, so the
words are the same whatever way a value is wrong; and a value that may be a secret is never shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints
from zoneinfo import available_timezones

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from policies.archive import ACCOUNT_PATTERN, PLAIN_PATH_PATTERN
from policies.bandwidth import BEGIN_PATTERN, END_PATTERN, RATE_PATTERN, RATE_WANTED
from policies.document import Node, Trail
from policies.findings import Finding, did_you_mean, nearest, spelled
from policies.limits import SLOT_PATTERN
from policies.notifications import LINK_PATTERN
from policies.plan import SYSTEM_PATTERN
from policies.request import PHONE_PATTERN
from policies.site import BUCKET_PREFIX_PATTERN, DOMAIN_PATTERN, SiteFile
from policies.spot import SHARE_PATTERN
from policies.tenant import ABSOLUTE_PATTERN, APPROVAL_PATTERN, PORTS_PATTERN, PUBLIC_KEY_PATTERN, TABLE_PATTERN
from policies.values import (
    DURATION_WANTED,
    ENDPOINT_PATTERN,
    LONG_NAME_PATTERN,
    NAME_PATTERN,
    SECRET_PATTERN,
    MisfitError,
    parse_duration,
)
from policies.windows import DAY_PATTERN, MOMENT_PATTERN, TIMEZONE_PATTERN, WINDOW_PATTERN

SHOWN_CHARACTERS = 60

#: What a text of each pattern looks like, in words.
WANT_OF_PATTERN: dict[str, str] = {
    SHARE_PATTERN: "a share such as 5% or 0.5%",
    PUBLIC_KEY_PATTERN: "a public key as in authorized_keys: ssh-ed25519, ssh-rsa or ecdsa-sha2-nistp*, and its value",
    NAME_PATTERN: "a name of 2 to 40 characters: a-z, 0-9 and hyphens, first a letter, last no hyphen",
    LONG_NAME_PATTERN: "a name of 2 to 81 characters: a-z, 0-9 and hyphens, first a letter, last no hyphen",
    SECRET_PATTERN: "the name of a secret: env:NAME or file:PATH",
    ENDPOINT_PATTERN: "http://HOST[:PORT] or https://HOST[:PORT], without path, user or password",
    DOMAIN_PATTERN: "a name of the DNS such as cloud.example.cn",
    BUCKET_PREFIX_PATTERN: "1 to 21 characters: a-z, 0-9 and hyphens, first no hyphen",
    PORTS_PATTERN: "a port (443) or a range of ports (8000-8080)",
    ABSOLUTE_PATTERN: "an absolute path, first a /",
    PLAIN_PATH_PATTERN: "an absolute path of letters, digits and . _ / -",
    ACCOUNT_PATTERN: "the name of a user of the host",
    PHONE_PATTERN: "a telephone number such as 0411-8888-1234",
    APPROVAL_PATTERN: "the id of an approval such as 市数据局-2026-017, 80 characters at most",
    TABLE_PATTERN: "a table with its schema such as public.canary",
    SYSTEM_PATTERN: "TENANT/SYSTEM",
    SLOT_PATTERN: "centre, vault, cloud or tenant, or one of them by name: vault:NAME",
    WINDOW_PATTERN: "a window of the day such as 22:00-06:00 (over midnight) or 00:00-24:00 (the whole day)",
    MOMENT_PATTERN: "a day (2026-09-28) or a minute of it (2026-09-28 18:00)",
    DAY_PATTERN: "a day (2026-10-01)",
    TIMEZONE_PATTERN: "a time zone such as Asia/Shanghai",
    RATE_PATTERN: f"{RATE_WANTED}; 512KiB/s at least",
    BEGIN_PATTERN: "a time of the day such as 08:00",
    LINK_PATTERN: "a URL with {drill} in it, such as https://reports.example.cn/{drill}.html",
    END_PATTERN: "a time of the day such as 20:00, 24:00 at the latest",
}
_SIMPLE: dict[Any, str] = {
    str: "text",
    bool: "true or false",
    IPv4Network: "an IPv4 network such as 10.20.1.0/24",
    IPv4Address: "an IPv4 address such as 10.20.1.53",
}

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Expected:
    """A type as the models state it: the bare type, what limits it, and whether it may be left out."""

    kind: Any
    metadata: tuple[Any, ...] = ()
    optional: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, hint: Any) -> Expected:
        metadata: tuple[Any, ...] = ()
        optional = False
        while True:
            if get_origin(hint) is Annotated:
                hint, *more = get_args(hint)
                metadata += tuple(more)
            elif type(None) in get_args(hint):
                optional = True
                hint = Union[tuple(each for each in get_args(hint) if each is not type(None))]  # noqa: UP007
            else:
                return cls(hint, metadata + _limits(metadata), optional, _hints(hint))

    @property
    def discriminator(self) -> str | None:
        return next((str(m.discriminator) for m in self.metadata if getattr(m, "discriminator", None)), None)

    @property
    def pattern(self) -> str | None:
        """The pattern of a text, also of one that is read into a number."""
        schemas = (getattr(m, "json_schema", None) or {} for m in self.metadata)
        read = (each["pattern"] for each in schemas if each.get("pattern") in WANT_OF_PATTERN)
        return next((found for m in self.metadata if (found := getattr(m, "pattern", None))), next(read, None))

    @property
    def description(self) -> str:
        return next((m.description for m in self.metadata if isinstance(m, FieldInfo) and m.description), "")

    @property
    def choices(self) -> tuple[str, ...]:
        """The known words at this place: a literal's, or the kinds of a union."""
        if get_origin(self.kind) is Literal:
            return tuple("false" if each is False else str(each) for each in get_args(self.kind))
        if self.discriminator:
            return tuple(self.members)
        return ()

    @property
    def members(self) -> dict[str, Any]:
        """The models of a union, by their kind."""
        assert self.discriminator
        return {Expected.of(_hints(model)[self.discriminator]).choices[0]: model for model in get_args(self.kind)}

    def limit(self, name: str) -> Any:
        """Return a bound of the value (ge, gt, le, min_length), or None when it has none."""
        return next((found for m in self.metadata if (found := getattr(m, name, None)) is not None), None)

    @property
    def keys(self) -> Expected:
        """What the keys of a mapping by name must be."""
        return Expected.of(get_args(self.kind)[0])

    def below(self, step: str | int) -> Expected:
        """Return what is wanted one step further down."""
        if self.fields:
            return Expected.of(self.fields[str(step)])
        return Expected.of(get_args(self.kind)[1 if get_origin(self.kind) is dict else 0])


def _limits(metadata: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(each for m in metadata if isinstance(m, FieldInfo) for each in m.metadata)


@cache
def _hints(model: Any) -> dict[str, Any]:
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return {}
    hints = get_type_hints(model, include_extras=True)
    return {info.alias or name: Annotated[hints[name], info] for name, info in model.model_fields.items()}


def checked(model: type[M], node: Node, root: str) -> tuple[M | None, list[Finding]]:
    """Return the model's value of what `node` holds, or every fault in it, with paths under `root`."""
    try:
        return model.model_validate(node.plain()), []
    except ValidationError as invalid:
        found = [
            each
            for error in invalid.errors(include_url=False)
            for each in _Teller(model, node, root, cast("Mapping[str, Any]", error)).tell()
        ]
        return None, found


class _Teller:
    """Follows one error of pydantic down the model and the file at once, and tells it."""

    def __init__(self, model: type[BaseModel], node: Node, root: str, error: Mapping[str, Any]) -> None:
        self.error = error
        self.root = root
        self.parent = self.expected = Expected.of(model)
        self.node: Node | None = node
        self.nearest_node = node
        self.trail: Trail = ()
        self.unknown = error["type"] == "extra_forbidden"
        for index, step in enumerate(error["loc"], start=1):
            self._descend(step, known=not self.unknown or index < len(error["loc"]))

    def _descend(self, step: str | int, *, known: bool) -> None:
        if step == "[key]":
            self.expected = self.parent.keys
        elif self.expected.discriminator:  # pydantic names the kind; the file has no such level
            self.expected = Expected.of(self.expected.members[str(step)])
        else:
            self.parent = self.expected
            self.expected = self.expected.below(step) if known else self.expected
            self.node = self.node.child(step) if self.node else None
            self.nearest_node = self.node or self.nearest_node
            self.trail = (*self.trail, step)

    def tell(self) -> Iterator[Finding]:
        kind, cause = self.error["type"], self.error.get("ctx", {}).get("error")
        if isinstance(cause, MisfitError):
            for misfit in cause.misfits:
                place = self.nearest_node.at(*misfit.at) or self.nearest_node
                path = spelled((*self.trail, *misfit.at), self.root)
                yield Finding(place.file, place.line, path, misfit.got, misfit.want, misfit.hint)
        elif self.unknown:
            hint = did_you_mean(str(self.trail[-1]), self.parent.fields)
            yield self._finding("an unknown key", f"a key of {_noun(self.parent)}", hint)
        elif kind == "missing":
            yield self._finding("nothing", _want(self.expected, told=True))
        elif "[key]" in self.error["loc"]:
            name = str(self.trail[-1])
            yield self._finding(f"the key {name}", _want(self.expected), _hint(self.expected, name))
        elif kind.startswith("union_tag") and self.expected.discriminator:
            yield from self._unknown_kind(self.expected, self.expected.discriminator)
        else:
            value = self.node.plain() if self.node else None
            hidden = self.expected.pattern == SECRET_PATTERN
            got = _hidden(value) if hidden else shown(value)
            hint = "name the secret; never write it here" if hidden else _hint(self.expected, value)
            yield self._finding(got, _want(self.expected), hint)

    def _unknown_kind(self, expected: Expected, discriminator: str) -> Iterator[Finding]:
        given = self.node.at(discriminator) if self.node else None
        self.nearest_node = given or self.nearest_node
        self.trail = (*self.trail, discriminator)
        got = shown(given.plain()) if given else "nothing"
        hint = did_you_mean(got, expected.choices) if given else ""
        yield self._finding(got, f"one of {', '.join(expected.choices)}", hint)

    def _finding(self, got: str, want: str, hint: str = "") -> Finding:
        place = self.nearest_node
        return Finding(place.file, place.line, spelled(self.trail, self.root), got, want, hint)


def shown(value: Any) -> str:
    """Return a value of a file as a person reads it. What hangs below is named, not shown: it may hold secrets."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    text = re.sub(r"//[^/\s]*@", "//…@", str(value))
    cut = text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"
    return cut if cut.strip() and cut.isprintable() else repr(cut)


def _hidden(value: Any) -> str:
    if value is None or isinstance(value, dict | list):
        return shown(value)
    return "a text that names no secret and may be one (not shown)"


def _noun(model: Expected) -> str:
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", model.kind.__name__)
    article = "an" if name[0] in "AEIOU" else "a"
    return f"{article} {name.lower()}" if model.kind is not SiteFile else "site.yaml"


def _want(expected: Expected, *, told: bool = False) -> str:
    """Return what fits, in words; `told` adds what it is for."""
    words = _fitting(expected)
    known = not expected.description or expected.description in words
    with_unit = not known and (told or expected.kind in (int, float) or len(expected.choices) == 1)
    return f"{words} ({expected.description})" if with_unit else words


def _fitting(expected: Expected) -> str:
    if expected.pattern:
        return WANT_OF_PATTERN[expected.pattern]
    if expected.choices:
        return expected.choices[0] if len(expected.choices) == 1 else f"one of {', '.join(expected.choices)}"
    if expected.kind in (int, float):
        return _number(expected)
    if expected.kind is str and expected.limit("min_length"):
        return "text that is not empty"
    if expected.kind in _SIMPLE:
        return _SIMPLE[expected.kind]
    if get_origin(expected.kind) is tuple:
        return "a list" + (" with one entry at least" if expected.limit("min_length") else "")
    if expected.fields:
        return f"a mapping with {', '.join(expected.fields)}"
    if get_origin(expected.kind) is dict:
        return _mapping(expected)
    longer = ", longer than 0s" if expected.limit("gt") is not None else ""
    return f"{DURATION_WANTED}{longer}"


def _mapping(expected: Expected) -> str:
    if expected.keys.choices:
        return f"a mapping by centre: {', '.join(expected.keys.choices)}"
    return "a mapping by name" + (" with one entry at least" if expected.limit("min_length") else "")


def _number(expected: Expected) -> str:
    low, high = expected.limit("ge"), expected.limit("le")
    kind = "a whole number" if expected.kind is int else "a number"
    if low == -1 and high is None:
        return f"{kind}, 0 or more, or unlimited"
    return f"{kind} from {low} to {high}"


def _hint(expected: Expected, value: Any) -> str:
    """Return what to do about `value`, where that can be told."""
    if expected.choices == ("false",):
        return (
            "将其移出站点文件夹，并向保密行政管理部门报告已有的副本；若并不涉密，删去此键 "
            "take it out of the site folder and report copies that were made; "
            "if it holds no secrets after all, delete this key"
        )
    if expected.choices:
        return f"did you mean {near}?" if (near := nearest(str(value), expected.choices)) else ""
    if expected.pattern in (NAME_PATTERN, LONG_NAME_PATTERN) and isinstance(value, str):
        tidy = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
        return f"did you mean {tidy}?" if re.fullmatch(NAME_PATTERN, tidy) else ""
    if expected.kind is str and isinstance(value, int | float):
        return "put it in quotes"
    if expected.pattern == TIMEZONE_PATTERN:
        return f"did you mean {near}?" if (near := nearest(str(value), available_timezones())) else ""
    if expected.kind is IPv4Network and isinstance(value, str):
        return _network_hint(value)
    if _fitting(expected).startswith(DURATION_WANTED):
        return _duration_hint(value)
    return ""


def _network_hint(value: str) -> str:
    try:
        return f"the network of that address is {ip_network(value, strict=False)}"
    except ValueError:
        return ""


def _duration_hint(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return f"a unit is missing: {value}s, {value}m, {value}h or {value}d"
    try:
        parse_duration(str(value).lower())
    except ValueError:
        return ""
    return f"did you mean {str(value).lower()}?" if str(value) != str(value).lower() else ""

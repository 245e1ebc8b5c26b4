"""Every fault that the models can see has words of ours, whatever type stands in the wrong place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.document import Node
from policies.request import Request
from policies.schema import MODELS, schema
from policies.wording import WANT_OF_PATTERN, checked, shown

JARGON = ("Input should", "Value error", "validation", "pydantic", "NoneType", "timedelta")

RIGHT: dict[str, dict[str, Any]] = {
    "tier": {
        "tier": "gold",
        "title": {"zh": "金", "en": "Gold"},
        "backup_every": "1h",
        "copies": {"provincial": {"rpo": "2h", "rto": "2h", "retention": {"keep_within": "9d", "lock": "1d"}}},
        "drill": {"every": "30d"},
        "gbt20988_level": 3,
    },
    "tenant": {
        "tenant": "health",
        "title": {"zh": "卫", "en": "Health"},
        "unit_code": "X",
        "mlps_level": 2,
        "contact": "x",
        "secret": False,
        "quota": {"compute": {"cores": "unlimited", "ram": 0}, "block_storage": {"volumes": 1}},
        "members": {"zhang": {"name": "张", "role": "reader", "email": "x@y"}},
        "networks": {"ward": {"zone": "public", "cidr": "10.0.0.0/24", "dns": ["10.0.0.53"]}},
        "security_groups": {"web": {"description": "x", "rules": [{"protocol": "tcp", "ports": 443}]}},
        "systems": {
            "his": {
                "title": {"zh": "医", "en": "HIS"},
                "tier": "gold",
                "sources": {
                    "db": {"kind": "postgresql", "host": "h", "database": "d", "user": "u", "password": "env:P"},
                    "disk": {"kind": "volume", "volume": "v"},
                    "files": {"kind": "path", "path": "/srv", "exclude": ["*.tmp"]},
                },
                "servers": {
                    "web": {"boot": "disk", "flavor": "m1", "network": "ward", "address": "10.0.0.9", "after": ["db"]}
                },
                "standby": {"same-city": {"files": {"kind": "path", "path": "/srv"}}},
            }
        },
    },
    "plan": {
        "plan": "his",
        "deadline": "2h",
        "owner": "x",
        "duty": ["zhang", "li"],
        "systems": {
            "health/his": {
                "group": "first",
                "steps": [
                    {"do": "script", "name": "warm", "command": ["true"], "timeout": "1m", "retries": 2},
                    {"do": "restore", "kinds": ["sandbox"], "on_failure": "continue"},
                    {"do": "prompt", "name": "seal", "say": {"zh": "封", "en": "seal"}},
                    {"do": "probe"},
                ],
                "probes": [
                    {"kind": "sql", "source": "db", "query": "SELECT 1", "expect": "1"},
                    {"kind": "image", "source": "disk"},
                    {"kind": "http", "server": "web", "tls": True, "contains": "x"},
                    {"kind": "server-sql", "server": "web", "database": "d", "user": "u", "query": "q", "expect": "1"},
                    {"kind": "command", "command": ["true"], "status": 1},
                ],
            },
            "health/pacs": {"after": ["health/his"]},
        },
        "groups": ["first"],
        "reconcile": [
            {
                "left": {"system": "health/his", "source": "db", "query": "q"},
                "right": {"system": "health/pacs", "source": "db", "query": "q"},
            }
        ],
        "networks": {"health/ward": {"same-city": "10.9.0.0/24"}},
        "names": {
            "www.example.cn": {"system": "health/his", "addresses": {"same-city": "10.0.0.1"}, "ttl": "60s"},
        },
        "undo_window": "1h",
    },
}


def node(value: Any) -> Node:
    if isinstance(value, dict):
        return Node({key: node(child) for key, child in value.items()}, Path("x.yaml"), 1)
    if isinstance(value, list):
        return Node([node(child) for child in value], Path("x.yaml"), 1)
    return Node(value, Path("x.yaml"), 1)


def trails(value: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in steps:
        yield (*above, step)
        yield from trails(child, (*above, step))


def changed(value: Any, trail: tuple[str | int, ...], new: Any) -> Any:
    if not trail:
        return new
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    pairs = {step: changed(child, trail[1:], new) if step == trail[0] else child for step, child in steps}
    return pairs if isinstance(value, dict) else list(pairs.values())


PLACES = [(kind, trail) for kind, right in RIGHT.items() for trail in trails(right)]
WRONG = [None, True, -7, 10**6, 2.5, float("nan"), "", "?!", {}, {"x": 1}, [], [1], "hunter2"]


@pytest.mark.parametrize("kind", RIGHT)
def test_the_right_ones_are_right(kind):
    assert checked(MODELS[kind], node(RIGHT[kind]), "")[1] == []


@given(st.sampled_from(PLACES), st.sampled_from(WRONG))
def test_every_wrong_value_is_told_in_words_at_its_place(place, wrong):
    kind, trail = place
    value, findings = checked(MODELS[kind], node(changed(RIGHT[kind], trail, wrong)), "root")
    assert (value is None) == bool(findings)
    for each in findings:
        assert each.got
        assert each.want
        assert each.path.startswith("root")
        assert not [word for word in JARGON if word in f"{each.got} {each.want} {each.hint}"]


def patterns(schema_part: Any) -> Iterator[str]:
    if isinstance(schema_part, dict):
        if isinstance(schema_part.get("pattern"), str):
            yield schema_part["pattern"]
        yield from schema_part.get("patternProperties", ())
        for child in schema_part.values():
            yield from patterns(child)
    if isinstance(schema_part, list):
        for child in schema_part:
            yield from patterns(child)


def test_every_pattern_of_the_models_has_words():
    schemas = [*map(schema, MODELS), Request.model_json_schema()]
    found = {pattern for each in schemas for pattern in patterns(each)}
    durations = {pattern for pattern in found if "smhdw" in pattern}
    assert found - durations == set(WANT_OF_PATTERN)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        ({"a": "secret"}, "a mapping"),
        (["secret"], "a list of 1"),
        ("https://u:secret@host/x", "https://…@host/x"),
        ("x" * 100, "x" * 59 + "…"),
        ("a\nb", r"'a\nb'"),
        ("", "''"),
        (False, "false"),
    ],
)
def test_values_are_shown_briefly_and_without_what_may_be_secret(value, text):
    assert shown(value) == text

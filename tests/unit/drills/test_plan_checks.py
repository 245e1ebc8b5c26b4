"""What is judged without any centre: points against the RPO, and servers against what is free."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from drills.plans.cloud_checks import needs, short_of
from drills.plans.data_checks import judge_points
from orchestrator.catalogue.records import Point, PointAt, SourceCopy
from orchestrator.cloud.capacity import Amounts, Flavor
from orchestrator.errors import CheckFailed
from policies.load import load_site
from policies.site import SystemRef

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
GIB = 1024**3
DALIAN = load_site(Path(__file__).parents[3] / "examples" / "dalian")


def at(hours: float, *, proved: bool = False) -> PointAt:
    moment = NOW - timedelta(hours=hours)
    return PointAt(
        Point("p", "r", "t", "s", "tier", moment, moment, 1, 1, "d", ()),
        "same-city",
        moment,
        moment if proved else None,
    )


@pytest.mark.parametrize(
    ("landed", "verdict", "words"),
    [
        ([at(1, proved=True)], "ok", "1h old; the newest proved one is 0s older"),
        ([at(1), at(3, proved=True)], "ok", "the newest proved one is 2h older"),
        ([at(1), at(3)], "warn", "none was ever proved"),
        ([at(5, proved=True)], "fail", "5h old, over the RPO of 4h"),
    ],
)
def test_the_newest_point_is_fresh_and_proved(landed: list[PointAt], verdict: str, words: str) -> None:
    found = judge_points(landed, NOW, timedelta(hours=4), "drill it")
    assert (found.verdict, words in found.en) == (verdict, True), found
    assert bool(found.hint) == (verdict != "ok")


def served(*servers: dict[str, Any]) -> SystemRef:
    ref = DALIAN.system("natural-resources", "land-registry")
    assert ref
    named = {
        f"s{number}": {"boot": "aa", "network": "nn", "address": f"10.0.0.{number + 5}", **each}
        for number, each in enumerate(servers)
    }
    return ref._replace(system=ref.system.model_validate({**ref.system.model_dump(), "servers": named}))


def point(**sizes: int) -> Point:
    copies = tuple(SourceCopy(name, "volume", "x", NOW, size, 1) for name, size in sizes.items())
    return Point("p", "r", "t", "s", "tier", NOW, NOW, 1, 1, "d", copies)


KNOWN = {"small": Flavor("small", 2, 2048), "large": Flavor("large", 8, 16384)}


def test_what_servers_need_is_added_up() -> None:
    ref = served({"flavor": "small"}, {"flavor": "large", "boot": "bb", "volumes": ["cc"]})
    found = needs([(ref, point(aa=GIB, bb=GIB + 1, cc=3 * GIB)), (served({"flavor": "small"}), None)], KNOWN)
    assert found == Amounts(instances=3, cores=12, ram=20480, volumes=4, gigabytes=6)


def test_a_flavor_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(CheckFailed) as caught:
        needs([(served({"flavor": "smal"}), None)], KNOWN)
    assert caught.value.hint == "did you mean small?"


def test_what_is_short_is_told_and_no_limit_is_never_short() -> None:
    needed = Amounts(instances=3, cores=12, ram=20480, volumes=4, gigabytes=6)
    assert short_of(needed, Amounts(3, 12, 20480, 4, 6)) == {}
    assert short_of(needed, Amounts(None, None, None, None, None)) == {}
    assert short_of(needed, Amounts(2, 20, 0, 4, 1)) == {"instances": 1, "ram": 20480, "gigabytes": 5}

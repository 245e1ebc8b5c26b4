"""The state of a plan: shown by a drill of what is written now, and lost by every change and by time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from policies.load import load_site
from policies.plan import Plan, Recovery
from policies.plan_digest import described, plan_digest, plan_digests
from policies.plan_state import Cadence, Drilled, PlanState, plan_cadence, standing
from policies.site import Site
from policies.values import Text
from policies.work import plan_centres

DALIAN = load_site(Path(__file__).parents[3] / "examples" / "dalian")
NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
DAY = timedelta(days=1)
ONE, TWO = "health/his", "health/ris"
PLAN = Plan(plan="care", systems={ONE: Recovery(), TWO: Recovery()})
EVERY = Cadence(90 * DAY, "restore")


def ran(kind: str, days: float, *, verdict: str = "met", digest: str = "d", systems: Any = (ONE, TWO)) -> list[Drilled]:
    return [Drilled(system, kind, verdict, NOW - days * DAY, digest) for system in systems]


def state(*runs: list[Drilled], cadence: Cadence = EVERY, digest: str = "d") -> tuple[str, str | None, str]:
    known = NOW - 400 * DAY
    found = standing(PLAN, digest, cadence, [each for several in runs for each in several], known, NOW)
    return str(found.state), found.kind, found.reason.en


def test_never_drilled() -> None:
    assert state() == ("needs-verify", None, "never drilled")
    assert standing(PLAN, "d", EVERY, [], NOW - DAY, NOW).due_at == NOW + 89 * DAY
    assert state(ran("tabletop", 1)) == ("needs-verify", None, "never drilled")


def test_a_drill_shows_it_until_its_time_is_over() -> None:
    assert state(ran("restore", 1)) == ("verified", "restore", "shown by a restore drill")
    assert state(ran("restore", 91)) == ("needs-verify", None, "not drilled for 90d")
    found = standing(PLAN, "d", EVERY, ran("restore", 1), NOW, NOW)
    assert (found.last, found.due_at, found.missed) == (NOW - DAY, NOW + 89 * DAY, False)


def test_the_strongest_kind_that_still_holds_is_told() -> None:
    assert state(ran("restore", 1), ran("sandbox", 30))[:2] == ("verified", "sandbox")
    assert state(ran("restore", 1), ran("sandbox", 30), ran("switchover", 60))[:2] == ("verified", "switchover")
    assert state(ran("restore", 1), ran("sandbox", 91))[:2] == ("verified", "restore")


def test_a_change_takes_it_back() -> None:
    assert state(ran("restore", 1), digest="new") == ("needs-verify", None, "changed since it was last drilled")
    assert state(ran("sandbox", 9), ran("restore", 1, digest="new"), digest="new")[:2] == ("verified", "restore")


def test_the_last_drill_failed() -> None:
    assert state(ran("sandbox", 9), ran("restore", 1, verdict="failed"))[0] == "failed"
    assert state(ran("sandbox", 1), ran("restore", 9, verdict="failed"))[:2] == ("verified", "sandbox")
    assert state(ran("restore", 1, verdict="failed"), digest="new")[0] == "needs-verify", "what failed was changed"


def test_one_system_that_failed_fails_the_plan() -> None:
    half = ran("restore", 1, systems=[ONE]) + ran("restore", 0.9, verdict="failed", systems=[TWO])
    assert state(half)[0] == "failed"


def test_a_system_that_took_no_part_is_named() -> None:
    assert state(ran("restore", 1, systems=[ONE])) == (
        "needs-verify",
        None,
        f"not drilled, or not recovered: {TWO}",
    )


def test_the_tier_may_ask_for_more_than_a_restore() -> None:
    strict = Cadence(90 * DAY, "sandbox")
    assert state(ran("restore", 1), cadence=strict) == (
        "needs-verify",
        None,
        "its tier asks for a sandbox drill at least",
    )
    assert state(ran("failover", 1), cadence=strict)[:2] == ("verified", "failover")


def test_a_missed_objective_is_verified_and_said() -> None:
    found = standing(PLAN, "d", EVERY, ran("restore", 1, verdict="missed"), NOW, NOW)
    assert (found.state, found.missed) == (PlanState.VERIFIED, True)


def test_drills_of_systems_that_left_the_plan_do_not_count() -> None:
    assert state(ran("restore", 1, systems=["health/old"]))[2] == "never drilled"


# --- the digest


def changed_plan(site: Site, name: str, **values: Any) -> Site:
    return site.model_copy(update={"plans": {**site.plans, name: site.plans[name].model_copy(update=values)}})


def changed_tier(site: Site, name: str, **values: Any) -> Site:
    return site.model_copy(update={"tiers": {**site.tiers, name: site.tiers[name].model_copy(update=values)}})


def changed_centre(site: Site, name: Any, **values: Any) -> Site:
    centre = site.centres[name].model_copy(update=values)
    return site.model_copy(update={"centres": {**site.centres, name: centre}})


def changed_system(site: Site, tenant: str, name: str, **values: Any) -> Site:
    bureau = site.tenants[tenant]
    systems = {**bureau.systems, name: bureau.systems[name].model_copy(update=values)}
    return site.model_copy(update={"tenants": {**site.tenants, tenant: bureau.model_copy(update={"systems": systems})}})


TITLE = Text(zh="新", en="new")
LAND = DALIAN.plans["land-registry"]
TIER = DALIAN.tiers["remote-dr"]
VAULT = DALIAN.centres["provincial"].vault
assert VAULT


@pytest.mark.parametrize(
    "change",
    [
        lambda site: changed_plan(site, "land-registry", deadline=timedelta(hours=1)),
        lambda site: changed_plan(site, "land-registry", systems={"natural-resources/land-registry": Recovery()}),
        lambda site: changed_tier(site, "remote-dr", backup_every=timedelta(minutes=7)),
        lambda site: changed_centre(
            site, "provincial", vault=VAULT.model_copy(update={"endpoint": "https://elsewhere.internal"})
        ),
        lambda site: changed_system(site, "natural-resources", "land-registry", tier="data-backup"),
        lambda site: site.model_copy(update={"repository_password": "env:ALL"}),
    ],
)
def test_what_matters_to_recovery_changes_the_digest(change: Callable[[Site], Site]) -> None:
    after = change(DALIAN)
    assert plan_digest(after, after.plans["land-registry"]) != plan_digest(DALIAN, LAND)


@pytest.mark.parametrize(
    "change",
    [
        lambda site: changed_plan(site, "land-registry", title=TITLE, owner="李四", duty=("li", "zhang")),
        lambda site: changed_plan(site, "one-window", deadline=timedelta(hours=1)),
        lambda site: changed_tier(
            site, "remote-dr", title=TITLE, drill=TIER.drill.model_copy(update={"every": timedelta(days=3)})
        ),
        lambda site: changed_centre(site, "provincial", title=TITLE),
        lambda site: changed_system(site, "natural-resources", "land-registry", title=TITLE),
        lambda site: changed_system(site, "natural-resources", "planning-maps", tier="remote-dr"),
        lambda site: site.model_copy(update={"blackouts": (), "limits": {}}),
    ],
)
def test_what_does_not_keeps_it(change: Callable[[Site], Site]) -> None:
    after = change(DALIAN)
    assert plan_digest(after, after.plans["land-registry"]) == plan_digest(DALIAN, LAND)


def test_all_digests_at_once_are_the_same_and_differ() -> None:
    found = plan_digests(DALIAN)
    assert found == {name: plan_digest(DALIAN, plan) for name, plan in DALIAN.plans.items()}
    assert len(set(found.values())) == len(DALIAN.plans)
    assert all(len(each) == 64 for each in found.values())


def test_the_digest_is_of_what_is_described_and_of_no_secret() -> None:
    assert set(described(DALIAN, LAND)) == {"plan", "systems", "centres", "repository_password", "clouds_file"}
    assert "title" not in str(described(DALIAN, LAND))


def test_a_plan_is_as_strict_as_its_strictest_tier_and_recovered_where_all_keep_copies() -> None:
    names = {str(ref): Recovery() for ref in DALIAN.systems()}
    every = Plan(plan="all", systems=names)
    assert plan_cadence(DALIAN, every).every == min(tier.drill.every for tier in DALIAN.tiers.values())
    assert plan_centres(DALIAN, every) == ["same-city", "provincial"]
    tier = DALIAN.tiers["data-backup"]
    far_only = changed_tier(DALIAN, "data-backup", copies={"provincial": tier.copies["provincial"]})
    assert plan_centres(far_only, every) == ["provincial"]

"""The calendar: in time, on open days, spread over the weeks, and stable when something is added."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.calendar import DAY, PlannedDrill, by_month, plan_drills, wanted_kinds
from policies.load import load_site
from policies.plan import Plan, Recovery, default_plans
from policies.site import Blackout, Holiday, Site
from policies.tenant import Tenant
from policies.windows import zone
from policies.work import AtCentre, Facts, copy_centres

CITY = load_site(Path(__file__).parents[3] / "examples" / "dalian")
DALIAN = CITY.model_copy(
    update={"blackouts": (), "plans": {name: each for name, each in CITY.plans.items() if len(each.systems) == 1}}
)
NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
YEAR = NOW + 366 * DAY
LOCAL = zone(DALIAN.timezone)
LAND = "natural-resources/land-registry"


def known(site: Site, *, held: dict[str, datetime] | None = None, since: datetime = NOW) -> Facts:
    systems = list(site.systems())
    at = {
        (ref.tenant.tenant, ref.name, centre): AtCentre(held=held or {})
        for ref in systems
        for centre in copy_centres(ref)
    }
    return Facts(known_since={(ref.tenant.tenant, ref.name): since for ref in systems}, at=at)


def drilled(site: Site = DALIAN, **more: Any) -> list[PlannedDrill]:
    return plan_drills(site, known(site, **more), NOW, YEAR)


def with_rule(site: Site, **rule: Any) -> Site:
    tiers = {
        name: tier.model_copy(update={"drill": tier.drill.model_copy(update=rule)}) for name, tier in site.tiers.items()
    }
    return site.model_copy(update={"tiers": tiers})


def many(count: int) -> Site:
    """A city of so many bureaus, each like the bureau of natural resources."""
    bureau = DALIAN.tenants["natural-resources"]
    tenants: dict[str, Tenant] = {
        f"bureau-{number}": bureau.model_copy(update={"tenant": f"bureau-{number}"}) for number in range(count)
    }
    plans = {each.plan: each for each in default_plans(tenants.values(), ())}
    return DALIAN.model_copy(update={"tenants": tenants, "plans": plans})


def test_every_plan_is_drilled_as_often_as_its_tier_asks_and_in_time():
    found = drilled()
    for name, plan in DALIAN.plans.items():
        (system,) = plan.systems
        ref = DALIAN.system(*system.split("/"))
        assert ref
        for centre in copy_centres(ref):
            mine = [each for each in found if (each.plan.plan, each.centre) == (name, centre)]
            every = ref.tier.drill.every
            days = [NOW.date(), *(each.day for each in mine), YEAR.date()]
            assert all(after - before <= every + 2 * DAY for before, after in pairwise(days))
            assert all(NOW.date() < each.day <= each.due_at.astimezone(LOCAL).date() for each in mine)
            assert len(mine) in (366 * DAY // every, 366 * DAY // every + 1)
            assert not mine or mine[0].due_at == NOW + every
    assert not [each for each in found if each.overdue or each.late]


def test_what_was_held_counts_and_what_is_overdue_comes_soon():
    lately = drilled(with_rule(DALIAN, every=80 * DAY), held={"restore": NOW - 5 * DAY})
    assert min(each.day for each in lately) >= (NOW + 12 * DAY).date(), "a quarter of the interval is left alone"
    overdue = drilled(since=NOW - 800 * DAY)
    first = {(each.plan.plan, each.centre): each for each in reversed(overdue)}
    assert all(each.overdue for each in first.values())
    assert all(each.day <= (NOW + 18 * DAY).date() for each in first.values())
    assert len({each.day for each in first.values()}) >= 6, "not all on one day"


def test_weekends_holidays_and_blackouts_are_passed_over():
    title = {"zh": "春节", "en": "Spring Festival"}
    holiday = Holiday.model_validate({"from": "2027-02-05", "to": "2027-02-12", "title": title})
    period = {"from": "2027-03-01", "to": "2027-03-15", "reason": title, "tenants": ["natural-resources"]}
    site = with_rule(DALIAN, every=timedelta(days=30)).model_copy(
        update={"holidays": (holiday,), "blackouts": (Blackout.model_validate(period),)}
    )
    found = drilled(site)
    assert len(found) > 150
    assert all(each.day.weekday() < 5 for each in found)
    assert not [each for each in found if date(2027, 2, 5) <= each.day <= date(2027, 2, 12)]
    shut = [each for each in found if date(2027, 3, 1) <= each.day <= date(2027, 3, 15)]
    assert shut
    assert not [each for each in shut if each.systems[0].tenant.tenant == "natural-resources"]


def test_a_blackout_that_leaves_no_day_makes_it_late():
    title = {"zh": "封", "en": "frozen"}
    frozen = Blackout.model_validate({"from": "2026-11-23", "to": "2026-12-31", "reason": title})
    site = with_rule(DALIAN, every=timedelta(days=20)).model_copy(update={"blackouts": (frozen,)})
    first = [each for each in drilled(site) if each.due_at == NOW + 20 * DAY]
    assert first
    assert all(each.late and each.day >= date(2027, 1, 1) for each in first)


def test_the_calendar_is_the_same_tomorrow_and_when_a_bureau_is_added():
    few, more = many(20), many(21)
    before = {each.id: each.day for each in drilled(few)}
    after = {each.id: each.day for each in drilled(more)}
    assert before.items() <= after.items()
    assert len(after) > len(before)
    facts = known(few)
    tomorrow = plan_drills(few, facts, NOW + DAY, YEAR)
    moved = {each.id: each.day for each in tomorrow}.items() ^ before.items()
    assert {day for _, day in moved} <= {(NOW + days * DAY).date() for days in (1, 2)}, "only what was for tomorrow"


def test_the_drills_of_many_bureaus_are_spread_over_the_weeks():
    site = many(100)
    rule = {"every": timedelta(days=91)}
    found = [each for each in drilled(with_rule(site, **rule)) if each.due_at == NOW + 91 * DAY]
    assert len(found) == 400
    weeks = Counter(each.day.isocalendar().week for each in found)
    assert len(weeks) >= 13
    assert max(weeks.values()) <= 2 * 400 / 13
    days = Counter(each.day for each in found)
    assert max(days.values()) <= 20


def test_further_kinds_have_their_own_turns():
    site = with_rule(DALIAN, also={"tabletop": timedelta(days=182), "switchover": timedelta(days=365)})
    found = [each for each in drilled(site) if LAND in each.plan.systems]
    assert Counter(each.kind for each in found if each.centre == "same-city")["tabletop"] == 2
    assert not [each for each in found if each.kind == "tabletop" and each.centre == "provincial"]
    talked = known(site, held={"restore": NOW, "tabletop": NOW - 100 * DAY})
    first = next(each for each in plan_drills(site, talked, NOW, YEAR) if each.kind == "tabletop")
    assert first.due_at == NOW + 82 * DAY
    assert first.day <= first.due_at.astimezone(LOCAL).date()


def test_a_weaker_kind_does_not_count_for_a_stronger_one():
    site = with_rule(DALIAN, kind="sandbox")
    weak = plan_drills(site, known(site, held={"restore": NOW}, since=NOW - 800 * DAY), NOW, YEAR)
    strong = plan_drills(site, known(site, held={"failover": NOW}, since=NOW - 800 * DAY), NOW, YEAR)
    assert any(each.overdue for each in weak)
    assert not any(each.overdue for each in strong)


def test_servers_are_not_drilled_where_there_is_no_cloud():
    bureau = DALIAN.tenants["natural-resources"]
    server = {"boot": "disk", "flavor": "small", "network": "maps", "address": "10.0.0.5"}
    system = bureau.systems["land-registry"].model_validate(
        {**bureau.systems["land-registry"].model_dump(), "servers": {"web": server}}
    )
    tenant = bureau.model_copy(update={"systems": {"land-registry": system}})
    site = DALIAN.model_copy(update={"tenants": {"natural-resources": tenant}})
    site = with_rule(site, also={"sandbox": timedelta(days=182)})
    plan = Plan(plan="land", systems={LAND: Recovery()})
    assert "sandbox" in wanted_kinds(site, plan, "same-city")
    assert "sandbox" not in wanted_kinds(site, plan, "provincial")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 400), st.integers(20, 400))
def test_no_drill_is_planned_before_tomorrow_or_twice(days: int, every: int):
    site = with_rule(DALIAN, every=timedelta(days=every))
    now = NOW + days * DAY
    found = plan_drills(site, known(site), now, now + 200 * DAY)
    assert all(each.day > now.date() for each in found)
    assert len({each.id for each in found}) == len(found)
    assert [each.day for each in found] == sorted(each.day for each in found)


def test_by_month():
    found = drilled()
    months = by_month(found)
    assert [each for several in months.values() for each in several] == found
    assert list(months) == sorted(months)


def test_ids_stay_when_the_day_moves():
    one = drilled()[0]
    assert replace(one, day=one.day + DAY).id == one.id


@pytest.mark.parametrize("name", ["natural-resources/land-registry"])
def test_a_system_of_two_plans_is_drilled_by_both(name: str):
    plan = Plan(plan="second", systems={name: Recovery()})
    site = DALIAN.model_copy(update={"plans": {**DALIAN.plans, "second": plan}})
    found = {each.plan.plan for each in drilled(site) if name in each.plan.systems}
    assert found == {"land-registry", "second"}

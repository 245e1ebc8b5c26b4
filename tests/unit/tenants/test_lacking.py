"""Quotas of services that a cloud lacks: what is left out, what a person must settle, and what counts for nothing."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.tenants import items
from orchestrator.tenants.desired import Desired, Target
from orchestrator.tenants.drift import differences
from orchestrator.tenants.items import Item
from orchestrator.tenants.lacking import fitted
from orchestrator.tenants.looking import Look, Looks
from orchestrator.tenants.parity import parity
from orchestrator.tenants.planning import plan
from orchestrator.tenants.showing import notes, plan_json, summary
from policies.drift import Drift
from policies.quota import Quota, QuotaClass
from policies.quota_classes import EVERYWHERE, SERVICES, effective

LAND = Target("land", "production")
DOMAIN = items.Domain("land", "国土局")
COMPUTE = items.Quota("compute", {"cores": 4}, {"cores": "tenant"})
OF_CLASS = items.Quota("load_balancer", {"pools": 0, "members": -1}, {"pools": "class small", "members": "class small"})
OWN = items.Quota("key_manager", {"secrets": 5, "orders": 7}, {"secrets": "tenant", "orders": "class small × 2"})


def want(*wanted: Item) -> Desired:
    return Desired(LAND, wanted)


def look(wanted: Desired, services: tuple[str, ...] = EVERYWHERE) -> Look:
    """Return a look at a cloud with these services, where all else is as it must be."""
    wanted, left_out, lacking = fitted(wanted, services)
    observed = {each.key: (items.Seen("id", True, each),) for each in wanted.items}
    return Look(wanted, observed, (*plan(wanted, observed), *lacking), left_out=left_out)


def test_a_cloud_with_all_services_is_wanted_to_have_all() -> None:
    wanted = want(DOMAIN, COMPUTE, OF_CLASS, OWN)
    assert fitted(wanted, SERVICES) == (wanted, (), ())


def test_what_a_class_says_is_left_out_and_counts_for_nothing() -> None:
    found = look(want(DOMAIN, COMPUTE, OF_CLASS))
    assert found.wanted.items == (DOMAIN, COMPUTE)
    assert (found.actions, found.left_out, found.unchanged) == ((), ("load_balancer",), 2)
    assert differences(found, Drift()) == ()
    assert parity(found).ratio == 1


def test_what_is_written_for_the_tenant_is_a_conflict_that_names_it_and_the_next_step() -> None:
    found = look(want(DOMAIN, COMPUTE, OWN))
    (action,) = found.actions
    assert (action.kind, found.left_out) == ("conflict", ())
    assert str(action).startswith("conflict quota key_manager: the cloud has no such service, and secrets is written")
    assert "tenants/land.yaml" in action.reason
    assert "orders" not in action.reason  # a class says that
    assert differences(found, Drift(default="heal")) == ()
    assert parity(found).ratio == 1


def test_other_conflicts_are_drift_still() -> None:
    found = look(want(DOMAIN, OWN))
    theirs = {DOMAIN.key: (items.Seen("id", False, DOMAIN),)}
    found = replace(found, observed=theirs, actions=(*plan(found.wanted, theirs), *found.actions))
    assert [each.action.item for each in differences(found, Drift())] == [DOMAIN]


def test_a_plan_tells_once_for_each_centre_what_is_left_out() -> None:
    found = [look(Desired(Target(name, "production"), (OF_CLASS,))) for name in ("land", "water")]
    there = Looks((*found, look(Desired(Target("land", "same-city"), (OF_CLASS,)), SERVICES)), {})
    assert [(each["centre"], each["service"], each["tenants"]) for each in notes(there)] == [
        ("production", "load_balancer", 2)
    ]
    assert plan_json(there)["notes"] == notes(there)
    assert summary(there) == "0 to create, 0 to update, 1 unchanged"


def test_limits_of_further_services_are_inherited_and_multiplied_as_others_are() -> None:
    classes = {
        "small": QuotaClass.model_validate(
            {"load_balancer": {"pools": 2, "members": "unlimited"}, "shared_file_system": {"shares": 0}}
        )
    }
    own = Quota.model_validate({"key_manager": {"secrets": 0}})
    found = {key: (each.amount, each.origin) for key, each in effective(classes, own, "small", 3).items()}
    assert found == {
        ("load_balancer", "pools"): (6, "class small × 3"),
        ("load_balancer", "members"): (-1, "class small × 3"),
        ("shared_file_system", "shares"): (0, "class small × 3"),
        ("key_manager", "secrets"): (0, "tenant"),
    }

"""What differs from the site, and what policy makes of it; what somebody renamed is found again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from orchestrator.cloud import identity, network
from orchestrator.cloud.marks import marked
from orchestrator.cloud.security import Rule, SeenRule
from orchestrator.tenants import items
from orchestrator.tenants.desired import Desired
from orchestrator.tenants.drift import NOUNS, differences, healing, only_healing
from orchestrator.tenants.leftovers import leftovers
from orchestrator.tenants.looking import Look, Looks
from orchestrator.tenants.observing import observe
from orchestrator.tenants.planning import plan
from orchestrator.tenants.renames import restored
from orchestrator.tenants.review import drift_markdown, plan_markdown
from orchestrator.tenants.survey import Survey
from policies.drift import Drift
from tests.unit.tenants.test_tenant_observing import as_applied


def seen(wanted: Desired, survey: Survey) -> Look:
    observed = observe(restored(survey, [wanted]), "land")
    return Look(wanted, observed, plan(wanted, observed))


def fates(wanted: Desired, survey: Survey, policy: Drift) -> dict[str, str]:
    return {str(each.action): each.fate for each in differences(seen(wanted, survey), policy)}


def told(wanted: Desired, survey: Survey) -> list[str]:
    return [str(each) for each in seen(wanted, survey).actions]


def without_rule(survey: Survey) -> Survey:
    ours, default = survey.security_groups
    return replace(survey, security_groups=[replace(ours, rules=ours.rules[:-1]), default])


def test_policy_says_which_nouns_are_healed() -> None:
    wanted, survey = as_applied()
    off = [replace(each, enabled=each.name != "zhang") for each in survey.users]
    survey = replace(without_rule(survey), users=off)
    rule = "create security rule baseline: ingress tcp 22 from 10.0.1.0/24"
    user = "update user zhang.enabled no → yes"
    assert fates(wanted, survey, Drift()) == {user: "report", rule: "report"}
    assert fates(wanted, survey, Drift(heal=("rule",))) == {user: "report", rule: "heal"}
    assert fates(wanted, survey, Drift(default="heal", report=("rule",))) == {user: "heal", rule: "report"}


def test_a_noun_has_one_fate() -> None:
    with pytest.raises(ValidationError, match="report does not name too"):
        Drift(heal=("rule",), report=("rule", "user"))


def test_every_noun_of_a_tenant_has_a_name_in_the_site() -> None:
    kinds = {each.noun for each in items.Item.__subclasses__()}
    assert set(NOUNS) == kinds


def test_what_strangers_add_to_ours_is_told_and_never_healed() -> None:
    wanted, survey = as_applied()
    ours, default = survey.security_groups
    open_rule = SeenRule("x", Rule("ingress", "IPv4", "tcp", 3389, 3389), ours=False)
    survey = replace(
        survey,
        security_groups=[replace(ours, rules=(*ours.rules, open_rule)), default],
        grants=[*survey.grants, identity.Grant("r9", "p", "user", "u1")],
    )
    assert fates(wanted, survey, Drift(default="heal")) == {
        "extra role user zhang: admin": "report",
        "extra security rule baseline: ingress tcp 3389 from anywhere": "report",
    }


def test_nothing_is_healed_in_a_tenant_of_which_nothing_is_there() -> None:
    wanted, survey = as_applied()
    found = seen(wanted, replace(survey, domains={}))
    assert found.actions
    assert healing(found, Drift(default="heal")) == ()


def test_what_lacks_something_that_is_not_healed_waits_with_it() -> None:
    wanted, survey = as_applied()
    gone = replace(survey, networks=survey.networks[1:], subnets=[], interfaces=[])  # type: ignore[index]
    heal_parts = Drift(heal=("subnet", "interface"))
    assert set(fates(wanted, gone, heal_parts).values()) == {"report"}
    heal_all = Drift(heal=("network", "subnet", "interface"))
    assert [each.item.noun for each in healing(seen(wanted, gone), heal_all)] == [
        "network",
        "subnet",
        "router interface",
    ]


def test_conflicts_and_leftovers_are_never_healed() -> None:
    wanted, survey = as_applied()
    moved = [replace(each, cidr="10.9.9.0/24") for each in survey.subnets]
    old = network.Network("n9", "old", "p", marked("x"), (), False, True)
    look = seen(wanted, replace(survey, subnets=moved, networks=[*survey.networks, old]))
    left = leftovers(wanted, look.observed)
    assert [each.item.name for each in left] == ["old"]
    assert only_healing(look, Drift(default="heal")).actions == ()


def test_what_was_renamed_is_named_back_and_not_made_again() -> None:
    wanted, survey = as_applied()
    lan, public = survey.networks
    (subnet,), (router,) = survey.subnets, survey.routers
    baseline, default = survey.security_groups
    survey = replace(
        survey,
        projects=[replace(each, name="p-x" if each.id == "p" else each.name) for each in survey.projects],
        groups=[replace(each, name="g-x") for each in survey.groups],
        users=[replace(each, name=f"{each.name}-x" if each.domain_id == "d" else each.name) for each in survey.users],
        networks=[replace(lan, name="n-x"), public],
        subnets=[replace(subnet, name="s-x")],
        routers=[replace(router, name="r-x")],
        security_groups=[replace(baseline, name="sg-x"), default],
    )
    assert sorted(told(wanted, survey)) == [
        "update group land-members.name g-x → land-members",
        "update network lan.name n-x → lan",
        "update project land.name p-x → land",
        "update router office.name r-x → office",
        "update security group baseline.name sg-x → baseline",
        "update subnet lan.name s-x → lan",
        "update user tricenter.name tricenter-x → tricenter",
        "update user zhang.name zhang-x → zhang",
    ]


def test_a_renamed_domain_is_known_by_the_project_in_it() -> None:
    wanted, survey = as_applied()
    domain = survey.domains["land"]
    survey = replace(survey, domains={"was-land": replace(domain, name="was-land")})
    assert told(wanted, survey) == ["update domain land.name was-land → land"]
    strange = replace(survey, projects=[])
    assert "create domain land" in told(wanted, strange)


def test_what_cannot_be_told_apart_is_not_renamed() -> None:
    wanted, survey = as_applied()
    lan, public = survey.networks
    (subnet,) = survey.subnets
    twice = replace(
        survey,
        networks=[replace(lan, name="a"), replace(lan, name="b", id="n2"), public],
        subnets=[replace(subnet, name="a"), replace(subnet, id="s2", name="b", network_id="n2")],
    )
    assert "create network lan" in told(wanted, twice)
    foreign = replace(survey, networks=[replace(lan, name="a", ours=False), public])
    assert "create network lan" in told(wanted, foreign)


def test_a_person_of_the_same_name_does_not_get_the_account_of_another() -> None:
    wanted, survey = as_applied()
    other = [replace(each, name="zhang2", email="other@x") if each.id == "u1" else each for each in survey.users]
    assert "create user zhang" in " ".join(told(wanted, replace(survey, users=other)))


def test_reviews_show_every_difference_with_its_fate() -> None:
    wanted, survey = as_applied()
    found = seen(wanted, without_rule(survey))
    looks = Looks((found,), {})
    text = plan_markdown(looks)
    assert "| create | security rule | `baseline: ingress tcp 22 from 10.0.1.0/24` |" in text
    text = drift_markdown([(found, differences(found, Drift(heal=("rule",))))], looks)
    assert "| heal | policy heals it |" in text
    assert text.endswith("1 difference(s), 1 to heal")

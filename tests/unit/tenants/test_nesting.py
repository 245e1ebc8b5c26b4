"""Tenants of a shared domain: read as if each had one of its own, and never confused with what is somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.cloud import identity
from orchestrator.cloud.marks import TAG, marked
from orchestrator.errors import InvalidInput
from orchestrator.tenants.desired import Desired, desired
from orchestrator.tenants.nesting import Shared, settled
from orchestrator.tenants.observing import observe
from orchestrator.tenants.planning import plan
from orchestrator.tenants.renames import restored
from orchestrator.tenants.survey import Survey
from policies.tenancy import Nested, OwnDomain, login_of
from tests.unit.tenants.test_tenant_desired import site_of
from tests.unit.tenants.test_tenant_observing import as_applied

GOV = Nested(kind="nested", domain="gov", parent="bureaus")


def nested_survey(**changed: Any) -> tuple[Desired, Survey]:
    """Return what a small tenant wants of a shared domain, and a cloud that has just that, beside others' objects."""
    own, survey = as_applied()
    wanted = own._replace(items=tuple(each for each in own.items if each.noun != "domain"))
    land, _ = survey.projects
    home: Mapping[str, Any] = {
        "domains": {"gov": identity.Domain("g", "gov", "", False)},
        "projects": [
            replace(land, domain_id="g", parent_id="top"),
            identity.Project("top", "bureaus", "g", "", (), False),
            identity.Project("w", "water", "g", marked("water"), (TAG,), True, parent_id="top"),
        ],
        "groups": [replace(each, domain_id="g") for each in survey.groups],
        "users": [
            *(replace(each, domain_id="g", name=f"land.{each.name}") for each in survey.users if each.ours),
            identity.User("o1", "zhang", "g", "", None, False),
            identity.User("o2", "water.zhang", "g", marked("张三"), "z@x", True),
        ],
    }
    return wanted, replace(survey, **{**home, **changed})


def told(wanted: Desired, survey: Survey) -> list[str]:
    found = restored(settled(survey, GOV, {"land"}), [wanted])
    return [str(each) for each in plan(wanted, observe(found, "land"))]


def test_a_tenant_that_has_all_of_it_leaves_nothing_to_do() -> None:
    wanted, survey = nested_survey()
    assert told(wanted, survey) == []
    assert settled(survey, GOV, {"land"}).shared == Shared("g", "top")


def test_the_site_wants_no_domain_of_a_cloud_where_they_are_shared() -> None:
    site = site_of()
    cloud = site.centres["production"].cloud
    assert cloud
    production = site.centres["production"].model_copy(update={"cloud": cloud.model_copy(update={"tenancy": GOV})})
    nested = site.model_copy(update={"centres": {**site.centres, "production": production}})
    wanted = desired(nested, nested.tenants["land"], "production")
    assert wanted
    assert next(each.noun for each in wanted.items) == "project"
    assert "domain" not in {each.noun for each in wanted.items}


def test_nothing_of_a_shared_domain_is_a_tenant_s_but_what_bears_its_name() -> None:
    wanted, survey = nested_survey()
    without = replace(survey, users=[each for each in survey.users if not each.name.startswith("land.")])
    created = [each for each in told(wanted, without) if each.startswith("create user")]
    assert [each.split()[2] for each in created] == ["zhang", "tricenter"]
    assert "o2" not in str(observe(settled(survey, GOV, {"land"}), "land"))
    assert ("domain", "land") not in observe(settled(survey, GOV, {"land"}), "land")


def test_a_project_that_somebody_renamed_is_known_by_its_service_user() -> None:
    wanted, survey = nested_survey()
    land, *others = survey.projects
    assert told(wanted, replace(survey, projects=[replace(land, name="mine"), *others])) == [
        "update project land.name mine → land"
    ]


def test_a_project_of_others_is_in_the_way() -> None:
    wanted, survey = nested_survey()
    land, *others = survey.projects
    (first, *_) = told(wanted, replace(survey, projects=[replace(land, ours=False), *others]))
    assert first.startswith("conflict project land: exists and was not created by Tricenter")


@pytest.mark.parametrize(
    ("tenancy", "says"),
    [
        (Nested(kind="nested", domain="gob"), "no domain 'gob'"),
        (Nested(kind="nested", domain="gov", parent="bureau"), "no project 'bureau'"),
    ],
)
def test_what_is_shared_must_be_there(tenancy: Nested, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        settled(nested_survey()[1], tenancy, {"land"})


def test_who_stands_elsewhere_is_not_made_a_second_time() -> None:
    _, survey = nested_survey()
    land, *others = survey.projects
    moved = replace(survey, projects=[replace(land, parent_id="elsewhere"), *others])
    assert "another parent" in settled(moved, GOV, {"land"}).elsewhere["land"]
    assert "stands nested" in settled(survey, OwnDomain(), {"land"}).elsewhere["land"]
    _, own = as_applied()
    both = replace(own, domains={**own.domains, "gov": identity.Domain("g", "gov", "", False)})
    assert "domain of its own" in settled(both, Nested(kind="nested", domain="gov"), {"land"}).elsewhere["land"]
    assert settled(own, OwnDomain(), {"land"}).elsewhere == {}


def test_an_account_says_whose_it_is() -> None:
    assert login_of(GOV.account("land", "li.si")) == ("land", "li.si")
    assert login_of("admin") == ("", "admin")
    assert login_of("land.") == ("", "land.")

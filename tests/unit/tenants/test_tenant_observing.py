"""A survey of a cloud, read as the items of one tenant."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.cloud import identity, network, security
from orchestrator.cloud.access import Restricted
from orchestrator.cloud.key_pairs import KeyPair
from orchestrator.cloud.marks import TAG, marked
from orchestrator.cloud.security import AUTOMATIC, Rule, SeenRule
from orchestrator.cloud.shares import Share
from orchestrator.tenants import items
from orchestrator.tenants.desired import Desired, Target, desired, key_pair_item, share_item
from orchestrator.tenants.observing import observe
from orchestrator.tenants.planning import plan
from orchestrator.tenants.survey import Details, Survey
from tests.unit.tenants.test_tenant_desired import site_of

TITLE = marked("国土局 Land Bureau")
SERVICE = marked("the service user of Tricenter")


def as_applied() -> tuple[Desired, Survey]:
    """Return what a small tenant wants, and a cloud that has exactly that, with a stranger's objects around it."""
    site = site_of(
        members={"zhang": {"name": "张三", "email": "z@x"}},
        quota={"compute": {"cores": 4}},
        networks={"lan": {"zone": "office", "cidr": "10.0.1.0/24", "dns": ["10.0.0.53"]}},
    )
    wanted = desired(site, site.tenants["land"], "production")
    assert wanted
    ssh = Rule("ingress", "IPv4", "tcp", 22, 22, "10.0.1.0/24")
    rules = [*AUTOMATIC, Rule("ingress", same_group=True), Rule("ingress", protocol="icmp"), ssh]
    tags = (TAG,)
    zone = marked("zone office")
    survey = Survey(
        roles={"reader": "r1", "member": "r2", "manager": "r3", "admin": "r9"},
        domains={"land": identity.Domain("d", "land", TITLE, True)},
        projects=[
            identity.Project("p", "land", "d", TITLE, (*tags, "unit-code=1", "theirs", "mlps=3", "contact=x"), True),
            identity.Project("q", "land", "other", "", (), False),
        ],
        groups=[identity.Group("g", "land-members", "d", marked("members of land"), True)],
        users=[
            identity.User("u1", "zhang", "d", marked("张三"), "z@x", True),
            identity.User("u2", "tricenter", "d", SERVICE, None, True),
            identity.User("u3", "zhang", "other", "", None, False),
        ],
        grants=[
            identity.Grant("r1", "p", "group", "g"),
            identity.Grant("r2", "p", "user", "u1"),
            identity.Grant("r2", "p", "user", "u2"),
            identity.Grant("r9", "p", "user", "somebody-of-another-domain"),
        ],
        networks=[
            network.Network("n", "lan", "p", zone, tags, False, True),
            network.Network("x", "public", "admin", "", (), True, False),
        ],
        subnets=[network.Subnet("s", "lan", "p", "n", "10.0.1.0/24", ("10.0.0.53",), zone, tags, True)],
        routers=[network.Router("r", "office", "p", "x", zone, tags, True)],
        interfaces=[network.Interface("r", "s")],
        security_groups=[
            security.SecurityGroup(
                "sg",
                "baseline",
                "p",
                marked("what every server of the tenant needs"),
                tags,
                tuple(SeenRule(str(number), rule, True) for number, rule in enumerate(rules)),
                True,
            ),
            security.SecurityGroup("df", "default", "p", "Default security group", (), (), False),
        ],
        details={
            "land": Details(
                {"compute": {"cores": 4, "ram": 99}},
                frozenset({"u1"}),
                (identity.ApplicationCredential("ac", "tricenter", marked("x"), True),),
                "ac",
            )
        },
    )
    return wanted, survey


def told(wanted: Desired, survey: Survey) -> list[str]:
    return [str(each) for each in plan(wanted, observe(survey, "land"))]


def test_a_cloud_that_has_all_of_it_leaves_nothing_to_do() -> None:
    assert told(*as_applied()) == []


def test_nothing_is_seen_behind_a_foreign_domain() -> None:
    wanted, survey = as_applied()
    foreign = replace(survey, domains={"land": identity.Domain("d", "land", "theirs", False)})
    assert list(observe(foreign, "land")) == [("domain", "land")]
    assert told(wanted, foreign)[0].startswith("conflict domain land")


def test_a_mark_in_the_tag_alone_is_enough_and_the_description_is_mended() -> None:
    wanted, survey = as_applied()
    (lan, public) = survey.networks
    renamed = replace(survey, networks=[replace(lan, description="renamed"), public])
    assert told(wanted, renamed) == ["update network lan.description renamed → zone office"]


def test_a_label_that_somebody_changed_is_mended_and_other_tags_are_not_looked_at() -> None:
    wanted, survey = as_applied()
    land, other = survey.projects
    changed = [replace(land, tags=(TAG, "mlps=2", "contact=x", "unit-code=1", "theirs too")), other]
    assert told(wanted, replace(survey, projects=changed)) == [
        "update project land.labels contact=x,mlps=2,unit-code=1 → contact=x,mlps=3,unit-code=1"
    ]


def test_private_flavors_are_these_and_no_others_when_the_site_says_so_and_left_alone_when_not() -> None:
    wanted, survey = as_applied()
    there = [
        Restricted("f1", "small", public=True),
        Restricted("f2", "gov.large", public=False, project_ids=frozenset({"p", "q"})),
        Restricted("f3", "gov.gpu", public=False, project_ids=frozenset({"q"})),
    ]
    seen = replace(survey, access={"flavors": there})
    assert told(wanted, seen) == []
    site = site_of(flavors=["gov.gpu"])
    stated = desired(site, site.tenants["land"], "production")
    assert stated
    (item,) = [each for each in stated.items if isinstance(each, items.Access)]
    assert told(wanted._replace(items=(*wanted.items, item)), seen) == [
        "update access flavors.names gov.large → gov.gpu"
    ]
    nothing = wanted._replace(items=(*wanted.items, items.Access("flavors", ())))
    assert told(nothing, seen) == ["update access flavors.names gov.large → none"]


def test_a_kill_between_create_and_tag_is_mended() -> None:
    wanted, survey = as_applied()
    (router,) = survey.routers
    assert told(wanted, replace(survey, routers=[replace(router, tags=())])) == ["update router office.tag no → yes"]


def test_a_lost_or_other_credential_file_is_shown() -> None:
    wanted, survey = as_applied()
    for stored in (None, "another"):
        changed = replace(survey, details={"land": replace(survey.details["land"], stored_credential=stored)})
        assert told(wanted, changed) == ["update application credential tricenter.secret_file missing → present"]


def test_the_credential_that_the_file_names_is_the_tenants_whatever_a_rotation_called_it() -> None:
    wanted, survey = as_applied()
    rotated = (
        identity.ApplicationCredential("ac", "tricenter", marked("x"), True),
        identity.ApplicationCredential("new", "tricenter-1a2b", marked("x"), True),
        identity.ApplicationCredential("theirs", "ci", "", False),
    )
    details = replace(survey.details["land"], credentials=rotated, stored_credential="new")
    changed = replace(survey, details={"land": details})
    assert told(wanted, changed) == []
    found = [key[1] for key in observe(changed, "land") if key[0] == "application credential"]
    assert found == ["tricenter left ac", "tricenter", "ci"]


def test_an_extra_rule_of_ours_goes_and_one_by_hand_stays() -> None:
    wanted, survey = as_applied()
    baseline, default = survey.security_groups
    extra = (
        SeenRule("old", Rule("ingress", protocol="udp", port_min=53, port_max=53), True),
        SeenRule("by-hand", Rule("ingress", protocol="tcp", port_min=99, port_max=99), False),
    )
    changed = replace(survey, security_groups=[replace(baseline, rules=(*baseline.rules, *extra)), default])
    assert told(wanted, changed) == ["remove security rule baseline: ingress udp 53 from anywhere"]


def test_a_tenant_that_is_not_there_is_seen_as_nothing() -> None:
    _, survey = as_applied()
    assert observe(survey, "water") == {}
    assert Target("water", "production").tenant not in survey.domains


def test_a_network_is_shared_with_whom_the_site_names_and_with_nobody_else() -> None:
    wanted, survey = as_applied()
    shared = replace(
        survey,
        domains={**survey.domains, "health": identity.Domain("h", "health", TITLE, True)},
        projects=[*survey.projects, identity.Project("hp", "health", "h", TITLE, (), True)],
        shares=[Share("s1", "n", "hp"), Share("s2", "n", "*"), Share("s3", "x", "hp")],
    )
    assert told(wanted, shared) == ["remove share lan with *", "remove share lan with health"]
    stated = wanted._replace(items=(*wanted.items, share_item("lan", "health")))
    assert told(stated, shared) == ["remove share lan with *"]
    assert told(stated, survey) == ["create share lan with health"]


def test_a_key_of_a_member_is_replaced_and_keys_that_people_add_are_theirs() -> None:
    wanted, survey = as_applied()
    (land,) = survey.details.values()
    keys = (KeyPair("u1", "laptop", "ssh-ed25519 OLD"), KeyPair("u1", "own", "ssh-ed25519 MINE"))
    seen = replace(survey, details={"land": replace(land, key_pairs=keys)})
    stated = wanted._replace(items=(*wanted.items, key_pair_item("zhang", "laptop", "ssh-ed25519 NEW")))
    assert told(stated, seen) == ["update key pair zhang: laptop.public_key ssh-ed25519 OLD → ssh-ed25519 NEW"]
    assert told(wanted, seen) == []
    assert told(stated, survey)[0].startswith("create key pair zhang: laptop")

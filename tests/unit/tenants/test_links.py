"""Links between zones: a router of their own, routes on both sides, and all of it gone with the approval."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.cloud import network
from orchestrator.cloud.marks import TAG, marked
from orchestrator.cloud.occupants import Occupant
from orchestrator.tenants import items
from orchestrator.tenants.desired import Desired, desired, is_link
from orchestrator.tenants.leftovers import destroying, leftovers
from orchestrator.tenants.observing import observe
from orchestrator.tenants.planning import plan
from orchestrator.tenants.survey import Survey
from policies.site import Site
from tests.unit.tenants.test_tenant_desired import site_of
from tests.unit.tenants.test_tenant_observing import as_applied

LINK = "link-lan.portal"
TAGS = (TAG,)


def wanted(*, linked: bool = True) -> Desired:
    link = {"between": ["portal", "lan"], "approval": "A-17"}
    site = site_of(
        members={"zhang": {"name": "张三", "email": "z@x"}},
        quota={"compute": {"cores": 4}},
        networks={
            "lan": {"zone": "office", "cidr": "10.0.1.0/24", "dns": ["10.0.0.53"]},
            "portal": {"zone": "internet", "cidr": "10.0.2.0/24"},
        },
        zone_links=[link] if linked else [],
    )
    zones = {**site.zones, "internet": site.zones["office"]}
    site = Site.model_validate({**site.model_dump(by_alias=True), "zones": zones})
    found = desired(site, site.tenants["land"], "production")
    assert found
    return found


def linked_cloud() -> Survey:
    """The cloud as an apply leaves it, with the link."""
    _, survey = as_applied()
    (office,) = survey.routers
    zone = marked("zone internet")
    return replace(
        survey,
        networks=[*survey.networks, network.Network("n2", "portal", "p", zone, TAGS, False, True)],
        subnets=[*survey.subnets, network.Subnet("s2", "portal", "p", "n2", "10.0.2.0/24", (), zone, TAGS, True)],
        routers=[
            replace(office, routes=(("10.0.2.0/24", "10.0.1.9"), ("10.9.0.0/16", "10.0.1.200"))),
            network.Router("r2", "internet", "p", "x", zone, TAGS, True, (("10.0.1.0/24", "10.0.2.9"),)),
            network.Router("l", LINK, "p", None, marked("zone link lan - portal, approval A-17"), TAGS, True),
        ],
        interfaces=[
            *survey.interfaces,
            network.Interface("r2", "s2", "10.0.2.1"),
            network.Interface("l", "s", "10.0.1.9"),
            network.Interface("l", "s2", "10.0.2.9"),
        ],
    )


def told(want: Desired, survey: Survey) -> list[str]:
    return [str(each) for each in plan(want, observe(survey, "land")) if "baseline" not in str(each)]


def test_zones_meet_on_no_router_but_that_of_an_approved_link() -> None:
    for linked in (True, False):
        zones: dict[str, set[str]] = {}
        for each in wanted(linked=linked).items:
            if isinstance(each, items.Interface | items.LinkInterface):
                zones.setdefault(each.router, set()).add(each.subnet)
        assert {router for router, subnets in zones.items() if len(subnets) > 1} == ({LINK} if linked else set())


def test_the_links_router_says_which_approval_it_stands_on() -> None:
    (router,) = [each for each in wanted().items if isinstance(each, items.Router) and is_link(each.name)]
    assert router == items.Router(LINK, "zone link lan - portal, approval A-17", None)


def test_a_cloud_with_the_link_leaves_nothing_to_do_and_routes_of_others_are_left_alone() -> None:
    assert told(wanted(), linked_cloud()) == []


def test_a_lost_route_is_put_back() -> None:
    cloud = linked_cloud()
    routers = [replace(each, routes=()) if each.name == "internet" else each for each in cloud.routers]
    assert told(wanted(), replace(cloud, routers=routers)) == [f"create extra route 10.0.1.0/24 on internet by {LINK}"]


def test_a_withdrawn_approval_takes_the_routes_before_the_feet_and_leaves_the_router_to_be_destroyed() -> None:
    cloud = linked_cloud()
    withdrawn, observed = wanted(linked=False), observe(cloud, "land")
    assert told(withdrawn, cloud) == [
        f"remove extra route 10.0.1.0/24 on internet by {LINK}",
        f"remove extra route 10.0.2.0/24 on office by {LINK}",
        f"remove link interface lan on {LINK}",
        f"remove link interface portal on {LINK}",
    ]
    unwanted = leftovers(withdrawn, observed)
    assert [each.item.name for each in unwanted] == [LINK]
    foot = Occupant("foot", "network:router_interface", "l", "n", frozenset({"s"}), frozenset())
    (destroyed,) = destroying(withdrawn, observed, unwanted, [foot])
    assert destroyed.reason == ""

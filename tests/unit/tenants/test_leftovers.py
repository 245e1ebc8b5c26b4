"""What the site no longer wants: only ours, in an order that can be done, and never what somebody uses."""

from __future__ import annotations

from orchestrator.cloud.occupants import Occupant
from orchestrator.tenants import items
from orchestrator.tenants.desired import Desired, Target, interface_item, rule_item
from orchestrator.tenants.items import Item, Observed, Seen
from orchestrator.tenants.leftovers import allowed, destroying, leftovers
from orchestrator.tenants.observing import by_key
from orchestrator.tenants.planning import Approval, plan
from policies.tiers import CentreName

CENTRE: CentreName = "production"
LAND = Target("land", CENTRE)
PROJECT = items.Project("land", "国土局")
OLD = (
    Seen("n1", True, items.Network("old", "")),
    Seen("s1", True, items.Subnet("old", "old", "10.9.0.0/24", (), ""), "n1"),
    Seen("r1", True, items.Router("zone", "", "public")),
    Seen("r1", True, interface_item("old", "zone"), "s1"),
    Seen("g1", True, items.SecurityGroup("web", "")),
    Seen("rule", True, rule_item("web", next(iter(items.AUTOMATIC)))),
    Seen("u1", True, items.User("li", "李四")),
    Seen("k1", True, items.Group("old-members", "")),
)
FOOT = Occupant("foot", "network:router_interface", "r1", "n1", frozenset({"s1"}), frozenset())
SERVER = Occupant("web-1", "compute:nova", "vm", "n1", frozenset({"s1"}), frozenset({"g1"}))


def want(*wanted: Item) -> Desired:
    return Desired(LAND, (PROJECT, *wanted))


def there(*seen: Seen) -> Observed:
    return by_key([Seen("p", True, PROJECT), *seen])


def told(observed: Observed, *ports: Occupant, wanted: Desired | None = None) -> list[str]:
    wish = wanted or want()
    found = destroying(wish, observed, leftovers(wish, observed), ports)
    return [str(each) for each in allowed((), found)]


def test_what_hangs_on_something_goes_before_it_and_the_plan_says_what_goes_with_it() -> None:
    assert told(there(*OLD), FOOT) == [
        "destroy router interface old on zone",
        "destroy router zone, with its gateway to public",
        "destroy subnet old, with 10.9.0.0/24",
        "destroy network old",
        "destroy security group web, with 1 rule(s)",
        "destroy user li, with the password and all credentials",
        "destroy group old-members, with its members' place in it",
    ]


def test_a_server_in_a_network_keeps_all_that_it_stands_on() -> None:
    lines = told(there(*OLD), FOOT, SERVER)
    assert [each.split(":")[0] for each in lines] == [
        "conflict router interface old on zone",
        "conflict router zone",
        "conflict subnet old",
        "conflict network old",
        "conflict security group web",
        "destroy user li, with the password and all credentials",
        "destroy group old-members, with its members' place in it",
    ]
    assert all("port web-1 of compute:nova vm" in each for each in lines[:5])


def test_somebodys_subnet_or_router_in_our_network_keeps_it() -> None:
    theirs = Seen("s2", False, items.Subnet("lab", "old", "10.8.0.0/24", (), ""), "n1")
    foreign = Occupant("x", "network:router_interface", "r2", "n1", frozenset({"s2"}), frozenset())
    lines = told(there(*OLD, theirs), FOOT, foreign)
    assert [each for each in lines if each.startswith("conflict")] == [
        "conflict network old: the site no longer wants it, but it is used by port x of network:router_interface r2, "
        "subnet lab: delete or move that first, or apply without --allow-destroy"
    ]


def test_what_is_not_ours_or_of_a_drill_or_wanted_is_never_named() -> None:
    stranger = Seen("n2", False, items.Network("lab", ""))
    bubble = Seen("n3", True, items.Network("drill-x-lan", "[drill=x]"), passing=True)
    mine = Seen("n4", True, items.Network("lan", ""))
    assert told(there(stranger, bubble, mine), wanted=want(items.Network("lan", ""))) == []


def test_who_wants_only_a_part_says_nothing_of_the_rest() -> None:
    assert leftovers(Desired(LAND, (items.Network("lan", ""),)), there(*OLD)) == ()


def test_a_router_leaves_a_subnet_before_another_enters_it() -> None:
    wish = want(items.Network("old", ""), OLD[1].item, items.Router("new", "", None), interface_item("old", "new"))
    observed = there(*OLD[:4])
    found = allowed(plan(wish, observed), destroying(wish, observed, leftovers(wish, observed), [FOOT]))
    assert [each.name for each in found] == [
        "destroy router interface old on zone",
        "create router new",
        "create router interface old on new",
        "destroy router zone",
    ]
    assert found[0].object_id == "r1/s1"


def test_an_approval_covers_the_object_that_was_named_and_no_other_of_its_name() -> None:
    observed = there(*OLD)
    shown = destroying(want(), observed, leftovers(want(), observed), [FOOT])
    approved = Approval.of(shown)
    fewer = there(*OLD[:5])  # its rule has gone meanwhile, and the words with it
    assert all(approved.covers(each) for each in destroying(want(), fewer, leftovers(want(), fewer), ()))
    other = there(Seen("n9", True, items.Network("old", "")))
    assert not any(approved.covers(each) for each in destroying(want(), other, leftovers(want(), other), ()))
    held = allowed((), destroying(want(), observed, leftovers(want(), observed), [SERVER]))
    assert not any(approved.covers(each) for each in held if each.kind == "conflict")

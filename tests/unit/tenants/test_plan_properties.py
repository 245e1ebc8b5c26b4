"""Whatever is wanted and whatever is there: a plan can be done in its order, ends in what is wanted, and spares others.

A small cloud does what it is told as the real ones do: it makes nothing on what is missing, and destroys nothing that
something hangs on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.cloud.occupants import Occupant
from orchestrator.cloud.security import AUTOMATIC
from orchestrator.tenants import items
from orchestrator.tenants.desired import (
    Desired,
    Target,
    interface_item,
    key_pair_item,
    membership_item,
    role_item,
    rule_item,
    share_item,
)
from orchestrator.tenants.items import Item, Key, Observed, Seen
from orchestrator.tenants.leftovers import allowed, destroying, leftovers
from orchestrator.tenants.observing import by_key
from orchestrator.tenants.planning import Action, Approval, conflicts, plan

LAND = Target("land", "production")
DOMAIN, PROJECT = items.Domain("land", "国土局"), items.Project("land", "国土局")
DESTROYED = frozenset({"router interface", "router", "subnet", "network", "security group", "user", "group"})


class Wish(NamedTuple):
    """What a site may say: networks with their zone, groups, users; who is let in, what may be used, their keys."""

    networks: dict[str, str]
    groups: frozenset[str]
    users: frozenset[str]
    cores: int
    guests: frozenset[str]
    images: tuple[str, ...] | None
    key: str


def desired_of(wish: Wish) -> Desired:
    return Desired(LAND, tuple(_wanted(wish)))


def _wanted(wish: Wish) -> Iterator[Item]:
    yield from (DOMAIN, PROJECT, items.Group("land-members", "members"))
    for user in sorted(wish.users):
        yield items.User(user, f"person {user}", f"{user}@land")
        yield membership_item(user, "land-members")
        yield role_item("user", user, "member")
        if wish.key:
            yield key_pair_item(user, "laptop", wish.key)
    if wish.images is not None:
        yield items.Access("images", wish.images)
    yield items.Quota("compute", {"cores": wish.cores})
    for zone in sorted(set(wish.networks.values())):
        yield items.Router(zone, f"zone {zone}", "public")
    for name, zone in sorted(wish.networks.items()):
        yield items.Network(name, f"zone {zone}")
        yield items.Subnet(name, name, f"10.{ord(name[0])}.0.0/24", (), f"zone {zone}")
        yield interface_item(name, zone)
        yield from (share_item(name, guest) for guest in sorted(wish.guests))
    for name in sorted(wish.groups):
        yield items.SecurityGroup(name, f"group {name}")
        yield from (rule_item(name, rule) for rule in sorted(AUTOMATIC))


def needs(item: Item) -> tuple[Key, ...]:
    """Return what the cloud asks for before it makes something, or keeps while it is there."""
    match item:
        case items.Subnet() | items.Share():
            return (("network", item.network),)
        case items.KeyPair():
            return (("user", item.user),)
        case items.Interface():
            return (("subnet", item.subnet), ("router", item.router))
        case items.SecurityRule():
            return (("security group", item.group),)
        case items.Membership():
            return (("user", item.user), ("group", item.group))
        case items.Role():
            return ((item.holder, item.holder_name),)
        case items.Domain():
            return ()
        case items.Project():
            return (("domain", "land"),)
    return (("project", "land"),)


@dataclass
class Town:
    """A cloud: what is there by key, ours or not, and ports that stand in subnets."""

    there: dict[Key, Seen] = field(default_factory=dict)
    ports: list[Occupant] = field(default_factory=list)
    made: int = 0

    @property
    def observed(self) -> Observed:
        return by_key(self.there.values())

    def make(self, item: Item, *, ours: bool = True) -> None:
        assert item.key not in self.there, f"{item.key} is there already"
        assert all(key in self.there for key in needs(item)), f"{item.key} has nothing to stand on"
        self.made += 1
        inside = {items.Subnet: "network", items.Interface: "subnet"}.get(type(item), "")
        parent = self.there[inside, getattr(item, inside)].id if inside else ""
        self.there[item.key] = Seen(f"id-{self.made}", ours, item, parent)
        if isinstance(item, items.Interface):  # known by its router's id, as Neutron has it
            self.there[item.key] = Seen(self.there["router", item.router].id, ours, item, parent)
        if isinstance(item, items.SecurityGroup) and ours:
            for rule in sorted(AUTOMATIC):
                self.make(rule_item(item.name, rule))

    def take(self, key: Key) -> None:
        """Destroy something, with what the service takes along."""
        seen = self.there[key]
        along = [k for k, each in self.there.items() if key in needs(each.item)]
        for each in along:
            kinds = (items.SecurityRule, items.Role, items.Membership, items.Share, items.KeyPair)
            assert isinstance(self.there[each].item, kinds), f"{each} hangs on {key}"
        used = {*(port.network_id for port in self.ports), *(one for port in self.ports for one in port.subnet_ids)}
        assert seen.id not in used or isinstance(seen.item, items.Interface), f"{key} is in use"
        for each in (*along, key):
            self.there.pop(each, None)

    def do(self, action: Action) -> None:
        if action.kind == "create" and action.item.key in self.there:
            assert action.item.comes_with, f"{action} makes a second one"
        elif action.kind == "create":
            self.make(action.item)
        elif action.kind == "update":
            seen = self.there[action.item.key]
            assert seen.id == action.object_id
            self.there[action.item.key] = replace(seen, item=action.item)
        else:
            assert action.kind in ("remove", "destroy"), action
            self.take(action.item.key)


def planned(wanted: Desired, town: Town, *, allow_destroy: bool) -> tuple[Action, ...]:
    actions, unwanted = plan(wanted, town.observed), leftovers(wanted, town.observed)
    feet = [
        Occupant("foot", "network:router_interface", each.id, "", frozenset({each.inside}), frozenset())
        for each in town.there.values()
        if isinstance(each.item, items.Interface)
    ]
    gone = destroying(wanted, town.observed, unwanted, [*town.ports, *feet])
    return allowed(actions, gone) if allow_destroy else actions


NAMES = st.sampled_from("abcd")
ZONES = st.sampled_from(["z1", "z2"])
WISHES = st.builds(
    Wish,
    st.dictionaries(NAMES, ZONES, max_size=3),
    st.frozensets(st.sampled_from(["web", "db"])),
    st.frozensets(st.sampled_from(["zhang", "li"])),
    st.sampled_from([1, 20]),
    st.frozensets(st.sampled_from(["health", "police"])),
    st.sampled_from([None, (), ("base",)]),
    st.sampled_from(["", "ssh-ed25519 A", "ssh-ed25519 B"]),
)


@st.composite
def towns(draw: st.DrawFn) -> Town:
    """A town as an earlier site has left it, with what people have done to it since."""
    town = Town()
    for item in _wanted(draw(WISHES)):
        if item.key not in town.there and all(key in town.there for key in needs(item)):
            keep = isinstance(item, items.Domain | items.Project) or draw(st.integers(0, 5)) > 0
            if keep:
                town.make(item)
    for name in draw(st.frozensets(st.sampled_from(["lab", "a", "b"]))):
        if ("network", name) not in town.there:
            town.make(items.Network(name, "by hand"), ours=False)
    subnets = [each for each in town.there.values() if isinstance(each.item, items.Subnet)]
    for each in draw(st.lists(st.sampled_from(subnets), max_size=2)) if subnets else []:
        town.ports.append(Occupant("web-1", "compute:nova", "vm", each.inside, frozenset({each.id}), frozenset()))
    for key, seen in list(town.there.items()):
        if isinstance(seen.item, items.User | items.Network) and seen.ours and draw(st.integers(0, 3)) == 0:
            town.there[key] = replace(seen, item=replace(seen.item, description="edited"))
    return town


def strangers(town: Town) -> dict[Key, Seen]:
    return {key: seen for key, seen in town.there.items() if not seen.ours}


@settings(max_examples=80, deadline=None)
@given(WISHES, towns(), st.booleans())
def test_a_plan_done_in_its_order_ends_in_what_is_wanted_and_a_second_one_is_empty(
    wish: Wish, town: Town, allow_destroy: bool
) -> None:
    wanted = desired_of(wish)
    actions = planned(wanted, town, allow_destroy=allow_destroy)
    before = strangers(town)
    if conflicts(actions):  # an apply writes nothing then
        return
    for action in actions:
        town.do(action)
    assert planned(wanted, town, allow_destroy=allow_destroy) == ()
    assert {each.key for each in wanted.items} <= town.there.keys()
    assert strangers(town) == before
    if allow_destroy:
        ours = {key for key, seen in town.there.items() if seen.ours and seen.item.destroyable}
        assert ours <= {each.key for each in wanted.items}


@settings(max_examples=80, deadline=None)
@given(WISHES, towns(), st.integers(0, 30))
def test_stopped_anywhere_the_rest_is_covered_by_the_approval_and_finishes_the_work(
    wish: Wish, town: Town, steps: int
) -> None:
    wanted = desired_of(wish)
    actions = planned(wanted, town, allow_destroy=True)
    if conflicts(actions):
        return
    for action in actions[:steps]:
        town.do(action)
    left = planned(wanted, town, allow_destroy=True)
    approved = Approval.of(actions)
    assert all(approved.covers(each) for each in left)
    for action in left:
        town.do(action)
    assert planned(wanted, town, allow_destroy=True) == ()


@settings(max_examples=80, deadline=None)
@given(WISHES, towns())
def test_without_allowance_no_object_goes_and_with_it_nothing_that_is_used_or_a_strangers(
    wish: Wish, town: Town
) -> None:
    wanted = desired_of(wish)
    for action in planned(wanted, town, allow_destroy=False):
        assert action.kind != "destroy"
        assert action.kind != "remove" or action.item.noun not in DESTROYED
    theirs = {each.id for each in strangers(town).values()}
    used = {one for port in town.ports for one in (port.network_id, *port.subnet_ids)}
    for action in planned(wanted, town, allow_destroy=True):
        if action.kind in ("update", "remove", "destroy"):
            assert action.object_id not in theirs
        if action.kind == "destroy":
            assert action.item.noun in DESTROYED
            assert not used & set(str(action.object_id).split("/"))

"""Desired against observed, and what carrying the plan out on a small model of a cloud comes to."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.cloud.security import AUTOMATIC, Rule
from orchestrator.tenants import items
from orchestrator.tenants.desired import Desired, Target, membership_item, role_item, rule_item
from orchestrator.tenants.items import Item, Key, Observed, Seen
from orchestrator.tenants.observing import by_key
from orchestrator.tenants.planning import Action, Approval, conflicts, plan

LAND = Target("land", "production")


def want(*wanted: Item) -> Desired:
    return Desired(LAND, wanted)


def told(wanted: Desired, observed: Observed) -> list[str]:
    return [str(each) for each in plan(wanted, observed)]


def seen(*found: Item, ours: bool = True) -> Observed:
    return by_key(Seen(f"id-{each.name}", ours, each) for each in found)


SUBNET = items.Subnet("office", "office", "10.1.0.0/24", ("10.1.0.53",), "zone office")


def test_what_is_not_there_is_created() -> None:
    wanted = want(items.Domain("land", "国土局"), SUBNET, items.Quota("compute", {"cores": 40, "ram": -1}))
    assert told(wanted, {}) == [
        "create domain land",
        "create subnet office 10.1.0.0/24 dns=10.1.0.53",
        "create quota compute cores=40 ram=unlimited",
    ]


def test_what_is_as_it_must_be_is_left_alone() -> None:
    assert plan(want(SUBNET), seen(SUBNET)) == ()


def test_what_differs_is_shown_with_both_values() -> None:
    there = items.Subnet("office", "office", "10.1.0.0/24", (), "zone office", tag=False)
    (action,) = plan(want(SUBNET), seen(there))
    assert (action.kind, action.object_id) == ("update", "id-office")
    assert str(action) == "update subnet office.dns none → 10.1.0.53, office.tag no → yes"


def test_quotas_know_three_values() -> None:
    there = seen(items.Quota("compute", {"cores": 20, "ram": 512, "instances": 10}))
    assert plan(want(items.Quota("compute", {})), there) == ()
    assert told(want(items.Quota("compute", {"cores": 0})), there) == ["update quota compute.cores 20 → 0"]
    assert told(want(items.Quota("compute", {"ram": -1})), there) == ["update quota compute.ram 512 → unlimited"]
    unlimited = seen(items.Quota("compute", {"cores": -1}))
    assert told(want(items.Quota("compute", {"cores": 0})), unlimited) == ["update quota compute.cores unlimited → 0"]
    assert plan(want(items.Quota("compute", {"cores": -1})), unlimited) == ()


def test_a_limit_that_nobody_has_set_is_neither_zero_nor_unlimited() -> None:
    there, wanted = seen(items.Quota("key_manager", {"orders": 0})), {"secrets": 5, "orders": -1, "containers": 0}
    assert told(want(items.Quota("key_manager", wanted)), there) == [
        "update quota key_manager.secrets unset → 5, key_manager.orders 0 → unlimited, key_manager.containers unset → 0"
    ]
    assert plan(want(items.Quota("key_manager", {})), there) == ()


def test_a_foreign_object_of_the_same_name_is_a_conflict() -> None:
    (action,) = plan(want(SUBNET), seen(SUBNET, ours=False))
    assert action.kind == "conflict"
    assert "not created by Tricenter" in str(action)


def test_a_foreign_namesake_beside_ours_is_ignored() -> None:
    both = by_key([Seen("theirs", False, SUBNET), Seen("ours", True, SUBNET)])
    assert plan(want(SUBNET), both) == ()


def test_two_of_ours_are_a_conflict_that_names_both() -> None:
    (action,) = plan(want(SUBNET), by_key([Seen("one", True, SUBNET), Seen("two", True, SUBNET)]))
    assert "one, two" in action.reason


def test_what_cannot_be_changed_in_place_is_a_conflict() -> None:
    moved = items.Subnet("office", "office", "10.9.0.0/24", SUBNET.dns, SUBNET.description)
    (action,) = plan(want(SUBNET), seen(moved))
    assert action.kind == "conflict"
    assert "cidr 10.9.0.0/24 → 10.1.0.0/24 cannot be changed" in action.reason


def test_extra_objects_are_ignored() -> None:
    extra = items.Network("by-hand", "")
    assert plan(want(SUBNET), {**seen(SUBNET), **seen(extra, ours=False)}) == ()
    assert plan(want(SUBNET), {**seen(SUBNET), **seen(extra, ours=True)}) == ()


def test_access_that_is_no_longer_wanted_is_taken_away_but_only_ours() -> None:
    wanted = want(items.User("zhang", "张"), role_item("user", "zhang", "reader"))
    there = {
        **seen(items.User("zhang", "张"), items.User("li", "李")),
        **seen(role_item("user", "zhang", "manager"), membership_item("li", "land-members")),
        **seen(role_item("user", "zhang", "load-balancer_member"), ours=False),
    }
    assert told(wanted, there) == [
        "create role user zhang: reader",
        "remove membership li in land-members",
        "remove role user zhang: manager",
    ]


def test_rules_of_a_group_that_the_site_forgot_stay_with_it() -> None:
    group = items.SecurityGroup("old", "")
    rule = rule_item("old", Rule("ingress", protocol="tcp", port_min=80, port_max=80))
    assert plan(want(), seen(group, rule)) == ()
    assert told(want(group), seen(group, rule)) == ["remove security rule old: ingress tcp 80 from anywhere"]


def test_rules_that_come_with_a_new_group_are_not_created_but_missing_ones_are() -> None:
    group, rule = items.SecurityGroup("web", ""), rule_item("web", Rule("egress"))
    assert told(want(group, rule), {}) == ["create security group web"]
    assert told(want(group, rule), seen(group)) == ["create security rule web: egress all to anywhere"]


def test_a_lock_may_be_longer_than_wanted_and_is_lengthened_when_shorter() -> None:
    wanted = items.Bucket("dr-land", True, "COMPLIANCE", 30, 37)
    assert plan(want(wanted), seen(items.Bucket("dr-land", True, "COMPLIANCE", 90, 97))) == ()
    shorter = seen(items.Bucket("dr-land", True, "COMPLIANCE", 14, 37))
    assert told(want(wanted), shorter) == ["update bucket dr-land.lock_days 14 → 30"]


def test_a_bucket_that_keeps_what_is_hidden_for_ever_gets_the_rule() -> None:
    wanted = items.Bucket("dr-land", True, "COMPLIANCE", 30, 37)
    for_ever = seen(items.Bucket("dr-land", True, "COMPLIANCE", 30, 0))
    assert told(want(wanted), for_ever) == ["update bucket dr-land.kept_days 0 → 37"]


def test_none_means_leave_it_as_it_is() -> None:
    there = items.Router("office", "zone office", "public")
    assert plan(want(items.Router("office", "zone office", None)), seen(there)) == ()


# --- a model of a cloud that does what it is told


def carry_out(observed: Observed, action: Action) -> Observed:
    """Return what would be there after an action."""
    there = dict(observed)
    if action.kind == "remove":
        there[action.item.key] = tuple(each for each in there[action.item.key] if each.id != action.object_id)
        return {key: found for key, found in there.items() if found}
    added: list[Item] = [action.item]
    if action.kind == "create" and isinstance(action.item, items.SecurityGroup) and action.item.open_egress:
        added += [rule_item(action.item.name, rule) for rule in AUTOMATIC]
    for item in added:
        foreign = tuple(each for each in there.get(item.key, ()) if item.owned and not each.ours)
        there[item.key] = (*foreign, Seen(f"new-{item.name}", True, _merged(there.get(item.key, ()), item)))
    return there


def _merged(found: tuple[Seen, ...], item: Item) -> Item:
    """A value that is left alone keeps what it was."""
    ours = [each.item for each in found if each.ours or not item.owned]
    if isinstance(item, items.Quota) and ours and isinstance(ours[0], items.Quota):
        return items.Quota(item.name, {**ours[0].limits, **item.limits})
    return item


NAMES = st.sampled_from(["a", "b", "c"])
LIMITS = st.dictionaries(st.sampled_from(["cores", "ram"]), st.sampled_from([-1, 0, 5]), max_size=2)
RULES = st.sampled_from([Rule("ingress", protocol="tcp", port_min=22, port_max=22), Rule("egress"), Rule("ingress")])
ITEMS = st.one_of(
    st.builds(items.Network, NAMES, st.sampled_from(["", "x"]), st.booleans()),
    st.builds(items.Quota, st.just("compute"), LIMITS),
    st.builds(items.User, NAMES, st.sampled_from(["", "x"]), st.sampled_from([None, "m@x"])),
    st.builds(role_item, st.just("user"), NAMES, st.sampled_from(["reader", "member"])),
    st.builds(items.SecurityGroup, NAMES, st.sampled_from(["", "x"]), tag=st.booleans()),
    st.builds(rule_item, NAMES, RULES),
    st.builds(items.Bucket, NAMES, st.just(True), st.just("COMPLIANCE"), st.integers(0, 3)),
)
OBSERVED = st.lists(st.builds(Seen, st.uuids().map(str), st.booleans(), ITEMS), max_size=12).map(by_key)


def _unique(several: list[Item]) -> Desired:
    first: dict[Key, Item] = {}
    for each in several:
        first.setdefault(each.key, each)
    order = ["security group", "security rule"]
    rank = {noun: place for place, noun in enumerate(order)}
    groups = {key[1] for key in first if key[0] == "security group"}
    kept = [each for each in first.values() if not isinstance(each, items.SecurityRule) or each.group in groups]
    # As the site says it: a group that lets everything leave has both of Neutron's own rules, or it is not open.
    kept = [each for each in kept if not (isinstance(each, items.SecurityRule) and each.rule in AUTOMATIC)]
    kept += [rule_item(group, rule) for group in sorted(groups) for rule in sorted(AUTOMATIC)]
    return Desired(LAND, tuple(sorted(kept, key=lambda each: rank.get(each.noun, 0))))


DESIRED = st.lists(ITEMS, max_size=10).map(_unique)


@settings(max_examples=60)
@given(DESIRED, OBSERVED)
def test_carrying_a_plan_out_leaves_nothing_to_do_but_conflicts(wanted: Desired, observed: Observed) -> None:
    there = observed
    for action in plan(wanted, observed):
        if action.kind != "conflict":
            there = carry_out(there, action)
    assert plan(wanted, there) == conflicts(plan(wanted, observed))


@settings(max_examples=60)
@given(DESIRED, OBSERVED, st.integers(0, 20))
def test_stopped_after_any_action_the_next_plan_finishes_the_work(
    wanted: Desired, observed: Observed, steps: int
) -> None:
    there = observed
    for action in [each for each in plan(wanted, observed) if each.kind != "conflict"][:steps]:
        there = carry_out(there, action)
    for action in [each for each in plan(wanted, there) if each.kind != "conflict"]:
        there = carry_out(there, action)
    assert plan(wanted, there) == conflicts(plan(wanted, there))


@settings(max_examples=60)
@given(DESIRED, OBSERVED)
def test_a_plan_touches_nothing_that_is_not_ours(wanted: Desired, observed: Observed) -> None:
    theirs = {each.id for found in observed.values() for each in found if not each.ours and each.item.owned}
    for action in plan(wanted, observed):
        if action.kind in ("update", "remove"):
            assert action.object_id not in theirs


def test_an_approval_covers_what_is_left_of_an_action_that_was_cut_off() -> None:
    closed = items.SecurityGroup("closed", "nothing leaves", open_egress=False)
    quota, rule = items.Quota("compute", {"cores": 40, "ram": -1}), rule_item("closed", Rule("egress", "IPv4"))
    wanted = want(quota, SUBNET, closed)
    approved = Approval.of(plan(wanted, {}))
    untagged = items.Subnet("office", "office", "10.1.0.0/24", ("10.1.0.53",), "zone office", tag=False)
    left = plan(wanted, seen(items.Quota("compute", {"cores": 20, "ram": -1}), untagged, closed, rule))
    assert [each.kind for each in left] == ["update", "update", "remove"]
    assert all(approved.covers(each) for each in left)
    assert approved.as_evidence() == told(wanted, {})


def test_an_approval_covers_nothing_that_was_not_in_its_plan() -> None:
    approved = Approval.of(plan(want(items.Quota("compute", {"cores": 40})), {}))
    more = plan(want(items.Quota("compute", {"cores": 80}), SUBNET), seen(items.Quota("compute", {"cores": 20})))
    lost = plan(want(), seen(role_item("user", "zhang", "member")))
    assert [each.kind for each in (*more, *lost)] == ["update", "create", "remove"]
    assert not any(approved.covers(each) for each in (*more, *lost))

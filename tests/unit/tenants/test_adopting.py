"""Adoption: only what the site wants by name, only what is one, and only its mark."""

from __future__ import annotations

from orchestrator.tenants import items
from orchestrator.tenants.adopting import adoptions, only_adopting
from orchestrator.tenants.desired import Desired, Target
from orchestrator.tenants.items import Item, Seen
from orchestrator.tenants.looking import Look
from orchestrator.tenants.observing import by_key
from orchestrator.tenants.planning import plan

LAND = Target("land", "production")
LAN = items.Network("lan", "zone office")
SUBNET = items.Subnet("lan", "lan", "10.1.0.0/24", (), "zone office")


def found(wanted: tuple[Item, ...], *seen: Seen) -> Look:
    wish, observed = Desired(LAND, wanted), by_key(seen)
    return Look(wish, observed, plan(wish, observed))


def told(look: Look) -> list[str]:
    return [str(each) for each in adoptions(look)]


def test_what_others_made_under_a_wanted_name_is_shown_with_what_differs() -> None:
    theirs = Seen("n1", False, items.Network("lan", "by hand", tag=False))
    stranger = Seen("n2", False, items.Network("lab", ""))
    look = found((LAN,), theirs, stranger)
    assert told(look) == ["adopt network lan, to be changed later: description by hand → zone office"]
    assert [each.object_id for each in only_adopting(look).actions] == ["n1"]


def test_what_is_ours_or_missing_is_not_adopted() -> None:
    assert told(found((LAN,), Seen("n1", True, LAN))) == []
    assert told(found((LAN,), Seen("n1", True, LAN), Seen("n2", False, LAN))) == []
    assert told(found((LAN,))) == []


def test_what_cannot_be_told_or_changed_is_left_with_its_reason() -> None:
    twice = found((LAN,), Seen("n1", False, LAN), Seen("n2", False, LAN))
    moved = found((SUBNET,), Seen("s", False, items.Subnet("lan", "lan", "10.9.0.0/24", (), "")))
    credential = items.Credential("tricenter", "tricenter", "member")
    fixed = found((credential,), Seen("c", False, credential))
    drilled = found((LAN,), Seen("n", False, LAN, passing=True))
    for look, reason in ((twice, "n1, n2"), (moved, "cidr"), (fixed, "cannot be marked"), (drilled, "drill")):
        (action,) = adoptions(look)
        assert reason in action.reason
        assert only_adopting(look).actions == ()

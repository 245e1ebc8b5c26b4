"""The memory of verification and retention, in a real catalogue."""

from __future__ import annotations

import json
from datetime import timedelta

from small_town import NOW, SYSTEM, TENANT, Town, ago
from sqlalchemy import select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue import verifications as memory
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.verifications import Fault, Good, Kind
from policies.verification import Slice

HERE, THERE = Key(TENANT, SYSTEM, "same-city"), Key(TENANT, SYSTEM, "provincial")
BAD = Fault("land-registry/data/3a/3a", Kind.CORRUPT, "its content does not match its name")


def test_a_finding_is_open_until_it_is_healed_and_may_come_back(town: Town) -> None:
    memory.record_faults(town.catalogue, HERE, [BAD, BAD], ago(days=2))
    memory.record_faults(town.catalogue, HERE, [BAD], ago(days=1))
    memory.record_faults(town.catalogue, THERE, [BAD], ago(days=1))
    assert memory.open_faults(town.catalogue, HERE) == [BAD]
    memory.heal(town.catalogue, HERE, [BAD.key], NOW)
    memory.heal(town.catalogue, HERE, [BAD.key], NOW + timedelta(days=1))
    assert memory.open_faults(town.catalogue, HERE) == []
    assert memory.open_faults(town.catalogue, THERE) == [BAD]
    (healed,) = [each for each in memory.findings(town.catalogue) if each.place == HERE]
    assert (healed.found_at, healed.healed_at) == (ago(days=2), NOW)
    memory.record_faults(town.catalogue, HERE, [BAD], NOW)
    assert len(memory.findings(town.catalogue)) == 3
    assert len(memory.findings(town.catalogue, healed=False)) == 2
    assert memory.read_upkeep(town.catalogue).open_findings == {HERE: 1, THERE: 1}


def test_when_a_slice_was_read_never_goes_back(town: Town) -> None:
    unread = Slice("3", 2, 10, ago(days=9), None)
    memory.keep_slices(town.catalogue, HERE, [unread, Slice("4", 1, 5, ago(days=8), None)])
    assert memory.read_times(town.catalogue, HERE) == {}
    memory.mark_read(town.catalogue, HERE, Slice("3", 2, 10, ago(days=9), ago(days=1)))
    memory.mark_read(town.catalogue, HERE, Slice("3", 2, 10, ago(days=9), ago(days=2)))
    memory.mark_read(town.catalogue, HERE, Slice("5", 0, 0, ago(days=1), ago(days=1)))
    assert memory.read_times(town.catalogue, HERE) == {"3": ago(days=1), "5": ago(days=1)}
    assert memory.read_upkeep(town.catalogue).unread_since == {HERE: ago(days=8)}


def test_where_nothing_was_listed_bytes_are_unread_since_the_first_landing(town: Town) -> None:
    town.created(ago(days=30))
    town.point(ago(days=20), {"same-city": ago(days=19), "provincial": ago(days=18)})
    town.point(ago(days=2), {"same-city": ago(days=2)})
    memory.keep_slices(town.catalogue, THERE, [Slice("3", 1, 1, ago(days=18), ago(days=3))])
    assert memory.read_upkeep(town.catalogue).unread_since == {HERE: ago(days=19), THERE: ago(days=3)}


def test_a_prune_is_owed_after_forgetting_and_after_a_while(town: Town) -> None:
    def pruned() -> bool:
        return memory.pruned_since_forgotten(town.catalogue, HERE, not_before=ago(days=7))

    assert not pruned()
    memory.record_expiry(town.catalogue, HERE, forgot_at=ago(days=3))
    assert not pruned()
    memory.record_expiry(town.catalogue, HERE, pruned_at=ago(days=2))
    assert pruned()
    memory.record_expiry(town.catalogue, HERE, forgot_at=ago(days=1))
    assert not pruned()
    memory.record_expiry(town.catalogue, HERE, pruned_at=ago(days=8), forgot_at=ago(days=9))
    assert not pruned()


def test_the_last_verification_of_each_depth(town: Town) -> None:
    for days in (3, 2):
        memory.record_verification(
            town.catalogue, memory.Verified(HERE, "structure", ago(days=days), ago(days=days - 1)), 5
        )
    last = memory.last_verification(town.catalogue, HERE, "structure")
    assert last is not None
    assert last.began_at == ago(days=2)
    assert memory.last_verification(town.catalogue, HERE, "data") is None
    assert [each.depth for each in memory.read_upkeep(town.catalogue).verified] == ["structure"]


def test_a_finding_knows_who_found_and_healed_it_and_from_where_and_the_chain_is_told_once(town: Town) -> None:
    memory.record_faults(town.catalogue, HERE, [BAD], ago(days=2), by="read")
    good = Good("provincial", "3a" * 32, 9)
    memory.record_healed(town.catalogue, HERE, BAD.key, good, NOW, by="heal")
    memory.record_healed(town.catalogue, HERE, BAD.key, good, NOW + timedelta(days=1), by="again")
    (found,) = memory.findings(town.catalogue)
    assert (found.found_by, found.healed_by, found.healed_from) == ("read", "heal", "provincial")
    assert (found.healed_at, found.sha256) == (NOW, good.sha256)
    with town.catalogue.engine.begin() as db:
        rows = db.execute(select(t.audit.c.run_id, t.audit.c.body).where(t.audit.c.kind == "healed")).all()
    assert [(run, json.loads(body)["key"], json.loads(body)["sha256"]) for run, body in rows] == [
        ("heal", BAD.key, good.sha256)
    ]
    upkeep = memory.read_upkeep(town.catalogue)
    assert (upkeep.open_findings, upkeep.healed, upkeep.healed_at) == ({}, {HERE: 1}, {HERE: NOW})


def test_the_config_that_opened_last_is_the_one_that_is_known(town: Town) -> None:
    assert memory.config_hash(town.catalogue, TENANT, SYSTEM) is None
    for sha256 in ("a" * 64, "b" * 64):
        memory.record_config(town.catalogue, TENANT, SYSTEM, sha256, NOW)
    assert memory.config_hash(town.catalogue, TENANT, SYSTEM) == "b" * 64

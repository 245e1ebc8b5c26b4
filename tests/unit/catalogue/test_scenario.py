"""The loss statement from a real catalogue: what had landed, been proved and been drilled by the moment of the loss."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from small_town import NOW, SYSTEM, TENANT, Town, ago
from sqlalchemy import event

from orchestrator.catalogue.facts import last_drills
from orchestrator.catalogue.reading import _reader
from orchestrator.catalogue.scenario import DRILLS_COUNTED, Statement, read_statement
from orchestrator.catalogue.verifications import Fault, Key, Kind, heal, record_faults
from policies.scenarios import Basis, Choice, Fate, Outcome, Recovery, Standing
from policies.site import Site

MINUTE = timedelta(minutes=1)


def read(town: Town, *lost: str, at: datetime = NOW) -> Statement:
    return read_statement(town.site, town.catalogue, lost, at, NOW)


def outcome(town: Town, *lost: str, at: datetime = NOW) -> Outcome:
    (found,) = read(town, *(lost or ("production",)), at=at).outcomes
    return found


def choice(town: Town, *lost: str, at: datetime = NOW) -> Choice:
    found = outcome(town, *lost, at=at).choice
    assert found is not None
    return found


def recovery(town: Town, at: datetime = NOW) -> Recovery:
    found = outcome(town, at=at).recovery
    assert found is not None
    return found


@pytest.fixture
def history(town: Town) -> Town:
    """An hour of points, a proved one among them, the last of them not yet at the provincial centre."""
    town.created(ago(days=2))
    proved = town.point(ago(minutes=70), {"same-city": ago(minutes=68), "provincial": ago(minutes=66)})
    town.point(ago(minutes=50), {"same-city": ago(minutes=48), "provincial": ago(minutes=40)})
    town.point(ago(minutes=30), {"same-city": ago(minutes=28)})
    town.prove(proved, "same-city", ago(minutes=60))
    return town


def test_where_and_how_much(history: Town) -> None:
    found = choice(history)
    assert (found.centre, found.data_time, found.loss) == ("same-city", ago(minutes=30), 30 * MINUTE)
    assert (found.proved_price, found.copy.size_bytes, found.rpo) == (40 * MINUTE, 10, Standing.MET)
    assert found.copy.newest is not None
    assert found.copy.newest.landed_at == ago(minutes=28)
    (other,) = outcome(history).alternatives
    assert (other.centre, other.loss, other.proved_price) == ("provincial", 50 * MINUTE, None)
    assert choice(history, "production", "same-city").centre == "provincial"


def test_at_another_time(history: Town) -> None:
    assert choice(history, at=ago(minutes=45)).data_time == ago(minutes=50)
    assert choice(history, at=ago(minutes=65)).proved_price is None, "not proved yet"
    assert choice(history, at=ago(minutes=-60)).loss == 90 * MINUTE, "nothing is expected to land"
    assert outcome(history, at=ago(minutes=69)).fate is Fate.LOST
    assert outcome(history, at=ago(minutes=69)).loss == timedelta(days=2) - 69 * MINUTE


def test_all_vaults_lost(history: Town) -> None:
    statement = read(history, "production", "same-city", "provincial")
    assert (statement.no_vault_left, statement.home_stands, statement.holds) == (True, False, False)
    assert [each.fate for each in statement.outcomes] == [Fate.LOST]


def test_centres_that_are_left(history: Town) -> None:
    left = read(history, "production").left
    assert [(each.centre, each.has_vault, each.has_cloud, each.room) for each in left] == [
        ("same-city", True, True, 8),
        ("provincial", True, False, 4),
    ]


def test_estimate_counts_the_stages_of_the_recovery_only(history: Town) -> None:
    history.drill(
        ago(hours=9), "met", stages={"detect": 1e6, "decide": 1e6, "restore": 200.0, "start": 5.0, "verify": 95.0}
    )
    found = recovery(history)
    assert found.estimate.takes == timedelta(seconds=300)
    assert (found.estimate.basis, found.estimate.drills, found.rto) == (Basis.OWN, 1, Standing.MET)


def test_failed_drills_are_no_measure_and_the_last_one_is_heard(history: Town) -> None:
    history.drill(ago(hours=9), "missed")
    history.drill(ago(hours=8), "failed")
    found = recovery(history)
    assert (found.estimate.drills, found.rto) == (1, Standing.UNKNOWN)
    history.drill(ago(hours=7), "met")
    assert (recovery(history).estimate.drills, recovery(history).rto) == (2, Standing.MET)


def test_drill_that_ended_later_does_not_count(history: Town) -> None:
    history.drill(ago(minutes=10), "met")
    assert recovery(history, at=ago(minutes=20)).estimate.basis is Basis.NONE
    assert recovery(history).estimate.basis is Basis.OWN


def test_only_the_last_drills_count(history: Town) -> None:
    for hours in range(1, DRILLS_COUNTED + 5):
        history.drill(ago(hours=hours), "met")
    assert recovery(history).estimate.drills == DRILLS_COUNTED


def test_a_drill_of_several_systems_counts_once_for_each(history: Town) -> None:
    for other in ("forms", "files", "lists"):
        history.drill(ago(hours=9), "met", id="together", system=other)
    history.drill(ago(hours=9), "met", id="together")
    assert recovery(history).estimate.drills == 1
    with history.catalogue.engine.connect() as db:
        found = last_drills(db, NOW)
    assert sorted(each.system for each in found) == sorted({each.system for each in found})


def test_copy_with_open_findings_is_avoided_until_they_are_healed(history: Town) -> None:
    place = Key(TENANT, SYSTEM, "same-city")
    record_faults(history.catalogue, place, [Fault("data/aa", Kind.CORRUPT, "bad")], ago(minutes=20))
    assert choice(history).centre == "provincial"
    assert choice(history, at=ago(minutes=25)).centre == "same-city"
    assert choice(history, "production", "provincial").copy.faults == 1
    heal(history.catalogue, place, ["data/aa"], ago(minutes=5))
    assert choice(history).centre == "same-city"
    assert choice(history, at=ago(minutes=10)).centre == "provincial"


def test_point_that_expired_is_not_there(history: Town) -> None:
    for name in list(history.landed["same-city"]):
        if name != "point-1":
            history.expire(name, "same-city")
    assert choice(history).centre == "provincial"


def test_centre_that_the_tier_no_longer_demands_still_saves_the_system(history: Town) -> None:
    tier = next(iter(history.site.tiers.values()))
    near = {centre: copy for centre, copy in tier.copies.items() if centre == "same-city"}
    history.site = history.site.model_copy(update={"tiers": {tier.tier: tier.model_copy(update={"copies": near})}})
    found = choice(history, "production", "same-city")
    assert (found.centre, found.copy.rpo) == ("provincial", timedelta(hours=1))


def test_system_that_the_catalogue_does_not_know_yet(town: Town) -> None:
    found = outcome(town)
    assert (found.fate, found.loss) == (Fate.LOST, timedelta(0))


def test_number_of_queries_does_not_grow_with_the_site(town: Town, sites: dict[str, Site]) -> None:
    seen: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        seen.append(statement)

    event.listen(_reader(town.catalogue), "before_cursor_execute", note)
    town.created(ago(days=2))
    assert len(read(town, "production").outcomes) == 1
    small = len(seen)
    town.site = sites["dalian"]
    town.catalogue.register_systems((ref.tenant.tenant, ref.name) for ref in town.site.systems())
    assert len(read(town, "production").outcomes) == len(list(town.site.systems()))
    assert len(seen) == 2 * small <= 14


def test_only_some_keep_their_turns_in_the_city(town: Town, sites: dict[str, Site]) -> None:
    town.site = sites["dalian"]
    town.created(ago(days=1))
    town.point(ago(minutes=5), {"same-city": ago(minutes=4)})
    statement = read(town, "production")
    some = statement.only({(TENANT, SYSTEM)})
    assert [str(each.system) for each in some.outcomes] == [f"{TENANT}/{SYSTEM}"]
    assert len(statement.outcomes) == len(list(town.site.systems()))
    assert some.at == statement.at

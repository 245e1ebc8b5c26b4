"""Names switched on a real name server, BIND as the lab runs it: signed, conditional, undone; and what it refuses."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import dns.message
import dns.query
import pytest

from drills.names import NameServer
from orchestrator.errors import CredentialRefused, InvalidInput, Refused, TricenterError, Unreachable
from orchestrator.lab import daemons, names
from orchestrator.lab.layout import Lab, remember
from orchestrator.secrets import Secret
from orchestrator.server.listening import listen_on
from policies.load import load_site
from policies.site import Dns

pytestmark = pytest.mark.integration

ZONE = "dalian-cloud.internal"
NAME = f"window.{ZONE}"
PRODUCTION, SAME_CITY = "10.210.20.10", "10.211.20.10"
DALIAN = Path(__file__).parents[2] / "examples" / "dalian"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of which nothing runs but its name server."""
    with closing(listen_on("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    made = Lab(tmp_path_factory.mktemp("lab"), port - 25)
    assert made.port("names") == port
    remember(made)
    site = load_site(DALIAN)
    (made.sites / site.site).mkdir()
    names.admit_zone(made, site)
    names.prepare_names(made)
    daemon = names.name_server(made)
    daemons.start(made, [daemon])
    daemons.wait(made, [daemon], seconds=20)
    yield made
    daemons.stop(made, [daemon])


@pytest.fixture
def server(lab: Lab) -> Iterator[NameServer]:
    secret = Secret(names.key_file(lab).read_text(encoding="utf-8"))
    dns_of_site = load_site(DALIAN).dns
    assert dns_of_site is not None
    given = NameServer.of(Dns(**names.overlay(lab, dns_of_site)), secret)
    yield given
    given.switch(NAME, [PRODUCTION], ttl=60)


def asked(server: NameServer, name: str = NAME) -> set[str]:
    """What anybody who asks the server gets, by UDP as resolvers do."""
    answer = dns.query.udp(dns.message.make_query(name, "A"), server.host, port=server.port, timeout=5)
    return {f"{each} {rrset.ttl}" for rrset in answer.answer for each in rrset}


def test_a_seeded_name_is_switched_and_undone(server: NameServer) -> None:
    server.check()
    assert asked(server) == {f"{PRODUCTION} 60"}
    switched = server.switch(NAME, [SAME_CITY], ttl=30, expected=[PRODUCTION])
    assert (switched.was, switched.was_ttl, switched.now, switched.changed) == ((PRODUCTION,), 60, (SAME_CITY,), True)
    assert asked(server) == {f"{SAME_CITY} 30"}
    again = server.switch(NAME, [SAME_CITY], ttl=30, expected=[PRODUCTION])
    assert again.changed is False
    assert again.was == switched.was  # a killed attempt had switched it: the way back is the same
    back = server.undo(NAME, switched.was, switched.now, switched.was_ttl)
    assert back.changed
    assert asked(server) == {f"{PRODUCTION} 60"}
    assert server.undo(NAME, switched.was, switched.now, switched.was_ttl).changed is False


def test_a_name_that_was_not_there_is_made_and_taken_away(server: NameServer) -> None:
    name = f"new.{ZONE}"
    made = server.switch(name, ["10.1.1.2", "10.1.1.1"], ttl=45, expected=[])
    assert made.was == ()
    assert asked(server, name) == {"10.1.1.1 45", "10.1.1.2 45"}
    server.undo(name, (), made.now, 0)
    assert asked(server, name) == set()


def test_somebody_elses_switch_is_not_overwritten(server: NameServer) -> None:
    server.switch(NAME, ["10.9.9.9"], ttl=60)
    with pytest.raises(Refused, match=r"10\.9\.9\.9, and 10\.210\.20\.10 was expected"):
        server.switch(NAME, [SAME_CITY], ttl=60, expected=[PRODUCTION])
    with pytest.raises(Refused, match="was expected"):
        server.undo(NAME, [PRODUCTION], [SAME_CITY], 60)
    assert asked(server) == {"10.9.9.9 60"}


def test_of_many_who_switch_at_once_one_wins(server: NameServer) -> None:
    won: list[str] = []
    lost: list[TricenterError] = []
    begin = threading.Barrier(8)

    def switch(address: str) -> None:
        begin.wait()
        try:
            won.append(server.switch(NAME, [address], ttl=60, expected=[PRODUCTION]).now[0])
        except TricenterError as error:
            lost.append(error)

    threads = [threading.Thread(target=switch, args=(f"10.5.5.{n}",)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(won) == 1, won
    assert len(lost) == 7
    assert asked(server) == {f"{won[0]} 60"}


def test_an_update_that_comes_too_late_changes_nothing(server: NameServer) -> None:
    assert server._replace(NAME, ("10.9.9.9",), (SAME_CITY,), 60) is False
    assert server._replace(NAME, (), (SAME_CITY,), 60) is False
    assert asked(server) == {f"{PRODUCTION} 60"}


def test_what_is_wrong_is_said(server: NameServer, lab: Lab) -> None:
    wrong = Secret(base64.b64encode(b"x" * 32).decode())
    for other, error in (
        (replace(server, secret=wrong), CredentialRefused),
        (replace(server, key="stranger"), CredentialRefused),
        (replace(server, secret=Secret("not base64!")), InvalidInput),
        (replace(server, port=1), Unreachable),
        (replace(server, zone="example.org"), InvalidInput),
    ):
        with pytest.raises(error) as said:
            other.check()
        assert said.value.hint
        assert "Secret" not in str(said.value)
    with pytest.raises(InvalidInput, match="not in the zone"):
        server.switch("www.example.org", [SAME_CITY], ttl=60)
    with pytest.raises(Refused, match="REFUSED"):
        replace(server)._send(_text_update(server))
    assert asked(server) == {f"{PRODUCTION} 60"}


def _text_update(server: NameServer) -> dns.update.UpdateMessage:
    update = server._update()
    update.add("note", 60, "TXT", "the key may change addresses only")
    return update


def test_a_server_that_hangs_is_unreachable_in_time(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drills.names.ANSWER_SECONDS", 0.5)
    with closing(listen_on("127.0.0.1", 0)) as deaf:
        begin = time.monotonic()
        with pytest.raises(Unreachable, match="no answer in time"):
            replace(server, port=int(deaf.getsockname()[1])).switch(NAME, [SAME_CITY], ttl=60)
        assert time.monotonic() - begin < 3


def test_a_switched_name_outlives_the_server_and_a_new_zone_needs_no_restart(server: NameServer, lab: Lab) -> None:
    server.switch(NAME, [SAME_CITY], ttl=60)
    daemon = names.name_server(lab)
    daemons.stop(lab, [daemon])
    with pytest.raises(Unreachable):
        server.look_up(NAME)
    names.prepare_names(lab)
    daemons.start(lab, [daemon])
    daemons.wait(lab, [daemon], seconds=20)
    assert asked(server) == {f"{SAME_CITY} 60"}
    site = load_site(DALIAN)
    assert site.dns
    other = site.model_copy(
        update={"site": "other", "dns": site.dns.model_copy(update={"zone": "other.internal"}), "plans": {}}
    )
    (lab.sites / "other").mkdir(exist_ok=True)
    names.admit_zone(lab, other)
    fresh, end = replace(server, zone="other.internal"), time.monotonic() + 10
    while True:
        try:
            fresh.switch("www.other.internal", ["10.7.7.7"], ttl=60)
            break
        except TricenterError:
            assert time.monotonic() < end
            time.sleep(0.1)
    assert asked(fresh, "www.other.internal") == {"10.7.7.7 60"}

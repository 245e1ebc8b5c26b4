"""Whatever happens, and wherever it is killed: each notice is in one message of each channel that wants it, each
message gets through or is given up, and what is sent twice bears the same id and says the same."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_news import NOW, Clock, Program
from sqlalchemy import delete, select

from orchestrator.catalogue import notices
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.news import News
from orchestrator.catalogue.notices import BURST, BURST_TIME, Telling, list_messages, read_outbox
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import Unreachable
from orchestrator.notify import courier
from orchestrator.notify.courier import look, send_due, tell
from policies.notifications import Notifications
from policies.site import Site

TABLES = (t.tellings, t.messages, t.notices, t.notice_marks)
SUBJECTS = [f"bureau/system-{number}@same-city" for number in range(3)]


class KilledError(Exception):
    """Stands for kill -9 at this very place."""


@dataclass
class World:
    """What holds, what happened, and what the channels do with what is sent to them."""

    lasting: set[str] = field(default_factory=set)
    drills: list[Any] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    kill: str = ""
    #: channel -> (id, body), in the order of arrival.
    arrived: defaultdict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def news(self) -> list[News]:
        facts = {"centre": "same-city", "data_time": None, "rpo_seconds": 7200.0, "rpo_objective_seconds": 3600.0}
        missed = [News("objective", "critical", each, NOW, {"system": each, **facts}) for each in sorted(self.lasting)]
        return [*missed, *(drill(number, at) for number, at in self.drills)]


def drill(number: int, at: Any) -> News:
    facts = {"drill": f"d{number}", "plan": "p", "kind": "restore", "verdict": "met", "systems": [], "report": None}
    return News("drill", "info", f"d{number}", at, {**facts, "more_systems": 0}, lasts=False)


@dataclass
class FakeWay:
    name: str
    world: World
    most_bytes: int = 30_000

    def send(self, sent: Any) -> None:
        if self.world.kill == "before":
            raise KilledError
        if self.name in self.world.dead:
            raise Unreachable(f"channel {self.name} is away")
        with self.world.lock:
            self.world.arrived[self.name].append((sent.id, sent.rendered.body))
        if self.world.kill == "after":
            raise KilledError


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue) -> World:
    made = World()
    monkeypatch.setattr(courier, "read_news", lambda *_: made.news())
    monkeypatch.setattr(courier, "way_of", lambda _, name: FakeWay(name, made))
    empty(catalogue)
    return made


def empty(catalogue: Catalogue) -> None:
    with catalogue.engine.begin() as db:
        for table in TABLES:
            db.execute(delete(table))


def rows(catalogue: Catalogue, table: Any) -> list[Any]:
    with catalogue.engine.connect() as db:
        return list(db.execute(select(table)))


def turn(program: Program, world: World, kill: str = "") -> None:
    """One turn of a sender that is killed there: after it has looked, before it sends, after it has sent."""
    world.kill = kill
    look(program)
    if kill == "looked":
        return
    with pytest.MonkeyPatch.context() as patch:
        # What ends an attempt without sending is an answer, and this is none: nothing is written of it.
        patch.setattr(courier, "_send", dying(courier._send))
        try:
            send_due(program)
        except KilledError:
            assert kill
    world.kill = ""
    under_way = [row.channel for row in rows(program.catalogue, t.messages) if row.state == Telling.WAITING]
    assert len(under_way) == len(set(under_way))


def dying(send: Any) -> Any:
    def sent(*arguments: Any) -> Any:
        said = send(*arguments)
        if said and "KilledError" in said:
            raise KilledError
        return said

    return sent


def settle(program: Program, world: World, clock: Clock) -> None:
    """Let all channels be well, and time pass, until nothing waits."""
    world.dead.clear()
    for _ in range(30):
        clock.passes(minutes=16)
        turn(program, world)
        waiting = [row for row in rows(program.catalogue, t.messages) if row.state == Telling.WAITING]
        if not waiting and all(row.message_id for row in rows(program.catalogue, t.tellings)):
            return
    raise AssertionError("something waits for ever")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("miss"), st.sampled_from(SUBJECTS)),
        st.tuples(st.just("keep"), st.sampled_from(SUBJECTS)),
        st.tuples(st.just("drill"), st.integers(0, 5)),
        st.tuples(st.just("turn"), st.sampled_from(["", "looked", "before", "after"])),
        st.tuples(st.just("dies"), st.sampled_from(["duty", "boss"])),
        st.tuples(st.just("lives"), st.sampled_from(["duty", "boss"])),
        st.tuples(st.just("passes"), st.sampled_from([1, 60, 3600])),
    ),
    max_size=14,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_nothing_is_lost_and_nothing_told_twice(
    site: Site, catalogue: Catalogue, clock: Clock, world: World, steps: list[tuple[str, Any]]
) -> None:
    empty(catalogue)
    world.lasting.clear(), world.drills.clear(), world.dead.clear(), world.arrived.clear()
    program, happened = Program(site, catalogue), set[int]()
    turn(program, world)  # from here on, what happens is told
    for what, value in steps:
        clock.passes(seconds=1)
        if what == "miss":
            world.lasting.add(value)
        elif what == "keep":
            world.lasting.discard(value)
        elif what == "drill" and value not in happened:
            happened.add(value)
            world.drills.append((value, clock.now))
        elif what == "turn":
            turn(program, world, value)
        elif what in ("dies", "lives"):
            (world.dead.add if what == "dies" else world.dead.discard)(value)
        elif what == "passes":
            clock.passes(seconds=value)
    settle(program, world, clock)

    told = rows(catalogue, t.tellings)
    assert all(row.message_id for row in told)
    wanted = {row.id: (row.event, row.severity) for row in rows(catalogue, t.notices)}
    for name, channel in site.notifications.channels.items():
        mine = {row.notice_id for row in told if row.channel == name}
        over = {each for each in wanted if each.endswith(":over")}
        assert mine - over == {each for each in wanted.keys() - over if channel.wants(*wanted[each])}
        # Whoever was told that it began is told that it is over, however little that is.
        assert mine & over == {each for each in over if each.removesuffix(":over") in mine}
        arrived = world.arrived[name]
        assert {each for each, _ in arrived} == {row.message_id for row in told if row.channel == name}
        assert len(set(arrived)) == len({each for each, _ in arrived})  # the same id, the same words
    assert {row.subject for row in rows(catalogue, t.notices) if row.event == "drill"} == {f"d{n}" for n in happened}
    still_open = {row.subject for row in rows(catalogue, t.notices) if row.over_at is None}
    assert still_open == world.lasting


def test_what_lasts_is_told_once_and_again_when_it_is_over(
    site: Site, catalogue: Catalogue, clock: Clock, world: World
) -> None:
    program = Program(site, catalogue)
    world.lasting.add(SUBJECTS[0])
    for _ in range(5):
        turn(program, world)
        clock.passes(minutes=1)
    assert len(world.arrived["duty"]) == len(world.arrived["boss"]) == 1
    world.lasting.clear()
    turn(program, world)
    assert [len(world.arrived[name]) for name in ("duty", "boss", "drills")] == [2, 2, 0]
    assert "恢复达标" in world.arrived["boss"][1][1]
    assert "持续 5m" in world.arrived["boss"][1][1]
    world.lasting.add(SUBJECTS[0])
    turn(program, world)
    assert len(world.arrived["boss"]) == 3


def test_a_storm_is_one_message_and_a_shower_a_few(
    site: Site, catalogue: Catalogue, clock: Clock, world: World
) -> None:
    program = Program(site, catalogue)
    world.lasting.update(f"bureau/system-{number}@same-city" for number in range(500))
    turn(program, world)
    (message,) = world.arrived["boss"]
    assert message[1].count("RPO 未达标") == 10
    assert "另有 490 项" in message[1]
    for number in range(19):
        world.lasting.add(f"bureau/late-{number}@same-city")
        turn(program, world)
        clock.passes(seconds=30)
    assert len(world.arrived["boss"]) == BURST
    clock.passes(seconds=BURST_TIME.total_seconds())
    turn(program, world)
    assert len(world.arrived["boss"]) == BURST + 1
    assert len(rows(catalogue, t.notices)) == 519


def test_a_message_that_does_not_get_through_is_tried_less_and_less_and_given_up_by_name(
    site: Site, catalogue: Catalogue, clock: Clock, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    rules = site.notifications.model_copy(update={"give_up_after": timedelta(hours=2)})
    program = Program(site.model_copy(update={"notifications": rules}), catalogue)
    world.lasting.add(SUBJECTS[0])
    world.dead.add("duty")
    look(program)
    gaps = []
    while (found := next(each for each in messages(catalogue) if each.channel == "duty")).state is Telling.WAITING:
        gaps.append((found.next_at - clock.now).total_seconds())
        clock.now = found.next_at - timedelta(seconds=1)
        assert "duty" not in {message.channel for message, _ in send_due(program)}  # not before its time
        clock.now = found.next_at
        send_due(program)
    assert gaps[0] == 0
    assert 12 <= gaps[1] <= 15
    assert all(each <= 900 for each in gaps)
    assert max(gaps) > 600
    assert len(gaps) == found.attempts < 20
    assert timedelta(hours=2) <= clock.now - NOW < timedelta(hours=2, minutes=15)
    assert (found.notices, found.error) == (1, "channel duty is away")
    assert f"message {found.id} was given up" in caplog.text
    assert read_outbox(catalogue).messages["boss", Telling.SENT] == 1


def messages(catalogue: Catalogue) -> list[notices.Message]:
    with catalogue.engine.connect() as db:
        return list_messages(db, 100)


def test_what_comes_while_a_channel_is_away_is_one_message_when_it_is_back(
    site: Site, catalogue: Catalogue, clock: Clock, world: World
) -> None:
    program = Program(site, catalogue)
    world.dead.add("boss")
    for subject in SUBJECTS:
        world.lasting.add(subject)
        turn(program, world)
    world.dead.clear()
    settle(program, world, clock)
    assert [text.count("RPO 未达标") for _, text in world.arrived["boss"]] == [1, 2]


def test_a_new_channel_is_told_what_lasts_and_nothing_of_long_ago(
    site: Site, catalogue: Catalogue, clock: Clock, world: World
) -> None:
    few = site.notifications.model_copy(update={"channels": {"boss": site.notifications.channels["boss"]}})
    program = Program(site.model_copy(update={"notifications": few}), catalogue)
    world.lasting.add(SUBJECTS[0])
    turn(program, world)
    world.drills.append((1, clock.now))
    clock.passes(hours=1)
    turn(program, world)
    clock.passes(minutes=1)
    world.drills.append((2, clock.now))  # before the channel is seen first, after the last look
    turn(Program(site, catalogue), world)
    assert [text.count("RPO") > 0 for _, text in world.arrived["duty"]] == [True]
    assert ["演练" in text for _, text in world.arrived["drills"]] == [True]
    told = [row.notice_id for row in rows(catalogue, t.tellings) if row.channel == "drills"]
    assert told == ["drill:d2"]


def test_what_waits_for_a_channel_that_is_gone_is_given_up(
    site: Site, catalogue: Catalogue, clock: Clock, world: World
) -> None:
    program = Program(site, catalogue)
    world.lasting.add(SUBJECTS[0])
    world.dead.update(("duty", "boss"))
    turn(program, world)
    rest = {"boss": site.notifications.channels["boss"]}
    fewer = site.notifications.model_copy(update={"channels": rest})
    turn(Program(site.model_copy(update={"notifications": fewer}), catalogue), world)
    states = {each.channel: each.state for each in messages(catalogue)}
    assert states == {"duty": Telling.GIVEN_UP, "boss": Telling.WAITING}


def test_in_its_quiet_time_a_channel_is_told_what_is_critical(
    site: Site, catalogue: Catalogue, clock: Clock, world: World
) -> None:
    rules = Notifications.model_validate({"channels": {"duty": {"url": "env:X", "quiet": "19:00-21:30"}}})
    program = Program(site.model_copy(update={"notifications": rules}), catalogue)  # it is 20:00 in Dalian
    turn(program, world)
    world.drills.append((1, clock.now))
    world.lasting.add(SUBJECTS[0])
    turn(program, world)
    ((_, text),) = world.arrived["duty"]
    assert ("RPO 未达标" in text, "演练" in text) == (True, False)
    clock.passes(minutes=90)
    turn(program, world)
    assert "演练" in world.arrived["duty"][1][1]


def test_old_messages_are_forgotten_and_what_lasts_is_not(
    site: Site, catalogue: Catalogue, clock: Clock, world: World
) -> None:
    program = Program(site, catalogue)
    world.lasting.update(SUBJECTS[:2])
    turn(program, world)
    world.lasting.remove(SUBJECTS[1])
    turn(program, world)
    clock.passes(days=31)
    turn(program, world)
    assert rows(catalogue, t.messages) == rows(catalogue, t.tellings) == []
    assert [row.subject for row in rows(catalogue, t.notices)] == [SUBJECTS[0]]
    assert len(world.arrived["duty"]) == 2  # and it is not told anew


def test_one_sends_at_a_time(site: Site, catalogue: Catalogue, clock: Clock, world: World) -> None:
    world.lasting.add(SUBJECTS[0])
    program = Program(site, catalogue)
    with courier.leases.hold(catalogue, courier.LEASE, "somebody", exclusive=True):
        assert tell(program).by_another
    assert world.arrived == {}
    assert {state for _, state in tell(program).tried} == {Telling.SENT}


def test_a_look_ahead_keeps_nothing(site: Site, catalogue: Catalogue, clock: Clock, world: World) -> None:
    world.lasting.add(SUBJECTS[0])
    fresh, coming = courier.foresee(Program(site, catalogue))
    assert len(fresh) == 1
    assert {each.channel for each, _ in coming} == {"duty", "boss"}
    assert all("RPO" in text.title for _, text in coming)
    assert [rows(catalogue, table) for table in TABLES] == [[], [], [], []]

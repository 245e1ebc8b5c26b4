"""The epoch protocol against every order of events that hypothesis can think of: never two active centres."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from policies.epoch import (
    NEVER_MOVED,
    ROUND,
    Fact,
    Place,
    Promise,
    Record,
    Vote,
    check,
    from_last_fact,
    highest,
    may_append,
    read,
)
from policies.epoch_protocol import Append, Ask, Won, heal, raise_epoch
from tests.unit.policies.epoch_world import ALL, BOTH, SYSTEMS, Registers, ask, numbers


@dataclass
class Actor:
    """Somebody who raises or heals: what was asked of the registers, and what they answered so far."""

    steps: Any
    ask: Ask | None
    open: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    verdict: Any = None
    over: bool = False

    def go(self, answer: Any) -> None:
        try:
            question = self.steps.send(answer)
        except StopIteration as end:
            self.verdict, self.over = end.value, True
            return
        self.answers = {}
        self.open = dict(question.entries) if isinstance(question, Append) else {"look": question}


class SplitBrain(RuleBasedStateMachine):
    """Operators at both centres, partitions, crashes between any two writes, lost answers, stale writers."""

    members: tuple[str, ...]

    def __init__(self) -> None:
        super().__init__()
        self.registers = Registers(self.members)
        self.actors: list[Actor] = []
        self.asks: dict[str, Ask] = {}
        self.decided: dict[int, Record] = {}

    @initialize()
    def begin(self) -> None:
        self.raise_(SYSTEMS[0], "same-city", "", replay=False)

    def _admit(self, steps: Any, asked: Ask | None) -> None:
        actor = Actor(steps, asked)
        actor.go(None)
        self.actors.append(actor)

    @property
    def busy(self) -> list[Actor]:
        return [each for each in self.actors if not each.over]

    @precondition(lambda self: len(self.busy) < 3)
    @rule(
        system=st.sampled_from(SYSTEMS),
        centre=st.sampled_from(ALL),
        forced=st.sampled_from(["", "", "dark"]),
        replay=st.booleans(),
    )
    def raise_(self, system: str, centre: str, forced: str, *, replay: bool) -> None:
        expected = 0 if replay else read(self.members, self.registers.logs).epoch
        asked = ask({system: centre}, run=f"run{next(numbers)}", forced=forced, expected=expected)
        self.asks[asked.run] = asked
        self._admit(raise_epoch(self.members, asked), asked)

    @precondition(lambda self: self.asks and len(self.busy) < 3)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        """A run that died, or that somebody took for dead, is taken over."""
        old = self.asks[data.draw(st.sampled_from(sorted(self.asks)))]
        again = ask(old.moves, run=old.run, forced=old.forced, expected=old.expected)
        self._admit(raise_epoch(self.members, again), again)

    @precondition(lambda self: len(self.busy) < 3)
    @rule()
    def heal(self) -> None:
        self._admit(heal(self.members, f"healer{next(numbers)}"), None)

    @precondition(lambda self: self.busy)
    @rule(data=st.data(), reach=st.sets(st.sampled_from(ALL)))
    def look(self, data: st.DataObject, reach: set[str]) -> None:
        lookers = [each for each in self.busy if "look" in each.open]
        if lookers:
            actor = data.draw(st.sampled_from(lookers))
            actor.go({centre: log for centre, log in self.registers.logs.items() if centre in reach or len(reach) == 3})

    @precondition(lambda self: self.busy)
    @rule(data=st.data(), fate=st.sampled_from(["done", "done", "done", "answer lost", "never came"]))
    def deliver(self, data: st.DataObject, fate: str) -> None:
        """One register does what one actor asked of it, or the line between them fails."""
        waiting = [(each, centre) for each in self.busy for centre in sorted(each.open) if centre != "look"]
        if not waiting:
            return
        actor, centre = data.draw(st.sampled_from(waiting))
        wanted = actor.open.pop(centre)
        if fate != "never came":
            answer = self.registers.append(centre, *wanted)
            if fate == "done":
                actor.answers[centre] = answer
        if not actor.open:
            actor.go(dict(actor.answers))

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def hurry(self, data: st.DataObject) -> None:
        """Someone gets through with all that he asks, so that long stories come to an end."""
        actor = data.draw(st.sampled_from(self.busy))
        while not actor.over:
            if "look" in actor.open:
                actor.go(dict(self.registers.logs))
            else:
                wanted, actor.open = actor.open, {}
                actor.answers |= {centre: self.registers.append(centre, *each) for centre, each in wanted.items()}
                actor.go(dict(actor.answers))

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.busy)).over = True

    # --- what must hold at every moment

    @invariant()
    def one_record_an_epoch_and_for_ever(self) -> None:
        now = {each.epoch: each for each in self.registers.read().decided}
        for epoch, record in self.decided.items():
            assert now[epoch] == record
        fresh = [now[epoch] for epoch in sorted(now.keys() - self.decided.keys())]
        for record in fresh:
            self._is_rightly_decided(record)
        self.decided = now

    def _is_rightly_decided(self, record: Record) -> None:
        before = [each for each in self.decided.values() if not each.forced]
        if record.forced:
            assert self.asks[record.run].forced
            return
        for each in before:
            assert record.epoch > each.epoch
            for system in each.moved:  # nothing that was decided is lost
                assert record.active[system].since >= each.epoch
        wanted = self.asks[record.run].expected
        assert wanted is not None
        assert all(each.epoch <= wanted or each.run == record.run for each in before), "a replayed approval counted"

    @invariant()
    def logs_only_rise(self) -> None:
        for log in self.registers.logs.values():
            epochs = [
                each.epoch if isinstance(each, Promise) else each.record.epoch
                for each in log
                if not isinstance(each, Fact)
            ]
            assert epochs == sorted(epochs)

    @invariant()
    def only_what_is_decided_makes_active(self) -> None:
        forced = any(each.forced for each in self.decided.values())
        for place in self.registers.read().active.values():
            assert place.since in self.decided or forced  # force keeps what may have been decided

    @invariant()
    def a_stale_writer_is_refused_by_every_vault_that_holds_the_record(self) -> None:
        for record, centre in itertools.product(self.decided.values(), self.members):
            log = self.registers.logs[centre]
            if not any(isinstance(each, Vote | Fact) and each.record == record for each in log):
                continue
            alone = read(self.members, {centre: from_last_fact(log)})
            for system in record.moved:
                for since in {0, *(epoch for epoch in self.decided if epoch < record.epoch)}:
                    assert check(system, Place("anywhere", since), alone) is not None

    @invariant()
    def a_vault_lets_one_centre_write_at_most(self) -> None:
        """Whoever may write for a system into a vault believes it at one and the same centre."""
        for centre, system in itertools.product(self.members, SYSTEMS):
            alone = read(self.members, {centre: from_last_fact(self.registers.logs[centre])})
            beliefs = [NEVER_MOVED, *(each.active[system] for each in self.decided.values() if system in each.moved)]
            here = alone.place(system)
            may = {each for each in beliefs if check(system, each, alone) is None and each.since <= here.since}
            assert len({each.centre for each in may}) <= 1

    @invariant()
    def who_was_told_of_a_win_has_won(self) -> None:
        for actor in self.actors:
            if isinstance(actor.verdict, Won):
                assert actor.verdict.record in self.decided.values()
                assert actor.verdict.record.epoch % ROUND == 0 or actor.verdict.record.forced

    @invariant()
    def reading_from_the_last_fact_says_the_same(self) -> None:
        for centre, log in self.registers.logs.items():
            whole, end = read(self.members, {centre: log}), read(self.members, {centre: from_last_fact(log)})
            for system in SYSTEMS:
                assert end.place(system).since >= whole.place(system).since
            missing = {each.digest for each in whole.doubtful} - {each.digest for each in end.doubtful}
            assert missing <= self._settled()
            assert highest(log) >= highest(from_last_fact(log))

    def _settled(self) -> set[str]:
        """Records that are decided, or never will be: no register can give them the vote that they lack."""
        logs = self.registers.logs
        votes = {each.record.digest: each.record for log in logs.values() for each in log if isinstance(each, Vote)}
        able = {
            digest
            for digest, record in votes.items()
            if sum(
                any(isinstance(each, Vote) and each.record == record for each in log)
                or may_append(centre, log, Vote(record))
                for centre, log in logs.items()
            )
            >= 2
        }
        return votes.keys() - able | {each.digest for each in self.decided.values()}


class TwoVaults(SplitBrain):
    members = BOTH


class ThreeVaults(SplitBrain):
    members = ALL


thorough = settings(max_examples=60, stateful_step_count=40)
TestTwoVaults = TwoVaults.TestCase
TestTwoVaults.settings = thorough
TestThreeVaults = ThreeVaults.TestCase
TestThreeVaults.settings = thorough

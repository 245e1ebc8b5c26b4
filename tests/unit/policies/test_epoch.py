"""The epoch protocol by example: ballots, force, what is left half done, and how it is healed."""

from __future__ import annotations

from typing import Any

import pytest

from policies.epoch import (
    NEVER_MOVED,
    Fact,
    Inconsistent,
    Place,
    Promise,
    Record,
    Vote,
    check,
    entry_as_bytes,
    entry_from_bytes,
    from_last_fact,
    read,
)
from policies.epoch_protocol import Doubtful, Look, Moved, TooFew, Won, heal, raise_epoch
from tests.unit.policies.epoch_world import ALL, BOTH, SYSTEMS, Registers, ask


def test_nothing_was_ever_raised() -> None:
    state = Registers(BOTH).read()

    assert state.epoch == 0
    assert state.place(SYSTEMS[0]) == Place("production", 0)


def test_a_ballot_is_won_and_every_register_knows() -> None:
    registers = Registers(BOTH)
    won = registers.drive(raise_epoch(BOTH, ask({SYSTEMS[0]: "same-city"})))

    assert isinstance(won, Won)
    assert (won.record.epoch, won.held) == (10, ("provincial", "same-city"))
    for centre in BOTH:
        alone = read(BOTH, {centre: from_last_fact(registers.logs[centre])})
        assert alone.place(SYSTEMS[0]) == Place("same-city", 10)
    assert registers.read().place(SYSTEMS[1]) == NEVER_MOVED


def test_one_register_of_two_is_too_few() -> None:
    registers = Registers(BOTH)

    assert registers.drive(raise_epoch(BOTH, ask({SYSTEMS[0]: "provincial"})), ("provincial",)) == TooFew(
        ("provincial",)
    )
    assert registers.logs["provincial"] == ()


def test_two_of_three_are_enough() -> None:
    won = Registers(ALL).drive(raise_epoch(ALL, ask({SYSTEMS[0]: "same-city"})), BOTH)

    assert isinstance(won, Won)


def test_force_decides_by_the_target_s_register_alone() -> None:
    registers = Registers(BOTH)
    won = registers.drive(raise_epoch(BOTH, ask({SYSTEMS[0]: "provincial"}, forced="both dark")), ("provincial",))

    assert isinstance(won, Won)
    assert (won.record.epoch, won.record.forced) == (13, "both dark")
    assert registers.read().place(SYSTEMS[0]) == Place("provincial", 13)


def test_force_is_not_used_where_a_ballot_can_be_held() -> None:
    won = Registers(BOTH).drive(raise_epoch(BOTH, ask({SYSTEMS[0]: "provincial"}, forced="just in case")))

    assert (won.record.epoch, won.record.forced) == (10, "")


def test_the_same_run_finds_its_own() -> None:
    registers = Registers(BOTH)
    first = registers.drive(raise_epoch(BOTH, ask({SYSTEMS[0]: "same-city"}, expected=0)))
    again = registers.drive(raise_epoch(BOTH, ask({SYSTEMS[0]: "same-city"}, expected=0)))

    assert again.record == first.record
    assert len(registers.read().decided) == 1


def test_an_approval_of_before_is_refused() -> None:
    registers = Registers(BOTH)
    registers.drive(raise_epoch(BOTH, ask({SYSTEMS[0]: "same-city"}, run="one")))
    replayed = registers.drive(raise_epoch(BOTH, ask({SYSTEMS[0]: "provincial"}, run="two", expected=0)))

    assert isinstance(replayed, Moved)
    assert registers.read().place(SYSTEMS[0]).centre == "same-city"


@pytest.mark.parametrize("steps", range(1, 4))
def test_who_dies_in_the_middle_makes_nobody_active_and_is_superseded(steps: int) -> None:
    registers = Registers(BOTH)
    registers.drive(raise_epoch(BOTH, ask({SYSTEMS[0]: "same-city"}, run="one")), stop_after=steps)
    decided = registers.read().epoch
    second = registers.drive(raise_epoch(BOTH, ask({SYSTEMS[1]: "provincial"}, run="two")))

    assert isinstance(second, Won)
    assert second.record.epoch > decided
    # What was decided stays; what was not is not carried along.
    assert registers.read().place(SYSTEMS[0]) == (Place("same-city", decided) if decided else NEVER_MOVED)


def half_voted(registers: Registers) -> Record:
    """Leave a vote for one record in the register of same-city alone."""
    steps = raise_epoch(registers.members, ask({SYSTEMS[0]: "same-city"}, run="half"))
    assert isinstance(next(steps), Look)
    question: Any = steps.send(dict(registers.logs))
    question = steps.send({centre: registers.append(centre, *each) for centre, each in question.entries.items()})
    assert registers.append("same-city", *question.entries["same-city"]).done
    record: Record = question.entries["same-city"][1].record
    return record


def test_half_a_vote_fences_only_while_it_cannot_be_told() -> None:
    registers = Registers(BOTH)
    record = half_voted(registers)
    alone = read(BOTH, {"same-city": registers.logs["same-city"]})
    fence = check(SYSTEMS[0], NEVER_MOVED, alone)

    assert fence is not None
    assert (fence.record, fence.decided) == (record, False)
    assert check(SYSTEMS[1], NEVER_MOVED, alone) is None
    assert check(SYSTEMS[0], NEVER_MOVED, registers.read()) is None


def test_healing_settles_half_a_vote() -> None:
    registers = Registers(BOTH)
    half_voted(registers)
    registers.drive(heal(BOTH, "healer"))
    alone = read(BOTH, {"same-city": from_last_fact(registers.logs["same-city"])})

    assert check(SYSTEMS[0], NEVER_MOVED, alone) is None
    assert registers.read().place(SYSTEMS[0]) == NEVER_MOVED


def test_a_vote_is_not_declared_dead_while_a_register_may_still_give_its_own() -> None:
    registers = Registers(BOTH)
    record = half_voted(registers)
    steps = heal(BOTH, "healer")
    assert isinstance(next(steps), Look)
    assert isinstance(steps.send(dict(registers.logs)), Look)
    question: Any = steps.send(dict(registers.logs))
    # The line to provincial fails: its promise was never made, and the vote may still come.
    with pytest.raises(StopIteration):
        steps.send({"same-city": registers.append("same-city", *question.entries["same-city"])})
    assert registers.append("provincial", registers.logs["provincial"], Vote(record)).done

    assert registers.read().decided == (record,)
    alone = read(BOTH, {"same-city": from_last_fact(registers.logs["same-city"])})
    assert check(SYSTEMS[0], NEVER_MOVED, alone) is not None


def test_a_fact_hides_no_vote_that_may_yet_be_decided() -> None:
    registers = Registers(BOTH)
    registers.drive(raise_epoch(BOTH, ask({SYSTEMS[1]: "same-city"}, run="one")), stop_after=3)
    assert not any(isinstance(each, Fact) for log in registers.logs.values() for each in log)
    record = half_voted(registers)
    registers.drive(heal(BOTH, "healer"), stop_after=2)
    assert registers.append("provincial", registers.logs["provincial"], Vote(record)).done

    alone = read(BOTH, {"same-city": from_last_fact(registers.logs["same-city"])})
    assert isinstance(registers.logs["same-city"][-1], Fact)
    fence = check(SYSTEMS[0], NEVER_MOVED, alone)
    assert fence is not None
    assert fence.record == record


def test_a_move_that_comes_in_between_makes_an_approval_one_of_before() -> None:
    registers = Registers(ALL)
    steps = raise_epoch(ALL, ask({SYSTEMS[0]: "same-city"}, run="slow", expected=0))
    next(steps)
    question: Any = steps.send(dict(registers.logs))
    forced = ask({SYSTEMS[0]: "provincial"}, run="quick", forced="dark")
    registers.drive(raise_epoch(ALL, forced), ("provincial",))
    with pytest.raises(StopIteration) as ended:
        steps.send({centre: registers.append(centre, *each) for centre, each in question.entries.items()})

    assert isinstance(ended.value.value, Moved)


def test_in_doubt_and_cut_off_only_force_goes_on_and_keeps_what_may_have_been_decided() -> None:
    registers = Registers(ALL)
    record = half_voted(registers)
    reach = ("same-city", "provincial")
    refused = registers.drive(raise_epoch(ALL, ask({SYSTEMS[1]: "provincial"}, run="two")), reach)
    forced = registers.drive(raise_epoch(ALL, ask({SYSTEMS[1]: "provincial"}, run="two", forced="dark")), reach)

    assert refused == Doubtful(record)
    assert isinstance(forced, Won)
    assert forced.record.active[SYSTEMS[0]] == Place("same-city", record.epoch)


def test_two_sides_that_force_are_contested_and_the_higher_one_holds() -> None:
    registers = Registers(BOTH)
    near = registers.drive(raise_epoch(BOTH, ask({SYSTEMS[0]: "same-city"}, run="a", forced="x")), ("same-city",))
    far = registers.drive(raise_epoch(BOTH, ask({SYSTEMS[0]: "provincial"}, run="b", forced="y")), ("provincial",))

    assert near.record.epoch != far.record.epoch
    state = registers.read()
    assert state.place(SYSTEMS[0]) == Place("provincial", far.record.epoch)
    assert state.contested == (near.record,)
    registers.drive(heal(BOTH, "healer"))
    near_side = read(BOTH, {"same-city": from_last_fact(registers.logs["same-city"])})
    assert check(SYSTEMS[0], Place("same-city", near.record.epoch), near_side) is not None
    ended = registers.drive(raise_epoch(BOTH, ask({SYSTEMS[0]: "provincial"}, run="c")))
    assert set(ended.record.previous) == {near.record.digest, far.record.digest}
    assert registers.read().contested == ()


def test_a_register_that_was_away_is_healed() -> None:
    registers = Registers(BOTH)
    registers.drive(raise_epoch(BOTH, ask({SYSTEMS[0]: "provincial"}, run="a", forced="dark")), ("provincial",))
    registers.drive(raise_epoch(BOTH, ask({SYSTEMS[1]: "provincial"}, run="b", forced="dark")), ("provincial",))
    assert registers.logs["same-city"] == ()
    _, written = registers.drive(heal(BOTH, "healer"))

    assert written == ("same-city",)
    alone = read(BOTH, {"same-city": registers.logs["same-city"]})
    assert alone.epoch == 23
    assert not alone.contested
    assert registers.drive(heal(BOTH, "again"))[1] == ()


def test_entries_survive_being_written() -> None:
    registers = Registers(BOTH)
    half_voted(registers)
    registers.drive(raise_epoch(BOTH, ask({SYSTEMS[0]: "provincial", SYSTEMS[1]: "same-city"}, run="two")))
    entries = [each for log in registers.logs.values() for each in log]

    assert {type(each) for each in entries} == {Promise, Vote, Fact}
    assert [entry_from_bytes(entry_as_bytes(each)) for each in entries] == entries


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"kind":"vote"}', '{"kind":"vote","record":{"format":2}}', '{"kind":"x"}']
)
def test_what_is_no_entry_is_refused(text: str) -> None:
    with pytest.raises(Inconsistent):
        entry_from_bytes(text.encode())


def test_a_ballot_that_others_come_between_is_held_again() -> None:
    registers = Registers(BOTH)
    steps = raise_epoch(BOTH, ask({SYSTEMS[0]: "same-city"}, run="slow"))
    next(steps)
    stale = dict(registers.logs)
    registers.drive(raise_epoch(BOTH, ask({SYSTEMS[1]: "provincial"}, run="quick")))
    question: Any = steps.send(stale)
    question = steps.send({centre: registers.append(centre, *each) for centre, each in question.entries.items()})

    assert isinstance(question, Look)  # its promises came too late: it looks again
    assert isinstance(registers.drive(Resent(steps)), Won)
    assert registers.read().place(SYSTEMS[1]).centre == "provincial"


class Resent:
    """Steps that have asked to look, and are driven on from there."""

    def __init__(self, steps: Any) -> None:
        self._steps, self._asked = steps, False

    def send(self, answer: Any) -> Any:
        if not self._asked:
            self._asked = True
            return Look()
        return self._steps.send(answer)

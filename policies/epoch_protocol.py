"""How an epoch is raised and how registers are healed: what is asked of the registers, step by step. Pure.

The steps are generators. They yield what is to be asked of all registers at once and are sent the answers, so the
same steps are driven over the network, and by tests in every order of events. An answer that is missing says nothing:
the register may have done what was asked.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from policies.epoch import (
    QUORUM,
    Entry,
    Fact,
    Log,
    Place,
    Places,
    Promise,
    Record,
    State,
    Vote,
    highest,
    join,
    next_epoch,
    read,
    votes_of,
)

#: How often a ballot is held again that others came in between of.
TRIES = 6


@dataclass(frozen=True, slots=True)
class Look:
    """Read every register whole. The answer: the logs of those that answered."""


@dataclass(frozen=True, slots=True)
class Append:
    """Add an entry to registers, each right after the log that is given with it, or not at all."""

    entries: Mapping[str, tuple[Log, Entry]]


@dataclass(frozen=True, slots=True)
class Appended:
    """A register's answer: whether the entry was added, and the log as it is now."""

    log: Log
    done: bool


Question: TypeAlias = Look | Append
Answer: TypeAlias = Mapping[str, Log] | Mapping[str, Appended]


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be raised. `moves` are the systems and where to, `forced` the reason of an override or "".

    `proposal` is never used twice. `expected` is the epoch that held when the move was approved; None: any.
    """

    proposal: str
    moves: Mapping[str, str]
    forced: str
    declared_by: str
    approved_by: str
    at: datetime
    run: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Won:
    """The record is decided. `held` are the registers that hold it."""

    record: Record
    held: tuple[str, ...]
    state: State


@dataclass(frozen=True, slots=True)
class Lost:
    """Others came in between, or answers were lost: whether the record was decided is then not known."""

    known: bool


@dataclass(frozen=True, slots=True)
class TooFew:
    """Fewer registers than a ballot needs answered."""

    answered: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Another record has a vote and may be decided; the registers that could tell do not answer."""

    record: Record


@dataclass(frozen=True, slots=True)
class Moved:
    """The world is another one than when the move was approved."""

    state: State


Verdict: TypeAlias = Won | Lost | TooFew | Doubtful | Moved
Steps: TypeAlias = Generator[Question, Answer, Verdict]


def raise_epoch(members: tuple[str, ...], ask: Ask) -> Steps:
    """Decide a record that moves systems, or find out why not. May be repeated with the same run."""
    verdict: Verdict = Lost(known=True)
    for attempt in range(TRIES):
        logs = _logs((yield Look()))
        state = read(members, logs)
        if done := _by_run(state, ask.run):
            if not state.holds(done):
                return Moved(state)
            yield from spread(members, logs)
            return Won(done, _holders(logs, done), state)
        if ask.expected is not None and state.epoch != ask.expected:
            return Moved(state)
        verdict = yield from _attempt(members, ask, logs, f"{ask.proposal}.{attempt}")
        if not isinstance(verdict, Lost):
            return verdict
    return verdict


def _attempt(members: tuple[str, ...], ask: Ask, logs: Mapping[str, Log], me: str) -> Steps:
    if len(logs) >= QUORUM:
        verdict = yield from _ballot(members, ask, logs, me)
        if not (isinstance(verdict, Doubtful) and ask.forced):
            return verdict
        logs = _logs((yield Look()))  # the ballot has left its promises
    if not (ask.forced and logs):
        return TooFew(tuple(sorted(logs)))
    return (yield from _force(members, ask, logs, me))


def _ballot(members: tuple[str, ...], ask: Ask, logs: Mapping[str, Log], me: str) -> Steps:
    epoch = next_epoch(logs.values())
    answers = _appended((yield Append({centre: (log, Promise(epoch, me)) for centre, log in logs.items()})))
    promised = {centre: each.log for centre, each in answers.items() if each.done}
    if len(promised) < QUORUM:
        return Lost(known=True)
    state = read(members, {**logs, **{centre: each.log for centre, each in answers.items()}})
    if ask.expected is not None and state.epoch != ask.expected:
        return Moved(state)
    # Who did not promise may yet consent to a record of before, so counts as not having been asked.
    for each in read(members, promised).doubtful:
        if each.run != ask.run and each not in state.decided:
            return Doubtful(each)
    record = _record(ask, me, epoch, state, state.active, "")
    answers = _appended((yield Append({centre: (log, Vote(record)) for centre, log in promised.items()})))
    held = [centre for centre, each in answers.items() if each.done]
    if len(held) < QUORUM:
        return Lost(known=len(answers) == len(promised))
    logs = {**logs, **{centre: each.log for centre, each in answers.items()}}
    yield from spread(members, logs)
    return Won(record, tuple(sorted(held)), read(members, logs))


def _force(members: tuple[str, ...], ask: Ask, logs: Mapping[str, Log], me: str) -> Steps:
    """Decide by one register alone, that of a centre which becomes active if it answers."""
    centre = min(logs, key=lambda each: (each not in ask.moves.values(), each))
    epoch, state = next_epoch(logs.values(), forced_at=centre), read(members, logs)
    # What may be decided is kept: the systems that it moved stay fenced from where they were.
    active = join(state.active, *(each.active for each in state.doubtful))
    record = _record(ask, me, epoch, state, active, ask.forced)
    answers = _appended((yield Append({centre: (logs[centre], Vote(record))})))
    if centre not in answers or not answers[centre].done:
        return Lost(known=centre in answers)
    logs = {**logs, centre: answers[centre].log}
    yield from spread(members, logs)
    return Won(record, (centre,), read(members, logs))


def _record(ask: Ask, me: str, epoch: int, state: State, active: Places, forced: str) -> Record:
    heads = [each.digest for each in ((state.current,) if state.current else ()) + state.contested]
    moved = {system: Place(centre, epoch) for system, centre in ask.moves.items()}
    return Record(
        epoch=epoch,
        proposal=me,
        active={**active, **moved},
        moved=tuple(sorted(moved)),
        forced=forced,
        declared_by=ask.declared_by,
        approved_by=ask.approved_by,
        at=ask.at,
        run=ask.run,
        previous=tuple(sorted(heads)),
    )


def spread(members: tuple[str, ...], logs: Mapping[str, Log]) -> Generator[Question, Answer, tuple[str, ...]]:
    """Write every decided record into the registers that do not know it as one; return those that were written to."""
    state, logs, written = read(members, logs), dict(logs), set()
    for record in state.decided:
        facts = {
            centre: (log, Fact(record, state.active, tuple(_unsettled(log, state))))
            for centre, log in logs.items()
            if not _knows(log, record)
        }
        if facts:
            answers = _appended((yield Append(facts)))
            written |= {centre for centre, each in answers.items() if each.done}
            logs |= {centre: each.log for centre, each in answers.items()}
    return tuple(sorted(written))


def _unsettled(log: Log, state: State) -> list[Record]:
    """Return the records with a vote in a log that are not known to be decided, nor known never to be."""
    dead = {digest for each in log if isinstance(each, Fact) for digest in each.dead}
    settled = dead | {each.digest for each in state.decided}
    found = {each.digest: each for each in votes_of(log)}
    return [record for digest, record in found.items() if digest not in settled]


def heal(members: tuple[str, ...], proposal: str) -> Generator[Question, Answer, tuple[State, tuple[str, ...]]]:
    """Bring all registers to what any of them knows, and settle votes that came to nothing. May be repeated.

    Return what holds, and the registers that were written to.
    """
    logs = _logs((yield Look()))
    written = set((yield from spread(members, logs)))
    logs = _logs((yield Look()))
    if logs.keys() == set(members) and _stray(members, logs):
        epoch = next_epoch(logs.values())
        answers = _appended((yield Append({centre: (log, Promise(epoch, proposal)) for centre, log in logs.items()})))
        logs |= {centre: each.log for centre, each in answers.items()}
        # With every register's promise nothing of before is decided any more that is not decided now.
        if answers.keys() == set(members) and all(each.done for each in answers.values()):
            fact = Fact(None, read(members, logs).active, (), tuple(each.digest for each in _stray(members, logs)))
            answers = _appended((yield Append({centre: (log, fact) for centre, log in logs.items()})))
            written |= {centre for centre, each in answers.items() if each.done}
            logs |= {centre: each.log for centre, each in answers.items()}
    return read(members, logs), tuple(sorted(written))


def _stray(members: tuple[str, ...], logs: Mapping[str, Log]) -> list[Record]:
    """Return the records with a vote anywhere that are neither decided nor known never to be."""
    state = read(members, logs)
    found = {each.digest: each for log in logs.values() for each in _unsettled(log, state)}
    return list(found.values())


def _by_run(state: State, run: str) -> Record | None:
    return next((each for each in reversed(state.decided) if each.run == run), None)


def _holders(logs: Mapping[str, Log], record: Record) -> tuple[str, ...]:
    return tuple(sorted(centre for centre, log in logs.items() if _holds(log, record)))


def _holds(log: Log, record: Record) -> bool:
    return any(not isinstance(each, Promise) and each.record == record for each in log)


def _knows(log: Log, record: Record) -> bool:
    return any(isinstance(each, Fact) and each.record == record for each in log)


def _logs(answer: Answer) -> dict[str, Log]:
    return {centre: each for centre, each in answer.items() if isinstance(each, tuple)}


def _appended(answer: Answer) -> dict[str, Appended]:
    return {centre: each for centre, each in answer.items() if isinstance(each, Appended)}


def is_behind(log: Log, local: int) -> bool:
    """Return whether a register does not know the epoch that who reads it knows."""
    return highest(log) < local

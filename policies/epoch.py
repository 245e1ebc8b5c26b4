"""Epochs: which centre each system is active at, as the registers of the vaults hold it. Pure.

Every vault keeps a **register**: a log that is only ever added to, and only by who has read it to its end. An epoch
is decided by what stands in the registers; nothing else makes a centre active, and a system of which no register says
anything is active at production.

A log has three kinds of entries. A **promise** says: nothing of a lower epoch is added here any more, and of this
epoch only by who made the promise. A **vote** is one register's consent to a record. A **fact** is a record that is
known to be decided, kept so that one register alone can tell. A record is decided

* by **ballot**, when two registers hold its vote: epochs that are multiples of ten; or
* by **force**, when the one register that its last digit names holds its vote: two people attest that the other
  centres are down.

What follows, and what the property tests hold against every order of events:

1. *One record an epoch.* A register takes one promise of an epoch, a ballot needs two of at most three registers, and
   a forced epoch can be written in one register only. So no epoch ever has two records that are decided.
2. *One centre a system.* A system is active where the newest decided record that moved it says. Readers that know
   different parts join what they know by taking the higher epoch of each system, so they can only come to agree.
3. *Nothing in the past.* Each log's epochs only rise, and a ballot is not held over a record that may yet be decided:
   two ballots that are decided follow each other, the later one having seen the earlier one.
4. *The vault is what is protected.* A register that holds a decided record refuses whoever does not know it for the
   systems that it moved; one that holds a vote of which it cannot be told whether it was decided refuses as well.

Force cannot keep what it overrides: with two centres cut off from each other, and two people at each attesting that
the other is down, each side acts in its own vault, under epochs that differ. The higher one holds from the moment on
that anybody sees both; the other side's is reported as contested, and is fenced.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeAlias

#: Two of the three centres, whichever of them keep a register.
QUORUM = 2

#: Epochs rise by tens. The last digit is 0 of a ballot, else it names the centre whose register alone carries it.
ROUND = 10
SEATS = {"production": 1, "same-city": 2, "provincial": 3}
_BY_DIGIT = {digit: centre for centre, digit in SEATS.items()}

HOME = "production"


class Inconsistent(ValueError):
    """Registers hold what the protocol cannot have written: somebody else did."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a system is active, and the epoch that moved it there; 0 when nothing ever did."""

    centre: str
    since: int


NEVER_MOVED = Place(HOME, 0)
Places: TypeAlias = Mapping[str, Place]


@dataclass(frozen=True, slots=True)
class Record:
    """What an epoch decides: `moved` are the systems (TENANT/SYSTEM) that it moves, `active` all that are known of.

    `forced` is the reason of an override, "" for a ballot. `previous` are the digests of the newest decided records
    that its maker knew: one, or several when it ends a contest.
    """

    epoch: int
    proposal: str
    active: Places
    moved: tuple[str, ...]
    forced: str
    declared_by: str
    approved_by: str
    at: datetime
    run: str
    previous: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The SHA-256 of what `as_json` holds: the record's identity."""
        return sha256(canonical(self.as_json())).hexdigest()

    def as_json(self) -> dict[str, Any]:
        return {
            "format": 1,
            "epoch": self.epoch,
            "proposal": self.proposal,
            "active": places_as_json(self.active),
            "moved": list(self.moved),
            "forced": self.forced,
            "declared_by": self.declared_by,
            "approved_by": self.approved_by,
            "at": self.at.isoformat(),
            "run": self.run,
            "previous": list(self.previous),
        }

    def as_evidence(self) -> dict[str, Any]:
        return self.as_json() | {"digest": self.digest}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Record:
        """Return the record that `as_json` described. Raises Inconsistent for another format."""
        try:
            if value["format"] != 1:
                raise Inconsistent(f"an epoch's record of format {value['format']}; this program reads 1")
            return cls(
                epoch=int(value["epoch"]),
                proposal=str(value["proposal"]),
                active=places_from_json(value["active"]),
                moved=tuple(value["moved"]),
                forced=str(value["forced"]),
                declared_by=str(value["declared_by"]),
                approved_by=str(value["approved_by"]),
                at=datetime.fromisoformat(value["at"]),
                run=str(value["run"]),
                previous=tuple(value["previous"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise Inconsistent(f"an epoch's record cannot be read: {error!r}") from error


@dataclass(frozen=True, slots=True)
class Promise:
    """From here on nothing below `epoch` is added, and of `epoch` only what `by` adds."""

    epoch: int
    by: str


@dataclass(frozen=True, slots=True)
class Vote:
    """This register's consent to a record."""

    record: Record


@dataclass(frozen=True, slots=True)
class Fact:
    """A record that is decided, and all that its writer knew: who reads a log may begin at its last fact.

    `active` is where every system was. `open` are records with a vote in this register of which it was not known
    whether they are decided, `dead` the digests of those that never will be.
    """

    record: Record | None
    active: Places
    open: tuple[Record, ...] = ()
    dead: tuple[str, ...] = ()


Entry: TypeAlias = Promise | Vote | Fact
#: The entries of one register in their order, from the first or from any fact on.
Log: TypeAlias = tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What registers say together. `decided` is in the order of epochs.

    `doubtful` are records that may be decided, for all that is known here. `contested` are decided records that the
    newest one's maker did not know of.
    """

    decided: tuple[Record, ...]
    active: Places
    doubtful: tuple[Record, ...]
    contested: tuple[Record, ...]

    @property
    def current(self) -> Record | None:
        """The newest decided record."""
        return self.decided[-1] if self.decided else None

    @property
    def epoch(self) -> int:
        return self.decided[-1].epoch if self.decided else 0

    def place(self, system: str) -> Place:
        return self.active.get(system, NEVER_MOVED)

    def holds(self, record: Record) -> bool:
        """Whether all that a record moved is still where it moved it."""
        return all(self.place(each).since == record.epoch for each in record.moved)


def read(members: Iterable[str], logs: Mapping[str, Log]) -> State:
    """Return what `logs` say, those of `members` that answered. Raises Inconsistent."""
    silent = len(set(members) - logs.keys())
    decided, voted, dead = _decided(logs), _voted(logs), _dead(logs)
    known = {each.digest for each in decided}
    active = join(*(each.active for each in decided), *_facts_of(logs))
    doubtful = [
        record
        for digest, (record, holders) in voted.items()
        if digest not in known
        and digest not in dead
        and not record.forced
        and len(holders) + silent >= QUORUM
        and any(active.get(each, NEVER_MOVED).since < record.epoch for each in record.moved)
    ]
    return State(
        tuple(decided), active, tuple(sorted(doubtful, key=lambda each: each.epoch)), tuple(_contested(decided))
    )


def _decided(logs: Mapping[str, Log]) -> list[Record]:
    found: dict[str, Record] = {}
    for digest, (record, holders) in _voted(logs).items():
        if _BY_DIGIT.get(record.epoch % ROUND) in holders if record.forced else len(holders) >= QUORUM:
            found[digest] = record
    for log in logs.values():
        for entry in log:
            if isinstance(entry, Fact) and entry.record is not None:
                found[entry.record.digest] = entry.record
    by_epoch: dict[int, Record] = {}
    for record in found.values():
        if record.epoch in by_epoch:
            raise Inconsistent(f"two records of epoch {record.epoch} are decided")
        by_epoch[record.epoch] = record
    return [by_epoch[epoch] for epoch in sorted(by_epoch)]


def _voted(logs: Mapping[str, Log]) -> dict[str, tuple[Record, set[str]]]:
    """Return every record that has a vote, by digest, with the registers that hold it."""
    found: dict[str, tuple[Record, set[str]]] = {}
    for centre, log in logs.items():
        for record in votes_of(log):
            found.setdefault(record.digest, (record, set()))[1].add(centre)
    return found


def votes_of(log: Log) -> Iterator[Record]:
    """Yield the records that a register holds a vote for."""
    for entry in log:
        if isinstance(entry, Vote):
            yield entry.record
        elif isinstance(entry, Fact):
            yield from entry.open


def _dead(logs: Mapping[str, Log]) -> set[str]:
    return {digest for log in logs.values() for entry in log if isinstance(entry, Fact) for digest in entry.dead}


def _facts_of(logs: Mapping[str, Log]) -> list[Places]:
    return [entry.active for log in logs.values() for entry in log if isinstance(entry, Fact)]


def _contested(decided: Sequence[Record]) -> list[Record]:
    """Return what the newest record does not descend from. Facts are spread in order, so no link is missing."""
    if not decided:
        return []
    known = {each.digest: each for each in decided}
    seen, ahead = set(), [decided[-1].digest]
    while ahead:
        digest = ahead.pop()
        if digest not in seen:
            seen.add(digest)
            ahead += known[digest].previous if digest in known else ()
    return [each for each in decided if each.digest not in seen]


def join(*several: Places) -> dict[str, Place]:
    """Return where each system is active by all that `several` say: the higher epoch holds. Raises Inconsistent."""
    joined: dict[str, Place] = {}
    for places in several:
        for system, place in places.items():
            other = joined.get(system, place)
            if other.since == place.since and other.centre != place.centre:
                raise Inconsistent(f"epoch {place.since} moved {system} to {place.centre} and to {other.centre}")
            joined[system] = max(other, place, key=lambda each: each.since)
    return joined


def from_last_fact(log: Log) -> Log:
    """Return the end of a log that says all that the whole log does, but for the history."""
    last = max((number for number, entry in enumerate(log) if isinstance(entry, Fact)), default=0)
    return log[last:]


def highest(log: Log) -> int:
    """Return the highest epoch that stands in a log."""
    return max((_epoch(entry) for entry in log), default=0)


def _epoch(entry: Entry) -> int:
    if isinstance(entry, Promise):
        return entry.epoch
    return entry.record.epoch if entry.record else 0


def may_append(centre: str, log: Log, entry: Entry) -> bool:
    """Return whether `entry` may be the next one in the register of `centre` whose whole log is `log`."""
    match entry:
        case Promise():
            return entry.epoch > highest(log) and entry.epoch % ROUND == 0
        case Vote(record) if record.forced:
            return record.epoch > highest(log) and record.epoch % ROUND == SEATS[centre]
        case Vote(record):
            promised = [each.by for each in log if isinstance(each, Promise) and each.epoch == record.epoch]
            voted = any(isinstance(each, Vote) and each.record.epoch == record.epoch for each in log)
            return promised == [record.proposal] and highest(log) == record.epoch and not voted
        case Fact():
            return True


def next_epoch(logs: Iterable[Log], *, forced_at: str | None = None) -> int:
    """Return the first epoch of its kind above all that stands in `logs`."""
    top = max((highest(log) for log in logs), default=0)
    return (top // ROUND + 1) * ROUND + (SEATS[forced_at] if forced_at else 0)


@dataclass(frozen=True, slots=True)
class Fence:
    """Why a vault refuses what a writer wants with a system. `record` is None when only the place is known.

    Without `decided` it cannot be told whether the record was decided, as too few registers answer.
    """

    system: str
    place: Place
    record: Record | None
    decided: bool


def check(system: str, local: Place, state: State) -> Fence | None:
    """Return why who believes a system to be active at `local` may not write, None when nothing stands against it."""
    place = state.place(system)
    if place.since > local.since:
        record = next((each for each in state.decided if each.epoch == place.since), None)
        return Fence(system, place, record, decided=True)
    for each in state.doubtful:
        if system in each.moved and each.epoch > local.since:
            return Fence(system, each.active[system], each, decided=False)
    return None


# --- as text


def canonical(value: Any) -> bytes:
    """Return JSON of which there is one form only."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def places_as_json(places: Places) -> dict[str, Any]:
    return {system: [place.centre, place.since] for system, place in places.items()}


def places_from_json(value: Mapping[str, Any]) -> dict[str, Place]:
    return {str(system): Place(str(centre), int(since)) for system, (centre, since) in value.items()}


def entry_as_bytes(entry: Entry) -> bytes:
    """Return an entry as it stands in a register."""
    match entry:
        case Promise():
            return canonical({"kind": "promise", "epoch": entry.epoch, "by": entry.by})
        case Vote():
            return canonical({"kind": "vote", "record": entry.record.as_json()})
        case Fact():
            record = entry.record.as_json() if entry.record else None
            places = places_as_json(entry.active)
            votes = [each.as_json() for each in entry.open]
            fact = {"kind": "fact", "record": record, "active": places, "open": votes, "dead": list(entry.dead)}
            return canonical(fact)


def entry_from_bytes(data: bytes) -> Entry:
    """Return the entry that a register holds. Raises Inconsistent for what is none."""
    try:
        value = json.loads(data)
        match value["kind"]:
            case "promise":
                return Promise(int(value["epoch"]), str(value["by"]))
            case "vote":
                return Vote(Record.from_json(value["record"]))
            case "fact":
                record = Record.from_json(value["record"]) if value["record"] else None
                votes = tuple(Record.from_json(each) for each in value["open"])
                return Fact(record, places_from_json(value["active"]), votes, tuple(value["dead"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Inconsistent(f"an entry of a register cannot be read: {error!r}") from error
    raise Inconsistent(f"an entry of a register of an unknown kind: {value['kind']!r}")

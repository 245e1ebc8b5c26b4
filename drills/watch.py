"""A run of a plan followed live: what the catalogue says of it now, in order for a person. Pure, but for `Follower`.

Whoever watches is not needed: he only reads, from any terminal and at any time, also long after the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from drills.evidence import RECOVER, Evidence, Recovered
from drills.measure import AGAIN, Verdict, base_of, is_tolerated, passed
from drills.scenario import Scenario
from drills.words import Words, step_words
from orchestrator.catalogue.records import AttemptRow, Outcome, RunRow, RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.catalogue.waiting import Looked, OpenWait, look, waiting_slots
from policies.limits import Limits

Mark = Literal["pending", "running", "done", "failed", "passed-over"]

DATA_PROBES = ("manifest", "fingerprint", "image", "objects", "definition", "sql")
#: When one of these has begun, the run's deadline was kept.
PAST_DEADLINE = ("reprotect", "commit", "undo", "record", "release")

#: Attempts that are read once more: of two that begin at once, the one with the higher number may be seen first.
OVERLAP = 100


@dataclass(frozen=True, slots=True)
class Beat:
    """One step in the strip of a system or of the whole: how it is, and how long it has been so."""

    label: str
    mark: Mark
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Clock:
    """An objective against what is used of it by now, or was in the end."""

    limit: float
    used: float | None
    over: bool  # it does not run any more

    @property
    def left(self) -> float | None:
        return None if self.used is None else self.limit - self.used


@dataclass(frozen=True, slots=True)
class Waiting:
    """Who is waited for: the run, what it asks, since when, and how to answer."""

    run: str
    topic: str
    about: str
    since: datetime
    command: str


@dataclass(frozen=True, slots=True)
class SystemView:
    """One system of the plan, as it is now."""

    name: str
    title: str
    wave: int
    run: RunRow | None
    state: str  # of its run; `pending` while its turn has not come
    beats: tuple[Beat, ...]
    open: tuple[AttemptRow, ...]
    faults: tuple[str, ...]
    waits_for: tuple[str, ...]
    rto: Clock
    rpo: Clock
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """A run of a plan, as it is now."""

    run: RunRow
    scenario: Scenario | None
    now: datetime
    stops_at: datetime | None
    whole: tuple[Beat, ...]
    systems: tuple[SystemView, ...]
    others: tuple[RunRow, ...]
    waits: tuple[Waiting, ...]

    @property
    def tightest(self) -> SystemView | None:
        """The system whose RTO is over first, of those that are not recovered."""
        running = [each for each in self.systems if not each.rto.over and each.rto.left is not None]
        return min(running, key=lambda each: each.rto.left or 0.0, default=None)

    @property
    def state(self) -> str:
        """The state of the run; one that waits for its parts is at work."""
        at_work = self.run.state is RunState.WAITING and not any(each.run == self.run.id for each in self.waits)
        return str(RunState.RUNNING if at_work else self.run.state)

    @property
    def done(self) -> int:
        return sum(each.state == RunState.DONE for each in self.systems)


class Follower:
    """Looks at a run again and again, and reads what can still change only."""

    def __init__(self, catalogue: Catalogue, run_id: str, limits: Limits) -> None:
        self._catalogue, self._run_id, self._limits = catalogue, run_id, limits
        self._attempts: dict[int, AttemptRow] = {}

    def look(self) -> Looked:
        """Return the run as it is now, with all its attempts. Raises UnknownName, Unreachable."""
        still_open = [each.id for each in self._attempts.values() if each.ended_at is None]
        after = min(still_open, default=max(self._attempts, default=0)) - OVERLAP
        found = look(self._catalogue, self._run_id, self._limits, after)
        self._attempts |= {each.id: each for each in found.attempts}
        return Looked(found.run, found.parts, tuple(self._attempts.values()), found.waits, found.full, found.now)


def timeline(seen: Looked) -> Timeline:
    """Return what one look showed, in order for a person. Pure."""
    seen = replace(seen, waits=tuple(each for each in seen.waits if not _for_parts(each, seen)))
    evidence = as_evidence(seen)
    scenario = evidence.scenario if any(each.step == "declare" and passed(each) for each in evidence.attempts) else None
    waits = tuple(_waiting(each, seen) for each in seen.waits)
    others = tuple(each for each in seen.parts if each.flow != RECOVER)
    if scenario is None:
        return Timeline(seen.run, None, seen.now, None, _strip(_of_whole(seen), seen), (), others, waits)
    outage = evidence.outage or (None if scenario.shape.sealed else evidence.attempts[0].started_at)
    waves = wave_of({each.name: each.after for each in scenario.systems})
    runs = {each.arguments["system"]: each for each in seen.parts if each.flow == RECOVER}
    systems = [_system(each, waves[each.part.name], runs, scenario, outage, seen) for each in evidence.systems]
    systems.sort(key=lambda each: (each.wave, each.name))
    whole = _strip(_of_whole(seen), seen)
    stops_at = _stops_at(scenario, seen)
    return Timeline(seen.run, scenario, seen.now, stops_at, whole, tuple(systems), others, waits)


def _for_parts(wait: OpenWait, seen: Looked) -> bool:
    """Whether a run waits for its own parts and not for a person: that is a step of its own, and under way."""
    return any(row.run_id == wait.run_id and row.ended_at is None and row.step == wait.topic for row in seen.attempts)


def _stops_at(scenario: Scenario, seen: Looked) -> datetime | None:
    """Return when the run is stopped if it is not done; None while nobody has approved it, and when that is past."""
    attempts = _of_whole(seen)
    if any(row.step in PAST_DEADLINE for row in attempts) or any(each.topic == "commit" for each in seen.waits):
        return None
    untils = [datetime.fromisoformat(each.arguments["until"]) for each in seen.parts if "until" in each.arguments]
    if untils or scenario.shape.approved:
        return min(untils, default=None)
    return attempts[0].started_at + timedelta(seconds=scenario.deadline_seconds)


def as_evidence(seen: Looked) -> Evidence:
    """Return what was measured so far. The whole's step that every recovery is a part of counts when it has ended."""
    own = {each.id: [row for row in seen.attempts if row.run_id == each.id] for each in seen.parts}
    whole = [row for row in _of_whole(seen) if row.ended_at or base_of(row.step) != "systems"]
    return Evidence(seen.run.id, whole, list(seen.parts), own)


def _of_whole(seen: Looked) -> list[AttemptRow]:
    return [row for row in seen.attempts if row.run_id == seen.run.id]


def wave_of(needs: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Return how many systems one after the other must come before each: 1 for those that wait for none. Pure."""
    found: dict[str, int] = {}

    def wave(name: str) -> int:
        if name not in found:
            found[name] = 1 + max((wave(each) for each in needs.get(name, ())), default=0)
        return found[name]

    for name in needs:
        wave(name)
    return found


def how_to_answer(run: str, topic: str) -> str:
    """Return the command by which a person answers what a run waits for. Pure."""
    name = topic.partition(":")[0]
    if name in ("approve", "commit", "release"):
        return f"tricenter drill {name} {run}"
    return f"tricenter drill answer {run} {topic}"


def _waiting(each: OpenWait, seen: Looked) -> Waiting:
    part = next((row.arguments.get("system", "") for row in seen.parts if row.id == each.run_id), "")
    return Waiting(each.run_id, each.topic, part, each.began_at, how_to_answer(each.run_id, each.topic))


def _system(
    each: Recovered, wave: int, runs: Mapping[str, RunRow], scenario: Scenario, outage: datetime | None, seen: Looked
) -> SystemView:
    part, run = each.part, runs.get(each.part.name)
    open_ = tuple(row for row in each.own if row.ended_at is None)
    over = seen.run.state.ended or (run is not None and run.state.ended)
    measured = each.measured
    used = measured.rto_seconds if over else _since(outage, seen.now) if outage else None
    beats = _beats(each, scenario, run, seen.now)
    waits_for = [name for name in part.after if name not in runs or runs[name].state is not RunState.DONE]
    if run is not None and run.state is RunState.QUEUED:
        waits_for = list(waiting_slots(run, seen.full))
    return SystemView(
        name=part.name,
        title=part.system_title["zh"],
        wave=wave,
        run=run,
        state=str(run.state) if run else _talked(beats),
        beats=beats,
        open=open_,
        faults=tuple(_faults(each)),
        waits_for=tuple(waits_for) if run is None or run.state is RunState.QUEUED else (),
        rto=Clock(part.objective.rto_seconds, used, over),
        rpo=Clock(part.objective.rpo_seconds, measured.rpo_seconds if each.steps else None, over=True),
        verdict=each.verdict if over and run is not None else None,
    )


def _beats(each: Recovered, scenario: Scenario, run: RunRow | None, now: datetime) -> tuple[Beat, ...]:
    """Return the steps of a system's plan that this kind of run takes, each with what its attempts say."""
    shape = scenario.shape
    passed_over = () if shape.servers or shape.spoken else ("network", "servers", "start", "switch")
    labels = [
        f"{step['do']}-{step['name']}" if step["name"] else step["do"]
        for step in each.part.steps
        if step["do"] not in passed_over and (not step.get("kinds") or scenario.kind in step["kinds"])
    ]
    rows: dict[str, list[AttemptRow]] = {label: [] for label in labels}
    for row in each.own:
        if (label := _label_of(row.step, labels)) in rows:
            rows[label].append(row)
    for row in each.whole if shape.spoken else ():
        _, kind, label, *about = (*row.step.split(":"), "", "")
        if kind == "talk" and about[0] == each.part.name and label in rows:
            rows[label].append(row)
    last = max((place for place, label in enumerate(labels) if rows[label]), default=-1)
    ended = run is not None and run.state.ended

    def over(place: int, label: str) -> bool:
        return ended or place < last or (shape.spoken and bool(rows[label]))

    return tuple(
        _beat(label, rows[label], now, over=over(place, label), tolerated=each.part.tolerated)
        for place, label in enumerate(labels)
    )


def _talked(beats: Sequence[Beat]) -> str:
    """Return the state of a system that no run recovers: its turn has not come, or people have talked it through."""
    marks = {beat.mark for beat in beats}
    return "pending" if marks <= {"pending", "passed-over"} else "running" if "pending" in marks else "done"


def _label_of(step: str, labels: Sequence[str]) -> str:
    """Return the step of the plan that an attempt belongs to. Pure."""
    name, _, rest = base_of(step).partition(":")
    name = name.removeprefix("confirmed-")
    if name in labels:
        kind = rest.split(":")[1] if name == "probe" and ":" in rest else ""
        return "restore" if kind in DATA_PROBES and "servers" in labels else name
    if name == "start":  # a scratch database
        return "restore"
    return "switch" if name == "look-up" else "restore"


def _beat(label: str, rows: Sequence[AttemptRow], now: datetime, *, over: bool, tolerated: Iterable[str] = ()) -> Beat:
    if not rows:
        return Beat(label, "passed-over" if over else "pending", None)
    begin, open_ = rows[0].started_at, any(row.ended_at is None for row in rows)
    end = now if open_ or not over else max(row.ended_at or now for row in rows)
    last = {base_of(row.step): row for row in rows}.values()
    bad = [row for row in last if row.ended_at is not None and not passed(row)]
    if bad and all(is_tolerated(row.step, tuple(tolerated)) for row in bad):
        bad = []
    mark: Mark = "failed" if bad and not open_ else "running" if open_ or not over else "done"
    return Beat(label, mark, _since(begin, end))


def _strip(attempts: Sequence[AttemptRow], seen: Looked) -> tuple[Beat, ...]:
    """Return the steps of the whole that were begun, in their order."""
    rows: dict[str, list[AttemptRow]] = {}
    for row in attempts:
        if row.step.startswith("probe:talk:"):  # it stands with the system that was talked about
            continue
        rows.setdefault(base_of(row.step).partition(":")[0], []).append(row)
    for wait in seen.waits:
        if wait.run_id == seen.run.id:
            rows.pop(wait.topic, None)
    found = [_beat(name, each, seen.now, over=all(row.ended_at for row in each)) for name, each in rows.items()]
    for wait in seen.waits:
        if wait.run_id == seen.run.id:
            found.append(Beat(wait.topic.partition(":")[0], "running", _since(wait.began_at, seen.now)))
    return tuple(found)


def _faults(each: Recovered) -> Iterable[str]:
    """Yield what was found wrong, a line each: errors of steps, and probes that found something else."""
    for row in each.last_tries:
        if row.run_id not in {own.run_id for own in each.own}:
            continue
        if row.outcome in (Outcome.FAILED, Outcome.INTERRUPTED):
            yield f"{row.step}: {row.error or row.outcome}"
        elif row.outcome is Outcome.PASSED and not passed(row):
            yield f"{row.step}: {row.detail.get('expected')} → {row.detail.get('got')}"
    if each.stopped and not each.own:
        yield each.stopped


def told(step: str) -> Words:
    """Return a step's words, its own name where it has none. Pure."""
    try:
        again = f" (#{step.partition(AGAIN)[2]})" if AGAIN in step else ""
        words = step_words(step)
        return Words(words.zh + again, words.en + again)
    except KeyError:
        return Words(step, "")


def _since(begin: datetime, end: datetime) -> float:
    return max(0.0, (end - begin).total_seconds())

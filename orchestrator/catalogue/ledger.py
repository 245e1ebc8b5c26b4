"""The ledger of runs: who may run what, and who wrote what. Every change is one transaction.

A worker claims a queued run, and each claim raises the run's generation. What a worker writes about a run counts only
while it still has that generation: a worker that was taken for dead and comes back gets `Superseded`, and nothing of
what it does is written over what its successor did. All times are the database's.

Every method raises Unreachable when the database does not answer; it may be repeated then.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from orchestrator.catalogue import audit, slots
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import clock, looking, now, serialise, writing
from orchestrator.catalogue.forgetting import forget_runs
from orchestrator.catalogue.messages import send_message, wait_of
from orchestrator.catalogue.queue import first_claimable, locked, queue, take
from orchestrator.catalogue.records import HELD, Cleanup, Order, Outcome, RunRow, RunState, WorkerRow
from orchestrator.catalogue.rows import as_cleanup, end_columns, error_columns
from orchestrator.catalogue.store import Catalogue
from orchestrator.catalogue.taking import CLAIMING, close_attempts, give_back, reap_workers, take_from
from orchestrator.errors import Busy, Refused, UnknownName
from policies.limits import Limits

#: How long a run that was held back is left alone.
HELD_BACK = timedelta(seconds=60)

#: So many runs are forgotten at a time: who does it has other things to do.
FORGOTTEN_AT_MOST = 10_000


class Superseded(Exception):
    """The run is another worker's now. None of our errors, so that no flow catches it."""


class AbortRequested(Exception):
    """Somebody asked for the run's end. None of our errors, so that no flow catches it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's hold on a run, as it was when it was claimed. It is good until the run has another generation."""

    run: RunRow
    worker: str
    generation: int


def new_run_id() -> str:
    """Return an identifier that sorts by time and is unique: 20261123T101500Z-3f9a1c07."""
    return f"{now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


class Ledger:
    """The writes about runs and workers. Safe to use from several threads, processes and machines."""

    def __init__(self, catalogue: Catalogue, auditing: audit.Auditing | None = None) -> None:
        self.catalogue, self.url, self.auditing = catalogue, catalogue.url, auditing or audit.Auditing()
        self._engine, self.sealer = catalogue.engine, audit.Sealer(catalogue.engine, self.auditing.digest)

    def clock(self) -> datetime:
        """Return the time by which the ledger's rows are dated."""
        with looking(self._engine) as db:
            return clock(db)

    # --- what is asked for

    def submit(self, order: Order, *, run_id: str | None = None) -> RunRow:
        """Queue a run and return it. Raises Busy, naming it, when the flow has an open run about the subject."""
        while True:
            with writing(self._engine) as db:
                if made := queue(db, order, run_id or new_run_id(), clock(db)):
                    return made
                same = (t.runs.c.flow == order.flow) & (t.runs.c.subject == order.subject)
                other = db.execute(select(t.runs).where(same & t.runs.c.ended_at.is_(None))).mappings().one_or_none()
                if other:
                    raise Busy(
                        f"{order.flow} {order.subject} is {other['state']} already: run {other['id']}",
                        hint="wait for that run to end, or abort it",
                    )
                if run_id and db.execute(select(t.runs.c.id).where(t.runs.c.id == run_id)).first():
                    raise Refused(f"there is a run {run_id} already", hint="leave the choice of its name to the ledger")
            # The other run ended between our two looks: its place is free.

    def submit_new(self, orders: Iterable[Order]) -> list[RunRow]:
        """Queue, all in one, what has no open run yet, and return what was queued."""
        # In one order everywhere: two who queue the same must not wait for each other.
        wanted = sorted(orders, key=lambda each: (each.flow, each.subject))
        with writing(self._engine) as db:
            moment = clock(db)
            return [made for each in wanted if (made := queue(db, each, new_run_id(), moment))]

    def request_abort(self, run_id: str, by: str) -> RunRow:
        """Ask for a run's end and return it: one that was never claimed has ended by that.

        May be repeated; the first asker is remembered. Raises UnknownName, and Refused for a run that has ended.
        """
        with writing(self._engine) as db:
            row, moment = locked(db, run_id), clock(db)
            if row.state.ended:
                raise Refused(f"run {run_id} has ended: {row.state}", hint="there is nothing left to abort")
            asked = {"abort_requested_at": moment, "abort_requested_by": by} if not row.abort_requested_at else {}
            ended = {"state": RunState.ABORTED, "ended_at": moment} if row.generation == 0 else {}
            if asked or ended:
                db.execute(update(t.runs).where(t.runs.c.id == run_id).values(**asked, **ended))
                audit.note(db, "abort", run_id, moment, {"run": run_id, "by": by})
            audit.note_ends(db, [run_id] if ended else [], moment, self.auditing)
            return locked(db, run_id)

    def send(self, run_id: str, topic: str, message: Any, by: str) -> None:
        """Send a run the message that it waits for on `topic`, or will wait for: plain JSON, not None.

        Raises UnknownName, and Refused when the run has ended or the topic has its message.
        """
        send_message(self._engine, run_id, topic, message, by)
        self.sealer.now()

    # --- workers

    def enlist(self, worker: WorkerRow) -> None:
        """Add a worker. Its times are the database's, whatever the row says."""
        with writing(self._engine) as db:
            moment = clock(db)
            values = {c.name: getattr(worker, c.name) for c in t.workers.c}
            db.execute(insert(t.workers).values(**{**values, "started_at": moment, "beat_at": moment}))

    def beat(self, worker_id: str) -> None:
        """Say that a worker lives. Raises Superseded when it was taken for dead: its runs are others' now."""
        with writing(self._engine) as db:
            beaten = db.execute(update(t.workers).where(t.workers.c.id == worker_id).values(beat_at=clock(db)))
            if not beaten.rowcount:
                raise Superseded(f"worker {worker_id} was taken for dead")

    def dismiss(self, worker_id: str) -> None:
        """Remove a worker that stops. Whatever it still has is given back, or ended as interrupted. May be repeated."""
        with writing(self._engine) as db:
            serialise(db, CLAIMING)
            row = db.execute(select(t.workers).where(t.workers.c.id == worker_id)).mappings().one_or_none()
            if row:
                take_from(db, [WorkerRow(**row)], clock(db))

    def reap(self, host: str, silent_seconds: float) -> list[RunRow]:
        """Remove dead workers; return the runs of dead one-shots, now interrupted and the caller's to clear up.

        Dead is who was silent for so long, or was a process of this `host` that is no more. The runs of servers and
        workers are queued again. Each run is returned to exactly one caller.
        """
        return reap_workers(self._engine, host, timedelta(seconds=silent_seconds))

    def claim(
        self,
        worker_id: str,
        limits: Limits,
        *,
        run_id: str | None = None,
        parent: str | None = None,
        flows: Collection[str] | None = None,
    ) -> Claim | None:
        """Take the first queued run whose time has come and whose slots have room; None when there is none.

        In order of priority, deadline (none is last), time of asking. A run without room holds no other back.
        With a `parent` only its parts are looked at.
        Raises Superseded when the worker was taken for dead.
        """
        with writing(self._engine) as db:
            serialise(db, CLAIMING)
            if db.execute(select(t.workers.c.id).where(t.workers.c.id == worker_id)).first() is None:
                raise Superseded(f"worker {worker_id} was taken for dead")
            full = slots.read_use(db, clock(db)).full(limits)
            # Later than every release that was just seen: by their times, too, no slot has too many at once.
            moment = clock(db)
            while (found := first_claimable(db, moment, full, run_id=run_id, parent=parent, flows=flows)) is not None:
                if take(db, found, worker_id, moment):
                    run = locked(db, found)
                    slots.take(db, run.id, run.generation, run.slots, moment)
                    return Claim(run, worker_id, run.generation)
        return None

    def disown(self, worker_id: str, kept: Collection[str]) -> list[str]:
        """Give back what a worker has and does not know of: a claim whose answer was lost. Return those runs."""
        with writing(self._engine) as db:
            mine = (t.runs.c.worker == worker_id) & t.runs.c.state.in_(HELD) & t.runs.c.id.not_in(kept)
            lost = list(db.execute(select(t.runs.c.id).where(mine).with_for_update(key_share=True)).scalars())
            give_back(db, lost, clock(db))
            return lost

    def slots_in_use(self) -> dict[str, int]:
        """Return how many runs hold each slot now."""
        with looking(self._engine) as db:
            return dict(slots.read_use(db, clock(db)).held)

    # --- what the worker of a run writes

    def submit_parts(self, claim: Claim, orders: Iterable[Order]) -> list[RunRow]:
        """Queue parts of a run, all in one, and return what was queued.

        Passed over is what was a part of it before, and what has an open run about the same subject: it may be asked
        for again. Raises Superseded, and AbortRequested when that was asked.
        """
        with writing(self._engine) as db:
            _heed(_held(db, claim))
            moment = clock(db)
            return [made for each in orders if (made := queue(db, each, new_run_id(), moment))]

    def check(self, claim: Claim) -> None:
        """Raise Superseded when the run is not the claim's any more."""
        with looking(self._engine) as db:
            _held(db, claim)

    def look(self, claim: Claim) -> None:
        """Raise Superseded when the run is not the claim's any more, AbortRequested when its end was asked for."""
        with looking(self._engine) as db:
            _heed(_held(db, claim))

    def start_attempt(self, claim: Claim, step: str) -> int:
        """Note that a step begins and return the attempt. Raises Superseded, and AbortRequested when that was asked."""
        with writing(self._engine) as db:
            _heed(_held(db, claim, (RunState.RUNNING,)))
            values = {"run_id": claim.run.id, "generation": claim.generation, "step": step}
            query = insert(t.attempts).values(**values, started_at=clock(db), outcome=Outcome.STARTED)
            return int(db.execute(query.returning(t.attempts.c.id)).scalar_one())

    def end_attempt(
        self, claim: Claim, attempt: int, outcome: Outcome, *, detail: Any = None, error: BaseException | None = None
    ) -> None:
        """Note how a step ended. Raises Superseded: the attempt is then left as who took the run over closed it."""
        with writing(self._engine) as db:
            _held(db, claim)
            moment, mine = clock(db), (t.attempts.c.id == attempt) & (t.attempts.c.run_id == claim.run.id)
            values = {"ended_at": moment, "outcome": outcome, "detail": detail, **error_columns(error)}
            still = update(t.attempts).where(mine & (t.attempts.c.outcome == Outcome.STARTED))
            if closed := db.execute(still.values(**values).returning(*audit.OF_ATTEMPT)).mappings().one_or_none():
                audit.note_attempt(db, closed, moment, values, self.auditing.digest)

    def add_cleanup(
        self,
        claim: Claim,
        action: str,
        arguments: Mapping[str, Any],
        *,
        host: str | None = None,
        on_failure: bool = False,
    ) -> None:
        """Note what must be taken away when the run ends; with a host only there, `on_failure` unless it was done."""
        with writing(self._engine) as db:
            _held(db, claim)
            values = {"action": action, "arguments": dict(arguments), "host": host, "on_failure": on_failure}
            known = db.execute(select(t.cleanups).where(t.cleanups.c.run_id == claim.run.id)).mappings()
            if any(row["done_at"] is None and values.items() <= row.items() for row in known):
                return  # a resumed run comes by here again
            db.execute(insert(t.cleanups).values(run_id=claim.run.id, **values))

    def pin(self, claim: Claim, host: str, step: int) -> None:
        """Remember the machine, and the position in the journal, that the rest of the run is bound to."""
        with writing(self._engine) as db:
            _held(db, claim)
            db.execute(update(t.runs).where(t.runs.c.id == claim.run.id).values(pinned_host=host, pinned_step=step))

    def progress(self, claim: Claim, value: Any) -> None:
        """Note how far the run is (plain JSON). Raises Superseded, and AbortRequested when that was asked."""
        with writing(self._engine) as db:
            _heed(_held(db, claim))
            db.execute(update(t.runs).where(t.runs.c.id == claim.run.id).values(progress=value))

    def wait_begin(self, claim: Claim, topic: str) -> datetime:
        """Free the run's slots while it waits; return since when it waits for `topic`, across all generations.

        May be repeated. Raises AbortRequested when that was asked.
        """
        with writing(self._engine) as db:
            _heed(_held(db, claim))
            moment, wait = clock(db), wait_of(claim.run.id, topic)
            known = db.execute(select(t.waits).where(wait)).one_or_none()
            if known is None:
                db.execute(insert(t.waits).values(run_id=claim.run.id, topic=topic, began_at=moment))
            elif known.began_at is None:
                db.execute(update(t.waits).where(wait).values(began_at=moment))
            slots.release(db, [claim.run.id], moment)
            values = {"state": RunState.WAITING, "waiting_for": topic}
            db.execute(update(t.runs).where(t.runs.c.id == claim.run.id).values(**values))
            return known.began_at if known and known.began_at else moment

    def received(self, run_id: str, topic: str) -> Any:
        """Return the message that was sent to a run on a topic, None when there is none yet."""
        with looking(self._engine) as db:
            return db.execute(select(t.waits.c.message).where(wait_of(run_id, topic))).scalar()

    def wait_end(self, claim: Claim, limits: Limits) -> bool:
        """Go on after a wait: take the slots again. False while there is no room; to be repeated then."""
        with writing(self._engine) as db:
            serialise(db, CLAIMING)
            if _held(db, claim).state is RunState.RUNNING:
                return True
            if not slots.read_use(db, clock(db)).full(limits, anew=False).isdisjoint(claim.run.slots):
                return False
            slots.take_again(db, claim.run.id, claim.generation)
            values = {"state": RunState.RUNNING, "waiting_for": None}
            db.execute(update(t.runs).where(t.runs.c.id == claim.run.id).values(**values))
            return True

    def end(self, claim: Claim, state: RunState, *, result: Any = None, error: BaseException | None = None) -> None:
        """Note how the run ended (one of the four ends), with its result as plain JSON, and free its slots.

        May be repeated with the same end. Raises Superseded.
        """
        if not state.ended:
            raise ValueError(f"{state} is no end of a run")
        with writing(self._engine) as db:
            if _held(db, claim, (*HELD, state)).state is state:
                return
            moment, mine = clock(db), t.runs.c.id == claim.run.id
            values = {"state": state, "ended_at": moment, "waiting_for": None, "result": result, **end_columns(error)}
            db.execute(update(t.runs).where(mine).values(**values))
            slots.release(db, [claim.run.id], moment)
            close_attempts(db, [claim.run.id], moment)
            audit.note_ends(db, [claim.run.id], moment, self.auditing)
            if state is RunState.DONE:
                undo = (t.cleanups.c.run_id == claim.run.id) & t.cleanups.c.on_failure
                db.execute(delete(t.cleanups).where(undo & t.cleanups.c.done_at.is_(None)))
        self.sealer.soon()

    def release(self, claim: Claim) -> None:
        """Give the run back to the queue: its worker stops politely."""
        with writing(self._engine) as db:
            _held(db, claim)
            give_back(db, [claim.run.id], clock(db))

    def hold_back(self, claim: Claim, error: BaseException) -> None:
        """Give the run back, and leave it alone for a minute: this program cannot run it, and says why."""
        with writing(self._engine) as db:
            _held(db, claim)
            moment, mine = clock(db), t.runs.c.id == claim.run.id
            give_back(db, [claim.run.id], moment)
            db.execute(update(t.runs).where(mine).values(not_before=moment + HELD_BACK, **end_columns(error)))

    # --- clean-ups

    def open_cleanups(self, run_id: str) -> list[Cleanup]:
        """Return what the run must still take away, the last made first."""
        query = select(t.cleanups).where((t.cleanups.c.run_id == run_id) & t.cleanups.c.done_at.is_(None))
        with looking(self._engine) as db:
            return [as_cleanup(row) for row in db.execute(query.order_by(t.cleanups.c.id.desc())).mappings()]

    def close_cleanup(self, cleanup: int) -> None:
        """Note that a clean-up is done. May be repeated."""
        with writing(self._engine) as db:
            db.execute(update(t.cleanups).where(t.cleanups.c.id == cleanup).values(done_at=clock(db)))

    def orphaned_cleanups(self, host: str) -> list[Cleanup]:
        """Return what `host` can take away after runs that have ended or moved to another machine, the last first."""
        here = t.cleanups.c.host == host
        ended = t.runs.c.ended_at.is_not(None) & (t.cleanups.c.host.is_(None) | here)
        moved = here & t.runs.c.pinned_host.is_not(None) & ~t.runs.c.pinned_host.startswith(f"{host}/", autoescape=True)
        query = select(t.cleanups).join(t.runs).where(t.cleanups.c.done_at.is_(None) & (ended | moved))
        query = query.order_by(t.cleanups.c.id.desc())
        with looking(self._engine) as db:
            return [as_cleanup(row) for row in db.execute(query).mappings()]

    # --- housekeeping

    def forget(self, before: datetime, at_most: int = FORGOTTEN_AT_MOST) -> int:
        """Drop runs that ended before then, with their evidence, and return how many. To be repeated while there are.

        Those of drills stay, and those with something still to take away.
        """
        return forget_runs(self._engine, before, at_most)

    def trim_audit(self, before: datetime) -> int:
        """Let go of audit entries from before then and return how many. To be repeated while there are."""
        return audit.trim(self._engine, before)


def _held(db: Connection, claim: Claim, states: tuple[RunState, ...] = HELD) -> RunRow:
    try:
        row = locked(db, claim.run.id)
    except UnknownName:
        raise Superseded(f"run {claim.run.id} is forgotten") from None
    if (row.worker, row.generation) != (claim.worker, claim.generation) or row.state not in states:
        raise Superseded(f"run {claim.run.id} is {row.state} in generation {row.generation}")
    return row


def _heed(row: RunRow) -> None:
    if row.abort_requested_at:
        raise AbortRequested(f"{row.abort_requested_by} asked for the end of run {row.id}")

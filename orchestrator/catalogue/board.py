"""The board: for every system and centre, what was promised and what is so now.

Read from the catalogue alone. Times before the horizon of a centre's retention are not judged: points that have
expired there are no longer known, and their absence is no gap in protection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from orchestrator.catalogue.archives import ArchiveAt, archived_until, archives_at, archives_in
from orchestrator.catalogue.facts import RECOVERED, Facts, Key, read_facts
from orchestrator.catalogue.landed import Landed
from orchestrator.catalogue.locks import Locks, locks_in
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.records import DrillRow
from orchestrator.catalogue.store import Catalogue
from policies.locks import promised
from policies.objectives import Landing
from policies.plan_state import last_that_counts
from policies.saw import Saw
from policies.site import Site, SystemRef
from policies.tiers import CopyRule
from policies.values import Text
from policies.work import COPY_CENTRES

WINDOW = timedelta(days=7)


class Verdict(StrEnum):
    """What can be said of a system at a centre."""

    MET = "met"  # the objectives hold, and a drill in due time has shown that recovery works
    UNPROVED = "unproved"  # the RPO holds; never drilled there, the last drill failed, or the next is overdue
    MISSED = "missed"  # an objective is missed now
    NEVER = "never"  # no good recovery point is there


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One system at one centre. What never happened is None."""

    tenant: str
    tenant_title: Text
    system: str
    system_title: Text
    tier: str
    tier_title: Text
    centre: str
    expected_interval: timedelta
    created_at: datetime
    #: The newest good data at the centre, when it had landed, and the newest there that a restore has proved.
    last_data_time: datetime | None
    last_landed_at: datetime | None
    #: Points there that are suspect, and not settled: they count for none of these.
    suspects: int
    proved_data_time: datetime | None
    rpo_objective: timedelta
    rpo_actual: timedelta
    rpo_worst: timedelta
    rpo_compliance: float
    rto_objective: timedelta
    #: The last drill of each plan and kind, newest first.
    drills: tuple[DrillRow, ...]
    drill_due_at: datetime
    drill_overdue: bool
    verdict: Verdict
    #: Up to when its archived databases can be given back there, where it has any. It takes no part in the verdict.
    archived: bool = False
    archived_until: datetime | None = None
    #: The last look at the object locks there, None before the first or where no lock is asked for, and for how long
    #: everything in use is promised to stay locked. They take no part in the verdict either.
    locks: Locks | None = None
    lock_objective: timedelta | None = None

    @property
    def last_drill(self) -> DrillRow | None:
        return self.drills[0] if self.drills else None

    @property
    def rto_measured(self) -> timedelta | None:
        """How long the last drill took to recover; None when it did not."""
        return _rto(self.drills)

    @property
    def rpo_missed(self) -> bool:
        return self.rpo_actual > self.rpo_objective

    def lock_missed(self, now: datetime) -> bool:
        """Whether something in use is not locked for as long as was promised, as the vault said when it was asked."""
        if self.locks is None or self.lock_objective is None or not self.locks.objects:
            return False
        return self.locks.floor is None or self.locks.floor - now < self.lock_objective

    @property
    def rto_missed(self) -> bool:
        return self.rto_measured is not None and self.rto_measured > self.rto_objective


@dataclass(frozen=True, slots=True)
class Board:
    """All rows as of `read_at`, in the order of tenants, systems and centres, the nearest centre first."""

    site: str
    title: Text
    read_at: datetime
    window: timedelta
    rows: tuple[BoardRow, ...]

    def verdicts(self) -> dict[Verdict, int]:
        """Return how many rows have each verdict; all four are there."""
        return {each: sum(row.verdict is each for row in self.rows) for each in Verdict}


def read_board(
    site: Site, catalogue: Catalogue, now: datetime, *, window: timedelta = WINDOW, landed: Landed | None = None
) -> Board:
    """Return the board as of `now`: one row for every system and every centre that its tier demands a copy at.

    The worst exposure and the compliance are those of the `window` before `now`, as far back as the system is known
    and the centre's retention reaches. Who asks again hands in the same `landed`, in which what was read is kept. But
    for what that has to read again, a fixed number of queries.

    Raises Unreachable when the catalogue does not answer.
    """
    with reading(catalogue) as db:
        facts, seen, locks = read_facts(db, now), archives_in(db), locks_in(db)
        saws = (landed or Landed()).look(db, now - window, facts.stamps)
    rows = tuple(
        _with_locks(_with_archives(row, archives_at(seen, ref, centre)), copy, locks)
        for ref in site.systems()
        for centre, copy in _copies(ref)
        for row in (_row(ref, centre, copy, facts, saws, now, now - window),)
    )
    return Board(site.site, site.title, now, window, rows)


def _copies(ref: SystemRef) -> Iterator[tuple[str, CopyRule]]:
    copies = {str(centre): copy for centre, copy in ref.copies.items()}
    return ((centre, copies[centre]) for centre in COPY_CENTRES if centre in copies)


def _row(
    ref: SystemRef, centre: str, copy: CopyRule, facts: Facts, saws: Mapping[Key, Saw], now: datetime, since: datetime
) -> BoardRow:
    key = Key(ref.tenant.tenant, ref.name, centre)
    saw, drills = saws.get(key) or Saw(None, ()), facts.drills.get(key, [])
    newest = saw.newest(now)
    created = min(facts.created.get(key[:2], now), now)
    known = min(_known_since(created, newest, saw.known_since(since, now), copy), now)
    seen = saw.look(known, max(since, known), now, copy.rpo)
    due = (last_that_counts(facts.held.get(key, {}), ref.tier.drill.kind) or created) + ref.tier.drill.every
    return BoardRow(
        tenant=key.tenant,
        tenant_title=ref.tenant.title,
        system=key.system,
        system_title=ref.system.title,
        tier=ref.tier.tier,
        tier_title=ref.tier.title,
        centre=centre,
        expected_interval=ref.tier.backup_every,
        created_at=created,
        last_data_time=newest.data_time if newest else None,
        last_landed_at=newest.landed_at if newest else None,
        suspects=facts.suspects.get(key, 0),
        proved_data_time=facts.proved.get(key),
        rpo_objective=copy.rpo,
        rpo_actual=seen.exposure,
        rpo_worst=seen.worst,
        rpo_compliance=seen.compliance,
        rto_objective=copy.rto,
        drills=tuple(drills),
        drill_due_at=due,
        drill_overdue=due < now,
        verdict=_verdict(copy, seen.exposure, drills, landed=newest is not None, overdue=due < now),
    )


def _with_archives(row: BoardRow, found: Sequence[ArchiveAt | None]) -> BoardRow:
    return replace(row, archived=True, archived_until=archived_until(found)) if found else row


def _with_locks(row: BoardRow, copy: CopyRule, seen: Mapping[Key, Locks]) -> BoardRow:
    if not copy.retention.lock:
        return row
    found = seen.get(Key(row.tenant, row.system, row.centre))
    return replace(row, locks=found, lock_objective=promised(copy.retention.lock))


def _known_since(created: datetime, newest: Landing | None, first: datetime | None, copy: CopyRule) -> datetime:
    """Return since when the history of a system at a centre is known without holes."""
    if newest is None:
        return created
    # A catalogue that was rebuilt from the vaults is younger than the points that it knows.
    return max(min(created, first or created), newest.data_time - copy.retention.keep_within)


def _verdict(copy: CopyRule, actual: timedelta, drills: Sequence[DrillRow], *, landed: bool, overdue: bool) -> Verdict:
    if not landed:
        return Verdict.NEVER
    measured = _rto(drills)
    if actual > copy.rpo or (measured is not None and measured > copy.rto):
        return Verdict.MISSED
    if not drills or drills[0].verdict not in RECOVERED or overdue:
        return Verdict.UNPROVED
    return Verdict.MET


def _rto(drills: Sequence[DrillRow]) -> timedelta | None:
    seconds = drills[0].rto_seconds if drills else None
    return None if seconds is None else timedelta(seconds=seconds)

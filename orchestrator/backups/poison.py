"""The look at what was just read, before it becomes a recovery point: is it what the system usually is?

Nothing is refused here. A suspect point is made like any other, for it may be all there is; it only says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.backups.access import Access
from orchestrator.backups.digests import BySource, Digests, digests_of, known_or_read
from orchestrator.backups.document import SourceProof
from orchestrator.backups.sources import source_at
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.records import PointAt, SourceCopy
from orchestrator.catalogue.suspicions import good_points_at, not_good_since
from orchestrator.errors import CheckFailed, CredentialRefused, InvalidInput, ProcessFailed
from orchestrator.vault.restic import Repository
from policies.site import SystemRef
from policies.suspicion import (
    CLOCKS_DIFFER,
    Measures,
    Sign,
    Signal,
    canary_signals,
    changed_share,
    date_signals,
    lost_volume_signals,
    measure_signals,
    rewritten_share,
)
from policies.tenant import PathSource, PostgresqlSource


@dataclass(frozen=True, slots=True)
class Judged:
    """What was seen: the measures of each source, and what makes the point suspect."""

    measures: Mapping[str, Measures]
    signals: tuple[Signal, ...]

    def noted(self, proofs: Iterable[SourceProof]) -> tuple[SourceProof, ...]:
        """Return the proofs with what was measured, for the points to come to be compared with."""
        return tuple(
            replace(each, copy=_noted(each.copy, self.measures[each.copy.source]))
            if each.copy.source in self.measures
            else each
            for each in proofs
        )

    def as_evidence(self) -> dict[str, Any]:
        return {"suspicion": [each.as_json() for each in self.signals]}


#: Of a run that began before anybody looked.
UNJUDGED = Judged({}, ())


@dataclass(frozen=True, slots=True)
class _Past:
    """The good points that a new one is compared with, the newest first, what came since, and the newest's content."""

    good: Sequence[PointAt]
    since: Sequence[PointAt]
    last: BySource

    def digests(self, source: str) -> Digests | None:
        return self.last.get(source)

    def copies(self, source: str) -> list[SourceCopy]:
        return [copy for each in self.good for copy in each.point.sources if copy.source == source]

    def rewritten_since(self, source: str) -> float:
        """What was rewritten already by points that are not good: content that is stored is not added again."""
        copies = (copy for each in self.since for copy in each.point.sources if copy.source == source)
        return sum(each.rewritten or 0.0 for each in copies)


def judge(access: Access, ref: SystemRef, active: str, repository: Repository, proofs: Sequence[SourceProof]) -> Judged:
    """Return what is suspicious about a point that is about to be made of these proofs, read at the centre `active`.

    Raises Unreachable when the vault does not answer.
    """
    place, rule = Key(ref.tenant.tenant, ref.name, repository.bucket.centre), ref.tier.suspicion
    oldest = min(proofs, key=lambda each: each.copy.data_time).copy
    taken = repository.bucket.head(f"{ref.name}/snapshots/{oldest.snapshot_id}")
    if taken is None:
        raise CheckFailed(f"{ref}: snapshot {oldest.snapshot_id} was made, and {place.centre} does not hold it")
    good = [
        each
        for each in good_points_at(access.catalogue, place, rule.compared_with)
        if each.point.data_time <= taken.modified_at + CLOCKS_DIFFER
    ]
    newest = good[0].point if good else None
    signals = list(date_signals(oldest.data_time, taken.modified_at, newest.data_time if newest else None))
    last: BySource = {}
    if newest and any(_is_compared(ref, active, each) for each in proofs):
        try:
            last = known_or_read(access.digests, ref, repository, newest)
        except CredentialRefused:
            raise
        except (CheckFailed, InvalidInput, ProcessFailed) as error:
            if isinstance(error, ProcessFailed) and error.code < 0:  # stopped from outside
                raise
            signals.append(Signal(Sign.UNCOMPARED, f"point {newest.id}, the newest good one, cannot be read: {error}"))
    since = not_good_since(access.catalogue, place, newest.finished_at) if newest else []
    if newest:
        held = [each.source for each in newest.sources]
        signals += lost_volume_signals(held, [each.copy.source for each in proofs])
    past, measures = _Past(good, since, last), {}
    for proof in proofs:
        source = proof.copy.source
        measures[source] = seen = _measure(proof, past)
        total = None if seen.rewritten is None else min(seen.rewritten + past.rewritten_since(source), 1.0)
        known = [each.measures for each in past.copies(source)]
        signals += measure_signals(source, replace(seen, rewritten=total), known, rule)
        canaries, now = _canaries(ref, source, active), digests_of(proof.facts)
        signals += canary_signals(source, canaries, past.digests(source), now)
    return Judged(measures, tuple(signals))


def _measure(proof: SourceProof, past: _Past) -> Measures:
    copy, before = proof.copy, past.copies(proof.copy.source)
    rows = sum(each["rows"] for each in proof.facts["tables"].values()) if "tables" in proof.facts else None
    digests = past.digests(copy.source) if "manifest" in proof.facts else None
    changed = None if digests is None else changed_share(digests, digests_of(proof.facts))
    rewritten = rewritten_share(proof.added_bytes, copy.bytes, before[0].bytes) if before else None
    return Measures(copy.bytes, copy.files, rows, changed, rewritten)


def _noted(copy: SourceCopy, measures: Measures) -> SourceCopy:
    return replace(copy, rows=measures.rows, changed=measures.changed, rewritten=measures.rewritten)


def _is_compared(ref: SystemRef, active: str, proof: SourceProof) -> bool:
    return "manifest" in proof.facts or bool(_canaries(ref, proof.copy.source, active))


def _canaries(ref: SystemRef, name: str, active: str) -> tuple[str, ...]:
    source = source_at(ref, name, active)
    return source.canaries if isinstance(source, PathSource | PostgresqlSource) else ()

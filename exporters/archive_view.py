"""Continuous archives as samples: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from exporters import archive_metrics as a
from exporters.metric import Metric
from orchestrator.catalogue.archives import ArchiveAt, archived_until, archives_at
from policies.site import Site
from policies.work import copy_centres


def archive_samples(seen: Iterable[ArchiveAt], site: Site) -> Iterator[tuple[Metric, tuple[str, ...], float]]:
    """Yield what each centre can give back of each system that has archives: of several, the one that is worst off."""
    seen = tuple(seen)
    for ref in site.systems():
        for centre in map(str, copy_centres(ref)):
            if not (found := archives_at(seen, ref, centre)):
                continue
            labels = ref.tenant.tenant, ref.name, ref.tier.tier, centre
            copies = {str(name): copy for name, copy in ref.copies.items()}
            yield a.ARCHIVE_UNTIL, labels, _seconds(archived_until(found))
            yield a.ARCHIVE_OBJECTIVE, labels, copies[centre].rpo.total_seconds()
            yield a.ARCHIVE_OBSERVED, labels, min(_seconds(each.observed_at if each else None) for each in found)
            yield a.ARCHIVE_BACKUP, labels, min(_seconds(each.backup_at if each else None) for each in found)
            yield a.ARCHIVE_MISSING, labels, sum(1 for each in found if each and each.reach.missing)


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0

"""Continuous archives as samples: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from exporters import archive_metrics as a
from exporters.metric import Metric
from orchestrator.catalogue.archives import ArchiveAt
from policies.site import Site
from policies.tenant import archives_of
from policies.work import copy_centres


def archive_samples(seen: Iterable[ArchiveAt], site: Site) -> Iterator[tuple[Metric, tuple[str, ...], float]]:
    """Yield what each centre can give back of each system that has archives: of several, the one that is worst off."""
    known = {(each.tenant, each.system, each.source, each.centre): each for each in seen}
    for ref in site.systems():
        sources = [name for name, _ in archives_of(ref.system)]
        for centre in copy_centres(ref) if sources else ():
            labels = ref.tenant.tenant, ref.name, ref.tier.tier, str(centre)
            found = [known.get((ref.tenant.tenant, ref.name, name, str(centre))) for name in sources]
            yield a.ARCHIVE_UNTIL, labels, _least(each and each.reach.until for each in found)
            yield a.ARCHIVE_OBJECTIVE, labels, ref.copies[centre].rpo.total_seconds()
            yield a.ARCHIVE_OBSERVED, labels, _least(each and each.observed_at for each in found)
            yield a.ARCHIVE_BACKUP, labels, _least(each and each.backup_at for each in found)
            yield a.ARCHIVE_MISSING, labels, sum(1 for each in found if each and each.reach.missing)


def _least(moments: Iterable[datetime | None]) -> float:
    """Return the earliest; 0 where one of them is not known."""
    return min(each.timestamp() if each else 0.0 for each in moments)

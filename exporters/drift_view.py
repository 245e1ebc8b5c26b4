"""What drifted as samples: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from exporters import drift_metrics as d
from exporters.metric import Metric
from orchestrator.catalogue.drifts import DriftCount
from policies.site import Site


def drift_samples(counts: Iterable[DriftCount], site: Site) -> Iterator[tuple[Metric, tuple[str, ...], float]]:
    """Yield what differs of the site's tenants; rows of tenants that it no longer has say nothing."""
    for each in counts:
        if each.tenant in site.tenants:
            labels = each.tenant, each.centre, each.noun
            yield d.DIFFERING, labels, each.differing
            yield d.HEALED, labels, each.healed

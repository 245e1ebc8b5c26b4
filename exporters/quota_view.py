"""Quotas in use as samples: pure."""

from __future__ import annotations

from collections.abc import Iterator

from exporters import quota_metrics as q
from exporters.metric import Metric
from orchestrator.catalogue.quota_uses import QuotaUses
from policies.site import Site

#: What is not a count, in bytes.
UNITS = {"ram": 1 << 20, "gigabytes": 1 << 30, "snapshot_gigabytes": 1 << 30}


def quota_samples(seen: QuotaUses, site: Site) -> Iterator[tuple[Metric, tuple[str, ...], float]]:
    """Yield what the site's tenants use; rows of tenants that it no longer has say nothing."""
    for each in seen.uses:
        if each.tenant not in site.tenants:
            continue
        labels, unit = (each.tenant, each.centre, each.service, each.resource), UNITS.get(each.resource, 1)
        yield q.QUOTA_USED, labels, each.used * unit
        if each.limit is not None:
            yield q.QUOTA_LIMIT, labels, each.limit * unit
    for (tenant, centre), moment in seen.seen_at.items():
        if tenant in site.tenants:
            yield q.QUOTA_SEEN, (tenant, centre), moment.timestamp()

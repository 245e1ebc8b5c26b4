"""Parities as samples: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from exporters import parity_metrics as p
from exporters.metric import Metric
from orchestrator.catalogue.parities import ParityAt
from policies.site import Site


def parity_samples(seen: Iterable[ParityAt], site: Site) -> Iterator[tuple[Metric, tuple[str, ...], float]]:
    """Yield the parities of the site's tenants; rows of tenants that it no longer has say nothing."""
    for each in seen:
        if each.tenant in site.tenants:
            yield p.PARITY, (each.tenant, each.centre), each.ratio
            yield p.PARITY_SEEN, (each.tenant, each.centre), each.seen_at.timestamp()

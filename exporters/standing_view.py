"""How tenants stand as samples: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from exporters import standing_metrics as s
from exporters.metric import Metric
from orchestrator.catalogue.standing import Standing
from policies.life import LifeState
from policies.site import Site


def standing_samples(standing: Standing, site: Site) -> Iterator[tuple[Metric, tuple[str, ...], float]]:
    """Yield every state, those of nobody too; a tenant of the site that nothing is known of is active."""
    tenants = {**dict.fromkeys(site.tenants, LifeState.ACTIVE), **standing.lives}
    counted = Counter(tenants.values())
    for state in LifeState:
        yield s.TENANTS, (str(state),), counted[state]
    for key, waiting in standing.waiting.items():
        yield s.CHANGES, key, waiting.count
        if waiting.since is not None:
            yield s.CHANGES_SINCE, key, waiting.since.timestamp()

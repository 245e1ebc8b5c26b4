"""Messages as samples: pure."""

from __future__ import annotations

from collections.abc import Iterator

from exporters import notice_metrics as n
from exporters.metric import Metric
from orchestrator.catalogue.notices import Outbox, Telling
from policies.site import Site


def notice_samples(outbox: Outbox, site: Site) -> Iterator[tuple[Metric, tuple[str, ...], float]]:
    """Yield what there is of messages to each channel of the site, and of those that it had before."""
    for channel in sorted({*site.notifications.channels, *(name for name, _ in outbox.messages)}):
        for state in n.MESSAGE_STATES:
            yield n.MESSAGES, (channel, state), outbox.messages.get((channel, Telling(state)), 0)
        if sent := outbox.last_sent.get(channel):
            yield n.MESSAGE_SENT, (channel,), sent.timestamp()
        if oldest := outbox.oldest_waiting.get(channel):
            yield n.MESSAGE_OLDEST, (channel,), oldest.timestamp()

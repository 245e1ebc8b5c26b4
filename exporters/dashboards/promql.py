"""The queries: PromQL written from the list of metrics, so that none can name a metric that there is not.

Every series is taken once, whatever number of servers and exporters of one catalogue is scraped: all of them show the
same, and sums over them would count twice.
"""

from __future__ import annotations

from exporters.metric import SYSTEM, Metric
from exporters.metrics import RPO_ACTUAL, RPO_OBJECTIVE

#: What a time in the future or the past is held against.
NOW = "time()"


def of(metric: Metric, *chosen: str, by: tuple[str, ...] | None = None, **fixed: str) -> str:
    """Return the series of a metric, the highest by its labels (or by `by`).

    `chosen` are labels that the viewer chooses by the variable of that name; one that the metric lacks is left out.
    `fixed` are labels with the pattern that they match; `!` before it: that they do not match.
    """
    wanted = ['job="$job"', *(f'{each}=~"${each}"' for each in chosen if each in metric.labels)]
    for label, pattern in fixed.items():
        sign = "!~" if pattern.startswith("!") else "=~" if "|" in pattern else "="
        wanted.append(f'{label}{sign}"{pattern.removeprefix("!")}"')
    return f"{grouped('max', metric.labels if by is None else by)} ({metric.name}{{{','.join(wanted)}}})"


def grouped(function: str, labels: tuple[str, ...]) -> str:
    return f"{function} by ({', '.join(labels)})" if labels else function


def total(query: str, *labels: str) -> str:
    return f"{grouped('sum', labels)} ({query})"


def count(query: str, *labels: str) -> str:
    return f"{grouped('count', labels)} ({query})"


def most(query: str, *labels: str) -> str:
    return f"{grouped('max', labels)} ({query})"


def least(query: str, *labels: str) -> str:
    return f"{grouped('min', labels)} ({query})"


def mean(query: str, *labels: str) -> str:
    return f"{grouped('avg', labels)} ({query})"


def top(number: int, query: str) -> str:
    return f"topk({number}, {query})"


def or_zero(query: str) -> str:
    """Return the query, or 0 where it has nothing: only for counts, where nothing to count is nothing."""
    return f"({query}) or vector(0)"


def only(query: str, chosen: str) -> str:
    """Return of a query the series that another one has: with the same labels."""
    return f"{query} and {chosen}"


def exposure_share(*chosen: str, **fixed: str) -> str:
    """Return exposure by its objective: 1 is just within. Higher is worse."""
    actual, objective = (of(each, *chosen, by=None, **fixed) for each in (RPO_ACTUAL, RPO_OBJECTIVE))
    return f"{actual} / {objective}"


def age(moment: Metric, *chosen: str, **fixed: str) -> str:
    """Return how long ago a moment was, in seconds."""
    return f"{NOW} - {of(moment, *chosen, by=None, **fixed)}"


def age_share(moment: Metric, allowed: Metric, *chosen: str, by: tuple[str, ...] = SYSTEM, **fixed: str) -> str:
    """Return how long ago a moment was, by how long ago it may be: 1 is just within. Higher is worse."""
    return f"({NOW} - {of(moment, *chosen, by=by, **fixed)}) / {of(allowed, *chosen, by=by)}"

"""Graphs of what needs what: names, and the names that each must wait for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def circle(graph: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Return a circle, its first name again at its end; None when there is none. Pure."""
    done: set[str] = set()
    for first in graph:
        if first in done:
            continue
        trail = {first: 0}
        waiting = [(first, iter(graph[first]))]
        while waiting:
            node, rest = waiting[-1]
            other = next((each for each in rest if each not in done), None)
            if other is None:
                waiting.pop()
                trail.pop(node)
                done.add(node)
            elif other in trail:
                return [*list(trail)[trail[other] :], other]
            else:
                trail[other] = len(trail)
                waiting.append((other, iter(graph.get(other, ()))))
    return None

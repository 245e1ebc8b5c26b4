"""Many objects at once, in a window: a repository of many TiB has millions of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

E = TypeVar("E")
R = TypeVar("R")


def parallel(entries: Iterable[E], attempt: Callable[[E], R], threads: int) -> Iterator[tuple[E, R]]:
    """Yield each entry with what `attempt` made of it, as it comes. An exception ends all, after what is under way."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="vault")
    pending: dict[Future[R], E] = {}

    def ended(some: Iterable[Future[R]]) -> Iterator[tuple[E, R]]:
        for future in some:
            yield pending.pop(future), future.result()

    try:
        for entry in entries:
            if len(pending) >= 2 * threads:
                yield from ended(wait(pending, return_when=FIRST_COMPLETED).done)
            pending[pool.submit(attempt, entry)] = entry
        while pending:
            yield from ended(wait(pending, return_when=FIRST_COMPLETED).done)
    finally:
        pool.shutdown(cancel_futures=True)

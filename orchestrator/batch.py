"""The same work on many subjects, some at a time: every result is kept, and no failure stops the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from orchestrator.errors import Interrupted, PartlyDone, TricenterError
from orchestrator.process import stopping_children

S = TypeVar("S")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Ended(Generic[S, R]):
    """How the work on one subject ended: a result or an error."""

    subject: S
    result: R | None
    error: TricenterError | None


class Batch(Generic[S, R]):
    """Runs `work` on each subject, `jobs` at a time. On ctrl-C it stops the children and waits for the threads."""

    def __init__(self, subjects: Sequence[S], work: Callable[[S], R], *, jobs: int) -> None:
        self._subjects, self._work, self._jobs = subjects, work, jobs
        self._stopping = threading.Event()

    def go_on(self) -> None:
        """Raise Interrupted once the batch is to stop: work in Python calls this as it gets on."""
        if self._stopping.is_set():
            raise Interrupted("中断 interrupted", hint="what was done is kept; run the same command again")

    def run(self, on_end: Callable[[Ended[S, R]], None] = lambda _: None) -> list[Ended[S, R]]:
        """Return how each subject ended, in the order given; `on_end` sees each as it ends."""
        with ThreadPoolExecutor(self._jobs) as pool:
            futures: dict[Future[R], S] = {pool.submit(self._one, each): each for each in self._subjects}
            try:
                ended = self._collect(futures, on_end)
            except KeyboardInterrupt:
                self._stopping.set()
                with stopping_children():
                    pool.shutdown(cancel_futures=True)
                raise
        return [ended[index] for index in range(len(self._subjects))]

    def _one(self, subject: S) -> R:
        self.go_on()
        return self._work(subject)

    def _collect(self, futures: dict[Future[R], S], on_end: Callable[[Ended[S, R]], None]) -> dict[int, Ended[S, R]]:
        order = {future: index for index, future in enumerate(futures)}
        ended: dict[int, Ended[S, R]] = {}
        pending = set(futures)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                one = self._ended(futures[future], future)
                ended[order[future]] = one
                on_end(one)
        return ended

    @staticmethod
    def _ended(subject: S, future: Future[R]) -> Ended[S, R]:
        try:
            return Ended(subject, future.result(), None)
        except TricenterError as error:
            return Ended(subject, None, error)


def raise_failures(ended: Sequence[Ended[S, R]]) -> None:
    """Raise what the whole batch amounts to: nothing, the one error that all share, or PartlyDone naming each."""
    failed = [each for each in ended if each.error]
    if not failed:
        return
    errors = [each.error for each in failed if each.error]
    if len(ended) == 1 or (len(failed) == len(ended) and len({type(each) for each in errors}) == 1):
        raise errors[0]
    names = "; ".join(f"{each.subject}: {each.error}" for each in failed)
    raise PartlyDone(
        f"{len(ended) - len(failed)} of {len(ended)} done; failed: {names}",
        hint="run the same command again once the cause is gone: what is done is not done again",
    )

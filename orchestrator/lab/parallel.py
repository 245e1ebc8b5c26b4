"""Side by side: a few jobs at once, where one that fails or ctrl-C ends the wait at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


def together(*jobs: Callable[[], object]) -> None:
    """Run `jobs` at the same time and return when all are done. Raises what the first failing one raised.

    The threads are daemons: when this process ends the kernel ends the children they started, so neither a failure
    nor ctrl-C has to wait for the slowest job.
    """
    outcomes: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def attempt(job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            outcomes.put(error)
        else:
            outcomes.put(None)

    for job in jobs:
        threading.Thread(target=attempt, args=(job,), daemon=True).start()
    for _ in jobs:
        if (error := outcomes.get()) is not None:
            raise error

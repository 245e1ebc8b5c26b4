"""One engine process per SQLite file: two of them would break the limits, and run the same step at once."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import Refused

NAME = "engine.lock"


@contextmanager
def hold(state: Path) -> Iterator[None]:
    """Be the only engine of a state folder for the block. Raises Refused, naming the other's pid.

    The kernel lets go of the lock when the process ends, however it ends: a file that is left means nothing.
    """
    with (state / NAME).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Refused(
                f"a server of this site runs already: pid {file.read().strip() or 'unknown'} holds {state / NAME}",
                hint="use that one (tricenter run list); for several workers take PostgreSQL: TRICENTER_DATABASE_URL",
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield

"""A command that kills itself: the real command line, ended by SIGKILL at one point of its run. A program.

`python -m tests.integration.crash_command STEP MOMENT WORD…`, where STEP is how the step's name begins. At "inside" its
act has returned, and its row is still open.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from orchestrator import cli
from tests.integration.crash_driver import Killer, Task


class KillerAt(Killer):
    """Ends this process at one point."""

    def __init__(self, step: str, moment: str) -> None:
        super().__init__(Task("", "", [], "", kill=True), [])
        self._step, self._moment = step, moment

    def at(self, step: str, moment: str, part: str | None, *, at_work: bool = False) -> None:
        if step.startswith(self._step) and moment == self._moment and part is not None:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)  # the signal is on its way

    @contextmanager
    def inside(self, step: str, part: str | None) -> Iterator[None]:
        self.at(step, "before", part)
        yield
        self.at(step, "inside", part)


def main(step: str, moment: str, words: Sequence[str]) -> int:
    KillerAt(step, moment).hook()
    return cli.run(list(words))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))

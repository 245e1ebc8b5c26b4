"""A backup of a stream that is committed only when its producer ended well.

restic takes the end of its stdin for the end of the data: a dump that dies in the middle becomes a snapshot of half
a dump. So the parent holds a write end of the pipe: restic sees the end only when the parent closes it, and the
parent does that in `commit` alone. Without commit restic is interrupted first, and the pipe is closed after it ended.
A parent that dies takes restic with it.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import select
import termios
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from orchestrator.errors import ProcessFailed
from orchestrator.vault.restic.messages import Progress, Stored
from orchestrator.vault.restic.running import Invocation, Running

OnProgress = Callable[[Progress], None]


class Stream:
    """The way into a backup that is under way: a file descriptor for a child's stdout, or `write`."""

    def __init__(
        self,
        running: Running,
        write_end: int,
        on_progress: OnProgress | None,
        resolved: Callable[[Stored], Stored],
    ) -> None:
        self._running = running
        self._write_end: int | None = write_end
        self._on_progress = on_progress
        self._resolved = resolved
        self._stored: Stored | None = None
        self._objection: Exception | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def stdin_fd(self) -> int:
        """The write end of the pipe: hand it to a producer as its stdout. It stays ours to close."""
        if self._write_end is None:
            raise ValueError("the stream has ended")
        return self._write_end

    def write(self, data: bytes) -> None:
        """Write all of `data`. When restic is gone, raises why it is."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self.stdin_fd, rest) :]
            except BrokenPipeError as error:
                self.raise_if_broken(error)

    def commit(self) -> Stored:
        """End the data and return what was stored. Only after the producer has ended, and ended well.

        Raises our errors, and then there is no snapshot.
        """
        self.close()
        self._reader.join()
        if self._objection is not None:
            raise self._objection
        self._running.finish()
        if self._stored is None:
            raise ProcessFailed("restic", 0, "it reported no snapshot")
        return self._resolved(self._stored)

    @property
    def broken(self) -> bool:
        """Whether restic no longer reads, although it was not told to stop."""
        poll = select.poll()
        poll.register(self.stdin_fd, 0)
        return bool(poll.poll(0))

    def is_empty(self) -> bool:
        """Return whether nothing waits in the pipe: then the producer is the slow one, not the vault."""
        waiting = array.array("i", [0])
        try:
            fcntl.ioctl(self.stdin_fd, termios.FIONREAD, waiting)
        except (OSError, ValueError):  # it has just ended
            return False
        return waiting[0] == 0

    def raise_if_broken(self, error: Exception | None = None) -> None:
        """Raise why restic stopped reading, if it did; `error` is what came of that elsewhere."""
        if self.ended or not self.broken:
            return
        self._reader.join()
        try:
            self._running.finish(accept=())
        except Exception as failure:
            raise failure from error

    def close(self) -> None:
        if self._write_end is not None:
            os.close(self._write_end)
            self._write_end = None

    @property
    def ended(self) -> bool:
        return self._write_end is None

    def _read(self) -> None:
        for message in self._running.messages():
            if isinstance(message, Stored):
                self._stored = message
            elif isinstance(message, Progress) and self._on_progress and self._objection is None:
                try:
                    self._on_progress(message)
                except Exception as error:  # noqa: BLE001 - whoever watches wants it to end: raised where it is heard
                    self._objection = error
                    self._running.child.stop()


@contextlib.contextmanager
def streaming(
    what: Invocation, on_progress: OnProgress | None, resolved: Callable[[Stored], Stored]
) -> Iterator[Stream]:
    """Yield a stream into restic. Leaving the block without `commit` leaves no snapshot and no lock.

    When restic had gone before, its error is raised: from the block's own, if that failed by it.
    """
    read_end, write_end = os.pipe()
    try:
        running = Running(replace(what, stdin=read_end))
    except BaseException:
        os.close(write_end)
        raise
    finally:
        os.close(read_end)
    with running:
        stream = Stream(running, write_end, on_progress, resolved)
        running.starved = stream.is_empty
        try:
            try:
                yield stream
            except Exception as error:
                stream.raise_if_broken(error)
                raise
            stream.raise_if_broken()
        finally:
            if not stream.ended:
                running.child.stop()
                stream.close()

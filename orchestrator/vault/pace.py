"""The pace at which this process uses the way to a vault: what waits so that a line has room for others.

One pace for each vault and direction, shared by all threads of the process. The rate is read again while one waits,
so that a window that opens or closes counts at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from policies.bandwidth import Meter, Rates, rates_at
from policies.site import Site, Vault
from policies.windows import zone

#: Bytes go in pieces of this size: with many threads at a low rate each still moves often enough for its connection.
PIECE_BYTES = 64 * 1024
#: The rate is looked at again after so long, however long there is to wait.
LOOK_SECONDS = 0.5


class Pace:
    """One direction of the way to a vault. `rate` is bytes per second now, None for as fast as it goes."""

    def __init__(
        self,
        rate: Callable[[], int | None],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._lock, self._meter = threading.Lock(), Meter(clock())

    def take(self, size_bytes: int) -> None:
        """Return when so many bytes more may have gone by."""
        with self._lock:
            # Moved first: what was reserved but not used before a rest is no debt of this one.
            self._meter = self._meter.moved(self._clock(), self._rate()).reserve(size_bytes)
            ticket = self._meter.reserved
        while seconds := self._left(ticket):
            self._sleep(min(seconds, LOOK_SECONDS))

    def _left(self, ticket: float) -> float:
        with self._lock:
            rate = self._rate()
            self._meter = self._meter.moved(self._clock(), rate)
            return self._meter.wait(ticket, rate)

    def through(self, pieces: bytes | Iterable[bytes]) -> Iterator[bytes]:
        """Yield the pieces in small ones, each when it may go."""
        for piece in (pieces,) if isinstance(pieces, bytes) else pieces:
            for begin in range(0, len(piece), PIECE_BYTES):
                part = piece[begin : begin + PIECE_BYTES]
                self.take(len(part))
                yield part


class Bandwidth:
    """The way to one vault in both directions. `rates` are those that hold now."""

    def __init__(self, rates: Callable[[], Rates]) -> None:
        self.rates = rates
        self.up, self.down = Pace(lambda: rates().upload), Pace(lambda: rates().download)


def bandwidths(site: Site) -> Mapping[str, Bandwidth]:
    """Return the ways to the vaults of a site that have a profile, by centre. One of them is for a whole process."""
    local = zone(site.timezone)

    def way(vault: Vault) -> Bandwidth:
        return Bandwidth(lambda: rates_at(vault.bandwidth, datetime.now(UTC), local))

    return {str(centre): way(vault) for centre, vault in site.vaults().items() if vault.bandwidth}

"""The pace of a vault with a clock of our own: how long bytes take, and what a rate that changes does."""

from __future__ import annotations

import threading

from orchestrator.vault.pace import PIECE_BYTES, Pace
from policies.bandwidth import BURST_BYTES

MIB = 1 << 20


class Clock:
    """Time that passes only by sleeping. For several threads the longest sleeps go side by side, as in life."""

    def __init__(self) -> None:
        self.now, self.slept, self._lock = 0.0, 0, threading.Lock()
        self.at: dict[float, int | None] = {0.0: MIB}

    def rate(self) -> int | None:
        return self.at[max(begin for begin in self.at if begin <= self.now)]

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now, self.slept = self.now + seconds, self.slept + 1

    def pace(self) -> Pace:
        return Pace(self.rate, clock=lambda: self.now, sleep=self.sleep)


def test_bytes_take_their_time_and_arrive_as_they_were() -> None:
    clock = Clock()
    data = bytes(range(256)) * (20 * MIB // 256)
    parts = list(clock.pace().through(iter([data[: 3 * MIB], data[3 * MIB :]])))
    assert b"".join(parts) == data
    assert max(map(len, parts)) == PIECE_BYTES
    assert abs(clock.now - (20 * MIB - BURST_BYTES) / MIB) < 0.001


def test_a_body_of_bytes_is_cut_as_well_and_an_empty_one_waits_for_nothing() -> None:
    clock = Clock()
    assert b"".join(clock.pace().through(b"x" * (MIB + 1))) == b"x" * (MIB + 1)
    assert list(clock.pace().through(b"")) == []


def test_a_window_that_closes_lets_all_go_and_one_that_opens_holds_back_at_once() -> None:
    clock = Clock()
    clock.at |= {5.0: None, 100.0: 2 * MIB}
    pace = clock.pace()
    pace.take(50 * MIB)
    assert 5.0 <= clock.now < 6.0
    slept = clock.slept
    pace.take(500 * MIB)
    assert clock.slept == slept
    clock.now = 100.0
    pace.take(4 * MIB + BURST_BYTES)
    assert abs(clock.now - 102.0) < 0.001


def test_threads_share_one_rate() -> None:
    clock = Clock()
    pace = clock.pace()
    threads = [threading.Thread(target=pace.take, args=(MIB,)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    # The clock runs for each sleeper, so it runs too fast: it is the meter that must not.
    assert clock.now >= (8 * MIB - BURST_BYTES) / MIB - 0.001

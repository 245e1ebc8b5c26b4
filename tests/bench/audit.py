"""What the audit chain costs those who write: an attempt begun and closed, with its entry and without it.

Both are done in turns by one process, so whatever else the machine does slows both alike; the lower third of each is
compared. Nothing is done between the start of a step and its end: the ledger's own writes are all that is measured,
where a real step takes from some ten milliseconds to hours. Sealing is measured for itself: it is done in batches, by
whoever comes first, and no attempt waits for it.

    python -m tests.bench.audit [--attempts 600]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from orchestrator.catalogue import audit, ledger
from orchestrator.catalogue.records import Order, Outcome, WorkerRow
from orchestrator.catalogue.store import Catalogue
from policies.limits import Limit
from tests.bench.tick import postgresql

LIMITS = {kind: Limit(concurrent=1000) for kind in ("centre", "vault", "cloud", "tenant")}
DETAIL = {"bytes": 52_000_000, "sources": [{"source": "files", "snapshot_id": "a" * 64, "files": 412}] * 4}
NOTE = audit.note_attempt


@contextmanager
def databases() -> Iterator[dict[str, Callable[[str], str]]]:
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="tricenter-bench-") as folder, postgresql() as (made, _):
        yield {"SQLite": lambda name: f"sqlite:///{Path(folder) / name}.sqlite", "PostgreSQL": made}


def measure(url: str, attempts: int) -> list[float]:
    """Return milliseconds: of an attempt without and with its entry, the same of CPU, and of CPU to seal an entry."""
    book = ledger.Ledger(Catalogue(url))
    now = datetime.now(UTC)
    book.enlist(WorkerRow("w", "worker", "away", 1, 1, "1", 1, now, now))
    book.submit(Order("drill", "p", {}, ()))
    claim = book.claim("w", LIMITS)
    assert claim
    clock: dict[bool, list[float]] = {False: [], True: []}
    cpu: dict[bool, list[float]] = {False: [], True: []}
    for number in range(attempts):
        noted = number % 2 == 1
        audit.note_attempt = NOTE if noted else lambda *_, **__: None
        began, used = time.perf_counter(), time.process_time()
        book.end_attempt(claim, book.start_attempt(claim, f"step-{number}"), Outcome.PASSED, detail=DETAIL)
        clock[noted].append(time.perf_counter() - began)
        cpu[noted].append(time.process_time() - used)
    audit.note_attempt = NOTE
    used = time.process_time()
    sealed = audit.seal(book.catalogue.engine, "sha256", wait=True)
    assert sealed == attempts // 2
    each = (time.process_time() - used) / sealed
    lower = [statistics.quantiles(values, n=3)[0] for of in (clock, cpu) for values in (of[False], of[True])]
    return [1000 * value for value in (*lower, each)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--attempts", type=int, default=600)
    options = parser.parse_args()
    table = Table("database", "an attempt, ms", "with its entry", "CPU, ms", "with its entry", "CPU to seal an entry")
    with databases() as urls:
        for database, url in urls.items():
            table.add_row(database, *(f"{each:.2f}" for each in measure(url("audit"), options.attempts)))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()

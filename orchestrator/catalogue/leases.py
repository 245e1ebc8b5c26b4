"""One lease per repository, in the catalogue's database, with a fencing number.

Shared for backup; exclusive for whatever rewrites a repository, and per target for replication: restic's own locks
do not know of replication. A holder that is silent past its expiry, or whose process on this host is dead, holds
nothing any more.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import clock, patient, serialise, writing
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import Busy, Unreachable
from orchestrator.process import started_at

LIFETIME = timedelta(seconds=60)
RENEWALS_PER_LIFETIME = 4

#: Names the lock under which leases are given: two that look at once would both find one free.
LEASING = 0x7472_6963_0003

log = logging.getLogger(__name__)


@contextmanager
def hold(catalogue: Catalogue, name: str, holder: str, *, exclusive: bool) -> Iterator[int]:
    """Hold the lease `name` for the block and yield its fencing number. Raises Busy, naming who holds it."""
    fence = _acquire(catalogue, name, holder, exclusive=exclusive)
    stop = threading.Event()
    keeper = threading.Thread(target=_keep, args=(catalogue, name, holder, fence, stop), daemon=True)
    keeper.start()
    try:
        yield fence
    finally:
        stop.set()
        keeper.join()
        try:
            _release(catalogue, name, holder, fence)
        except Unreachable as error:
            log.warning("the lease %s stays until it expires: %s", name, error)


@patient
def _release(catalogue: Catalogue, name: str, holder: str, fence: int) -> None:
    with writing(catalogue.engine) as db:
        db.execute(delete(t.lease_holders).where(_row(name, holder, fence)))


@patient
def _acquire(catalogue: Catalogue, name: str, holder: str, *, exclusive: bool) -> int:
    with writing(catalogue.engine) as db:
        serialise(db, LEASING)
        moment = clock(db)
        for other in db.execute(select(t.lease_holders).where(t.lease_holders.c.name == name)).all():
            # A run that was taken over by another worker comes for what its former execution holds.
            if other.holder == holder or not _is_alive(other, moment):
                db.execute(delete(t.lease_holders).where(_row(name, other.holder, other.fence)))
            elif exclusive or other.exclusive:
                raise Busy(
                    f"{name} is in use by run {other.holder} (pid {other.pid} on {other.host})",
                    hint="wait for that run to end and try again",
                )
        fence = _next_fence(db, name)
        db.execute(
            insert(t.lease_holders).values(
                name=name,
                holder=holder,
                exclusive=int(exclusive),
                fence=fence,
                expires_at=moment + LIFETIME,
                host=socket.gethostname(),
                pid=os.getpid(),
                pid_started=started_at(os.getpid()) or 0,
            )
        )
    return fence


def _next_fence(db: Connection, name: str) -> int:
    last = db.execute(select(t.lease_fences.c.fence).where(t.lease_fences.c.name == name)).scalar()
    if last is None:
        db.execute(insert(t.lease_fences).values(name=name, fence=1))
        return 1
    db.execute(update(t.lease_fences).where(t.lease_fences.c.name == name).values(fence=last + 1))
    return int(last) + 1


def _is_alive(other: Row[Any], moment: datetime) -> bool:
    if other.host == socket.gethostname():
        return bool(started_at(other.pid) == other.pid_started)
    return bool(other.expires_at > moment)


def _keep(catalogue: Catalogue, name: str, holder: str, fence: int, stop: threading.Event) -> None:
    while not stop.wait(LIFETIME.total_seconds() / RENEWALS_PER_LIFETIME):
        try:
            with writing(catalogue.engine) as db:
                mine = update(t.lease_holders).where(_row(name, holder, fence))
                db.execute(mine.values(expires_at=clock(db) + LIFETIME))
        except Unreachable as error:
            log.warning("the lease %s was not renewed: %s", name, error)


def _row(name: str, holder: str, fence: int) -> ColumnElement[bool]:
    holders = t.lease_holders.c
    return (holders.name == name) & (holders.holder == holder) & (holders.fence == fence)

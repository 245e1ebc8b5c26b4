"""The epochs that this catalogue goes by: copied from the registers when they are raised here, or adopted.

What stands here is belief; the registers are the truth. Whoever acts on a system asks here where it is active, and a
fence compares that with the register of the vault that is to be written to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import looking, now, patient, writing
from orchestrator.catalogue.store import Catalogue
from policies.epoch import NEVER_MOVED, Place, Record, join


@dataclass(frozen=True, slots=True)
class Adopted:
    """A decided record, and since when this catalogue goes by it."""

    record: Record
    adopted_at: datetime


@patient
def adopt(catalogue: Catalogue, records: Iterable[Record]) -> list[Record]:
    """Go by these decided records from now on, and return those that were new. May be repeated."""
    with writing(catalogue.engine) as db:
        known = set(db.execute(select(t.epochs.c.epoch)).scalars())
        fresh = [each for each in records if each.epoch not in known]
        moment = now()
        values = [
            {"epoch": each.epoch, "digest": each.digest, "record": each.as_json(), "adopted_at": moment}
            for each in fresh
        ]
        if values:
            db.execute(insert(t.epochs), values)
    return fresh


@patient
def read_history(catalogue: Catalogue) -> list[Adopted]:
    """Return all that this catalogue goes by, in the order of epochs."""
    with looking(catalogue.engine) as db:
        return history_of(db)


def history_of(db: Connection) -> list[Adopted]:
    """The same from a connection, for who reads other things of the same moment."""
    rows = db.execute(select(t.epochs).order_by(t.epochs.c.epoch))
    return [Adopted(Record.from_json(row.record), row.adopted_at) for row in rows]


def read_places(catalogue: Catalogue) -> dict[str, Place]:
    """Return where the systems are active that were ever moved, by TENANT/SYSTEM."""
    return join(*(each.record.active for each in read_history(catalogue)))


def place_of(catalogue: Catalogue, system: str) -> Place:
    """Return where a system (TENANT/SYSTEM) is active as far as this catalogue knows, and since which epoch."""
    return read_places(catalogue).get(system, NEVER_MOVED)


def active_centre(catalogue: Catalogue, system: str) -> str:
    """Return the centre that a system (TENANT/SYSTEM) is active at, as far as this catalogue knows."""
    return place_of(catalogue, system).centre


def current_epoch(catalogue: Catalogue) -> int:
    """Return the newest epoch that this catalogue goes by; 0 when there never was one."""
    history = read_history(catalogue)
    return history[-1].record.epoch if history else 0

"""What drifted, as the catalogue knows it: of each tenant and centre, by noun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import insert, select, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import patient, serialise, writing
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue

#: Names the lock under which counts are raised: two at once would make one row twice.
DRIFTING = 0x7472_6963_0016


@dataclass(frozen=True, slots=True)
class DriftCount:
    """How many things of a noun differed at the last look, and how many were healed since ever."""

    tenant: str
    centre: str
    noun: str
    differing: int
    healed: int


@patient
def record_drift(
    catalogue: Catalogue,
    tenant: str,
    centre: str,
    differing: Mapping[str, int],
    healed: Mapping[str, int] | None = None,
) -> None:
    """Remember what differs now in place of what did before, and add what was healed. Not to be repeated with `healed`.

    Nouns that are not named differ no more.
    """
    added = healed or {}
    of = t.tenant_drifts.c
    mine = (of.tenant == tenant) & (of.centre == centre)
    with writing(catalogue.engine) as db:
        serialise(db, DRIFTING)
        known = {row.noun: row.healed for row in db.execute(select(t.tenant_drifts).where(mine))}
        for noun in sorted(known.keys() | differing.keys() | added.keys()):
            values = {"differing": differing.get(noun, 0), "healed": known.get(noun, 0) + added.get(noun, 0)}
            if noun in known:
                db.execute(update(t.tenant_drifts).where(mine & (of.noun == noun)).values(**values))
            else:
                db.execute(insert(t.tenant_drifts).values(tenant=tenant, centre=centre, noun=noun, **values))


def read_drifts(catalogue: Catalogue) -> list[DriftCount]:
    """Return all that is known. One query. Raises Unreachable."""
    with reading(catalogue) as db:
        return [DriftCount(*row) for row in db.execute(select(t.tenant_drifts))]

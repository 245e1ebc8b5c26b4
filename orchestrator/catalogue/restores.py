"""Restores by people in the audit chain: who brought what of whom back, from where, to where, and how it ended.

What is restored are the data of persons, so it is told before the first byte is fetched, and again at the end. There
is no other row of it: a restore that was killed has a beginning and no end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.catalogue.audit import Sealer, note
from orchestrator.catalogue.database import clock, patient, writing
from orchestrator.catalogue.store import Catalogue

#: So many paths are named in an entry; the number of all stands beside them.
NAMED_PATHS = 100


def note_restore(catalogue: Catalogue, digest: str, body: Mapping[str, Any]) -> None:
    """Write an entry of the kind `restore`, and seal the chain. Raises Unreachable: then nothing may be restored."""
    _note(catalogue, body)
    Sealer(catalogue.engine, digest).now()


@patient
def _note(catalogue: Catalogue, body: Mapping[str, Any]) -> None:
    with writing(catalogue.engine) as db:
        note(db, "restore", None, clock(db), body)

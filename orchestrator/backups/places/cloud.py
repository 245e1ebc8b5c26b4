"""The place of a tenant's cloud definition: none. What a centre lacks is made by a person's word, not by a failover.

`tricenter tenant rebuild` makes it, before systems come back there; what stands there already is no failover's to
replace. So of a recovery the definition is read and proved, and nothing is put anywhere.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.backups.access import Access
from orchestrator.backups.document import DEFINITION, SourceProof
from orchestrator.backups.places.common import Back, Placed, Swapped
from orchestrator.backups.restore import restore_source
from orchestrator.scratch.folder import clear
from orchestrator.vault.restic import OnProgress, Repository


@dataclass(frozen=True, slots=True)
class CloudPlace:
    """What a tenant has at the cloud of a centre."""

    centre: str
    tenant: str

    def __str__(self) -> str:
        return f"{self.tenant} @ {self.centre}"

    @property
    def here(self) -> bool:
        return False

    def as_argument(self) -> str:
        return json.dumps({"kind": "cloud", **asdict(self)}, ensure_ascii=False)

    def check(self, access: Access, need_bytes: int) -> None:
        """Nothing: it is read into the scratch folder only."""

    def put(
        self,
        access: Access,
        run: str,
        repository: Repository,
        proof: SourceProof,
        scratch: Path,
        *,
        on_progress: OnProgress | None = None,
    ) -> Placed:
        del access, run
        folder = self._folder(scratch)
        clear(scratch, folder)
        file = restore_source(repository, proof.copy, folder, on_progress=on_progress)
        return Placed(str(self), str(file), proof.copy.bytes)

    def data(self, access: Access, run: str, scratch: Path) -> Path:
        del access, run
        return self._folder(scratch) / DEFINITION

    def swap(self, access: Access, run: str) -> Swapped:
        """Nothing stands anywhere that could be exchanged."""
        return Swapped(str(self), None)

    def undo(self, access: Access, run: str) -> Back:
        """Nothing was made."""
        return Back.NOTHING

    def commit(self, access: Access, run: str) -> None:
        """Nothing was made."""

    def drop(self, access: Access, run: str) -> None:
        """Nothing was made."""

    def _folder(self, scratch: Path) -> Path:
        return scratch / f"cloud-{self.tenant}"

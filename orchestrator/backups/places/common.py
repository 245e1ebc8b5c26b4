"""What places of every kind have in common: what they are asked, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from orchestrator.backups.access import Access
from orchestrator.backups.document import SourceProof
from orchestrator.backups.proof import Provable
from orchestrator.backups.sources.postgresql import Server
from orchestrator.vault.restic import OnProgress, Repository


@dataclass(frozen=True, slots=True)
class Placed:
    """A source that was restored beside the place where it is to stand: the place, and what it is called until then."""

    place: str
    beside: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Swapped:
    """A source that stands in its place. `before` is what stood there, kept until the commit; None when nothing did.

    `sessions` clients were sent away for it.
    """

    place: str
    before: str | None
    sessions: int = 0


class Back(StrEnum):
    """What an undo found and did."""

    BACK = "back"  # what was before stands there again
    DROPPED = "dropped"  # nothing had been swapped: what was beside is gone
    NOTHING = "nothing"  # there was nothing of this run
    COMMITTED = "committed"  # too late: what was before is gone, or going


class Place(Protocol):
    """Where one source of a system stands when the system is active at a centre.

    `put` restores beside it, probes look at `data`, `swap` exchanges the two, and then either `undo` or `commit`.
    Each may be repeated, and killed at any moment: it looks at which names exist, and does what is left. `run` names
    whatever a run makes. All of them raise Unreachable, and Refused where rights, names or space are lacking.
    """

    def __str__(self) -> str: ...

    @property
    def here(self) -> bool:
        """Whether only this machine can work on the place."""

    def as_argument(self) -> str:
        """Return the place as text for the arguments of an action: `place_from` reads it. It holds no secret."""

    def check(self, access: Access, need_bytes: int) -> None:
        """Raise unless a restore of so many bytes could be put here. Changes nothing."""

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
        """Restore a source beside the place. What a killed attempt left there is made anew.

        `scratch` is the run's scratch folder; only a volume needs it, for its image, as large as the volume.
        """

    def data(self, access: Access, run: str, scratch: Path) -> Path | Server | Provable:
        """Return where what a run has restored can be looked at now, swapped or not: of a volume, its image."""

    def swap(self, access: Access, run: str) -> Swapped:
        """Let what was restored stand in the place, and keep what stood there. Clients of it are sent away."""

    def undo(self, access: Access, run: str) -> Back:
        """Let what was before stand in the place again, and drop what was restored, with all that was written since."""

    def commit(self, access: Access, run: str) -> None:
        """Drop what was before. There is no way back then. Raises CheckFailed when nothing was swapped."""

    def drop(self, access: Access, run: str) -> None:
        """Drop what was restored and not swapped. What was swapped is left alone."""

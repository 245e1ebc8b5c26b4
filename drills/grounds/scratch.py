"""The scratch place: data in folders and in database servers that last as long as the run of their system."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drills.names import Switched
from drills.probes import ProbeResult
from orchestrator.backups.asking import AnyServer
from orchestrator.backups.document import ARCHIVE, DATABASES, SourceProof
from orchestrator.backups.objects.manifest import hash_archive
from orchestrator.backups.proof import Proof, Provable, prove_objects
from orchestrator.backups.restore import restore_into_database, restore_source
from orchestrator.backups.sources.mysql import MysqlServer
from orchestrator.backups.sources.postgresql import Server
from orchestrator.catalogue.records import Point, SourceCopy
from orchestrator.engine.port import Run
from orchestrator.scratch import mysql
from orchestrator.scratch.folder import clear
from orchestrator.scratch.postgres import ScratchServer, check_place, start_server
from orchestrator.vault.restic import Repository
from policies.probe import CommandProbe, ServerProbe

if TYPE_CHECKING:
    from drills.flows import Program
    from drills.recover import Task

DATABASE = "restored"
#: Room for one scratch server without data: the cluster, and its write-ahead log at its largest.
SERVER_BYTES = 320 * 1024**2
#: A loaded database with its indexes is larger than the dump that it comes from.
LOADED_PER_DUMPED = 2.0
#: So many differences of a bucket are kept; how many there are stands in the proof's own words.
SHOWN_FAULTS = 100


@dataclass(frozen=True, slots=True)
class Placed:
    """A source that was restored, and how many bytes of it."""

    place: Path | AnyServer | ReadThrough
    bytes: int

    def as_evidence(self) -> dict[str, Any]:
        return {"bytes": self.bytes}


@dataclass(frozen=True, slots=True)
class ReadThrough:
    """What was found of a source that was read out of the vault whole, and written nowhere. Satisfies `Provable`."""

    found: Proof

    def prove(self, proof: SourceProof) -> Proof:
        del proof
        return self.found


@dataclass
class ScratchGround:
    """Satisfies `drills.grounds.common.Ground`."""

    run: Run
    program: Program
    task: Task
    scratch: Path
    places: dict[str, Path | AnyServer | Provable] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    names: list[Switched] = field(default_factory=list)
    proved: set[str] = field(default_factory=set)

    @property
    def has_servers(self) -> bool:
        return False

    @property
    def needed_bytes(self) -> int:
        check_scratch(self.task.scratch, self.task.point)
        return needed_bytes(self.task.point)

    def restore(self, repository: Repository, proof: SourceProof, suffix: str) -> None:
        copy = proof.copy
        if copy.kind in DATABASES:
            # A short name: the path of a socket may not be long.
            name = f"p{list(self.task.ref.system.sources).index(copy.source)}{suffix}"
            start: Any = mysql.start_server if copy.kind == "mysql" else start_server
            server = self.run.step(f"start:{copy.source}{suffix}", start, self.scratch, name)
            placed = self.run.step(f"restore:{copy.source}{suffix}", load, repository, copy, server)
        elif copy.kind == "bucket":
            placed = self.run.step(f"restore:{copy.source}{suffix}", read_through, repository, proof)
        else:
            place = self.scratch / copy.source
            placed = self.run.step(f"restore:{copy.source}{suffix}", unpack, repository, copy, self.scratch, place)
        self.places[copy.source] = placed.place

    def settle(self, suffix: str) -> None:
        """Nothing: what is only proved stays where it is."""

    def network(self, suffix: str) -> None:
        """Nothing: there is no network."""

    def servers(self, suffix: str) -> None:
        """Nothing: only data is recovered."""

    def start(self, suffix: str) -> None:
        """Nothing: there are no servers."""

    def probe(self, name: str, each: ServerProbe | CommandProbe) -> ProbeResult:
        raise AssertionError("a scratch place has no servers")

    def switch(self, suffix: str) -> None:
        """Nothing: nobody uses what is in a scratch place."""


def needed_bytes(point: Point) -> int:
    """Return how much room a restore of all sources of a point takes. Pure."""
    return sum(map(_needed, point.sources))


def _needed(copy: SourceCopy) -> int:
    if copy.kind in DATABASES:
        return int(copy.bytes * LOADED_PER_DUMPED) + SERVER_BYTES
    return 0 if copy.kind == "bucket" else copy.bytes


def check_scratch(root: Path, point: Point) -> None:
    """Raise Refused when the sources of a point could not be brought to life below `root`."""
    kinds = {copy.kind for copy in point.sources}
    if "postgresql" in kinds:
        check_place(root)
    if "mysql" in kinds:
        mysql.check_place(root)


def unpack(repository: Repository, copy: SourceCopy, scratch: Path, target: Path) -> Placed:
    """Restore a tree or an image to a new folder. May be repeated."""
    clear(scratch, target)  # half of a restore, left by a killed attempt, proves nothing
    # Without progress: restic would first be asked for the size, and the clock of the RTO is running.
    target.mkdir(mode=0o700)
    return Placed(restore_source(repository, copy, target), copy.bytes)


def read_through(repository: Repository, proof: SourceProof) -> Placed:
    """Read all objects of a bucket out of the vault, and compare them with the manifest as they pass.

    They are written nowhere: a bucket may be larger than any scratch place. May be repeated.
    """
    with repository.open_file(proof.copy.snapshot_id, ARCHIVE) as dump:
        found = prove_objects(proof, hash_archive(dump))
    shown = Proof(found.proved, found.detail, found.faults[:SHOWN_FAULTS])
    return Placed(ReadThrough(shown), proof.copy.bytes)


def load(repository: Repository, copy: SourceCopy, scratch: ScratchServer | mysql.ScratchMysql) -> Placed:
    """Load a dump into a new database of a scratch server. May be repeated."""
    scratch.create_database(DATABASE)
    database: AnyServer
    if isinstance(scratch, mysql.ScratchMysql):
        database = MysqlServer(str(scratch.socket), 0, scratch.user, DATABASE, None)
    else:
        database = Server(str(scratch.socket_dir), scratch.port, scratch.user, DATABASE, None)
    restore_into_database(repository, copy, database)
    return Placed(database, copy.bytes)

"""What is asked of every ground, and what those with servers have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from drills import servers
from drills.names import Switched
from drills.probes import ProbeResult
from drills.server_probes import probe_server
from drills.servers import Built, Stand
from orchestrator.backups.asking import AnyServer
from orchestrator.backups.document import SourceProof
from orchestrator.backups.proof import Provable
from orchestrator.engine.port import Run
from orchestrator.vault.restic import Repository
from policies.probe import CommandProbe, ServerProbe

if TYPE_CHECKING:
    from drills.flows import Program
    from drills.recover import Task

#: A server's probe that sets no time of its own is asked for so long at most.
PROBE_SECONDS = 300.0


class Ground(Protocol):
    """Where one system is recovered. What a ground has not, it passes over. Every act may be repeated after a crash.

    `suffix` tells the tries at a step of the plan apart.
    """

    places: dict[str, Path | AnyServer | Provable]  # where each restored source can be looked at
    addresses: dict[str, str]  # of the servers that were started
    names: list[Switched]  # that point here now, and where they pointed before
    proved: set[str]  # sources whose data was proved before it came here, and has been used since

    @property
    def has_servers(self) -> bool:
        """Whether servers come to life here, so that their probes can be asked."""

    @property
    def needed_bytes(self) -> int:
        """How much room a restore takes in the scratch place. Raises Refused when nothing could be restored there."""

    def restore(self, repository: Repository, proof: SourceProof, suffix: str) -> None:
        """Bring one source back, to where it can be proved."""

    def settle(self, suffix: str) -> None:
        """Put what was restored and proved to where it is used."""

    def network(self, suffix: str) -> None: ...

    def servers(self, suffix: str) -> None: ...

    def start(self, suffix: str) -> None: ...

    def probe(self, name: str, each: ServerProbe | CommandProbe) -> ProbeResult: ...

    def switch(self, suffix: str) -> None:
        """Let the names of the system point to it."""


@dataclass
class GroundWithServers:
    """Networks, servers and their probes, at the centre's cloud. `mark` names what is made there."""

    run: Run
    program: Program
    task: Task
    scratch: Path
    places: dict[str, Path | AnyServer | Provable] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    names: list[Switched] = field(default_factory=list)
    proved: set[str] = field(default_factory=set)
    volumes: dict[str, str] = field(default_factory=dict)
    stand: Stand | None = None
    built: Built | None = None

    @property
    def isolated(self) -> bool:
        raise NotImplementedError

    @property
    def mark(self) -> str:
        raise NotImplementedError

    @property
    def has_servers(self) -> bool:
        return bool(self.task.ref.system.servers)

    def network(self, suffix: str) -> None:
        self.stand = self.run.step(
            f"network{suffix}",
            servers.prepare_networks,
            self.program,
            self.task.ref,
            self.task.plan,
            centre=self.task.centre,
            drill=self.mark,
            run_id=self.run.id,
            isolated=self.isolated,
        )

    def servers(self, suffix: str) -> None:
        assert self.stand is not None
        self.built = self.run.step(
            f"servers{suffix}", servers.build_servers, self.program, self.task.ref, self.stand, self.volumes
        )

    def start(self, suffix: str) -> None:
        assert self.stand is not None
        assert self.built is not None
        for wave in servers.start_order(self.task.ref.system):
            for name in wave:
                started = self.run.step(
                    f"start:{name}{suffix}",
                    servers.start_server,
                    self.program,
                    self.task.ref,
                    self.stand,
                    self.built,
                    name,
                )
                self.addresses[name] = started.address

    def probe(self, name: str, each: ServerProbe | CommandProbe) -> ProbeResult:
        left = (self.task.until - datetime.now(UTC)).total_seconds()
        return self.run.step(name, self._ask, each, max(5.0, min(PROBE_SECONDS, left)))

    def _ask(self, each: ServerProbe | CommandProbe, seconds: float) -> ProbeResult:
        assert self.stand is not None
        cloud = {str(name): each for name, each in self.program.site.clouds().items()}.get(self.task.centre)
        vantage = servers.vantage_of(cloud, self.task.ref, self.stand, each)
        return probe_server(each, self.addresses, vantage, seconds, self.program.secret)

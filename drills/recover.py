"""The recovery of one system at a centre: the part that every run of a plan has once for each of its systems.

Only the chosen vault is read, and what was chosen is brought to life where the kind of run wants it. Nothing here may
wait for another centre: in the disaster that is rehearsed, or real, it would not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drills.callouts import ask_person, run_script
from drills.deadline import stop_after
from drills.grounds import Ground, ground_for
from drills.key_access import prove_access
from drills.kinds import Shape
from drills.measure import AGAIN
from drills.probes import Restored, probe_data, probe_image, read_figure
from orchestrator.backups.access import repository_lease
from orchestrator.backups.document import PointDocument, SourceProof, read_document
from orchestrator.catalogue import leases
from orchestrator.catalogue.records import Point
from orchestrator.engine.port import Run
from orchestrator.errors import Aborted, CheckFailed, Interrupted, Refused, TricenterError, UnknownName
from orchestrator.scratch.folder import make_scratch, space_watched
from orchestrator.vault.restic import Repository
from policies.plan import Plan, Step, effective_probes, effective_steps
from policies.probe import (
    CommandProbe,
    DefinitionProbe,
    FingerprintProbe,
    ImageProbe,
    ManifestProbe,
    ObjectsProbe,
    SqlProbe,
)
from policies.site import SystemRef
from policies.tenant import source_of

if TYPE_CHECKING:
    from drills.flows import Program

DATA_PROBES = (ManifestProbe, FingerprintProbe, ImageProbe, ObjectsProbe, DefinitionProbe, SqlProbe)


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be recovered, where, and from what. `drill` is the whole's run; `vault` the centre that is read."""

    drill: str
    plan: Plan
    ref: SystemRef
    shape: Shape
    centre: str
    vault: str
    point: Point
    scratch: Path
    until: datetime
    sandbox: str | None = None  # the run that has restored the same point already, and is promoted


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A point's document. Of its manifests only the extent is evidence: the vault keeps them."""

    document: PointDocument

    def as_evidence(self) -> dict[str, Any]:
        return {"program": self.document.program, "sources": [each.as_evidence() for each in self.document.sources]}


def recover(run: Run, program: Program, task: Task) -> dict[str, Any]:
    """Recover one system step by step, as its plan says. Return the figures that others are reconciled with.

    A probe that finds something else raises CheckFailed only where the system would be used afterwards: a drill goes
    on, for what else it finds is worth knowing. What was made in a scratch place is taken away with this run.
    """
    seconds = (task.until - datetime.now(UTC)).total_seconds()
    with stop_after(max(seconds, 1.0)):
        return _Recovery(run, program, task).hold()


@dataclass
class _Recovery:
    """One recovery as it goes on: what its later steps need to know of its earlier ones."""

    run: Run
    program: Program
    task: Task
    suffix: str = ""
    document: PointDocument | None = None
    ground: Ground | None = None
    figures: dict[str, str | None] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def hold(self) -> dict[str, Any]:
        task = self.task
        self.run.pin()  # another machine has no use for what is restored here
        scratch = task.scratch / self.run.id
        self.run.cleanup("remove-scratch", here=True, path=str(scratch))
        self.ground = ground_for(self.run, self.program, task, scratch)
        for step in effective_steps(task.plan, str(task.ref), task.ref.system):
            if not step.kinds or task.shape.kind in step.kinds:
                self._take(step)
        names = [asdict(each) for each in self.ground.names]
        return {"figures": self.figures, "failed": self.failed, "addresses": self.ground.addresses, "names": names}

    def _take(self, step: Step) -> None:
        """Take one step of the plan: again when it fails and may be, and on without it when the plan says so."""
        act: dict[str, Callable[[Step], None]] = {
            "restore": self._restore,
            "network": lambda _: self._ground.network(self.suffix),
            "servers": lambda _: self._ground.servers(self.suffix),
            "start": lambda _: self._ground.start(self.suffix),
            "probe": self._probe,
            "switch": lambda _: self._ground.switch(self.suffix),
            "script": lambda step: run_script(self.run, self.task, step, self._ground.addresses, self.suffix),
            "prompt": lambda step: ask_person(self.run, self.task, step, self.suffix),
        }
        for number in range(step.retries + 1):
            self.suffix = f"{AGAIN}{number + 1}" if number else ""
            try:
                with self._timed(step):
                    act[step.do](step)
            except (Aborted, Interrupted):
                raise
            except TricenterError as error:
                if number < step.retries and not isinstance(error, Refused):
                    continue
                if step.on_failure == "halt":
                    raise
                self.failed.append(step.label)
            return

    def _timed(self, step: Step) -> AbstractContextManager[None]:
        return stop_after(step.timeout.total_seconds()) if step.timeout else nullcontext()

    @property
    def _ground(self) -> Ground:
        assert self.ground is not None
        return self.ground

    # --- the steps

    def _restore(self, step: Step) -> None:
        task, scratch = self.task, self.task.scratch / self.run.id
        if self.run.changed("key-access"):
            self.run.step(f"key-access{self.suffix}", prove_access, self.program, task.vault, task.ref)
        self.run.step(f"prepare-scratch{self.suffix}", make_ready, task.scratch, self.run.id, self._ground.needed_bytes)
        repository = self.program.repository(task.vault, task.ref)
        lease = repository_lease(task.vault, task.ref)
        with leases.hold(self.program.catalogue, lease, self.run.id, exclusive=False), space_watched(scratch):
            fetched = self.run.step(f"fetch-document{self.suffix}", _fetch, repository, task.point, task.ref)
            self.document = fetched.document
            for proof in fetched.document.sources:
                if source_of(proof.copy.source) in task.ref.system.sources:
                    self._ground.restore(repository, proof, self.suffix)
        with space_watched(scratch):
            self._prove_data()
        self._ground.settle(self.suffix)

    def _prove_data(self) -> None:
        restored = Restored(self._ground.places)
        assert self.document is not None
        for number, each in enumerate(self._probes, 1):
            if isinstance(each, DATA_PROBES) and each.source not in self._ground.proved:
                name = f"probe:{number}:{each.kind}:{each.source}{self.suffix}"
                self._found(name, self.run.step(name, probe_data, each, self.document, restored).passed)
        for proof in self._disks:
            copy = proof.copy.source
            name = f"probe:image:{copy}{self.suffix}"
            self._found(name, self.run.step(name, probe_image, proof, restored.path(copy)).passed)
        for number, one in enumerate(self.task.plan.reconcile, 1):
            for side in (one.left, one.right):
                if side.system == str(self.task.ref):
                    figure = self.run.step(f"figure:{number}:{side.source}{self.suffix}", read_figure, side, restored)
                    self.figures[f"{number}:{side.source}:{side.query}"] = figure

    def _probe(self, step: Step) -> None:
        for number, each in enumerate(self._probes, 1):
            if isinstance(each, DATA_PROBES):
                continue
            if not self._ground.has_servers:
                continue  # this kind of run brings no servers to life
            about = each.command[0].rpartition("/")[2] if isinstance(each, CommandProbe) else each.server
            name = f"probe:{number}:{each.kind}:{about}{self.suffix}"
            self._found(name, self._ground.probe(name, each).passed)

    def _found(self, name: str, good: bool) -> None:
        if good:
            return
        self.failed.append(name)
        if self.task.shape.activates:
            raise CheckFailed(f"{self.task.ref}: {name} found something else", hint="see the run's evidence")

    @property
    def _disks(self) -> list[SourceProof]:
        """The volumes of servers that the point holds: only it knows how many, so no plan has their probes."""
        assert self.document is not None
        held = ((source_of(each.copy.source), each) for each in self.document.sources)
        return [each for source, each in held if source != each.copy.source and source in self.task.ref.system.sources]

    @property
    def _probes(self) -> tuple[Any, ...]:
        return effective_probes(self.task.plan, str(self.task.ref), self.task.ref.system)


def make_ready(root: Path, run_id: str, needed_bytes: int) -> Path:
    """Make a run's scratch place below `root`. May be repeated. Raises Refused, NoSpace."""
    root.mkdir(parents=True, exist_ok=True, mode=0o711)
    return make_scratch(root, run_id, needed_bytes)


def find_point(program: Program, ref: SystemRef, point: str) -> Point:
    """Return a recovery point of a system by its id. Raises UnknownName."""
    points = {each.id: each for each in program.catalogue.points(ref.tenant.tenant, ref.name)}
    if point not in points:
        raise UnknownName(f"recovery point of {ref}", point, points)
    return points[point]


def _fetch(repository: Repository, point: Point, ref: SystemRef) -> _Fetched:
    document = read_document(repository, point)
    held = {each.copy.source for each in document.sources}
    if absent := sorted(ref.system.sources.keys() - held):
        raise CheckFailed(
            f"recovery point {point.id} of {ref} does not hold {', '.join(absent)}",
            hint=f"the system was changed since; make a new point: tricenter backup run {ref}",
        )
    return _Fetched(document)


def as_figures(result: Mapping[str, Any] | None) -> Mapping[str, str]:
    """Return the figures that the recovery of a system left, from its run's result."""
    figures: Mapping[str, str] = (result or {}).get("figures", {})
    return figures

"""The consistency group: what the sources of a system were at one moment, and only then what takes its time.

With `freeze` and `thaw` every source is captured while the system stands still. Without, the snapshots are taken
back to back before anything is read: what a power cut at that moment would have left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

from orchestrator.backups.access import Access
from orchestrator.backups.document import SourceProof
from orchestrator.backups.hooks import frozen, hooked
from orchestrator.backups.sources import (
    Captured,
    capture_source,
    is_one_moment,
    is_quick,
    source_at,
    store_source,
)
from orchestrator.engine.port import Part, PartState, Run
from orchestrator.vault.restic import Repository
from policies.hooks import NO_HOOKS, Hooks
from policies.site import SystemRef

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Group:
    """The sources of a system as it is active at `centre`, and where they go. Sealed ones nobody writes to anyhow."""

    access: Access
    ref: SystemRef
    centre: str
    repository: Repository
    sealed: bool = False

    @property
    def hooks(self) -> Hooks:
        return NO_HOOKS if self.sealed else self.ref.system.hooks_at(self.centre)

    @property
    def consistent(self) -> bool:
        """Whether all that is captured is of one moment. Looks at nothing but the site."""
        sources = self.ref.system.sources_at(self.centre).values()
        alone = len(sources) == 1 and all(map(is_one_moment, sources))
        return self.sealed or self.hooks.freeze is not None or alone

    @property
    def in_order(self) -> list[str]:
        """The names of the sources, what is captured in seconds first."""
        names = list(self.ref.system.sources)
        return sorted(names, key=lambda name: not is_quick(source_at(self.ref, name, self.centre)))

    @staticmethod
    def tags(run_id: str, copy: str) -> tuple[str, str]:
        """What the snapshot of a copy is found by."""
        return f"point={run_id}", f"source={copy}"


@dataclass(frozen=True, slots=True)
class Capture:
    """What was captured while a system stood still, by source, and how long it did."""

    sources: Mapping[str, Any]
    frozen_seconds: float

    def as_evidence(self) -> dict[str, Any]:
        return {"frozen_seconds": self.frozen_seconds, "sources": sorted(self.sources)}


def back_up_group(run: Run, group: Group) -> tuple[SourceProof, ...]:
    """Back up every source of a system and return their proofs in the order of the site's file."""
    names, captured = group.in_order, {}
    if group.hooks.freeze:
        # One step: after a crash nobody knows whether the system stood still all the time, so it is done anew.
        captured = dict(run.step("capture", _capture_frozen, run, group).sources)
    else:
        for name in names:
            if is_quick(source_at(group.ref, name, group.centre)):
                captured[name] = _capture(run, group, name)
    return tuple(proof for name in group.ref.system.sources for proof in _store(run, group, name, captured))


def _capture_frozen(run: Run, group: Group) -> Capture:
    inside, began = Inside(run), time.monotonic()
    with frozen(inside, group.access.catalogue, group.ref, group.hooks):
        captured = {name: _capture(inside, group, name) for name in group.in_order}
    return Capture(captured, round(time.monotonic() - began, 3))


def _capture(run: Run, group: Group, name: str) -> Captured:
    if name in group.hooks.sources:
        # One step for the same reason.
        return run.step(f"capture:{name}", _capture_hooked, run, group, name)
    tags = partial(group.tags, run.id)
    return capture_source(run, group.access, group.ref, name, group.centre, group.repository, tags)


def _capture_hooked(run: Run, group: Group, name: str) -> Captured:
    inside, hooks = Inside(run), group.hooks.sources[name]
    with hooked(inside, group.access.catalogue, group.ref, hooks, name):
        tags = partial(group.tags, run.id)
        return capture_source(inside, group.access, group.ref, name, group.centre, group.repository, tags)


def _store(run: Run, group: Group, name: str, captured: Mapping[str, Captured]) -> tuple[SourceProof, ...]:
    got = captured[name] if name in captured else _capture(run, group, name)
    tags = partial(group.tags, run.id)
    return store_source(run, group.access, group.ref, name, group.centre, group.repository, tags, got)


class Inside:
    """A run inside one of its own steps: what is done leaves evidence, and the step's journal entry is the only one.

    Satisfies `orchestrator.engine.port.Run` as far as capturing needs it: nothing here waits or has parts.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def id(self) -> str:
        return self._run.id

    def step(self, name: str, act: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run.attempt(name, act, *args, **kwargs)

    def attempt(self, name: str, act: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run.attempt(name, act, *args, **kwargs)

    def cleanup(self, action: str, /, *, here: bool = False, **arguments: str) -> None:
        self._run.cleanup(action, here=here, **arguments)

    def undo(self, action: str, /, *, here: bool = False, **arguments: str) -> None:
        self._run.undo(action, here=here, **arguments)

    def progress(self, what: str, done: float, total: float) -> None:
        self._run.progress(what, done, total)

    def pin(self) -> None:
        raise TypeError("a step cannot be pinned from within")

    def wait(self, topic: str, timeout_seconds: float) -> Any:
        raise TypeError(f"a step cannot wait for {topic}")

    def parts(self, name: str, due: Callable[[Mapping[str, PartState]], Iterable[Part]]) -> Mapping[str, PartState]:
        raise TypeError(f"a step has no parts, and so not {name}")

    def changed(self, name: str) -> bool:
        raise TypeError(f"a step has no ways, and so not {name}")

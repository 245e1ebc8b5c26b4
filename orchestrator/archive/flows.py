"""The flows of this room by name, so that any worker on the database's host can run them from a row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator.archive.backing_up import back_up_archive
from orchestrator.archive.observing import observe_system
from orchestrator.archive.place import Access, find_archive
from orchestrator.archive.restoring import newest_centre, restore_archive
from orchestrator.engine.port import FlowSpec, Run
from orchestrator.errors import InvalidInput
from policies.work import copy_centres


def _observe(run: Run, program: Access, arguments: Mapping[str, str]) -> Any:
    observe_system(run, program, program.system(arguments["system"]))


def _back_up(run: Run, program: Access, arguments: Mapping[str, str]) -> Any:
    archive = find_archive(program.system(arguments["system"]), arguments["source"])
    full, since = arguments.get("full", "no"), _moment(arguments, "since")
    if full not in ("yes", "no"):
        raise InvalidInput(f"full: want yes or no, got {full!r}")
    return back_up_archive(run, program, archive, full=full == "yes", centre=arguments.get("centre"), since=since)


def _restore(run: Run, program: Access, arguments: Mapping[str, str]) -> Any:
    archive = find_archive(program.system(arguments["system"]), arguments["source"])
    centre = arguments.get("centre") or newest_centre(program, archive)
    into = Path(arguments["into"]) if "into" in arguments else None
    scratch = Path(arguments.get("scratch") or program.state / "scratch")
    return restore_archive(run, program, archive, centre, _moment(arguments, "at"), into, scratch)


def _moment(arguments: Mapping[str, str], name: str) -> datetime | None:
    if name not in arguments:
        return None
    try:
        moment = datetime.fromisoformat(arguments[name])
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput(f"{name}: want a moment with its zone, such as 2026-11-23T18:00:00+08:00")
    return moment


def _slots(program: Access, arguments: Mapping[str, str]) -> tuple[str, ...]:
    ref = program.system(arguments["system"])
    vaults = [arguments["centre"]] if "centre" in arguments else [str(each) for each in copy_centres(ref)]
    return ("centre:production", *(f"vault:{each}" for each in vaults), f"tenant:{ref.tenant.tenant}")


OBSERVE = FlowSpec(
    name="archive-observe",
    arguments=("system",),
    subject=lambda arguments: arguments["system"],
    slots=_slots,
    run=_observe,
)

BACKUP = FlowSpec(
    name="archive-backup",
    arguments=("system", "source", "full?", "centre?", "since?"),
    subject=lambda arguments: f"{arguments['system']} {arguments['source']}",
    slots=_slots,
    run=_back_up,
)

RESTORE = FlowSpec(
    name="archive-restore",
    arguments=("system", "source", "centre?", "at?", "into?", "scratch?"),
    subject=lambda arguments: f"{arguments['system']} {arguments['source']}",
    slots=_slots,
    run=_restore,
)

"""Fills a registered site's sources with content that is the same on every machine, and lets it grow on demand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.errors import InvalidInput
from orchestrator.lab import seed_database, seed_files, seed_volume
from orchestrator.lab.layout import Lab
from orchestrator.lab.progress import Progress
from orchestrator.lab.registration import SitePlace
from orchestrator.secrets import write_private
from policies.load import load_site
from policies.site import Site, SystemRef
from policies.tenant import PathSource, PostgresqlSource, StandbyName, VolumeSource

Step = Callable[[], bool]


def seed(lab: Lab, site_folder: Path, progress: Progress, *, scale: float = 1.0, grow: bool = False) -> None:
    """Fill every source that is still empty; with `grow` also change each path and postgresql source a little.

    May be repeated: what is filled is left alone. Volumes come last, because they need the tenants' projects: raises
    InvalidInput naming the tenants that have none, after everything else is done.
    """
    site = load_site(site_folder)
    place = SitePlace(lab, site.site)
    if not place.access.exists():
        raise InvalidInput(
            f"the site {site.site} is not registered in the lab {lab.folder}",
            hint=f"tricenter --site {site_folder} lab up",
        )
    steps, volumes = _steps(place, site, scale=scale, grow=grow)
    for title, step in steps:
        _show(progress, title, step)
    _fill_volumes(progress, volumes)


def _fill_volumes(progress: Progress, volumes: Sequence[tuple[str, Step]]) -> None:
    homeless: list[str] = []
    for title, step in volumes:
        try:
            _show(progress, title, step)
        except InvalidInput as error:
            homeless.append(str(error))
    if homeless:
        raise InvalidInput("; ".join(sorted(set(homeless))), hint="run tricenter tenant apply first, then seed again")


def _steps(
    place: SitePlace, site: Site, *, scale: float, grow: bool
) -> tuple[list[tuple[str, Step]], list[tuple[str, Step]]]:
    """Return what fills folders and databases, and what fills volumes; each with its title."""
    steps: list[tuple[str, Step]] = []
    volumes: list[tuple[str, Step]] = []
    for system in site.systems():
        steps += _standby(place, system)
        for name, source in sorted(system.system.sources.items()):
            title = f"{system}/{name}"
            if isinstance(source, PathSource):
                steps.append((title, _files(place, system, name, scale=scale, grow=grow)))
            elif isinstance(source, PostgresqlSource):
                steps.append((title, _database(place, system, name, scale=scale, grow=grow)))
            elif isinstance(source, VolumeSource):  # the lab has no servers of other kinds
                volumes.append((title, _volume(place, system, name, source)))
    return steps, volumes


def _show(progress: Progress, title: str, step: Step) -> None:
    with progress.stage(title):
        step()


def _key(place: SitePlace, system: SystemRef, source: str) -> str:
    return f"{place.site}/{system}/{source}"


def _files(place: SitePlace, system: SystemRef, source: str, *, scale: float, grow: bool) -> Step:
    key, folder = _key(place, system, source), place.data(system, source)
    memory = place.folder / "data" / f".{system.tenant.tenant}.{system.name}.{source}.json"

    def step() -> bool:
        made = seed_files.fill(folder, key, scale=scale)
        if grow and not made:
            generation = json.loads(memory.read_text(encoding="utf-8")) + 1 if memory.exists() else 1
            seed_files.grow(folder, key, generation)
            write_private(memory, json.dumps(generation))
        return made or grow

    return step


def _database(place: SitePlace, system: SystemRef, source: str, *, scale: float, grow: bool) -> Step:
    key, database = _key(place, system, source), place.database(system, source)
    password = place.database_password(system, source)

    def step() -> bool:
        secret = password.read_text(encoding="utf-8")
        made = seed_database.fill(place.lab, database, secret, key, scale=scale)
        if grow and not made:
            seed_database.grow(place.lab, database, secret, key)
        return made or grow

    return step


def _volume(place: SitePlace, system: SystemRef, source: str, spec: VolumeSource) -> Step:
    lab, tenant = place.lab, system.tenant.tenant
    if any(server.boot == source for server in system.system.servers.values()):
        return lambda: seed_volume.fill_bootable(lab, tenant, spec.volume)
    key = _key(place, system, source)
    return lambda: seed_volume.fill(lab, tenant, spec.volume, key)


def _standby(place: SitePlace, system: SystemRef) -> list[tuple[str, Step]]:
    """Return what lets a system's sources be restored at other centres: roles there, and folders to put them in."""
    steps: list[tuple[str, Step]] = []
    for centre, sources in system.system.standby.items():
        for name, source in sources.items():
            if isinstance(source, PathSource):
                parent = place.standby_data(centre, system, name).parent
                steps.append((f"{system}/{name} @ {centre}", _folder(parent)))
            elif isinstance(source, PostgresqlSource):
                steps.append((f"{system}/{name} @ {centre}", _role(place, system, name, centre)))
    return steps


def _folder(folder: Path) -> Step:
    def step() -> bool:
        there = folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True)
        return not there

    return step


def _role(place: SitePlace, system: SystemRef, source: str, centre: StandbyName) -> Step:
    def step() -> bool:
        password = place.database_password(system, source).read_text(encoding="utf-8")
        return seed_database.make_role(place.lab, place.database(system, source), password, centre)

    return step

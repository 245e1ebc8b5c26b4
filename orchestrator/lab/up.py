"""Bring the lab up, take it down, and say how it is. Each may be repeated, and killed at any moment."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import InvalidInput
from orchestrator.lab import (
    bootstrap,
    daemons,
    guests,
    infrastructure,
    inside,
    names,
    openstack_config,
    packages,
    postgres,
    snapshot,
    vaults,
)
from orchestrator.lab import openstack_cloud as cloud_parts
from orchestrator.lab.daemons import Daemon
from orchestrator.lab.layout import CENTRES, CLOUDS, VAULTS, Centre, CloudCentre, Lab, Place, remember
from orchestrator.lab.parallel import together
from orchestrator.lab.progress import Progress

START_SECONDS = 180.0
#: Grows when `bootstrap` makes something new in a cloud.
EDITION = "guests"
#: Processes that bear the lab's mark and are not its own to end when it comes up: guests, and who looks at them.
SPARED = {inside.NAME, *(guests.running_guests(cloud).name for cloud in CLOUDS)}


def parts(lab: Lab, places: Collection[Place] = CENTRES) -> list[Daemon]:
    """Return the servers of `places`; with a cloud among them also what the clouds share."""
    clouds = [cloud for cloud in CLOUDS if cloud in places]
    found = [infrastructure.mariadb(lab), infrastructure.epmd(lab), infrastructure.rabbitmq(lab)] if clouds else []
    found += [names.name_server(lab)] if clouds else []
    found += [postgres.postgresql(lab, centre) for centre in CENTRES if centre in places]
    for cloud in clouds:
        found += [cloud_parts.keystone(lab, cloud), *cloud_parts.apis(lab, cloud), *cloud_parts.workers(lab, cloud)]
        found += guests.servers(lab, cloud)
    return found + [vaults.vault(lab, centre) for centre in VAULTS if centre in places]


def bring_up(lab: Lab, progress: Progress, places: Collection[Place] = CENTRES) -> None:
    """Install what is missing, start what does not run, and return when the centres `places` can be used.

    Raises InvalidInput (not Linux, not root, a port is taken) or TricenterError naming the log of what failed.
    """
    require_root()
    remember(lab)
    with locked(lab, progress):
        clouds = [cloud for cloud in CLOUDS if cloud in places]
        if _all_running(lab, places, clouds):
            progress.say(f"已在运行 already running: {lab.folder}")
            return
        daemons.end_commands(lab, spare={"apt", *SPARED, *(each.name for each in parts(lab))})
        fresh_lab = not any(_mark(lab, cloud).exists() for cloud in CLOUDS)
        if clouds and snapshot.restore(lab):
            progress.say("快照已解开 unpacked the snapshot")
        with progress.stage("软件包、数据库、存储库 packages, databases, vaults"):
            together(*_foundations(lab, progress, places))
        fresh = [cloud for cloud in clouds if not _ready(lab, cloud)]
        if clouds:
            packages.link_libvirt(lab)
            _prepare_clouds(lab, progress, clouds, fresh)
            _start_clouds(lab, progress, clouds, fresh)
        if fresh_lab and set(fresh) == set(CLOUDS):
            with progress.stage("快照 snapshot for the next start"):
                _take_snapshot(lab)


def _mark(lab: Lab, cloud: CloudCentre) -> Path:
    return lab.cloud_data(cloud) / "ready"


def _ready(lab: Lab, cloud: CloudCentre) -> bool:
    """Return whether the cloud holds all that `bootstrap` makes. One that older code made gets what is new."""
    mark = _mark(lab, cloud)
    return mark.exists() and mark.read_text(encoding="ascii") == EDITION


def _all_running(lab: Lab, places: Collection[Place], clouds: Sequence[CloudCentre]) -> bool:
    if not all(_ready(lab, cloud) for cloud in clouds):
        return False
    wanted = parts(lab, places)
    known = [daemons.recorded(lab, each.name) for each in wanted]
    return all(each and each.alive for each in known) and all(each.answers() for each in wanted)


def _foundations(lab: Lab, progress: Progress, places: Collection[Place]) -> list[Callable[[], None]]:
    """Return the lanes of the first stage: they wait for the network and the disk more than for a processor."""
    clouds = any(cloud in places for cloud in CLOUDS)

    def debian() -> None:
        packages.install_debian(lab)
        lanes: list[Callable[[], None]] = []
        if clouds:
            lanes += [lambda: _start_infrastructure(lab), lambda: packages.download_debian(lab)]
        lanes += [lambda: _start_postgresql(lab, [centre for centre in CENTRES if centre in places])]
        together(*lanes)

    def stores() -> None:
        packages.require_weed()
        for centre in VAULTS:
            if centre in places:
                vaults.prepare_vault(lab, centre)
        servers = [vaults.vault(lab, centre) for centre in VAULTS if centre in places]
        daemons.start(lab, servers)
        daemons.wait(lab, servers, seconds=START_SECONDS)

    def openstack() -> None:
        packages.install_stubs(lab)
        packages.install_openstack(lab)

    servers = "MariaDB, RabbitMQ, PostgreSQL" if clouds else "PostgreSQL"
    lanes: list[tuple[str, Callable[[], None]]] = [("存储库 vaults", stores), (servers, debian)]
    if clouds:
        lanes += [("OpenStack (PyPI)", openstack)]
    return [_with_line(progress, title, lane) for title, lane in lanes]


def _with_line(progress: Progress, title: str, lane: Callable[[], None]) -> Callable[[], None]:
    def timed() -> None:
        with progress.lane(title):
            lane()

    return timed


def _start_infrastructure(lab: Lab) -> None:
    infrastructure.prepare_mariadb(lab)
    infrastructure.prepare_rabbitmq(lab)
    names.prepare_names(lab)
    database, name_server = infrastructure.mariadb(lab), names.name_server(lab)
    daemons.start(lab, [database, infrastructure.epmd(lab), infrastructure.rabbitmq(lab), name_server])
    daemons.wait(lab, [database, name_server], seconds=START_SECONDS)


def _start_postgresql(lab: Lab, centres: Sequence[Centre]) -> None:
    postgres.prepare_postgresql(lab, centres)
    servers = [postgres.postgresql(lab, centre) for centre in centres]
    daemons.start(lab, servers)
    daemons.wait(lab, servers, seconds=START_SECONDS)


def _prepare_clouds(lab: Lab, progress: Progress, clouds: Sequence[CloudCentre], fresh: Sequence[CloudCentre]) -> None:
    openstack_config.write_clouds_file(lab)
    for cloud in clouds:
        openstack_config.write(lab, cloud)
        guests.prepare(lab, cloud)
    for cloud in fresh:
        with progress.stage(f"{cloud}: 数据库结构 database schemas"):
            cloud_parts.prepare_databases(lab, cloud)
    if fresh:
        with progress.stage("Keystone 初始化 bootstrap"):
            together(*[_bound(cloud_parts.prepare_keystone, lab, cloud) for cloud in fresh])


def _start_clouds(lab: Lab, progress: Progress, clouds: Sequence[CloudCentre], fresh: Sequence[CloudCentre]) -> None:
    keystones = [cloud_parts.keystone(lab, cloud) for cloud in clouds]
    apis = [api for cloud in clouds for api in cloud_parts.apis(lab, cloud)]
    hypervisors = [guests.libvirtd(lab, cloud) for cloud in clouds]
    with progress.stage("Keystone"):
        daemons.start(lab, [*keystones, *hypervisors])
        daemons.wait(lab, keystones, seconds=START_SECONDS)
    with progress.stage("接口 APIs, 目录 catalogue"):
        daemons.start(lab, apis)
        together(*[_bound(bootstrap.fill_catalogue, lab, cloud) for cloud in fresh])
        daemons.wait(lab, [infrastructure.rabbitmq(lab)], seconds=START_SECONDS)
        workers = [worker for cloud in clouds for worker in cloud_parts.workers(lab, cloud)]
        workers += [guests.compute(lab, cloud) for cloud in clouds]
        daemons.start(lab, workers)
        daemons.wait(lab, [*apis, *hypervisors], seconds=START_SECONDS)
    with progress.stage("计算、网络、块存储 compute, network, block storage"):
        daemons.wait(lab, workers, seconds=START_SECONDS)
        together(*[_bound(bootstrap.finish if cloud in fresh else bootstrap.resume, lab, cloud) for cloud in clouds])
    for cloud in fresh:
        _mark(lab, cloud).write_text(EDITION, encoding="ascii")


def _bound(step: Callable[[Lab, CloudCentre], None], lab: Lab, cloud: CloudCentre) -> Callable[[], None]:
    return lambda: step(lab, cloud)


def _take_snapshot(lab: Lab) -> None:
    """Pack with MariaDB stopped for a moment; the services connect again by themselves."""
    database = infrastructure.mariadb(lab)
    daemons.stop(lab, [database])
    snapshot.take(lab)
    daemons.start(lab, [database])
    daemons.wait(lab, [database], seconds=START_SECONDS)
    together(*[_bound(bootstrap.resume, lab, cloud) for cloud in CLOUDS])


def take_down(lab: Lab, progress: Progress, places: Collection[Place] | None = None) -> None:
    """Stop the lab, or only the centres `places`; then nothing that was started for them is left.

    What the clouds share goes on when only centres are named, as a machine outside of them would.
    """
    if not lab.pids.exists():
        return
    with locked(lab, progress), progress.stage("停止 stop"):
        everything = [*parts(lab), *(guests.running_guests(cloud) for cloud in CLOUDS)]
        daemons.stop(lab, [each for each in everything if not places or each.place in places])
        if not places:
            daemons.end(process for each in daemons.marked(lab).values() for process in each)
            guests.clear(lab)


def reset(lab: Lab, progress: Progress) -> None:
    """Stop the lab and throw its data away; programs, secrets, registrations and snapshots stay."""
    take_down(lab, progress)
    if not lab.folder.exists():
        return
    with locked(lab, progress), progress.stage("清除数据 wipe the data"):
        snapshot.wipe(lab)
        for site in lab.sites.glob("*"):
            for name in ("data", "state"):
                shutil.rmtree(site / name, ignore_errors=True)


def require_root() -> None:
    """Raise InvalidInput unless this is Linux and we are root."""
    if sys.platform != "linux":
        raise InvalidInput("the lab runs on Linux only", hint="use a Debian 12 machine, virtual or real")
    if os.geteuid() != 0:
        raise InvalidInput(
            "the lab needs root: it installs Debian packages and runs PostgreSQL as its own user",
            hint="run it as root on a machine of its own, or in a container",
        )


@contextmanager
def locked(lab: Lab, progress: Progress) -> Iterator[None]:
    """Hold the lab for one command at a time; a second one says whom it waits for, and waits."""
    with (lab.folder / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            progress.say(f"等待 waiting for another lab command to end (pid {file.read().strip() or 'unknown'})")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield

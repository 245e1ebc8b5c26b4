"""`tricenter backup` and `tricenter replicate`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.backups import show
from orchestrator.backups.document import read_document
from orchestrator.backups.due import DueWork
from orchestrator.backups.landings import choose_point, observe_landings
from orchestrator.backups.options import dry_run_option, due_option, jobs_option, output_option
from orchestrator.backups.proof import prove_source
from orchestrator.backups.replication import SystemReplicated
from orchestrator.backups.restore import check_target, restore_source
from orchestrator.backups.sources import check_source
from orchestrator.backups.upkeep_commands import expire, verify
from orchestrator.batch import Batch, Ended, raise_failures
from orchestrator.catalogue.records import PointAt
from orchestrator.epoch.fence import check_fence
from orchestrator.errors import CheckFailed, InvalidInput, TricenterError, UnknownName, Unreachable
from orchestrator.vault.replicate import replicate as copy_objects
from policies.site import SystemRef
from policies.values import format_size
from policies.work import copy_centres

if TYPE_CHECKING:
    from orchestrator.app import App


@click.group()
def backup() -> None:
    """备份与恢复 back up, list and restore systems; verify and expire what is stored."""


backup.add_command(verify)
backup.add_command(expire)


@backup.command("run")
@click.argument("target", required=False)
@due_option
@jobs_option
@dry_run_option
@output_option
@click.pass_obj
def run_backups(app: App, target: str | None, due: bool, jobs: int, dry_run: bool, output: str) -> int | None:
    """备份全部系统，或一个委办局，或一个系统。

    Back up every system, those of TENANT, or TENANT/SYSTEM, into one recovery point each. With --due only those whose
    backup is due; exit code 3 when some failed, 4 when an objective is missed all the same, 6 when nothing could be
    reached.
    """
    refs = app.systems(target)
    only = DueWork(app, "backup", refs) if due else None
    refs = only.refs if only else refs
    if dry_run:
        _check_sources(app, refs, jobs, output)
        return None
    with show.progress(app.progress_console, "备份 backup", refs) as bars:

        def work(ref: SystemRef) -> PointAt:
            def report(what: str, done: float, total: float) -> None:
                batch.go_on()
                bars.move(ref, what, done, total)

            begun = partial(_began, only, ref)
            landed: PointAt = app.runner.run("backup", {"system": str(ref)}, observer=report, on_run=begun)
            return landed

        _ = app.runner  # once, before the threads
        batch = Batch(refs, work, jobs=jobs)
        ended = batch.run(bars.end)
    mine = only.without_running(ended) if only else ended
    if mine or output == "json":
        show.backups(app.console, mine, output)
    if only:
        return only.conclude(ended)
    raise_failures(ended)
    return None


def _began(only: DueWork | None, ref: SystemRef, run_id: str) -> None:
    if only:
        only.began(ref)


def _check_sources(app: App, refs: list[SystemRef], jobs: int, output: str) -> None:
    def work(ref: SystemRef) -> list[str]:
        active = check_fence(app, str(ref), copy_centres(ref)[0]).centre
        for name in ref.system.sources:
            check_source(app, ref, name, active)
        app.repository(copy_centres(ref)[0], ref).exists()
        return list(ref.system.sources)

    ended = Batch(refs, work, jobs=jobs).run()
    show.sources(app.console, ended, output)
    raise_failures(ended)


@backup.command("list")
@click.argument("target", required=False)
@click.option("--centre", help="只看一个中心 one centre only")
@output_option
@click.pass_obj
def list_backups(app: App, target: str | None, centre: str | None, output: str) -> None:
    """恢复点，以各中心自己的清单为准 recovery points, as each centre's own listing shows them."""
    refs = app.systems(target)
    if centre:
        app.vault(centre)
    silent: dict[str, TricenterError] = {}
    for name in [centre] if centre else list(app.site.vaults()):
        try:
            for ref in refs:
                if name in ref.copies:
                    observe_landings(app.catalogue, app.bucket(name, ref.tenant.tenant), ref, name)
        except Unreachable as error:
            silent[str(name)] = error
    show.points(app.console, app.catalogue, refs, centre, set(silent), output)
    if silent:
        raise next(iter(silent.values()))


@backup.command("restore")
@click.argument("system")
@click.option("--centre", required=True, help="从哪个中心恢复 the centre to restore from")
@click.option(
    "--target",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="空文件夹 an empty folder",
)
@click.option("--point", "point_id", help="恢复点，缺省为最新 the recovery point; the newest when not given")
@click.option("--source", "source_name", help="只恢复一个来源 one source only")
@dry_run_option
@output_option
@click.pass_obj
def restore(
    app: App,
    system: str,
    centre: str,
    folder: Path,
    point_id: str | None,
    source_name: str | None,
    dry_run: bool,
    output: str,
) -> None:
    """把恢复点取回到文件夹并校验 bring a recovery point back into a folder, and prove it.

    A database comes back as its dump, a volume as its raw image.
    """
    ref = app.system(system)
    app.vault(centre)
    chosen = choose_point(app, ref, centre, point_id)
    copies = [each for each in chosen.point.sources if source_name in (None, each.source)]
    if not copies:
        raise UnknownName("source in this recovery point", source_name or "", [c.source for c in chosen.point.sources])
    check_target(folder, sum(each.bytes for each in copies))
    if dry_run:
        show.restore_plan(app.console, ref, chosen, copies, folder, output)
        return
    repository = app.repository(centre, ref)
    document = read_document(repository, chosen.point)
    restored: dict[str, dict[str, Any]] = {}
    faults: list[str] = []
    for each in copies:
        app.progress_console.print(f"恢复 restoring {each.source} ({each.kind}, {format_size(each.bytes)}) …")
        place = restore_source(repository, each, folder / each.source)
        proof = prove_source(document.proof(each.source), place)
        restored[each.source] = {"path": str(place), "kind": each.kind, "proved": proof.proved, "detail": proof.detail}
        faults += [f"{each.source}: {fault}" for fault in proof.faults]
    show.restored(app.console, chosen, restored, output)
    if faults:
        raise CheckFailed(f"the restored data differs from what was backed up: {'; '.join(faults[:5])}")


@click.command()
@click.argument("target", required=False)
@click.option("--from", "source", default="same-city", show_default=True, help="来源中心 the centre to copy from")
@click.option("--to", "destination", default="provincial", show_default=True, help="目标中心 the centre to copy to")
@due_option
@jobs_option
@dry_run_option
@output_option
@click.pass_obj
def replicate(
    app: App, target: str | None, source: str, destination: str, due: bool, jobs: int, dry_run: bool, output: str
) -> int | None:
    """逐字节校验地复制恢复点 copy recovery points to another centre, every byte hashed on the way.

    With --due only systems with a point that the other centre lacks; exit codes as those of backup run --due.
    """
    app.vault(source)
    app.vault(destination)
    if source == destination:
        raise InvalidInput(f"{source} is both source and target", hint="give two centres: --from A --to B")
    refs = [ref for ref in app.systems(target) if {source, destination} <= ref.copies.keys()]
    if not refs:
        raise InvalidInput(f"nothing here has copies at both {source} and {destination}", hint="look at the tiers")
    only = DueWork(app, "replicate", refs, (source, destination)) if due else None
    refs = only.refs if only else refs
    with show.progress(app.progress_console, "复制 replicate", refs) as bars:

        def work(ref: SystemRef) -> SystemReplicated:
            def report(what: str, done: float, total: float) -> None:
                batch.go_on()
                bars.move(ref, what, done, total)

            if dry_run:
                here, there = (app.bucket(each, ref.tenant.tenant) for each in (source, destination))
                return SystemReplicated(copy_objects(here, there, ref.name, dry_run=True), ())
            arguments = {"system": str(ref), "source": source, "target": destination}
            begun = partial(_began, only, ref)
            done: SystemReplicated = app.runner.run("replicate", arguments, observer=report, on_run=begun)
            return done

        _ = app.runner
        batch: Batch[SystemRef, SystemReplicated] = Batch(refs, work, jobs=jobs)
        ended: list[Ended[SystemRef, SystemReplicated]] = batch.run(bars.end)
    mine = only.without_running(ended) if only else ended
    if mine or output == "json":
        show.replications(app.console, mine, source, destination, output, dry_run=dry_run)
    if only and not dry_run:
        return only.conclude(ended)
    raise_failures(ended)
    return None

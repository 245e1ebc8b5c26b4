"""`tricenter backup` and `tricenter replicate`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from orchestrator.backups import show
from orchestrator.backups.destination import choose_destination
from orchestrator.backups.due import DueWork
from orchestrator.backups.group import Group
from orchestrator.backups.landings import observe_landings
from orchestrator.backups.options import dry_run_option, due_option, jobs_option, output_option
from orchestrator.backups.replication import SystemReplicated, Way
from orchestrator.backups.run import check_sources
from orchestrator.batch import Batch, Ended, raise_failures
from orchestrator.catalogue.records import PointAt
from orchestrator.epoch.fence import check_fence
from orchestrator.errors import CheckFailed, InvalidInput, TricenterError, Unreachable
from orchestrator.lazy import LazyGroup
from orchestrator.vault.replicate import replicate as copy_objects
from policies.site import SystemRef
from policies.suspicion import changed_volumes

if TYPE_CHECKING:
    from orchestrator.app import App


#: The commands that are elsewhere.
ELSEWHERE = {
    "verify": "orchestrator.backups.upkeep_commands:verify",
    "expire": "orchestrator.backups.upkeep_commands:expire",
    "settle": "orchestrator.backups.settle_commands:settle_",
    "restore": "orchestrator.backups.restore_commands:restore",
    "browse": "orchestrator.backups.browse_commands:browse",
    "spot-check": "orchestrator.backups.spot_commands:spot_check",
    "heal": "orchestrator.backups.heal_commands:heal",
    "faults": "orchestrator.backups.heal_commands:faults",
}


@click.group(cls=LazyGroup, where=ELSEWHERE)
def backup() -> None:
    """备份与恢复 back up, list and restore systems; verify and expire what is stored."""


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
    backup is due; exit code 3 when some failed, 4 when a point is suspect, or with --due an objective is missed all
    the same, 6 when nothing could be reached.
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
    _tell_changed_servers(app, mine)
    code = _tell_suspects(app, mine)
    if only:
        return only.conclude(ended) or code
    raise_failures(ended)
    return code


def _tell_changed_servers(app: App, ended: Sequence[Ended[SystemRef, PointAt]]) -> None:
    """Say whose servers have other volumes than in the point before: what came is in this one, what went is not."""
    for each in ended:
        if each.result is None or all(copy.kind != "server" for copy in each.result.point.sources):
            continue
        made = each.result.point
        older = (point for point in app.catalogue.points(made.tenant, made.system) if point.data_time < made.data_time)
        before = max(older, key=lambda point: point.data_time, default=None)
        if before is None:
            continue
        came, went = changed_volumes(*([copy.source for copy in point.sources] for point in (before, made)))
        if changed := [*(f"+{name}" for name in came), *(f"-{name}" for name in went)]:
            app.progress_console.print(
                f"{each.subject}: 云主机的云硬盘有变化 the volumes of its servers changed since point {before.id}: "
                f"{', '.join(changed)}",
                markup=False,
            )


def _tell_suspects(app: App, ended: Sequence[Ended[SystemRef, PointAt]]) -> int:
    """Say which points were made and are suspect, and return the exit code: the check that each point passes failed."""
    suspects = [each.subject for each in ended if each.result and not each.result.good]
    for ref in suspects:
        app.progress_console.print(
            f"{ref}: 恢复点已生成，但可疑；裁定之前不计入 RPO，也不清理 a point was made, and is suspect: it does\n"
            "not count for the RPO, and nothing is forgotten, until somebody has looked at it: "
            f"tricenter backup settle {ref} --point ID --good or --bad",
            markup=False,
        )
    return CheckFailed.exit_code if suspects else 0


def _began(only: DueWork | None, subject: SystemRef | Way, run_id: str) -> None:
    if only:
        only.began(subject)


def _check_sources(app: App, refs: list[SystemRef], jobs: int, output: str) -> None:
    def work(ref: SystemRef) -> show.Ready:
        to = choose_destination(app, ref)
        active = check_fence(app, str(ref), to.centre).centre
        repository = app.repository(to.centre, ref)
        check_sources(app, ref, active)
        repository.exists()
        group = Group(app, ref, active, repository)
        return show.Ready(list(ref.system.sources), group.consistent, group.hooks.freeze is not None, to)

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


@click.command()
@click.argument("target", required=False)
@click.option("--from", "source", help="来源中心，缺省 same-city the centre to copy from; same-city when not given")
@click.option("--to", "destination", help="目标中心，缺省 provincial the centre to copy to; provincial when not given")
@due_option
@jobs_option
@dry_run_option
@output_option
@click.pass_obj
def replicate(
    app: App,
    target: str | None,
    source: str | None,
    destination: str | None,
    due: bool,
    jobs: int,
    dry_run: bool,
    output: str,
) -> int | None:
    """逐字节校验地复制恢复点 copy recovery points to another centre, every byte hashed on the way.

    With --due only systems with a point that the other centre lacks, also on the way back from a farther centre that
    backups were written to while the nearer one was away; exit codes as those of backup run --due.
    """
    both_ways = due and source is None and destination is None
    source, destination = source or "same-city", destination or "provincial"
    app.vault(source)
    app.vault(destination)
    if source == destination:
        raise InvalidInput(f"{source} is both source and target", hint="give two centres: --from A --to B")
    refs = [ref for ref in app.systems(target) if {source, destination} <= ref.copies.keys()]
    if not refs:
        raise InvalidInput(f"nothing here has copies at both {source} and {destination}", hint="look at the tiers")
    routes = ((source, destination), (destination, source)) if both_ways else ((source, destination),)
    only = DueWork(app, "replicate", refs, routes) if due else None
    ways = only.ways if only else [Way(ref, source, destination) for ref in refs]
    with show.progress(app.progress_console, "复制 replicate", ways) as bars:

        def work(way: Way) -> SystemReplicated:
            def report(what: str, done: float, total: float) -> None:
                batch.go_on()
                bars.move(way, what, done, total)

            if dry_run:
                here, there = (app.bucket(each, way.ref.tenant.tenant) for each in (way.source, way.target))
                return SystemReplicated(copy_objects(here, there, way.ref.name, dry_run=True), ())
            arguments = {"system": str(way.ref), "source": way.source, "target": way.target}
            begun = partial(_began, only, way)
            done: SystemReplicated = app.runner.run("replicate", arguments, observer=report, on_run=begun)
            return done

        _ = app.runner
        batch: Batch[Way, SystemReplicated] = Batch(ways, work, jobs=jobs)
        ended: list[Ended[Way, SystemReplicated]] = batch.run(bars.end)
    mine = only.without_running(ended) if only else ended
    if mine or output == "json":
        show.replications(app.console, mine, output, dry_run=dry_run)
    if only and not dry_run:
        return only.conclude(ended)
    raise_failures(ended)
    return None

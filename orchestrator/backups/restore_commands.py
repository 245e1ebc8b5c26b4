"""`tricenter backup restore`: what a recovery point holds, for the people who need it back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.backups import restore_show, show
from orchestrator.backups.choosing import as_choice, find_point, first_holder
from orchestrator.backups.document import PointDocument, read_document
from orchestrator.backups.merging import Overwrite
from orchestrator.backups.options import at_option, dry_run_option, moment_of, output_option, point_option
from orchestrator.backups.parts import ask_for, choose_parts
from orchestrator.backups.places.postgresql import DatabasePlace
from orchestrator.backups.restore_elsewhere import NewVolume, database_place, restore_database, restore_volume
from orchestrator.backups.restore_folder import OnBytes, Restored, Staging, key_of_request
from orchestrator.backups.restore_plan import Destination, Folder, RestorePlan, make_plan
from orchestrator.batch import Ended
from orchestrator.catalogue.restores import NAMED_PATHS, note_restore
from orchestrator.errors import InvalidInput, TricenterError
from orchestrator.person import login_name
from policies.site import SystemRef

if TYPE_CHECKING:
    from datetime import datetime

    from orchestrator.app import App

RULES = [str(each) for each in Overwrite if each is not Overwrite.REFUSE]


@click.command()
@click.argument("system")
@click.option("--centre", help="从哪个中心恢复 the centre to restore from; the nearest that can when not given")
@point_option
@at_option
@click.option("--source", help="只恢复一个来源 one source only")
@click.option("--path", "paths", multiple=True, help="只恢复这个文件或文件夹 this file or folder only; may be repeated")
@click.option(
    "--target", "folder", type=click.Path(path_type=Path, file_okay=False), help="恢复到文件夹 into this folder"
)
@click.option(
    "--overwrite", "rule", type=click.Choice(RULES), help="目标已有的文件如何处理 what becomes of files that are there"
)
@click.option("--into-database", metavar="HOST:PORT/NAME", help="恢复为新数据库 into a new or empty database")
@click.option("--user", help="数据库用户 the user of that database server")
@click.option("--password-from", metavar="env:NAME|file:PATH", help="密码从何处读取 where its password is read from")
@click.option("--into-volume", metavar="NAME", help="恢复为新云硬盘 into a new bootable volume of the tenant")
@click.option("--cloud-centre", help="云硬盘建在哪个中心 the centre of that volume's cloud")
@dry_run_option
@output_option
@click.pass_obj
def restore(
    app: App, system: str, centre: str | None, point: str | None, at: str | None, source: str | None,
    paths: tuple[str, ...], folder: Path | None, rule: str | None, into_database: str | None, user: str | None,
    password_from: str | None, into_volume: str | None, cloud_centre: str | None, dry_run: bool, output: str,
) -> None:  # fmt: skip
    """把恢复点取回并校验：到文件夹、新数据库或新云硬盘 bring a recovery point back, and prove it.

    Whole, one source, or files and folders of it. Nothing that exists is overwritten without being told to. Given
    again after an interruption, the same command goes on. Every restore is told in the audit chain.
    """
    ref = app.system(system)
    if centre:
        app.vault(centre)
    chosen = [each for each in (folder, into_database, into_volume) if each is not None]
    if len(chosen) != 1:
        raise InvalidInput("say where to: one of --target, --into-database and --into-volume", hint="--target DIR")
    to = _destination(ref, folder, rule, into_database, user, password_from, into_volume, cloud_centre)
    where = to.path.absolute() if isinstance(to, Folder) else to
    request = (app.site.site, system, point, at, source, sorted(paths), str(where))
    job = _Job(app, ref, to, f"restore-{key_of_request(*request)}", output)
    if isinstance(to, Folder) and not dry_run and job.finish_interrupted(to):
        return
    plan = job.plan(centre, point, moment_of(app.site, at), source, paths)
    if dry_run:
        restore_show.plan(app.console, plan, output)
        return
    job.run(plan)


def _destination(
    ref: SystemRef, folder: Path | None, rule: str | None, into_database: str | None, user: str | None,
    password_from: str | None, into_volume: str | None, cloud_centre: str | None,
) -> Destination:  # fmt: skip
    if folder is None and rule:
        raise InvalidInput("--overwrite is about the files of --target", hint="nothing else is ever overwritten")
    if into_database is None and (user or password_from):
        raise InvalidInput("--user and --password-from go with --into-database")
    if (into_volume is None) is not (cloud_centre is None):
        raise InvalidInput("--into-volume and --cloud-centre go together", hint="--cloud-centre same-city")
    if folder is not None:
        return Folder(folder, Overwrite(rule or Overwrite.REFUSE))
    if into_database is not None:
        return database_place(into_database, user, password_from)
    assert into_volume is not None
    assert cloud_centre is not None
    return NewVolume(cloud_centre, ref.tenant.tenant, into_volume)


class _Job:
    """One restore, from the choice of its point to the last word about it. `run` names what it makes."""

    def __init__(self, app: App, ref: SystemRef, to: Destination, run: str, output: str) -> None:
        self._app, self._ref, self._to, self._run, self._output = app, ref, to, run, output

    def plan(
        self, centre: str | None, point: str | None, at: datetime | None, source: str | None, paths: Sequence[str]
    ) -> RestorePlan:
        app, ref = self._app, self._ref
        found = find_point(app, ref, as_choice(point, at), centre)
        restore_show.tell_found(app.progress_console, found)

        def read(name: str) -> PointDocument:
            return read_document(app.repository(name, ref), found.point)

        near, document = first_holder(found, read, self._tell)
        parts = choose_parts(ref, document, source, paths, ask_for(app.repository(near, ref)))
        return make_plan(app, ref, found.from_holder(near), parts, self._to, self._run, self._scratch)

    def run(self, plan: RestorePlan) -> None:
        with self._audited(plan) as end, self._bars() as on_bytes:
            if isinstance(self._to, Folder):
                plan, done = self._into_folder(self._to, plan, on_bytes)
            else:
                plan, done = self._elsewhere(plan, on_bytes)
            end |= {"centre": plan.found.centre, "proved": {each.source: each.proved for each in done}}
        restore_show.restored(self._app.console, plan.as_json(), [each.as_json() for each in done], self._output)

    def finish_interrupted(self, to: Folder) -> bool:
        """Go on with a restore that was proved and was being moved into place; return whether there was one."""
        staging = Staging(to.path, self._run.removeprefix("restore-"))
        if not staging.folder.exists():
            return False
        with staging.alone():
            if (told := staging.proved()) is None:
                return False
            self._tell(f"继续上次中断的恢复 going on with the restore of {told['plan']['point']} that was interrupted")
            done = self._move(staging, to, [Restored(**each) for each in told["restored"]])
            self._note({**told["audit"], "state": "done", "resumed": True})
        restore_show.restored(self._app.console, told["plan"], [each.as_json() for each in done], self._output)
        return True

    def _into_folder(self, to: Folder, plan: RestorePlan, on_bytes: OnBytes) -> tuple[RestorePlan, list[Restored]]:
        """Return what came back, and the plan with the centre that it came from in the end."""
        staging = Staging(to.path, self._run.removeprefix("restore-"))
        with staging.alone():
            try:
                centre, done = first_holder(
                    plan.found,
                    lambda name: staging.fetch(self._app.repository(name, self._ref), plan.parts, on_bytes),
                    self._tell,
                )
                staging.check([each.source for each in done], to.rule)
            except TricenterError:
                staging.forget()
                raise
            plan = plan.served_by(centre)
            told = {"plan": plan.as_json(), "restored": [each.as_json() for each in done], "audit": self._body(plan)}
            staging.settle(told)
            return plan, self._move(staging, to, done)

    @staticmethod
    def _move(staging: Staging, to: Folder, done: list[Restored]) -> list[Restored]:
        sources = [each.source for each in done]
        staging.check(sources, to.rule)
        moved = staging.move(sources, to.rule)
        staging.forget()
        return [replace(each, moved=moved[each.source]) for each in done]

    def _elsewhere(self, plan: RestorePlan, on_bytes: OnBytes) -> tuple[RestorePlan, list[Restored]]:
        app, to, (part,) = self._app, self._to, plan.parts

        def work(name: str) -> Restored:
            repository = app.repository(name, self._ref)
            if isinstance(to, DatabasePlace):
                return restore_database(app, to, self._run, repository, part.proof, on_bytes)
            assert isinstance(to, NewVolume)
            return restore_volume(app, to, self._run, repository, part.proof, on_bytes, root=self._scratch)

        centre, done = first_holder(plan.found, work, self._tell)
        return plan.served_by(centre), [done]

    @property
    def _scratch(self) -> Path:
        return self._app.state / "restores"

    def _tell(self, text: str) -> None:
        self._app.progress_console.print(f"[yellow]{text}[/]", soft_wrap=True)

    @contextmanager
    def _bars(self) -> Iterator[OnBytes]:
        with show.progress(self._app.progress_console, "恢复 restore", [self._ref]) as bars:

            def on_bytes(what: str, done: float, total: float) -> None:
                bars.move(self._ref, what, done, total)

            try:
                yield on_bytes
            except TricenterError as error:
                bars.end(Ended(self._ref, None, error))
                raise
            bars.end(Ended(self._ref, True, None))

    # --- the audit chain

    @contextmanager
    def _audited(self, plan: RestorePlan) -> Iterator[dict[str, Any]]:
        """Tell of the restore before it begins, and when it has ended. What the block puts in goes into the end."""
        body: dict[str, Any] = self._body(plan)
        self._note({**body, "state": "began"})
        end: dict[str, Any] = {}
        try:
            yield end
        except BaseException as error:
            with suppress(TricenterError):
                self._note({**body, "state": "failed", "error_type": type(error).__name__})
            raise
        self._note({**body, **end, "state": "done"})

    def _body(self, plan: RestorePlan) -> dict[str, Any]:
        paths = [each for part in plan.parts for each in part.shown_paths]
        return {
            "restore": self._run,
            "by": login_name(),
            "tenant": self._ref.tenant.tenant,
            "system": self._ref.name,
            "point": plan.found.point.id,
            "centre": plan.found.centre,
            "to": str(self._to),
            "sources": [each.source for each in plan.parts],
            "paths": paths[:NAMED_PATHS],
            "paths_of": len(paths),
            "bytes": plan.bytes,
        }

    def _note(self, body: dict[str, Any]) -> None:
        note_restore(self._app.catalogue, self._app.site.audit.digest, body)

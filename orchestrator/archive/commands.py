"""`tricenter archive`: continuous archiving of PostgreSQL, and recovery to a moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from orchestrator.archive.checking import Looked, check_archive
from orchestrator.archive.configuration import (
    masked,
    passphrase,
    postgresql_settings,
    render,
    repository_at,
    write,
)
from orchestrator.archive.pgbackrest import PgBackRest
from orchestrator.archive.place import Archive, archives, find_archive
from orchestrator.archive.restoring import Recovered, check_absent, newest_centre
from orchestrator.backups import show
from orchestrator.backups.options import dry_run_option, moment_of, output_option
from orchestrator.batch import Batch, Ended, raise_failures
from orchestrator.catalogue.archives import ArchiveAt, read_archives
from orchestrator.catalogue.database import now
from orchestrator.errors import CheckFailed, InvalidInput
from policies.site import SystemRef
from policies.values import format_duration

if TYPE_CHECKING:
    from orchestrator.app import App

source_option = click.option("--source", help="部分，只有一个时可不写 the source, where several are archived")
PATIENCE_SECONDS = 60


@click.group()
def archive() -> None:
    """PostgreSQL 连续归档与任意时刻恢复 continuous archiving of PostgreSQL, recovery to any moment.

    Runs on the database's own host, with pgBackRest. What is archived goes to every vault of the tier.
    """


@archive.command()
@click.argument("target", required=False)
@click.option("--write", "do_write", is_flag=True, help="写入配置并在各中心建立归档 write it, and make the archives")
@output_option
@click.pass_obj
def configure(app: App, target: str | None, do_write: bool, output: str) -> None:
    """pgBackRest 的配置，与数据库应有的设置 the configuration of pgBackRest, and what the database must be told.

    Shows both, without secrets. --write writes the configuration (0600, the database user's) and makes the archive at
    each centre; the database itself is never changed.
    """
    told: list[dict[str, Any]] = []
    for each in _named(app, target):
        repositories = {each.repository(centre): repository_at(app, each, centre) for centre in each.centres}
        text = render(each, repositories, passphrase(app, each), folder=each.folder)
        if do_write:
            write(each, text)
            PgBackRest(each, each.configuration).create()
        told.append(
            {
                "archive": str(each),
                "file": str(each.configuration),
                "written": do_write,
                "configuration": masked(text),
                "postgresql": postgresql_settings(each),
            }
        )
    if output == "json":
        show.print_json(app.console, told)
        return
    for one in told:
        state = "已写入 written" if do_write else "未写入，加 --write not written: add --write"
        app.console.print(f"[bold]{one['archive']}[/] {one['file']} ({state})")
        if not do_write:
            app.console.print(escape(str(one["configuration"])))
        app.console.print("\n[bold]postgresql.conf[/] (archive_mode 须重启 takes a restart)")
        for name, value in one["postgresql"].items():
            app.console.print(f"{name} = '{value}'")


@archive.command()
@click.argument("target", required=False)
@click.option(
    "--patience", type=click.IntRange(1, 3600), default=PATIENCE_SECONDS, show_default=True,
    help="等待秒数 seconds that a segment is waited for",
)  # fmt: skip
@output_option
@click.pass_obj
def check(app: App, target: str | None, patience: int, output: str) -> None:
    """归档是否到达每个中心 does what the database writes arrive at every centre?

    Ends a WAL segment and waits for it at each vault. Ends with 4 when it does not come or the database is not told
    to archive, 6 when a vault is away.
    """
    named = _named(app, target)

    def work(each: Archive) -> Looked:
        return check_archive(app, each, patience_seconds=patience)

    ended = Batch(named, work, jobs=2).run()
    looked = [each.result for each in ended if each.result]
    if output == "json":
        show.print_json(app.console, [_looked_as_json(each) for each in looked])
    else:
        _show_looked(app, looked)
    raise_failures(ended)
    bad = [each for each in looked if not each.good]
    for each in bad:
        if each.errors and not each.settings and len(each.errors) + _arrivals(each) == len(each.arrived):
            raise next(iter(each.errors.values()))
    if bad:
        raise CheckFailed(
            f"not archived as the site says: {', '.join(str(each.archive) for each in bad)}",
            hint=f"tricenter archive configure {bad[0].archive.ref} shows what the database must be told",
        )


@archive.command()
@click.argument("target", required=False)
@source_option
@click.option("--full", is_flag=True, help="全量 a full one; otherwise what changed since the last")
@click.option("--centre", help="只在一个中心 at one centre only; at every centre of the tier when not given")
@output_option
@click.pass_obj
def backup(app: App, target: str | None, source: str | None, full: bool, centre: str | None, output: str) -> None:
    """基础备份，并按保留期清理 a base backup at each centre; what retention does not keep is let go."""
    named = [find_archive(app.system(target), source)] if target and source else _named(app, target)
    with show.progress(app.progress_console, "基础备份 base backup", named) as bars:

        def work(each: Archive) -> list[str]:
            def report(what: str, done: float, total: float) -> None:
                batch.go_on()
                bars.move(each, what, done, total)

            more = {"centre": centre} if centre else {}
            arguments = {"system": str(each.ref), "source": each.source, "full": "yes" if full else "no", **more}
            made: list[str] = app.runner.run("archive-backup", arguments, observer=report)
            return made

        _ = app.runner  # once, before the threads
        batch: Batch[Archive, list[str]] = Batch(named, work, jobs=1)
        ended = batch.run(bars.end)
    if output == "json":
        show.print_json(
            app.console,
            [
                {"archive": str(each.subject), "centres": each.result or [], "error": _error(each)} for each in ended
            ],
        )  # fmt: skip
    raise_failures(ended)


@archive.command()
@click.argument("target", required=False)
@click.option("--known", is_flag=True, help="只看目录库 what is known, without asking anybody")
@output_option
@click.pass_obj
def info(app: App, target: str | None, known: bool, output: str) -> None:
    """各中心可恢复到的时刻 from when to when each centre can give the database back.

    Looks at every vault first, and remembers what it saw.
    """
    named = _named(app, target)
    refs = {str(each.ref): each.ref for each in named}
    ended: list[Ended[SystemRef, None]] = []
    if not known:
        _ = app.runner
        ended = Batch(list(refs.values()), lambda ref: _observe(app, ref), jobs=2).run()
    keys = {each.key for each in named}
    found = [each for each in read_archives(app.catalogue) if (each.tenant, each.system, each.source) in keys]
    if output == "json":
        show.print_json(app.console, [_as_json(each) for each in found])
    else:
        _show_archives(app, found)
    raise_failures(ended)


@archive.command()
@click.argument("target")
@source_option
@click.option(
    "--at", metavar="TIME", help="恢复到该时刻，缺省为最新 the moment: 2026-11-23 18:00, 昨天 18:00, 2h ago; the latest"
)  # fmt: skip
@click.option("--centre", help="取自哪个中心，缺省为最新者 from this centre; the one that reaches farthest")
@click.option(
    "--into", type=click.Path(path_type=Path), help="成为该数据文件夹 becomes this data folder, which must not be there"
)
@dry_run_option
@output_option
@click.pass_obj
def restore(
    app: App, target: str, source: str | None, at: str | None, centre: str | None, into: Path | None, dry_run: bool,
    output: str,
) -> None:  # fmt: skip
    """恢复到某一时刻并证明 recover a database as it was at a moment, beside everything, and prove it.

    Without --into it is recovered in a scratch place, asked, and taken away. Nothing is overwritten.
    """
    found, moment = find_archive(app.system(target), source), moment_of(app.site, at)
    into = into.absolute() if into else None
    check_absent(into)
    chosen = centre or newest_centre(app, found)
    found.repository(chosen)
    if dry_run:
        plan = {
            "archive": str(found), "centre": chosen, "at": moment.isoformat() if moment else None,
            "into": str(into) if into else None,
        }  # fmt: skip
        if output == "json":
            show.print_json(app.console, plan)
        else:
            app.console.print(f"{found}: 取自 from {chosen}, 时刻 at {show.local(moment) if moment else '最新 latest'}")
        return
    arguments = {"system": str(found.ref), "source": found.source, "centre": chosen}
    arguments |= {"at": moment.isoformat()} if moment else {}
    arguments |= {"into": str(into)} if into else {}
    with show.progress(app.progress_console, "恢复到时刻 recover", [found]) as bars:
        done: Recovered = app.runner.run(
            "archive-restore", arguments, observer=lambda what, share, all_: bars.move(found, what, share, all_)
        )
    if output == "json":
        show.print_json(app.console, _recovered_as_json(done))
        return
    last = show.local(done.last_commit) if done.last_commit else "无 none"
    app.console.print(
        f"[green]已恢复并核对 recovered and asked[/] {found} 取自 from {done.centre}: "
        f"{len(done.tables)} 张表 tables, {done.rows} 行 rows, 最后提交 last commit {last}, "
        f"{format_duration(done.seconds)}"
    )
    if done.into:
        app.console.print(f"数据文件夹 data folder: {done.into} (archive_mode = off)")


def _observe(app: App, ref: SystemRef) -> None:
    app.runner.run("archive-observe", {"system": str(ref)})


def _named(app: App, target: str | None) -> list[Archive]:
    named = [each for ref in app.systems(target) for each in archives(ref)]
    if not named:
        raise InvalidInput(
            f"no source of {target or 'the site'} is archived", hint="give a postgresql source of it an `archive`"
        )
    return named


def _arrivals(each: Looked) -> int:
    return sum(seconds is not None for seconds in each.arrived.values())


def _show_looked(app: App, looked: Sequence[Looked]) -> None:
    rows = show.table("归档 archive", "中心 centre", "到达 arrives within", "问题 fault")
    for each in looked:
        for fault in each.settings:
            rows.add_row(str(each.archive), "production", "", f"[red]{escape(fault)}")
        for centre, seconds in each.arrived.items():
            wrong = escape(str(each.errors.get(centre, ""))) or ("" if seconds is not None else "未到 did not come")
            shown = "" if seconds is None else f"[green]{format_duration(seconds)}"
            rows.add_row(str(each.archive), centre, shown, f"[red]{wrong}" if wrong else "")
    app.console.print(rows)


def _show_archives(app: App, found: Sequence[ArchiveAt]) -> None:
    rows = show.table("归档 archive", "中心 centre", "最早 from", "最晚 until", "基础备份 base", "问题 fault")
    moment = now()
    for each in found:
        since, until = each.reach.since, each.reach.until
        age = f"{show.local(until)} ({format_duration((moment - until).total_seconds())})" if until else ""
        shown = age or "[red]无 none"
        fault = f"[red]缺 missing {each.reach.missing}" if each.reach.missing else ""
        rows.add_row(
            f"{each.tenant}/{each.system} {each.source}", each.centre, show.local(since) if since else "", shown,
            str(each.backups), fault,
        )  # fmt: skip
    app.console.print(rows)


def _as_json(each: ArchiveAt) -> dict[str, Any]:
    moments = {
        "since": each.reach.since, "until": each.reach.until, "observed_at": each.observed_at,
        "last_full": each.full_at, "last_backup": each.backup_at,
    }  # fmt: skip
    return {
        "system": f"{each.tenant}/{each.system}",
        "source": each.source,
        "centre": each.centre,
        **{name: moment.isoformat() if moment else None for name, moment in moments.items()},
        "missing": each.reach.missing,
        "backups": each.backups,
    }


def _looked_as_json(each: Looked) -> dict[str, Any]:
    return {
        "archive": str(each.archive),
        "good": each.good,
        "settings": list(each.settings),
        "arrived_seconds": each.arrived,
        "errors": {centre: str(error) for centre, error in each.errors.items()},
    }


def _recovered_as_json(done: Recovered) -> dict[str, Any]:
    return {
        "system": done.system,
        "source": done.source,
        "centre": done.centre,
        "at": done.target.isoformat() if done.target else None,
        "last_commit": done.last_commit.isoformat() if done.last_commit else None,
        "server_version": done.server_version,
        "seconds": round(done.seconds, 3),
        "into": done.into,
        "tables": done.tables,
    }


def _error(each: Ended[Archive, list[str]]) -> str | None:
    return str(each.error) if each.error else None

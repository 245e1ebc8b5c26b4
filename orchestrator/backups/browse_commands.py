"""`tricenter backup browse`: what is in a recovery point, before anything is brought back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from orchestrator.backups.browse import Look, Shown, Version, find, history, look
from orchestrator.backups.choosing import Found, as_choice, find_point, first_holder
from orchestrator.backups.document import PointDocument, read_document
from orchestrator.backups.options import at_option, moment_of, output_option, point_option
from orchestrator.backups.restore_show import tell_found
from orchestrator.backups.show import local, print_json, table
from orchestrator.backups.sources.tree import key_of
from orchestrator.errors import CheckFailed, InvalidInput
from policies.site import SystemRef
from policies.values import format_size

if TYPE_CHECKING:
    from orchestrator.app import App

STATES = {
    "absent": "[dim]无 absent", "first": "[green]首次 first", "changed": "[yellow]已变 changed", "same": "相同 same",
    "unsettled": "[yellow]备份时在变 changing",
}  # fmt: skip


@click.command()
@click.argument("system")
@click.argument("path", required=False, default="")
@click.option("--centre", help="看哪个中心 the centre to look at; the nearest that answers when not given")
@point_option
@at_option
@click.option("--source", help="只看一个来源 one source only")
@click.option("--find", "pattern", metavar="PATTERN", help="按名称查找 find files and tables by name, such as *.pdf")
@click.option(
    "--history", "of", metavar="PATH", help="某文件在哪些恢复点中、何时变过 in which points a path is and changed"
)
@click.option(
    "--last",
    type=click.IntRange(1, 1000),
    default=30,
    show_default=True,
    help="看几个恢复点 points that --history reads",
)
@output_option
@click.pass_obj
def browse(
    app: App, system: str, path: str, centre: str | None, point: str | None, at: str | None, source: str | None,
    pattern: str | None, of: str | None, last: int, output: str,
) -> None:  # fmt: skip
    """浏览恢复点：文件夹、数据库表、云硬盘；查找；变更历史 look into a recovery point.

    Without PATH its sources; of a folder tree a folder, of a database its tables, of a volume its size and digest.
    """
    if sum(map(bool, (path, pattern, of))) > 1:
        raise InvalidInput("PATH, --find and --history are three questions", hint="give one of them")
    if of and (point or at):
        raise InvalidInput("--history is about all points", hint="leave out --point and --at")
    ref = app.system(system)
    if centre:
        app.vault(centre)
    if of:
        _history(app, ref, of, centre, source, last, output)
        return
    found, document = _open(app, ref, centre, point, at)
    told = {"system": str(ref), "point": document.point, "centre": found.centre,
            "data_time": document.data_time.isoformat()}  # fmt: skip
    if pattern:
        _found(app, told, list(find(document, source, pattern)), pattern, output)
    else:
        _look(app, told, look(ref, document, app.repository(found.centre, ref), source, path), output)


def _open(
    app: App, ref: SystemRef, centre: str | None, point: str | None, at: str | None
) -> tuple[Found, PointDocument]:
    found = find_point(app, ref, as_choice(point, moment_of(app.site, at)), centre)
    tell_found(app.progress_console, found)

    def read(name: str) -> PointDocument:
        return read_document(app.repository(name, ref), found.point)

    near, document = first_holder(found, read, lambda text: app.progress_console.print(text, markup=False))
    return found.from_holder(near), document


def _look(app: App, told: dict[str, Any], seen: Look, output: str) -> None:
    if output == "json":
        entries = [each.as_json() for each in seen.lines]
        print_json(
            app.console,
            told | {"source": seen.source, "kind": seen.kind, "path": key_of(seen.path), "entries": entries},
        )
        return
    if seen.source:
        app.console.print(f"{seen.source} ({seen.kind}) /{key_of(seen.path)}", markup=False, soft_wrap=True)
    rows = table("名称 name", "类型 kind", "大小 size ", "文件 files ", "行 rows ", "修改 modified", "权限 mode")
    for each in seen.lines:
        rows.add_row(*_cells(each))
    app.console.print(rows)


def _cells(each: Shown) -> Sequence[str]:
    return (
        each.name + ("/" if each.kind == "dir" else ""),
        each.kind,
        "" if each.size is None else format_size(each.size),
        "" if each.files is None else str(each.files),
        "" if each.rows is None else str(each.rows),
        local(each.modified_at) if each.modified_at else "",
        each.mode or "",
    )


def _found(app: App, told: dict[str, Any], found: list[tuple[str, Shown]], pattern: str, output: str) -> None:
    if output == "json":
        print_json(app.console, told | {"found": [{"source": source, **each.as_json()} for source, each in found]})
    elif found:
        rows = table("来源 source", "名称 name", "大小 size ", "行 rows ", "SHA-256")
        for source, each in found:
            name, _, size, _, count, *_ = _cells(each)
            rows.add_row(source, name, size, count, (each.digest or "")[:12])
        app.console.print(rows)
    if not found:
        raise CheckFailed(f"nothing in this point is called {pattern}", hint="an asterisk stands for anything: *2026*")


def _history(
    app: App, ref: SystemRef, path: str, centre: str | None, source: str | None, last: int, output: str
) -> None:
    with app.progress_console.status("读取恢复点 reading recovery points") as status:

        def report(done: int, total: int) -> None:
            status.update(f"读取恢复点 reading recovery points {done}/{total}")

        versions = history(app, ref, path, centre=centre, source=source, last=last, on_read=report)
    if output == "json":
        print_json(app.console, [_as_json(each) for each in versions])
        return
    rows = table(
        "恢复点 recovery point",
        "数据时间 data time",
        "中心 centre",
        "来源 source",
        "内容 content",
        "大小 size ",
        "SHA-256",
    )
    for each in versions:
        rows.add_row(
            each.at.point.id, local(each.at.point.data_time), each.at.centre, each.source or "", STATES[each.state],
            format_size(each.size) if each.files else "", (each.digest or "")[:12],
        )  # fmt: skip
    app.console.print(rows)


def _as_json(each: Version) -> dict[str, Any]:
    return {
        "point": each.at.point.id,
        "data_time": each.at.point.data_time.isoformat(),
        "centre": each.at.centre,
        "source": each.source,
        "state": each.state,
        "files": each.files,
        "bytes": each.size,
        "sha256": each.digest,
    }

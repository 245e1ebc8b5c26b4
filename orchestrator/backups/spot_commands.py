"""`tricenter backup spot-check`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from orchestrator.backups import show
from orchestrator.backups.options import jobs_option, output_option
from orchestrator.batch import Batch, Ended, raise_failures
from orchestrator.catalogue.spot_checks import SpotCheck, last_spot_checks
from orchestrator.errors import CheckFailed, InvalidInput
from policies.site import SystemRef
from policies.spot import parse_share

if TYPE_CHECKING:
    from orchestrator.app import App


@click.command("spot-check")
@click.argument("target", required=False)
@click.option(
    "--sample", metavar="SHARE", help="抽查比例，缺省按等级 share of the files to read; the tier's when not given"
)
@jobs_option
@output_option
@click.pass_obj
def spot_check(app: App, target: str | None, sample: str | None, jobs: int, output: str) -> None:
    """抽查：最新恢复点与现行数据是否一致 is the newest recovery point what stands there now?

    Finds a wrong folder, exclude patterns that leave out too much, the backup of an empty mount. What changed since
    the backup is counted, and no fault. Ends with 4 when anything is out of tolerance. Changes nothing.
    """
    try:
        if sample is not None:
            parse_share(sample)
    except ValueError as error:
        raise InvalidInput(f"--sample {sample!r}: {error}") from None
    refs = app.systems(target)
    with show.progress(app.progress_console, "抽查 spot check", refs) as bars:

        def work(ref: SystemRef) -> SpotCheck:
            def report(what: str, done: float, total: float) -> None:
                batch.go_on()
                bars.move(ref, what, done, total)

            arguments = {"system": str(ref), **({"sample": sample} if sample else {})}
            done: SpotCheck = app.runner.run("spot-check", arguments, observer=report)
            return done

        _ = app.runner  # once, before the threads
        batch: Batch[SystemRef, SpotCheck] = Batch(refs, work, jobs=jobs)
        ended = batch.run(bars.end)
    last = {f"{each.tenant}/{each.system}": each for each in last_spot_checks(app.catalogue)}
    told = [(each, last.get(str(each.subject)) if _was_recorded(each) else None) for each in ended]
    if output == "json":
        show.print_json(app.console, [_as_json(each, done) for each, done in told])
    else:
        _table(app, told)
    _raise(ended)


def _was_recorded(each: Ended[SystemRef, SpotCheck]) -> bool:
    return each.result is not None or isinstance(each.error, CheckFailed)


def _raise(ended: list[Ended[SystemRef, SpotCheck]]) -> None:
    """Raise CheckFailed when anything was found, whatever else failed: that is what one checks for."""
    found = [each for each in ended if isinstance(each.error, CheckFailed)]
    if found and len(ended) > 1:
        first = found[0].error
        assert first is not None
        names = "; ".join(str(each.error) for each in found)
        raise CheckFailed(f"{len(found)} of {len(ended)} are not what was backed up: {names}", hint=first.hint)
    raise_failures(ended)


def _as_json(each: Ended[SystemRef, SpotCheck], done: SpotCheck | None) -> dict[str, Any]:
    told: dict[str, Any] = {"system": str(each.subject), "error": str(each.error) if each.error else None}
    if done is None:
        return told | {"verdict": "unknown"}
    return told | {
        "verdict": "out-of-tolerance" if done.faults else "within",
        "point": done.point_id,
        "sources": [asdict(source) for source in done.sources],
    }


def _table(app: App, told: list[tuple[Ended[SystemRef, SpotCheck], SpotCheck | None]]) -> None:
    rows = show.table(
        "系统 system",
        "来源 source",
        "恢复点内 in the point ",
        "现有 there ",
        "已读 read ",
        "已变 changed ",
        "结果 result",
    )
    for each, done in told:
        for source in done.sources if done else ():
            result = "[red]" + "; ".join(source.faults) if source.faults else "[green]✓"
            counts = map(str, (source.expected, source.there, source.sampled, source.changed))
            rows.add_row(str(each.subject), source.source, *counts, result)
        if done is None:
            rows.add_row(str(each.subject), "", "", "", "", "", f"[red]{each.error}")
    app.console.print(rows)

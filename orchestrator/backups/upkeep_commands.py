"""`tricenter backup verify` and `tricenter backup expire`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from orchestrator.backups import show, upkeep_show
from orchestrator.backups.looked import place_of
from orchestrator.backups.options import dry_run_option, jobs_option, output_option
from orchestrator.backups.retention import Expired, ExpiryPlan, check_plan, plan_expiry
from orchestrator.backups.upkeep_show import At, Seen
from orchestrator.backups.verify import DEPTHS, Depth, Foreseen, SystemVerified, foresee
from orchestrator.batch import Batch, Ended, raise_failures
from orchestrator.catalogue.verifications import findings
from orchestrator.errors import CheckFailed, InvalidInput, Refused
from policies.site import SystemRef
from policies.work import copy_centres

if TYPE_CHECKING:
    from orchestrator.app import App


@click.command()
@click.argument("target", required=False)
@click.option("--centre", help="只看一个中心 one centre only; every centre with a copy when not given")
@click.option(
    "--depth",
    type=click.Choice(DEPTHS),
    default="structure",
    show_default=True,
    help="结构，或轮流读取数据 the structure, or the part of the data whose turn it is",
)
@click.option("--all", "everything", is_flag=True, help="数据全部读取 with --depth data: read every byte now")
@jobs_option
@dry_run_option
@output_option
@click.pass_obj
def verify(
    app: App, target: str | None, centre: str | None, depth: Depth, everything: bool, jobs: int, dry_run: bool,
    output: str,
) -> None:  # fmt: skip
    """校验某中心所存是否完好 is what a centre holds still what was stored there?

    Ends with 4 when anything is wrong; every finding is recorded, and shown until it is healed.
    """
    if everything and depth != "data":
        raise InvalidInput("--all reads data, and the structure is checked whole anyway", hint="add --depth data")
    places = named_places(app, target, centre)
    if dry_run:
        _foresee(app, places, depth, everything, jobs, output)
        return
    with show.progress(app.progress_console, "校验 verify", places) as bars:

        def work(at: At) -> SystemVerified:
            def report(what: str, done: float, total: float) -> None:
                batch.go_on()
                bars.move(at, what, done, total)

            arguments = {"system": str(at.ref), "centre": at.centre, "depth": depth}
            if everything:
                arguments["everything"] = "yes"
            done: SystemVerified = app.runner.run("verify", arguments, observer=report)
            return done

        _ = app.runner  # once, before the threads
        batch = Batch(places, work, jobs=jobs)
        ended = batch.run(bars.end)
    found = findings(app.catalogue, healed=False)
    seen = [
        (each.subject, Seen(each.result, [f for f in found if f.place == place_of(*each.subject)], each.error))
        for each in ended
    ]
    upkeep_show.verifications(app.console, seen, output)
    _raise_findings(ended)


def _foresee(app: App, places: list[At], depth: Depth, everything: bool, jobs: int, output: str) -> None:
    def work(at: At) -> Foreseen:
        return foresee(app, at.ref, at.centre, depth, everything=everything)

    ended = Batch(places, work, jobs=jobs).run()
    upkeep_show.foreseen(app.console, ended, output)
    raise_failures(ended)


def _raise_findings(ended: list[Ended[At, SystemVerified]]) -> None:
    """Raise CheckFailed when anything was found, whatever else failed: that is what one verifies for."""
    found = [each for each in ended if isinstance(each.error, CheckFailed)]
    if len(found) > 1 or (found and len(ended) > 1):
        first = found[0].error
        assert first is not None
        names = "; ".join(f"{each.subject}: {each.error}" for each in found)
        raise CheckFailed(f"{len(found)} of {len(ended)} are not as they were stored: {names}", hint=first.hint)
    raise_failures(ended)


@click.command()
@click.argument("target", required=False)
@click.option("--centre", help="在哪个中心清理 the centre to expire points at; with --dry-run every one when not given")
@click.option(
    "--more-than-half", "force", is_flag=True, help="允许一次清除过半恢复点 let more than half of the points go"
)
@click.option("--yes", is_flag=True, help="不再询问 do not ask")
@dry_run_option
@output_option
@click.pass_obj
def expire(
    app: App, target: str | None, centre: str | None, force: bool, yes: bool, dry_run: bool, output: str
) -> None:
    """清除某中心到期的恢复点并回收空间 forget what the tiers do not keep at a centre, and prune.

    Shows every decision first, with all its reasons: until when each holds, and what would end it. While a point of
    a system is suspect and not settled, nothing good of that system is forgotten.
    """
    places = named_places(app, target, centre)
    if centre is None and not dry_run:
        raise InvalidInput("say at which centre points are forgotten: --centre", hint="or look at all with --dry-run")
    _ = app.runner  # clears up behind what was killed, before anything is planned
    plans = [(at.ref, plan_expiry(app, at.ref, at.centre)) for at in places]
    if output == "table":
        upkeep_show.expiry_plans(app.console, plans)
    if dry_run:
        if output == "json":
            show.print_json(app.console, upkeep_show.expiries_as_json(plans, "planned"))
        return
    assert centre is not None
    refused: list[Ended[SystemRef, Expired]] = [
        Ended(ref, None, error) for ref, plan in plans if (error := _objection(ref, plan, force))
    ]
    not_now = {str(each.subject) for each in refused}
    to_do = [(ref, plan) for ref, plan in plans if (plan.snapshots or plan.prune) and str(ref) not in not_now]
    _confirm(to_do, centre, yes=yes)
    ended = _expire(app, [ref for ref, _ in to_do], centre, force=force)
    if output == "json":
        done = [(each.subject, each.result.plan) for each in ended if each.result]
        show.print_json(app.console, upkeep_show.expiries_as_json(done, "done"))
    raise_failures([*ended, *refused])


def _objection(ref: SystemRef, plan: ExpiryPlan, force: bool) -> Refused | None:
    try:
        check_plan(ref, plan, force=force)
    except Refused as error:
        return error
    return None


def _expire(app: App, refs: list[SystemRef], centre: str, *, force: bool) -> list[Ended[SystemRef, Expired]]:
    with show.progress(app.progress_console, "清理 expire", refs) as bars:

        def work(ref: SystemRef) -> Expired:
            arguments = {"system": str(ref), "centre": centre, **({"force": "yes"} if force else {})}
            done: Expired = app.runner.run("retention", arguments, observer=lambda *_: batch.go_on())
            return done

        batch: Batch[SystemRef, Expired] = Batch(refs, work, jobs=2)
        return batch.run(bars.end)


def _confirm(to_do: list[tuple[SystemRef, ExpiryPlan]], centre: str, *, yes: bool) -> None:
    going = sum(not each.kept for _, plan in to_do for each in (*plan.points, *plan.remains))
    if yes or not going:
        return
    if not sys.stdin.isatty():
        raise Refused("nobody is there to confirm the plan", hint="look at it with --dry-run, then add --yes")
    if not click.confirm(f"在 {centre} 清除这 {going} 项? forget these {going} at {centre}?", err=True):
        raise Refused("not confirmed: nothing was forgotten")


def named_places(app: App, target: str | None, centre: str | None) -> list[At]:
    """Return the systems that are meant, at the centres that keep copies of them. Raises InvalidInput when none are."""
    if centre:
        app.vault(centre)
    places = [At(ref, each) for ref in app.systems(target) for each in copy_centres(ref) if centre in (None, each)]
    if not places:
        raise InvalidInput(f"nothing here has copies at {centre or 'any centre'}", hint="look at the tiers")
    return places

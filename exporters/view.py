"""The board and the counts as metric families: pure, from values to samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from exporters import metrics as m
from exporters import upkeep_metrics as u
from exporters.engine_metrics import QUEUED
from exporters.metric import Metric
from orchestrator.catalogue.activity import Activity
from orchestrator.catalogue.board import Board, BoardRow
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.keys import Keys
from orchestrator.catalogue.locks import Locks
from orchestrator.catalogue.plans import PlanAt
from orchestrator.catalogue.records import RunState
from orchestrator.catalogue.scenario import Expected
from orchestrator.catalogue.spot_checks import SpotCheck
from orchestrator.catalogue.verifications import Upkeep
from policies.locks import promised
from policies.site import Site

Family = GaugeMetricFamily | CounterMetricFamily
Sample = tuple[Metric, tuple[str, ...], float]


def families(samples: Iterable[Sample]) -> list[Family]:
    """Return one family for every metric that has samples, in the order of the list of metrics."""
    made: dict[str, Family] = {}
    for metric, labels, value in samples:
        if metric.name not in made:
            made[metric.name] = empty_family(metric)
        made[metric.name].add_metric(labels, value)
    return [made[each.name] for each in m.METRICS if each.name in made]


def empty_family(metric: Metric) -> Family:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(metric.name, metric.help, labels=metric.labels)


def board_samples(board: Board) -> Iterator[Sample]:
    yield m.VIEW_TIME, (), board.read_at.timestamp()
    for row in board.rows:
        yield from _objectives(row)
        yield m.POINTS_SUSPECT, _labels(row), row.suspects
        yield from _points(row)
        yield from _drills(row)


def activity_samples(activity: Activity, board: Board) -> Iterator[Sample]:
    """Yield the counts. Points are counted for the rows of the board, so that a system without any shows 0."""
    for row in board.rows:
        key = Key(row.tenant, row.system, row.centre)
        yield m.POINTS, _labels(row), activity.points.get(key, 0)
        yield m.POINTS_OWED, _labels(row), activity.owed.get(key, 0)
    for (flow, state), count in activity.runs.items():
        yield m.RUNS, (flow, state), count
    yield QUEUED, (), sum(count for (_, state), count in activity.runs.items() if state is RunState.QUEUED)
    for kind, count in activity.workers.items():
        yield m.WORKERS, (kind,), count
    if activity.queued_since:
        yield m.QUEUE_OLDEST, (), activity.queued_since.timestamp()
    for run in activity.last_runs:
        yield m.RUN_SECONDS, (run.flow,), run.seconds
        yield m.RUN_END, (run.flow,), run.ended_at.timestamp()
    for error_type, count in activity.failures.items():
        yield m.FAILURES, (error_type,), count
    for tenant in activity.tenants:
        yield m.TENANT_PENDING, (tenant.tenant, tenant.centre), tenant.pending
        if tenant.applied_at:
            yield m.TENANT_APPLIED, (tenant.tenant, tenant.centre), tenant.applied_at.timestamp()


def upkeep_samples(upkeep: Upkeep, site: Site) -> Iterator[Sample]:
    """Yield what is known of verification and retention, of every system at every centre that keeps copies of it."""
    labels = {
        Key(ref.tenant.tenant, ref.name, centre): (ref.tenant.tenant, ref.name, ref.tier.tier, centre)
        for ref in site.systems()
        for centre in ref.copies
    }
    within = {(ref.tenant.tenant, ref.name): ref.tier.schedule.read_all_within for ref in site.systems()}
    for key, names in labels.items():
        yield u.READ_OBJECTIVE, names, within[key[:2]].total_seconds()
        yield u.FINDINGS, names, upkeep.open_findings.get(key, 0)
        yield u.HEALED, names, upkeep.healed.get(key, 0)
    for verified in upkeep.verified:
        if verified.place in labels:
            yield u.VERIFIED, (*labels[verified.place], verified.depth), verified.ended_at.timestamp()
    for metric, moments in (
        (u.UNREAD, upkeep.unread_since),
        (u.RETAINED, upkeep.expired_at),
        (u.HEALED_AT, upkeep.healed_at),
    ):
        for key, moment in moments.items():
            if key in labels:
                yield metric, labels[key], moment.timestamp()


def lock_samples(locks: Mapping[Key, Locks], site: Site) -> Iterator[Sample]:
    """Yield until when everything in use is locked, wherever a tier asks for a lock, and what was promised."""
    for ref in site.systems():
        for centre, copy in ref.copies.items():
            if not copy.retention.lock:
                continue
            names = ref.tenant.tenant, ref.name, ref.tier.tier, centre
            yield u.LOCK_OBJECTIVE, names, promised(copy.retention.lock).total_seconds()
            if found := locks.get(Key(ref.tenant.tenant, ref.name, centre)):
                yield u.LOCK_MEASURED, names, found.ran_at.timestamp()
                yield u.LOCK_OVERWRITTEN, names, found.overwritten
                if found.objects:
                    yield u.LOCK_FLOOR, names, found.floor.timestamp() if found.floor else 0.0


def spot_samples(checks: Iterable[SpotCheck], site: Site) -> Iterator[Sample]:
    """Yield what the last comparisons with the live sources found, and how often the tiers want one."""
    tiers = {(ref.tenant.tenant, ref.name): ref.tier for ref in site.systems()}
    for key, tier in tiers.items():
        yield u.SPOT_OBJECTIVE, (*key, tier.tier), tier.schedule.spot_check_every.total_seconds()
    for each in checks:
        if known := tiers.get((each.tenant, each.system)):
            labels = each.tenant, each.system, known.tier
            yield u.SPOT_CHECKED, labels, each.ended_at.timestamp()
            yield u.SPOT_FAULTS, labels, len(each.faults)


def key_samples(keys: Keys, site: Site) -> Iterator[Sample]:
    """Yield what is known of the escrow, where the site has one, and of the passwords of tenants."""
    if rule := site.escrow:
        yield u.ESCROW_CHECKED, (), keys.checked_at.timestamp() if keys.checked_at else 0.0
        yield u.ESCROW_CHECK_OBJECTIVE, (), rule.check_every.total_seconds()
        yield u.ESCROW_BUNDLE_OBJECTIVE, (), rule.bundle_every.total_seconds()
        for centre in map(str, site.vaults()):
            bundle = keys.bundles.get(centre)
            yield u.ESCROW_BUNDLE, (centre,), bundle.made_at.timestamp() if bundle else 0.0
            if bundle:
                yield u.ESCROW_MISSING, (centre,), bundle.missing
    for metric, moments in ((u.KEY_CHECKED, keys.passwords), (u.KEY_ACCESS, keys.accesses)):
        for (tenant, centre), moment in moments.items():
            if tenant in site.tenants:
                yield metric, (centre, tenant), moment.timestamp()


def plan_samples(plans: Iterable[PlanAt]) -> Iterator[Sample]:
    """Yield the states of plans, and what was found of whether they are ready."""
    for each in plans:
        labels = each.plan.plan, each.centre
        for state in m.PLAN_STATES:
            yield m.PLAN_STATE, (*labels, state), float(each.standing.state == state)
        yield m.PLAN_DUE, labels, each.standing.due_at.timestamp()
        if check := each.check:
            yield m.PLAN_FAILED, (*labels, check.kind), check.failed
            yield m.PLAN_WARNED, (*labels, check.kind), check.warned
            yield m.PLAN_CHECKED, (*labels, check.kind), check.checked_at.timestamp()


def expected_samples(expected: Mapping[Key, Expected], site: Site) -> Iterator[Sample]:
    """Yield how long recoveries are likely to take, and how good such estimates were."""
    tiers = {(ref.tenant.tenant, ref.name): ref.tier.tier for ref in site.systems()}
    for key, each in expected.items():
        labels = key.tenant, key.system, tiers[key.tenant, key.system], key.centre
        if each.estimate.takes is not None:
            yield m.RTO_ESTIMATED, labels, each.estimate.takes.total_seconds()
        if each.calibration.error is not None:
            yield m.RTO_ERROR, labels, each.calibration.error
        if each.calibration.trend is not None:
            yield m.RESTORE_TREND, labels, each.calibration.trend


def _labels(row: BoardRow) -> tuple[str, ...]:
    return row.tenant, row.system, row.tier, row.centre


def _objectives(row: BoardRow) -> Iterator[Sample]:
    labels = _labels(row)
    yield m.RPO_OBJECTIVE, labels, row.rpo_objective.total_seconds()
    yield m.RPO_ACTUAL, labels, row.rpo_actual.total_seconds()
    yield m.RPO_WORST, labels, row.rpo_worst.total_seconds()
    yield m.RPO_COMPLIANCE, labels, row.rpo_compliance
    yield m.EXPECTED_INTERVAL, labels, row.expected_interval.total_seconds()
    yield m.RTO_OBJECTIVE, labels, row.rto_objective.total_seconds()
    for verdict in m.ROW_VERDICTS:
        yield m.PROTECTION, (*labels, verdict), float(row.verdict == verdict)


def _points(row: BoardRow) -> Iterator[Sample]:
    moments: tuple[tuple[Metric, datetime | None], ...] = (
        (m.LAST_DATA, row.last_data_time),
        (m.LAST_LANDED, row.last_landed_at),
        (m.LAST_PROVED, row.proved_data_time),
    )
    for metric, moment in moments:
        if moment:
            yield metric, _labels(row), moment.timestamp()


def _drills(row: BoardRow) -> Iterator[Sample]:
    labels = _labels(row)
    yield m.DRILL_DUE, labels, row.drill_due_at.timestamp()
    last = row.last_drill.verdict if row.last_drill else "never"
    for verdict in m.DRILL_VERDICTS:
        yield m.DRILL_VERDICT, (*labels, verdict), float(last == verdict)
    for drill in row.drills:
        named = (*labels, drill.plan, drill.kind)
        yield m.DRILL_LAST, named, drill.ended_at.timestamp()
        if drill.rto_seconds is not None:
            yield m.RTO_MEASURED, (*named, "total"), drill.rto_seconds
            for stage, seconds in drill.stages.items():
                yield m.RTO_MEASURED, (*named, stage), seconds

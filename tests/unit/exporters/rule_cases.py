"""For every alert what makes it fire and what does not, as series that Prometheus would have: written by hand.

Time begins at 0, so what happened long ago has a negative time. Values are one a `step`, a minute where nothing else is
said, in the notation of promtool: `5x30` is 5 for half an hour, `0+60x30` rises by 60 a minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TARGET = {"job": "tricenter", "instance": "one"}
FAR = {**TARGET, "tenant": "civil", "system": "registry", "tier": "remote-dr", "centre": "provincial"}
NEAR = {**FAR, "centre": "same-city"}
PLAN = {**TARGET, "plan": "one-window", "centre": "same-city"}
VAULT = {**TARGET, "centre": "same-city"}
TENANT = {**VAULT, "tenant": "civil"}
SYSTEM = {key: value for key, value in FAR.items() if key != "centre"}
DAY, HOUR = 86400, 3600

#: Metric, labels, values.
Series = tuple[str, Mapping[str, str], str]


@dataclass(frozen=True)
class Case:
    """After `at` minutes the alert fires on `fires`, with `labels` and those of its rule; on each of `silent` not."""

    fires: Sequence[Series]
    silent: Sequence[Sequence[Series]]
    labels: Mapping[str, str]
    at: int = 10
    step: int = 1


def steady(metric: str, value: float, labels: Mapping[str, str] = FAR) -> Series:
    return metric, labels, f"{value}x150"


def exposure(values: str, *, points: int = 5) -> list[Series]:
    """A system with an RPO of an hour."""
    return [
        ("tricenter_rpo_actual_seconds", FAR, values),
        steady("tricenter_rpo_objective_seconds", HOUR),
        steady("tricenter_points", points),
    ]


def over(metric: str, labels: Mapping[str, str] = FAR, *, at: int = 10, **more: str) -> Case:
    """A count that must be 0."""
    return Case([steady(metric, 2, labels)], [[steady(metric, 0, labels)]], {**labels, **more}, at)


def verdict(metric: str, bad: str) -> Case:
    return Case(
        [steady(metric, 1, {**FAR, "verdict": bad})],
        [[steady(metric, 0, {**FAR, "verdict": bad}), steady(metric, 1, {**FAR, "verdict": "met"})]],
        {**FAR, "verdict": bad},
    )


def older(metric: str, limit: float, labels: Mapping[str, str], *, hold: int) -> Case:
    """A moment that must not be longer ago than `limit`; what is, must be so for `hold` minutes."""
    now, held = 70 * 60, (hold + 10) * 60
    return Case(
        [steady(metric, now - held - limit - 60, labels)],
        [[steady(metric, now - limit + 60, labels)], []],
        labels,
        70,
        10,
    )


def away(values: str) -> Series:
    return "tricenter_vault_unreachable", {**TARGET, "centre": "provincial"}, values


def lagging(lag: float) -> list[Series]:
    return [steady("tricenter_replication_lag_seconds", lag), steady("tricenter_expected_interval_seconds", 1200)]


def archived(until: float) -> list[Series]:
    return [
        steady("tricenter_archive_until_timestamp_seconds", until),
        steady("tricenter_archive_objective_seconds", 300),
    ]


def unread(since: float) -> list[Series]:
    return [
        steady("tricenter_data_unread_timestamp_seconds", since),
        steady("tricenter_data_read_objective_seconds", 28 * DAY),
    ]


def locked(until: float) -> list[Series]:
    return [
        steady("tricenter_lock_floor_timestamp_seconds", until),
        steady("tricenter_lock_objective_seconds", 7 * DAY),
    ]


def measured(moment: float | None, *, points: int = 3) -> list[Series]:
    asked = [] if moment is None else [steady("tricenter_lock_measured_timestamp_seconds", moment)]
    return [steady("tricenter_lock_objective_seconds", 7 * DAY), steady("tricenter_points", points), *asked]


def proved(moment: float | None, *, points: int = 3) -> list[Series]:
    opened = [] if moment is None else [steady("tricenter_key_checked_timestamp_seconds", moment, TENANT)]
    return [steady("tricenter_points", points, NEAR), *opened]


def bundled(made: float) -> list[Series]:
    return [
        steady("tricenter_escrow_bundle_timestamp_seconds", made, VAULT),
        steady("tricenter_escrow_bundle_objective_seconds", DAY, TARGET),
    ]


def escrow_checked(moment: float) -> list[Series]:
    return [
        steady("tricenter_escrow_checked_timestamp_seconds", moment, TARGET),
        steady("tricenter_escrow_check_objective_seconds", 180 * DAY, TARGET),
    ]


def quota(used: int, resource: str = "instances") -> list[Series]:
    """So much of 20 is used."""
    labels = {**TENANT, "service": "compute", "resource": resource}
    return [
        steady("tricenter_tenant_quota_used", used, labels),
        steady("tricenter_tenant_quota_limit", 20, labels),
    ]


def planned(due: float, state: int) -> list[Series]:
    return [
        steady("tricenter_plan_due_timestamp_seconds", due, PLAN),
        steady("tricenter_plan_state", state, {**PLAN, "state": "needs-verify"}),
        steady("tricenter_plan_state", 1 - state, {**PLAN, "state": "verified"}),
    ]


def workers(servers: str, others: str) -> list[Series]:
    kinds = {"server": servers, "worker": others, "one-shot": "1x150"}
    return [("tricenter_workers", {**TARGET, "kind": kind}, values) for kind, values in kinds.items()]


def systems(before: int, after: int) -> list[Series]:
    """So many systems, of which some are gone after half an hour."""
    names = [{**FAR, "system": f"s{number}"} for number in range(before)]
    return [
        ("tricenter_rpo_objective_seconds", labels, "3600x150" if number < after else "3600x30 stale")
        for number, labels in enumerate(names)
    ]


def fenced(values: str) -> list[Series]:
    return [("tricenter_runs_failed_total", {**TARGET, "error_type": "Fenced"}, values)]


CASES: Mapping[str, Case] = {
    # --- the burn of the budget: 1 % of the time
    "TricenterRpoBurn1h": Case(
        exposure("7200x60"),
        [
            exposure("7200x30 60x30"),  # the hour is bad, the last five minutes are good
            exposure("60x55 7200x5"),  # the last five minutes are bad, the hour is not yet
            [*exposure("7200x60"), away("1x57 0x3")],  # its vault was away until a moment ago, which was a page
        ],
        FAR,
        60,
    ),
    "TricenterRpoBurn6h": Case(
        exposure("60x30 7200x6"), [exposure("7200x3 60x33"), exposure("60x34 7200x2")], FAR, 360, step=10
    ),
    "TricenterRpoBurn1d": Case(
        exposure("60x30 7200x6"), [exposure("7200x6 60x30"), exposure("60x36 7200")], FAR, 360, step=10
    ),
    "TricenterRpoBurn3d": Case(
        exposure("60x30 7200x6"), [exposure("7200x6 60x37"), exposure("60x150")], FAR, 430, step=10
    ),
    # --- objectives and copies
    "TricenterRpoMissed": Case(
        exposure("3610x20"), [exposure("3600x20"), exposure("7200x20", points=0), exposure("60x9 7200")], FAR
    ),
    "TricenterNeverProtected": Case(
        exposure("3660x20", points=0), [exposure("3540x20", points=0), exposure("7200x20", points=1)], FAR
    ),
    "TricenterRtoMissed": verdict("tricenter_drill_verdict", "missed"),
    "TricenterRtoTooLong": Case(
        [steady("tricenter_rto_estimated_seconds", 15000), steady("tricenter_rto_objective_seconds", 14400)],
        [[steady("tricenter_rto_estimated_seconds", 14000), steady("tricenter_rto_objective_seconds", 14400)]],
        FAR,
        70,
        10,
    ),
    "TricenterCopyLagging": Case(lagging(2500), [lagging(2400)], FAR, 20),
    "TricenterVaultUnreachable": Case(
        [steady("tricenter_vault_unreachable", 1, VAULT)], [[steady("tricenter_vault_unreachable", 0, VAULT)]], VAULT
    ),
    "TricenterPointsOwed": Case(
        [steady("tricenter_points_owed", 3)],
        [[steady("tricenter_points_owed", 0)], [("tricenter_points_owed", FAR, "3x20 0x0 3x20")]],
        FAR,
        370,
        step=10,
    ),
    "TricenterSuspectPoints": over("tricenter_points_suspect"),
    "TricenterArchiveBehind": Case(archived(-120), [archived(310), []], FAR),
    "TricenterArchiveGap": over("tricenter_archive_missing"),
    # --- upkeep
    "TricenterCorruptionFound": over("tricenter_findings_open", at=15),
    "TricenterVerificationStalled": Case(unread(-28 * DAY), [unread(-27 * DAY)], FAR, 70, 10),
    "TricenterLockFloorLow": Case(locked(7 * DAY), [locked(8 * DAY), []], FAR, 70, 10),
    "TricenterLockNotMeasured": Case(
        measured(-3 * DAY), [measured(-2 * DAY), measured(None, points=0), [steady("tricenter_points", 3)]], FAR, 70, 10
    ),
    "TricenterObjectsOverwritten": over("tricenter_lock_overwritten_objects"),
    "TricenterRetentionStalled": Case(
        [steady("tricenter_retention_last_timestamp_seconds", -7 * DAY)],
        [[steady("tricenter_retention_last_timestamp_seconds", -6 * DAY)], []],
        FAR,
        70,
        10,
    ),
    "TricenterSpotCheckFailed": over("tricenter_spot_check_faults", SYSTEM),
    "TricenterKeyNotProved": Case(
        proved(None), [proved(-34 * DAY), proved(None, points=0)], {**TENANT, "centre": "same-city"}, 70, 10
    ),
    "TricenterEscrowStale": Case(bundled(-2 * DAY), [bundled(-DAY), []], VAULT, 70, 10),
    "TricenterEscrowUnproved": Case(escrow_checked(-180 * DAY), [escrow_checked(-179 * DAY), []], TARGET, 70, 10),
    "TricenterEscrowIncomplete": over("tricenter_escrow_bundle_missing_secrets", VAULT),
    # --- recovery
    "TricenterDrillOverdue": Case(
        [steady("tricenter_drill_due_timestamp_seconds", 0)],
        [[steady("tricenter_drill_due_timestamp_seconds", DAY)]],
        FAR,
        70,
        10,
    ),
    "TricenterDrillFailed": verdict("tricenter_drill_verdict", "failed"),
    "TricenterPlanNeedsVerification": Case(planned(-DAY, 1), [planned(0, 1), planned(-DAY, 0)], PLAN),
    "TricenterPlanNotReady": over("tricenter_plan_check_failed_items", {**PLAN, "kind": "sandbox"}, at=15),
    "TricenterCapacityShort": over("tricenter_plan_capacity_short_tenants", PLAN, at=15),
    "TricenterDrift": Case(
        [steady("tricenter_tenant_pending_actions", 4, TENANT)],
        [
            [steady("tricenter_tenant_pending_actions", 0, TENANT)],
            [("tricenter_tenant_pending_actions", TENANT, "4x20 0x0 4x30")],
        ],
        TENANT,
        1470,
        step=30,
    ),
    "TricenterTenantParityLow": Case(
        [steady("tricenter_tenant_parity_ratio", 0.98, TENANT)],
        [
            [steady("tricenter_tenant_parity_ratio", 1, TENANT)],
            [steady("tricenter_tenant_parity_ratio", 0.5, {**TENANT, "centre": "production"})],
            [],
        ],
        TENANT,
        1470,
        step=30,
    ),
    "TricenterQuotaNearlyUsed": Case(
        quota(19),
        [quota(18), quota(20, "networks"), quota(19)[:1]],
        {**TENANT, "service": "compute", "resource": "instances"},
        70,
    ),
    "TricenterDriftNotLooked": older("tricenter_tenant_looked_timestamp_seconds", 3 * DAY, TENANT, hold=60),
    # --- the program itself
    "TricenterNoWorker": Case(workers("0x60", "0x60"), [workers("0x60", "1x60"), []], TARGET),
    "TricenterWorkerGone": Case(
        workers("1x60", "3x20 2x60"), [workers("1x60", "3x60"), workers("1x60", "2x20 3x60")], TARGET, 30
    ),
    "TricenterQueueStuck": older("tricenter_queue_oldest_timestamp_seconds", HOUR, TARGET, hold=5),
    "TricenterClockSkew": Case(
        [steady("tricenter_clock_skew_seconds", -6, TARGET)],
        [
            [
                steady("tricenter_clock_skew_seconds", 4, TARGET),
                ("tricenter_view_timestamp_seconds", TARGET, "0+60x20"),
            ],
        ],
        TARGET,
    ),
    "TricenterEpochRaised": Case(
        [steady("tricenter_epoch_adopted_timestamp_seconds", -600, TARGET)],
        [[steady("tricenter_epoch_adopted_timestamp_seconds", -HOUR, TARGET)], []],
        TARGET,
    ),
    "TricenterFenced": Case(fenced("0x5 1x10"), [fenced("0x20"), fenced("7x20")], {**TARGET, "error_type": "Fenced"}),
    "TricenterAuditBroken": Case(
        [steady("tricenter_audit_broken", 1, TARGET)],
        [[steady("tricenter_audit_broken", 0, TARGET), ("tricenter_audit_head_entries", TARGET, "100+1x60")]],
        TARGET,
    ),
    "TricenterAuditUnsealed": older("tricenter_audit_unsealed_timestamp_seconds", 900, TARGET, hold=5),
    "TricenterViewStale": Case(
        [steady("tricenter_view_timestamp_seconds", 400, TARGET)],
        [[("tricenter_view_timestamp_seconds", TARGET, "0+60x20")]],
        TARGET,
    ),
    "TricenterAbsent": Case([], [[steady("tricenter_build_info", 1, {**TARGET, "version": "1", "site": "s"})]], {}),
    "TricenterSystemsVanished": Case(systems(20, 17), [systems(20, 19), []], TARGET, 75),
}

#: More ways in which some of them must fire.
ALSO: Sequence[tuple[str, Case]] = (
    ("TricenterClockSkew", Case([("tricenter_view_timestamp_seconds", TARGET, "30+60x20")], [], TARGET)),
    ("TricenterAuditBroken", Case([("tricenter_audit_head_entries", TARGET, "100x12 60x9")], [], TARGET, 15)),
    ("TricenterSystemsVanished", Case(systems(20, 0), [], TARGET, 75)),
    ("TricenterLockNotMeasured", Case(measured(None), [], FAR, 70, 10)),
    ("TricenterLockFloorLow", Case(locked(0), [], FAR, 70, 10)),
)

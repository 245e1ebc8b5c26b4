"""Tiers: what the city promises for a class of systems, centre by centre."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from policies.plan import Kind
from policies.spot import SpotCheckRule
from policies.values import Duration, Misfit, MisfitError, Model, Name, Span, Text, Whole, format_duration
from policies.windows import Window, longest_gap

CentreName = Literal["production", "same-city", "provincial"]


#: The lengths of time of which the newest point is kept, the shortest first.
UNITS = ("hourly", "daily", "weekly", "monthly", "yearly")


class Keep(Model):
    """Of how many hours, days, weeks, months and years the newest good point is kept, however old it is.

    Those that have a point are counted, back from the newest one, in the site's time zone; weeks are those of ISO 8601.
    """

    hourly: Whole = Field(0, ge=0, le=100_000)
    daily: Whole = Field(0, ge=0, le=100_000)
    weekly: Whole = Field(0, ge=0, le=10_000)
    monthly: Whole = Field(0, ge=0, le=1200)
    yearly: Whole = Field(0, ge=0, le=100)

    def counts(self) -> dict[str, int]:
        """Return how many of each unit, the shortest first."""
        return {unit: getattr(self, unit) for unit in UNITS}


class Retention(Model):
    """How long recovery points stay at one centre. A far centre keeps at least what the nearer one keeps."""

    keep_within: Span = Field(description="age up to which recovery points are kept")
    keep: Keep = Field(Keep(), description="of how many hours, days, weeks, months, years the newest is kept besides")
    lock: Duration = Field(
        description="object lock (compliance mode) from upload, lengthened while in use: the vault refuses deletion "
        "until then; 0s is no lock"
    )


class CopyRule(Model):
    """What a tier demands of one centre: the objectives there, and how long its points are kept."""

    rpo: Span = Field(description="recovery point objective: how much work, counted in time, may be lost")
    rto: Span = Field(description="recovery time objective: from the outage's start to the last proof that passed")
    retention: Retention


class SuspicionRule(Model):
    """When a recovery point is suspect: against the last good points of the same system."""

    compared_with: Whole = Field(10, ge=1, le=100, description="so many good points tell what is usual")
    shrunk_below: float = Field(
        0.5, ge=0, le=1, description="a source of less than this share of its usual bytes, files or rows; 0 is never"
    )
    changed_above: float = Field(
        0.5, ge=0, le=1, description="more than this share of files or bytes changed at once; 1 is never"
    )
    deviations: float = Field(
        6.0, ge=1, le=100, description="where more is usual: so many times the usual deviation above it"
    )


class DrillRule(Model):
    """How often a plan of this tier must have been drilled."""

    every: Span = Field(description="a plan not drilled for longer than this is overdue")
    kind: Kind = Field("restore", description="the least kind that counts: restore, sandbox or switchover")
    also: dict[Kind, Span] = Field(default_factory=dict, description="further kinds, and how often each is held")


class WindowRule(Model):
    """When scheduled work may start, in the site's local time. No window: at any time."""

    heavy: tuple[Window, ...] = Field(
        (), description="retention, data reads, restore tests and spot checks; anytime when not given"
    )
    backup: tuple[Window, ...] = Field((), description="backups; anytime when not given")


class ScheduleRule(Model):
    """How often the work beside the backups is done. Copies follow what landed; the rest has its intervals."""

    replicate_within: Duration = Field(
        timedelta(0), description="a copy follows a landing within this; spreads the copies of a tier; 0s is at once"
    )
    check_every: Span = Field(timedelta(days=7), description="structural check of a repository, at every centre")
    read_all_within: Span = Field(timedelta(days=28), description="every byte at every centre is read within this")
    restore_test_every: Span = Field(timedelta(days=90), description="restore test of a system, at every centre")
    restore_test_within: Duration = Field(
        timedelta(days=30), description="every other restore test takes a random point of this time; 0s: the newest"
    )
    retention_every: Span = Field(timedelta(days=1), description="expiry of points past keep_within, at every centre")
    spot_check_every: Span = Field(timedelta(days=7), description="the newest point is compared with the live sources")
    spot_check: SpotCheckRule = SpotCheckRule()
    windows: WindowRule = WindowRule()


class Tier(Model):
    """A class of protection: how often systems are backed up, and each centre's objectives."""

    tier: Name
    title: Text
    backup_every: Span = Field(description="time from the start of one backup to the start of the next")
    copies: dict[CentreName, CopyRule] = Field(
        min_length=1, description="the centres that hold a copy: same-city, provincial"
    )
    drill: DrillRule
    schedule: ScheduleRule = ScheduleRule()
    suspicion: SuspicionRule = SuspicionRule()
    gbt20988_level: Whole = Field(
        ge=1, le=6, description="the GB/T 20988 level aimed at; reaching it takes all seven elements"
    )

    @model_validator(mode="after")
    def _objectives_can_be_met(self) -> Self:
        if misfits := list(objective_misfits(self.backup_every, self.copies, self.schedule)):
            raise MisfitError(misfits)
        return self


def objective_misfits(
    backup_every: timedelta | None, copies: Mapping[CentreName, CopyRule], schedule: ScheduleRule
) -> Iterator[Misfit]:
    """Yield what could never be kept, or protects nothing. `backup_every` is None when it is not known."""
    yield from _schedule_misfits(backup_every, copies, schedule)
    for centre, copy in copies.items():
        rpo, keep = (format_duration(each.total_seconds()) for each in (copy.rpo, copy.retention.keep_within))
        if centre == "production":
            yield Misfit(
                ("copies", centre),
                "production",
                "same-city or provincial",
                "a copy beside the original protects nothing",
            )
        if backup_every is not None and backup_every >= copy.rpo:
            yield Misfit(
                ("backup_every",),
                format_duration(backup_every.total_seconds()),
                f"less than {rpo}, the RPO at {centre}",
                "a backup takes time and then travels: leave room below the RPO",
            )
        if copy.retention.keep_within < copy.rpo:
            yield Misfit(
                ("copies", centre, "retention", "keep_within"),
                keep,
                f"at least {rpo}, the RPO there",
                "the newest point would expire before it may be replaced",
            )
        if copy.retention.lock > copy.retention.keep_within:
            yield Misfit(
                ("copies", centre, "retention", "lock"),
                format_duration(copy.retention.lock.total_seconds()),
                f"at most {keep}, the keep_within beside it",
                "the vault would refuse to delete points that have expired",
            )
    near, far = copies.get("same-city"), copies.get("provincial")
    if near and far and far.retention.keep_within < near.retention.keep_within:
        yield Misfit(
            ("copies", "provincial", "retention", "keep_within"),
            format_duration(far.retention.keep_within.total_seconds()),
            f"at least {format_duration(near.retention.keep_within.total_seconds())}, what same-city keeps",
            "the provincial centre keeps at least what the same-city centre keeps",
        )
    if near and far:
        yield from _keep_misfits(near.retention.keep, far.retention.keep)


def _keep_misfits(near: Keep, far: Keep) -> Iterator[Misfit]:
    """Yield where the provincial centre would let go what same-city keeps.

    Number by number, for nothing else holds for every history: a longer keep_within does not keep the last 12 months
    that have a point when a system is backed up once a year, nor do many days when weeks are counted.
    """
    for unit, count in near.counts().items():
        if far.counts()[unit] < count:
            yield Misfit(
                ("copies", "provincial", "retention", "keep", unit),
                str(far.counts()[unit]),
                f"at least {count}, as same-city keeps",
                "the provincial centre keeps at least what the same-city centre keeps",
            )


def _schedule_misfits(
    backup_every: timedelta | None, copies: Mapping[CentreName, CopyRule], schedule: ScheduleRule
) -> Iterator[Misfit]:
    gap, wait = longest_gap(schedule.windows.backup), schedule.replicate_within
    for centre, copy in copies.items():
        rpo = format_duration(copy.rpo.total_seconds())
        if gap >= copy.rpo:
            yield Misfit(
                ("schedule", "windows", "backup"),
                f"{format_duration(gap.total_seconds())} of a day without a backup",
                f"less than {rpo}, the RPO at {centre}",
                "widen the window: no backup starts outside it",
            )
        if (
            wait
            and backup_every is not None
            and centre == "provincial"
            and backup_every < copy.rpo <= backup_every + wait
        ):
            yield Misfit(
                ("schedule", "replicate_within"),
                format_duration(wait.total_seconds()),
                f"less than {format_duration((copy.rpo - backup_every).total_seconds())}",
                f"with backup_every it reaches {rpo}, the RPO at {centre}",
            )

"""Landings: which recovery points a centre holds, read from that centre's own listing and never from a job's log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random, SystemRandom

from orchestrator.backups.access import Access
from orchestrator.catalogue.records import PointAt
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import CheckFailed, InvalidInput, UnknownName
from orchestrator.vault.s3 import Bucket
from policies.point_choice import FORMS, BadChoice, PointChoice, parse_choice
from policies.site import SystemRef


def observe_landings(catalogue: Catalogue, bucket: Bucket, ref: SystemRef, centre: str) -> list[PointAt]:
    """Read the centre's listing, record what is complete there, and return it, the newest data first.

    A point is there from the moment its last snapshot is: replication publishes snapshots only after everything
    they refer to, so a snapshot's presence is the presence of its data.
    """
    tenant = ref.tenant.tenant
    listed = {entry.key.rpartition("/")[2]: entry.modified_at for entry in bucket.list(f"{ref.name}/snapshots/")}
    landed = {
        point.id: max(listed[snapshot] for snapshot in point.snapshot_ids)
        for point in catalogue.points(tenant, ref.name)
        if point.snapshot_ids <= listed.keys()
    }
    catalogue.set_landings(centre, tenant, ref.name, landed)
    return catalogue.points_at(centre, tenant, ref.name)


@dataclass(frozen=True, slots=True)
class ChosenPoint(PointAt):
    """The recovery point to use, and its price: how many seconds its data is older than the newest good one there."""

    choice: str = "latest"
    older_seconds: float = 0.0


def choose_point(access: Access, ref: SystemRef, centre: str, point: str | None) -> ChosenPoint:
    """Return the recovery point to use, from the centre's own listing. `point` is as `policies.point_choice` says.

    Raises InvalidInput for text that chooses nothing, CheckFailed when the centre holds no good one that fits,
    UnknownName when it does not hold the named one.
    """
    try:
        choice = parse_choice(point)
    except BadChoice as error:
        raise InvalidInput(str(error), hint=f"give {FORMS}") from error
    landed = observe_landings(access.catalogue, access.bucket(centre, ref.tenant.tenant), ref, centre)
    if not landed:
        raise CheckFailed(
            f"{ref} has no recovery point at {centre}",
            hint=f"tricenter backup run {ref}" + ("" if centre == "same-city" else f", then tricenter replicate {ref}"),
        )
    found = pick(landed, choice, SystemRandom())
    if found is not None:
        newest = next((each.point.data_time for each in landed if each.good), found.point.data_time)
        older = max((newest - found.point.data_time).total_seconds(), 0.0)
        return ChosenPoint(
            found.point,
            found.centre,
            found.landed_at,
            found.proved_at,
            found.settlement,
            choice=point or "latest",
            older_seconds=older,
        )
    if choice.point is not None:
        raise UnknownName(f"recovery point of {ref} at {centre}", choice.point, [each.point.id for each in landed])
    if not any(each.good for each in landed):
        raise CheckFailed(
            f"{ref} has no good recovery point at {centre}: {len(landed)} are suspect or bad",
            hint=f"tricenter backup list {ref} says why; one that is named with --point is used all the same",
        )
    oldest = landed[-1].point.data_time.isoformat(timespec="minutes")
    why = (
        "that a restore has proved"
        if choice.form == "proved"
        else f"of {choice.at} or before; the oldest is of {oldest}"
    )
    raise CheckFailed(
        f"{ref} has no recovery point at {centre} {why}",
        hint=f"tricenter backup list {ref} shows what is there; a drill of the newest proves it",
    )


def pick(landed: Sequence[PointAt], choice: PointChoice, chance: Random) -> PointAt | None:
    """Return the point that is chosen among those at a centre, the newest first; None when none fits.

    One that is suspect or bad is only ever taken by its id.
    """
    if choice.point is not None:
        return next((each for each in landed if each.point.id == choice.point), None)
    good = [each for each in landed if each.good]
    if choice.form == "proved":
        return next((each for each in good if each.proved_at), None)
    if choice.at is not None:
        return next((each for each in good if each.point.data_time <= choice.at), None)
    if choice.within is not None and good:
        since = good[0].point.data_time - choice.within
        return chance.choice([each for each in good if each.point.data_time >= since])
    return good[0] if good else None

"""Which recovery point a person gets, and from which centre: the nearest one that answers and holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import SystemRandom
from typing import TypeVar

from orchestrator.backups.access import Access
from orchestrator.backups.landings import observe_landings, pick
from orchestrator.catalogue.records import Point, PointAt
from orchestrator.errors import CheckFailed, InvalidInput, TricenterError, UnknownName, Unreachable
from policies.point_choice import FORMS, BadChoice, PointChoice, parse_choice
from policies.site import SystemRef
from policies.work import copy_centres

R = TypeVar("R")

#: Told what a person should know: which centre is silent, and where the work goes on.
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """A recovery point, with the centres that hold it and answer, the nearest first.

    `asked` is the moment that was asked for. `silent` centres did not answer; `newer` is one that fits better, and
    that only a silent centre is known to hold.
    """

    point: Point
    holders: tuple[str, ...]
    landed_at: datetime
    proved_at: datetime | None = None
    asked: datetime | None = None
    silent: Mapping[str, TricenterError] = field(default_factory=dict)
    newer: Point | None = None

    @property
    def centre(self) -> str:
        return self.holders[0]

    def from_holder(self, centre: str) -> Found:
        """Return the same without the nearer centres that could not serve it."""
        return replace(self, holders=self.holders[self.holders.index(centre) :])

    @property
    def behind_seconds(self) -> float | None:
        """How many seconds before the moment that was asked for its data was taken."""
        return None if self.asked is None else (self.asked - self.point.data_time).total_seconds()


def as_choice(point: str | None, at: datetime | None) -> PointChoice:
    """Return the choice that --point and --at make. Raises InvalidInput."""
    if point is not None and at is not None:
        raise InvalidInput("--point and --at both choose a recovery point", hint="give one of them")
    if at is not None:
        return PointChoice("at", at=at)
    try:
        return parse_choice(point)
    except BadChoice as error:
        raise InvalidInput(str(error), hint=f"give {FORMS}") from error


def find_point(access: Access, ref: SystemRef, choice: PointChoice, centre: str | None) -> Found:
    """Return the point that is chosen among those of `centre`, or of all centres that keep copies.

    The listings of the centres decide, not what the catalogue remembers. Raises CheckFailed when none fits,
    UnknownName for an id that is not there, Unreachable when no centre answers.
    """
    here, silent = list_points(access, ref, [centre] if centre else copy_centres(ref), alone=centre is not None)
    found = {
        name: at for name, landed in here.items() if (at := pick(landed, choice, SystemRandom()) if landed else None)
    }
    if not found:
        raise _nothing(ref, choice, centre, here, silent)
    if choice.form in ("random", "id"):
        best = next(iter(found.values()))
    else:  # max takes the first of equals, and that is the nearest
        best = max(found.values(), key=lambda each: each.point.data_time)
    holders = [name for name, landed in here.items() if any(each.point.id == best.point.id for each in landed)]
    return Found(
        best.point,
        (best.centre, *(name for name in holders if name != best.centre)),
        best.landed_at,
        best.proved_at,
        choice.at,
        silent,
        _newer(access, ref, choice, best.point, silent),
    )


def first_holder(found: Found, work: Callable[[str], R], tell: Tell) -> tuple[str, R]:
    """Do the work with the nearest centre that holds the point, and with the next one when that fails by it.

    Returns the centre as well. `tell` hears why it was not the nearest. Raises what the last one raised.
    """
    for number, centre in enumerate(found.holders):
        try:
            return centre, work(centre)
        except (Unreachable, CheckFailed) as error:
            rest = found.holders[number + 1 :]
            if not rest:
                raise
            tell(f"{centre}: {error}\n改用 going on with {rest[0]}")
    raise AssertionError("unreachable: a point has a holder")


def list_points(
    access: Access, ref: SystemRef, centres: Sequence[str], *, alone: bool
) -> tuple[dict[str, list[PointAt]], dict[str, TricenterError]]:
    """Return what each centre holds, the nearest first, and which do not answer. Raises Unreachable when none does.

    `alone`: what the one centre says is raised as it is.
    """
    here: dict[str, list[PointAt]] = {}
    silent: dict[str, TricenterError] = {}
    for name in centres:
        try:
            here[name] = observe_landings(access.catalogue, access.bucket(name, ref.tenant.tenant), ref, name)
        except TricenterError as error:  # also a key that is refused, or a bucket that is gone: the next may be well
            if alone:
                raise
            silent[name] = error
    if not here:
        first = next(iter(silent.values()))
        raise Unreachable(
            f"no centre that keeps copies of {ref} answers: " + "; ".join(f"{n}: {e}" for n, e in silent.items()),
            hint=first.hint,
        )
    return here, silent


def _newer(
    access: Access, ref: SystemRef, choice: PointChoice, best: Point, silent: Mapping[str, TricenterError]
) -> Point | None:
    """Return what fits better and is known to be at a centre that does not answer."""
    if choice.form not in ("latest", "at"):
        return None
    for name in silent:
        landed = access.catalogue.points_at(name, ref.tenant.tenant, ref.name)
        known = pick(landed, choice, SystemRandom()) if landed else None
        if known and known.point.data_time > best.data_time:
            return known.point
    return None


def _nothing(
    ref: SystemRef,
    choice: PointChoice,
    centre: str | None,
    here: Mapping[str, Sequence[PointAt]],
    silent: Mapping[str, TricenterError],
) -> TricenterError:
    where = centre or "any centre" + (f" that answers ({', '.join(silent)}: no answer)" if silent else "")
    landed = sorted((each for some in here.values() for each in some), key=lambda each: each.point.data_time)
    if not landed:
        return CheckFailed(f"{ref} has no recovery point at {where}", hint=f"tricenter backup run {ref}")
    if choice.point is not None:
        return UnknownName(f"recovery point of {ref} at {where}", choice.point, {each.point.id for each in landed})
    if choice.form == "proved":
        return CheckFailed(
            f"{ref} has no recovery point at {where} that a restore has proved", hint="a drill of the newest proves it"
        )
    oldest, newest = (each.point.data_time.astimezone() for each in (landed[0], landed[-1]))
    return CheckFailed(
        f"{ref} has no recovery point at {where} of {choice.at.astimezone() if choice.at else ''} or before: "
        f"the oldest is of {oldest:%F %T}, the newest of {newest:%F %T}",
        hint=f"tricenter backup list {ref} shows what there is",
    )

"""Which recovery point to use, as people and the schedule write it.

latest          the newest good data at the centre; also when nothing is written
proved          the newest that a restore has proved there
at:TIME         the newest of TIME (ISO 8601) or before: from before a mistake, or an attacker
random:SPAN     any one of the SPAN (30d) before the newest: what nobody picked must be good as well
ID              this one, also when it is suspect or bad: all others choose among the good ones
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from policies.values import DURATION_WANTED, parse_duration

Form = Literal["latest", "proved", "at", "random", "id"]

FORMS = "latest, proved, at:TIME, random:SPAN or the id of a recovery point"


@dataclass(frozen=True, slots=True)
class PointChoice:
    """A choice, with what belongs to its form."""

    form: Form
    at: datetime | None = None
    within: timedelta | None = None
    point: str | None = None


class BadChoice(ValueError):
    """A choice that says nothing. `want` is what would."""

    def __init__(self, text: str, want: str) -> None:
        self.want = want
        super().__init__(f"{text!r} chooses no recovery point: want {want}")


def parse_choice(text: str | None) -> PointChoice:
    """Return the choice that a text makes. A time without an offset is this host's. Raises BadChoice."""
    form, colon, rest = (text or "latest").partition(":")
    if not colon:
        plain: dict[str, Form] = {"latest": "latest", "proved": "proved"}
        return PointChoice(plain[form]) if form in plain else PointChoice("id", point=form)
    if form == "at":
        try:
            return PointChoice("at", at=datetime.fromisoformat(rest).astimezone())
        except ValueError:
            raise BadChoice(f"{text}", "at:TIME such as at:2026-11-23T03:10+08:00") from None
    if form == "random":
        try:
            return PointChoice("random", within=parse_duration(rest))
        except ValueError:
            raise BadChoice(f"{text}", f"random:SPAN, {DURATION_WANTED}") from None
    raise BadChoice(f"{text}", FORMS)

"""Who is told what: channels with what they want to hear, and the pulse that somebody else listens to.

Channels are named, and what they are reached by is a secret: addresses of messengers hold tokens.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from policies.values import ENDPOINT_PATTERN, Misfit, MisfitError, Model, Name, SecretRef, Span, format_duration
from policies.windows import DAY, Window, window_times

#: What there is to be told of.
Event = Literal["approval", "drill", "failover", "objective", "run-failed", "corruption"]
EVENTS: tuple[Event, ...] = get_args(Event)

#: From what is good to know to what somebody must rise for.
Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

Language = Literal["zh", "en", "both"]

#: A pulse that is felt more often than this says nothing more, and is a load on who listens.
FASTEST_PULSE = timedelta(seconds=10)
LINK_PATTERN = r"^https?://[^\s@]+\{drill\}[^\s@]*$"


class Channel(Model):
    """A way to people: a webhook, a mailbox, a group of a messenger."""

    url: SecretRef = Field(
        description="its address: dingtalk://SECRET@TOKEN, wecombot://KEY, feishu://TOKEN, mailtos://…, jsons://… or "
        "whatever else apprise knows"
    )
    endpoint: str | None = Field(
        None, pattern=ENDPOINT_PATTERN, description="a messenger's own server, where it is not the public one"
    )
    events: tuple[Event, ...] = Field(EVENTS, description="what it is told of; everything when not given")
    severity: Severity = Field("info", description="what is less than this it is not told")
    language: Language = "both"
    quiet: Window | None = Field(
        None, description="22:00-07:00, in the site's time: what is not critical waits until its end"
    )

    @model_validator(mode="after")
    def _hears_something(self) -> Self:
        if not self.events:
            raise MisfitError([Misfit(("events",), "an empty list", "one event at least", f"{', '.join(EVENTS)}")])
        return self

    def wants(self, event: str, severity: str) -> bool:
        """Return whether it is told of such an event. Pure."""
        loud = SEVERITIES.index(severity) >= SEVERITIES.index(self.severity)
        return event in self.events and loud

    def is_quiet(self, now: datetime, local: tzinfo) -> bool:
        """Return whether it wants only what is critical now. Pure."""
        if self.quiet is None:
            return False
        begin, end = window_times(self.quiet)
        here = now.astimezone(local)
        since_midnight = timedelta(hours=here.hour, minutes=here.minute, seconds=here.second)
        if begin < end:
            return begin <= since_midnight < end
        return since_midnight >= begin or since_midnight < end % DAY


class Pulse(Model):
    """Who is pinged while this program truly works, and raises the alarm when that stops."""

    url: SecretRef | None = Field(None, description="pinged by the server and its workers; with /fail after it if not")
    every: Span = Field(timedelta(minutes=1), description="how often")
    due_url: SecretRef | None = Field(
        None, description="pinged by commands with --due at their end; {flow} stands for backup or replicate"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        misfits = []
        if self.every < FASTEST_PULSE:
            got = format_duration(self.every.total_seconds())
            misfits.append(Misfit(("every",), got, f"{format_duration(FASTEST_PULSE.total_seconds())} at least"))
        if self.url is None and self.due_url is None:
            misfits.append(Misfit(("url",), "nothing", "a url, a due_url or both", "a pulse that nobody feels is none"))
        if misfits:
            raise MisfitError(misfits)
        return self


class Notifications(Model):
    """What people are told, where, and for how long that is tried."""

    channels: dict[Name, Channel] = Field(default_factory=dict)
    report_link: Annotated[str, Field(pattern=LINK_PATTERN)] | None = Field(
        None, description="where reports are read: https://…/{drill}.html; their path on the host when not given"
    )
    give_up_after: Span = Field(timedelta(days=1), description="how long a message is tried that does not get through")
    pulse: Pulse | None = None


def retry_at(made_at: datetime, attempts: int, now: datetime, spread: float) -> datetime:
    """Return when a message is tried again after so many attempts: 15 s, doubling, at most every 15 minutes.

    `spread` from 0 to 1 takes up to a fifth off, so that channels that failed together are not tried together. Pure.
    """
    wait = min(15.0 * 2 ** max(attempts - 1, 0), 900.0)
    return max(made_at, now.astimezone(UTC)) + timedelta(seconds=wait * (1 - spread / 5))

"""Hooks: programs of a system's own that make its sources stand still for a backup, and let them go on."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from policies.values import Misfit, MisfitError, Model, Name, Span, Words, format_duration

TIMEOUT = timedelta(seconds=60)
LONGEST = timedelta(minutes=5)


class Hook(Model):
    """A program with its arguments, run on the production host as the user that runs the backup. Never a shell."""

    run: tuple[Words, ...] = Field(
        min_length=1, description="absolute path of a program, and its arguments as they are"
    )
    timeout: Span = Field(TIMEOUT, description="it is stopped after this, and counts as failed")

    @model_validator(mode="after")
    def _program_is_a_path(self) -> Self:
        if not self.run[0].startswith("/"):
            hint = "no shell reads it: for pipes and variables write a script and name that"
            raise MisfitError([Misfit(("run",), self.run[0], "the absolute path of a program first", hint)])
        return self


class SourceHooks(Model):
    """What goes before and after one source is captured. `after` runs whenever `before` was begun."""

    before: Hook | None = None
    after: Hook | None = None


class Hooks(Model):
    """What makes the sources of a system one consistent state. Run while the system is active at production."""

    freeze: Hook | None = Field(None, description="before all sources: the system stops writing")
    thaw: Hook | None = Field(
        None, description="after the last source is captured, and after every failure; may be run again, and in vain"
    )
    longest: Span = Field(LONGEST, description="what is frozen longer than this is thawed, and the backup fails")
    sources: dict[Name, SourceHooks] = Field(default_factory=dict, description="by source: around that one alone")

    @model_validator(mode="after")
    def _freeze_and_thaw_fit(self) -> Self:
        misfits = []
        if (self.freeze is None) != (self.thaw is None):
            there, lacking = ("freeze", "thaw") if self.freeze else ("thaw", "freeze")
            misfits.append(Misfit((there,), f"{there} without {lacking}", "both, or neither"))
        if self.freeze and self.freeze.timeout >= self.longest:
            got = f"{format_duration(self.freeze.timeout.total_seconds())} for the freeze alone"
            want = f"less than longest, {format_duration(self.longest.total_seconds())}"
            misfits.append(Misfit(("freeze", "timeout"), got, want, "the captures happen within longest too"))
        if misfits:
            raise MisfitError(misfits)
        return self

    @property
    def every(self) -> dict[str, Hook]:
        """The hooks that are there, by what they are called."""
        named = {"freeze": self.freeze, "thaw": self.thaw}
        for source, each in self.sources.items():
            named |= {f"before:{source}": each.before, f"after:{source}": each.after}
        return {name: hook for name, hook in named.items() if hook}


NO_HOOKS = Hooks()

"""What can go wrong, as types. The exit code of the command line is a property of the type.

    TricenterError                 1  unexpected
    ├── InvalidInput               2  usage, site folder, credentials: a person must change something
    │   ├── UnknownName               a tenant, system, plan or centre that the site does not have
    │   └── CredentialRefused         a password or key was refused by the service it is for
    ├── PartlyDone                 3  some of the work is done, and what is not is named
    ├── CheckFailed                4  an objective was missed, a probe or verification failed
    │   └── CorruptObject             content does not match its name
    ├── Refused                    5  the program will not do this now
    │   ├── Busy                      another run holds the lease
    │   └── NoSpace                   the scratch place is too small
    ├── Unreachable                6  a centre or service does not answer
    ├── ProcessFailed              1  a child process ended badly; carries the end of its stderr
    │   └── ProcessTimeout            … or did not end within its deadline
    └── Interrupted              130  ctrl-C
        └── Aborted                   a person aborted the run

Errors of `policies` are its own (that package imports nothing of ours) and carry the same two attributes.
Messages say what, where and why; `hint` says what to do next. Neither ever holds a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TricenterError(Exception):
    """Base of all our errors."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InvalidInput(TricenterError):
    """Something a person wrote must change before this can work."""

    exit_code = 2


class UnknownName(InvalidInput):
    """The site has no such thing. Names the nearest one it has."""

    def __init__(self, noun: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        shown = ", ".join(names) or "none"
        super().__init__(
            f"no {noun} named {name!r} in this site",
            hint=f"did you mean {near[0]!r}?" if near else f"known: {shown}",
        )


class CredentialRefused(InvalidInput):
    """The service answered, and refused the credential."""


class PartlyDone(TricenterError):
    """Part of the work is done; the message names what is not. A rerun continues."""

    exit_code = 3


class CheckFailed(TricenterError):
    """The thing was looked at and is not as it must be."""

    exit_code = 4


class CorruptObject(CheckFailed):
    """Content does not match the name that is its hash."""


class Refused(TricenterError):
    """The program will not do this now; the hint says under which condition it would."""

    exit_code = 5


class Busy(Refused):
    """Another run holds the lease. Try later."""


class NoSpace(Refused):
    """The scratch place is too small, or became full."""


class Unreachable(TricenterError):
    """A centre or service does not answer. May be retried."""

    exit_code = 6


class Interrupted(TricenterError):
    """A person asked to stop. What was done is kept; a rerun continues."""

    exit_code = 130


class Aborted(Interrupted):
    """A person aborted the run; what it had made was taken away again."""


class ProcessFailed(TricenterError):
    """A child process ended badly."""

    def __init__(self, program: str, code: int, stderr: str) -> None:
        self.program, self.code, self.stderr = program, code, stderr
        last = stderr.strip().splitlines()[-3:]
        super().__init__(f"{program} ended with code {code}: {' / '.join(last) or 'it said nothing'}")


class ProcessTimeout(ProcessFailed):
    """A child process did not end within its deadline and was stopped."""

    def __init__(self, program: str, seconds: float, stderr: str) -> None:
        super().__init__(program, -1, stderr)
        self.args = (f"{program} was stopped: no end after {seconds:.0f} s",)

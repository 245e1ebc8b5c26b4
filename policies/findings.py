"""What a check of the site folder finds: where, what stands there, what was wanted, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

#: A fault must be mended before the site can be used; a warning or a note may stay.
Severity = Literal["fault", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("fault", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. `path` is where in the site, `file` and `line` (from 1) are where it is written."""

    file: Path
    line: int
    path: str
    got: str
    want: str
    hint: str = ""
    severity: Severity = "fault"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}"
        told = f"{place}  {self.path}  " if self.path else f"{place}  "
        return f"{told}got {self.got}, want {self.want}" + (f" ({self.hint})" if self.hint else "")


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings once each: faults first, then by file and line."""

    def place(finding: Finding) -> tuple[int, str, int, str]:
        return SEVERITIES.index(finding.severity), str(finding.file), finding.line, finding.path

    return tuple(sorted(dict.fromkeys(findings), key=place))


class SiteInvalid(Exception):
    """The site folder has faults. Carries all of them; never the value of a secret."""

    exit_code = 2

    def __init__(self, folder: Path, findings: Iterable[Finding]) -> None:
        self.folder = folder
        self.findings = tuple(findings)
        count = f"{len(self.findings)} faults" if len(self.findings) != 1 else "1 fault"
        super().__init__("\n  ".join((f"site folder {folder} has {count}:", *map(str, self.findings))))
        self.hint = f"mend the files; tricenter validate {folder} shows the list again"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` is most likely a misspelling of."""
    found = difflib.get_close_matches(name.lower().replace("_", "-"), (names := list(known)), n=1, cutoff=0.6)
    return found[0] if found else next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.6)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint: the nearest known name, or all of them."""
    names = sorted(known)
    if near := nearest(name, names):
        return f"did you mean {near}?"
    return f"known: {', '.join(names)}" if names else "none is defined"


def spelled(trail: Iterable[str | int], root: str = "") -> str:
    """Return `root` and the steps below it as one path: tenants[health].systems.his.sources."""
    return "".join(_steps(trail, root))


def _steps(trail: Iterable[str | int], root: str) -> Iterator[str]:
    yield root
    first = not root
    for step in trail:
        if isinstance(step, int):
            yield f"[{step}]"
        else:
            yield step if first else f".{step}"
        first = False

"""Exclude patterns, by restic's rules: what the program leaves out of its own look at a tree is what restic leaves out.

The rules are those of restic's filter package. A pattern is matched against the absolute path, name by name: `*`, `?`
and `[a-z]` within one name, `**` for any number of names. One that begins with a slash is matched from the root, any
other one at every depth. What stands below a match is left out with it. A `!` in front, which would take something
back in, is not to be had here: whether a folder is to be entered would depend on what may lie in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

ROOT = "/"
ANY_NAMES = "**"

#: One step of a pattern: the expression of a name, or None for any number of names.
Step = re.Pattern[str] | None


def pattern_fault(pattern: str) -> str:
    """Return why a pattern cannot be honoured exactly, or nothing."""
    if pattern.startswith("!"):
        return "a pattern that takes files back in (!); for a name that begins so write \\!"
    names = pattern.strip("/").split("/")
    if not pattern.strip("/"):
        return "a pattern that matches everything"
    if {".", ".."} & set(names):
        return "a pattern with . or .. as a name"
    if "\0" in pattern:
        return "a pattern with a NUL character"
    try:
        steps_of(pattern)
    except ValueError as error:
        return str(error)
    return ""


def place_fault(pattern: str, folder: str) -> str:
    """Return why a pattern that is right in itself makes no sense for a folder, or nothing."""
    here, steps = _names(folder), steps_of(pattern)
    if any(_matches(steps, here[:depth]) for depth in range(1, len(here) + 1)):
        return f"a pattern that leaves out {folder} itself, with all that it holds"
    if pattern.startswith(ROOT) and None not in steps and not _may_match_below(steps, here):
        return f"a pattern from the root that matches nothing below {folder}"
    return ""


class Excludes:
    """Tells what is left out of the tree below `folder`, whose path is absolute and free of symbolic links."""

    def __init__(self, patterns: Sequence[str], folder: str) -> None:
        self._base = _names(folder)
        every = [steps_of(each) for each in patterns]
        # Of a single name only the last one of a path is asked for: a folder that matches is never entered.
        self._names = [steps[0] for steps in every if len(steps) == 1 and steps[0] is not None]
        self._paths = [steps for steps in every if len(steps) > 1 or steps[0] is None]

    def leave_out(self, names: Sequence[str]) -> bool:
        """Return whether the entry that these names lead to from the folder is left out; its parents are not."""
        if any(each.fullmatch(names[-1]) for each in self._names):
            return True
        return any(_matches(steps, (*self._base, *names)) for steps in self._paths)


@lru_cache(maxsize=256)
def steps_of(pattern: str) -> tuple[Step, ...]:
    """Return the steps of a pattern. Raises ValueError, saying what is wrong, for one that restic refuses."""
    names = [each for each in pattern.split("/") if each]
    root = (re.compile(re.escape(ROOT)),) if pattern.startswith(ROOT) else ()
    return (*root, *(None if each == ANY_NAMES else re.compile(_expression(each), re.DOTALL) for each in names))


def _names(path: str) -> tuple[str, ...]:
    return (ROOT, *(each for each in path.split("/") if each))


def _expression(name: str) -> str:
    """Return Go's filepath.Match of one name as an expression: ^ negates a class, \\ takes the next as it is."""
    made, rest = "", list(name)
    while rest:
        char = rest.pop(0)
        if char in "*?":
            made += ".*" if char == "*" else "."
        elif char == "[":
            made += _class(rest)
        else:
            made += re.escape(_escaped(char, rest))
    return made


def _class(rest: list[str]) -> str:
    negated = bool(rest and rest[0] == "^")
    if negated:
        rest.pop(0)
    ranges: list[str] = []
    while not (rest and rest[0] == "]" and ranges):
        low = _bound(rest)
        high = low
        if rest and rest[0] == "-":
            rest.pop(0)
            high = _bound(rest)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            ranges.append("")  # Go takes a range that is the wrong way round for an empty one
    rest.pop(0)
    inner = "".join(ranges)
    if not inner:
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{inner}]"


def _bound(rest: list[str]) -> str:
    if not rest or rest[0] in "-]":
        raise ValueError("a pattern with a broken [ ]")
    char = _escaped(rest.pop(0), rest)
    if not rest:
        raise ValueError("a pattern whose [ is not closed")
    return char


def _escaped(char: str, rest: list[str]) -> str:
    if char != "\\":
        return char
    if not rest:
        raise ValueError("a pattern that ends with \\")
    return rest.pop(0)


def _matches(steps: Sequence[Step], names: Sequence[str]) -> bool:
    """restic's match: at any depth for a pattern without root, and of a path or any of its parents."""
    if None in steps:
        at = steps.index(None)
        return any(
            _matches((*steps[:at], *[_ANY] * count, *steps[at + 1 :]), names)
            for count in range(len(names) - len(steps) + 2)
        )
    if not steps or len(steps) > len(names):
        return False
    if steps[0] is not None and steps[0].pattern == ROOT:
        return _fits(steps, names)
    return any(_fits(steps, names[offset:]) for offset in range(1, len(names) - len(steps) + 1))


_ANY = re.compile(".*", re.DOTALL)


def _fits(steps: Iterable[Step], names: Sequence[str]) -> bool:
    return all(step is not None and step.fullmatch(name) for step, name in zip(steps, names, strict=False))


def _may_match_below(steps: Sequence[Step], here: Sequence[str]) -> bool:
    return len(steps) > len(here) and _fits(steps[: len(here)], here)

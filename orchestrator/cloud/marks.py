"""The mark that everything Tricenter creates carries. What has no mark is somebody else's and is never touched.

The mark travels in the request that creates the object, in its description: every OpenStack service keeps one, and
so there is no moment at which an object of ours exists without it. Where a service has tags, the tag is set as well,
right after; it is for people and for filters.
"""

from __future__ import annotations

from collections.abc import Iterable

TAG = "managed-by=tricenter"
SUFFIX = f"[{TAG}]"


def marked(description: str) -> str:
    """Return a description that carries the mark."""
    return f"{description} {SUFFIX}".strip()


def is_ours(description: str | None, tags: tuple[str, ...] = ()) -> bool:
    """Tell whether Tricenter created what has this description and these tags."""
    return SUFFIX in (description or "") or TAG in tags


def unmarked(description: str | None) -> str:
    """Return a description as it was before `marked`."""
    return (description or "").removesuffix(SUFFIX).strip()


#: What a project is labelled with, beside the mark: the bureau's code, its 等保 level, and who answers for it.
LABELS = ("contact", "mlps", "unit-code")

#: Keystone takes neither of these in a tag; their full-width forms read the same.
_TAKEN_FOR = str.maketrans({",": "，", "/": "／"})
LONGEST_TAG = 255


def label(name: str, value: str) -> str:
    """Return a label as a tag that Keystone takes: `mlps=3`. Pure."""
    assert name in LABELS
    return f"{name}={' '.join(value.split())}".translate(_TAKEN_FOR)[:LONGEST_TAG].strip()


def labels_of(tags: Iterable[str]) -> tuple[str, ...]:
    """Return those of a project's tags that are labels, in their order. Pure."""
    return tuple(sorted(each for each in tags if each.partition("=")[0] in LABELS and "=" in each))


def drill_mark(drill: str) -> str:
    """Return the mark of what one drill made: it stands in a description beside the other, or as metadata."""
    return f"[drill={drill}]"


def marked_for(drill: str, description: str = "") -> str:
    """Return a description that says Tricenter made this, for this drill."""
    return marked(f"{description} {drill_mark(drill)}".strip())


def is_of_drill(drill: str, description: str | None) -> bool:
    """Tell whether a description carries the drill's mark."""
    return drill_mark(drill) in (description or "") and is_ours(description)


def is_of_any_drill(description: str | None) -> bool:
    """Tell whether a description carries the mark of some drill."""
    return "[drill=" in (description or "") and is_ours(description)


def unmarked_of_drill(drill: str, description: str | None) -> str:
    """Return a description without the drill's mark; Tricenter's own stays."""
    return " ".join((description or "").replace(drill_mark(drill), "").split())


def drill_metadata(drill: str) -> dict[str, str]:
    """Return the marks as metadata, for servers and volumes."""
    return {"managed-by": "tricenter", "drill": drill}

"""The mark that everything Tricenter creates carries. What has no mark is somebody else's and is never touched.

The mark travels in the request that creates the object, in its description: every OpenStack service keeps one, and
so there is no moment at which an object of ours exists without it. Where a service has tags, the tag is set as well,
right after; it is for people and for filters.
"""

from __future__ import annotations

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

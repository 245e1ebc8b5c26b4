"""A manifest looked at as the folder tree that it is of: what lies where, how large, and what has a similar name. Pure.

Paths are as manifests have them: from the source's folder, parts joined by `/`, nothing in front. The empty path is
the folder itself.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from orchestrator.backups.sources.path import Manifest
from orchestrator.errors import InvalidInput

NEAR = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """What lies directly in a folder; of a folder, how many files are below it and their bytes."""

    name: str
    is_folder: bool
    files: int
    bytes: int


def as_path(text: str, start: str | None = None) -> str:
    """Return a path from the source's folder on, from what a person types: `/a/b/`, `./a/b`, or a path below `start`.

    Raises InvalidInput for a path that goes up.
    """
    plain = text
    if start and (text.rstrip("/") == start.rstrip("/") or text.startswith(start.rstrip("/") + "/")):
        plain = text[len(start.rstrip("/")) :]
    parts = [each for each in plain.split("/") if each not in ("", ".")]
    if ".." in parts:
        raise InvalidInput(f"{text}: a path in a recovery point does not go up", hint="write it from the source's root")
    return "/".join(parts)


def below(manifest: Manifest, path: str) -> Manifest:
    """Return the file at a path, or all files below the folder there. Empty when there is neither."""
    if not path:
        return dict(manifest)
    if path in manifest:
        return {path: manifest[path]}
    start = path + "/"
    return {key: state for key, state in manifest.items() if key.startswith(start)}


def entries(manifest: Manifest, folder: str) -> list[Entry]:
    """Return what lies directly in a folder, by name. Links, special files and empty folders are in no manifest."""
    start = f"{folder}/" if folder else ""
    sums: dict[tuple[str, bool], list[int]] = {}
    for key, state in manifest.items():
        if key.startswith(start):
            name, slash, _ = key[len(start) :].partition("/")
            total = sums.setdefault((name, bool(slash)), [0, 0])
            total[0] += 1
            total[1] += state.size
    return [Entry(name, is_folder, *total) for (name, is_folder), total in sorted(sums.items())]


def nearest(manifest: Manifest, path: str) -> list[str]:
    """Return paths that somebody may have meant who wrote `path`: of that name elsewhere, or of a similar one there."""
    name = path.rpartition("/")[2]
    same = [key for key in manifest if key == name or key.endswith(f"/{name}")]
    folder = path.rpartition("/")[0]
    wrong = name
    while folder and not below(manifest, folder):
        folder, _, wrong = folder.rpartition("/")
    there = [each.name for each in entries(manifest, folder)]
    similar = difflib.get_close_matches(wrong, there, n=NEAR, cutoff=0.5)
    found = [*same[:NEAR], *(f"{folder}/{each}" if folder else each for each in similar)]
    return list(dict.fromkeys(found))[:NEAR]

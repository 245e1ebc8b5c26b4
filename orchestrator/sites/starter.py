"""Writes the starter site: a commented folder that is valid as written and says where to change what."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from orchestrator.errors import InvalidInput, Refused


def write_starter(folder: Path) -> tuple[Path, ...]:
    """Write the starter site into `folder`, which is made, and return its files.

    Raises Refused when the folder holds anything, and InvalidInput when it cannot be written. Nothing that exists is
    changed. When it was killed half-way it may be repeated: site.yaml is written last, so a folder without it that
    holds nothing but files of the starter is one that was not finished.
    """
    wanted = _starter()
    try:
        _refuse_foreign(folder, wanted)
        for name, content in wanted.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _part(target).write_bytes(content)
            _part(target).replace(target)
    except OSError as error:
        why = (error.strerror or "it cannot be written").lower()
        raise InvalidInput(f"cannot write the starter site to {folder}: {why}", hint="name another folder") from error
    return tuple(folder / name for name in wanted)


def _starter() -> dict[Path, bytes]:
    with as_file(files("policies") / "starter") as root:
        found = {file.relative_to(root): file.read_bytes() for file in sorted(root.rglob("*.yaml"))}
    last = Path("site.yaml")
    return {**{name: content for name, content in found.items() if name != last}, last: found[last]}


def _refuse_foreign(folder: Path, wanted: dict[Path, bytes]) -> None:
    if not folder.exists():
        return
    parts = {_part(folder / name) for name in wanted}
    for path in sorted(folder.rglob("*")):
        if path in parts or (path.is_dir() and not path.is_symlink()):
            continue
        name = path.relative_to(folder)
        if name == Path("site.yaml") or wanted.get(name) != (path.read_bytes() if path.is_file() else None):
            raise Refused(
                f"{folder} is not empty: it holds {name}", hint="name a folder that is empty or not there yet"
            )


def _part(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")

"""Files that another program reads again and again while they are written: rules, dashboards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import InvalidInput


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files into `folder`, which is made. Each is there whole or as it was; may be repeated.

    Raises InvalidInput when it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            draft = folder / f".{name}.draft"
            draft.write_text(text, encoding="utf-8")
            draft.replace(folder / name)
    except OSError as error:
        why = (error.strerror or "it cannot be written").lower()
        raise InvalidInput(f"cannot write to {folder}: {why}", hint="name a folder of your own") from error

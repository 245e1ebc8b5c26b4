"""Rules and dashboards as files: another program reads them again and again, and people follow their links."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import InvalidInput

#: Where the documents are, until somebody says where they are served: links of alerts and dashboards begin with it.
DOCS = "https://tricenter.example.gov.cn/docs"


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


def checked_url(name: str, url: str) -> str:
    """Return the URL that option `name` gives, without a slash at its end. Raises InvalidInput when it is none."""
    if not url.startswith(("https://", "http://")):
        raise InvalidInput(f"--{name} {url}: not an address", hint="https://… or http://…")
    return url.rstrip("/")

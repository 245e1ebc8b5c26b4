"""The dashboards as they are shipped: the committed JSON. Nothing here needs what they are made with."""

from __future__ import annotations

import json
from pathlib import Path

from exporters.files import checked_url

#: Where `generate` prints the dashboards, and where they are read from: part of the package.
FOLDER = Path(__file__).with_name("json")


def dashboard_files() -> dict[str, str]:
    """Return the text of every dashboard by the name of its file."""
    return {each.name: each.read_text(encoding="utf-8") for each in sorted(FOLDER.glob("*.json"))}


def written(dashboard: object) -> str:
    """Return a dashboard as the text of its file: always the same for the same dashboard, so that git shows changes."""
    return json.dumps(dashboard, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def addressed(text: str, *, docs: str | None = None, server: str | None = None) -> str:
    """Return a dashboard whose links begin with these addresses, where they are given."""
    dashboard = json.loads(text)
    for name, url in (("docs", docs), ("server", server)):
        if url is None:
            continue
        value = checked_url(name, url)
        for variable in dashboard["templating"]["list"]:
            if variable["name"] == name:
                variable.update(query=value, current={**variable["current"], "text": value, "value": value})
    return written(dashboard)

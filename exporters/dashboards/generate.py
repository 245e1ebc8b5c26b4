"""Print the dashboards: python -m exporters.dashboards.generate."""

from __future__ import annotations

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from exporters.dashboards import centre, drills, engine, overview, system, tenants
from exporters.dashboards.shipped import FOLDER, written


def dashboards() -> list[model.Dashboard]:
    """Return all of them, in the order in which they are read."""
    return [each.dashboard() for each in (overview, system, centre, drills, tenants, engine)]


def printed() -> dict[str, str]:
    """Return the text of every dashboard by the name of its file, which is its uid."""
    return {f"{each.uid}.json": written(json.loads(json.dumps(each, cls=JSONEncoder))) for each in dashboards()}


if __name__ == "__main__":
    texts = printed()
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        (FOLDER / name).write_text(text, encoding="utf-8")

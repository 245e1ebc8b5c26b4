"""The example site with channels, a real catalogue, and a clock that stands still until it is moved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_news import Clock

from orchestrator.catalogue.store import Catalogue
from orchestrator.notify import courier
from policies.load import load_site
from policies.notifications import Notifications
from policies.site import Site

DALIAN = Path(__file__).parents[3] / "examples" / "dalian"


@pytest.fixture(scope="session")
def dalian() -> Site:
    return load_site(DALIAN)


@pytest.fixture(scope="session")
def site(dalian: Site) -> Site:
    rules = {
        "channels": {
            "duty": {"url": "env:DUTY"},
            "boss": {"url": "env:BOSS", "severity": "critical", "language": "zh"},
            "drills": {"url": "env:DRILLS", "events": ["drill", "approval"]},
        }
    }
    return dalian.model_copy(update={"notifications": Notifications.model_validate(rules)})


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    """One for a module: who needs it empty empties it."""
    made = Catalogue(f"sqlite:///{tmp_path_factory.mktemp('catalogue') / 'catalogue.sqlite'}")
    yield made
    made.engine.dispose()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(courier, "clock", made)
    return made

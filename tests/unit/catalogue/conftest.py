"""The small town as a fixture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_town import DALIAN, Town, small_site, tier

from orchestrator.catalogue.store import Catalogue
from policies.load import load_site
from policies.site import Site


@pytest.fixture(scope="session")
def sites() -> dict[str, Site]:
    return {"usual": small_site(tier()), "short": small_site(tier(keep="1d")), "dalian": load_site(DALIAN)}


@pytest.fixture
def town(tmp_path: Path, sites: dict[str, Site]) -> Iterator[Town]:
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    yield Town(catalogue, sites["usual"])
    catalogue.engine.dispose()

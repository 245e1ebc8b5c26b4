"""A catalogue, a site, and the application over both, asked as a server would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_flows import HEADERS, Hand, catalogue_at, control_of
from starlette.testclient import TestClient

from orchestrator.catalogue.store import Catalogue
from orchestrator.server.control import Served
from orchestrator.server.http import application
from policies.load import load_site
from policies.site import Site

DALIAN = Path(__file__).parents[3] / "examples" / "dalian"


@pytest.fixture(scope="session")
def site() -> Site:
    return load_site(DALIAN)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Catalogue]:
    with catalogue_at(f"sqlite:///{tmp_path / 'catalogue.sqlite'}") as made:
        yield made


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    """The catalogue that a command on the example site works with."""
    url = f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    monkeypatch.setenv("TRICENTER_SITE", str(DALIAN))
    monkeypatch.setenv("TRICENTER_DATABASE_URL", url)
    with catalogue_at(url) as made:
        yield made


@pytest.fixture
def hand(store: Catalogue) -> Hand:
    return Hand(store)


@pytest.fixture
def api(site: Site, store: Catalogue) -> Iterator[TestClient]:
    """The API, asked by somebody who has the token."""
    served = Served(site, store, control_of(store))
    with TestClient(application(served), base_url="http://server/api/v1", headers=HEADERS) as client:
        yield client

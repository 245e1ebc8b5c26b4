"""`tricenter db` on SQLite files of every kind."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.commands import db
from orchestrator.catalogue.database import open_engine
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import InvalidInput
from tests.migration_contract import write_version_1


@pytest.fixture
def app(tmp_path: Path) -> Any:
    calls: list[str] = []
    url = f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    return SimpleNamespace(database_url=url, upgrade_engine=lambda: calls.append("engine"), calls=calls)


def call(app: Any, *words: str) -> Result:
    return CliRunner().invoke(db, words, obj=app)


def told(app: Any) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(call(app, "status", "--output", "json").stdout)
    return report


def make_old(app: Any) -> None:
    engine = open_engine(app.database_url)
    write_version_1(engine)
    engine.dispose()


def test_a_database_that_is_not_there_yet_is_empty_and_stays_so(app: Any, tmp_path: Path) -> None:
    assert (told(app)["state"], told(app)["version"]) == ("empty", None)
    assert "empty" in call(app, "status").stdout
    assert list(tmp_path.iterdir()) == []


def test_an_old_one_is_upgraded_once_and_the_engine_with_it(app: Any) -> None:
    make_old(app)
    assert (told(app)["state"], [each["version"] for each in told(app)["steps"]]) == ("old", [2, 3, 4, 5, 6])
    dry = call(app, "upgrade", "--dry-run")
    assert (dry.exit_code, "2:" in dry.stdout, app.calls, told(app)["version"]) == (0, True, [], 1)
    assert call(app, "upgrade").exit_code == 0
    assert (told(app)["state"], told(app)["steps"], app.calls) == ("current", [], ["engine"])
    assert "nothing to do" in call(app, "upgrade").stdout
    Catalogue(app.database_url).engine.dispose()


def test_a_newer_one_is_shown_and_not_touched(app: Any) -> None:
    catalogue = Catalogue(app.database_url)
    with catalogue.engine.begin() as session:
        session.execute(update(t.schema).values(version=99))
    catalogue.engine.dispose()
    assert (told(app)["state"], told(app)["version"], told(app)["known"]) == ("newer", 99, t.SCHEMA_VERSION)
    for words in (["upgrade"], ["upgrade", "--dry-run"]):
        assert isinstance(call(app, *words).exception, InvalidInput)
    assert app.calls == []

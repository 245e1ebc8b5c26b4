"""The versions of the catalogue on a SQLite file, and what the database's URL and errors show."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.catalogue.database import answering, open_engine, read_url, shown_url
from orchestrator.catalogue.migrating import read_version
from orchestrator.errors import InvalidInput, Unreachable
from tests.migration_contract import *  # noqa: F403


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'catalogue.sqlite'}"


def test_a_look_makes_no_file(tmp_path: Path) -> None:
    assert read_version(open_engine(f"sqlite:///{tmp_path / 'none.sqlite'}")) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_postgresql_url_means_our_driver_and_shows_no_password(scheme: str) -> None:
    url = f"{scheme}://li:hunter2@db:5432/tricenter?sslmode=require"
    assert read_url(url).drivername == "postgresql+psycopg"
    assert shown_url(url) == "postgresql+psycopg://li:***@db:5432/tricenter?sslmode=require"


@pytest.mark.parametrize("url", ["postgresql://li:hunter2@h:port/d", "hunter2", "mysql://li:hunter2@h/d", ""])
def test_a_url_that_cannot_be_read_is_not_shown(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        open_engine(url)
    assert "hunter2" not in f"{refused.value}{refused.value.hint}"


def test_a_database_that_does_not_answer_is_said_without_its_password() -> None:
    engine = open_engine("postgresql://li:refused@127.0.0.1:1/d")
    with pytest.raises(Unreachable, match="Connection …") as told, answering(engine), engine.connect():
        pass
    assert "127.0.0.1" in str(told.value)

"""The ledger's contract on a SQLite file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ledger_contract import *  # noqa: F403


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'catalogue.sqlite'}"


@pytest.fixture
def claimers() -> int:
    return 8

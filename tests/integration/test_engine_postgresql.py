"""The contract of an engine, held by the durable one on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.engine.durable import upgrade
from tests.unit.engine import harness
from tests.unit.engine.contract import Contract

pytestmark = pytest.mark.integration


class TestDurable(Contract):
    @pytest.fixture
    def engine(self, postgresql_url: str, tmp_path: Path) -> Iterator[harness.Engine]:
        upgrade(postgresql_url)
        with harness.engine("durable", postgresql_url, tmp_path) as engine:
            yield engine

"""The engine in memory is held to the contract here; the durable one, slower, by the integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.engine import harness
from tests.unit.engine.contract import Contract


class TestInMemory(Contract):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[harness.Engine]:
        with harness.engine("memory", f"sqlite:///{tmp_path / 'catalogue.sqlite'}", tmp_path) as engine:
            yield engine

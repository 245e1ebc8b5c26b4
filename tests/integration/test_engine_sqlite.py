"""The durable engine on SQLite, held to the contract; and the lock that keeps it alone there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.engine import lockfile
from orchestrator.errors import Refused
from orchestrator.process import Child
from tests.unit.engine import harness
from tests.unit.engine.contract import Contract

pytestmark = pytest.mark.integration


class TestDurable(Contract):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[harness.Engine]:
        with harness.engine("durable", f"sqlite:///{tmp_path / 'catalogue.sqlite'}", tmp_path) as engine:
            yield engine


def test_a_second_engine_on_the_same_state_is_refused_and_told_the_pid(tmp_path: Path) -> None:
    script = (
        "import pathlib, time\n"
        "from orchestrator.engine import lockfile\n"
        f"with lockfile.hold(pathlib.Path({str(tmp_path)!r})):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with Child([sys.executable, "-c", script]) as first:
        assert next(first.lines()) == "held"
        with pytest.raises(Refused, match=f"pid {first.pid} holds"), lockfile.hold(tmp_path):
            pass
    # The kernel lets go when the process ends, however it ends: the file that is left means nothing.
    with lockfile.hold(tmp_path):
        pass

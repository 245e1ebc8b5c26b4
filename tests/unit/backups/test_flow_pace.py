"""Which runs keep to the bandwidth of the vaults: all that move data, but for the parts of a recovery."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.backups import flows
from orchestrator.engine.port import FlowSpec, Run
from policies.bandwidth import Rates


class Town:
    """An object graph that notes which of its two sides was used."""

    def __init__(self, parent: str | None, rates: dict[str, Rates]) -> None:
        self.catalogue = SimpleNamespace(run=lambda _: SimpleNamespace(parent=parent))
        self.slow = SimpleNamespace(rates=lambda: rates)
        self.noted: list[tuple[str, Any]] = []

    def limited(self) -> Any:
        return self.slow

    @property
    def run(self) -> Run:
        def attempt(name: str, act: Callable[[], Any]) -> None:
            self.noted.append((name, act()))

        return cast(Run, SimpleNamespace(id="r", attempt=attempt))

    def choose(self) -> Any:
        return flows._at_its_pace(self.run, cast(Any, self))


def test_a_run_keeps_to_the_rates_and_notes_them_and_a_part_of_a_recovery_does_neither() -> None:
    rates = {"provincial": Rates(1 << 20, None)}
    alone, part, free = Town(None, rates), Town("drill", rates), Town(None, {})
    assert alone.choose() is alone.slow
    assert alone.noted == [("bandwidth", rates)]
    assert part.choose() is part
    assert free.choose() is free.slow
    assert part.noted == free.noted == []


@pytest.mark.parametrize("spec", [flows.BACKUP, flows.REPLICATE, flows.VERIFY, flows.HEAL, flows.SPOT_CHECK])
def test_every_flow_that_moves_data_asks(spec: FlowSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked(Exception):
        pass

    def ask(*_: Any) -> None:
        raise Asked

    monkeypatch.setattr(flows, "_at_its_pace", ask)
    arguments = {"system": "a/b", "source": "x", "target": "y", "centre": "x", "depth": "data"}
    with pytest.raises(Asked):
        spec.run(cast(Any, None), SimpleNamespace(system=lambda _: None), arguments)

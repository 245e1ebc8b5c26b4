"""What the schedule asks for is what the flows take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.app import App
from policies.work import Archived, Facts, work_of

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = ("natural-resources", "land-registry")
DALIAN = Path(__file__).parents[3] / "examples" / "dalian"


@pytest.mark.parametrize("known", [Archived(), Archived(NOON - timedelta(days=9), NOON, NOON)])
def test_the_schedule_asks_for_what_the_flows_take(known: Archived) -> None:
    app = App(DALIAN, None)
    ref = app.system("/".join(KEY))
    (name, source), *_ = ((name, each) for name, each in ref.system.sources.items() if each.kind == "postgresql")
    rule = {"archive": {"data_folder": "/srv/land", "passphrase": "env:P"}}
    ruled = type(source).model_validate(source.model_dump() | rule)
    ref = ref._replace(system=ref.system.model_copy(update={"sources": {name: ruled}}))
    facts = Facts(
        known_since={KEY: NOON}, archived={(*KEY, name, centre): known for centre in ("same-city", "provincial")}
    )
    found = [each for each in work_of(ref, facts, NOON, {}) if each.flow.startswith("archive")]
    assert {each.flow for each in found} == {"archive-backup", "archive-observe"}
    for each in found:
        spec = app.flows[each.flow]
        assert set(spec.required) <= set(each.arguments) <= set(spec.known)
        assert spec.subject(each.arguments) == each.subject
        assert {"vault:same-city", "vault:provincial"} <= set(spec.slots(app, each.arguments))

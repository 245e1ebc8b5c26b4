"""The list of metrics: named by the conventions, and the document is what the list prints."""

from __future__ import annotations

import re
from pathlib import Path

from exporters.metrics import METRICS, document

LABELS = {
    *("tenant", "system", "tier", "centre", "plan", "kind", "stage"),
    *("flow", "state", "verdict", "error_type", "version", "site", "channel", "service", "resource", "noun"),
}


def test_document_is_printed_from_the_list() -> None:
    file = Path(__file__).parents[3] / "docs" / "metrics.md"
    assert file.read_text(encoding="utf-8") == document(), "python -m exporters.metrics > docs/metrics.md"


def test_names_are_unique_and_follow_the_conventions() -> None:
    names = [each.name for each in METRICS]
    assert len(set(names)) == len(names)
    for each in METRICS:
        assert re.fullmatch(r"tricenter_[a-z]+(_[a-z]+)*", each.name)
        assert each.name.endswith("_total") == (each.kind == "counter"), each.name
        assert ("timestamp" in each.name) <= each.name.endswith("_timestamp_seconds"), each.name
        assert set(each.labels) <= LABELS, each.name
        assert each.help.endswith("."), each.name
        assert re.search("[一-鿿]", each.zh), each.name

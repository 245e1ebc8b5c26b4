"""The place of a cloud definition: named in arguments, and nothing that a failover could replace or lose."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from orchestrator.backups.access import Access
from orchestrator.backups.places import Back, place_from
from orchestrator.backups.places.cloud import CloudPlace

NOBODY = cast(Access, None)  # it asks nobody


def test_it_is_read_back_from_its_argument_and_replaces_nothing(tmp_path: Path) -> None:
    place = CloudPlace("same-city", "land")
    assert place_from(place.as_argument()) == place
    assert place.swap(NOBODY, "run").before is None
    assert place.undo(NOBODY, "run") is Back.NOTHING
    assert place.data(NOBODY, "run", tmp_path) == tmp_path / "cloud-land" / "cloud.json"

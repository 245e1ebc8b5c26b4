"""Continuous archives as metrics and on the board: the one that is worst off speaks for its system."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from exporters.archive_view import archive_samples
from orchestrator.catalogue.archives import (
    ArchiveAt,
    forget_marks,
    read_archives,
    read_marks,
    record_archive,
    record_mark,
)
from orchestrator.catalogue.board import Verdict, read_board
from orchestrator.catalogue.store import Catalogue
from orchestrator.server.show import render
from policies.archive import Mark, Reach
from policies.load import load_site
from policies.site import Site

DALIAN = Path(__file__).parents[3] / "examples" / "dalian"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TENANT, SYSTEM, CENTRE = "natural-resources", "land-registry", "provincial"


@pytest.fixture
def site() -> Site:
    """The city, with one bureau whose database is archived twice."""
    site = load_site(DALIAN)
    tenant = site.tenants[TENANT]
    system = tenant.systems[SYSTEM]
    (source,) = (each for each in system.sources.values() if each.kind == "postgresql")
    ruled = type(source).model_validate(
        source.model_dump() | {"archive": {"data_folder": "/srv/land", "passphrase": "env:P"}}
    )
    archived = system.model_copy(update={"sources": {"db": ruled, "other": ruled}})
    return site.model_copy(update={"tenants": {TENANT: tenant.model_copy(update={"systems": {SYSTEM: archived}})}})


def seen(source: str, hour: int, *, missing: str | None = None, until: bool = True) -> ArchiveAt:
    at = NOON + timedelta(hours=hour)
    return ArchiveAt(
        TENANT, SYSTEM, source, CENTRE, at, Reach(NOON if until else None, at if until else None, missing), at, at, 1
    )


def samples(found: list[ArchiveAt], site: Site) -> dict[str, float]:
    return {metric.name: value for metric, labels, value in archive_samples(found, site) if labels[3] == CENTRE}


def test_the_one_that_is_worst_off_speaks_for_its_system(site: Site) -> None:
    shown = samples([seen("db", 2), seen("other", 1, missing="0" * 24)], site)
    hour = (NOON + timedelta(hours=1)).timestamp()
    rpo = site.tiers["remote-dr"].copies["provincial"].rpo.total_seconds()
    assert shown == {
        "tricenter_archive_until_timestamp_seconds": hour,
        "tricenter_archive_objective_seconds": rpo,
        "tricenter_archive_observed_timestamp_seconds": hour,
        "tricenter_archive_base_backup_timestamp_seconds": hour,
        "tricenter_archive_missing": 1,
    }


@pytest.mark.parametrize("found", [[], [seen("db", 1)], [seen("db", 1), seen("other", 1, until=False)]])
def test_one_that_is_not_known_or_gives_nothing_back_is_zero(site: Site, found: list[ArchiveAt]) -> None:
    assert samples(found, site)["tricenter_archive_until_timestamp_seconds"] == 0


def test_a_system_without_archives_has_no_such_series() -> None:
    assert not list(archive_samples([], load_site(DALIAN)))


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    yield made
    made.engine.dispose()


def test_the_board_tells_them_beside_the_exposure(site: Site, catalogue: Catalogue) -> None:
    for source, hour in (("db", 2), ("other", 1)):
        record_archive(catalogue, seen(source, hour))
    board = read_board(site, catalogue, NOON + timedelta(hours=3))
    rows = {row.centre: row for row in board.rows}
    assert rows[CENTRE].archived_until == NOON + timedelta(hours=1)
    assert (rows["same-city"].archived, rows["same-city"].archived_until) == (True, None)
    assert {row.verdict for row in board.rows} == {Verdict.NEVER}  # an archive is no recovery point
    console = Console(width=150, record=True, file=StringIO())
    console.print(render(board, 150))
    assert "archive behind:  同城 same-city 无 none  异地 provincial 2h" in console.export_text()


def test_what_was_seen_last_is_known(catalogue: Catalogue) -> None:
    for hour in (1, 2):
        record_archive(catalogue, seen("db", hour))
    assert read_archives(catalogue) == [seen("db", 2)]
    marks = [Mark(NOON + timedelta(hours=hour), f"{hour:024X}", 16 << 20) for hour in range(3)]
    for mark in marks:
        record_mark(catalogue, TENANT, SYSTEM, "db", mark)
    forget_marks(catalogue, TENANT, SYSTEM, "db", marks[2].moment, [marks[0].moment])
    assert read_marks(catalogue, TENANT, SYSTEM, "db") == [marks[0], marks[2]]
    assert not read_marks(catalogue, TENANT, SYSTEM, "other")

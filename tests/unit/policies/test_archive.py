"""What a list of archived segments gives back, what a site may say of an archive, and when its work is wanted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.escrow.named import named_secrets
from policies.archive import ArchiveRule, BaseBackup, Mark, Reach, Segment, name_of, reach_of, segment_of
from policies.load import check_site, load_site
from policies.work import Archived, Facts, Work, work_of

SIZE = 16 << 20
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def name(number: int, timeline: int = 1) -> str:
    return name_of(Segment(timeline, number), SIZE) + "-" + "a" * 40 + ".zst"


def backup(start: int, hour: int) -> BaseBackup:
    stopped = NOON + hour * HOUR
    label = f"b{start}"
    return BaseBackup(label, True, name_of(Segment(1, start), SIZE), stopped - HOUR / 2, stopped, 1)


def mark(number: int, hour: int, timeline: int = 1) -> Mark:
    return Mark(NOON + hour * HOUR, name_of(Segment(timeline, number), SIZE), SIZE)


def reach(numbers: list[int], backups: list[BaseBackup], marks: list[Mark]) -> Reach:
    return reach_of([name(each) for each in numbers], backups, marks, SIZE)


@given(st.integers(1, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.sampled_from([1 << 20, 16 << 20, 1 << 30]))
def test_a_segment_has_one_name(timeline: int, number: int, size: int) -> None:
    segment = Segment(timeline, number)
    assert segment_of(name_of(segment, size), size) == segment


@pytest.mark.parametrize(
    "other", ["000000010000000000000005.00000028.backup", "00000002.history", "000000010000000000000005.partial", "x"]
)
def test_what_is_no_whole_segment(other: str) -> None:
    assert segment_of(other, SIZE) is None


def test_the_names_count_on_over_a_log() -> None:
    assert name_of(Segment(1, 255), SIZE) == "0000000100000000000000FF"
    assert name_of(Segment(1, 256), SIZE) == "000000010000000100000000"


def test_all_from_the_first_backup_to_the_last_mark_that_is_there() -> None:
    marks = [mark(5, 1), mark(7, 2), mark(9, 3)]
    found = reach([3, 4, 5, 6, 7, 8], [backup(3, 0)], marks)
    assert found == Reach(NOON, NOON + 2 * HOUR, None)


def test_a_gap_ends_it() -> None:
    found = reach([3, 4, 5, 7, 8, 9], [backup(3, 0)], [mark(5, 1), mark(7, 2)])
    assert found == Reach(NOON, NOON + HOUR, name_of(Segment(1, 6), SIZE))


def test_a_backup_after_the_gap_begins_anew() -> None:
    found = reach([3, 4, 6, 7, 8, 9], [backup(3, 0), backup(6, 4)], [mark(4, 1), mark(8, 5)])
    assert found == Reach(NOON + 4 * HOUR, NOON + 5 * HOUR, None)


def test_older_backups_count_as_long_as_nothing_is_missing() -> None:
    assert reach([3, 4, 5, 6], [backup(3, 0), backup(5, 4)], [mark(6, 5)]).since == NOON


@pytest.mark.parametrize(
    ("numbers", "backups", "marks"),
    [([], [backup(3, 0)], [mark(3, 1)]), ([3, 4], [], [mark(3, 1)]), ([3, 4], [backup(3, 0)], [])],
    ids=["no segments", "no backup", "no mark"],
)
def test_nothing_is_promised_without(numbers: list[int], backups: list[BaseBackup], marks: list[Mark]) -> None:
    assert reach(numbers, backups, marks) == Reach(None, None, None)


def test_a_mark_before_the_backup_ended_promises_nothing() -> None:
    """The backup is not consistent before its own end."""
    assert reach([3, 4, 5], [backup(3, 4)], [mark(4, 1)]).until is None


def test_a_mark_of_a_timeline_that_was_left_counts_no_longer() -> None:
    names = [name(3), name(4), name(5), name(5, 2), name(6, 2)]
    found = reach_of(names, [backup(3, 0)], [mark(5, 1), mark(6, 2, timeline=2)], SIZE)
    assert found.until == NOON + 2 * HOUR
    assert reach_of(names, [backup(3, 0)], [mark(5, 1)], SIZE).until is None


def test_increments_come_between_fulls() -> None:
    good = {"data_folder": "/data", "passphrase": "env:P"}
    assert ArchiveRule.model_validate(good).full_every == timedelta(days=7)
    with pytest.raises(ValidationError, match="at most 1d"):
        ArchiveRule.model_validate(good | {"full_every": "1d", "incremental_every": "2d"})


@pytest.mark.parametrize("path", ["data", "/data folder", "/data;reboot", "/data$(reboot)", "/data\n"])
def test_a_path_is_one_word_to_a_shell(path: str) -> None:
    with pytest.raises(ValidationError):
        ArchiveRule.model_validate({"data_folder": path, "passphrase": "env:P"})


ARCHIVED = "password: env:HIS, archive: {data_folder: /srv/data, passphrase: 'file:/secrets/his.archive'}}"


def archived_site(folder: Path, change: tuple[str, str] | None = None) -> Path:
    for path in (folder / "site.yaml", folder / "tenants" / "health.yaml"):
        text = path.read_text("utf-8").replace("password: env:HIS}", ARCHIVED)
        path.write_text(text.replace(*change) if change else text, "utf-8")
    return folder


def test_an_archive_takes_vaults_that_speak_tls(site_folder: Path) -> None:
    assert not check_site(archived_site(site_folder)).findings
    archived_site(site_folder, ("https://far", "http://far"))
    (found,) = check_site(site_folder).findings
    assert found.path == "tenants[health].systems.his.sources.db.archive"
    assert "http://far.internal, the vault at provincial" in found.got


def test_only_the_database_at_production_is_archived(site_folder: Path) -> None:
    place = "host: far, database: his, user: backup, " + ARCHIVED
    archived_site(
        site_folder,
        ("    sources:\n", f"    standby: {{provincial: {{db: {{kind: postgresql, {place}}}}}\n    sources:\n"),
    )
    (found,) = check_site(site_folder).findings
    assert found.path == "tenants[health].systems.his.standby.provincial.db.archive"


def test_the_passphrase_is_found_for_the_escrow(site_folder: Path) -> None:
    named = {each.reference for each in named_secrets(load_site(archived_site(site_folder)))}
    assert "file:/secrets/his.archive" in named


# --- work

DB = ("health", "his", "db")


def wanted(folder: Path, known: dict[str, Archived], now: datetime) -> dict[str, Work]:
    site = load_site(archived_site(folder))
    ref = site.system("health", "his")
    assert ref
    archived = {(*DB, centre): each for centre, each in known.items()}
    facts = Facts(known_since={("health", "his"): NOON - timedelta(days=90)}, archived=archived)
    return {each.flow: each for each in work_of(ref, facts, now, {}) if each.flow.startswith("archive")}


def test_a_base_backup_is_wanted_at_once_where_a_centre_has_none(site_folder: Path) -> None:
    found = wanted(site_folder, {"same-city": Archived(NOON, NOON, NOON)}, NOON)
    assert found["archive-backup"].wanted < NOON
    assert found["archive-backup"].arguments["source"] == "db"
    assert found["archive-observe"].wanted < NOON


def test_increments_and_then_a_full_one(site_folder: Path) -> None:
    centres = ("same-city", "provincial")
    day = timedelta(days=1)
    young = wanted(site_folder, dict.fromkeys(centres, Archived(NOON, NOON, NOON)), NOON)
    assert NOON < young["archive-backup"].wanted <= NOON + day
    assert NOON < young["archive-observe"].wanted <= NOON + timedelta(minutes=5)
    assert "full" not in young["archive-backup"].arguments or young["archive-backup"].wanted <= NOON + day
    old = wanted(site_folder, dict.fromkeys(centres, Archived(NOON - 8 * day, NOON, NOON)), NOON)
    assert old["archive-backup"].arguments["full"] == "yes"
    assert old["archive-backup"].wanted <= NOON
    assert old["archive-backup"].arguments["since"] == old["archive-backup"].wanted.isoformat()

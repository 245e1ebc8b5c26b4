"""What restic really printed (0.14 unless said), as values."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestrator.vault.restic.messages import (
    Progress,
    Snapshot,
    Stored,
    Unread,
    parse,
    parse_snapshots,
)

SUMMARY = (
    '{"message_type":"summary","files_new":3,"files_changed":0,"files_unmodified":0,"dirs_new":1,"dirs_changed":0,'
    '"dirs_unmodified":0,"data_blobs":4,"tree_blobs":2,"data_added":3001464,"total_files_processed":3,'
    '"total_bytes_processed":3000013,"total_duration":0.313316528,"snapshot_id":"9b91f739"}'
)
SNAPSHOTS = (
    '[{"time":"2026-11-23T00:52:09.802147076Z","tree":"47c7","paths":["/srv/src"],"hostname":"h","username":"root",'
    '"tags":["a=1","b=2"],"id":"9b91f7393d6d99af18f70be2541b90498a612f7084f4fa005601169c166de0eb","short_id":"9b91f739"},'
    '{"time":"2026-11-22T08:52:09.8+08:00","tree":"47c7","paths":["/x.sql"],"hostname":"h","id":"01c1"}]'
)


@pytest.mark.parametrize(
    ("line", "want"),
    [
        (
            '{"message_type":"status","seconds_elapsed":21,"seconds_remaining":2107213181323,"percent_done":0,'
            '"total_files":1,"bytes_done":183835992,"current_files":["/stdin"]}',
            Progress(183835992, 0, 0, 1),
        ),
        (
            '{"message_type":"status","percent_done":0,"total_files":1,"total_bytes":6}',
            Progress(0, 6, 0, 1),
        ),
        (SUMMARY, Stored("9b91f739", 3, 3000013, 3001464, 0.313316528)),
        (
            '{"message_type":"error","error":{"Op":"read","Path":"prev","Err":22},"during":"archival","item":"prev"}',
            Unread("prev", "read, errno 22"),
        ),
        (
            '{"message_type":"error","error":{"message":"open /a: permission denied"},"item":"/a"}',
            Unread("/a", "open /a: permission denied"),
        ),
        ('{"message_type":"verbose_status","action":"new"}', None),
        ('{"message_type":"summary","dry_run":true}', None),
        ("created restic repository cb5f744f4b at s3:http://127.0.0.1/b/p", None),
        ('{"message_type":"status","percent', None),
        ("", None),
    ],
)
def test_lines(line: str, want: object) -> None:
    assert parse(line) == want


def test_snapshots_are_sorted_by_time_and_aware() -> None:
    early, late = parse_snapshots(SNAPSHOTS)

    assert early.time == datetime(2026, 11, 22, 0, 52, 9, 800000, tzinfo=UTC)
    assert early.tags == frozenset()
    assert late == Snapshot(
        "9b91f7393d6d99af18f70be2541b90498a612f7084f4fa005601169c166de0eb",
        datetime(2026, 11, 23, 0, 52, 9, 802147, tzinfo=UTC),
        frozenset({"a=1", "b=2"}),
        ("/srv/src",),
        "h",
    )


def test_no_snapshots() -> None:
    assert parse_snapshots("null") == parse_snapshots("[]") == []

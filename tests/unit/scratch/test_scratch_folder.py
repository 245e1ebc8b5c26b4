"""Scratch folders: only ours are deleted, and nothing that works in one outlives it."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from orchestrator.errors import NoSpace, ProcessFailed, Refused
from orchestrator.process import spawn, started_at
from orchestrator.scratch.folder import (
    MARK,
    MARKER,
    check_space,
    make_scratch,
    record_server,
    remove_scratch,
    space_watched,
)

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_scratch_folder_goes_with_all_that_is_in_it_and_may_be_removed_again(tmp_path: Path) -> None:
    folder = make_scratch(tmp_path / "root", "run-1", 1000)
    locked = folder / "files" / "只读"
    locked.mkdir(parents=True)
    (locked / "a.txt").write_text("a")
    (folder / "files" / "away").symlink_to(tmp_path)
    locked.chmod(0o500)
    remove_scratch(str(folder))
    remove_scratch(str(folder))
    assert not folder.exists()
    assert tmp_path.exists()
    assert (tmp_path / "root").exists()


def test_a_folder_that_we_did_not_make_is_never_deleted(tmp_path: Path) -> None:
    (tmp_path / "keep.txt").write_text("precious")
    with pytest.raises(Refused):
        remove_scratch(str(tmp_path))
    assert (tmp_path / "keep.txt").read_text() == "precious"


def test_what_is_in_the_way_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "run-1").mkdir()
    (tmp_path / "run-1" / "keep.txt").touch()
    with pytest.raises(Refused):
        make_scratch(tmp_path, "run-1", 0)
    assert not (tmp_path / "run-1" / MARKER).exists()


def test_killed_between_making_and_marking_leaves_what_both_a_rerun_and_a_removal_can_take(tmp_path: Path) -> None:
    (tmp_path / "run-1").mkdir()
    assert (make_scratch(tmp_path, "run-1", 0) / MARKER).exists()
    (tmp_path / "run-2").mkdir()
    remove_scratch(str(tmp_path / "run-2"))
    assert not (tmp_path / "run-2").exists()


def test_killed_half_way_through_a_removal_the_rest_can_still_be_told_to_be_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_scratch(tmp_path, "run-1", 0)
    (folder / "files").mkdir()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_scratch(str(folder))
    assert (folder / MARKER).exists()
    remove_scratch(str(folder))
    assert not folder.exists()


def test_others_cannot_list_a_scratch_folder(tmp_path: Path) -> None:
    assert make_scratch(tmp_path / "root", "run-1", 0).stat().st_mode & 0o066 == 0


def test_a_place_that_is_too_small_is_refused_with_what_is_needed_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(NoSpace) as refused:
        check_space(tmp_path / "not" / "yet", shutil.disk_usage(tmp_path).free)
    assert "MiB are needed" in str(refused.value)
    assert "--scratch DIR" in refused.value.hint
    assert refused.value.exit_code == 5


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        ProcessFailed("psql", 3, "ERROR:  could not extend file: No space left on device"),
        NoSpace("restic met a full disk"),
    ],
)
def test_a_disk_that_becomes_full_is_told_plainly_whoever_meets_it(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(NoSpace) as refused, space_watched(tmp_path / "run"):
        raise error
    assert "became full" in str(refused.value)
    assert "--scratch DIR" in refused.value.hint


def test_another_error_passes_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), space_watched(tmp_path):
        raise PermissionError(errno.EACCES, "no")


@pytest.mark.parametrize("recorded", [True, False])
def test_a_server_ends_with_its_folder_also_when_it_was_never_written_down(tmp_path: Path, recorded: bool) -> None:
    folder = make_scratch(tmp_path, "run-1", 0)
    pid = spawn(SLEEPER, log=tmp_path / "log", env={MARK: str(folder)})
    if recorded:
        record_server(folder, pid)
    environment = Path(f"/proc/{pid}/environ")
    while not environment.read_bytes():  # for a moment of its exec a process has none
        time.sleep(0.001)
    remove_scratch(str(folder))
    assert started_at(pid) is None


def test_a_process_that_only_has_the_pid_of_a_dead_server_is_left_alone(tmp_path: Path) -> None:
    folder = make_scratch(tmp_path, "run-1", 0)
    pid = spawn(SLEEPER, log=tmp_path / "log")
    try:
        started = started_at(pid)
        (folder / "servers.json").write_text(f"[[{pid}, {(started or 0) - 1}]]")
        remove_scratch(str(folder))
        assert started_at(pid) == started
    finally:
        os.kill(pid, 9)

"""A folder that is sealed: nobody writes to it, and who does is named."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.backups.document import SourceProof
from orchestrator.backups.seal.path import prove_folder_sealed, seal_folder
from orchestrator.backups.sources.path import hash_tree
from orchestrator.catalogue.records import SourceCopy
from orchestrator.errors import CheckFailed
from orchestrator.process import Child

QUIET = 0.15


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    return tmp_path


def proof(folder: Path) -> SourceProof:
    facts = {"manifest": {name: asdict(state) for name, state in hash_tree(folder).items()}}
    return SourceProof(SourceCopy("scans", "path", "a" * 64, datetime.now(UTC), 2, 2), facts)


def test_a_quiet_folder_is_sealed_and_a_later_write_is_found(folder: Path) -> None:
    sealed = seal_folder(folder, "scans", quiet_seconds=QUIET)
    assert sealed.detail.startswith("2 files")
    last = proof(folder)
    assert prove_folder_sealed(folder, sealed, (), last).proved
    (folder / "b").write_text("c")
    found = prove_folder_sealed(folder, sealed, (), last)
    assert found.faults == ("b changed", "content of b differs")
    (folder / "b").unlink()
    assert "missing b" in prove_folder_sealed(folder, sealed, (), last).faults


def test_a_folder_that_is_written_to_is_not_sealed(folder: Path) -> None:
    over = threading.Event()

    def write() -> None:
        while not over.wait(0.01):
            (folder / "deep" / "log").write_text(str(time.monotonic()))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(CheckFailed, match=r"still written to: deep/log changed"):
            seal_folder(folder, "scans", quiet_seconds=QUIET)
        assert seal_folder(folder, "scans", ("deep",), quiet_seconds=QUIET)  # what is not backed up may change
    finally:
        over.set()
        writer.join()


def test_a_process_with_a_file_open_for_writing_is_named(folder: Path) -> None:
    named = pytest.raises(CheckFailed, match=r"(sleep|setpriv) \(pid \d+\) has b open for writing")
    with (folder / "b").open("ab") as file, Child(["sleep", "30"], stdout=file), named:
        seal_folder(folder, "scans", quiet_seconds=QUIET)
    assert seal_folder(folder, "scans", quiet_seconds=0.01)

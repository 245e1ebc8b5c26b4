"""The door to child processes, with real children."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from orchestrator import process
from orchestrator.errors import InvalidInput, ProcessFailed, ProcessTimeout


def test_output_and_code() -> None:
    ended = process.run(["sh", "-c", "echo one; echo two >&2"], deadline_seconds=5)
    assert (ended.code, ended.stdout, ended.stderr) == (0, "one", "two")


def test_failure_carries_the_end_of_stderr() -> None:
    with pytest.raises(ProcessFailed, match="broken pump") as caught:
        process.run(["sh", "-c", "echo broken pump >&2; exit 7"], deadline_seconds=5)
    assert caught.value.code == 7


def test_deadline_stops_the_child() -> None:
    with pytest.raises(ProcessTimeout):
        process.run(["sleep", "60"], deadline_seconds=0.2)


def test_the_environment_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "stray")
    assert "AWS_SECRET" not in process.run(["env"], deadline_seconds=5).stdout


def test_children_die_with_a_killed_parent(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    script = (
        "from orchestrator.process import Child\nimport time\n"
        f"child = Child(['sleep', '60'])\nopen({str(mark)!r}, 'w').write(str(child.pid))\ntime.sleep(60)"
    )
    parent = process.spawn([sys.executable, "-c", script], log=tmp_path / "log")
    pid = int(_eventually(lambda: (mark.exists() and mark.read_text()) or None))
    assert process.started_at(pid) is not None
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert _eventually(lambda: process.started_at(pid) is None)


def test_end_session_spares_a_pid_of_somebody_else(tmp_path: Path) -> None:
    pid = process.spawn(["sleep", "60"], log=tmp_path / "log")
    started = process.started_at(pid)
    assert started is not None
    process.end_session(pid, started - 1)
    assert process.started_at(pid) == started
    process.end_session(pid, started)
    assert process.started_at(pid) is None
    os.waitpid(pid, 0)


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(InvalidInput) as caught:
        process.find_program("no-such-program-here", package="some-package")
    assert "some-package" in caught.value.hint


def _eventually(look):  # type: ignore[no-untyped-def]
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("not within 10 s")

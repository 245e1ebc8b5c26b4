import json
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from orchestrator import process
from orchestrator.errors import InvalidInput, TricenterError
from orchestrator.lab import daemons
from orchestrator.lab.daemons import Daemon
from orchestrator.lab.layout import Lab, remember


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    place = Lab(tmp_path / "lab", 40_000)
    remember(place)
    yield place
    daemons.end(each for found in daemons.marked(place).values() for each in found)


def sleeper(name: str = "sleeper", argv: Sequence[str] = ("sleep", "60")) -> Daemon:
    # No shell that execs: in that moment /proc shows no environment, and the mark is not to be seen.
    return Daemon(name=name, place="shared", argv=list(argv), grace_seconds=0.3)


def test_started_server_is_running_and_is_started_once(lab: Lab) -> None:
    assert daemons.start(lab, [sleeper()]) == [sleeper()]
    state, pid = daemons.state(lab, sleeper())
    assert state == "running"
    assert daemons.start(lab, [sleeper()]) == []
    assert daemons.state(lab, sleeper()) == ("running", pid)


def test_a_pid_that_another_process_has_now_is_not_ours(lab: Lab) -> None:
    (lab.pids / "sleeper.json").write_text(json.dumps({"pid": os.getpid(), "started": 1}))
    assert daemons.state(lab, sleeper()) == ("broken", None)
    daemons.stop(lab, [sleeper()])  # must not end the test run
    assert daemons.state(lab, sleeper()) == ("stopped", None)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1}'])
def test_a_torn_record_counts_as_none(lab: Lab, text: str) -> None:
    (lab.pids / "sleeper.json").write_text(text)
    assert daemons.recorded(lab, "sleeper") is None


def test_a_server_whose_record_was_never_written_is_found_and_replaced(lab: Lab) -> None:
    daemons.start(lab, [sleeper()])
    lost = daemons.recorded(lab, "sleeper")
    assert lost
    (lab.pids / "sleeper.json").unlink()
    assert lost in daemons.marked(lab)["sleeper"]
    daemons.start(lab, [sleeper()])
    assert not lost.alive
    assert len(daemons.marked(lab)["sleeper"]) == 1


def test_stop_ends_children_and_those_who_do_not_listen(lab: Lab) -> None:
    stubborn = sleeper(argv=["sh", "-c", "trap '' TERM; sleep 60 & sleep 60; sleep 60"])
    daemons.start(lab, [stubborn])
    wait_until(lambda: len(daemons.marked(lab).get("sleeper", ())) == 3)
    daemons.stop(lab, [stubborn])
    assert daemons.marked(lab) == {}
    assert daemons.state(lab, stubborn) == ("stopped", None)


def test_killed_server_is_broken_and_starts_again(lab: Lab) -> None:
    daemons.start(lab, [sleeper()])
    _, pid = daemons.state(lab, sleeper())
    assert pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert daemons.state(lab, sleeper()) == ("broken", None)
    daemons.start(lab, [sleeper()])
    assert daemons.state(lab, sleeper())[0] == "running"


def test_a_stranger_on_the_port_is_named(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        wanted = Daemon(name="vault", place="provincial", argv=["true"], port=port)
        with pytest.raises(InvalidInput, match=rf"port {port}.*vault.*pid {os.getpid()}"):
            daemons.start(lab, [wanted])
    assert daemons.recorded(lab, "vault") is None


def test_a_server_that_ends_at_once_is_told_with_its_log(lab: Lab) -> None:
    failing = Daemon(name="failing", place="shared", argv=["sh", "-c", "echo no such table; exit 3"], port=1)
    daemons.start(lab, [failing])
    with pytest.raises(TricenterError, match="no such table") as caught:
        daemons.wait(lab, [failing], seconds=5)
    assert str(daemons.log_of(lab, "failing")) in caught.value.hint


def test_a_command_that_fails_is_told_with_its_log(lab: Lab) -> None:
    with pytest.raises(TricenterError, match="half of it") as caught:
        daemons.run(lab, "job", ["sh", "-c", "echo half of it >&2; exit 1"], seconds=10)
    assert "job.log" in caught.value.hint


def test_only_processes_of_this_lab_are_marked(lab: Lab, tmp_path: Path) -> None:
    other = Lab(tmp_path / "lab-2", 41_000)
    remember(other)
    daemons.start(lab, [sleeper()])
    assert daemons.marked(other) == {}
    assert process.started_at(os.getpid()) is not None


def wait_until(condition: object, seconds: float = 5) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)

"""Probes of servers through the real prober program and real prefixes."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from drills.server_probes import probe_server, subject
from drills.vantage import HERE, Vantage, inside
from orchestrator.errors import CheckFailed, Interrupted, InvalidInput, ProcessTimeout, UnknownName
from orchestrator.process import Leash, leashed
from orchestrator.secrets import Secret
from policies.probe import CommandProbe, HttpProbe, TcpProbe

ADDRESSES = {"web-1": "127.0.0.1", "db": "127.0.0.2"}


def secret(reference: str) -> Secret:
    raise AssertionError(f"no probe here has a secret: {reference}")


def command(*words: str, **more: object) -> CommandProbe:
    return CommandProbe.model_validate({"kind": "command", "command": words, **more})


def test_a_port_is_asked_by_the_program_behind_the_prefix(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    way = tmp_path / "way"
    way.write_text(f'#!/bin/sh\necho "$1 $2" >>{trace}\nshift 2\nexec "$@"\n')
    way.chmod(0o755)
    vantage = inside([str(way), "{network}", "{cidr}"], "net-1", "10.0.0.0/24")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = probe_server(TcpProbe(kind="tcp", server="web-1", port=port), ADDRESSES, vantage, 5, secret)
    assert found.passed, found
    assert found.name == f"tcp:web-1:{port}"
    assert found.got == "connected"
    assert "net-1 (10.0.0.0/24)" in found.detail[0]
    assert trace.read_text() == "net-1 10.0.0.0/24\n"


def test_a_failed_probe_is_a_value_and_comes_in_its_time() -> None:
    begin = time.monotonic()
    each = HttpProbe.model_validate({"kind": "http", "server": "db", "port": 1, "within": "1s"})
    found = probe_server(each, ADDRESSES, HERE, 60, secret)
    assert not found.passed
    assert "refused" in found.got
    assert time.monotonic() - begin < 5


def test_a_command_sees_the_addresses_and_not_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIVATE", "word")
    script = (
        "from os import environ as e;print(e['TRICENTER_ADDRESS_WEB_1'], e['TRICENTER_ADDRESS_DB'], 'PRIVATE' in e)"
    )
    each = command(sys.executable, "-c", script, contains="127.0.0.1 127.0.0.2 False")
    found = probe_server(each, ADDRESSES, HERE, 10, secret)
    assert found.passed, found


@pytest.mark.parametrize(
    ("each", "got"),
    [
        (command("sh", "-c", "echo bad >&2; exit 3"), "status 3"),
        (command("true", contains="ok"), "status 0 without 'ok'"),
        (command("/none/such"), "status 127"),
        (command("sleep", "30", timeout="1s"), "no end after 1.0s"),
    ],
)
def test_a_command_that_is_not_as_wanted(each: CommandProbe, got: str) -> None:
    found = probe_server(each, ADDRESSES, HERE, 10, secret)
    assert (found.passed, found.got) == (False, got)


def test_a_way_in_that_does_not_work_is_no_finding_about_the_server() -> None:
    broken = Vantage(("sh", "-c", "echo 'no such namespace' >&2; exit 1"), "network n")
    with pytest.raises(CheckFailed, match="no such namespace"):
        probe_server(TcpProbe(kind="tcp", server="db", port=1), ADDRESSES, broken, 1, secret)


def test_a_server_that_is_none_of_the_systems() -> None:
    with pytest.raises(UnknownName, match="'dn'"):
        probe_server(TcpProbe(kind="tcp", server="dn", port=1), ADDRESSES, HERE, 1, secret)


def test_a_placeholder_that_is_none_is_told() -> None:
    with pytest.raises(InvalidInput, match="placeholder"):
        inside(["way", "{netwrok}"], "n", "c")


def test_what_is_fed_is_in_no_file_and_no_argument() -> None:
    ended = HERE.run(["sh", "-c", "cat; readlink /proc/self/fd/0"], deadline_seconds=5, feed=b"word\n")
    assert ended.stdout.splitlines()[0] == "word"
    assert "memfd:" in ended.stdout


def test_a_vantage_holds_its_deadline() -> None:
    begin = time.monotonic()
    with pytest.raises(ProcessTimeout):
        HERE.run(["sleep", "30"], deadline_seconds=0.3)
    assert time.monotonic() - begin < 5


def test_a_drill_that_was_stopped_has_no_finding() -> None:
    leash = Leash()
    leash.pull(Interrupted("stop"))
    with leashed(leash), pytest.raises(Interrupted):
        probe_server(command("true"), ADDRESSES, HERE, 5, secret)


def test_what_probes_are_called() -> None:
    assert subject(command("/usr/local/bin/check-all", "-v")) == "command:check-all"
    assert os.sep not in subject(HttpProbe(kind="http", server="web-1", path="/a/b"))

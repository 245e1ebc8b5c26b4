"""The command line: what it loads, and how it ends."""

from __future__ import annotations

import sys

import click
import pytest

from orchestrator import cli
from orchestrator.backups.commands import backup
from orchestrator.errors import Refused
from orchestrator.process import run

HEAVY = (
    "openstack",
    "boto3",
    "botocore",
    "dbos",
    "sqlalchemy",
    "pydantic",
    "rich",
    "psycopg",
    "prometheus_client",
    "starlette",
    "uvicorn",
    "urllib3",
)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_loads_no_heavy_library(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom orchestrator import cli\n"
        f"code = cli.run({arguments!r})\n"
        f"loaded = sorted(name for name in {HEAVY!r} if name in sys.modules)\n"
        "print('LOADED', loaded, code)"
    )
    ended = run([sys.executable, "-c", script], deadline_seconds=30)
    assert ended.stdout.splitlines()[-1] == "LOADED [] 0"


def test_a_folder_is_backed_up_without_what_other_sources_and_restores_need() -> None:
    script = (
        "import sys\nimport orchestrator.backups.commands, orchestrator.backups.flows, orchestrator.backups.run\n"
        "import orchestrator.backups.sources.path, orchestrator.engine.inprocess\n"
        "needless = ['openstack', 'boto3', 'psycopg', 'pymysql', 'orchestrator.backups.restore']\n"
        "print([each for each in needless if each in sys.modules])"
    )
    assert run([sys.executable, "-c", script], deadline_seconds=60).stdout == "[]"


def test_every_command_of_the_help_loads() -> None:
    context = click.Context(cli.cli)
    for name in cli.COMMANDS:
        assert cli.cli.get_command(context, name) is not None, name


def test_a_command_that_is_loaded_late_is_called_what_it_is_found_by() -> None:
    context = click.Context(backup)
    names = backup.list_commands(context)
    assert {"run", "list", "verify", "restore", "spot-check"} <= set(names)
    for name in names:
        command = backup.get_command(context, name)
        assert command is not None
        assert command.name == name


def test_an_error_becomes_message_hint_and_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def refuse() -> None:
        raise Refused("not now", hint="wait for the moon")

    monkeypatch.setattr(cli.Rooms, "get_command", lambda *_: refuse)
    assert cli.run(["refuse"]) == 5
    shown = capsys.readouterr().err
    assert "not now" in shown
    assert "wait for the moon" in shown
    assert "Traceback" not in shown


def test_usage_errors_end_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bakcup"]) == 2
    assert "bakcup" in capsys.readouterr().err


def test_an_interrupt_is_heard_where_a_shell_had_it_ignored() -> None:
    script = (
        "import os, signal, sys\nfrom orchestrator import cli\n"
        "cli.run = lambda _: os.kill(os.getpid(), signal.SIGINT)\n"
        "try:\n    cli.main()\nexcept KeyboardInterrupt:\n    print('heard')\n"
    )
    ended = run(["env", "--ignore-signal=INT", sys.executable, "-c", script], deadline_seconds=30)
    assert ended.stdout == "heard"

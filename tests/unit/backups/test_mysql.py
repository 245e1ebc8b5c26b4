"""What is told of a MySQL server: to its programs, and of its refusals."""

from __future__ import annotations

import pymysql
import pytest
from pymysql.constants import CR, ER

from orchestrator.backups.sources.mysql import MysqlServer, explained
from orchestrator.errors import CredentialRefused, InvalidInput, Refused, TricenterError, Unreachable
from orchestrator.secrets import Secret

SERVER = MysqlServer("db.example", 3306, "backup", "permits", Secret("hunter2"))


def test_a_password_stands_in_no_command_line() -> None:
    assert "hunter2" not in " ".join(SERVER.words())
    assert SERVER.environment() == {"MYSQL_PWD": "hunter2"}
    assert SERVER.words()[0] == "--no-defaults"  # anywhere else the programs take it for unknown
    assert "hunter2" not in f"{SERVER} {SERVER!r}"


def test_a_socket_is_named_instead_of_a_host() -> None:
    local = MysqlServer("/run/s", 0, "root", "permits", None)
    assert "--socket=/run/s" in local.words()
    assert not any(each.startswith("--host") for each in local.words())


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (ER.ACCESS_DENIED_ERROR, CredentialRefused),
        (ER.SPECIFIC_ACCESS_DENIED_ERROR, Refused),
        (ER.LOCK_WAIT_TIMEOUT, Refused),
        (ER.BAD_DB_ERROR, InvalidInput),
        (CR.CR_CONN_HOST_ERROR, Unreachable),
        (CR.CR_SERVER_LOST, Unreachable),
    ],
)
def test_a_servers_error_is_one_of_ours_with_what_to_do(code: int, kind: type[TricenterError]) -> None:
    error = explained(SERVER, pymysql.err.OperationalError(code, "it said so"))
    assert type(error) is kind
    assert error.hint

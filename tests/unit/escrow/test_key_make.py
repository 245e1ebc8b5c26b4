"""`tricenter key make`."""

from __future__ import annotations

import stat
from pathlib import Path

from click.testing import CliRunner

from orchestrator.app import App
from orchestrator.escrow.key_commands import key
from orchestrator.secrets import is_made, read_secret


def test_it_writes_a_made_password_once(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "bureau.password"

    assert CliRunner().invoke(key, ["make", str(path)], obj=App(None, None)).exit_code == 0
    made = read_secret(f"file:{path}")
    again = CliRunner().invoke(key, ["make", str(path)], obj=App(None, None))

    assert is_made(made)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert again.exit_code != 0
    assert read_secret(f"file:{path}") == made
    assert made.reveal() not in again.output

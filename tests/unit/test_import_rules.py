"""The architecture is linted, and the linter is shown to bite."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from orchestrator.process import run

ROOT = Path(__file__).parents[2]
LINT = str(Path(sys.executable).with_name("lint-imports"))


def lint(folder: Path) -> tuple[int, str]:
    ended = run([LINT, "--no-cache"], cwd=folder, env={"PYTHONPATH": str(folder)}, deadline_seconds=120, check=False)
    return ended.code, ended.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in ("policies", "orchestrator", "drills", "exporters"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("policies/values.py", "import orchestrator.errors", "policies imports nothing of ours BROKEN"),
        ("orchestrator/vault/planted.py", "import orchestrator.backups.run", "import no room above them BROKEN"),
        ("exporters/planted.py", "import orchestrator.vault.s3", "nothing else BROKEN"),
        ("drills/planted.py", "import subprocess", "by orchestrator.process only BROKEN"),
        ("orchestrator/backups/planted.py", "import orchestrator.cli", "no room imports the CLI BROKEN"),
    ],
)
def test_a_planted_violation_is_caught(copy: Path, file: str, line: str, contract: str) -> None:
    with (copy / file).open("a", encoding="utf-8") as planted:
        planted.write(f"\n{line}\n")
    code, report = lint(copy)
    assert code == 1
    assert contract in report

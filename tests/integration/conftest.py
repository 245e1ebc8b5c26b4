"""A small site of its own for each test module, registered in the lab, with real data in its sources; a PostgreSQL."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.app import App
from orchestrator.lab.progress import Progress
from orchestrator.lab.seed import seed
from orchestrator.process import Finished, run, spawn, started_at
from tests.conftest import RunningLab
from tests.integration import cheap_init
from tests.integration.postgresql import Postgresql

TRICENTER = str(Path(sys.executable).with_name("tricenter"))
DEADLINE_SECONDS = 300

SITE = """
site: {name}
title: {{zh: 测试站点, en: Test site}}
centres:
  production: {{title: {{zh: 生产, en: Production}}, location: {{latitude: 38.9, longitude: 121.6}}}}
  same-city:
    title: {{zh: 同城, en: Same city}}
    location: {{latitude: 39.05, longitude: 121.78}}
    vault: {{endpoint: http://127.0.0.1:1, bucket_prefix: {prefix}, credential: file:none, admin_credential: file:none}}
  provincial:
    title: {{zh: 省级, en: Provincial}}
    location: {{latitude: 41.8, longitude: 123.4}}
    vault: {{endpoint: http://127.0.0.1:2, bucket_prefix: {prefix}, credential: file:none, admin_credential: file:none}}
repository_password: file:none
"""

TENANT = """
tenant: bureau
title: {zh: 测试局, en: Test bureau}
unit_code: T-0001
mlps_level: 2
contact: nobody
systems:
  registry:
    title: {zh: 登记, en: Registry}
    tier: remote-dr
    sources:
      register: {kind: postgresql, host: none, database: none, user: none, password: 'file:none'}
      scans: {kind: path, path: /none}
  notices:
    title: {zh: 公告, en: Notices}
    tier: data-backup
    sources:
      pages: {kind: path, path: /none}
"""


@dataclass(frozen=True)
class SmallSite:
    """A registered, seeded site: tenant `bureau` with `registry` (database and files) and `notices` (files)."""

    name: str
    folder: Path
    overlay: Path
    lab: RunningLab
    env: dict[str, str] = field(default_factory=dict)

    @property
    def app(self) -> App:
        return App(self.folder, self.overlay)

    def variables(self) -> dict[str, str]:
        return {
            "TRICENTER_SITE": str(self.folder),
            "TRICENTER_OVERLAY": str(self.overlay),
            "TRICENTER_LAB": str(self.lab.dir),
            "COLUMNS": "140",
            **self.env,
        }

    def tricenter(self, *words: str, code: int = 0, env: dict[str, str] | None = None) -> Finished:
        """Run the real command line in a process of its own and hold its exit code against `code`."""
        variables = {**self.variables(), **(env or {})}
        ended = run([TRICENTER, *words], env=variables, deadline_seconds=DEADLINE_SECONDS, check=False)
        assert ended.code == code, f"{words}: code {ended.code}, want {code}\n{ended.stdout}\n{ended.stderr}"
        assert "Traceback" not in ended.stderr
        return ended

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.tricenter(*words, "--output", "json", code=code).stdout)

    def kill_in_the_middle(self, *words: str, when: Callable[[], bool], log: Path, number: int = signal.SIGKILL) -> int:
        """Start a command, send it a signal as soon as `when` holds, and return its exit status."""
        pid = spawn([TRICENTER, *words], env=self.variables(), log=log)
        end = time.monotonic() + DEADLINE_SECONDS
        while not when():
            assert started_at(pid) is not None, f"{words} ended before it could be killed: {log.read_text()}"
            assert time.monotonic() < end
            time.sleep(0.002)
        os.kill(pid, number)
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)

    def attempt_is_open(self, step: str) -> bool:
        """Whether an attempt at a step whose name starts with `step` is under way."""
        query = "select count(*) from attempts where outcome = 'started' and step like ?"
        try:
            with closing(sqlite3.connect(self.app.state / "catalogue.sqlite")) as db:
                return bool(db.execute(query, (f"{step}%",)).fetchone()[0])
        except sqlite3.OperationalError:  # the command has not made its tables yet
            return False

    def edited(self, tmp_path: Path, change: Callable[[str], str]) -> Path:
        """Return another overlay: this one with its text changed."""
        other = tmp_path / "overlay.yaml"
        other.write_text(change(self.overlay.read_text(encoding="utf-8")), encoding="utf-8")
        return other


def make_site(lab: RunningLab, folder: Path, *, scale: float) -> SmallSite:
    """Write, register and seed a site, and make its tenant's buckets."""
    name = f"test-{secrets.token_hex(3)}"
    (folder / "tenants").mkdir(parents=True)
    (folder / "site.yaml").write_text(SITE.format(name=name, prefix=f"{name}-"), encoding="utf-8")
    (folder / "tenants" / "bureau.yaml").write_text(TENANT, encoding="utf-8")
    overlay = lab.register(folder)
    seed(lab.lab, folder, Progress(), scale=scale)
    site = SmallSite(name, folder, overlay, lab)
    for centre in ("same-city", "provincial"):
        site.app.vault_admin(centre).ensure_bucket(site.app.vault(centre).bucket("bureau"), lock_days=1)
    return site


@pytest.fixture(scope="session", autouse=True)
def real_restic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the restic that is installed. What the tests find before it makes repositories that open cheaply.

    Deriving the keys of restic's own would be a good part of the CPU that all these tests take.
    """
    restic = shutil.which("restic") or "/usr/bin/restic"  # where the lab will install it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{cheap_init.program(tmp_path_factory.mktemp('restic'), restic)}:{os.environ['PATH']}")
        yield Path(restic).parent


@pytest.fixture(scope="module")
def small_site(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> SmallSite:
    return make_site(lab, tmp_path_factory.mktemp("site") / "site", scale=0.2)


@pytest.fixture
def fresh_site(lab: RunningLab, tmp_path: Path) -> SmallSite:
    """A site of which nothing was backed up yet."""
    return make_site(lab, tmp_path / "site", scale=0.2)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A PostgreSQL server, reached by TCP."""
    # Not in pytest's own folders: a second pytest closes them to all other users, and PostgreSQL runs as one.
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="tricenter-test-") as place:
        Path(place).chmod(0o711)
        server = Postgresql(Path(place))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def postgresql_url(postgresql: Postgresql) -> str:
    """The URL of an empty PostgreSQL database."""
    return postgresql.new_database()

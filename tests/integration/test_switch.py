"""Switchover, failback and failover, for real: two vaults, three PostgreSQL servers, folders, two people."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from orchestrator.lab.layout import Centre
from orchestrator.lab.postgres import administrator
from orchestrator.process import spawn
from tests.integration.black_hole import black_hole
from tests.integration.conftest import TRICENTER, SmallSite, make_site

pytestmark = pytest.mark.integration

PLAN = """
plan: registry
title: {zh: 登记系统切换预案, en: Switching the registry}
undo_window: 10m
deadline: 10m
systems:
  bureau/registry:
    probes:
      - {kind: sql, source: register, query: SELECT count(*) > 0 FROM persons, expect: 't'}
"""
STANDBY = """
    standby:
      same-city:
        register: {{kind: postgresql, host: 127.0.0.1, port: {city}, database: register, user: standby,
          password: 'file:{secret}'}}
        scans: {{kind: path, path: {folder}/same-city/scans}}
      provincial:
        register: {{kind: postgresql, host: 127.0.0.1, port: {province}, database: register, user: standby,
          password: 'file:{secret}'}}
        scans: {{kind: path, path: {folder}/provincial/scans}}
"""
PASSWORD = "password-of-the-standby"
DECLARER, APPROVER = {"SUDO_USER": "wangmin"}, {"SUDO_USER": "liqiang"}


class SwitchSite:
    """A small site whose registry can be active at all three centres."""

    def __init__(self, site: SmallSite, folder: Path) -> None:
        self.site, self.folder = site, folder

    def start(self, log: Path, *words: str, overlay: Path | None = None) -> int:
        more = ["--overlay", str(overlay)] if overlay else []
        variables = {**self.site.variables(), **DECLARER}
        return spawn([TRICENTER, *more, "drill", "run", "registry", *words, "--output", "json"], env=variables, log=log)

    def run_id(self, kind: str) -> str:
        row = next(each for each in self.site.app.catalogue.runs(flow="drill") if each.arguments.get("kind") == kind)
        return row.id

    def waits_for(self, kind: str, topic: str, log: Path, pid: int) -> str:
        """Return the run of this kind once it waits for a topic."""

        def there() -> bool:
            rows = self.site.app.catalogue.runs(flow="drill")
            return any(
                each.arguments.get("kind") == kind and (each.waiting_for or "").split(":")[0] == topic for each in rows
            )

        until(there, log, pid)
        return self.run_id(kind)

    def database(self, centre: Centre) -> psycopg.Connection[Any]:
        source = self.site.app.system("bureau/registry").system.sources_at(centre)["register"]
        assert source.kind == "postgresql"
        password = self.site.app.secret(source.password).reveal()
        return psycopg.connect(
            host=source.host, port=source.port, dbname=source.database, user=source.user, password=password,
            connect_timeout=5, autocommit=True,
        )  # fmt: skip

    def digests(self, centre: Centre) -> dict[str, Any]:
        from orchestrator.backups.sources.postgresql import fingerprint_tables

        with self.database(centre) as connection:
            connection.autocommit = False
            return dict(fingerprint_tables(connection))


def until(condition: Callable[[], bool], log: Path, pid: int, seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), log.read_text()  # it has ended
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.01)


def ended(pid: int, log: Path, code: int) -> None:
    """Wait for a command and hold its exit code."""
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == code, log.read_text()


@pytest.fixture(scope="module")
def place(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwitchSite]:
    folder = tmp_path_factory.mktemp("switch")
    site = make_site(lab, folder / "site", scale=0.2)
    secret = folder / "standby.password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    for centre in ("same-city", "provincial"):
        (folder / centre).mkdir()
        with administrator(lab.lab, centre=centre) as admin:
            if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = 'standby'").fetchone() is None:
                admin.execute("CREATE ROLE standby LOGIN CREATEDB")
            admin.execute(sql.SQL("ALTER ROLE standby PASSWORD {}").format(sql.Literal(PASSWORD)))
            admin.execute("GRANT pg_signal_backend TO standby")
    tenant = site.folder / "tenants" / "bureau.yaml"
    ports = {"city": lab.lab.database_port("same-city"), "province": lab.lab.database_port("provincial")}
    text = tenant.read_text().replace(
        "  notices:", STANDBY.format(**ports, secret=secret, folder=folder).lstrip("\n") + "  notices:"
    )
    tenant.write_text(text)
    (site.folder / "plans").mkdir()
    (site.folder / "plans" / "registry.yaml").write_text(PLAN)
    made = SwitchSite(site, folder)
    source = site.app.system("bureau/registry").system.sources["register"]
    assert source.kind == "postgresql"
    with administrator(lab.lab) as admin:
        admin.execute(sql.SQL("ALTER ROLE {} CREATEDB").format(sql.Identifier(source.user)))
    site.tricenter("backup", "run")
    site.tricenter("replicate")
    try:
        yield made
    finally:
        for centre in ("same-city", "provincial"):
            with administrator(lab.lab, centre=centre) as admin:
                rows = admin.execute("SELECT datname FROM pg_database WHERE datdba = 'standby'::regrole").fetchall()
                for (name,) in rows:
                    admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def writing(place: SwitchSite, centre: Centre) -> Iterator[list[int]]:
    """Write row after row into the register at a centre, and note each that was acknowledged, until it is refused."""
    acknowledged: list[int] = []
    stop = threading.Event()
    with place.database(centre) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS load (id bigserial PRIMARY KEY, at timestamptz DEFAULT now())")

    def write() -> None:
        try:
            with place.database(centre) as connection:
                while not stop.is_set():
                    row = connection.execute("INSERT INTO load DEFAULT VALUES RETURNING id").fetchone()
                    assert row is not None
                    acknowledged.append(row[0])
                    time.sleep(0.002)
        except psycopg.Error:
            return  # sent away: the seal

    writers = [threading.Thread(target=write, daemon=True) for _ in range(3)]
    for each in writers:
        each.start()
    try:
        yield acknowledged
    finally:
        stop.set()
        for each in writers:
            each.join(20)


def test_a_switchover_under_load_loses_nothing_and_a_failback_brings_everything_home(
    place: SwitchSite, tmp_path: Path
) -> None:
    log = tmp_path / "switchover.log"
    with writing(place, "production") as acknowledged:
        pid = place.start(log, "--kind", "switchover", "--centre", "same-city", "--reason", "planned")
        run = place.waits_for("switchover", "approve", log, pid)
        refused = place.site.tricenter("drill", "approve", run, env=DECLARER, code=5)
        assert "cannot approve" in refused.stderr
        place.site.tricenter("drill", "approve", run, env=APPROVER)
        place.waits_for("switchover", "commit", log, pid)
    with place.database("same-city") as connection:
        kept = {row[0] for row in connection.execute("SELECT id FROM load").fetchall()}
    assert len(acknowledged) > 100
    assert set(acknowledged) == kept  # none lost, and none accepted after the seal
    epoch = place.site.json("epoch", "show")
    assert "same-city" in json.dumps(epoch)
    place.site.tricenter("drill", "commit", run)
    ended(pid, log, 0)
    (row,) = [each for each in place.site.app.catalogue.drills() if each.id == run]
    assert (row.verdict, row.rpo_seconds, row.kind) == ("met", 0.0, "switchover")

    before = place.digests("same-city")
    log = tmp_path / "failback.log"
    pid = place.start(log, "--kind", "failback", "--centre", "production")
    run = place.waits_for("failback", "approve", log, pid)
    place.site.tricenter("drill", "approve", run, env=APPROVER)
    place.waits_for("failback", "commit", log, pid)
    assert place.digests("production") == before
    place.site.tricenter("drill", "commit", run)
    ended(pid, log, 0)
    (row,) = [each for each in place.site.app.catalogue.drills() if each.id == run]
    assert (row.verdict, row.rpo_seconds) == ("met", 0.0)


def test_a_switchover_that_is_undone_leaves_production_as_it_was(place: SwitchSite, tmp_path: Path) -> None:
    before = place.digests("production")
    log = tmp_path / "undone.log"
    pid = place.start(log, "--kind", "switchover", "--centre", "same-city")
    run = place.waits_for("switchover", "approve", log, pid)
    place.site.tricenter("drill", "approve", run, env=APPROVER)
    place.waits_for("switchover", "commit", log, pid)
    place.site.tricenter("drill", "undo", run, "--yes")
    ended(pid, log, 0)
    assert place.digests("production") == before
    with place.database("production") as connection:
        connection.execute("INSERT INTO load DEFAULT VALUES")
    place.site.tricenter("backup", "run", "bureau/registry")


def test_a_switchover_that_is_killed_is_taken_back_by_the_next_command(place: SwitchSite, tmp_path: Path) -> None:
    log = tmp_path / "killed.log"
    pid = place.start(log, "--kind", "switchover", "--centre", "same-city")
    run = place.waits_for("switchover", "approve", log, pid)
    place.site.tricenter("drill", "approve", run, env=APPROVER)
    until(lambda: place.site.attempt_is_open("restore:"), log, pid)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    place.site.tricenter("backup", "run", "bureau/registry")  # clears up first, then reads production as ever
    with place.database("production") as connection:
        connection.execute("INSERT INTO load DEFAULT VALUES")


def test_both_near_centres_burn_and_the_old_production_comes_back(place: SwitchSite, tmp_path: Path) -> None:
    """The province takes over alone; what returns is fenced, its late rows are kept apart, and all goes home again."""
    site = place.site
    site.tricenter("backup", "run", "bureau/registry")
    site.tricenter("replicate", "bureau/registry")
    state, copied = str(site.app.state), tmp_path / "state"
    shutil.copytree(state, copied)  # the province has an orchestrator of its own, with a copy of the catalogue
    there = site.edited(tmp_path, lambda overlay: overlay.replace(f"state: {state}", f"state: {copied}"))
    province = SwitchSite(replace(site, overlay=there), place.folder)
    with place.database("production") as connection:  # what the province does not have
        connection.execute("INSERT INTO load (at) SELECT now() FROM generate_series(1, 3)")
    _fail_over(province, tmp_path)
    with place.database("provincial") as connection:
        assert connection.execute("SELECT count(*) > 0 FROM persons").fetchone() == (True,)
        connection.execute("INSERT INTO load DEFAULT VALUES")

    refused = site.tricenter("backup", "run", "bureau/registry", code=5)
    assert "made bureau/registry active at provincial" in refused.stderr + refused.stdout
    [taken] = site.json("rejoin", "production")["quarantined"]
    found = {each["what"]: each for each in taken["summary"]["sources"]["register"]["differences"]}
    assert (found["public.load"]["added"], found["public.load"]["changed"]) == (3, 0)

    province.site.tricenter("backup", "run", "bureau/registry")
    before = place.digests("provincial")
    log = tmp_path / "failback.log"
    pid = province.start(log, "--kind", "failback", "--centre", "production")
    run = province.waits_for("failback", "approve", log, pid)
    province.site.tricenter("drill", "approve", run, env=APPROVER)
    province.waits_for("failback", "commit", log, pid)
    assert place.digests("production") == before  # and nothing of the three rows: they are in quarantine
    province.site.tricenter("drill", "commit", run)
    ended(pid, log, 0)
    (row,) = [each for each in province.site.app.catalogue.drills() if each.id == run]
    assert (row.verdict, row.rpo_seconds) == ("met", 0.0)


def _fail_over(place: SwitchSite, tmp_path: Path) -> None:
    """Fail over to the province while the packets to production and to same-city vanish."""
    site = place.site
    vault = site.app.vault("same-city").endpoint
    with black_hole() as hole:

        def lose(overlay: str) -> str:
            lost = overlay.replace(vault, f"http://{hole}")
            lost = re.sub(r"host: 127\.0\.0\.1", f"host: {hole.partition(':')[0]}", lost)
            return re.sub(r"path: /.*", "path: /production/is/gone", lost)

        folder = tmp_path / "lost"
        folder.mkdir()
        overlay = site.edited(folder, lose)
        log = tmp_path / "failover.log"
        begin = time.monotonic()
        words = ("--kind", "failover", "--centre", "provincial", "--reason", "fire", "--override", "both are down")
        pid = place.start(log, *words, overlay=overlay)
        run = place.waits_for("failover", "approve", log, pid)
        site.tricenter("--overlay", str(overlay), "drill", "approve", run, env=APPROVER)
        place.waits_for("failover", "commit", log, pid)
        assert time.monotonic() - begin < 120
        site.tricenter("--overlay", str(overlay), "drill", "commit", run)
        ended(pid, log, 3)  # recovered, and not protected at a second centre
    (row,) = [each for each in site.app.catalogue.drills() if each.id == run]
    assert row.verdict == "met"

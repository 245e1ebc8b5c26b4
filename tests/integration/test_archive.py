"""A database is archived to both vaults as it works, and comes back as it was at any moment, from either."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.archive.configuration import postgresql_settings
from orchestrator.catalogue.archives import ArchiveAt, read_archives
from orchestrator.errors import TricenterError, Unreachable
from tests.bench.servers import BY_ROLE
from tests.integration.archive_site import ArchiveTown, archive_town

pytestmark = pytest.mark.integration

SECONDS = 180


@pytest.fixture(scope="module")
def town() -> Iterator[ArchiveTown]:
    """A town whose database is configured, archiving, and has a base backup at each centre."""
    with archive_town() as made:
        _configure(made)
        made.site.tricenter("archive", "backup", "--full")
        yield made


def _configure(town: ArchiveTown) -> None:
    site, archive = town.site, town.site.archive
    (shown,) = site.json("archive", "configure")
    secret = (site.folder / "archive.passphrase").read_text(encoding="utf-8")
    assert not archive.configuration.exists()
    assert "cipher-pass=***" in shown["configuration"]
    assert secret not in json.dumps(shown)
    assert "-secret-of-this-test" not in json.dumps(shown)
    site.tricenter("archive", "configure", "--write")
    site.tricenter("archive", "configure", "--write")  # again, for nothing
    assert archive.configuration.stat().st_mode & 0o777 == 0o600
    assert archive.configuration.owner() == "postgres"
    assert BY_ROLE["expirer"].secret_key not in archive.configuration.read_text(encoding="utf-8")
    refused = site.tricenter("archive", "check", code=4)
    assert "archive_command is empty" in refused.stdout.replace("'", "")
    # A vault that is down is waited for several times this with each request: no test needs minutes of it.
    quick = archive.configuration.read_text(encoding="utf-8").replace("io-timeout=5", "io-timeout=1")
    archive.configuration.write_text(quick, encoding="utf-8")
    with town.postgresql.connect() as db:
        command = postgresql_settings(archive)["archive_command"]
        db.execute(f"alter system set archive_command = '{command}'")  # type: ignore[call-overload]
        db.execute("select pg_reload_conf()")
    (looked,) = site.json("archive", "check")
    assert set(looked["arrived_seconds"]) == {"same-city", "provincial"}
    assert looked["good"]


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


def observe(town: ArchiveTown) -> None:
    app = town.app()
    try:
        app.runner.run("archive-observe", {"system": str(town.site.ref)})
    finally:
        app.runner.close()


def seen(town: ArchiveTown, centre: str) -> ArchiveAt:
    (found,) = (each for each in read_archives(town.app().catalogue) if each.centre == centre)
    return found


def reaches(town: ArchiveTown, centre: str, moment: datetime) -> bool:
    """Look again, and return whether a centre has what was committed by then."""
    with suppress(Unreachable):
        observe(town)
    until = seen(town, centre).reach.until
    return until is not None and until >= moment


def recover(town: ArchiveTown, centre: str, moment: datetime | None, **more: str) -> Any:
    app = town.app()
    arguments = {"system": str(town.site.ref), "source": "db", "centre": centre, **more}
    try:
        return app.runner.run("archive-restore", arguments | ({"at": moment.isoformat()} if moment else {}))
    finally:
        app.runner.close()


def test_a_moment_between_two_commits_comes_back_from_either_centre(town: ArchiveTown, tmp_path: Path) -> None:
    town.add("before")
    then, moment = town.tables(), town.moment()
    town.add("after")
    for centre in ("same-city", "provincial"):
        wait_until(lambda centre=centre: reaches(town, centre, moment))  # type: ignore[misc]
        found = recover(town, centre, moment)
        assert found.tables == then
        assert found.last_commit <= moment
    assert town.tables() != then
    assert not list((town.app().state / "scratch").iterdir())  # nothing is left of it
    # As late as the archive reaches, as a data folder of its own.
    wait_until(lambda: reaches(town, "provincial", town.moment() - timedelta(seconds=5)))
    into = town.postgresql.home.parent / "recovered"
    latest = recover(town, "provincial", None, into=str(into))
    assert latest.tables == town.tables()
    assert (into / "PG_VERSION").exists()
    assert "restore_command" not in (into / "postgresql.auto.conf").read_text(encoding="utf-8")
    refused = town.site.tricenter("archive", "restore", str(town.site.ref), "--into", str(into), code=5)
    assert "is there already" in refused.stderr


def test_a_vault_that_is_down_holds_up_no_other_and_is_caught_up(town: ArchiveTown) -> None:
    observe(town)
    town.weeds["same-city"].stop()
    try:
        before = seen(town, "same-city").reach.until
        town.add("while the near vault was down")
        then, moment = town.tables(), town.moment()
        town.add("later")
        wait_until(lambda: reaches(town, "provincial", moment))
        assert seen(town, "same-city").reach.until == before
        assert recover(town, "provincial", moment).tables == then
        with pytest.raises(Unreachable):
            observe(town)
    finally:
        town.weeds["same-city"].start()
    wait_until(lambda: reaches(town, "same-city", moment))
    assert recover(town, "same-city", moment).tables == then


def test_a_killed_base_backup_is_made_good_by_the_next(town: ArchiveTown, tmp_path: Path) -> None:
    site = town.site
    backups = seen(town, "provincial").backups
    words = ("archive", "backup", str(site.ref), "--full", "--centre", "provincial")
    site.kill_in_the_middle(*words, when=lambda: site.attempt_is_open("back-up"), log=tmp_path / "log")
    retried = town.moment()
    site.tricenter(*words)
    near = seen(town, "same-city").backups
    app = town.app()
    try:  # as the schedule asks for it: only the centre that has none since then gets one
        since = {"system": str(site.ref), "source": "db", "since": retried.isoformat()}
        app.runner.run("archive-backup", since)
    finally:
        app.runner.close()
    town.add("after the kill")
    then, moment = town.tables(), town.moment()
    wait_until(lambda: reaches(town, "provincial", moment))
    assert seen(town, "provincial").backups == backups + 1
    assert seen(town, "same-city").backups == near + 1
    assert recover(town, "provincial", moment).tables == then


def test_what_is_in_use_of_an_archive_is_locked_and_comes_back_when_it_was_hidden(town: ArchiveTown) -> None:
    site, prefix = town.site, f"{town.site.archive.prefix}/"
    bucket = town.app().expirer_bucket("same-city", site.archive.ref.tenant.tenant)
    shown = {each.key for each in bucket.list(prefix)}
    (done,) = site.json("vault", "extend", str(site.ref), "--centre", "same-city")
    assert done["objects"] >= len(shown)
    assert (done["unlocked"], done["overwritten"]) == (0, 0)
    assert datetime.fromisoformat(done["locked_until"]) > datetime.now(UTC) + timedelta(days=1)

    town.add("before the attack")
    moment = town.moment()
    wait_until(lambda: reaches(town, "same-city", moment))
    shown = {each.key for each in bucket.list(prefix)}
    time.sleep(1.1)  # versions have whole seconds
    before = datetime.now(UTC).isoformat()
    time.sleep(1.1)
    info = next(key for key in shown if key.endswith("/backup.info"))
    bucket.put(info, b"encrypted, pay here")
    for key in shown - {info}:
        bucket.delete(key)
    undo = ("vault", "undelete", str(site.ref), "--centre", "same-city", "--before", before)
    found = {each["archive"]: each for each in site.json(*undo, "--yes")}
    assert set(found) == {None, site.archive.source}
    assert found[site.archive.source]["uncover"] >= len(shown) - 1
    assert found[site.archive.source]["copy"] >= 1
    assert shown <= {each.key for each in bucket.list(prefix)}
    assert town.tables() == recover(town, "same-city", moment).tables


def test_what_cannot_be_given_back_is_told(town: ArchiveTown) -> None:
    site, secret = town.site, town.site.folder / "archive.passphrase"
    future = (town.moment() + timedelta(days=1)).isoformat()
    with pytest.raises(TricenterError, match="ends before the moment") as ended:
        recover(town, "provincial", datetime.fromisoformat(future))
    assert ended.value.exit_code == 4
    right = secret.read_text(encoding="utf-8")
    secret.write_text("another passphrase", encoding="utf-8")
    try:
        refused = site.tricenter("archive", "restore", str(site.ref), "--centre", "provincial", code=2)
    finally:
        secret.write_text(right, encoding="utf-8")
    assert "cannot be read with this passphrase" in refused.stderr
    assert "another passphrase" not in refused.stderr

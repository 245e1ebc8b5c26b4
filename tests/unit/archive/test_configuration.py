"""What pgBackRest and the database are told: a repository for each centre, and no secret where anybody looks."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from orchestrator.archive.configuration import Repository, masked, postgresql_settings, render
from orchestrator.archive.pgbackrest import PgBackRest
from orchestrator.archive.place import Archive, find_archive
from orchestrator.errors import Busy, CredentialRefused, InvalidInput, Unreachable
from orchestrator.secrets import Secret
from orchestrator.vault.s3 import Credential
from policies.load import load_site

DALIAN = Path(__file__).parents[3] / "examples" / "dalian"
RULE = {"data_folder": "/srv/land", "passphrase": "env:P"}


@pytest.fixture(scope="module")
def archive() -> Archive:
    ref = load_site(DALIAN).system("natural-resources", "land-registry")
    assert ref
    (name, source), *_ = ((name, each) for name, each in ref.system.sources.items() if each.kind == "postgresql")
    ruled = type(source).model_validate(source.model_dump() | {"archive": RULE})
    system = ref.system.model_copy(update={"sources": {name: ruled}})
    return find_archive(ref._replace(system=system), None)


def repository(secret: str = "s3cret") -> Repository:
    return Repository("vault.internal:9000", "us-east-1", "dr-land", Credential("KEY", secret), 35)


def rendered(archive: Archive, passphrase: str = "hunter2", data: Path | None = None) -> str:
    each = {1: repository(), 2: repository("0ther")}
    return render(archive, each, Secret(passphrase), folder=archive.folder, data=data)


def test_each_centre_is_a_repository_beside_the_repositories_of_systems(archive: Archive) -> None:
    told = configparser.ConfigParser(interpolation=None)
    told.read_string(rendered(archive))
    assert archive.centres == ["same-city", "provincial"]
    for number, secret in ((1, "s3cret"), (2, "0ther")):
        assert told["global"][f"repo{number}-s3-key-secret"] == secret
        assert told["global"][f"repo{number}-path"] == f"/0-archive/land-registry/{archive.source}"
        assert told["global"][f"repo{number}-retention-full"] == "35"
        assert told["global"][f"repo{number}-cipher-pass"] == "hunter2"
    assert told[archive.source]["pg1-path"] == "/srv/land"


def test_what_is_shown_holds_no_secret(archive: Archive) -> None:
    shown = masked(rendered(archive))
    assert not [each for each in ("hunter2", "s3cret", "0ther", "KEY\n") if each in shown]
    assert shown.count("=***") == 6


def test_a_copy_knows_no_server_and_archives_nothing(archive: Archive) -> None:
    text = rendered(archive, data=Path("/scratch/data"))
    assert "pg1-path=/scratch/data" in text
    assert "pg1-port" not in text
    assert "/srv/land" not in text


@pytest.mark.parametrize("secret", ["two\nlines", " blank", "blank ", "tab\t"])
def test_a_secret_that_would_be_another_line_is_refused(archive: Archive, secret: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rendered(archive, passphrase=secret)
    assert secret not in str(refused.value)


def test_the_database_is_told_a_command_without_a_secret(archive: Archive) -> None:
    settings = postgresql_settings(archive)
    folder = f"/var/lib/pgbackrest/natural-resources.land-registry.{archive.source}"
    assert settings["archive_command"] == (
        f"pgbackrest --config={folder}/pgbackrest.conf --stanza={archive.source} archive-push %p"
    )
    assert settings["archive_mode"] == "on"


@pytest.mark.parametrize(
    ("code", "said", "kind"),
    [
        (50, "ERROR: [050]: unable to acquire lock on file", Busy),
        (55, "ERROR: [055]: unable to load info file\nFileMissingError: unable to open missing file", InvalidInput),
        (75, "WARN: FormatError: key/value found outside of section\nERROR: [075]: no backup set", CredentialRefused),
        (39, "ERROR: [039]: HTTP request failed with 403 (Forbidden):", CredentialRefused),
        (75, "ERROR: [075]: unable to find backup set with stop time less than '2000'", InvalidInput),
        (49, "ERROR: [049]: unable to connect to 'vault:443': [111] Connection refused", Unreachable),
    ],
)
def test_failures_are_ours(archive: Archive, code: int, said: str, kind: type[Exception]) -> None:
    found = PgBackRest(archive, archive.configuration).explain(code, said)
    assert type(found) is kind
    assert found.hint


def test_a_system_without_an_archive_says_so() -> None:
    ref = load_site(DALIAN).system("natural-resources", "planning-maps")
    assert ref
    with pytest.raises(InvalidInput, match="no source of natural-resources/planning-maps is archived"):
        find_archive(ref, None)

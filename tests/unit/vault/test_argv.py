"""The command lines of restic, word for word, and what never stands in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.secrets import Secret
from orchestrator.vault.restic import argv
from orchestrator.vault.signing import Credential
from policies.bandwidth import Rates

AT = argv.Location("https://vault:8333", "cn-ne-1", "dr-bureau", "land-registry", Path("/var/cache/restic"))
HEAD = (
    "restic --repo s3:https://vault:8333/dr-bureau/land-registry --json --cache-dir /var/cache/restic --cleanup-cache "
    "-o s3.bucket-lookup=path -o s3.region=cn-ne-1"
)


@pytest.mark.parametrize(
    ("words", "want"),
    [
        (
            argv.backup_here(host="bureau", tags=["system=land", "run=7"], exclude=["*.tmp"]),
            "backup --host bureau --tag system=land --tag run=7 --exclude=*.tmp .",
        ),
        (
            argv.backup_stdin("dump.sql", host="bureau", tags=["a"]),
            "backup --host bureau --tag a --stdin --stdin-filename dump.sql",
        ),
        (argv.snapshots(["a", "b"]), "snapshots --no-lock --tag a,b"),
        (argv.snapshots([]), "snapshots --no-lock"),
        (argv.check(read_data=True, lock=False), "check --read-data --no-lock"),
        (argv.check(read_data=False, lock=True), "check"),
        (argv.forget(["a" * 64, "0" * 64]), f"forget {'a' * 64} {'0' * 64}"),
        (argv.restore("a" * 64, Path("/t"), ()), f"restore --no-lock {'a' * 64} --target /t"),
        (
            argv.restore("a" * 64, Path("/t"), ["x[1]/*?", "back\\slash", "!n"]),
            f"restore --no-lock {'a' * 64} --target /t --include=/x\\[1]/\\*\\? --include=/back\\\\slash --include=/!n",
        ),
        (argv.prune(repack=True), "prune --max-unused 5%"),
        (argv.prune(repack=False), "prune --max-unused unlimited"),
    ],
)
def test_command_lines(words: list[str], want: str) -> None:
    assert " ".join(argv.command("restic", AT, *words)) == f"{HEAD} {want}"


@pytest.mark.parametrize("tag", ["a,b", "", " a", "--password-file"])
def test_a_tag_that_restic_would_misread_is_refused(tag: str) -> None:
    with pytest.raises(InvalidInput, match="tag"):
        argv.backup_here(host="h", tags=[tag], exclude=[])


@pytest.mark.parametrize("snapshot", ["latest", "aabbccdd", "", "--keep-last=1", "A" * 64])
def test_only_full_ids_are_forgotten(snapshot: str) -> None:
    with pytest.raises(ValueError, match="full id"):
        argv.forget(["a" * 64, snapshot])


def test_secrets_travel_in_the_environment_only() -> None:
    environment = argv.environment(Credential("AK", "s3-secret"), Secret("repository-secret"))

    assert environment["RESTIC_PASSWORD"] == "repository-secret"
    assert environment["AWS_SECRET_ACCESS_KEY"] == "s3-secret"


def test_the_rates_that_hold_as_it_starts_stand_in_its_command() -> None:
    words = argv.command("restic", AT, "check", rates=Rates(20 << 20, 1 << 30))
    assert " ".join(words) == f"{HEAD} --limit-upload 20480 --limit-download 1048576 check"
    assert " ".join(argv.command("restic", AT, "check", rates=Rates(None, None))) == f"{HEAD} check"

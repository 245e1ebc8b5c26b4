"""How failures of restic are told apart: recorded words of 0.14, and the exit codes of newer versions."""

from __future__ import annotations

import pytest

from orchestrator.errors import (
    Busy,
    CredentialRefused,
    Interrupted,
    InvalidInput,
    NoSpace,
    ProcessFailed,
    TricenterError,
    Unreachable,
)
from orchestrator.vault.restic import failures
from orchestrator.vault.restic.failures import Damaged, Incomplete, NoRepository
from orchestrator.vault.restic.messages import Stored, Unread

NAME = "same-city:dr-bureau/land-registry"
AT = "\nIs there a repository at the following location?\ns3:http://127.0.0.1:8333/dr-bureau/land-registry"
RETRY = (
    "Save(<data/c44377a91f>) returned error, retrying after 552.330144ms: client.PutObject: "
    'Put "http://127.0.0.1:1/x": '
    "dial tcp 127.0.0.1:1: connect: connection refused\n"
)


@pytest.mark.parametrize(
    ("code", "stderr", "want"),
    [
        (1, f"Fatal: unable to open config file: Stat: The specified key does not exist.{AT}", NoRepository),
        (1, "Fatal: wrong password or no key found", CredentialRefused),
        (
            1,
            "Fatal: unable to open config file: Stat: The request signature we calculated does not match the signature "
            f"you provided. Check your key and signing method.{AT}",
            CredentialRefused,
        ),
        (
            1,
            "Fatal: unable to open config file: Stat: The access key ID you provided does not exist in our "
            f"records.{AT}",
            CredentialRefused,
        ),
        (1, f"Fatal: unable to open config file: Stat: Access Denied.{AT}", CredentialRefused),
        (1, "Fatal: create repository failed: The specified bucket does not exist", InvalidInput),
        (
            1,
            "unable to create lock in backend: repository is already locked by PID 8279 on vm by root (UID 0, GID 0)\n"
            "lock was created at 2026-11-23 00:52:57 (3.440913432s ago)\nstorage ID cf9c1e3c\n"
            "the `unlock` command can be used to remove stale locks",
            Busy,
        ),
        (
            1,
            'Fatal: unable to open config file: Stat: Get "http://127.0.0.1:1/dr-t1/?location=": dial tcp 127.0.0.1:1: '
            f"connect: connection refused{AT}",
            Unreachable,
        ),
        (
            1,
            "ignoring error for /big: write /srv/scratch/big: no space left on device\nFatal: There were 189 errors",
            NoSpace,
        ),
        (2, 'cannot dump file: path "/nope" not found in snapshot', InvalidInput),
        (1, 'invalid id "deadbeef": no matching ID found for prefix "deadbeef"', InvalidInput),
        (
            1,
            '{"message_type":"exit_error","code":1,"message":"Fatal: failed to find snapshot: failed to load snapshot '
            '[null]: The specified key does not exist."}',
            InvalidInput,
        ),
        (130, "signal interrupt received, cleaning up", Interrupted),
        (10, "Fatal: repository does not exist", NoRepository),
        (11, "Fatal: something new was said about a lock", Busy),
        (12, "Fatal: something new was said about a password", CredentialRefused),
        (1, RETRY, Unreachable),
        (1, RETRY + "Fatal: wrong password or no key found", CredentialRefused),
        (1, "Fatal: snapshot is empty", ProcessFailed),
        (77, "", ProcessFailed),
    ],
)
def test_classification(code: int, stderr: str, want: type[TricenterError]) -> None:
    error = failures.explain(NAME, code, stderr)

    assert type(error) is want
    assert "land-registry" in str(error)


def test_trouble_that_passed_does_not_hide_what_ended_the_run() -> None:
    error = failures.explain(NAME, 1, RETRY + "Fatal: unable to save snapshot: snapshot is empty")

    assert type(error) is ProcessFailed
    assert "snapshot is empty" in str(error)


def test_names_of_files_are_not_taken_for_causes() -> None:
    item = '{"message_type":"error","error":{"Op":"open","Path":"/x","Err":13},"item":"/already locked"}'

    assert type(failures.explain(NAME, 1, f"{item}\nFatal: odd")) is ProcessFailed


def test_a_wrong_password_may_be_an_overwritten_config() -> None:
    assert "overwritten" in failures.explain(NAME, 1, "Fatal: wrong password or no key found").hint


def test_an_incomplete_backup_names_files_and_keeps_what_was_stored() -> None:
    stored = Stored("ab" * 32, 9, 900, 100, 1.0)
    error = Incomplete(NAME, stored, [Unread(f"/f{number}", "read, errno 13") for number in range(7)])

    assert error.stored is stored
    assert "/f0 (read, errno 13)" in str(error)
    assert "2 more" in str(error)
    assert "/f6" not in str(error)


def test_a_check_names_the_packs_that_are_lost_or_of_another_size() -> None:
    lost, short = "1154201bcb152e61366d6866daa2ff11539159fd6d63637a13e8529188a9b6ed", "ab" * 32
    said = (
        f"pack {lost}: does not exist\npack {lost}: does not exist\n"
        f"pack {short}: unexpected file size: got 1000, expected 16823928\nFatal: repository contains errors\n"
    )
    damaged = Damaged(NAME, said)
    assert damaged.packs == (lost, short)
    assert NAME in str(damaged)
    assert "repository contains errors" in str(damaged)
    assert Damaged(NAME, "").packs == ()

"""Reading what restic writes: an early end is told by its cause, and not by what half of the data looked like."""

from __future__ import annotations

import pytest

from orchestrator.errors import CheckFailed, CredentialRefused, Unreachable
from orchestrator.process import Child
from orchestrator.vault.restic.running import Invocation, Limits, reading

GONE = "echo half; echo 'Load(<data/12>) returned error, retrying after 1s: EOF' >&2; exec sleep 60"
REFUSED = "echo half; echo 'Fatal: wrong password or no key found' >&2; exit 1"
ENDLESS = "exec cat /dev/zero"


def restic(script: str) -> Invocation:
    """Return a restic that is this script, of a vault that is away."""
    return Invocation("same-city:x", ["sh", "-c", script], {}, Limits(60, 60, gone_seconds=0), lambda: False)


def unpack(child: Child, size: int = -1) -> None:
    """Stand for what reads an archive, a dump or an image, and makes nothing of half of one."""
    child.read(size)
    raise CheckFailed("half of an archive")


def test_a_vault_that_goes_away_is_told_and_not_what_came_of_it() -> None:
    with pytest.raises(Unreachable, match="stopped answering") as caught, reading(restic(GONE)) as child:
        unpack(child)
    assert isinstance(caught.value.__cause__, CheckFailed)


def test_so_is_whatever_else_ended_restic() -> None:
    with pytest.raises(CredentialRefused), reading(restic(REFUSED)) as child:
        unpack(child)


@pytest.mark.parametrize("script", [ENDLESS, "echo all of it"])
def test_a_reader_that_fails_by_itself_is_told_as_such(script: str) -> None:
    with pytest.raises(CheckFailed, match="half"), reading(restic(script)) as child:
        unpack(child, 4)

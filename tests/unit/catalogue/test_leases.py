"""Leases: who may hold one beside whom, and what the dead hold."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from orchestrator.catalogue import tables
from orchestrator.catalogue.database import now
from orchestrator.catalogue.leases import hold
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import Busy
from orchestrator.process import run


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")


def test_shared_beside_shared(catalogue: Catalogue) -> None:
    with hold(catalogue, "r", "one", exclusive=False) as first, hold(catalogue, "r", "two", exclusive=False) as second:
        assert second > first


@pytest.mark.parametrize(("mine", "theirs"), [(True, True), (True, False), (False, True)])
def test_exclusive_beside_nothing(catalogue: Catalogue, mine: bool, theirs: bool) -> None:
    with (
        hold(catalogue, "r", "one", exclusive=mine),
        pytest.raises(Busy, match="in use by run one"),
        hold(catalogue, "r", "two", exclusive=theirs),
    ):
        raise AssertionError("two holders")


def test_names_do_not_meet(catalogue: Catalogue) -> None:
    with hold(catalogue, "r", "one", exclusive=True), hold(catalogue, "s", "two", exclusive=True):
        pass


def test_released_after_the_block_also_when_it_fails(catalogue: Catalogue) -> None:
    with pytest.raises(KeyError), hold(catalogue, "r", "one", exclusive=True):
        raise KeyError
    with hold(catalogue, "r", "two", exclusive=True) as fence:
        assert fence == 2


def test_the_dead_hold_nothing(catalogue: Catalogue) -> None:
    script = (
        "import os, signal\nfrom orchestrator.catalogue.leases import hold\n"
        "from orchestrator.catalogue.store import Catalogue\n"
        f"with hold(Catalogue({catalogue.url!r}), 'r', 'killed', exclusive=True):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert run([sys.executable, "-c", script], deadline_seconds=30, check=False).code == -9
    with catalogue.engine.connect() as db:
        assert db.execute(select(tables.lease_holders.c.holder)).scalars().all() == ["killed"]
    with hold(catalogue, "r", "next", exclusive=True):
        pass


@pytest.mark.parametrize(("left", "held"), [(timedelta(seconds=30), True), (timedelta(seconds=-1), False)])
def test_another_host_holds_until_its_lease_expires(catalogue: Catalogue, left: timedelta, held: bool) -> None:
    row = {"name": "r", "holder": "far", "exclusive": 1, "fence": 1, "host": "elsewhere", "pid": 1, "pid_started": 1}
    with catalogue.engine.begin() as db:
        db.execute(insert(tables.lease_holders).values(**row, expires_at=now() + left))
    try:
        with hold(catalogue, "r", "near", exclusive=True):
            assert not held
    except Busy:
        assert held


def test_a_held_lease_does_not_expire(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.catalogue.leases.RENEWALS_PER_LIFETIME", 6000)
    with hold(catalogue, "r", "one", exclusive=True):
        long_ago = now() - timedelta(hours=1)
        with catalogue.engine.begin() as db:
            db.execute(update(tables.lease_holders).values(expires_at=long_ago))
        for _ in range(500):
            with catalogue.engine.connect() as db:
                if db.execute(select(tables.lease_holders.c.expires_at)).scalar_one() > now():
                    return
    raise AssertionError("the lease was not renewed")

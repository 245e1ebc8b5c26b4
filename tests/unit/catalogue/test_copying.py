"""A copy of the catalogue holds what it held, and nobody who was at work on it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.audit import seal
from orchestrator.catalogue.audit_check import check
from orchestrator.catalogue.copying import copy_catalogue
from orchestrator.catalogue.keys import BundleAt, EscrowCheck, read_keys, record_bundle, record_checks, record_password
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import Order, RunState
from orchestrator.catalogue.store import Catalogue

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def order() -> Order:
    return Order(
        flow="backup", subject="a/b", arguments={"system": "a/b"}, slots=(), priority=1, deadline=None, reason="x",
        requested_by="test",
    )  # fmt: skip


def test_a_copy_is_a_catalogue_that_nobody_works_on(tmp_path: Path) -> None:
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'a.sqlite'}")
    catalogue.register_systems([("a", "b")])
    (run,) = Ledger(catalogue).submit_new([order()])
    record_checks(catalogue, [EscrowCheck(NOW, "provincial", "k", NOW, ("one", "two"))], "me@here")
    with catalogue.engine.begin() as db:
        db.execute(insert(t.lease_fences).values(name="lease", fence=7))
    seal(catalogue.engine, "sha256", wait=True)
    for _ in range(2):  # over one that was left there
        copy_catalogue(catalogue, tmp_path / "b.sqlite")
    assert [each.name for each in tmp_path.glob("b.sqlite*")] == ["b.sqlite"]
    other = Catalogue(f"sqlite:///{tmp_path / 'b.sqlite'}")
    with other.engine.connect() as db:
        assert db.execute(select(t.runs.c.id, t.runs.c.state)).all() == [(run.id, RunState.INTERRUPTED)]
        assert db.execute(select(t.lease_fences.c.fence)).scalar() == 7
    assert check(other, {}).broken is None
    assert read_keys(other).checks == read_keys(catalogue).checks
    assert catalogue.run(run.id).state == RunState.QUEUED


def test_a_proof_counts_for_the_key_that_bundles_are_made_for(tmp_path: Path) -> None:
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'a.sqlite'}")
    assert read_keys(catalogue).checked_at is None
    record_bundle(catalogue, BundleAt("provincial", "old", NOW, 1, "0" * 64, 0))
    record_checks(catalogue, [EscrowCheck(NOW, "provincial", "old", NOW, ("one", "two"))], "me@here")
    assert read_keys(catalogue).checked_at == NOW
    record_bundle(catalogue, BundleAt("provincial", "new", NOW, 1, "0" * 64, 0))
    assert read_keys(catalogue).checked_at is None
    for _ in range(2):
        record_password(catalogue, "a", "provincial", NOW, 3)
    assert read_keys(catalogue).passwords == {("a", "provincial"): NOW}

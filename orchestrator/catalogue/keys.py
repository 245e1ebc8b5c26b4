"""Keys and their escrow as the catalogue knows them: which bundle is where, and when it was last seen to open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select

from orchestrator.catalogue import audit
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import patient, writing
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue


@dataclass(frozen=True, slots=True)
class BundleAt:
    """The newest rescue bundle at a centre. `missing` secrets could not be read when it was made."""

    centre: str
    key: str
    made_at: datetime
    bytes: int
    sha256: str
    missing: int


@dataclass(frozen=True, slots=True)
class EscrowCheck:
    """A proof that shares of these custodians open the bundle at a centre."""

    checked_at: datetime
    centre: str
    key: str
    bundle_made_at: datetime
    custodians: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Keys:
    """What is known of keys: bundles and their last proof by centre.

    Passwords by (tenant, centre): when they last opened every repository, and when a run of a plan last opened one.
    """

    bundles: Mapping[str, BundleAt]
    checks: Mapping[str, EscrowCheck]
    passwords: Mapping[tuple[str, str], datetime]
    accesses: Mapping[tuple[str, str], datetime]

    @property
    def checked_at(self) -> datetime | None:
        """When shares last opened a bundle, of the key that bundles are made for now."""
        keys = {each.key for each in self.bundles.values()}
        return max((each.checked_at for each in self.checks.values() if each.key in keys), default=None)


@patient
def record_bundle(catalogue: Catalogue, bundle: BundleAt) -> None:
    """Remember the newest bundle at a centre. May be repeated."""
    with writing(catalogue.engine) as db:
        db.execute(delete(t.escrow_bundles).where(t.escrow_bundles.c.centre == bundle.centre))
        db.execute(insert(t.escrow_bundles).values(**asdict(bundle)))


@patient
def record_checks(catalogue: Catalogue, checks: Sequence[EscrowCheck], by: str) -> None:
    """Remember that shares opened bundles, in the audit chain as well. Of the shares nothing is kept."""
    with writing(catalogue.engine) as db:
        for each in checks:
            db.execute(insert(t.escrow_checks).values(**{**asdict(each), "custodians": list(each.custodians)}))
            told = {"centre": each.centre, "key": each.key, "custodians": list(each.custodians), "by": by}
            audit.note(db, "escrow-check", None, each.checked_at, told)


@patient
def record_password(catalogue: Catalogue, tenant: str, centre: str, moment: datetime, repositories: int) -> None:
    """Remember that all repositories of a tenant at a centre opened. May be repeated."""
    columns = t.key_checks.c
    values = {"tenant": tenant, "centre": centre, "checked_at": moment, "repositories": repositories}
    with writing(catalogue.engine) as db:
        db.execute(delete(t.key_checks).where((columns.tenant == tenant) & (columns.centre == centre)))
        db.execute(insert(t.key_checks).values(**values))


@patient
def record_access(catalogue: Catalogue, tenant: str, centre: str, moment: datetime) -> None:
    """Remember that a run of a plan opened a repository of a tenant at a centre. May be repeated."""
    mine = (t.key_accesses.c.tenant == tenant) & (t.key_accesses.c.centre == centre)
    with writing(catalogue.engine) as db:
        db.execute(delete(t.key_accesses).where(mine))
        db.execute(insert(t.key_accesses).values(tenant=tenant, centre=centre, opened_at=moment))


def read_keys(catalogue: Catalogue) -> Keys:
    """Return what is known of keys. A fixed number of queries. Raises Unreachable."""
    checks = t.escrow_checks
    newest = select(func.max(checks.c.id)).group_by(checks.c.centre)
    with reading(catalogue) as db:
        bundles = [BundleAt(**row._mapping) for row in db.execute(select(t.escrow_bundles))]
        found = [
            EscrowCheck(
                row.checked_at, row.centre, row.key, row.bundle_made_at, tuple(str(each) for each in row.custodians)
            )
            for row in db.execute(select(checks).where(checks.c.id.in_(newest)))
        ]
        passwords = {(row.tenant, row.centre): row.checked_at for row in db.execute(select(t.key_checks))}
        accesses = {(row.tenant, row.centre): row.opened_at for row in db.execute(select(t.key_accesses))}
    return Keys({each.centre: each for each in bundles}, {each.centre: each for each in found}, passwords, accesses)

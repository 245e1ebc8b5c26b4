"""The flow that writes a rescue bundle into the vault of one centre: by the schedule, and after a key was split."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from math import ceil
from pathlib import Path
from typing import Any, Protocol

from orchestrator.catalogue.database import now
from orchestrator.catalogue.keys import BundleAt, record_bundle
from orchestrator.engine.port import FlowSpec, Run
from orchestrator.errors import InvalidInput, PartlyDone, UnknownName
from orchestrator.escrow.bundle import Program as Sealing
from orchestrator.escrow.bundle import Sealed, seal_bundle
from orchestrator.escrow.shares import read_key
from orchestrator.escrow.vaulted import expire_bundles, put_bundle
from orchestrator.scratch.folder import make_scratch
from orchestrator.vault.s3 import Bucket, VaultAdmin
from policies.escrow import Escrow
from policies.site import Vault

FLOW = "escrow-bundle"
DAY = timedelta(days=1)


class Program(Sealing, Protocol):
    """What is needed of the object graph."""

    @property
    def state(self) -> Path: ...

    def vault(self, centre: str) -> Vault: ...

    def vault_admin(self, centre: str) -> VaultAdmin: ...

    def register_bucket(self, centre: str) -> Bucket:
        """The bucket of the register in the vault of a centre."""


def escrow_of(program: Sealing) -> Escrow:
    """Return the escrow of the site. Raises InvalidInput where it has none."""
    if program.site.escrow is None:
        raise InvalidInput(
            "the site has no escrow",
            hint="escrow: {custodians: [NAME, NAME, NAME], threshold: 2} in site.yaml, then: tricenter escrow split",
        )
    return program.site.escrow


def _bundle(run: Run, program: Program, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Write a new bundle into the vault of a centre and let old ones go. Derived anew after a crash."""
    escrow, centre = escrow_of(program), arguments["centre"]
    vault, key = program.vault(centre), read_key(program.secrets_folder)
    if key is None:
        raise InvalidInput("there is no key to make bundles for", hint="tricenter escrow split")
    root = program.state / "scratch"
    run.cleanup("remove-scratch", here=True, path=str(root / run.id))
    folder = make_scratch(root, run.id, 0)
    folder.chmod(0o700)
    sealed: Sealed = run.attempt("seal", seal_bundle, program, key, folder, now())

    def store() -> int:
        admin = program.vault_admin(centre)
        admin.ensure_bucket(vault.register_bucket, lock_days=ceil(escrow.lock / DAY))
        put_bundle(program.register_bucket(centre), program.site.site, key.name, sealed)
        return expire_bundles(admin, vault.register_bucket, program.site.site, escrow.lock, now())

    expired = run.attempt("store", store)
    bundle = BundleAt(centre, key.name, sealed.made_at, sealed.size_bytes, sealed.sha256, len(sealed.missing))
    record_bundle(program.catalogue, bundle)
    if sealed.missing:
        told = "; ".join(f"{place}: {why}" for place, why in sealed.missing.items())
        raise PartlyDone(
            f"the bundle is at {centre}, and {len(sealed.missing)} secrets are not in it: {told}",
            hint="make them readable here, then: tricenter escrow bundle",
        )
    return {"centre": centre, "name": sealed.name, "bytes": sealed.size_bytes, "expired": expired}


def _slots(program: Program, arguments: Mapping[str, str]) -> tuple[str, ...]:
    centre = arguments["centre"]
    if centre not in program.site.vaults():
        raise UnknownName("centre with a vault", centre, program.site.vaults())
    return (f"centre:{centre}", f"vault:{centre}")


ESCROW_BUNDLE = FlowSpec(
    name=FLOW,
    arguments=("centre",),
    subject=lambda arguments: arguments["centre"],
    slots=_slots,
    run=_bundle,
)

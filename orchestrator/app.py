"""The object graph: built from a site folder, part by part, when a command first asks for it.

This is the only place that knows every adapter. Imports stand inside the properties on purpose: `tricenter --help`
and `tricenter validate` must not pay for openstacksdk, boto3 or SQLAlchemy.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from copy import copy
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from orchestrator.backups.digests import KnownDigests
    from orchestrator.catalogue.ledger import Ledger
    from orchestrator.catalogue.store import Catalogue
    from orchestrator.engine.inprocess import Runner
    from orchestrator.engine.port import Actions, FlowSpec
    from orchestrator.secrets import Secret
    from orchestrator.vault.locks import LockKeeper
    from orchestrator.vault.pace import Bandwidth
    from orchestrator.vault.probing import Probed
    from orchestrator.vault.register import Register
    from orchestrator.vault.restic import Repository
    from orchestrator.vault.s3 import Bucket, Credential, VaultAdmin
    from policies.bandwidth import Rates
    from policies.site import Site, SystemRef, Vault

DEFAULT_STATE = Path("/var/lib/tricenter") if os.geteuid() == 0 else Path.home() / ".local/state/tricenter"

#: Where each flow is: module and name of its FlowSpec.
FLOWS = {
    "backup": "orchestrator.backups.flows:BACKUP",
    "replicate": "orchestrator.backups.flows:REPLICATE",
    "verify": "orchestrator.backups.flows:VERIFY",
    "retention": "orchestrator.backups.flows:RETENTION",
    "lock": "orchestrator.backups.flows:LOCK",
    "spot-check": "orchestrator.backups.flows:SPOT_CHECK",
    "heal": "orchestrator.backups.flows:HEAL",
    "archive-backup": "orchestrator.archive.flows:BACKUP",
    "archive-observe": "orchestrator.archive.flows:OBSERVE",
    "archive-restore": "orchestrator.archive.flows:RESTORE",
    "drill": "drills.flows:DRILL",
    "recover": "drills.flows:RECOVER",
    "plan-check": "drills.plans.flows:PLAN_CHECK",
    "escrow-bundle": "orchestrator.escrow.flows:ESCROW_BUNDLE",
    "rejoin": "drills.rejoin:REJOIN",
    "quarantine": "drills.rejoin:QUARANTINE_FLOW",
    "tenant-apply": "orchestrator.tenants.flows:TENANT_APPLY",
    "tenant-rotate": "orchestrator.tenants.rotating:TENANT_ROTATE",
    "tenant-drift": "orchestrator.tenants.flows:TENANT_DRIFT",
}

log = logging.getLogger(__name__)

#: Tables in a log or a pipe are laid out for this many columns.
PIPED_WIDTH = 150


class Flows(Mapping[str, "FlowSpec"]):
    """The flows by name. A room is imported when one of its flows is looked up: a backup does not pay for drills."""

    def __getitem__(self, name: str) -> FlowSpec:
        module, _, attribute = FLOWS[name].partition(":")
        spec: FlowSpec = getattr(importlib.import_module(module), attribute)
        return spec

    def __iter__(self) -> Iterator[str]:
        return iter(FLOWS)

    def __len__(self) -> int:
        return len(FLOWS)


class App:
    """What commands work with. Cheap to make; each part is made once, when it is first used."""

    def __init__(self, site_folder: Path | None, overlay: Path | None, *, debug: bool = False) -> None:
        self.site_folder, self.overlay, self.debug = site_folder, overlay, debug
        self._limiting = Lock()
        self._limited: App | None = None
        self._bandwidths: Mapping[str, Bandwidth] = {}

    @cached_property
    def console(self) -> Console:
        """Where results go: stdout. Progress goes to `progress_console`, so that output can be piped."""
        from rich.console import Console

        return Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)

    @cached_property
    def progress_console(self) -> Console:
        from rich.console import Console

        return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else PIPED_WIDTH)

    @cached_property
    def site(self) -> Site:
        from policies.load import load_site

        if self.site_folder is None:
            raise InvalidInput(
                "no site was given",
                hint="tricenter --site DIR …, or export TRICENTER_SITE=DIR; tricenter init DIR writes a starter",
            )
        return load_site(self.site_folder, self.overlay)

    def system(self, name: str) -> SystemRef:
        """Return the system that TENANT/SYSTEM names. Raises UnknownName."""
        tenant, _, system = name.partition("/")
        if tenant not in self.site.tenants:
            raise UnknownName("tenant", tenant, self.site.tenants)
        if (ref := self.site.system(tenant, system)) is None:
            raise UnknownName(f"system of {tenant}", system, self.site.tenants[tenant].systems)
        return ref

    def systems(self, name: str | None) -> list[SystemRef]:
        """Return the systems that nothing (all), TENANT or TENANT/SYSTEM names. Raises UnknownName."""
        if name is None:
            return list(self.site.systems())
        if "/" in name:
            return [self.system(name)]
        if name not in self.site.tenants:
            raise UnknownName("tenant", name, self.site.tenants)
        return [ref for ref in self.site.systems() if ref.tenant.tenant == name]

    def limited(self) -> App:
        """Return the same object graph, whose ways to the vaults keep to their bandwidth. Shared by all that ask."""
        from orchestrator.vault.pace import bandwidths

        with self._limiting:
            if self._limited is None:
                _ = self.catalogue  # before the copy, which has then the same one
                twin = copy(self)
                twin._limited, twin._bandwidths = twin, bandwidths(self.site)
                self._limited = twin
        return self._limited

    def rates(self) -> dict[str, Rates]:
        """The rates that the ways to the vaults keep to now, by centre; nothing for one that is never held back."""
        return {centre: each.rates() for centre, each in self._bandwidths.items()}

    # --- state

    @cached_property
    def state(self) -> Path:
        """The folder of the catalogue, reports, caches and scratch places of this site."""
        folder = Path(self.site.state) if self.site.state else DEFAULT_STATE / self.site.site
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @cached_property
    def secrets_folder(self) -> Path:
        folder = self.state / "secrets"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    @cached_property
    def digests(self) -> KnownDigests:
        """What this machine still knows of the points that it made."""
        from orchestrator.backups.digests import KnownDigests

        return KnownDigests(self.state / "cache" / "digests")

    @property
    def database_url(self) -> str:
        """Where the catalogue is. It may hold a password: not for logs."""
        return os.environ.get("TRICENTER_DATABASE_URL") or f"sqlite:///{self.state / 'catalogue.sqlite'}"

    @cached_property
    def catalogue(self) -> Catalogue:
        from orchestrator.catalogue.store import Catalogue

        catalogue = Catalogue(self.database_url)
        catalogue.register_systems((ref.tenant.tenant, ref.name) for ref in self.site.systems())
        return catalogue

    @cached_property
    def ledger(self) -> Ledger:
        from orchestrator.catalogue.audit import Auditing
        from orchestrator.catalogue.ledger import Ledger
        from orchestrator.sites.configuration import note_configuration

        digest = self.site.audit.digest
        configuration = note_configuration(self.site, self.catalogue, digest)
        return Ledger(self.catalogue, Auditing(digest, configuration))

    @cached_property
    def flows(self) -> Mapping[str, FlowSpec]:
        """Every flow by its name: what a worker can run from a row of the catalogue."""
        return Flows()

    @cached_property
    def actions(self) -> Actions:
        """What registered clean-ups are called by."""
        from orchestrator.scratch.folder import remove_scratch

        return {
            "remove-scratch": remove_scratch,
            "delete-cloud-objects": self._delete_cloud_objects,
            "end-parts": self._end_parts,
            "run-hook": self._run_hook,
            **self._recovery_actions,
        }

    @cached_property
    def runner(self) -> Runner:
        """The engine of one-shot commands, after it has cleared up behind those that were killed."""
        from orchestrator.engine.inprocess import Runner

        runner = Runner(self, self.ledger, self.flows, self.actions, self.site.limits)
        for row in runner.recover():
            self.progress_console.print(
                f"[yellow]已清理中断的任务 cleared up after the interrupted run {row.id} ({row.flow} {row.subject})"
            )
        return runner

    def tick(self, now: datetime) -> Any:
        """Put whatever is due into the queue."""
        from orchestrator.schedule.tick import tick

        return tick(self, now)

    def tell_of_runs(self) -> None:
        """Tell people, at the end of a one-shot command, of what it has run. Raises nothing: what is untold waits."""
        if "runner" not in self.__dict__ or not self.site.notifications.channels:
            return
        from orchestrator.notify.courier import tell

        try:
            tell(self)
        except Exception as error:
            # Whatever it is: the command has done its work, and has its own exit code.
            log.warning("nothing was told for now: %s", error)
            log.debug("its traceback", exc_info=True)

    def pulse_after(self, flow: str, code: int) -> None:
        """Tell who feels the pulse that a command with --due came to its end with this exit code. Raises nothing."""
        from orchestrator.notify.pulse import ping_after

        if self.site.notifications.pulse:
            ping_after(self, flow, code)

    def upgrade_engine(self) -> None:
        """Make or bring up to date the engine's own tables in the catalogue's database."""
        from orchestrator.engine.durable import upgrade

        upgrade(self.database_url)

    def _delete_cloud_objects(self, centre: str, tenant: str, name: str) -> None:
        from orchestrator.cloud.volumes import delete_all_named

        delete_all_named(self.tenant_cloud(centre, tenant), name)

    def _run_hook(self, system: str, run: str, phase: Literal["thaw", "after"], source: str) -> None:
        from orchestrator.backups.hooks import take_back

        take_back(self, system, run, phase, source)

    @property
    def _recovery_actions(self) -> Actions:
        """What takes back a recovery. The room of drills is imported when one of them is called."""
        from functools import partial

        names = ("delete-bubble", "undo-recovery", "settle-parts", "undo-name", "unseal", "return-epoch")
        return {name: partial(self._take_back, name) for name in names}

    def _take_back(self, action: str, **arguments: str) -> None:
        take_back = importlib.import_module("drills.actions").ACTIONS[action]
        take_back(self, **arguments)

    def _end_parts(self, run: str) -> None:
        from orchestrator.engine.parts import end_parts

        end_parts(self.ledger, run, "the whole has ended")

    # --- centres

    def secret(self, reference: str, **names: str) -> Secret:
        """Return a secret; a relative `file:` path is relative to the site folder."""
        from orchestrator.secrets import read_secret

        kind, _, where = reference.partition(":")
        if kind == "file" and self.site_folder and not where.startswith(("/", "~")):
            reference = f"file:{self.site_folder / where}"
        return read_secret(reference, **names)

    def vault(self, centre: str) -> Vault:
        """Return the vault of a centre. Raises UnknownName for a centre without one."""
        vaults = {str(name): vault for name, vault in self.site.vaults().items()}
        if centre not in vaults:
            raise UnknownName("centre with a vault", centre, vaults)
        return vaults[centre]

    def bucket(self, centre: str, tenant: str) -> Bucket:
        """Return the bucket of a tenant, with the credential that writes it and hides nothing but restic's locks."""
        return self._bucket(centre, tenant, self.vault(centre).credential)

    def expirer_bucket(self, centre: str, tenant: str) -> Bucket:
        """Return the same with the credential that may hide objects. For what removes on purpose."""
        return self._bucket(centre, tenant, self._expirer(centre))

    def _bucket(self, centre: str, tenant: str, credential: str) -> Bucket:
        from orchestrator.vault.s3 import Bucket

        vault = self.vault(centre)
        name = vault.bucket(tenant)
        key, pace = self._credential(credential, tenant), self._bandwidths.get(centre)
        return Bucket(centre, vault.endpoint, vault.region, name, key, bandwidth=pace)

    def _expirer(self, centre: str) -> str:
        vault = self.vault(centre)
        return vault.expirer_credential or vault.credential

    def lock_keeper(self, centre: str, tenant: str) -> LockKeeper:
        """Return what looks at the locks of a tenant's bucket and lengthens them."""
        from orchestrator.vault.locks import LockKeeper

        vault = self.vault(centre)
        credential = self._credential(vault.lock_credential or vault.admin_credential, tenant)
        return LockKeeper(centre, vault.endpoint, vault.region, vault.bucket(tenant), credential)

    def probe_vault(self, centre: str, tenant: str) -> Iterator[Probed]:
        """Yield what each credential of a tenant can really do at a vault; those that were not given are left out."""
        from orchestrator.vault.probing import Prober

        vault = self.vault(centre)
        admin = self._credential(vault.admin_credential, "")
        prober = Prober(centre, vault.endpoint, vault.region, vault.bucket(tenant), admin)
        yield prober.probe("writer", self._credential(vault.credential, tenant))
        if vault.expirer_credential:
            yield prober.probe("expirer", self._credential(vault.expirer_credential, tenant))
        if vault.lock_credential:
            yield prober.probe("lock", self._credential(vault.lock_credential, tenant))

    def vault_admin(self, centre: str) -> VaultAdmin:
        from orchestrator.vault.s3 import VaultAdmin

        vault = self.vault(centre)
        return VaultAdmin(centre, vault.endpoint, vault.region, self._credential(vault.admin_credential, ""))

    @cached_property
    def registers(self) -> Mapping[str, Register]:
        """The registers of the site's epochs: one for each centre that has a vault, the nearest first."""
        from orchestrator.vault.register import Register

        return {
            str(centre): Register(
                str(centre),
                vault.endpoint,
                vault.region,
                vault.register_bucket,
                self.site.site,
                self._credential(vault.register_credential or vault.admin_credential, ""),
            )
            for centre, vault in self.site.vaults().items()
        }

    def register_bucket(self, centre: str) -> Bucket:
        """The bucket of the register in the vault of a centre, where rescue bundles lie as well."""
        from orchestrator.vault.s3 import Bucket

        vault = self.vault(centre)
        credential = self._credential(vault.register_credential or vault.admin_credential, "")
        return Bucket(centre, vault.endpoint, vault.region, vault.register_bucket, credential)

    def of(self, site_folder: Path, overlay: Path) -> App:
        """Return the object graph of another site folder."""
        return App(site_folder, overlay, debug=self.debug)

    def _credential(self, reference: str, tenant: str) -> Credential:
        from orchestrator.vault.s3 import parse_credential

        return parse_credential(self.secret(reference, tenant=tenant), reference)

    def repository(self, centre: str, ref: SystemRef) -> Repository:
        """Return the restic repository of a system at a centre, for what reads and adds."""
        return self._repository(centre, ref, self.vault(centre).credential)

    def expirer(self, centre: str, ref: SystemRef) -> Repository:
        """Return the same repository for what forgets and prunes."""
        return self._repository(centre, ref, self._expirer(centre))

    def _repository(self, centre: str, ref: SystemRef, credential: str) -> Repository:
        from orchestrator.vault.restic import Repository

        vault, tenant = self.vault(centre), ref.tenant.tenant
        return Repository(
            centre,
            vault.endpoint,
            vault.region,
            vault.bucket(tenant),
            ref.name,
            self._credential(credential, tenant),
            self.secret(self.site.repository_password, tenant=tenant),
            remover=self._credential(self._expirer(centre), tenant),
            cache=self.state / "cache" / "restic",
            bandwidth=self._bandwidths.get(centre),
        )

    def new_cloud(self, centre: str, **overrides: Any) -> Any:
        """Return a new connection to the cloud of a centre: one thread each, as the SDK's are not to be shared."""
        from orchestrator.cloud.connection import connect

        clouds = {str(name): cloud for name, cloud in self.site.clouds().items()}
        if centre not in clouds:
            raise UnknownName("centre with a cloud", centre, clouds)
        return connect(clouds[centre].name, config_file=self.clouds_file, **overrides)

    def tenant_cloud(self, centre: str, tenant: str) -> Any:
        """Return a connection that acts inside a tenant's project by its application credential."""
        from orchestrator.cloud.credentials import connect_tenant

        return connect_tenant(self.secrets_folder, tenant, centre)

    @property
    def clouds_file(self) -> Path | None:
        return Path(self.site.clouds_file) if self.site.clouds_file else None

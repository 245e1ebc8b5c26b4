"""The site: the municipality's whole configuration as one value."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta
from math import asin, cos, radians, sin, sqrt
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from policies.address_plan import ZoneBlocks
from policies.bandwidth import BandwidthWindow, overlap_misfits
from policies.drift import Drift
from policies.escrow import Escrow
from policies.limits import Limit, Slot
from policies.notifications import Notifications
from policies.plan import SYSTEM_PATTERN, Plan
from policies.quota import QuotaClass
from policies.tenancy import OwnDomain, Tenancy
from policies.tenant import System, Tenant
from policies.tiers import CentreName, CopyRule, Tier
from policies.values import (
    ENDPOINT_PATTERN,
    LongName,
    Misfit,
    MisfitError,
    Model,
    Name,
    SecretRef,
    Span,
    Text,
    Whole,
    Words,
    format_duration,
)
from policies.windows import Day, Moment, TimeZone, moment_of

EARTH_RADIUS_KM = 6371.0
DOMAIN_PATTERN = r"^[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?$"
BUCKET_PREFIX_PATTERN = r"^[a-z0-9][a-z0-9-]{0,20}$"


class Location(Model):
    latitude: float = Field(ge=-90, le=90, description="degrees, north is positive")
    longitude: float = Field(ge=-180, le=180, description="degrees, east is positive")

    def distance_km(self, other: Location) -> float:
        """Return the great-circle distance (haversine on a sphere of 6371 km)."""
        lat1, lat2 = radians(self.latitude), radians(other.latitude)
        half_lat, half_lon = (lat2 - lat1) / 2, radians(other.longitude - self.longitude) / 2
        chord = sin(half_lat) ** 2 + cos(lat1) * cos(lat2) * sin(half_lon) ** 2
        return 2 * EARTH_RADIUS_KM * asin(sqrt(chord))


class Vault(Model):
    """The S3 store of a centre. One bucket and one credential per tenant."""

    endpoint: str = Field(pattern=ENDPOINT_PATTERN, description="URL of the S3 store without a path")
    region: Words = "us-east-1"
    bucket_prefix: str = Field(
        "dr-", pattern=BUCKET_PREFIX_PATTERN, description="a tenant's bucket is this and its name"
    )
    credential: SecretRef = Field(
        description="JSON {access_key, secret_key} that writes one tenant's bucket and deletes nothing but restic's "
        "locks; {tenant} stands for its name"
    )
    expirer_credential: SecretRef | None = Field(
        None,
        description="JSON {access_key, secret_key} that may hide objects of a tenant's bucket; credential's if none",
    )
    lock_credential: SecretRef | None = Field(
        None,
        description="JSON {access_key, secret_key} that lists a tenant's bucket, and reads and lengthens its locks; "
        "admin_credential's if none",
    )
    admin_credential: SecretRef = Field(description="JSON {access_key, secret_key} that may create buckets")
    register_credential: SecretRef | None = Field(
        None, description="JSON {access_key, secret_key} that reads and writes the register; admin_credential's if none"
    )

    bandwidth: tuple[BandwidthWindow, ...] = Field(
        (), description="how fast it may be used by the time of day; recoveries are never held back"
    )

    @model_validator(mode="after")
    def _one_rate_at_a_time(self) -> Self:
        if misfits := list(overlap_misfits(self.bandwidth)):
            raise MisfitError(misfits)
        return self

    def bucket(self, tenant: str) -> str:
        return f"{self.bucket_prefix}{tenant}"

    @property
    def register_bucket(self) -> str:
        """The bucket of the site's epochs. No tenant's: their names begin with a letter."""
        return f"{self.bucket_prefix}0-register"


class Cloud(Model):
    """The OpenStack cloud of a centre: an entry of clouds.yaml."""

    name: Words = Field(description="entry of clouds.yaml")
    external_network: Words | None = Field(None, description="the network that tenants' routers have their gateway on")
    tenancy: Tenancy = Field(OwnDomain(), description="where tenants live there; in domains of their own by default")
    vantage: tuple[Words, ...] = Field(
        (),
        description="program and arguments before a probe's command, which run it inside a tenant's network; {network} "
        "stands for the network's id at Neutron, {cidr} for its subnet. Nothing means that probes run on this host",
    )


class Centre(Model):
    """One of the three centres: where it is, and what stands there."""

    title: Text
    location: Location
    cloud: Cloud | None = None
    vault: Vault | None = None


class NetworkZone(Model):
    """A zone of the government extranet (政务外网): 公用网络区, 专用网络区, 互联网接入区."""

    title: Text
    kind: Literal["shared", "private", "internet"]


#: What the schedule does by itself, as blackouts name it.
ActionName = Literal[
    "backup",
    "replicate",
    "check",
    "read",
    "heal",
    "restore-test",
    "retention",
    "lock",
    "tenant-drift",
    "plan-check",
    "spot-check",
    "escrow-bundle",
    "archive-backup",
    "archive-observe",
]


class Blackout(Model):
    """A period (重保期) in which scheduled work is held back. What people ask for themselves is not."""

    begin: Moment = Field(alias="from", description="when it begins, in the site's time")
    end: Moment = Field(alias="to", description="when it ends; a day alone is included")
    reason: Text
    forbids: tuple[ActionName, ...] = Field(
        ("check", "read", "restore-test", "retention", "tenant-drift", "spot-check"),
        description="everything except backup, replicate, heal, lock, plan-check, escrow-bundle, archive-backup and "
        "archive-observe when not given",
    )
    centres: tuple[CentreName, ...] = Field((), description="only work that touches these; all when not given")
    tenants: tuple[Name, ...] = Field((), description="only these tenants; all when no system is given either")
    systems: tuple[Annotated[str, Field(pattern=SYSTEM_PATTERN)], ...] = Field((), description="TENANT/SYSTEM")

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        misfits = []
        if moment_of(self.end, UTC, ends=True) <= moment_of(self.begin, UTC):
            misfits.append(Misfit(("to",), self.end, f"a time after {self.begin}, the from beside it"))
        if not self.forbids:
            misfits.append(Misfit(("forbids",), "an empty list", "one action at least", "a blackout forbids something"))
        if misfits:
            raise MisfitError(misfits)
        return self


#: 《网络安全法》: logs are kept for six months at least, which are 184 days at most.
SHORTEST_AUDIT = timedelta(days=184)


class Holiday(Model):
    """Days on which no drill is planned that people must hold."""

    begin: Day = Field(alias="from", description="the first day")
    end: Day | None = Field(None, alias="to", description="the last day; the first when not given")
    title: Text

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.end is not None and self.end < self.begin:
            raise MisfitError([Misfit(("to",), self.end, f"a day from {self.begin} on")])
        return self


class Audit(Model):
    """The audit chain: the digest that binds its entries, and how long they are kept."""

    digest: Literal["sha256", "sm3"] = Field("sha256", description="SM3 (国密) takes an OpenSSL that has it")
    keep: Span = Field(timedelta(days=365), description="older entries are let go; six months (184d) at least")

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if self.keep < SHORTEST_AUDIT:
            got = format_duration(self.keep.total_seconds())
            raise MisfitError([Misfit(("keep",), got, "184d at least", "six months are 184 days at most")])
        return self


class Dns(Model):
    """The primary name server of the zone in which plans switch names, and the key that may change its A records."""

    server: Words = Field(description="host name or address; a machine that outlives the production centre")
    port: Whole = Field(53, ge=1, le=65535)
    zone: str = Field(pattern=DOMAIN_PATTERN, description="the zone of the names that plans switch")
    key: str = Field(pattern=DOMAIN_PATTERN, description="name of the TSIG key")
    algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    secret: SecretRef = Field(description="the secret of the key, base64 as tsig-keygen prints it")
    ttl: Span = Field(timedelta(seconds=60), description="how long a switched name may be kept by who asked for it")


class ApprovalRule(Model):
    """What an approval needs besides a second person."""

    second_factor: tuple[Words, ...] = Field(
        (),
        description="program and arguments that check a person's code: it reads a line of JSON {person, code, run} and "
        "ends with 0 when the code is good; no shell. Nothing means that no code is asked for",
    )


class SystemRef(NamedTuple):
    """A system with its tenant and tier: what most of the program walks over."""

    tenant: Tenant
    name: str
    system: System
    tier: Tier

    def __str__(self) -> str:
        return f"{self.tenant.tenant}/{self.name}"

    @property
    def copies(self) -> dict[CentreName, CopyRule]:
        return self.tier.copies


class SiteFile(Model):
    """What site.yaml holds: the site without its tiers, tenants and plans, which have files of their own."""

    site: Name
    title: Text
    centres: Annotated[dict[CentreName, Centre], Field(min_length=3)]
    zones: dict[Name, NetworkZone] = Field(default_factory=dict)
    address_plan: dict[Name, ZoneBlocks] = Field(
        default_factory=dict, description="the blocks of each zone, by its name"
    )
    mlps_level: Whole | None = Field(
        None, ge=1, le=5, description="等保 level of the platform: no system that is asked for may have a higher one"
    )
    quota_classes: dict[Name, QuotaClass] = Field(default_factory=dict, description="quotas that tenants share")
    clouds_file: Words | None = Field(None, description="clouds.yaml; the usual places when it is not given")
    repository_password: SecretRef = Field(
        description="the password of a tenant's repositories; {tenant} stands for its name"
    )
    state: Words | None = Field(None, description="folder of the catalogue, reports and scratch places")
    limits: dict[Slot, Limit] = Field(
        default_factory=dict, description="how much runs at once: by kind (vault) or by name (vault:provincial)"
    )
    timezone: TimeZone = Field("Asia/Shanghai", description="the zone that windows and blackouts are written in")
    drift: Drift = Field(Drift(), description="what becomes of what is changed by hand in the clouds and vaults")
    tenant_drift_every: Span = Field(timedelta(days=1), description="a look at each cloud for what drifted")
    plan_check_every: Span = Field(timedelta(days=1), description="a look at whether each plan is ready")
    keep_runs: Span = Field(
        timedelta(days=30), description="runs that ended longer ago are forgotten, but for drills and recovery points"
    )
    audit: Audit = Audit()
    approval: ApprovalRule = Field(ApprovalRule(), description="what an approval needs besides a second person")
    blackouts: tuple[Blackout, ...] = Field((), description="periods in which scheduled work is held back")
    holidays: tuple[Holiday, ...] = Field((), description="days on which no drill by people is planned")
    dns: Dns | None = Field(None, description="where the names of plans are switched")
    escrow: Escrow | None = Field(None, description="who opens the rescue bundles when nothing else is left")
    notifications: Notifications = Field(Notifications(), description="who is told what, and who feels the pulse")


class Site(SiteFile):
    """The whole site. Built by `policies.load.load_site`, which also checks that its parts fit together."""

    tiers: dict[Name, Tier] = Field(default_factory=dict)
    tenants: dict[Name, Tenant] = Field(default_factory=dict)
    plans: dict[LongName, Plan] = Field(default_factory=dict)

    def systems(self) -> Iterator[SystemRef]:
        """Yield every system, tenants and systems in their order of names."""
        for tenant in sorted(self.tenants.values(), key=lambda each: each.tenant):
            for name, system in sorted(tenant.systems.items()):
                yield SystemRef(tenant, name, system, self.tiers[system.tier])

    def system(self, tenant: str, name: str) -> SystemRef | None:
        """Return one system, None when there is none of that name."""
        bureau = self.tenants.get(tenant)
        system = bureau.systems.get(name) if bureau else None
        return SystemRef(bureau, name, system, self.tiers[system.tier]) if bureau and system else None

    def vaults(self) -> dict[CentreName, Vault]:
        """Return the vaults, nearest centre first."""
        return {name: vault for name in ("same-city", "provincial") if (vault := self.centres[name].vault) is not None}

    def clouds(self) -> dict[CentreName, Cloud]:
        """Return the clouds, production first."""
        return {
            name: cloud
            for name in ("production", "same-city", "provincial")
            if (cloud := self.centres[name].cloud) is not None
        }

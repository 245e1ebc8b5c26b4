"""Tenants: a bureau, what it may use on the clouds, and the systems it runs."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from itertools import accumulate
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from policies.archive import ArchiveRule
from policies.drift import Drift
from policies.excludes import Excludes, pattern_fault, place_fault
from policies.hooks import NO_HOOKS, Hooks
from policies.quota import Quota
from policies.values import ENDPOINT_PATTERN, Misfit, MisfitError, Model, Name, SecretRef, Text, Whole, Words

PORTS_PATTERN = r"^\d{1,5}(-\d{1,5})?$"
ABSOLUTE_PATTERN = r"^/"
#: Short enough to stand in a description of Neutron, beside the names of two networks.
APPROVAL_PATTERN = r"^\S(.{0,78}\S)?$"
TABLE_PATTERN = r"^[^.]+\.[^.]+$"


#: 《保守国家秘密法》: what is classified stands on networks that are physically apart from all others.
WHERE_SECRETS_BELONG = (
    "涉密信息系统不得部署在政务外网及其政务云上，应建在与之物理隔离的政务内网，按分级保护管理 "
    "a system that holds state secrets may not stand on this cloud, nor be backed up from it: it belongs on 政务内网, "
    "physically apart, under graded protection (分级保护)"
)

#: Said so that nobody can say it was not asked. Only false is taken.
Secret = Annotated[Literal[False], Field(description=WHERE_SECRETS_BELONG)]


#: As in authorized_keys, of the types that Nova takes.
PUBLIC_KEY_PATTERN = r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]{32,}={0,2}( [^\r\n]*)?$"
PublicKey = Annotated[str, Field(pattern=PUBLIC_KEY_PATTERN)]


class Member(Model):
    """A person of the bureau with an account in the tenant's domain."""

    name: Words
    role: Literal["member", "reader", "manager"] = "member"
    email: str | None = None
    key_pairs: dict[Name, PublicKey] = Field(
        default_factory=dict, description="public keys for the servers that this person makes, by name"
    )


def _below(value: str) -> str:
    parts = value.split("/")
    if not all(parts) or {".", ".."} & set(parts):
        raise ValueError("want a path below the folder such as reports/canary.docx")
    return value


#: A file below a folder, as its manifest names it.
RelativePath = Annotated[str, Field(min_length=1), AfterValidator(_below)]

#: A table with its schema.
TableName = Annotated[str, Field(pattern=TABLE_PATTERN)]


def _no_number(value: Any) -> Any:
    if isinstance(value, int):  # Python takes 1, and so true, for 0.0.0.1/32
        raise ValueError("want a network")  # noqa: TRY004 - pydantic hears ValueError only
    return value


#: An IPv4 network as text.
Cidr = Annotated[IPv4Network, BeforeValidator(_no_number)]


def _single_port(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


#: A port or a range of ports. YAML reads 443 as a number, which is meant as well.
Ports = Annotated[
    str,
    Field(pattern=PORTS_PATTERN),
    BeforeValidator(_single_port),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": PORTS_PATTERN}, {"type": "integer"}]}),
]


class Network(Model):
    """One network with its subnet, and a router of the tenant that serves it."""

    zone: Name
    cidr: Cidr = Field(description="10.20.1.0/24; no two networks of the site share an address")
    dns: tuple[IPv4Address, ...] = Field((), description="name servers handed to the servers of this network")
    shared_with: tuple[Name, ...] = Field((), description="other tenants, whose servers may stand in this network too")


class ZoneLink(Model):
    """Two networks of different zones that may meet, because somebody who may do so has approved it."""

    between: tuple[Name, Name] = Field(description="two networks of the tenant, of different zones")
    approval: str = Field(pattern=APPROVAL_PATTERN, description="the id under which the link was approved")


class SecurityRule(Model):
    """One rule: who may reach which ports."""

    direction: Literal["ingress", "egress"] = "ingress"
    protocol: Literal["tcp", "udp", "icmp"] | None = None
    ports: Ports | None = Field(None, description="443 or 8000-8080; nothing means all")
    remote: Cidr | None = Field(None, description="the network at the other end; nothing means anyone")

    @model_validator(mode="after")
    def _ports_need_a_protocol(self) -> Self:
        if self.port_range:
            low, high = self.port_range
            misfits = []
            if self.protocol not in ("tcp", "udp"):
                got = f"ports with protocol {self.protocol or 'any'}"
                misfits.append(Misfit(("ports",), got, "protocol tcp or udp"))
            if not 1 <= low <= high <= 65535:
                misfits.append(Misfit(("ports",), f"{self.ports}", "ports from 1 to 65535, the lower one first"))
            if misfits:
                raise MisfitError(misfits)
        return self

    @property
    def port_range(self) -> tuple[int, int] | None:
        if self.ports is None:
            return None
        low, _, high = self.ports.partition("-")
        return int(low), int(high or low)


class SecurityGroup(Model):
    description: str = ""
    rules: tuple[SecurityRule, ...] = ()


class PathSource(Model):
    """A folder tree, read where it stands."""

    kind: Literal["path"]
    path: str = Field(pattern=ABSOLUTE_PATTERN, description="absolute path on the host that runs the backup")
    exclude: tuple[Words, ...] = Field((), description="patterns of restic's --exclude, but for those with ! in front")
    one_file_system: bool = Field(False, description="stop at mount points (restic --one-file-system)")
    canaries: tuple[RelativePath, ...] = Field((), description="files below it that nobody ever changes")

    @model_validator(mode="after")
    def _patterns_can_be_honoured(self) -> Self:
        misfits = [
            Misfit(("exclude",), f"{pattern!r}, {fault}", "patterns that restic and the proof take alike")
            for pattern in self.exclude
            if (fault := pattern_fault(pattern) or place_fault(pattern, self.path))
        ]
        if not misfits:
            excludes = Excludes(self.exclude, self.path)
            misfits = [
                Misfit(("canaries", number), canary, "a file that exclude does not leave out")
                for number, canary in enumerate(self.canaries)
                if any(map(excludes.leave_out, accumulate((name,) for name in canary.split("/"))))
            ]
        if misfits:
            raise MisfitError(misfits)
        return self


class PostgresqlSource(Model):
    """A database, dumped in one transaction and streamed into the vault."""

    kind: Literal["postgresql"]
    host: Words
    port: Whole = Field(5432, ge=1, le=65535)
    database: Words
    user: Words
    password: SecretRef
    canaries: tuple[TableName, ...] = Field((), description="tables that nobody ever changes: public.canary")
    archive: ArchiveRule | None = Field(None, description="continuous archiving, where a dump cannot meet the RPO")


class MysqlSource(Model):
    """A MySQL or MariaDB database, dumped in one transaction and streamed into the vault."""

    kind: Literal["mysql"]
    host: Words
    port: Whole = Field(3306, ge=1, le=65535)
    database: Words
    user: Words = Field(description="may read the database, and hold all writers for a moment (RELOAD)")
    password: SecretRef


class VolumeSource(Model):
    """A Cinder volume of the tenant's project, read from a snapshot through the image service."""

    kind: Literal["volume"]
    volume: Words = Field(description="name of the volume in the tenant's project at production")


class ServerSource(Model):
    """A Nova server of the tenant's project: its volumes, whichever they are by then, and its definition."""

    kind: Literal["server"]
    server: Words = Field(description="name of a server in the tenant's project at production that boots from a volume")


class BucketSource(Model):
    """The objects of an S3 or Swift bucket as they are now. Older versions of them are not taken."""

    kind: Literal["bucket"]
    endpoint: str = Field(pattern=ENDPOINT_PATTERN, description="URL of the object store without a path")
    region: Words = "us-east-1"
    bucket: Words
    prefix: str = Field("", description="only objects whose key begins so; the rest of the key is what is kept")
    credential: SecretRef = Field(description="JSON {access_key, secret_key}; to back up, it lists and reads")
    restore_credential: SecretRef | None = Field(
        None,
        description="JSON {access_key, secret_key} that may write, to restore; credential if none",
    )
    may_be_empty: bool = Field(False, description="whether no object at all is something to back up")


class CloudSource(Model):
    """What the tenant has at the cloud of the centre where the system is active, as a definition."""

    kind: Literal["cloud"]


Source = Annotated[
    PathSource | PostgresqlSource | MysqlSource | VolumeSource | ServerSource | BucketSource | CloudSource,
    Field(discriminator="kind"),
]

#: Sources that stand at another centre as they stand at production, without being told: by the name of the volume,
#: and as whatever the tenant has there.
KINDS_ANYWHERE = frozenset({"volume", "cloud"})
#: Sources that are read from a cloud.
KINDS_OF_CLOUD = KINDS_ANYWHERE | {"server"}


def copy_name(source: str, device: str) -> str:
    """Return what the copy of a volume of a server is called: `web.vda`. No source has a dot in its name. Pure."""
    return f"{source}.{device}"


def source_of(copy: str) -> str:
    """Return the source that a copy is of: the copy's own name, or of a server's volume the server's. Pure."""
    return copy.partition(".")[0]


class Server(Model):
    """A server of a system: what it boots from, and where it stands in the tenant's networks."""

    boot: Name = Field(description="the volume source that it boots from")
    volumes: tuple[Name, ...] = Field((), description="further volume sources, in the order of their attachment")
    flavor: Words
    network: Name = Field(description="a network of the tenant")
    address: IPv4Address = Field(description="its fixed address in that network at production")
    security_groups: tuple[Name, ...] = ()
    after: tuple[Name, ...] = Field((), description="servers of the system that must run before it")


#: Where a system may be active when production is not.
StandbyName = Literal["same-city", "provincial"]


class System(Model):
    """One application of a tenant. Its sources share one recovery point."""

    title: Text
    tier: Name = Field(description="a tier of this site")
    sources: dict[Name, Source] = Field(min_length=1, description="what the system is made of, by name")
    servers: dict[Name, Server] = Field(default_factory=dict, description="the servers that boot from its volumes")
    standby: dict[StandbyName, dict[Name, Source]] = Field(
        default_factory=dict,
        description="where the same sources stand at another centre when the system is active there; "
        "a volume keeps its name when it is not given, and a cloud definition needs no place",
    )
    hooks: Hooks = Field(NO_HOOKS, description="programs that make the sources stand still while they are captured")
    secret: Secret = False

    def hooks_at(self, centre: str) -> Hooks:
        """Return the hooks of the system as it is active at `centre`: their programs are at production only."""
        return self.hooks if centre == "production" else NO_HOOKS

    def sources_at(self, centre: str) -> dict[str, Source]:
        """Return the sources of the system as it is active at `centre`. Those with no place there are left out."""
        if centre == "production":
            return dict(self.sources)
        places = {str(name): given for name, given in self.standby.items()}.get(centre, {})
        kept = {name: each for name, each in self.sources.items() if each.kind in KINDS_ANYWHERE}
        return {name: place for name in self.sources if (place := places.get(name, kept.get(name)))}


def archives_of(system: System) -> Iterator[tuple[str, ArchiveRule]]:
    """Yield the sources of a system that are archived continuously: of the database at production."""
    for name, source in system.sources.items():
        if isinstance(source, PostgresqlSource) and source.archive:
            yield name, source.archive


class Tenant(Model):
    """A bureau (委办局) and everything it owns."""

    tenant: Name
    title: Text
    unit_code: Words = Field(description="统一社会信用代码 or the city's own code of the unit")
    mlps_level: Whole = Field(ge=1, le=4, description="等保 level that the bureau's systems are graded at")
    contact: Words = Field(description="person and telephone that answer for the bureau's systems")
    secret: Secret = False
    quota_class: Name | None = Field(None, description="a quota class of the site")
    quota_multiplier: Whole = Field(1, ge=1, le=1000, description="so many times what the class gives")
    quota: Quota = Field(Quota(), description="single limits, over those of the class")
    flavors: tuple[Words, ...] | None = Field(
        None, description="the private flavors that it may use, and no others; left as they are when not given"
    )
    volume_types: tuple[Words, ...] | None = Field(None, description="the private volume types, in the same way")
    images: tuple[Words, ...] | None = Field(None, description="the images that the city shares, in the same way")
    members: dict[Name, Member] = Field(default_factory=dict)
    networks: dict[Name, Network] = Field(default_factory=dict)
    zone_links: tuple[ZoneLink, ...] = Field((), description="networks of different zones that may meet")
    security_groups: dict[Name, SecurityGroup] = Field(default_factory=dict)
    systems: dict[Name, System] = Field(min_length=1)
    drift: Drift | None = Field(None, description="what becomes of what is changed by hand; the site's when not given")

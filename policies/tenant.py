"""Tenants: a bureau, what it may use on the clouds, and the systems it runs."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from policies.values import Model, Name, SecretRef, Text


def _quota(value: Any) -> Any:
    return -1 if value == "unlimited" else value


#: A quota is a number or `unlimited` (-1 on the wire). One that is not named is left as the cloud has it: unset,
#: zero and unlimited are three things.
Amount = Annotated[int, BeforeValidator(_quota), Field(ge=-1)] | None


class ComputeQuota(Model):
    instances: Amount = None
    cores: Amount = None
    ram: Amount = Field(None, description="MiB")
    key_pairs: Amount = None
    server_groups: Amount = None


class NetworkQuota(Model):
    networks: Amount = None
    subnets: Amount = None
    ports: Amount = None
    routers: Amount = None
    floating_ips: Amount = None
    security_groups: Amount = None
    security_group_rules: Amount = None


class BlockStorageQuota(Model):
    volumes: Amount = None
    gigabytes: Amount = Field(None, description="GiB")
    snapshots: Amount = None
    backups: Amount = None


class Quota(Model):
    """What a tenant may use at each cloud."""

    compute: ComputeQuota = ComputeQuota()
    network: NetworkQuota = NetworkQuota()
    block_storage: BlockStorageQuota = BlockStorageQuota()


class Member(Model):
    """A person of the bureau with an account in the tenant's domain."""

    name: str
    role: Literal["member", "reader", "manager"] = "member"
    email: str | None = None


class Network(Model):
    """One network with its subnet, and a router of the tenant that serves it."""

    zone: Name
    cidr: IPv4Network
    dns: tuple[IPv4Address, ...] = ()


class SecurityRule(Model):
    """One rule: who may reach which ports. `ports` is 443 or 8000-8080; nothing means all."""

    direction: Literal["ingress", "egress"] = "ingress"
    protocol: Literal["tcp", "udp", "icmp"] | None = None
    ports: str | None = Field(None, pattern=r"^\d{1,5}(-\d{1,5})?$")
    remote: IPv4Network | None = None

    @model_validator(mode="after")
    def _ports_need_a_protocol(self) -> Self:
        if self.ports:
            if self.protocol not in ("tcp", "udp"):
                raise ValueError("ports need protocol tcp or udp")
            low, high = self.port_range or (0, 0)
            if not 1 <= low <= high <= 65535:
                raise ValueError("ports go from 1 to 65535, the lower one first")
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
    path: str
    exclude: tuple[str, ...] = ()


class PostgresqlSource(Model):
    """A database, dumped in one transaction and streamed into the vault."""

    kind: Literal["postgresql"]
    host: str
    port: int = Field(5432, ge=1, le=65535)
    database: str
    user: str
    password: SecretRef


class VolumeSource(Model):
    """A Cinder volume of the tenant's project, read from a snapshot through the image service."""

    kind: Literal["volume"]
    volume: str = Field(description="name of the volume in the tenant's project at production")


Source = Annotated[PathSource | PostgresqlSource | VolumeSource, Field(discriminator="kind")]


class System(Model):
    """One application of a tenant. Its sources share one recovery point."""

    title: Text
    tier: Name
    sources: dict[Name, Source] = Field(min_length=1)


class Tenant(Model):
    """A bureau (委办局) and everything it owns."""

    tenant: Name
    title: Text
    unit_code: str = Field(description="统一社会信用代码 or the city's own code of the unit")
    mlps_level: int = Field(ge=1, le=4, description="等保 level that the bureau's systems are graded at")
    contact: str
    secret: Literal[False] = Field(False, description="涉密 systems belong to 政务内网 and are refused here")
    quota: Quota = Quota()
    members: dict[Name, Member] = {}
    networks: dict[Name, Network] = {}
    security_groups: dict[Name, SecurityGroup] = {}
    systems: dict[Name, System] = Field(min_length=1)

"""Quotas: what a tenant may use at each cloud, as a site says it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from policies.values import Model, Name, Whole


def _quota(value: Any) -> Any:
    return -1 if value == "unlimited" else value


#: A quota is a number or `unlimited` (-1 on the wire). One that is not named is left as the cloud has it: unset,
#: zero and unlimited are three things.
Amount = (
    Annotated[
        Whole,
        Field(ge=-1),
        BeforeValidator(_quota),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": -1}, {"const": "unlimited"}]}),
    ]
    | None
)


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


class LoadBalancerQuota(Model):
    load_balancers: Amount = None
    listeners: Amount = None
    pools: Amount = None
    health_monitors: Amount = None
    members: Amount = None


class DnsQuota(Model):
    zones: Amount = None
    zone_recordsets: Amount = Field(None, description="in each zone")
    zone_records: Amount = Field(None, description="in each zone")
    recordset_records: Amount = Field(None, description="in each record set")
    api_export_size: Amount = Field(None, description="record sets in an export")


class KeyManagerQuota(Model):
    secrets: Amount = None
    orders: Amount = None
    containers: Amount = None
    consumers: Amount = None


class SharedFileSystemQuota(Model):
    shares: Amount = None
    gigabytes: Amount = Field(None, description="GiB")
    snapshots: Amount = None
    snapshot_gigabytes: Amount = Field(None, description="GiB")
    share_networks: Amount = None


class Quota(Model):
    """What a tenant may use at each cloud. The last four services are not everywhere."""

    compute: ComputeQuota = ComputeQuota()
    network: NetworkQuota = NetworkQuota()
    block_storage: BlockStorageQuota = BlockStorageQuota()
    load_balancer: LoadBalancerQuota = LoadBalancerQuota()
    dns: DnsQuota = DnsQuota()
    key_manager: KeyManagerQuota = KeyManagerQuota()
    shared_file_system: SharedFileSystemQuota = SharedFileSystemQuota()


class QuotaClass(Quota):
    """Limits under a name, for many tenants. What it inherits is multiplied; what it names itself is not."""

    inherits: Name | None = Field(None, description="the class whose limits it begins with")
    multiplier: Whole = Field(1, ge=1, le=1000, description="so many times what it inherits")

"""docs/site-folder.md names every key of every file, whether it is required and its default, and no other key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from policies.address_plan import ZoneBlocks
from policies.archive import ArchiveRule
from policies.bandwidth import BandwidthWindow
from policies.drift import Drift
from policies.escrow import Escrow
from policies.hooks import Hook, Hooks, SourceHooks
from policies.limits import Limit
from policies.notifications import Channel, Notifications, Pulse
from policies.plan import Elsewhere, NameSwitch, Plan, Recovery, Step
from policies.probe import (
    CommandProbe,
    DefinitionProbe,
    Figure,
    FingerprintProbe,
    HttpProbe,
    ImageProbe,
    ManifestProbe,
    ObjectsProbe,
    Reconciliation,
    ServerSqlProbe,
    SqlProbe,
    TcpProbe,
)
from policies.quota import (
    BlockStorageQuota,
    ComputeQuota,
    DnsQuota,
    KeyManagerQuota,
    LoadBalancerQuota,
    NetworkQuota,
    Quota,
    QuotaClass,
    SharedFileSystemQuota,
)
from policies.schema import MODELS
from policies.site import (
    ApprovalRule,
    Audit,
    Blackout,
    Centre,
    Cloud,
    Dns,
    Holiday,
    Location,
    NetworkZone,
    SiteFile,
    Vault,
)
from policies.spot import SpotCheckRule
from policies.tenancy import Nested, OwnDomain
from policies.tenant import (
    BucketSource,
    CloudSource,
    Member,
    MysqlSource,
    Network,
    PathSource,
    PostgresqlSource,
    SecurityGroup,
    SecurityRule,
    Server,
    ServerSource,
    System,
    Tenant,
    VolumeSource,
    ZoneLink,
)
from policies.tiers import CopyRule, DrillRule, Keep, Retention, ScheduleRule, SuspicionRule, Tier, WindowRule
from policies.values import Text, format_duration

PAGE = (Path(__file__).parents[3] / "docs" / "site-folder.md").read_text("utf-8")

MODEL_OF: dict[str, type[BaseModel]] = {
    "site.yaml": SiteFile,
    "centres.NAME": Centre,
    "location": Location,
    "cloud": Cloud,
    "tenancy: domain": OwnDomain,
    "tenancy: nested": Nested,
    "vault": Vault,
    "bandwidth": BandwidthWindow,
    "zones.NAME": NetworkZone,
    "address_plan.ZONE": ZoneBlocks,
    "quota_classes.NAME": QuotaClass,
    "blackouts": Blackout,
    "drift": Drift,
    "approval": ApprovalRule,
    "audit": Audit,
    "holidays": Holiday,
    "dns": Dns,
    "escrow": Escrow,
    "notifications": Notifications,
    "notifications.channels.NAME": Channel,
    "notifications.pulse": Pulse,
    "limits.SLOT": Limit,
    "tiers/*.yaml": Tier,
    "copies.CENTRE": CopyRule,
    "retention": Retention,
    "retention.keep": Keep,
    "suspicion": SuspicionRule,
    "drill": DrillRule,
    "schedule": ScheduleRule,
    "schedule.spot_check": SpotCheckRule,
    "schedule.windows": WindowRule,
    "tenants/*.yaml": Tenant,
    "quota": Quota,
    "quota.compute": ComputeQuota,
    "quota.network": NetworkQuota,
    "quota.block_storage": BlockStorageQuota,
    "quota.load_balancer": LoadBalancerQuota,
    "quota.dns": DnsQuota,
    "quota.key_manager": KeyManagerQuota,
    "quota.shared_file_system": SharedFileSystemQuota,
    "members.ACCOUNT": Member,
    "networks.NAME": Network,
    "zone_links": ZoneLink,
    "security_groups.NAME": SecurityGroup,
    "rules": SecurityRule,
    "systems.NAME": System,
    "servers.NAME": Server,
    "hooks": Hooks,
    "sources.NAME": SourceHooks,
    "freeze, thaw, before, after": Hook,
    "sources: path": PathSource,
    "sources: postgresql": PostgresqlSource,
    "archive": ArchiveRule,
    "sources: mysql": MysqlSource,
    "sources: volume": VolumeSource,
    "sources: server": ServerSource,
    "sources: bucket": BucketSource,
    "sources: cloud": CloudSource,
    "plans/*.yaml": Plan,
    "systems.TENANT/SYSTEM": Recovery,
    "steps": Step,
    "reconcile": Reconciliation,
    "left, right": Figure,
    "networks.TENANT/NETWORK": Elsewhere,
    "names.NAME": NameSwitch,
    "probes: sql": SqlProbe,
    "probes: tcp": TcpProbe,
    "probes: http": HttpProbe,
    "probes: server-sql": ServerSqlProbe,
    "probes: command": CommandProbe,
    "probes: manifest": ManifestProbe,
    "probes: fingerprint": FingerprintProbe,
    "probes: image": ImageProbe,
    "probes: objects": ObjectsProbe,
    "probes: definition": DefinitionProbe,
    "title": Text,
}

Row = tuple[str, bool, str]


def documented() -> dict[str, list[Row]]:
    """Return the tables of the page by what stands behind the heading's dot: (key, required, default) of every row."""
    tables: dict[str, list[Row]] = {}
    here = ""
    for line in PAGE.splitlines():
        if heading := re.fullmatch(r"##+ .* · `(.+)`", line):
            tables[here := heading[1]] = []
        elif line.startswith("| `"):
            key, required, default, meaning = (cell.strip() for cell in line.strip("|").split("|", 3))
            assert meaning, line
            tables[here].append((key.strip("`"), bool(required), default.strip("`")))
    return tables


def stated(model: type[BaseModel], *, of_a_union: bool) -> list[Row]:
    rows = []
    for name, field in model.model_fields.items():
        value: Any = None if field.is_required() else field.get_default(call_default_factory=True)
        required = field.is_required() or (of_a_union and name == "kind")
        if isinstance(value, timedelta):
            value = format_duration(value.total_seconds())
        if isinstance(value, float) and model is SpotCheckRule:
            value = f"{value:.0%}"
        plain = isinstance(value, bool | int | float | str) and value != "" and not required
        default = str(value).lower() if isinstance(value, bool) else str(value) if plain else ""
        rows.append((field.alias or name, required, default))
    return rows


def reached(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from reached(field.annotation)
    for each in get_args(annotation):
        yield from reached(each)


def test_the_page_has_the_keys_of_the_models_in_their_order():
    tables = documented()
    assert tables.keys() == MODEL_OF.keys()
    for place, model in MODEL_OF.items():
        assert tables[place] == stated(model, of_a_union=": " in place), place


def test_no_model_of_a_site_folder_is_left_out():
    assert {each for model in MODELS.values() for each in reached(model)} == set(MODEL_OF.values())


def test_the_commands_of_the_page_are_there():
    for kind in MODELS:
        assert kind in PAGE
    for word in ("tricenter init", "tricenter validate", "tricenter schema", "--overlay", "TRICENTER_OVERLAY"):
        assert word in PAGE
